"""An open ledger, and what was told before → what is new, as one plain value.

    Digest           what is new, and the cursor from which the next one goes on
      MonthOver      a month that is over and whole: its headline, a currency
      RestatementLine  a customer's day as it was told and as it is (reports)
      NewRisk        a customer that may go, for a reason that was not there

Every figure is a report's; nothing is measured here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple, TypeVar

from msgspec import Struct

from connector.core.dates import add_months
from connector.core.invoiced import OutsideMrr
from connector.core.kept.months import Note
from connector.core.model import Refusal
from connector.digest.booked import ToldAccount, changed
from connector.digest.trouble import Trouble, troubles
from connector.mrr.risks import Risk
from connector.render.report.missing import of_accounts, what_is_missing
from connector.reports.closings.restatements import RestatementLine
from connector.reports.ledger import Ledger
from connector.reports.model import (
    CurrencyReport,
    JudgedGoal,
    Report,
    WindowRow,
    judged_goals,
)
from connector.reports.report import make_report
from connector.reports.risks.at_risk import at_risk_reports
from connector.store.ledger import customers
from connector.store.position import DigestCursor, position

T = TypeVar("T")


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
    months in ``months``. ``labels`` are what customers are called, by id. ``cursors`` are
    to be kept in each ledger's file, ``accounts`` the names of several, in their order.
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
    cursors: Sequence[DigestCursor]
    accounts: Sequence[str] = ()

    @property
    def has_news(self) -> bool:
        told = (self.months, self.moved, self.restated, self.risks)
        return any((*told, self.uncovered, self.refused, self.troubles))


def make_digest(ledger: Ledger, since: date | None = None) -> Digest:
    """What is new since the last digest, or of a day and later.

    Without either: of the last seven days, with all that is at risk or amiss now. Raises
    ``UsageFault`` for a day that has not begun: nothing can have been told of it.
    """
    if since is not None:
        ledger.require_begun(since, f"--since {since}")
    told = [ToldAccount.of(ledger, part, since) for part in ledger.parts]
    report = make_report(ledger)
    moved, restated = changed(ledger, told)
    months = _months(report, min(each.cursor.month for each in told))
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
    new_risks = _new(risks, told, "at risk")
    new_uncovered = _new(uncovered, told, "uncovered")
    named = {line.customer for line in (*moved, *restated)}
    named |= {each.risk.customer for each in new_risks}
    named |= {each.customer for each in new_uncovered}
    over = {each.month.measured.window.start for each in months}
    newest = max((f"{each:%Y-%m}" for each in over), default="")
    return Digest(
        at=ledger.moment,
        today=report.today,
        since=_since(told),
        months=months,
        notes=[each for each in report.notes if each.month in over],
        moved=moved,
        restated=restated,
        risks=new_risks,
        uncovered=new_uncovered,
        refused=_new(refused, told, "refused"),
        troubles=_new(amiss, told, "trouble"),
        missing=[*of_accounts(ledger.facts()), *what_is_missing(ledger.missing())],
        labels=customers.labels_of(ledger.connection, named),
        accounts=ledger.added().names,
        cursors=[
            DigestCursor(
                position=position(each.part.ledger.connection),
                month=max(each.cursor.month, newest),
                told={kind: frozenset(own) for kind, own in standing.items()},
            )
            for each in told
        ],
    )


def _since(told: Iterable[ToldAccount]) -> date | None:
    """None where any of it goes on from what was told of it."""
    days = {each.from_day for each in told}
    return None if None in days else days.pop()


def _new(now: Mapping[str, T], told: Iterable[ToldAccount], kind: str) -> list[T]:
    """What was told of any account is told."""
    known = {name for each in told for name in each.cursor.told.get(kind, ())}
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
