"""All that a report of standard windows needs, without anybody's movements."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from connector.core.account import StripeIdentity
from connector.core.figures import RollupDelta
from connector.core.invoiced import NotCounted
from connector.core.model import Refusal


class KeptSums(NamedTuple):
    """``rules`` are those in force, as texts; ``deltas`` are by currency, then start.

    ``not_counted`` is by customer: recurring money that is no MRR.
    """

    rules: Mapping[str, str]
    known_until: datetime
    account: StripeIdentity | None
    deltas: Mapping[str, Sequence[RollupDelta]]
    refusals: Sequence[Refusal]
    not_counted: Mapping[str, Sequence[NotCounted]]
