"""Why MRR was lost: churn and contraction by reason, and who left.

Every loss of a window is counted, of whoever, at what was paid on the day: that is the
churn and contraction of the waterfall. What Stripe says of an end is read from the mirror
as it is now, whatever the report is as of.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from typing import NamedTuple

from msgspec import Struct

from connector.core.dates import add_months, local_day
from connector.core.errors import UsageFault
from connector.core.figures import WindowFigures
from connector.core.losses import Cancellation, Loss, LossReason, LossShare
from connector.core.model import Cause, Evidence, MovementKind, SegmentValue
from connector.core.windows import Window, WindowKind, ending_with
from connector.metrics.churn import FeedbackSum, LossSums, returned
from connector.reports.figures.asked_books import nobody_in
from connector.reports.figures.windows import figures_of_some
from connector.reports.ledger import Ledger, is_total
from connector.reports.losses import TOGETHER, found_in, loss_table, losses
from connector.store.ledger import customers
from connector.store.ledger import losses as ledger_losses

REASON, MONTH = "reason", "month"  # what --by takes beside the segments
MONTHS = 12  # that are told without --from
NOTHING_SAID = Cancellation()


class LostMrr(Struct, frozen=True, kw_only=True):
    """A churn or contraction as it is told; amounts are negative, but ``returned_minor``.

    ``shares`` add up to the amount, the largest first. ``stated`` and ``feedback`` are
    Stripe's own words for a subscription's end, ``asked_on`` the day on which cancelling
    was asked for, where that was before the end. ``proof`` shows the largest part of it.
    ``paid_since`` is the first day on which the customer paid; ``returned_on`` None where
    it has not come back (or never left).
    """

    customer: str
    label: str
    day: date
    kind: MovementKind
    amount_minor: int
    before_minor: int
    shares: tuple[LossShare, ...]
    subscription: str
    cause: Cause
    proof: Evidence | None
    stated: str | None
    feedback: str | None
    asked_on: date | None
    paid_since: date
    returned_on: date | None = None
    returned_minor: int = 0
    segment: str = ""

    @property
    def reason(self) -> LossReason:
        return self.shares[0].reason


class ChurnReport(Struct, frozen=True, kw_only=True):
    """One currency's losses in a window.

    ``left`` is how many customers did, ``back`` how many of them came back;
    ``departures`` tell who, the latest first: all, or as many as were asked for.
    ``segments`` are what they are asked by, empty where they are not. ``measured`` are
    the same window's figures: its waterfall adds up to ``everyone``, its retention counts
    the opening customers alone.
    """

    currency: str
    window: Window
    is_over: bool
    everyone: LossSums
    months: tuple[LossSums, ...]
    segments: tuple[LossSums, ...]
    feedback: tuple[FeedbackSum, ...]
    left: int
    back: int
    departures: tuple[LostMrr, ...]
    measured: WindowFigures


class ChurnReports(Struct, frozen=True, kw_only=True):
    """One a currency; ``by`` and ``only`` are what was asked for."""

    currencies: tuple[ChurnReport, ...]
    by: str | None
    only: tuple[SegmentValue, ...] = ()


class ChurnRequest(NamedTuple):
    """What is wanted; months are both included. ``by``: reason, month or a segment.

    ``most``: who left is told of no more than so many. ``only`` are the segments whose
    customers alone are told of: those who have all of them, at the window's opening or as
    they came in it, as in a report.
    """

    first: date | None = None
    last: date | None = None
    currency: str | None = None
    by: str | None = None
    as_of: datetime | None = None
    most: int | None = None
    only: tuple[SegmentValue, ...] = ()


DEFAULT = ChurnRequest()


def churn_reports(ledger: Ledger, asked: ChurnRequest = DEFAULT) -> ChurnReports:
    """Churn and contraction by reason; without months, of the last twelve that are over.

    Raises ``UsageFault`` for months that the ledger cannot know, and for all currencies
    in one: a reason is told of each.
    """
    codes, window = _asked(ledger, asked)
    found = tuple(churn_report(ledger, code, window, asked) for code in codes)
    if asked.only and not any(_has_anybody(each.measured) for each in found):
        raise nobody_in(ledger, asked.only, asked.currency, [window], asked.as_of)
    return ChurnReports(currencies=found, by=asked.by, only=asked.only)


def _has_anybody(measured: WindowFigures) -> bool:
    flow = measured.waterfall
    return bool(flow.opening_minor or flow.new_minor or flow.reactivation_minor)


def churn_losses(
    ledger: Ledger, asked: ChurnRequest = DEFAULT
) -> Iterator[tuple[str, LostMrr]]:
    """Every loss by name, each with its currency, the latest first; none is kept."""
    codes, window = _asked(ledger, asked)
    for code in codes:
        found = found_in(
            ledger, code, window, asked.as_of, only=asked.only, is_all=True
        )
        read = losses(ledger.connection, found, found.latest())
        while some := list(islice(read, TOGETHER)):
            yield from ((code, each) for each in _told(ledger, code, some, asked.as_of))


def _asked(ledger: Ledger, asked: ChurnRequest) -> tuple[list[str], Window]:
    if is_total(asked.currency):
        known = ", ".join(ledger.currencies()) or "none"
        raise UsageFault(
            "reasons are told of each currency, not of all in one",
            fix=f"choose one of these: {known}",
        )
    codes = ledger.currencies(asked.currency, asked.as_of)
    return codes, _window(ledger, asked, ledger.state(asked.as_of).today)


def _window(ledger: Ledger, asked: ChurnRequest, today: date) -> Window:
    """Of a standard kind where it is one, so that its figures need not be measured."""
    last = asked.last or add_months(today.replace(day=1), -1)
    if asked.last is not None:
        ledger.require_known(last, f"--to {last:%Y-%m}", asked.as_of)
    if asked.first is not None and asked.last is None:
        last = max(last, asked.first)
    first = asked.first or add_months(last, 1 - MONTHS)
    if first > last:
        raise UsageFault(
            f"--from {first:%Y-%m} is after --to {last:%Y-%m}",
            fix="give the earlier month with --from; both are included",
        )
    ledger.require_known(first, f"--from {first:%Y-%m}", asked.as_of)
    standard = {each.start: each for each in reversed(ending_with(last))}
    other = Window(WindowKind.TRAILING_12, first, add_months(last, 1))
    return standard.get(first, other)


def churn_report(
    ledger: Ledger, currency: str, window: Window, asked: ChurnRequest = DEFAULT
) -> ChurnReport:
    """One currency's; of ``asked`` all but the months and the currency."""
    connection, as_of = ledger.connection, asked.as_of
    by = None if asked.by in (REASON, MONTH) else asked.by
    found = found_in(ledger, currency, window, as_of, by, asked.only)
    left = found.latest(asked.most, only_churn=True)
    listed = list(losses(connection, found, left, proofs=False))
    table = loss_table(connection, found)
    return ChurnReport(
        currency=currency,
        window=window,
        is_over=window.end <= ledger.state(as_of).today,
        everyone=table.everyone(),
        months=table.by_month(window.start, window.end),
        segments=() if by is None else table.by_segment(),
        feedback=tuple(table.feedback),
        left=found.left,
        back=found.back,
        departures=tuple(_told(ledger, currency, listed, as_of)),
        measured=figures_of_some(ledger, currency, [window], as_of, asked.only)[0],
    )


def _told(
    ledger: Ledger,
    currency: str,
    named: Sequence[tuple[Loss, str]],
    as_of: datetime | None,
) -> Iterator[LostMrr]:
    """Losses, each with its segment, by name."""
    connection, zone = ledger.connection, ledger.zone
    losers = {loss.customer for loss, _ in named}
    accounts = customers.accounts_of(connection, losers)
    since = ledger_losses.first_days(connection, currency, losers, as_of)
    left = [loss for loss, _ in named if loss.is_departure]
    returns = ledger_losses.returns(connection, currency, losers, as_of)
    back = returned(left, returns)
    for loss, segment in named:
        account, part = accounts[loss.customer], loss.part
        end = part.cancellation or NOTHING_SAID
        returned_on, returned_minor = back.get((loss.customer, loss.day), (None, 0))
        yield LostMrr(
            customer=account.id,
            label=account.shown,
            day=loss.day,
            kind=loss.kind,
            amount_minor=loss.amount_minor,
            before_minor=loss.before_minor,
            shares=loss.shares,
            subscription=part.subscription,
            cause=part.cause,
            proof=next(iter(part.evidence), None),
            stated=end.stated,
            feedback=end.feedback,
            asked_on=None if end.asked_s is None else local_day(end.asked_s, zone),
            paid_since=since[loss.customer],
            returned_on=returned_on,
            returned_minor=returned_minor,
            segment=segment,
        )
