"""Churn and contraction by reason: what each loss is called, and what they add up to.

The reasons add up to the churn and contraction of the waterfall, to the cent, whatever
the window: every loss is counted, of whoever (docs/definitions.md, Why MRR was lost).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.losses import (
    Cancellation,
    Loss,
    LossReason,
    LossShare,
    LostPart,
)
from connector.core.model import Cause, MovementKind

# What an item loses while it goes on.
REDUCING = frozenset(
    {Cause.PLAN, Cause.QUANTITY, Cause.PRICE, Cause.USAGE, Cause.ADD_ON}
)
# What the proof of an end or of a gap says (``mrr.evidence``).
REQUESTED = "cancellation requested"
_ENDED = frozenset({"ended", REQUESTED, "canceled"})
_FAILED = frozenset({"unpaid", "past due", "left a draft"})
_PAUSED = frozenset({"trial", "paused", "trialing"})
_PAYMENT_REASONS = frozenset({"payment_failed", "payment_disputed"})


def reason_of(part: LostPart) -> LossReason:
    """Why a component lost, by its cause; why a subscription ended, by what Stripe says."""
    if part.cause in REDUCING:
        return LossReason.REDUCED
    if part.cause is Cause.DISCOUNT:
        return LossReason.DISCOUNT
    if part.cause is Cause.PAUSE:
        is_failed = part.is_failed_pause
        return LossReason.FAILED_PAYMENT if is_failed else LossReason.PAUSED
    return _reason_of_end(part)


def _reason_of_end(part: LostPart) -> LossReason:
    """Of an item that is gone: with its subscription, in a gap of it, or by itself."""
    if not part.subscription:  # what was invoiced by hand is no more
        return LossReason.UNKNOWN
    said = {proof.summary for proof in part.evidence} | part.statuses
    if said & _FAILED or part.is_failed_pause:
        return LossReason.FAILED_PAYMENT
    if REQUESTED in said and part.cancellation is None:  # and taken back since
        return LossReason.VOLUNTARY
    if said & _ENDED:
        return _reason_stated(part.cancellation)
    if said & _PAUSED:
        return LossReason.PAUSED
    return LossReason.REDUCED if part.evidence else LossReason.UNKNOWN


def is_end(part: LostPart) -> bool:
    """Whether its proofs show that the whole subscription ended, or is to."""
    said = {proof.summary for proof in part.evidence} | part.statuses
    return part.cause in (Cause.END, Cause.REMOVAL) and bool(said & _ENDED)


def _reason_stated(cancellation: Cancellation | None) -> LossReason:
    if cancellation is None:
        return LossReason.UNKNOWN
    if cancellation.stated in _PAYMENT_REASONS:
        return LossReason.FAILED_PAYMENT
    if cancellation.stated == "cancellation_requested":
        return LossReason.VOLUNTARY
    if cancellation.stated is not None:
        return LossReason.UNKNOWN
    is_asked = cancellation.feedback is not None or cancellation.asked_s is not None
    return LossReason.VOLUNTARY if is_asked else LossReason.UNKNOWN


def shares_of(parts: Sequence[LostPart]) -> tuple[LossShare, ...]:
    """A loss by reason, the largest first; what grew beside it is set off.

    Against the reason that took most, then the next, so that no share is above 0.
    """
    if len(parts) == 1:  # as most have
        return (LossShare(reason_of(parts[0]), parts[0].amount_minor),)
    amounts: dict[LossReason, int] = defaultdict(int)
    grown_minor = 0
    for part in parts:
        if part.amount_minor < 0:
            amounts[reason_of(part)] += part.amount_minor
        else:
            grown_minor += part.amount_minor
    found = []
    for reason, amount_minor in sorted(amounts.items(), key=_size):
        left_minor = min(amount_minor + grown_minor, 0)
        grown_minor += amount_minor - left_minor
        if left_minor:
            found.append((reason, left_minor))
    return tuple(LossShare(*each) for each in sorted(found, key=_size))


_ORDER = {reason: place for place, reason in enumerate(LossReason)}


def _size(share: tuple[LossReason, int]) -> tuple[int, int]:
    return share[1], _ORDER[share[0]]


def main_part(parts: Sequence[LostPart], reason: LossReason) -> LostPart:
    """Of the components with that reason, the one that took most."""
    if len(parts) == 1:
        return parts[0]
    own = [each for each in parts if each.amount_minor < 0]
    own = [each for each in own if reason_of(each) is reason]
    return min(own, key=lambda each: each.amount_minor)


# Sums


class ReasonSum(NamedTuple):
    """What one reason took away, as amounts above 0.

    A loss with several reasons counts once in ``departures`` or ``contractions``: with
    the one that took most.
    """

    reason: LossReason
    churn_minor: int = 0
    departures: int = 0
    contraction_minor: int = 0
    contractions: int = 0

    @property
    def lost_minor(self) -> int:
        return self.churn_minor + self.contraction_minor


class LossSums(NamedTuple):
    """Every reason, in the order of ``LossReason``; also those that took nothing.

    ``name`` is a month (``2026-03``) or a segment; "" is everybody's. Of ``unread``
    subscriptions' ends the mirror is older than what it keeps of Stripe's reason.
    """

    name: str
    reasons: tuple[ReasonSum, ...]
    unread: int = 0

    @property
    def churn_minor(self) -> int:
        return sum(each.churn_minor for each in self.reasons)

    @property
    def contraction_minor(self) -> int:
        return sum(each.contraction_minor for each in self.reasons)

    @property
    def departures(self) -> int:
        return sum(each.departures for each in self.reasons)

    @property
    def contractions(self) -> int:
        return sum(each.contractions for each in self.reasons)

    def of(self, reason: LossReason) -> ReasonSum:
        return self.reasons[_ORDER[reason]]


class Reductions(NamedTuple):
    """Contractions that were added up before: all that took away in them is REDUCING."""

    contractions: int = 0
    contraction_minor: int = 0


NO_REDUCTIONS = Reductions()
NOTHING_REDUCED: Mapping[str, Reductions] = {}


def by_reason(
    losses: Iterable[Loss], name: str = "", reduced: Reductions = NO_REDUCTIONS
) -> LossSums:
    """All of them added up, with those that were before."""
    sums = {reason: [0, 0, 0, 0] for reason in LossReason}
    sums[LossReason.REDUCED][2:] = reduced.contraction_minor, reduced.contractions
    unread = 0
    for loss in losses:
        end = loss.part.cancellation
        unread += end is not None and not end.is_read
        at = 0 if loss.kind is MovementKind.CHURN else 2
        for reason, amount_minor in loss.shares:
            sums[reason][at] -= amount_minor
        sums[loss.shares[0].reason][at + 1] += 1
    reasons = tuple(ReasonSum(reason, *own) for reason, own in sums.items())
    return LossSums(name, reasons, unread)


def by_month(
    losses: Iterable[Loss],
    start: date,
    end: date,
    reduced: Mapping[str, Reductions] = NOTHING_REDUCED,
) -> tuple[LossSums, ...]:
    """Each month of a window, also those in which nobody lost anything.

    ``reduced`` were added up by month before.
    """
    own: dict[str, list[Loss]] = {}
    month = start.replace(day=1)
    while month < end:
        own[f"{month:%Y-%m}"] = []
        month = add_months(month, 1)
    for loss in losses:
        own[f"{loss.day:%Y-%m}"].append(loss)
    return tuple(
        by_reason(of_month, name, reduced.get(name, NO_REDUCTIONS))
        for name, of_month in own.items()
    )


def by_group(
    losses: Iterable[Loss], name_of: Callable[[Loss], str]
) -> tuple[LossSums, ...]:
    """By what each loss is called, the one that lost most first."""
    own: dict[str, list[Loss]] = defaultdict(list)
    for loss in losses:
        own[name_of(loss)].append(loss)
    found = [by_reason(group, name) for name, group in own.items()]
    lost = {each.name: each.churn_minor + each.contraction_minor for each in found}
    return tuple(sorted(found, key=lambda each: (-lost[each.name], each.name)))


class FeedbackSum(NamedTuple):
    """What those who left said: Stripe's word for it, None where they said nothing."""

    feedback: str | None
    departures: int
    churn_minor: int


def by_feedback(losses: Iterable[Loss]) -> tuple[FeedbackSum, ...]:
    """Of the voluntary departures, the largest sum first; who said nothing last."""
    sums: dict[str | None, list[int]] = defaultdict(lambda: [0, 0])
    for loss in losses:
        if loss.is_departure and loss.reason is LossReason.VOLUNTARY:
            end = loss.part.cancellation
            said = None if end is None else end.feedback
            sums[said][0] += 1
            sums[said][1] -= loss.amount_minor
    found = [FeedbackSum(said, *own) for said, own in sums.items()]
    return tuple(
        sorted(
            found, key=lambda f: (f.feedback is None, -f.churn_minor, f.feedback or "")
        )
    )


def returned(
    losses: Iterable[Loss], returns: Mapping[int, Sequence[tuple[date, int]]]
) -> dict[tuple[int, date], tuple[date, int]]:
    """Of each departure that came back (customer, day): when, and with how much.

    ``returns`` are each customer's reactivations by day.
    """
    found = {}
    for loss in losses:
        own = returns.get(loss.customer, ()) if loss.is_departure else ()
        later = next((each for each in own if each[0] > loss.day), None)
        if later is not None:
            found[loss.customer, loss.day] = later
    return found
