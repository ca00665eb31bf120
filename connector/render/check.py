"""What breaks an invariant, and Stripe's live objects beside it, as text and JSON."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connector.core.language import _, grouped, ngettext
from connector.core.messages import spoken
from connector.core.money import format_count, format_minor
from connector.core.text import printable
from connector.metrics.invariants import Finding
from connector.render.movements import named
from connector.reports.check import CheckedLedger, StripeComparison
from connector.valuation.reconciliation import (
    CurrencyComparison,
    GapReason,
    differing,
    totals,
)

NAMED = 20  # of those that wait, in text


def to_text(
    checked: CheckedLedger, compared: StripeComparison | None, locale: str
) -> str:
    lines: list[str] = []
    if compared is not None:
        lines += _comparison_lines(compared, locale)
    lines += [
        printable(f"{spoken(each.rule)}: {spoken(each.subject)} {_what(each)}")
        for each in checked.findings
    ]
    if checked.waiting:
        lines.append(_waiting_line(checked.waiting))
    lines += [
        _("not checked: {each}").format(each=spoken(each)) for each in checked.notes
    ]
    if checked.seal:
        lines.append(_("Newest seal: {seal}").format(seal=checked.seal))
    counted = ngettext(
        "{number} movement checked", "{number} movements checked", checked.movements
    ).format(number=grouped(checked.movements))
    findings = format_count(len(checked.findings), "finding")
    return "\n".join([*lines, f"{counted}, {findings}."])


def _what(found: Finding) -> str:
    """Of an object that could not be valued: its field, and what that is."""
    said, before = spoken(found.what), f"{found.subject}: "
    if said != found.what:
        return said
    return spoken(f"{before}{found.what}").removeprefix(before)


def _waiting_line(waiting: Sequence[str]) -> str:
    """Who waits to be derived, by name; those that could not be are among them."""
    first = printable(", ".join(waiting[:NAMED]))
    more = (
        _(" and {number} more").format(number=len(waiting) - NAMED)
        if len(waiting) > NAMED
        else ""
    )
    return ngettext(
        "{number} customer waits: {first}{more}; run `stripe-nrr recompute`",
        "{number} customers wait: {first}{more}; run `stripe-nrr recompute`",
        len(waiting),
    ).format(number=grouped(len(waiting)), first=first, more=more)


def to_json(
    checked: CheckedLedger, compared: StripeComparison | None
) -> dict[str, Any]:
    figures = {
        "movements": checked.movements,
        "waiting": checked.waiting,
        "findings": [finding._asdict() for finding in checked.findings],
        "seal": checked.seal,
        "not_checked": checked.notes,
    }
    if compared is None:
        return figures
    return {**figures, "stripe": _comparison_json(compared)}


def _comparison_json(compared: StripeComparison) -> dict[str, Any]:
    return {
        "subscriptions": compared.live,
        "requests": compared.requests,
        "sums": [_total_json(each) for each in totals(compared.rows)],
        "rows": [
            {
                "customer": row.customer,
                "currency": row.currency,
                "stripe_minor": row.stripe_minor,
                "reasons": [part._asdict() for part in row.parts],
                "remainder_minor": row.remainder_minor,
                "ledger_minor": row.ledger_minor,
            }
            for row in differing(compared.rows)
        ],
    }


def _total_json(total: CurrencyComparison) -> dict[str, Any]:
    explained = {
        f"{reason.replace(' ', '_')}_minor": amount_minor
        for reason, amount_minor in total.explained.items()
    }
    return {
        "currency": total.currency,
        "stripe_minor": total.stripe_minor,
        **explained,
        "remainder_minor": total.remainder_minor,
        "ledger_minor": total.ledger_minor,
    }


def _comparison_lines(compared: StripeComparison, locale: str) -> Iterator[str]:
    """The sums, then each customer that differs, the largest difference first."""
    live = format_count(compared.live, "live subscription")
    counted = _("{live} in {requests}").format(
        live=live, requests=format_count(compared.requests, "request")
    )
    yield _(
        "MRR now, by Stripe's own definition and in the ledger ({counted}):"
    ).format(counted=counted)
    for total in totals(compared.rows):
        reasons = [
            (_(reason.value), minor) for reason, minor in total.explained.items()
        ]
        sides = (total.stripe_minor, total.ledger_minor, total.remainder_minor)
        code = total.currency
        yield f"  {code.upper()}: {_bridge(code, sides, reasons, locale)}"
    for row in differing(compared.rows):
        reasons = [
            (printable(f"{_(p.reason.value)} {p.what}".strip()), p.amount_minor)
            for p in row.parts
        ]
        sides = (row.stripe_minor, row.ledger_minor, row.remainder_minor)
        who = named(row.customer, compared.labels)
        yield f"{who}: {_bridge(row.currency, sides, reasons, locale)}"
    found = {part.reason for row in compared.rows for part in row.parts}
    if GapReason.WAITING in found:
        yield _("Waiting: run `stripe-nrr recompute`.")
    if GapReason.NOT_SYNCED in found:
        yield _(
            "Not yet synced: run `stripe-nrr sync`; what stays, `sync --full` brings."
        )


def _bridge(
    currency: str,
    sides: tuple[int, int, int],
    reasons: Iterable[tuple[str, int]],
    locale: str,
) -> str:
    """Both sides, and in between what makes the one of the other."""
    stripe_minor, ledger_minor, remainder_minor = sides
    steps = [
        f"{name} {format_minor(amount_minor, currency, locale, signed=True)}"
        for name, amount_minor in (*reasons, (_("unexplained"), remainder_minor))
        if amount_minor
        or name.startswith(f"{_(GapReason.REFUSED.value)} ")  # names what it is
    ]
    stripe = format_minor(stripe_minor, currency, locale)
    booked = format_minor(ledger_minor, currency, locale)
    return "; ".join(
        (
            _("Stripe {stripe}").format(stripe=stripe),
            *steps,
            _("ledger {booked}").format(booked=booked),
        )
    )
