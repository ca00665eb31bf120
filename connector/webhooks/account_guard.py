"""Whose events are let in, and whose key may answer for them: the ledger's account's.

A signature proves only who knows the endpoint's secret: another account, another mode or
a connected account may send here by mistake.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from connector.core.account import NOBODY, StripeIdentity, check_same
from connector.core.errors import ConnectorError, OtherAccount

log = logging.getLogger(__name__)

TOLD_S = 3_600.0  # for so long the server says that it refused an event
AGAIN_S = 10.0  # between two attempts to learn whose the key is


@dataclass(slots=True)
class RefusedEvents:
    """The last event that was not let in, told for an hour."""

    _why: str = ""
    _at_s: float = -TOLD_S

    def tell(self, event: str, why: str) -> str:
        log.warning("account_guard.refused stripe_event=%s %s", event, why)
        self._why, self._at_s = why, time.monotonic()
        return why

    def warnings(self) -> Iterator[str]:
        if time.monotonic() - self._at_s < TOLD_S:
            yield f"an event was refused: {self._why}"


@dataclass(slots=True)
class AccountGuard:
    """``ledger`` is whose the ledger is, as far as is known; ``key`` whose the key is.

    ``identify`` asks Stripe for the latter. Used by the server's threads: each field is
    replaced as a whole.
    """

    identify: Callable[[], StripeIdentity] = lambda: NOBODY
    ledger: StripeIdentity = NOBODY
    key: StripeIdentity | None = None
    refused: RefusedEvents = field(default_factory=RefusedEvents)
    _again_s: float = 0.0

    @property
    def account(self) -> StripeIdentity:
        """Whose all is here, as far as is known by now."""
        return self.ledger.completed(self.key or NOBODY)

    def refusal(self, event: str, origin: StripeIdentity) -> str | None:
        """Why an event of this origin is not let in; None where it is."""
        own = self.account
        if not origin.is_other(own):
            return None
        theirs = StripeIdentity(id=origin.id or own.id, livemode=origin.livemode)
        why = f"the ledger is of {own.shown}, and the event of {theirs.shown}"
        return self.refused.tell(event, why)

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
