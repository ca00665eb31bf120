"""`stripe-nrr close`: a month's figures, recorded as reported."""

import sqlite3
from contextlib import closing
from datetime import date
from typing import Any

import click

from connector import __version__, closings, marks
from connector.cli import Shell
from connector.cli_figures import known_ledger
from connector.cli_output import MonthParam, format_option, json_text, write
from connector.closings import Closing, Figures
from connector.columns import Table, to_text
from connector.database import make_durable, transaction
from connector.errors import NothingFound, NotOverYet
from connector.footnotes import policy_sentence
from connector.money import format_minor, format_ratio
from connector.periods import add_months
from connector.report import name_of
from connector.report_json import measured_json, span_json, utc


@click.command()
@click.argument("month", type=MonthParam())
@format_option
@click.pass_obj
def close(shell: Shell, month: date, form: str) -> None:
    """Record a month's figures as reported: MONTH, as 2026-03.

    Keeps the figures of every window that ends with it (the month, the twelve months to
    it, a quarter or year where it is their last), the policy and the moment. Reports show
    them beside the present ones wherever a later correction has changed something, and
    `stripe-nrr report --as-of` that moment gives them again, for ever. Closing a month
    twice changes nothing.

    \b
    Example:
      stripe-nrr close 2026-03 && stripe-nrr report --to 2026-03
    """  # noqa: D301
    with closing(shell.ledger()) as connection:
        make_durable(connection)
        with transaction(connection):
            before = {each.month: each for each in closings.known(connection)}
            closed = before.get(month) or _close(connection, shell, month)
            kept = [each for of, each in closings.figures(connection) if of == month]
    if form == "json":
        write(json_text(_as_json(closed, kept, was_closed=month in before)), None)
    else:
        locale = shell.config.locale
        write(_as_text(closed, kept, locale, was_closed=month in before), None)


def _close(connection: sqlite3.Connection, shell: Shell, month: date) -> Closing:
    known = known_ledger(connection, shell.config, shell.now())
    if known.synced_at is None:
        raise NothingFound(
            "the ledger is empty: there is nothing to close",
            fix="run `stripe-nrr sync`",
        )
    end = add_months(month, 1)
    if known.today < end:
        raise NotOverYet(
            f"{month:%Y-%m} is not over: the ledger knows the days to {known.today}",
            fix=f"run `stripe-nrr sync` on {end} or later, then close it",
        )
    waiting = marks.behind(connection)
    if waiting:
        click.echo(
            f"warning: {waiting} customers wait to be derived; what they change will be a "
            "restatement\n  fix: run `stripe-nrr recompute` before closing a month",
            err=True,
        )
    return closings.close(
        connection,
        month,
        policy=known.rules,
        code_version=__version__,
        now=shell.moment(connection),
    )


def _as_text(
    closed: Closing, kept: list[Figures], locale: str, *, was_closed: bool
) -> str:
    name = f"{closed.month:%b %Y}"
    verb = "was already closed, and stays as it is" if was_closed else "is closed"
    rows = [
        (
            name_of(each.measured.window),
            each.currency.upper(),
            format_minor(each.measured.waterfall.opening_minor, each.currency, locale),
            format_minor(each.measured.waterfall.closing_minor, each.currency, locale),
            *(
                format_ratio(ratio)
                for ratio in (
                    each.measured.retention.nrr,
                    each.measured.retention.grr,
                    each.measured.retention.crr,
                )
            ),
        )
        for each in kept
    ]
    heads = ("As reported", "", "Opening", "Closing", "NRR", "GRR", "CRR")
    table = to_text(Table(heads, rows, frozenset(range(2, 7)))) if rows else ""
    return (
        f"{name} {verb}.\n\n{table}\n"
        f"What counted: {policy_sentence(closed.policy)}.\n"
        f"The same again, whatever is corrected later:\n"
        f"  stripe-nrr report --from {closed.month:%Y-%m} --to {closed.month:%Y-%m} "
        f"--as-of {utc(closed.closed_at)}"
    )


def _as_json(
    closed: Closing, kept: list[Figures], *, was_closed: bool
) -> dict[str, Any]:
    return {
        "month": f"{closed.month:%Y-%m}",
        "closed_at": utc(closed.closed_at),
        "was_closed": was_closed,
        "code_version": closed.code_version,
        "policy": dict(closed.policy),
        "figures": [
            {
                "currency": each.currency,
                **span_json(each.measured.window),
                **measured_json(each.measured),
            }
            for each in kept
        ],
    }
