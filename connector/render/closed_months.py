"""A closed month, and what has changed in closed months, as text, JSON and CSV."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from connector.core.figures import WindowFigures
from connector.core.language import (
    _,
    day_text,
    marked,
    moment_text,
    month_text,
    ngettext,
    table_day,
)
from connector.core.model import Closing, Movement
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
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Percent,
    Table,
    Title,
    csv_text,
    figure,
    ratio_figures,
    table_of,
)
from connector.reports.closings.closed_months import ClosedMonth
from connector.reports.closings.restatements import (
    RestatedWindow,
    RestatementLine,
    Restatements,
)
from connector.reports.model import title_of
from connector.store.ledger.closings import ReportedFigures


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
    if kept:
        yield _reported_table(kept)
    yield (
        f"{despite}"
        f"{counted}\n"
        f"{sealed}\n"
        f"{again}\n"
        f"  stripe-nrr report --from {closing.month:%Y-%m} --to {closing.month:%Y-%m} "
        f"--as-of {utc(closing.closed_at)}"
    )


def _reported_table(kept: Sequence[ReportedFigures]) -> Table:
    def opening(each: ReportedFigures) -> Cell:
        return Money(each.measured.waterfall.opening_minor, each.currency)

    def closing(each: ReportedFigures) -> Cell:
        return Money(each.measured.waterfall.closing_minor, each.currency)

    return table_of(
        kept,
        Column(_("As reported"), lambda each: name_of(each.measured.window)),
        Column("", _whose),
        figure(_("Opening"), opening),
        figure(_("Closing"), closing),
        *ratio_figures(lambda each: each.measured.retention),
    )


def _whose(reported: ReportedFigures) -> str:
    return title_of(reported.currency, is_total=reported.is_total)


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
    yield _windows_table(found.windows)
    booked = {id(line): line for each in found.windows for line in each.lines}
    ordered = sorted(booked.values(), key=lambda x: (x.run.id, x.customer, x.day))
    for _run, of_run in groupby(ordered, key=lambda line: line.run.id):
        yield from _run_parts(list(of_run), found.labels, locale)


def _windows_table(windows: Sequence[RestatedWindow]) -> Table:
    """As each was reported beside as it is now."""

    def mrr(measured: WindowFigures, each: RestatedWindow) -> Cell:
        return Money(measured.waterfall.closing_minor, each.reported.currency)

    def ratio(measured: WindowFigures, name: str) -> Cell:
        return Percent(measured.retention.ratios[name], 2)

    return table_of(
        windows,
        Column(_("Closed window"), lambda each: name_of(each.now.window)),
        Column("", lambda each: _whose(each.reported)),
        Column(_("Closed on"), lambda each: day_text(each.closing.closed_at)),
        figure(_("MRR reported"), lambda each: mrr(each.reported.measured, each)),
        figure(_("MRR now"), lambda each: mrr(each.now, each)),
        figure(_("NRR reported"), lambda each: ratio(each.reported.measured, "nrr")),
        figure(_("NRR now"), lambda each: ratio(each.now, "nrr")),
        figure(_("GRR reported"), lambda each: ratio(each.reported.measured, "grr")),
        figure(_("GRR now"), lambda each: ratio(each.now, "grr")),
    )


def _run_parts(
    booked: list[RestatementLine], labels: Mapping[str, str], locale: str
) -> Iterator[Part]:
    """What one run changed, a row a customer and day."""

    def change(line: RestatementLine) -> Cell:
        return Money(line.amount_minor, line.currency, signed=True)

    run = booked[0].run
    changed = ", ".join(differences(run.policy_before, run.policy))
    cause = run_words(run.cause)
    cause = f"{cause}: {changed}" if changed else cause
    yield Title(
        _("Booked on {started}, {cause}").format(
            started=moment_text(run.started_at), cause=cause
        )
    )
    yield table_of(
        booked,
        Column(_("Customer"), lambda line: labels[line.customer]),
        Column(_("Day"), lambda line: line.day),
        figure(_("Was booked"), lambda line: _side(line.was, locale)),
        figure(_("Is booked"), lambda line: _side(line.now, locale)),
        figure(_("Change"), change),
        Column(_("Because of"), lambda line: _because(line, locale)),
    )


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
