"""Whose events are let in, and whose key may answer for them: the ledger's account's.

A signature proves only who knows the endpoint's secret: another account, another mode or
a connected account may send here by mistake.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connector.core.account import NOBODY, StripeIdentity, check_same
from connector.core.errors import ConnectorError, OtherAccount

log = logging.getLogger(__name__)

TOLD_S = 3_600.0  # for so long the server says that it refused an event
AGAIN_S = 10.0  # between two attempts to learn whose the key is


@dataclass(slots=True)
class AccountGuard:
    """``ledger`` is whose the ledger is, as far as is known; ``key`` whose the key is.

    ``identify`` asks Stripe for the latter. Used by the server's threads: each field is
    replaced as a whole.
    """

    identify: Callable[[], StripeIdentity] = lambda: NOBODY
    ledger: StripeIdentity = NOBODY
    key: StripeIdentity | None = None
    _refused: str = ""
    _refused_s: float = -TOLD_S
    _again_s: float = 0.0

    def refusal(self, event: str, origin: StripeIdentity) -> str | None:
        """Why an event of this origin is not let in; None where it is."""
        own = self.ledger.completed(self.key or NOBODY)
        if not origin.is_other(own):
            return None
        theirs = StripeIdentity(id=origin.id or own.id, livemode=origin.livemode)
        why = f"the ledger is of {own.shown}, and the event of {theirs.shown}"
        log.warning("account_guard.refused stripe_event=%s %s", event, why)
        self._refused, self._refused_s = why, time.monotonic()
        return why

    def warnings(self) -> Iterator[str]:
        if time.monotonic() - self._refused_s < TOLD_S:
            yield f"an event was refused: {self._refused}"

    def hindrance(self) -> str | None:
        """Why no event may be applied; None where the key is the ledger's account's."""
        if self.key is None and time.monotonic() >= self._again_s:
            try:
                self.key = self.identify()
            except ConnectorError as error:
                self._again_s = time.monotonic() + AGAIN_S
                return f"it is not known whose the key is: {error.problem}"
        if self.key is None:
            return "it is not known whose the key is: Stripe did not tell"
        try:
            check_same(self.ledger, self.key)
        except OtherAccount as error:
            return error.problem
        return None
