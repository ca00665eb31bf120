"""A small account with a licence fee and a retainer beside its subscriptions."""

from functools import cache

from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.billing.outside import Outside
from tests.billing.state import Json

SEEN = instant("2026-07-20T09:00:00")


@cache
def agency() -> dict[str, list[Json]]:
    """$199.00 of subscriptions; $490.00 a month each without one; some work by hand."""
    acc = Account(instant("2025-11-03T09:00:00"))
    plan = acc.add_price(acc.add_product("Plan"), 19_900)
    acc.subscribe(acc.add_customer("Subscribes"), plan)
    licensed = acc.add_customer("Pays a licence fee")
    retained = acc.add_customer("Has a retainer")
    acc.advance(SEEN)
    beside = Outside(acc)
    beside.again(
        licensed,
        49_000,
        instant("2026-01-05T09:00:00"),
        manual=False,
        parent="unheard_of_details",
        pricing="license_fee_details",
    )
    since = instant("2025-12-01T09:00:00")
    beside.again(retained, 49_000, since, product="prod_retainer")
    beside.once(retained, 120_000, instant("2026-03-10T09:00:00"))
    beside.once(retained, 30_000, instant("2026-06-10T09:00:00"), status="draft")
    return beside.snapshot()
