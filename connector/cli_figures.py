"""What a report is asked for, the configuration and the ledger → its figures."""

import gc
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click

from connector import (
    agreements,
    closings,
    customers,
    horizon,
    ledger,
    marks,
    positions,
    refusals,
    window_sums,
)
from connector import report as reports
from connector.benchmarks import Benchmarks
from connector.causes import Causes, causes
from connector.cli import UsageFault, rules_of
from connector.cli_benchmarks import assessed, benchmarks
from connector.config import Config
from connector.database import setting
from connector.errors import NothingFound
from connector.model import Window, WindowKind
from connector.periods import add_months, instant, local_day, parse_moment
from connector.report import CurrencyReport, Line, Report, Segment
from connector.retention import Measured, is_same, measure, opened
from connector.segments import Book, by_segment
from connector.windows import windows


class Asked(NamedTuple):
    """What a report is wanted of; None leaves it to the defaults.

    ``by`` is what to cut the figures by (see ``segment_of``). ``trend`` wants the
    trailing-12 windows of a year beside the others, and causes of the last alone.
    """

    kind: WindowKind | None = None
    first: date | None = None
    last: date | None = None
    currency: str | None = None
    as_of: datetime | None = None
    by: str | None = None
    causes: bool = False
    arr: bool = False
    trend: bool = False


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
            judged = assessed(lines, published)
            parts.append(CurrencyReport(currency=each, lines=lines, assessments=judged))
    report = Report(
        generated_at=now,
        as_of=as_of,
        synced_at=known.synced_at,
        today=known.today,
        timezone=known.timezone,
        policy=known.policy,
        currencies=tuple(parts),
        total=_total(config, parts, known.today, published, asked),
        refusals=tuple(refusals.known(connection)),
        waiting=marks.behind(connection) if as_of is None else 0,
        by=asked.by,
        names=_names(connection) if asked.causes else {},
    )
    return reports.annual(report) if asked.arr else report


def _total(
    config: Config,
    parts: Sequence[CurrencyReport],
    today: date,
    published: Benchmarks,
    asked: Asked,
) -> CurrencyReport | None:
    """All currencies in one, where that is configured and not one alone is asked for."""
    if asked.currency or config.reporting_currency is None:
        return None
    from connector.cli_total import total_of

    return total_of(config, parts, today, published)


def _names(connection: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """The ids and labels of all customers, by the ledger's key."""
    accounts = customers.accounts(connection)
    return {key: (each.id, each.shown) for key, each in accounts.items()}


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

    @property
    def rules(self) -> dict[str, str]:
        """The policy and the time zone, as the ledger's settings have them."""
        return {**self.policy, "timezone": self.timezone}


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
    synced_us = horizon.last_synced_us(connection)
    synced_at = instant(synced_us // 1_000_000) if synced_us is not None else None
    known_at = min(t for t in (now, as_of, synced_at) if t is not None)
    timezone = rules.pop("timezone")
    today = local_day(int(known_at.timestamp()), ZoneInfo(timezone))
    return Known(known_at, today, synced_at, timezone, rules)


def _windows(asked: Asked, today: date) -> list[Window]:
    kind = asked.kind
    first, last = reports.default_months(
        kind, asked.first, asked.last, today, 24 if asked.trend else 12
    )
    if first > last:
        raise UsageFault(
            f"--from {first:%Y-%m} is after --to {last:%Y-%m}",
            fix="give the earlier month with --from; both are included",
        )
    if asked.trend:
        return _trend(kind, first, last)
    headline = windows(WindowKind.TRAILING_12, last, last) if kind is None else []
    if (asked.by or asked.causes) and headline and asked.first is None:
        return headline
    return [*headline, *windows(kind or WindowKind.MONTH, first, last)]


def _trend(kind: WindowKind | None, first: date, last: date) -> list[Window]:
    """Of the kind (months, if of none), and the last thirteen trailing-12 windows.

    The first of these ends a year before the last, so that they can be compared.
    """
    since = max(first, add_months(last, -12))
    trailing = windows(WindowKind.TRAILING_12, since, last)
    if kind is None or kind is WindowKind.TRAILING_12:
        kind = WindowKind.MONTH
    return [*trailing, *windows(kind, first, last)]


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
    if is_kept:
        measured = window_sums.measured(connection, currency, wanted)
    else:
        book = read_book(connection, currency, wanted, asked.as_of)
        measured = measure(book.flows, wanted, book.opening, book.terms)
    if asked.by is not None:
        from connector.cli_segments import segment_of

        of = segment_of(connection, config, asked.by, currency)
        book = read_book(connection, currency, wanted, asked.as_of)
        segments = by_segment(book, wanted, of)
    closed = closings.reported(connection, currency, asked.as_of)
    why = _causes(connection, currency, wanted, asked) if asked.causes else {}
    return tuple(
        Line(
            measured=each,
            complete=each.window.end <= today,
            reported=_restated(each, closed.get(each.window)),
            segments=tuple(Segment(*pair) for pair in named.items()),
            causes=why.get(each.window),
        )
        for each, named in zip(measured, segments, strict=True)
    )


def _causes(
    connection: sqlite3.Connection,
    currency: str,
    wanted: Sequence[Window],
    asked: Asked,
) -> dict[Window, Causes]:
    """Of each window, or with a trend of the headline alone."""
    if asked.trend:
        wanted = [w for w in wanted if w.kind is WindowKind.TRAILING_12][-1:]
    start, end = _span(wanted)
    opening = positions.balances(connection, currency, start, asked.as_of)
    parts = positions.parts(connection, currency, start, end, asked.as_of)
    return {
        window: causes(standing, inside)
        for window, standing, inside in opened(opening, parts, wanted)
    }


def _restated(now: Measured, reported: Measured | None) -> Measured | None:
    """What a window was closed with, where that is not what it is now."""
    return None if reported is None or is_same(now, reported) else reported


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether the sums of the standard windows can be relied on."""
    return setting(connection, window_sums.WHOLE) == window_sums.FORMAT


def read_book(
    connection: sqlite3.Connection,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None,
) -> Book:
    """All that the figures of these windows need; terms are known only as of now.

    It can be read once.
    """
    start, end = _span(wanted)
    opening = positions.balances(connection, currency, start, as_of)
    flows = ledger.flows(connection, currency, as_of, start, end)
    if as_of is not None:
        return Book(opening, flows)
    terms = agreements.last_terms if len(wanted) == 1 else agreements.terms
    return Book(opening, flows, terms(connection, currency, start, end))


def _span(windows: Sequence[Window]) -> tuple[date, date]:
    """Their first day, and the one after their last."""
    return min(each.start for each in windows), max(each.end for each in windows)


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
