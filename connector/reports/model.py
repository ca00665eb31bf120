"""Figures of some windows → one plain value, from which every form is made.

    Report             what it was read from, and what counts
      CurrencyReport   one a currency; first all of them in one, where that is configured
        WindowRow      one a window
          WindowFigures  waterfall, retention, renewals (core.figures)
          Segment      the same for some of the customers; segments add up to the row
          Causes       why the opening customers pay more or less (causes)
          LossSums     why MRR was lost, of everybody (churn)
        Assessment     a headline ratio beside what is published (benchmarks)

``render`` only writes it down; nothing is worked out twice.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from itertools import dropwhile
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from connector.core.account import StripeIdentity
from connector.core.figures import Retention, WindowFigures
from connector.core.invoiced import OutsideMrr
from connector.core.kept.months import Closing, Note
from connector.core.language import _
from connector.core.model import Refusal, SegmentValue
from connector.core.windows import WindowKind, name_of
from connector.metrics.benchmarks import Assessment
from connector.metrics.churn import LossSums
from connector.metrics.contributions import Causes
from connector.metrics.ratios import WindowMetrics, metrics
from connector.metrics.retention import is_same
from connector.reports.ledger_facts import (
    NOTHING_MISSING,
    ONE_ACCOUNT,
    AddedAccounts,
    LedgerFacts,
    Missing,
)

LISTED = 100  # are told by name, the largest or latest, where not all are asked for


class Segment(NamedTuple):
    """The figures of the customers who had this in common (``Report.by``)."""

    name: str
    measured: WindowFigures


class WindowRow(Struct, frozen=True, kw_only=True):
    """One window's figures.

    ``is_over`` is False while the ledger has not seen the window's end: what is told of
    it is so far, and beside no other window. ``complete`` asks for more: that everything
    of it is derived and valued.

    ``reported`` are those its month was closed with, where they are others by now;
    ``closed_despite`` that closing, where it was made although something lacked.
    ``segments`` is empty, ``causes`` and ``losses`` None where they were not asked for.
    """

    measured: WindowFigures
    is_over: bool
    complete: bool
    reported: WindowFigures | None = None
    closed_despite: Closing | None = None
    segments: tuple[Segment, ...] = ()
    causes: Causes | None = None
    losses: LossSums | None = None


def opening_note(measured: WindowFigures) -> str:
    """Why the opening that ratios are of is not the waterfall's; "" where it is."""
    same = measured.retention.opening_minor == measured.waterfall.opening_minor
    return "" if same else _(" at the closing's rates")


def title_of(currency: str, *, is_total: bool) -> str:
    """As a heading has it: ``EUR``, or ``all currencies in EUR``."""
    code = currency.upper()
    return _("all currencies in {code}").format(code=code) if is_total else code


def code_of(currency: str, *, is_total: bool) -> str:
    """As a table for programs has it: ``eur``, or ``total eur``."""
    return f"total {currency}" if is_total else currency


def restated(
    now: WindowFigures, reported: WindowFigures | None
) -> WindowFigures | None:
    """What a window was closed with, where that is not what it is now."""
    return None if reported is None or is_same(now, reported) else reported


class FirstYear(NamedTuple):
    """A currency of which no twelve months with an opening are over.

    ``kept`` compares what the customers of ``since`` pay ``months`` later: not annual,
    and None before a whole month. The first twelve months end on ``ends_on``.
    """

    since: date
    months: int
    kept: Retention | None
    ends_on: date


class CurrencyReport(Struct, frozen=True, kw_only=True):
    """``is_total`` adds up all currencies in ``currency``.

    ``assessments`` judge the headline, if there is one. ``first_year`` is set where the
    headline can have no ratio yet.
    """

    currency: str
    rows: tuple[WindowRow, ...]
    is_total: bool = False
    assessments: tuple[Assessment, ...] = ()
    first_year: FirstYear | None = None

    @property
    def headline(self) -> WindowRow | None:
        """The last trailing-12 window that is over."""
        return last_over(self.rows)

    @property
    def so_far(self) -> WindowRow | None:
        """The trailing-12 window that is running, if it is told."""
        running = (row for row in self.rows if is_trailing(row) and not row.is_over)
        return next(running, None)

    @property
    def title(self) -> str:
        return title_of(self.currency, is_total=self.is_total)


class Report(Struct, frozen=True, kw_only=True):
    """``as_of`` None reads the ledger as it is now, which to it is ``moment``.

    ``today`` is its last known day.

    ``by`` names what ``WindowRow.segments`` are, None where there are none; ``only`` are
    the segments whose customers alone all figures are of, () for everybody. ``is_annual``:
    amounts are ARR, twelve times MRR. ``names`` are the ids and labels of the customers
    behind causes, by the ledger's key. ``missing`` is what all figures lack, ``outside``
    the recurring money that is in none of them, known only as of now. ``account``
    is whose ledger it is, None where no sync of a real account has said so, and where
    several ``accounts`` are added up. ``notes`` are
    those of its windows' months, ``goals`` what twelve months' ratios are to reach.
    """

    generated_at: datetime
    moment: datetime
    as_of: datetime | None
    synced_at: datetime | None
    today: date
    timezone: str
    policy: Mapping[str, str]
    currencies: tuple[CurrencyReport, ...]
    refusals: tuple[Refusal, ...]
    total: CurrencyReport | None = None  # all of them, in the reporting currency
    by: str | None = None
    only: tuple[SegmentValue, ...] = ()
    is_annual: bool = False
    names: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    missing: Missing = NOTHING_MISSING
    outside: tuple[OutsideMrr, ...] = ()
    account: StripeIdentity | None = None
    accounts: AddedAccounts = ONE_ACCOUNT
    notes: tuple[Note, ...] = ()
    goals: Mapping[str, Fraction] = field(default_factory=dict)
    begins_at: datetime | None = None  # see ``LedgerFacts``

    @property
    def facts(self) -> LedgerFacts:
        synced_at = self.synced_at if self.as_of is None else None
        known = self.moment, synced_at, self.today
        return LedgerFacts(*known, self.missing, self.accounts, self.begins_at)

    @property
    def complete(self) -> bool:
        """Whether everything that was fetched is derived and valued."""
        return not any(self.missing)

    @property
    def parts(self) -> tuple[CurrencyReport, ...]:
        """Everything there is to show: the total first."""
        return (*((self.total,) if self.total is not None else ()), *self.currencies)


class JudgedGoal(NamedTuple):
    """A ratio of a headline beside what it is to reach."""

    metric: str
    ratio: Fraction
    goal: Fraction

    @property
    def is_reached(self) -> bool:
        return self.ratio >= self.goal


def judged_goals(
    part: CurrencyReport, goals: Mapping[str, Fraction]
) -> list[JudgedGoal]:
    """Nothing of a headline that lacks something: only a complete one is judged."""
    if part.headline is None or not part.headline.complete:
        return []
    found = part.headline.measured.retention.ratios
    return [
        JudgedGoal(metric, ratio, goal)
        for metric, goal in goals.items()
        if (ratio := found[metric]) is not None
    ]


def is_trailing(row: WindowRow) -> bool:
    return row.measured.window.kind is WindowKind.TRAILING_12


def last_over(rows: Sequence[WindowRow]) -> WindowRow | None:
    """Of trailing-12 windows, the last that is over: the one that is judged."""
    over = (row for row in reversed(rows) if is_trailing(row) and row.is_over)
    return next(over, None)


DESPITE = " †"  # of figures that were closed although something lacked


def label(row: WindowRow) -> str:
    is_marked = row.closed_despite is not None and row.reported is None
    marks = ("" if row.is_over else " *") + (DESPITE if is_marked else "")
    return name_of(row.measured.window) + marks


def as_reported() -> str:
    """What a row below a window begins with: the figures that it was closed with."""
    return f"  {_('as reported')}"


def as_reported_label(row: WindowRow) -> str:
    return as_reported() + ("" if row.closed_despite is None else DESPITE)


def shown(rows: Sequence[WindowRow]) -> list[tuple[str, WindowFigures]]:
    """Each window's label and figures; below a restated one, those it was closed with."""
    found = []
    for row in rows:
        found.append((label(row), row.measured))
        if row.reported is not None:
            found.append((as_reported_label(row), row.reported))
    return found


# A year's worth


def metrics_of(measured: WindowFigures, report: Report) -> WindowMetrics:
    """Its metrics; ARPA as the report's amounts are, LTV a sum in either case."""
    found = metrics(measured)
    if not report.is_annual or found.ltv_minor is None:
        return found
    return replace(found, ltv_minor=found.ltv_minor / 12)


def split(rows: Sequence[WindowRow]) -> tuple[list[WindowRow], list[WindowRow]]:
    """The trailing-12 rows and the others, without those before the first customer."""
    trailing = [x for x in rows if is_trailing(x)]
    others = [x for x in rows if not is_trailing(x)]
    return _since_first(trailing), _since_first(others)


def _since_first(rows: list[WindowRow]) -> list[WindowRow]:
    def is_empty(row: WindowRow) -> bool:
        flow = row.measured.waterfall
        return row.reported is None and not (flow.opening_minor or flow.closing_minor)

    return [*dropwhile(is_empty, rows)] or rows[-1:]
