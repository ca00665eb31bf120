"""What a report is asked for, the configuration and the ledger → its figures."""

import gc
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import click

from connector import agreements, ledger, refusals, walks, window_sums
from connector import report as reports
from connector.benchmarks import Assessment, Benchmarks, assess, parse_benchmarks
from connector.causes import causes
from connector.cli import UsageFault, rules_of
from connector.config import Config
from connector.database import setting
from connector.errors import ConfigError, NothingFound
from connector.model import Term, Window, WindowKind
from connector.periods import instant, local_day
from connector.report import CurrencyReport, Line, Report, Segment
from connector.retention import Measured, measure, renewals, windows
from connector.segments import Book, by_segment

if TYPE_CHECKING:
    from connector.rates import Rates


class Asked(NamedTuple):
    """What a report is wanted of; None leaves it to the defaults.

    ``by`` is what to cut the figures by (see ``segment_of``).
    """

    kind: WindowKind | None = None
    first: date | None = None
    last: date | None = None
    currency: str | None = None
    as_of: datetime | None = None
    by: str | None = None
    causes: bool = False
    arr: bool = False


def make_report(
    connection: sqlite3.Connection, config: Config, now: datetime, asked: Asked
) -> Report:
    """Measure what was asked for.

    Without a kind: a trailing headline and months; by segment or cause the headline alone.
    """
    as_of = asked.as_of
    known = known_ledger(connection, config, now, as_of)
    wanted = _windows(asked, known.today)
    published = benchmarks(config)
    parts = []
    with uncollected():
        for each in currencies_asked(
            connection, asked.currency, as_of, known.synced_at
        ):
            lines = _lines(connection, config, each, wanted, asked, known.today)
            judged = _assessed(lines, published)
            parts.append(CurrencyReport(currency=each, lines=lines, assessments=judged))
    report = Report(
        generated_at=now,
        as_of=as_of,
        synced_at=known.synced_at,
        today=known.today,
        timezone=known.timezone,
        policy=known.policy,
        currencies=tuple(parts),
        total=None if asked.currency else _total(config, parts, known.today, published),
        refusals=tuple(refusals.known(connection)),
        by=asked.by,
        names=ledger.names(connection) if asked.causes else {},
    )
    return reports.annual(report) if asked.arr else report


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for cycles, of which a million rows have none: a tenth faster."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Known(NamedTuple):
    """Until when the ledger knows anything, and under which rules."""

    at: datetime
    today: date
    synced_at: datetime | None
    timezone: str
    policy: dict[str, str]


def known_ledger(
    connection: sqlite3.Connection,
    config: Config,
    now: datetime,
    as_of: datetime | None = None,
) -> Known:
    """The ledger's last known day is that of the last sync, or of ``as_of`` before it."""
    rules = rules_in_force(connection, config)
    past = ledger.policy_as_of(connection, as_of) if as_of is not None else None
    rules = json.loads(past) if past is not None else rules
    synced_us = walks.last_synced_us(connection)
    synced_at = instant(synced_us // 1_000_000) if synced_us is not None else None
    known_at = min(t for t in (now, as_of, synced_at) if t is not None)
    timezone = rules.pop("timezone")
    today = local_day(int(known_at.timestamp()), ZoneInfo(timezone))
    return Known(known_at, today, synced_at, timezone, rules)


def _windows(asked: Asked, today: date) -> list[Window]:
    kind = asked.kind
    first, last = reports.default_months(kind, asked.first, asked.last, today)
    if first > last:
        raise UsageFault(
            f"--from {first:%Y-%m} is after --to {last:%Y-%m}",
            fix="give the earlier month with --from; both are included",
        )
    headline = windows(WindowKind.TRAILING_12, last, last) if kind is None else []
    if (asked.by or asked.causes) and headline and asked.first is None:
        return headline
    return [*headline, *windows(kind or WindowKind.MONTH, first, last)]


def _lines(
    connection: sqlite3.Connection,
    config: Config,
    currency: str,
    wanted: Sequence[Window],
    asked: Asked,
    today: date,
) -> tuple[Line, ...]:
    """A line a window, with its segments and causes where they are asked for."""
    segments: list[dict[str, Measured]] = [{} for _ in wanted]
    is_kept = asked.as_of is None and is_whole(connection)
    book = Book({}, ())
    if asked.by is not None or not is_kept:
        book = read_book(connection, currency, wanted, asked.as_of)
    if is_kept:
        measured = window_sums.measured(connection, currency, wanted)
    else:
        measured = measure(book.flows, wanted, book.opening)
        if book.terms_in is not None:
            measured = [_renewed(each, book.terms_in(each.window)) for each in measured]
    if asked.by is not None:
        from connector.cli_segments import segment_of

        of = segment_of(connection, config, asked.by, currency)
        segments = by_segment(book, wanted, of)
    found = []
    for each, named in zip(measured, segments, strict=True):
        window = each.window
        why = None
        if asked.causes:
            opening = ledger.balances(connection, currency, window.start, asked.as_of)
            parts = ledger.parts(connection, currency, window, asked.as_of)
            why = causes(opening, parts)
        found.append(
            Line(
                measured=each,
                complete=window.end <= today,
                segments=tuple(Segment(*pair) for pair in named.items()),
                causes=why,
            )
        )
    return tuple(found)


def _renewed(measured: Measured, terms: Sequence[Term]) -> Measured:
    [found] = renewals(terms, [measured.window])
    return measured._replace(renewals=found)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether the sums of the standard windows can be relied on."""
    return setting(connection, window_sums.WHOLE) == window_sums.FORMAT


def read_book(
    connection: sqlite3.Connection,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None,
) -> Book:
    """All that the figures of these windows need; terms are known only as of now."""
    start = min(window.start for window in wanted)
    end = max(window.end for window in wanted)
    opening = ledger.balances(connection, currency, start, as_of)
    flows = list(ledger.flows(connection, currency, as_of, start, end))
    if as_of is not None:
        return Book(opening, flows)
    return Book(opening, flows, partial(agreements.last_terms, connection, currency))


# Benchmarks


PUBLISHED = Path(__file__).with_name("benchmarks.toml")


def benchmarks(config: Config) -> Benchmarks:
    """Those of the configuration, else the package's."""
    if config.benchmarks is None:
        text = PUBLISHED.read_text(encoding="utf-8")
        return parse_benchmarks(text, "benchmarks.toml")
    try:
        text = config.benchmarks.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.benchmarks {config.benchmarks} cannot be read: {error}"
        raise ConfigError([fault], source="reporting.benchmarks") from error
    return parse_benchmarks(text, str(config.benchmarks))


def _assessed(lines: Sequence[Line], published: Benchmarks) -> tuple[Assessment, ...]:
    """The last year's ratios beside what is published; of shorter windows nothing is."""
    years = [
        line.measured
        for line in lines
        if line.measured.window.kind is WindowKind.TRAILING_12
    ]
    if not years:
        return ()
    base = years[-1].retention
    return assess({"nrr": base.nrr, "grr": base.grr, "crr": base.crr}, published)


# All currencies in one


def _total(
    config: Config,
    parts: Sequence[CurrencyReport],
    today: date,
    published: Benchmarks,
) -> CurrencyReport | None:
    """All currencies in the reporting currency; None where none is configured."""
    if config.reporting_currency is None or config.rates is None or not parts:
        return None
    try:
        text = config.rates.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.rates {config.rates} cannot be read: {error}"
        raise ConfigError([fault], source="reporting.rates") from error
    from connector.rates import parse_rates

    currency = config.reporting_currency
    rates = parse_rates(text.splitlines(), currency, str(config.rates))
    lines = []
    for several in zip(*(part.lines for part in parts), strict=True):
        named = list(zip((part.currency for part in parts), several, strict=True))
        segments = sorted({s.name for line in several for s in line.segments})
        whole = [(code, line.measured) for code, line in named]
        lines.append(
            Line(
                measured=_in_one(whole, rates, today),
                complete=several[0].complete,
                segments=tuple(
                    Segment(name, _in_one(_of_segment(named, name), rates, today))
                    for name in segments
                ),
            )
        )
    judged = _assessed(lines, published)
    return CurrencyReport(
        currency=currency, lines=tuple(lines), is_total=True, assessments=judged
    )


def _of_segment(
    named: Sequence[tuple[str, Line]], name: str
) -> list[tuple[str, Measured]]:
    return [
        (code, segment.measured)
        for code, line in named
        for segment in line.segments
        if segment.name == name
    ]


def _in_one(
    several: Sequence[tuple[str, Measured]], rates: "Rates", today: date
) -> Measured:
    """Currencies' figures of one window; a rate is asked only where there is money."""
    from connector.conversion import Converted, in_one_currency

    window = several[0][1].window
    eve = window.start - timedelta(days=1)
    last = min(window.end, today + timedelta(days=1)) - timedelta(days=1)
    converted = [
        Converted(
            measured,
            rates.factor(currency, eve)
            if measured.waterfall.opening_minor
            else Fraction(0),
            rates.factor(currency, last),
        )
        for currency, measured in several
        if any(asdict(measured.waterfall).values())
    ]
    return in_one_currency(window, converted)


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
    is_known = as_of is None and is_whole(connection)
    found = (
        window_sums.currencies(connection)
        if is_known
        else ledger.currencies(connection, as_of)
    )
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
