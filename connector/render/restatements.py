"""What has changed in closed months, as text, JSON and CSV."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from connector.core.figures import WindowFigures
from connector.core.language import _, marked, moment_text, ngettext, table_day
from connector.core.model import Movement
from connector.core.money import format_minor
from connector.core.policy import differences
from connector.core.windows import name_of
from connector.mrr.stored_words import evidence_kind_said, retraction_said
from connector.render.closed_months import how_it_stands, withdrawn_sentence
from connector.render.csv_table import csv_text
from connector.render.movements import as_json, causes_text
from connector.render.report.footnotes import despite_sentence
from connector.render.report.json_form import (
    currency_json,
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
    customer_cell,
    figure,
    table_of,
)
from connector.reports.closings.restatements import (
    RestatedWindow,
    RestatementLine,
    Restatements,
)
from connector.reports.model import title_of


def restated_parts(
    found: Restatements, since: date | None, locale: str
) -> Iterator[Part]:
    beside = [despite_sentence(x) for x in found.standing if x.despite]
    beside += [withdrawn_sentence(x) for x in found.closings if x.withdrawn is not None]
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

    def whose(each: RestatedWindow) -> str:
        return title_of(each.reported.currency, is_total=each.reported.is_total)

    return table_of(
        windows,
        Column(_("Closed window"), lambda each: name_of(each.now.window)),
        Column("", whose),
        Column(_("Closed on"), lambda each: each.closing.closed_at.date()),
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
        Column(_("Customer"), lambda line: customer_cell(line.customer, labels)),
        Column(_("Day"), lambda line: line.day),
        figure(_("Was booked"), lambda line: _side(line.was, locale)),
        figure(_("Is booked"), lambda line: _side(line.now, locale)),
        figure(_("Change"), change),
        Column(_("Because of"), lambda line: because(line, locale)),
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


def because(line: RestatementLine, locale: str = "en_US") -> str:
    """The components' causes and what shows them; of what is gone, why."""
    if line.now is None:
        return retraction_said(line.reason, line.currency, locale)
    proof = line.now.components[0].evidence[:1]
    shown = "".join(f" ({evidence_kind_said(each.kind)} {each.id})" for each in proof)
    return f"{causes_text(line.now)}{shown}"


def restated_json(found: Restatements) -> dict[str, Any]:
    return {
        "restated": [_window_json(each) for each in found.windows],
        "closings": [
            {
                "month": f"{each.month:%Y-%m}",
                "closed_at": utc(each.closed_at),
                **how_it_stands(each),
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
        **how_it_stands(each.closing),
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
            *(utc(line.run.started_at), line.run.cause, because(line)),
            each.closing.despite,
        )
        for each in found.windows
        if not each.reported.is_total  # its lines are those of the currencies
        for line in each.lines
    ]
    return csv_text(heads, rows)
