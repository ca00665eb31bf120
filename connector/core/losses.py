"""Why MRR was lost: what Stripe shows of each churn and contraction.

    Loss             one churn or contraction of a customer, by reason
      LossShare      the part of it that one reason took
      Cancellation   what Stripe says of a subscription's end

The reasons are those of docs/definitions.md, Why MRR was lost.
"""

from datetime import date
from enum import StrEnum
from typing import NamedTuple

from connector.core.model import Cause, Evidence, MovementKind


class LossReason(StrEnum):
    """In the order in which reports tell them."""

    __hash__ = str.__hash__  # that of an enum is written in Python

    VOLUNTARY = "voluntary"  # a cancellation was asked for
    FAILED_PAYMENT = "failed_payment"
    PAUSED = "paused"
    REDUCED = "reduced"  # price, quantity, usage or an item
    DISCOUNT = "discount"
    UNKNOWN = "unknown"  # Stripe shows none


class Cancellation(NamedTuple):
    """What Stripe says of a subscription's end.

    ``stated`` and ``feedback`` are Stripe's own words (``cancellation_details``), None
    where it has none; ``is_read`` is False where the mirror's copy is older than these
    fields. ``asked_s`` is when cancelling was asked for, None where nothing shows that it
    was before the end.
    """

    stated: str | None = None
    feedback: str | None = None
    asked_s: int | None = None
    is_read: bool = True


class LostPart(NamedTuple):
    """A component of a churn or contraction, signed, and what Stripe shows of it.

    ``said`` are the summaries of its evidence, and the statuses in which events show the
    subscription; ``cancellation`` is None where it is no end, or the mirror does not have
    it.
    """

    cause: Cause
    amount_minor: int
    subscription: str
    evidence: tuple[Evidence, ...] = ()
    said: frozenset[str] = frozenset()
    is_failed_pause: bool = False
    cancellation: Cancellation | None = None


class LossShare(NamedTuple):
    """``amount_minor`` is negative; a loss's shares add up to it."""

    reason: LossReason
    amount_minor: int


class Loss(NamedTuple):
    """A churn or contraction; ``customer`` is the ledger's key, the amount negative.

    ``shares`` are the largest first. ``part`` is the component that took most.
    """

    customer: int
    day: date
    kind: MovementKind
    amount_minor: int
    before_minor: int
    shares: tuple[LossShare, ...]
    part: LostPart

    @property
    def reason(self) -> LossReason:
        """The one that took most."""
        return self.shares[0].reason

    @property
    def is_departure(self) -> bool:
        return self.kind is MovementKind.CHURN
