"""A mirror of many customers: a few hundred lives, told again under other ids.

Each life is of the demo's kind (renewals by the month and the year over three years,
upgrades with proration pairs, coupons, trials, churn), of a plan with add-ons beside it,
so that an invoice has two lines or three.
"""

import heapq
import random
import re
import sqlite3
from collections.abc import Iterator, Sequence

from connector.store.database import transaction
from connector.store.mirror import objects
from connector.stripe_api.decoding import Base, body, decode
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.demo_life import Life
from tests.billing.demo_shop import ADD_ONS, Shop, open_shop
from tests.billing.state import Customer, Subscription
from tests.support.ledgers import KINDS, read

OPENED, NOW_S = instant("2023-11-02T09:00:00"), instant("2026-11-02T06:00:00")
LIVES = 250
SHARED = {"products", "prices", "coupons"}
OWN_IDS = re.compile(rb'"((?:cus|sub|si|in|il|ii|di|evt)_\w+)"')


class WithAddOns(Life):
    """A life that begins with one add-on or two, as most accounts' invoices show."""

    def start(self) -> Subscription:
        sub = super().start()
        have = {item.price.product.name for item in sub.items}
        interval = sub.items[0].price.interval
        assert interval is not None
        for name in ADD_ONS[: 2 if self.chance(0.4) else 1]:
            if name not in have:
                self.account.add_item(sub, self.price(name, interval), proration="none")
        return sub


def fill(connection: sqlite3.Connection, customers: int) -> None:
    """Mirror so many customers, all of them waiting to be derived."""
    account = _played(min(customers, LIVES)).snapshot()
    with transaction(connection):
        for kind, things in account.items():
            first = [read(kind, thing) for thing in things]
            _put(connection, kind, first)
            if kind not in SHARED:
                for copy in range(LIVES, customers, LIVES):
                    _put(connection, kind, [_renamed(thing, copy) for thing in first])


def _renamed(thing: Base, copy: int) -> Base:
    return decode(OWN_IDS.sub(rb'"\1x%d"' % copy, body(thing)), type(thing))


def _put(connection: sqlite3.Connection, kind: str, things: Sequence[Base]) -> None:
    table, _ = KINDS[kind]
    for first in range(0, len(things), 500):
        page = things[first : first + 500]
        objects.put(connection, table, page, NOW_S * 1_000_000)


def _played(lives: int) -> Account:
    """The business from its first day on; customers come evenly over the years."""
    account = Account(OPENED, events_from=NOW_S - 30 * DAY)
    shop = open_shop(account)
    apart_s = (NOW_S - OPENED) // (lives + 1)
    waiting = [
        (OPENED + (n + 1) * apart_s, n, _life(account, shop, n)) for n in range(lives)
    ]
    heapq.heapify(waiting)
    while waiting and waiting[0][0] < NOW_S:
        at_s, n, life = heapq.heappop(waiting)
        account.advance(at_s)
        wakes_s = next(life, None)
        if wakes_s is not None:
            heapq.heappush(waiting, (max(wakes_s, at_s), n, life))
    account.advance(NOW_S)
    return account


def _life(account: Account, shop: Shop, n: int) -> Iterator[int]:
    customer: Customer = account.add_customer(f"Customer {n}")
    life = WithAddOns(account, shop, customer, random.Random(n))
    yield from life.live("eur" if n % 7 == 3 else "usd")
