"""`stripe-nrr report`: windows asked for → figures → text, JSON, CSV, Markdown."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click

from connector import closings, ledger, refusals, walks
from connector import report as reports
from connector.cli import Shell, UsageFault, rules_of
from connector.cli_output import FORMATS, MonthParam, out_option, rendered, write
from connector.config import Config
from connector.database import setting
from connector.errors import ConfigError, NothingFound
from connector.model import WindowKind
from connector.periods import instant, local_day, parse_moment
from connector.rates import Rates, parse_rates
from connector.retention import Converted, Measured, in_one_currency, measure, windows


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    help="Only windows of this kind. Default: the trailing-12 headline, then months.",
)
@click.option("--from", "first", type=MonthParam(), help="The first month.")
@click.option("--to", "last", type=MonthParam(), help="The last month, included.")
@click.option("--currency", metavar="CODE", help="Only this currency, such as usd.")
@click.option(
    "--as-of",
    metavar="TIMESTAMP",
    help="Read the ledger as it was at this moment: 2026-04-02T09:00:00Z, local time "
    "without an offset, or a day (its end).",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True
)
@out_option
@click.pass_obj
def report(
    shell: Shell,
    window: str | None,
    first: date | None,
    last: date | None,
    currency: str | None,
    as_of: str | None,
    form: str,
    output: Path | None,
) -> None:
    """NRR, GRR, CRR and the waterfall of MRR, from the ledger alone.

    --from and --to are months, both included; a quarter or year is shown if any of its
    months is, a trailing-12 window belongs to the month it ends with. Without them: the
    twelve months up to the last sync. Contraction and churn are what they took away.

    \b
    Examples:
      stripe-nrr report
      stripe-nrr report --window quarter --from 2025-01 --to 2026-03
      stripe-nrr report --to 2026-03 --as-of 2026-04-02 --format csv -o march.csv
    """  # noqa: D301
    with closing(shell.ledger()) as connection:
        kind = WindowKind(window) if window else None
        asked = Asked(kind, first, last, currency, moment_asked(as_of, shell.config))
        figures = make_report(connection, shell.config, shell.now(), asked)
    locale = shell.config.locale
    if form == "json":
        write(json.dumps(reports.to_json(figures), indent=2), output)
    elif form == "csv":
        write(reports.to_csv(figures), output)
    elif form == "markdown":
        write(reports.to_markdown(figures, locale), output)
    else:
        show_report(figures, locale, output)


def show_report(figures: reports.Report, locale: str, output: Path | None) -> None:
    from connector.terminal import PIPE_WIDTH, console, report_view

    width = console().width if output is None else PIPE_WIDTH
    rendered(report_view(figures, locale, width), output)
    if not figures.currencies:
        click.echo("There is no recurring revenue in this ledger.")


class Asked(NamedTuple):
    """What a report is wanted of; None leaves it to the defaults."""

    kind: WindowKind | None = None
    first: date | None = None
    last: date | None = None
    currency: str | None = None
    as_of: datetime | None = None


def make_report(
    connection: sqlite3.Connection, config: Config, now: datetime, asked: Asked
) -> reports.Report:
    """Measure what was asked for; without a kind, a trailing headline and months."""
    as_of = asked.as_of
    rules, today, synced_at = known(connection, config, now, as_of)
    kind = asked.kind
    first, last = reports.default_months(kind, asked.first, asked.last, today)
    if first > last:
        raise UsageFault(
            f"--from {first:%Y-%m} is after --to {last:%Y-%m}",
            fix="give the earlier month with --from; both are included",
        )
    wanted = windows(kind or WindowKind.MONTH, first, last)
    if kind is None:
        wanted = [*windows(WindowKind.TRAILING_12, last, last), *wanted]
    closed = {
        (figures.currency, figures.measured.window): figures.measured
        for _, figures in closings.figures(connection, as_of)
    }
    parts = []
    for each in currencies_asked(connection, asked.currency, as_of, synced_at):
        measured = measure(ledger.flows(connection, each, as_of), wanted)
        lines = [
            reports.Line(
                measured=m,
                complete=m.window.end <= today,
                reported=_restated(m, closed.get((each, m.window))),
            )
            for m in measured
        ]
        parts.append(reports.CurrencyReport(currency=each, lines=tuple(lines)))
    zone_key = rules.pop("timezone")
    return reports.Report(
        generated_at=now,
        as_of=as_of,
        synced_at=synced_at,
        today=today,
        timezone=zone_key,
        policy=rules,
        currencies=tuple(parts),
        total=None if asked.currency else _total(config, parts, today),
        refusals=tuple(refusals.known(connection)),
    )


def _restated(now: Measured, reported: Measured | None) -> Measured | None:
    """What a window was closed with, where that is not what it is now."""
    if reported is None:
        return None
    is_same = (reported.waterfall, reported.retention) == (now.waterfall, now.retention)
    return None if is_same else reported


class Known(NamedTuple):
    """The rules a ledger was derived with, its last known day, when it was synced."""

    rules: dict[str, str]
    today: date
    synced_at: datetime | None


def known(
    connection: sqlite3.Connection,
    config: Config,
    now: datetime,
    as_of: datetime | None,
) -> Known:
    """What the ledger knows now, or knew at a moment."""
    rules = rules_in_force(connection, config)
    past = ledger.policy_as_of(connection, as_of) if as_of is not None else None
    rules = json.loads(past) if past is not None else rules
    synced_us = walks.last_synced_us(connection)
    synced_at = instant(synced_us // 1_000_000) if synced_us is not None else None
    known_at = min(t for t in (now, as_of, synced_at) if t is not None)
    today = local_day(int(known_at.timestamp()), ZoneInfo(rules["timezone"]))
    return Known(rules, today, synced_at)


def _total(
    config: Config, parts: Sequence[reports.CurrencyReport], today: date
) -> reports.CurrencyReport | None:
    """All currencies in the reporting currency; None where none is configured."""
    if config.reporting_currency is None or config.rates is None or not parts:
        return None
    try:
        text = config.rates.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.rates {config.rates} cannot be read: {error}"
        raise ConfigError([fault], source="reporting.rates") from error
    rates = parse_rates(text.splitlines(), config.reporting_currency, str(config.rates))
    currency = config.reporting_currency
    lines = []
    for several in zip(*(part.lines for part in parts), strict=True):
        window = several[0].measured.window
        last = min(window.end, today + timedelta(days=1)) - timedelta(days=1)
        converted = [
            Converted(
                line.measured,
                _worth(rates, part.currency, window.start - timedelta(days=1), line),
                rates.factor(part.currency, last),
            )
            for part, line in zip(parts, several, strict=True)
            if _moves(line)
        ]
        measured = in_one_currency(window, converted)
        lines.append(reports.Line(measured=measured, complete=several[0].complete))
    return reports.CurrencyReport(currency=currency, lines=tuple(lines), is_total=True)


def _moves(line: reports.Line) -> bool:
    """Whether there is anything to convert; before the first movement no rate is asked."""
    flow = line.measured.waterfall
    return bool(flow.opening_minor or flow.closing_minor or flow.new_minor)


def _worth(rates: Rates, currency: str, day: date, line: reports.Line) -> Fraction:
    if not line.measured.waterfall.opening_minor:
        return Fraction(0)
    return rates.factor(currency, day)


def rules_in_force(connection: sqlite3.Connection, config: Config) -> dict[str, str]:
    """The policy and zone the ledger was derived with; a warning if config differs."""
    wanted = rules_of(config).settings()
    stored = setting(connection, "rules")
    if stored is None:
        return wanted
    in_force: dict[str, str] = json.loads(stored)
    if in_force != wanted:
        click.echo(
            "warning: the configuration asks for another policy or time zone than the "
            "ledger has\n  fix: run `stripe-nrr recompute`; until then the ledger's "
            "own are shown",
            err=True,
        )
    return in_force


def currencies_asked(
    connection: sqlite3.Connection,
    asked: str | None,
    as_of: datetime | None,
    synced_at: datetime | None,
) -> list[str]:
    found = ledger.currencies(connection, as_of)
    if not found and synced_at is None:
        raise NothingFound(
            "the ledger is empty: no sync has finished yet", fix="run `stripe-nrr sync`"
        )
    if asked is None:
        return found
    if asked.lower() not in found:
        known = ", ".join(found) or "none"
        raise NothingFound(
            f"there is no currency {asked!r} in the ledger",
            fix=f"choose one of these: {known}",
        )
    return [asked.lower()]


def moment_asked(text: str | None, config: Config) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text, config.zone).astimezone(UTC)
    except ValueError:
        raise UsageFault(
            f"--as-of {text!r} is not a moment",
            fix="write it as 2026-04-02T09:00:00Z, or as a day: 2026-04-02",
        ) from None
