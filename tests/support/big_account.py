"""Accounts of some hundred customers over three years, every event kept.

The lives are the demo's; what Stripe makes of them is ``tests.billing.stripe_mrr``.
"""

import heapq
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from connector.config import Config
from connector.core.dates import instant as instant_of
from connector.reports.ledger import Ledger
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.demo_life import Life
from tests.billing.demo_shop import Shop, open_shop
from tests.billing.state import Customer, Json, Subscription
from tests.billing.store import ENDS as ENDS_FIRST
from tests.billing.stripe_mrr import COUPON_SETTINGS
from tests.support.ledgers import empty_ledger, look, settle

OPENED = instant("2023-11-02T09:00:00")
ENDS = instant("2026-11-02T06:00:00")


class PartlySent(Account):
    """Of every five new customers one is sent invoices; of these, a fifth never pays."""

    def subscribe(self, customer: Customer, *bought: Any, **how: Any) -> Subscription:
        n = self.customers.index(customer)
        is_sent = n % 5 == 2 and not how.get("trial_days")
        sub = super().subscribe(customer, *bought, **how, is_sent=is_sent)
        for days in (23, 200) if is_sent and n % 25 != 2 else ():
            self.at(self.now + days * DAY, ENDS_FIRST, lambda: self.recover(customer))
        return sub


@cache
def big_account(customers: int, seed: int = 7, ends: int = ENDS) -> Account:
    """So many customers who come over the years; one in seven pays in euro."""
    account = PartlySent(OPENED, seed=seed, coupon_settings=COUPON_SETTINGS)
    shop = open_shop(account)
    rng = random.Random(f"{seed} arrivals")
    arrivals = sorted(
        rng.randrange(OPENED + DAY, ENDS - 3 * DAY) for _ in range(customers)
    )
    waiting = [(at, n, _life(account, shop, n, seed)) for n, at in enumerate(arrivals)]
    while waiting:
        at, n, life = heapq.heappop(waiting)
        if at > ends:
            break
        account.advance(at)
        wakes = next(life, None)
        if wakes is not None:
            heapq.heappush(waiting, (max(wakes, at), n, life))
    account.advance(ends)
    return account


def _life(account: Account, shop: Shop, n: int, seed: int) -> Iterator[int]:
    customer = account.add_customer(f"Customer {n}")
    rng = random.Random(f"{seed} {n}")
    return Life(account, shop, customer, rng).live("eur" if n % 7 == 3 else "usd")


def every_event(account: Account) -> dict[str, list[Json]]:
    """The account's lists, and all events there ever were."""
    events = [event for _, event in account.events]
    return account.snapshot() | {"events": events[::-1]}


ZONE = "Europe/Berlin"


@cache
def _settled(customers: int) -> bytes:
    account = big_account(customers)
    with empty_ledger() as connection:
        look(connection, every_event(account), account.now)
        settle(connection, account.now, ZONE)
        return connection.serialize()


@contextmanager
def big_ledger(customers: int, **config: Any) -> Iterator[Ledger]:
    """The account's ledger, derived from every event by the default policy."""
    with empty_ledger() as connection:
        connection.deserialize(_settled(customers))
        yield Ledger(
            connection, Config(zone=ZoneInfo(ZONE), **config), instant_of(ENDS)
        )
