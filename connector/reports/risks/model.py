"""What is at risk, as values: one a currency, and whom to call."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from msgspec import Struct

from connector.core.figures import WindowFigures
from connector.core.model import MovementKind, SegmentValue
from connector.mrr.risks import Risk, RiskReason, RiskSum
from connector.store.ledger.losses import LastMovement


class ScheduledMovement(Struct, frozen=True, kw_only=True):
    """A movement that is to come: an end that is set, a discount that runs out."""

    day: date
    customer: str
    kind: MovementKind
    amount_minor: int


class CustomerAtRisk(Struct, frozen=True, kw_only=True):
    """Whom to call: all that a customer pays, and why it may go.

    ``risks`` are the surest reason first. ``paid_since`` is the first day on which it
    paid, None of a trial. ``last`` is what moved last, in a total at its rates.
    ``renews_on`` is when it is billed next, as far as an invoice tells;
    ``ends_then`` where an end is set for that day. ``owner`` is what the configured key
    of its metadata says.
    """

    customer: str
    mrr_minor: int
    at_risk_minor: int
    risks: tuple[Risk, ...]
    country: str | None = None
    owner: str | None = None
    paid_since: date | None = None
    last: LastMovement | None = None
    renews_on: date | None = None

    @property
    def ends_then(self) -> bool:
        ends = (risk.day for risk in self.risks if risk.reason in ENDS)
        return self.renews_on is not None and self.renews_on in ends


class AtRiskReport(Struct, frozen=True, kw_only=True):
    """``so_far`` is the running trailing-12 window with nothing more happening.

    ``every`` and ``reasons`` add up all that is at risk, the surest reason first.
    ``risks`` and ``customers`` name it, the largest first: all, or as many as were asked
    for; ``risks_count`` is of all.
    """

    currency: str
    today: date
    mrr_minor: int
    every: RiskSum
    reasons: tuple[RiskSum, ...]
    risks: tuple[Risk, ...]
    risks_count: int
    customers: tuple[CustomerAtRisk, ...]
    scheduled: tuple[ScheduledMovement, ...]
    so_far: WindowFigures
    committed: tuple[WindowFigures, ...]
    is_total: bool = False

    @property
    def at_risk_minor(self) -> int:
        return self.every.mrr_minor


class AtRiskReports(Struct, frozen=True, kw_only=True):
    """One a currency. ``labels`` are what customers are called, by id.

    ``failed`` are those whose history cannot be derived, and why: they are left out.
    ``has_owners``: the configuration says what tells a customer's owner. ``owner``: whose
    customers alone all of it is about, ``only``: with which segments now.
    """

    currencies: tuple[AtRiskReport, ...]
    labels: Mapping[str, str]
    failed: Mapping[str, str]
    has_owners: bool = False
    owner: str | None = None
    only: tuple[SegmentValue, ...] = ()


class RiskLine(NamedTuple):
    """A risk with the customer whom it is of, and what that is called."""

    currency: str
    risk: Risk
    customer: CustomerAtRisk
    label: str
    is_total: bool


ENDS = (RiskReason.CANCELS, RiskReason.TRIAL)


LATELY_DAYS = 90
