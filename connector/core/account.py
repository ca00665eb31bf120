"""Which Stripe account, in which of its modes, something is of.

A ledger belongs to one. Ids of plans and coupons are chosen by people and the same in
many accounts, so they prove nothing.
"""

from msgspec import Struct
from msgspec.structs import replace

from connector.core.errors import OtherAccount
from connector.core.language import _, marked, message
from connector.core.text import printable

MODES = {
    True: marked("live mode"),
    False: marked("test mode"),
    None: marked("of a mode that is not known"),
}
USE_ITS_OWN = (
    "use that account's key, or set `database` in config.toml to a file of its own"
)


class StripeIdentity(Struct, frozen=True, kw_only=True):
    """None is not known: a restricted key need not be allowed to read the account.

    ``name`` is the business's own, for display.
    """

    id: str | None = None
    name: str | None = None
    livemode: bool | None = None

    @property
    def shown(self) -> str:
        """In a line; what no terminal should get of the name stands escaped."""
        known = self.id or message("an account that the key may not read")
        name = printable(self.name or "")
        return f"{f'{name} ({known})' if name else known}, {_(MODES[self.livemode])}"

    def is_other(self, than: "StripeIdentity") -> bool:
        """Whether both are known, as far as they are, to be of two accounts or modes."""
        return any(
            None not in pair and pair[0] != pair[1]
            for pair in ((self.id, than.id), (self.livemode, than.livemode))
        )

    def completed(self, by: "StripeIdentity") -> "StripeIdentity":
        """What is known of one and the same by both; the name is the newer."""
        return replace(
            self,
            id=self.id or by.id,
            name=by.name or self.name,
            livemode=self.livemode if self.livemode is not None else by.livemode,
        )


NOBODY = StripeIdentity()


def check_same(ledger: StripeIdentity, key: StripeIdentity) -> None:
    """Raise ``OtherAccount`` where the key is not of the account that the ledger is of."""
    if key.is_other(ledger):
        raise OtherAccount(
            f"the ledger is of {ledger.shown}, and the key of {key.shown}",
            fix=USE_ITS_OWN,
        )
