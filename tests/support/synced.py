"""An account in memory, synced as the command does it: real client, real SQLite.

``Wire`` is the way to the account: it counts requests, cuts pages short, can be unplugged
after some of them, and can let something happen to the account between two.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from functools import cache
from typing import Any

import httpx

from connector.config import Config
from connector.pipeline.bundled_account import bundled_folder
from connector.pipeline.ingest import Ingest, Progress, SyncResult
from connector.pipeline.sync import sync as bring_in
from connector.pipeline.thread_pool import ThreadPool
from connector.store.database import put_setting, transaction
from connector.stripe_api.client import StripeApi
from connector.stripe_api.rate_limit import Limiter
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.state import Json
from tests.support.ledgers import Known, empty_ledger, settle
from tests.support.simulator import AccountTransport, SimulatedAccount

KEY = "rk_test_synced"
DEFAULTS = Config()


class Unplugged(BaseException):
    """The process dies here: nothing that goes on after an error goes on after it."""


@dataclass
class Wire:
    """The account's answers, ``page`` objects at a time; ``at_s`` is the clock.

    Each request takes ``pace_us``. ``before`` sees each request and may change anything.
    """

    account: SimulatedAccount
    at_s: int
    page: int = 100
    unplug_after: int | None = None
    pace_us: int = 0
    forbidden: str = ""  # the path that the key may not read
    before: Callable[["Wire", httpx.Request], None] = lambda _wire, _request: None
    asked: list[str] = field(default_factory=list)
    spent_us: int = 0

    def now_us(self) -> int:
        return self.at_s * 1_000_000 + self.spent_us

    def stripe_us(self) -> int:
        return self.at_s * 1_000_000 + self.spent_us

    def handle(self, request: httpx.Request) -> httpx.Response:
        if self.unplug_after is not None and len(self.asked) >= self.unplug_after:
            raise Unplugged
        self.before(self, request)
        self.asked.append(request.url.path)
        self.spent_us += self.pace_us
        if request.url.path == self.forbidden:
            return httpx.Response(403, json={"error": {"message": "No."}})
        if "limit" in request.url.params:
            url = request.url.copy_set_param("limit", str(self.page))
            request = httpx.Request("GET", url, headers=request.headers)
        answer = AccountTransport(self.account).handle_request(request)
        answer.headers["Date"] = formatdate(self.stripe_us() // 1_000_000, usegmt=True)
        return answer


def walk(
    connection: sqlite3.Connection,
    wire: Wire,
    config: Config = DEFAULTS,
    progress: Progress = lambda _kind, _seen, _whole: None,
    *,
    full: bool = True,
    workers: int = 1,
    stopping: Callable[[], bool] = lambda: False,
) -> SyncResult:
    """Bring the mirror up to date; ``full`` walks everything, as a first sync does."""
    ran = ingesting(
        connection, wire, config, progress, workers=workers, stopping=stopping
    )
    with ran as ingest:
        bring_in(ingest, full=full)
    return ingest.met


@contextmanager
def ingesting(
    connection: sqlite3.Connection,
    wire: Wire,
    config: Config = DEFAULTS,
    progress: Progress = lambda _kind, _seen, _whole: None,
    *,
    workers: int = 1,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Ingest]:
    """One run, before it has asked for anything."""
    transport = httpx.MockTransport(wire.handle)
    with (
        StripeApi(
            KEY, transport=transport, now_us=wire.now_us, limiter=Limiter.free()
        ) as api,
        ThreadPool[Any](workers) as threads,
    ):
        yield Ingest(
            connection=connection,
            source=api,
            threads=threads,
            config=config,
            now_us=api.stripe_us,
            progress=progress,
            stopping=stopping,
        )


def sync(
    connection: sqlite3.Connection,
    wire: Wire,
    zone: str = "UTC",
    *,
    full: bool = True,
    workers: int = 1,
) -> tuple[SyncResult, Known]:
    """Bring mirror and ledger up to date, as ``stripe-nrr sync`` does."""
    synced = walk(connection, wire, full=full, workers=workers)
    return synced, settle(connection, wire.now_us() // 1_000_000, zone)


# --- accounts ---

OPENED = instant("2024-01-10T09:00:00")
SEEN = instant("2025-03-20T12:00:00")


@cache
def shop(at_s: int = SEEN) -> SimulatedAccount:
    """A small business after fourteen months: each customer has another life.

    As it is at ``at_s``, which is after its first 200 days.
    """
    acc = Account(OPENED)
    plan = acc.add_product("Plan", unit_label="seat")
    monthly, yearly = (
        acc.add_price(plan, 1_000),
        acc.add_price(plan, 9_900, interval="year"),
    )
    euros = acc.add_price(plan, 800, currency="eur")
    spring = acc.add_coupon("SPRING", percent_off=50, duration="repeating", months=3)
    acc.subscribe(acc.add_customer("Steady"), monthly)
    grows = acc.subscribe(acc.add_customer("Grows"), yearly, quantity=2)
    leaves = acc.subscribe(acc.add_customer("Leaves"), monthly, quantity=3)
    returns = acc.subscribe(acc.add_customer("Returns"), euros)
    acc.advance(OPENED + 40 * DAY)
    acc.subscribe(acc.add_customer("Saves"), monthly, coupon=spring)
    acc.change_quantity(leaves.items[0], 2)
    acc.cancel_now(returns)
    acc.advance(OPENED + 200 * DAY)
    acc.cancel_at_period_end(leaves)
    acc.subscribe(returns.customer, euros, quantity=2)
    if at_s > OPENED + 420 * DAY:
        acc.advance(OPENED + 420 * DAY)
        acc.change_quantity(grows.items[0], 5)  # pending until the renewal
        acc.subscribe(acc.add_customer("Late"), yearly, coupon=spring)
    acc.advance(at_s)
    return SimulatedAccount(acc.snapshot())


@cache
def demo() -> SimulatedAccount:
    return SimulatedAccount.load(bundled_folder())


@cache
def synced_shop() -> Known:
    """What one quiet sync of the shop ends in."""
    with empty_ledger() as connection:
        return sync(connection, Wire(shop(), SEEN))[1]


def demo_now() -> datetime:
    now = demo().now
    assert now is not None
    return now


def demo_now_s() -> int:
    return int(demo_now().timestamp())


@cache
def _walked_demo() -> bytes:
    with empty_ledger() as connection:
        walk(connection, Wire(demo(), demo_now_s()))
        with transaction(connection):  # as `stripe-nrr demo` does
            put_setting(connection, "demo_now", demo_now().isoformat())
        return connection.serialize()


@contextmanager
def walked_demo() -> Iterator[sqlite3.Connection]:
    """A ledger into which the demo was walked, but of which nothing is derived yet."""
    with empty_ledger() as connection:
        connection.deserialize(_walked_demo())
        yield connection


@cache
def _settled_demo() -> bytes:
    with walked_demo() as connection:
        settle(connection, demo_now_s(), "Europe/Berlin")
        return connection.serialize()


@contextmanager
def settled_demo() -> Iterator[sqlite3.Connection]:
    """The demo's ledger, derived in its own zone."""
    with empty_ledger() as connection:
        connection.deserialize(_settled_demo())
        yield connection


def changed(account: SimulatedAccount, kind: str, *things: Json) -> SimulatedAccount:
    """The account with these objects, in place of those with the same ids."""
    kept = {it["id"]: it for it in account.objects.get(kind, ())}
    kept |= {it["id"]: it for it in things}
    return SimulatedAccount(
        {**account.objects, kind: list(kept.values())}, account.facts
    )


def without(account: SimulatedAccount, kind: str, *ids: str) -> SimulatedAccount:
    left = [it for it in account.objects[kind] if it["id"] not in ids]
    return SimulatedAccount({**account.objects, kind: left}, account.facts)
