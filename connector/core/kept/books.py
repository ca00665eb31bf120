"""What reports of a ledger that is gone when it is closed are made of."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from connector.core.account import StripeIdentity
from connector.core.figures import RollupDelta
from connector.core.invoiced import NotCounted
from connector.core.model import Refusal


class KeptSums(NamedTuple):
    """All that a report of standard windows needs, without anybody's movements.

    ``rules`` are those in force, as texts; ``deltas`` are by currency, then start;
    ``not_counted`` is by customer: recurring money that is no MRR.
    """

    rules: Mapping[str, str]
    known_until: datetime
    account: StripeIdentity | None
    deltas: Mapping[str, Sequence[RollupDelta]]
    refusals: Sequence[Refusal]
    not_counted: Mapping[str, Sequence[NotCounted]]


KeptRow = tuple[Any, ...]


class KeptBooks(NamedTuple):
    """What segments are counted from, beside ``KeptSums``: everybody's rows, in no order.

    ``sold``: a price, and what its product is called. ``profiles``: a customer and its
    country. ``movements``: customer, currency, day, kind, amount, before, after.
    ``terms``: customer, currency, subscription, day, before, after. ``plans``: customer,
    currency, day, price, interval.
    """

    sold: Iterable[KeptRow]
    profiles: Iterable[KeptRow]
    movements: Iterable[KeptRow]
    terms: Iterable[KeptRow]
    plans: Iterable[KeptRow]
