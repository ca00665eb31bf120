"""Why MRR was lost: churn and contraction by reason, and who left.

Every loss of a window is counted, of whoever, at what was paid on the day: that is the
churn and contraction of the waterfall. What Stripe says of an end is read from the mirror
as it is now, whatever the report is as of.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from msgspec import Struct

from connector.core.dates import add_months, local_day
from connector.core.errors import UsageFault
from connector.core.figures import WindowFigures
from connector.core.losses import Cancellation, Loss, LossReason, LossShare, LostPart
from connector.core.model import Cause, Evidence, MovementKind, SegmentValue
from connector.core.windows import (
    Window,
    WindowKind,
    boundaries_of,
    cut,
    ending_with,
    inside,
)
from connector.metrics.churn import (
    NO_REDUCTIONS,
    REDUCING,
    FeedbackSum,
    LossSums,
    Reductions,
    by_feedback,
    by_group,
    by_month,
    by_reason,
    is_end,
    main_part,
    returned,
    shares_of,
)
from connector.reports.figures import (
    eve,
    figures_of_some,
    members_of,
    nobody_in,
    segment_of,
)
from connector.reports.ledger import Ledger, is_total
from connector.store.ledger import customers
from connector.store.ledger import losses as ledger_losses
from connector.store.ledger.losses import LostComponent, LostMovement
from connector.store.mirror import cancellations as mirror

REASON, MONTH = "reason", "month"  # what --by takes beside the segments
MONTHS = 12  # that are told without --from
NOTHING_SAID = Cancellation()
SAME_PAUSE_S = 86_400
TOLD_BY_PROOF = frozenset({Cause.END, Cause.REMOVAL, Cause.PAUSE})


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

    ``losses`` are the latest first: who left, and where it is asked for who pays less.
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
    losses: tuple[LostMrr, ...]
    measured: WindowFigures

    @property
    def departures(self) -> tuple[LostMrr, ...]:
        """Who left."""
        return tuple(x for x in self.losses if x.kind is MovementKind.CHURN)


class ChurnReports(Struct, frozen=True, kw_only=True):
    """One a currency; ``by`` and ``only`` are what was asked for."""

    currencies: tuple[ChurnReport, ...]
    by: str | None
    only: tuple[SegmentValue, ...] = ()


class ChurnRequest(NamedTuple):
    """What is wanted; months are both included. ``by``: reason, month or a segment.

    ``contractions``: tell by name who pays less too, and not only who left. ``only`` are
    the segments whose customers alone are told of: those who have all of them, at the
    window's opening or as they came in it, as in a report.
    """

    first: date | None = None
    last: date | None = None
    currency: str | None = None
    by: str | None = None
    as_of: datetime | None = None
    contractions: bool = False
    only: tuple[SegmentValue, ...] = ()


DEFAULT = ChurnRequest()


def churn_reports(ledger: Ledger, asked: ChurnRequest = DEFAULT) -> ChurnReports:
    """Churn and contraction by reason; without months, of the last twelve that are over.

    Raises ``UsageFault`` for months that the ledger cannot know, and for all currencies
    in one: a reason is told of each.
    """
    if is_total(asked.currency):
        raise UsageFault(
            "reasons are told of each currency, not of all in one",
            fix="give another --currency",
        )
    codes = ledger.currencies(asked.currency, asked.as_of)
    window = _window(ledger, asked, ledger.state(asked.as_of).today)
    found = tuple(churn_report(ledger, code, window, asked) for code in codes)
    if asked.only and not any(_has_anybody(each.measured) for each in found):
        raise nobody_in(asked.only)
    return ChurnReports(currencies=found, by=asked.by, only=asked.only)


def _has_anybody(measured: WindowFigures) -> bool:
    flow = measured.waterfall
    return bool(flow.opening_minor or flow.new_minor or flow.reactivation_minor)


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
    start, end, named = window.start, window.end, asked.contractions
    # Each loss is asked for by itself, or the customer's segment is to be told.
    is_cut = named or bool(asked.only) or asked.by not in (None, REASON, MONTH)
    reduced = {} if is_cut else _reduced(connection, currency, start, end, as_of)
    found = losses(connection, currency, start, end, as_of, proofs=named, is_all=is_cut)
    if asked.only:
        own = members_of(ledger, currency, window, asked.only, as_of)
        found = [loss for loss in found if loss.customer in own]
    found.sort(key=lambda loss: (loss.day, loss.customer), reverse=True)
    segments = _segments(ledger, currency, asked.by, found)
    listed = [
        (loss, segments[place] if segments else "")
        for place, loss in enumerate(found)
        if named or loss.kind is MovementKind.CHURN
    ]
    told = _told(ledger, currency, listed, as_of)
    return ChurnReport(
        currency=currency,
        window=window,
        is_over=window.end <= ledger.state(as_of).today,
        everyone=by_reason(found, "", _added(reduced, window)),
        months=by_month(found, window.start, window.end, reduced),
        segments=_by_segment(found, segments),
        feedback=by_feedback(found),
        losses=tuple(told),
        measured=figures_of_some(ledger, currency, [window], as_of, asked.only)[0],
    )


def _segments(
    ledger: Ledger, currency: str, by: str | None, found: Sequence[Loss]
) -> list[str]:
    """What each loss's customer had on the evening before; empty where not asked for."""
    if by is None or by in (REASON, MONTH):
        return []
    of = segment_of(ledger.connection, ledger.config, by, currency)
    return of.named(
        [x.customer for x in found],
        [eve(x.day) for x in found],
        [x.before_minor for x in found],
    )


def _by_segment(found: Sequence[Loss], names: Sequence[str]) -> tuple[LossSums, ...]:
    if not names:
        return ()
    named = {id(loss): name for loss, name in zip(found, names, strict=True)}
    return by_group(found, lambda loss: named[id(loss)])


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


# Losses


def losses_in(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> dict[Window, LossSums]:
    """Each window's losses by reason; they are read once.

    With ``only``, of those alone who have all of these segments in the window.
    """
    days = boundaries_of(wanted)
    span = ledger.connection, currency, days[0], days[-1], as_of
    found = cut(losses(*span, proofs=False, is_all=bool(only)), days)
    if only:
        told = {}
        for window in wanted:
            own = members_of(ledger, currency, window, only, as_of)
            lost = inside(found, days, window)
            told[window] = by_reason(each for each in lost if each.customer in own)
        return told
    reduced = _reduced(*span)
    return {
        window: by_reason(inside(found, days, window), "", _added(reduced, window))
        for window in wanted
    }


def _reduced(
    connection: sqlite3.Connection,
    currency: str,
    start: date,
    end: date,
    as_of: datetime | None,
) -> dict[str, Reductions]:
    """By month, the contractions whose reason their causes tell; most are."""
    span = currency, start, end, REDUCING, as_of
    found = ledger_losses.reduced(connection, *span)
    return {month: Reductions(*own) for month, own in found.items()}


def _added(reduced: Mapping[str, Reductions], window: Window) -> Reductions:
    """Those of a window, which is of whole months."""
    first, end = f"{window.start:%Y-%m}", f"{window.end:%Y-%m}"
    own = [each for month, each in reduced.items() if first <= month < end]
    return Reductions(*map(sum, zip(*own, strict=True))) if own else NO_REDUCTIONS


def losses(
    connection: sqlite3.Connection,
    currency: str,
    start: date,
    end: date,
    as_of: datetime | None = None,
    *,
    proofs: bool = True,
    is_all: bool = True,
) -> list[Loss]:
    """The churn and contraction from ``start`` (in) to ``end`` (out), by reason.

    Without ``proofs`` no more of them are read than tell a reason; where it is not
    ``is_all``, the contractions are left out in which there is REDUCING alone.
    """
    without = () if is_all else REDUCING
    span = connection, currency, start, end, as_of
    moved = ledger_losses.lost(*span, proofs=proofs, without=without)
    found = list(moved)
    shown = _shown(connection, [part for each in found for part in each.components])
    return [_loss(each, shown) for each in found]


class _Shown(NamedTuple):
    """What the mirror says of the subscriptions and events that losses name."""

    ends: dict[str, Cancellation]
    statuses: dict[str, str]
    pauses: dict[str, list[mirror.PauseSeen]]


def _shown(connection: sqlite3.Connection, parts: Collection[LostComponent]) -> _Shown:
    proved = [part for part in parts if part.cause in TOLD_BY_PROOF]
    paused = {part.subscription for part in proved if _is_pause(part)}
    others = {part.subscription for part in proved if not _is_pause(part)}
    proofs = (proof for part in proved for proof in part.evidence)
    events = {proof.id for proof in proofs if proof.kind == "event"}
    return _Shown(
        mirror.cancellations(connection, others) if others else {},
        mirror.event_statuses(connection, events) if events else {},
        mirror.pauses_seen(connection, paused) if paused else {},
    )


def _is_pause(part: LostComponent) -> bool:
    return part.cause is Cause.PAUSE or any(
        p.summary == "paused" for p in part.evidence
    )


def _loss(moved: LostMovement, shown: _Shown) -> Loss:
    parts = [_part(each, shown) for each in moved.components]
    shares = shares_of(parts)
    return Loss(*moved[:5], shares, main_part(parts, shares[0].reason))


def _part(component: LostComponent, shown: _Shown) -> LostPart:
    if component.cause not in TOLD_BY_PROOF:
        return LostPart(*component)
    proofs = component.evidence
    statuses = (shown.statuses[p.id] for p in proofs if p.id in shown.statuses)
    seen = shown.pauses.get(component.subscription, ()) if _is_pause(component) else ()
    is_failed = any(_shows_failure(proof.at_s, seen) for proof in proofs)
    part = LostPart(*component, frozenset(statuses), is_failed)
    end = shown.ends.get(component.subscription) if is_end(part) else None
    return part._replace(cancellation=end)


def _shows_failure(at_s: int, seen: Iterable[mirror.PauseSeen]) -> bool:
    """Whether the pause that began then is shown as made by a failed payment.

    Where Stripe does not say since when it was, by the first time that it was seen.
    """
    own = [x for x in seen if x.since_s is not None and _is_near(x.since_s, at_s)]
    own += [x for x in seen if x.since_s is None and x.seen_s >= at_s][:1]
    return any(each.is_failed_payment for each in own)


def _is_near(since_s: int, at_s: int) -> bool:
    return abs(since_s - at_s) <= SAME_PAUSE_S
