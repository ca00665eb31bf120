"""`stripe-nrr restatements`: what has changed in closed months since."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click

from connector import closings, customers, ledger
from connector.cli import Shell
from connector.cli_figures import rules_in_force
from connector.cli_output import DayParam, formats_option, json_text, out_option, write
from connector.closings import Closing, Figures
from connector.columns import Table, to_csv, to_text
from connector.model import Movement
from connector.money import format_minor, format_ratio, major
from connector.movement_rows import as_json
from connector.periods import add_months, day_end_s, instant
from connector.report import name_of
from connector.report_json import measured_json, span_json, utc
from connector.restatements import Line, lines, since
from connector.retention import Measured, is_same, measure
from connector.rules import differences


class Restated(NamedTuple):
    """One closed window, as it was reported and as the ledger has it now."""

    closing: Closing
    reported: Figures
    now: Measured
    lines: list[Line]  # they add up to the change of its closing MRR


@click.command()
@click.option(
    "--since",
    "day",
    type=DayParam(),
    help="Only changes that were booked on this day or later.",
)
@formats_option("text", "json", "csv")
@out_option
@click.pass_obj
def restatements(
    shell: Shell, day: date | None, form: str, output: Path | None
) -> None:
    """List every change to a closed month: as reported, as restated, and why.

    Each change is one customer's day as a later run (a sync, a changed policy, a new
    version) has booked it, with its evidence. The changes dated until a month's end add up
    to what its closing MRR differs by from the one reported.

    \b
    Examples:
      stripe-nrr restatements
      stripe-nrr restatements --since 2026-04-01 --format csv -o restated.csv
    """  # noqa: D301
    with shell.reading() as connection:
        zone = ZoneInfo(rules_in_force(connection, shell.config)["timezone"])
        after = datetime(1970, 1, 1, tzinfo=UTC)
        if day is not None:
            after = instant(day_end_s(day - timedelta(days=1), zone))
            after -= timedelta(microseconds=1)
        found = list(_restated(connection, after))
        names = customers.labels(connection)
        count = len(closings.known(connection))
    if form == "json":
        write(json_text({"restated": [_as_json(x) for x in found]}), output)
    elif form == "csv":
        write(_as_csv(found), output)
    elif not found:
        then = f" since {day}" if day is not None else ""
        write(f"{count} months are closed, and none of them has changed{then}.", output)
    else:
        write(_as_text(found, names, shell.config.locale), output)


def _restated(connection: sqlite3.Connection, after: datetime) -> Iterator[Restated]:
    """Every closed window in which something was booked since it was closed."""
    closed = {each.month: each for each in closings.known(connection)}
    if not closed:
        return
    first = min(each.closed_at for each in closed.values())
    end = max(add_months(month, 1) for month in closed)
    found = lines(closings.changes(connection, max(first, after), end))
    flows = {c: list(ledger.flows(connection, c)) for c in {x.currency for x in found}}
    reported = list(closings.figures(connection))
    told = {(month, figures.currency) for month, figures in reported}
    for month in closed:
        for currency in sorted(flows):
            if (month, currency) not in told:
                reported += [(month, f) for f in closings.unheard(month, currency)]
    for month, figures in reported:
        closing_of, window = closed[month], figures.measured.window
        currency = figures.currency
        moment = max(closing_of.closed_at, after)
        own = since(found, moment, currency, window.end)
        if not own:
            continue
        [now] = measure(flows[currency], [window])
        if not is_same(now, figures.measured):
            yield Restated(closing_of, figures, now, own)


def _as_text(found: list[Restated], names: dict[str, str], locale: str) -> str:
    rows = []
    for each in found:
        sides = (each.reported.measured, each.now)
        money = [
            format_minor(side.waterfall.closing_minor, each.reported.currency, locale)
            for side in sides
        ]
        rows.append(
            (
                name_of(each.now.window),
                each.reported.currency.upper(),
                f"{each.closing.closed_at:%d %b %Y}",
                *money,
                *(format_ratio(side.retention.nrr, 2) for side in sides),
                *(format_ratio(side.retention.grr, 2) for side in sides),
            )
        )
    heads = (
        *("Closed window", "", "Closed on", "MRR reported", "MRR now"),
        *("NRR reported", "NRR now", "GRR reported", "GRR now"),
    )
    parts = [to_text(Table(heads, rows, frozenset(range(3, 9))))]
    booked = {id(line): line for each in found for line in each.lines}
    ordered = sorted(booked.values(), key=lambda x: (x.run.id, x.customer, x.day))
    for _, of_run in groupby(ordered, key=lambda line: line.run.id):
        parts.append(_run_text(list(of_run), names, locale))
    return "\n".join(parts)


def _run_text(booked: list[Line], names: dict[str, str], locale: str) -> str:
    """What one run changed, a row a customer and day."""
    run = booked[0].run
    changed = ", ".join(differences(run.policy_before, run.policy))
    cause = f"{run.cause}: {changed}" if changed else run.cause
    rows = [
        (
            names[line.customer],
            str(line.day),
            _side(line.was, locale),
            _side(line.now, locale),
            format_minor(line.amount_minor, line.currency, locale, signed=True),
            _because(line),
        )
        for line in booked
    ]
    heads = ("Customer", "Day", "Was booked", "Is booked", "Change", "Because of")
    table = Table(heads, rows, frozenset([2, 3, 4]))
    return f"Booked on {run.started_at:%d %b %Y %H:%M} UTC, {cause}\n\n{to_text(table)}"


def _side(movement: Movement | None, locale: str) -> str:
    if movement is None:
        return "–"
    currency = movement.currency
    amount = format_minor(movement.amount_minor, currency, locale, signed=True)
    return f"{movement.kind} {amount}"


def _because(line: Line) -> str:
    """The components' causes and what shows them; of what is gone, why."""
    if line.now is None:
        return line.reason
    parts = line.now.components
    causes = dict.fromkeys(part.cause.replace("_", "-") for part in parts)
    proof = parts[0].evidence[:1]
    shown = "".join(f" ({each.kind} {each.id})" for each in proof)
    return f"{', '.join(causes)}{shown}"


def _as_json(each: Restated) -> dict[str, Any]:
    return {
        "month": f"{each.closing.month:%Y-%m}",
        "closed_at": utc(each.closing.closed_at),
        "currency": each.reported.currency,
        **span_json(each.now.window),
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


def _as_csv(found: list[Restated]) -> str:
    heads = (
        *("month", "window", "currency", "customer", "day", "was", "now", "change"),
        *("booked_at", "cause", "because"),
    )
    rows = [
        (
            f"{each.closing.month:%Y-%m}",
            each.now.window.kind,
            *(line.currency, line.customer, line.day),
            *(
                "" if side is None else major(side.amount_minor, line.currency)
                for side in (line.was, line.now)
            ),
            major(line.amount_minor, line.currency),
            *(utc(line.run.started_at), line.run.cause, _because(line)),
        )
        for each in found
        for line in each.lines
    ]
    return to_csv(heads, rows)
