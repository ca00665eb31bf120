"""Until when a ledger knows anything, under which rules, of whom, and what it lacks."""

from datetime import date, datetime
from typing import NamedTuple

from connector.core.account import StripeIdentity


class LedgerState(NamedTuple):
    """Until when the ledger knows anything, under which rules, and of whom.

    ``today`` is the last day that it knows, and may not know to its end.
    """

    at: datetime
    today: date
    synced_at: datetime | None
    timezone: str
    policy: dict[str, str]
    account: StripeIdentity | None

    @property
    def rules(self) -> dict[str, str]:
        """The policy and the time zone, as the ledger's settings have them."""
        return {**self.policy, "timezone": self.timezone}


class Missing(NamedTuple):
    """What a ledger's figures lack; nothing where all of it is zero.

    ``customers`` have no figures yet, those of ``behind`` are what they were before
    their last change; ``refused`` objects of ``refused_customers`` could not be valued.
    """

    is_first_sync: bool = False
    customers: int = 0
    behind: int = 0
    refused: int = 0
    refused_customers: int = 0
    accounts: tuple[str, ...] = ()  # which of several lack it


NOTHING_MISSING = Missing()


class AddedAccounts(NamedTuple):
    """Which accounts are added up, by name; none where there is one alone.

    Those ``behind`` are not known until the same day as others. ``unlike`` are sentences
    on where their rules differ.
    """

    names: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()


ONE_ACCOUNT = AddedAccounts()


class LedgerFacts(NamedTuple):
    """What stands beside every figure: until when it is known, and what it lacks.

    ``moment`` is now; ``synced_at`` None: never, or of no concern to a past state.
    ``begins_at`` is the first run, where the past state is of before it: it is empty.
    """

    moment: datetime
    synced_at: datetime | None
    today: date
    missing: Missing
    accounts: AddedAccounts = ONE_ACCOUNT
    begins_at: datetime | None = None
