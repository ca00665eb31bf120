"""An open ledger, and what was told before → what is new, as one plain value.

    Digest           what is new, and the cursor from which the next one goes on
      MonthOver      a month that is over and whole: its headline, a currency
      RestatementLine  a customer's day as it was told and as it is (reports)
      NewRisk        a customer that may go, for a reason that was not there

Every figure is a report's; nothing is measured here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, TypeVar

from msgspec import Struct

from connector.core.dates import add_months
from connector.core.invoiced import OutsideMrr
from connector.core.model import Closing, Movement, Note, Refusal
from connector.digest.trouble import Trouble, troubles
from connector.mrr.risks import Risk
from connector.render.footnotes import what_is_missing
from connector.reports.at_risk import at_risk_reports
from connector.reports.closed_months import RestatementLine
from connector.reports.ledger import Ledger
from connector.reports.model import (
    CurrencyReport,
    JudgedGoal,
    Report,
    WindowRow,
    judged_goals,
)
from connector.reports.report import make_report
from connector.store.ledger import closings, customers
from connector.store.ledger.closings import LedgerChange
from connector.store.position import (
    DigestCursor,
    LedgerPosition,
    position,
)

T = TypeVar("T")
FIRST_DAYS = 7  # that the first digest looks back


class MonthOver(NamedTuple):
    """``headline`` are the twelve months to it, ``month`` it alone, of one currency."""

    part: CurrencyReport
    headline: WindowRow
    month: WindowRow
    goals: Sequence[JudgedGoal]


class NewRisk(NamedTuple):
    """``mrr_minor`` is all that the customer pays in this currency."""

    risk: Risk
    mrr_minor: int


class Digest(Struct, frozen=True, kw_only=True):
    """``since`` None: since the last digest, else the day from which on it tells.

    ``moved`` and ``restated`` have the largest first, by currency; ``restated`` are of
    days that lie in or before a month that was closed by then. ``notes`` are those of the
    months in ``months``. ``labels`` are what customers are called, by id.
    """

    at: datetime
    today: date
    since: date | None
    months: Sequence[MonthOver]
    notes: Sequence[Note]
    moved: Sequence[RestatementLine]
    restated: Sequence[RestatementLine]
    risks: Sequence[NewRisk]
    uncovered: Sequence[OutsideMrr]
    refused: Sequence[Refusal]
    troubles: Sequence[Trouble]
    missing: Sequence[
        str
    ]  # what all of it lacks, told before or not: no news by itself
    labels: Mapping[str, str]
    cursor: DigestCursor

    @property
    def has_news(self) -> bool:
        told = (self.months, self.moved, self.restated, self.risks)
        return any((*told, self.uncovered, self.refused, self.troubles))


def make_digest(ledger: Ledger, since: date | None = None) -> Digest:
    """What is new since the last digest, or of a day and later.

    Without either: of the last seven days, with all that is at risk or amiss now.
    """
    connection = ledger.connection
    cursor = DigestCursor.of(connection) if since is None else None
    report = make_report(ledger)
    from_day = since
    if since is None and cursor is None:
        from_day = report.today - timedelta(days=FIRST_DAYS)
    before = cursor or DigestCursor()
    moved, restated = _changes(ledger, before.position, from_day)
    months = _months(report, before.month)
    risks = {_risk_key(each.risk): each for each in _risks(ledger)}
    uncovered = {_outside_key(x): x for x in report.outside if _alarms(x)}
    refused = {f"{x.object_id} {x.field}": x for x in report.refusals}
    amiss = {each.key: each for each in troubles(ledger)}
    standing: Mapping[str, Iterable[str]] = {
        "at risk": risks,
        "uncovered": uncovered,
        "refused": refused,
        "trouble": amiss,
    }
    new_risks = _new(risks, before.told.get("at risk"))
    new_uncovered = _new(uncovered, before.told.get("uncovered"))
    new_refused = _new(refused, before.told.get("refused"))
    named = {line.customer for line in (*moved, *restated)}
    named |= {each.risk.customer for each in new_risks}
    named |= {each.customer for each in new_uncovered}
    over = {each.month.measured.window.start for each in months}
    newest = max((f"{each:%Y-%m}" for each in over), default="")
    return Digest(
        at=ledger.moment,
        today=report.today,
        since=from_day,
        months=months,
        notes=[each for each in report.notes if each.month in over],
        moved=moved,
        restated=restated,
        risks=new_risks,
        uncovered=new_uncovered,
        refused=new_refused,
        troubles=_new(amiss, before.told.get("trouble")),
        missing=what_is_missing(ledger.missing()),
        labels=customers.labels_of(connection, named),
        cursor=DigestCursor(
            position=position(connection),
            month=max(before.month, newest),
            told={kind: frozenset(each) for kind, each in standing.items()},
        ),
    )


def _new(now: Mapping[str, T], told: Iterable[str] | None) -> list[T]:
    known = frozenset(told or ())
    return [each for key, each in now.items() if key not in known]


# The month that is over


def _months(report: Report, told: str) -> list[MonthOver]:
    """Of each currency, if its newest whole month was not told yet and lacks nothing."""
    found = []
    for part in report.parts:
        headline = part.headline
        if headline is None or not headline.complete:
            continue
        end = headline.measured.window.end
        start = add_months(end, -1)
        rows = (row for row in part.rows if row.measured.window.start == start)
        month = next((row for row in rows if row.measured.window.end == end), None)
        if month is not None and f"{start:%Y-%m}" > told:
            goals = judged_goals(part, report.goals)
            found.append(MonthOver(part, headline, month, goals))
    return found


# What was booked


def _changes(
    ledger: Ledger, told: LedgerPosition, from_day: date | None
) -> tuple[list[RestatementLine], list[RestatementLine]]:
    """Movements, and what is restated in closed months: net of all that was new."""
    connection = ledger.connection
    since = told.run_at - timedelta(microseconds=1)
    if from_day is not None:
        since = datetime.combine(from_day, time(), ledger.zone).astimezone(UTC)
    closed = closings.known(connection)
    apart: dict[bool, list[LedgerChange]] = {False: [], True: []}
    for change in closings.changes(connection, since, date.max):
        is_restated = _is_restated(change, closed)
        is_news = from_day is None or is_restated or change.movement.day >= from_day
        if told.is_before(change) and is_news:
            apart[is_restated].append(change)
    return _net(apart[False]), _net(apart[True])


def _is_restated(change: LedgerChange, closed: Sequence[Closing]) -> bool:
    """Whether it was booked after a month was closed that it belongs to or precedes."""
    return any(
        change.movement.day < add_months(each.month, 1)
        and change.run.started_at > each.closed_at
        for each in closed
    )


def _net(changes: Iterable[LedgerChange]) -> list[RestatementLine]:
    """A line a customer, currency and day whose figures are others now.

    What was both posted and retracted among the ``changes`` is nothing.
    """
    places: dict[tuple[str, str, date], list[LedgerChange]] = {}
    for change in changes:
        movement = change.movement
        place = (movement.customer, movement.currency, movement.day)
        places.setdefault(place, []).append(change)
    lines = (_line(each) for each in places.values())
    return sorted(
        (line for line in lines if _figures(line.was) != _figures(line.now)),
        key=lambda x: (x.currency, -abs(x.amount_minor), x.day, x.customer),
    )


def _line(changes: Sequence[LedgerChange]) -> RestatementLine:
    """Of one place: at most one movement stood before, and at most one stands now."""
    posted = {each.movement_id: each.movement for each in changes if each.was_posted}
    gone = {each.movement_id: each for each in changes if not each.was_posted}
    last, movement = changes[-1], changes[-1].movement
    was = next((x for key, x in gone.items() if key not in posted), None)
    return RestatementLine(
        run=last.run,
        customer=movement.customer,
        currency=movement.currency,
        day=movement.day,
        was=None if was is None else was.movement,
        now=next((x for key, x in posted.items() if key not in gone), None),
        reason="" if was is None else was.reason,
    )


def _figures(movement: Movement | None) -> object:
    """What the figures see of it."""
    return None if movement is None else (movement.kind, movement.amount_minor)


# What stands


def _risks(ledger: Ledger) -> Iterator[NewRisk]:
    for each in at_risk_reports(ledger).currencies:
        for customer in each.customers:
            for risk in customer.risks:
                yield NewRisk(risk, customer.mrr_minor)


def _risk_key(risk: Risk) -> str:
    return f"{risk.customer} {risk.currency} {risk.reason}"


def _alarms(outside: OutsideMrr) -> bool:
    return bool(outside.monthly_minor) and not outside.accepted


def _outside_key(each: OutsideMrr) -> str:
    return f"{each.customer} {each.currency} {each.reason} {each.since}"
