"""What a report is asked for, the configuration and the ledger → its figures."""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from msgspec.structs import asdict, replace

from connector.core.dates import add_months
from connector.core.errors import UsageFault
from connector.core.figures import WindowFigures
from connector.core.kept.months import Note
from connector.core.model import SegmentValue
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.benchmarks import Benchmarks
from connector.metrics.churn import LossSums
from connector.metrics.contributions import Causes
from connector.reports.annual import annual
from connector.reports.benchmarks import assessed, benchmarks
from connector.reports.figures.asked_books import nobody_in
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.figures.segments import cut_in
from connector.reports.figures.total_report import total_report
from connector.reports.figures.windows import (
    figures_by_segment,
    figures_of_some,
)
from connector.reports.first_year import first_year, first_year_of
from connector.reports.ledger import Ledger, is_total
from connector.reports.ledger_facts import NOTHING_MISSING, Missing
from connector.reports.model import (
    LISTED,
    CurrencyReport,
    Report,
    Segment,
    WindowRow,
    restated,
)
from connector.store.ledger import columns, customers, unvalued
from connector.store.months import closings, notes


class ReportRequest(NamedTuple):
    """What a report is wanted of; None leaves it to the defaults.

    ``by`` is what to cut the figures by (see ``segment_of``), ``only`` the segments whose
    customers alone they are of: those who have all of them. ``trend`` wants the
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
    only: tuple[SegmentValue, ...] = ()


DEFAULT = ReportRequest()

# How many a report covers where it was not told; of shorter windows a year's or two.
MONTHS = {WindowKind.QUARTER: 24, WindowKind.YEAR: 60}


def make_report(ledger: Ledger, asked: ReportRequest = DEFAULT) -> Report:
    """Measure what was asked for.

    Without a kind: the last trailing-12 window that is over and months, then what is
    running; by segment or cause the former alone. Raises ``UsageFault`` for months that
    the ledger cannot know.
    """
    as_of, is_all = asked.as_of, is_total(asked.currency)
    connection, known = ledger.connection, ledger.state(as_of)
    codes = ledger.currencies(asked.currency, as_of)
    if asked.last is not None and codes:
        ledger.require_known(asked.last, f"--to {asked.last:%Y-%m}", as_of)
    elif asked.first is not None and codes:
        ledger.require_known(asked.first, f"--from {asked.first:%Y-%m}", as_of)
    wanted = _windows(asked, known.today)
    published = benchmarks(ledger.config)
    if is_all and asked.causes:
        raise UsageFault(
            "causes are told of each currency, not of all in one",
            fix="leave out --causes, or give another --currency",
        )
    missing = ledger.missing() if as_of is None else NOTHING_MISSING
    own = asked._replace(by=None, causes=False, only=()) if is_all else asked
    parts = [_part(ledger, code, wanted, own, missing, published) for code in codes]
    if own.only:  # a page opens with the first, in which there is to be somebody
        parts.sort(key=lambda part: not _has_any(part))
    report = Report(
        generated_at=ledger.now,
        moment=ledger.moment,
        as_of=as_of,
        synced_at=known.synced_at,
        account=known.account,
        accounts=ledger.added(as_of),
        today=known.today,
        timezone=known.timezone,
        policy=known.policy,
        currencies=() if is_all else tuple(parts),
        total=_total(ledger, parts, published, asked),
        refusals=tuple(unvalued.known(connection)),
        missing=missing,
        by=asked.by,
        only=asked.only,
        names=_names(connection, parts),
        outside=ledger.outside(asked.currency) if as_of is None else (),
        notes=_notes(connection, wanted, as_of),
        goals={} if asked.only else ledger.config.goals,
        begins_at=ledger.begins_at(as_of),
    )
    if asked.only and parts and not any(map(_has_any, report.parts)):
        raise nobody_in(ledger, asked.only, asked.currency, wanted, as_of)
    return annual(report) if asked.arr else report


def _notes(
    connection: sqlite3.Connection, wanted: Sequence[Window], as_of: datetime | None
) -> tuple[Note, ...]:
    """Those of months that any of the windows has."""
    if not wanted:
        return ()
    start, end = min(x.start for x in wanted), max(x.end for x in wanted)
    found = notes.standing(connection, as_of)
    return tuple(each for each in found if start <= each.month < end)


def _has_any(part: CurrencyReport) -> bool:
    flows = (asdict(row.measured.waterfall) for row in part.rows)
    return any(any(each.values()) for each in flows)


def _total(
    ledger: Ledger,
    parts: Sequence[CurrencyReport],
    published: Benchmarks,
    asked: ReportRequest,
) -> CurrencyReport | None:
    """All currencies in one, where that is asked for, or configured and no other is."""
    is_configured = ledger.config.reporting_currency is not None
    wanted = is_total(asked.currency) or (asked.currency is None and is_configured)
    if not (wanted and parts):
        return None
    total = CurrencyTotal(ledger, asked.as_of)
    report = total_report(total, parts, asked.by, published, asked.only)
    if asked.only:
        return report

    found = first_year(report.rows, total.first_day, total.retention)
    return replace(report, first_year=found)


def _names(
    connection: sqlite3.Connection, parts: Sequence[CurrencyReport]
) -> dict[int, tuple[str, str]]:
    """The ids and labels of those whom causes name, by the ledger's key."""
    told = (row.causes for part in parts for row in part.rows)
    shares = (share for why in told if why is not None for own in why for share in own)
    keys = {key for share in shares for key, _ in share.customers}
    accounts = customers.accounts_of(connection, keys)
    return {key: (each.id, each.shown) for key, each in accounts.items()}


def _windows(asked: ReportRequest, today: date) -> list[Window]:
    kind = asked.kind
    span = MONTHS.get(kind or WindowKind.MONTH, 24 if asked.trend else 12)
    running = today.replace(day=1)
    last = asked.last or running
    over = min(last, add_months(running, -1))  # what is judged ends with a whole month
    first = asked.first or add_months(over, 1 - span)
    if first > last:
        raise UsageFault(
            f"--from {first:%Y-%m} is after --to {last:%Y-%m}",
            fix="give the earlier month with --from; both are included",
        )
    if asked.trend:
        return _trend(kind, first, over, last)
    if kind is not None:
        return windows(kind, first, last)
    headline = windows(WindowKind.TRAILING_12, over, over)
    if (asked.by or asked.causes) and asked.first is None:
        return headline
    so_far = windows(WindowKind.TRAILING_12, running, last)
    return [*headline, *so_far, *windows(WindowKind.MONTH, first, last)]


def _trend(
    kind: WindowKind | None, first: date, over: date, last: date
) -> list[Window]:
    """Of the kind (months, if of none), and the last thirteen trailing-12 windows.

    The first of these ends a year before the last that is over, so that they can be
    compared.
    """
    since = min(max(first, add_months(over, -12)), over)
    trailing = windows(WindowKind.TRAILING_12, since, last)
    if kind is None or kind is WindowKind.TRAILING_12:
        kind = WindowKind.MONTH
    return [*trailing, *windows(kind, first, last)]


def _part(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    asked: ReportRequest,
    missing: Missing,
    published: Benchmarks,
) -> CurrencyReport:
    rows = _rows(ledger, currency, wanted, asked, missing)
    young = None if asked.only else first_year_of(ledger, currency, rows, asked.as_of)
    return CurrencyReport(
        currency=currency,
        rows=rows,
        assessments=assessed(rows, published, currency),
        first_year=young,
    )


def _rows(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    asked: ReportRequest,
    missing: Missing,
) -> tuple[WindowRow, ...]:
    """A row a window, with its segments and causes where they are asked for."""
    connection, today = ledger.connection, ledger.state(asked.as_of).today
    segments: list[dict[str, WindowFigures]] = [{} for _ in wanted]
    own = asked.as_of, asked.only
    measured = figures_of_some(ledger, currency, wanted, *own)
    if asked.by is not None:
        segments = figures_by_segment(ledger, currency, wanted, asked.by, *own)
    is_whole = not asked.only  # months are closed with everybody's figures
    closed = closings.reported(connection, currency, asked.as_of) if is_whole else {}
    despite = closings.despite(connection, asked.as_of) if is_whole else {}
    why: dict[Window, Causes] = {}
    lost: dict[Window, LossSums] = {}
    if asked.causes:
        from connector.reports.losses import causes_and_losses

        told = _told_windows(wanted, asked, today)
        causes, losses = causes_and_losses(ledger, currency, told, *own, LISTED)
        why = dict(zip(told, causes, strict=True))
        lost = dict(zip(told, losses, strict=True))
    return tuple(
        WindowRow(
            measured=each,
            is_over=each.window.end <= today,
            complete=each.window.end <= today and not any(missing),
            reported=restated(each, closed.get(each.window)),
            closed_despite=despite.get(each.window.end),
            segments=tuple(Segment(*pair) for pair in named.items()),
            causes=why.get(each.window),
            losses=lost.get(each.window),
        )
        for each, named in zip(measured, segments, strict=True)
    )


def _told_windows(
    wanted: Sequence[Window], asked: ReportRequest, today: date
) -> Sequence[Window]:
    """Of which causes are told: of each, or with a trend of the headline alone."""
    if not asked.trend:
        return wanted
    trailing = [w for w in wanted if w.kind is WindowKind.TRAILING_12]
    return [w for w in trailing if w.end <= today][-1:] or trailing[-1:]


def causes_in(
    ledger: Ledger,
    currency: str,
    window: Window,
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> Causes:
    """Why the window's opening customers, or some of them, pay more, or less."""
    from connector.metrics.wide.causes import causes
    from connector.metrics.wide.columns import columns_of

    blocks = columns.blocks(ledger.connection, currency, as_of, columns.PARTS)
    of = cut_in(ledger, currency, None, only)
    return causes(map(columns_of, blocks), [window], of)[0]
