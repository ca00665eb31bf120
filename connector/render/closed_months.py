"""A closed month, and what has changed in closed months, as text, JSON and CSV."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from connector.core.kept.months import Closing
from connector.core.language import (
    _,
    day_text,
    marked,
    moment_text,
    month_text,
    ngettext,
    table_day,
)
from connector.core.model import Movement
from connector.core.money import format_minor
from connector.core.policy import differences
from connector.core.windows import name_of
from connector.mrr.stored_words import retraction_said
from connector.render.footnotes import despite_sentence, policy_sentence
from connector.render.movements import as_json, causes_text
from connector.render.report_json import (
    currency_json,
    despite_json,
    measured_json,
    span_json,
    utc,
)
from connector.render.table import Cell, Money, Part, Percent, Table, Title, csv_text
from connector.reports.closings.closed_months import ClosedMonth
from connector.reports.closings.restatements import (
    RestatedWindow,
    RestatementLine,
    Restatements,
)
from connector.reports.model import title_of


def closing_parts(closed: ClosedMonth) -> Iterator[Part]:
    closing, kept, was_closed, seal = closed
    name = month_text(closing.month)
    verb = _("was already closed, and stays as it is") if was_closed else _("is closed")
    if closing.withdrawn is not None:
        yield _(
            "{closing}\nIt is shown as reported no longer, and can be closed again; "
            "`stripe-nrr restatements` still tells of it.\nSealed: {seal}"
        ).format(closing=_withdrawn_sentence(closing), seal=seal)
        return
    rows: list[Sequence[Cell]] = [
        (
            name_of(each.measured.window),
            title_of(each.currency, is_total=each.is_total),
            Money(each.measured.waterfall.opening_minor, each.currency),
            Money(each.measured.waterfall.closing_minor, each.currency),
            *map(Percent, each.measured.retention.ratios.values()),
        )
        for each in kept
    ]
    heads = (
        _("As reported"),
        "",
        _("Opening"),
        _("Closing"),
        "NRR",
        "GRR",
        "CRR",
    )
    right = frozenset(range(2, 7))
    sealed = (
        _("Sealed: {seal}").format(seal=seal)
        if seal
        else _("Not sealed yet: the next closing does it")
    )
    despite = f"{despite_sentence(closing)}\n" if closing.despite else ""
    policy = policy_sentence(closing.policy)
    counted = _("What counted: {policy}.").format(policy=policy)
    again = _("The same again, whatever is corrected later:")
    yield Title(f"{name} {verb}.")
    if rows:
        yield Table(heads, rows, right)
    yield (
        f"{despite}"
        f"{counted}\n"
        f"{sealed}\n"
        f"{again}\n"
        f"  stripe-nrr report --from {closing.month:%Y-%m} --to {closing.month:%Y-%m} "
        f"--as-of {utc(closing.closed_at)}"
    )


def closing_json(closed: ClosedMonth) -> dict[str, Any]:
    closing, kept, was_closed, seal = closed
    return {
        "month": f"{closing.month:%Y-%m}",
        "closed_at": utc(closing.closed_at),
        "was_closed": was_closed,
        **_how_it_stands(closing),
        "code_version": closing.code_version,
        "policy": dict(closing.policy),
        "seal": seal,
        "figures": [
            {
                **currency_json(each.currency, is_total=each.is_total),
                **span_json(each.measured.window),
                **measured_json(each.measured),
            }
            for each in kept
        ],
    }


def _how_it_stands(closing: Closing) -> dict[str, Any]:
    """Despite what it was closed, and why it was withdrawn; None where neither."""
    gone = closing.withdrawn
    return {
        "closed_despite": despite_json(closing) if closing.despite else None,
        "withdrawn": None
        if gone is None
        else {"at": utc(gone.at), "reason": gone.reason},
    }


def _withdrawn_sentence(closing: Closing) -> str:
    gone = closing.withdrawn
    assert gone is not None
    return _("{month}, closed on {closed}, was withdrawn on {at}: {reason}").format(
        month=month_text(closing.month),
        closed=day_text(closing.closed_at),
        at=day_text(gone.at),
        reason=gone.reason,
    )


# What has changed since


def restated_parts(
    found: Restatements, since: date | None, locale: str
) -> Iterator[Part]:
    beside = [despite_sentence(x) for x in found.standing if x.despite]
    beside += [
        _withdrawn_sentence(x) for x in found.closings if x.withdrawn is not None
    ]
    if found.windows:
        yield from _restated_windows(found, locale)
    else:
        beside = [_nothing_changed(len(found.standing), since), *beside]
    yield from ["\n".join(beside)] if beside else []


def _nothing_changed(closed: int, since: date | None) -> str:
    if not closed:
        return _("No month is closed yet: `stripe-nrr close 2026-03` closes one.")
    then = (
        _(" since {since}").format(since=table_day(since)) if since is not None else ""
    )
    return ngettext(
        "{closed} month is closed, and it has not changed{then}.",
        "{closed} months are closed, and none of them has changed{then}.",
        closed,
    ).format(closed=closed, then=then)


def _restated_windows(found: Restatements, locale: str) -> Iterator[Part]:
    windows, labels = found.windows, found.labels
    rows: list[Sequence[Cell]] = []
    for each in windows:
        sides = (each.reported.measured, each.now)
        code = each.reported.currency
        rows.append(
            (
                name_of(each.now.window),
                title_of(code, is_total=each.reported.is_total),
                day_text(each.closing.closed_at),
                *(Money(side.waterfall.closing_minor, code) for side in sides),
                *(Percent(side.retention.nrr, 2) for side in sides),
                *(Percent(side.retention.grr, 2) for side in sides),
            )
        )
    heads = (
        *(_("Closed window"), "", _("Closed on"), _("MRR reported"), _("MRR now")),
        *(_("NRR reported"), _("NRR now"), _("GRR reported"), _("GRR now")),
    )
    yield Table(heads, rows, frozenset(range(3, 9)))
    booked = {id(line): line for each in windows for line in each.lines}
    ordered = sorted(booked.values(), key=lambda x: (x.run.id, x.customer, x.day))
    for _run, of_run in groupby(ordered, key=lambda line: line.run.id):
        yield from _run_parts(list(of_run), labels, locale)


def _run_parts(
    booked: list[RestatementLine], labels: Mapping[str, str], locale: str
) -> Iterator[Part]:
    """What one run changed, a row a customer and day."""
    run = booked[0].run
    changed = ", ".join(differences(run.policy_before, run.policy))
    cause = run_words(run.cause)
    cause = f"{cause}: {changed}" if changed else cause
    rows = [
        (
            labels[line.customer],
            line.day,
            _side(line.was, locale),
            _side(line.now, locale),
            Money(line.amount_minor, line.currency, signed=True),
            _because(line, locale),
        )
        for line in booked
    ]
    heads = (
        _("Customer"),
        _("Day"),
        _("Was booked"),
        _("Is booked"),
        _("Change"),
        _("Because of"),
    )
    yield Title(
        _("Booked on {started}, {cause}").format(
            started=moment_text(run.started_at), cause=cause
        )
    )
    yield Table(heads, rows, frozenset([2, 3, 4]))


def _side(movement: Movement | None, locale: str) -> str:
    if movement is None:
        return "–"
    currency = movement.currency
    amount = format_minor(movement.amount_minor, currency, locale, signed=True)
    return f"{_(movement.kind.value)} {amount}"


RUNS = (marked("sync"), marked("webhook"), marked("policy change"), marked("manual"))


def run_words(cause: str) -> str:
    """What had movements booked, as a reader knows it."""
    return _(cause) if cause in RUNS else cause


def _because(line: RestatementLine, locale: str = "en_US") -> str:
    """The components' causes and what shows them; of what is gone, why."""
    if line.now is None:
        return retraction_said(line.reason, line.currency, locale)
    proof = line.now.components[0].evidence[:1]
    shown = "".join(f" ({each.kind} {each.id})" for each in proof)
    return f"{causes_text(line.now)}{shown}"


def restated_json(found: Restatements) -> dict[str, Any]:
    return {
        "restated": [_window_json(each) for each in found.windows],
        "closings": [
            {
                "month": f"{each.month:%Y-%m}",
                "closed_at": utc(each.closed_at),
                **_how_it_stands(each),
            }
            for each in found.closings
        ],
    }


def _window_json(each: RestatedWindow) -> dict[str, Any]:
    return {
        "month": f"{each.closing.month:%Y-%m}",
        "closed_at": utc(each.closing.closed_at),
        **currency_json(each.reported.currency, is_total=each.reported.is_total),
        **span_json(each.now.window),
        **_how_it_stands(each.closing),
        "reported": measured_json(each.reported.measured),
        "restated": measured_json(each.now),
        "changes": [
            {
                "customer": line.customer,
                "day": line.day.isoformat(),
                "amount_minor": line.amount_minor,
                "was": as_json(line.was) if line.was is not None else None,
                "now": as_json(line.now) if line.now is not None else None,
                "reason": line.reason,
                "run": line.run.id,
                "booked_at": utc(line.run.started_at),
                "cause": line.run.cause,
                "rules": differences(line.run.policy_before, line.run.policy),
            }
            for line in each.lines
        ],
    }


def restated_csv(found: Restatements) -> str:
    heads = (
        *("month", "window", "currency", "customer", "day", "was", "now", "change"),
        *("booked_at", "cause", "because", "closed_despite"),
    )
    rows = [
        (
            f"{each.closing.month:%Y-%m}",
            each.now.window.kind,
            *(line.currency, line.customer, line.day),
            *(
                None if side is None else Money(side.amount_minor, line.currency)
                for side in (line.was, line.now)
            ),
            Money(line.amount_minor, line.currency),
            *(utc(line.run.started_at), line.run.cause, _because(line)),
            each.closing.despite,
        )
        for each in found.windows
        if not each.reported.is_total  # its lines are those of the currencies
        for line in each.lines
    ]
    return csv_text(heads, rows)
