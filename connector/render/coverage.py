"""Where invoiced money belongs, and what of it recurs and is not counted, in every form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from operator import itemgetter
from typing import Any

from msgspec.structs import asdict

from connector.core.invoiced import InvoiceClass, NotCountedReason, OutsideMrr, alarming
from connector.core.language import _, grouped, marked
from connector.core.messages import spoken
from connector.core.model import Refusal
from connector.core.text import printable
from connector.core.windows import name_of
from connector.render.csv_table import csv_of
from connector.render.report.json_form import span_json
from connector.render.report.missing import outside_note
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Percent,
    Table,
    Title,
    amount,
    customer_cell,
    figure,
    table_of,
)
from connector.reports.coverage import CoverageReport, CoveredCurrency, CoveredWindow

CLASS_WORDS = {
    InvoiceClass.COUNTED: marked("Counted"),
    InvoiceClass.BY_POLICY: marked("By policy"),
    InvoiceClass.ADJUSTMENT: marked("Adjustment"),
    InvoiceClass.ONE_OFF: marked("One-off"),
    InvoiceClass.NOT_COUNTED: marked("Recurring, not counted"),
    InvoiceClass.NOT_DUE: marked("Not due"),
    InvoiceClass.REFUSED: marked("Refused"),
}
REASON_WORDS = {
    NotCountedReason.PRICING_PLAN: marked("pricing plan"),
    NotCountedReason.LICENCE_FEE: marked("licence fee"),
    NotCountedReason.RATE_CARD: marked("rate card"),
    NotCountedReason.CONTRACT: marked("contract"),
    NotCountedReason.SCHEDULE: marked("schedule"),
    NotCountedReason.BILLING_CADENCE: marked("billing cadence"),
    NotCountedReason.UNKNOWN_PARENT: marked("of no known kind"),
    NotCountedReason.UNKNOWN_PRICING: marked("of no known pricing"),
    NotCountedReason.MANUAL: marked("manual lines that recur"),
}
MOST_REFUSED = 20
CLASSES_NOTE = marked(
    "Without tax, after discounts, in the month in which the invoice was "
    "finalized. Counted: shows an item that is in MRR. By policy: of an "
    "item that does not count (metered, on trial). Adjustment: a "
    "proration, or what takes one back. One-off: a manual line that does "
    "not recur. Not due: of a draft or a void invoice. Refused: could not "
    "be valued; `stripe-nrr check` names it."
)
TO_DO = marked(
    "What to do: have it counted, with [policy] invoiced_recurring = "
    '"by_period"; or, where it is no recurring revenue, name the customer '
    "or product under [coverage] accepted. Until then `stripe-nrr check` "
    "exits with 3."
)
LACKS_TEXTS = marked(
    "Invoices that a former version fetched lack what tells manual lines "
    "apart: run `stripe-nrr sync --full` once."
)


def parts(found: CoverageReport, locale: str) -> Iterator[Part]:
    """The classes as shares, by window, then what is not counted, by customer."""
    for each in found.currencies:
        yield Title(_("Coverage, {currency}").format(currency=each.currency.upper()))
        yield shares_table(each.headline, each.currency)
        yield windows_table(each)
        if each.not_counted:
            note = outside_note(each.not_counted, locale)
            yield from [note] if note is not None else []
            yield outside_table(each.not_counted, found.labels)
    if not found.currencies and not found.refused:
        yield _("Nothing was invoiced yet.")
    if found.refused:
        yield "\n".join(refused_lines(found.refused))
    if any(not x.is_over for each in found.currencies for x in each.windows):
        yield _("* not over: so far; not to be compared with whole windows.")
    yield _(CLASSES_NOTE)
    if alarming(x for each in found.currencies for x in each.not_counted):
        yield _(TO_DO)
    if found.lacks_texts:
        yield _(LACKS_TEXTS)


def refused_lines(refused: Sequence[Refusal]) -> list[str]:
    """What these sums may lack, a line an object."""
    said = _(
        "Could not be valued: under Refused where the amount can be read, else missing "
        "from these sums ({count}):"
    ).format(count=grouped(len(refused)))
    named = [printable(f"  {spoken(each.sentence)}") for each in refused[:MOST_REFUSED]]
    more = len(refused) - len(named)
    if more:
        named.append(_("  and {count} more").format(count=grouped(more)))
    return [said, *named]


def shares_table(window: CoveredWindow, currency: str) -> Table:
    """One window's classes and their shares, which add up to 100.00%."""
    whole = window.invoiced_minor
    classes = [
        (_(CLASS_WORDS[name]), window.classes[name], share)
        for name, share in shares(window).items()
    ]
    return table_of(
        [*classes, (_("invoiced"), whole, Fraction(1) if whole else None)],
        Column(label(window), itemgetter(0)),
        figure(_("Amount"), lambda row: Money(row[1], currency)),
        figure(_("Share"), lambda row: Percent(row[2], 2)),
    )


def label(window: CoveredWindow) -> str:
    return name_of(window.window) + ("" if window.is_over else " *")


def shares(window: CoveredWindow) -> dict[InvoiceClass, Fraction | None]:
    """Each class's share in hundredths of a per cent, which add up to the whole.

    Rounded down, and what is missing given to those that lost most by it. None where
    nothing was invoiced.
    """
    whole = window.invoiced_minor
    if not whole:
        return dict.fromkeys(window.classes)
    exact = {name: Fraction(n * 10_000, whole) for name, n in window.classes.items()}
    down = {name: share.numerator // share.denominator for name, share in exact.items()}
    missing = 10_000 - sum(down.values())
    for name in sorted(exact, key=lambda x: down[x] - exact[x])[:missing]:
        down[name] += 1
    return {name: Fraction(share, 10_000) for name, share in down.items()}


def windows_table(covered: CoveredCurrency) -> Table:
    def of(name: InvoiceClass, each: CoveredWindow) -> Cell:
        return amount(each.classes[name], covered.currency)

    return table_of(
        covered.windows,
        Column("", label),
        figure(_("Invoiced"), lambda x: Money(x.invoiced_minor, covered.currency)),
        *(figure(_(said), partial(of, name)) for name, said in CLASS_WORDS.items()),
    )


def outside_table(found: Iterable[OutsideMrr], labels: Mapping[str, str]) -> Table:
    """A row a customer and reason; what has ceased bills nothing a month."""

    def standing(each: OutsideMrr) -> str:
        if each.accepted:
            return _("accepted")
        return "" if each.monthly_minor else _("has ceased")

    return table_of(
        found,
        Column(_("Customer"), lambda each: customer_cell(each.customer, labels)),
        Column(_("Not counted"), lambda each: _(REASON_WORDS[each.reason])),
        figure(_("A month"), lambda each: amount(each.monthly_minor, each.currency)),
        Column(_("Since"), lambda each: each.since),
        Column(_("Last invoice"), lambda each: each.last_invoice),
        Column("", standing),
    )


def to_csv(found: CoverageReport) -> str:
    """A row a window and class; amounts in whole units of the currency."""
    columns = (
        "currency",
        "window",
        "from",
        "to",
        "complete",
        "class",
        "invoiced_minor",
    )
    records = (
        {
            **_window_json(each, is_whole=found.is_whole),
            "currency": covered.currency,
            "class": name.value,
            "invoiced_minor": minor,
        }
        for covered in found.currencies
        for each in covered.windows
        for name, minor in each.classes.items()
    )
    return csv_of(columns, records).text()


def to_json(found: CoverageReport) -> dict[str, Any]:
    """Amounts in minor units; a window's classes add up to what was invoiced."""
    return {
        "schema": 1,
        "currencies": [
            {
                "currency": covered.currency,
                "windows": [
                    _window_json(each, is_whole=found.is_whole)
                    for each in covered.windows
                ],
                "not_counted": [outside_json(each) for each in covered.not_counted],
            }
            for covered in found.currencies
        ],
        "refused": [asdict(each) for each in found.refused],
    }


def _window_json(covered: CoveredWindow, *, is_whole: bool) -> dict[str, Any]:
    return {
        **span_json(covered.window),
        "complete": covered.is_over and is_whole,
        "invoiced_minor": covered.invoiced_minor,
        "classes": {name.value: minor for name, minor in covered.classes.items()},
    }


def outside_json(each: OutsideMrr) -> dict[str, Any]:
    """``accepted`` is there only where it is."""
    told: dict[str, Any] = {
        "customer": each.customer,
        "reason": each.reason.value,
        "monthly_minor": each.monthly_minor,
        "since": each.since.isoformat(),
        "last_invoice": each.last_invoice,
    }
    return {**told, "accepted": True} if each.accepted else told
