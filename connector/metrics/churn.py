"""Churn and contraction by reason: what each loss is called, and what they add up to.

The reasons add up to the churn and contraction of the waterfall, to the cent, whatever
the window: every loss is counted, of whoever (docs/definitions.md, Why MRR was lost).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import NamedTuple

from connector.core.dates import months
from connector.core.losses import Cancellation, Loss, LossReason, LossShare, LostPart
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
_WORDS = _ENDED | _FAILED | _PAUSED
_PAYMENT_REASONS = frozenset({"payment_failed", "payment_disputed"})


def reason_of(part: LostPart) -> LossReason:
    """Why a component lost, by its cause; why a subscription ended, by what Stripe says."""
    if part.cause is Cause.PAUSE and part.is_failed_pause:
        return LossReason.FAILED_PAYMENT
    return _BY_CAUSE.get(part.cause) or _reason_of_end(part)


_BY_CAUSE = {
    **dict.fromkeys(REDUCING, LossReason.REDUCED),
    Cause.DISCOUNT: LossReason.DISCOUNT,
    Cause.PAUSE: LossReason.PAUSED,
}


def _reason_of_end(part: LostPart) -> LossReason:
    """Of an item that is gone: with its subscription, in a gap of it, or by itself."""
    if not part.subscription:  # what was invoiced by hand is no more
        return LossReason.UNKNOWN
    said = part.said & _WORDS
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
    return part.cause in (Cause.END, Cause.REMOVAL) and bool(part.said & _ENDED)


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


def by_reason(parts: Sequence[LostPart]) -> tuple[tuple[LossShare, ...], LostPart]:
    """A loss's shares, and the component that took most for the first of them."""
    reasoned = [(reason_of(part), part) for part in parts]
    shares = _shares(reasoned)
    main = shares[0].reason
    own = [part for why, part in reasoned if why is main and part.amount_minor < 0]
    return shares, min(own, key=attrgetter("amount_minor"))


def _shares(reasoned: Sequence[tuple[LossReason, LostPart]]) -> tuple[LossShare, ...]:
    """A loss by reason, the largest first; what grew beside it is set off.

    Against the reason that took most, then the next, so that no share is above 0.
    """
    amounts: dict[LossReason, int] = defaultdict(int)
    grown_minor = 0
    for reason, part in reasoned:
        if part.amount_minor < 0:
            amounts[reason] += part.amount_minor
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
    def lost_minor(self) -> int:
        return self.churn_minor + self.contraction_minor

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


class FeedbackSum(NamedTuple):
    """What those who left said: Stripe's word for it, None where they said nothing."""

    feedback: str | None
    departures: int
    churn_minor: int


class LossTable(NamedTuple):
    """Losses added up: by month and segment what each reason took, as ``ReasonSum``.

    ``unread`` are counted by month and segment too. ``feedback`` is of the voluntary
    departures, the largest sum first; who said nothing last.
    """

    sums: Mapping[tuple[str, str], Mapping[LossReason, Sequence[int]]]
    unread: Mapping[tuple[str, str], int]
    feedback: Sequence[FeedbackSum]

    def everyone(self) -> LossSums:
        return self._added("", self.sums)

    def by_month(self, start: date, end: date) -> tuple[LossSums, ...]:
        """Each month of a window, also those in which nobody lost anything."""
        names = [f"{month:%Y-%m}" for month in months(start, end)]
        return tuple(
            self._added(name, [x for x in self.sums if x[0] == name]) for name in names
        )

    def by_segment(self) -> tuple[LossSums, ...]:
        """The one that lost most first."""
        found = [
            self._added(name, [x for x in self.sums if x[1] == name])
            for name in {segment for _, segment in self.sums}
        ]
        return tuple(sorted(found, key=lambda x: (-x.lost_minor, x.name)))

    def within(self, start: date, end: date) -> LossSums:
        """Of a window, which is of whole months."""
        first, last = f"{start:%Y-%m}", f"{end:%Y-%m}"
        return self._added("", [x for x in self.sums if first <= x[0] < last])

    def _added(self, name: str, places: Collection[tuple[str, str]]) -> LossSums:
        reasons = (
            ReasonSum(reason, *map(sum, zip(NOTHING, *own, strict=True)))
            for reason in LossReason
            for own in [
                [self.sums[x][reason] for x in places if reason in self.sums[x]]
            ]
        )
        unread = sum(self.unread.get(place, 0) for place in places)
        return LossSums(name, tuple(reasons), unread)


NOTHING = (0, 0, 0, 0)
NOTHING_REDUCED: Mapping[tuple[str, str], Reductions] = {}


class LossCounter:
    """Adds losses up, to those that were added up before."""

    def __init__(
        self, reduced: Mapping[tuple[str, str], Reductions] = NOTHING_REDUCED
    ) -> None:
        self._sums = {
            place: {LossReason.REDUCED: [0, 0, minor, count]}
            for place, (count, minor) in reduced.items()
        }
        self._read: dict[tuple[int, str], dict[LossReason, list[int]]]
        self._read = defaultdict(lambda: defaultdict(lambda: [0, 0, 0, 0]))
        self._unread: Counter[tuple[str, str]] = Counter()
        self._said: dict[str | None, list[int]] = defaultdict(lambda: [0, 0])

    def add(
        self,
        day: int,
        segment: str,
        kind: MovementKind,
        shares: Sequence[LossShare],
        end: Cancellation | None,
    ) -> None:
        """A loss on a day, by its ordinal; ``end`` is of the component that took most."""
        own, at = self._read[day, segment], 0 if kind is MovementKind.CHURN else 2
        for reason, amount_minor in shares:
            own[reason][at] -= amount_minor
        main = shares[0].reason
        own[main][at + 1] += 1
        if end is not None and not end.is_read:
            self._unread[_month(day), segment] += 1
        if at == 0 and main is LossReason.VOLUNTARY:
            words = self._said[None if end is None else end.feedback]
            words[0] += 1
            words[1] -= sum(share.amount_minor for share in shares)

    def table(self) -> LossTable:
        feedback = sorted(
            (FeedbackSum(word, *own) for word, own in self._said.items()),
            key=lambda f: (f.feedback is None, -f.churn_minor, f.feedback or ""),
        )
        sums = {place: dict(own) for place, own in self._sums.items()}
        for (day, segment), by_reason in self._read.items():
            own = sums.setdefault((_month(day), segment), {})
            for reason, found in by_reason.items():
                so_far = own.get(reason, NOTHING)
                own[reason] = [*map(sum, zip(so_far, found, strict=True))]
        return LossTable(sums, self._unread, feedback)


def _month(day: int) -> str:
    return f"{date.fromordinal(day):%Y-%m}"


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
