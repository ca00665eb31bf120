"""A small company's ledger in a folder, its customers and products called as you like."""

import json
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from connector.config import parse
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.commands import Workdir
from tests.support.ledgers import settle
from tests.support.simulator import SimulatedAccount
from tests.support.synced import Wire, walk

CONFIG = """
timezone = "UTC"
[customers]
metadata = ["tier"]
"""
NOW = instant("2026-11-10T12:00:00Z")


@cache
def plain_account() -> str:
    """One who grows, one who leaves, one who will."""
    made = Account(instant("2026-01-10T09:00:00Z"), seed=7)
    price = made.add_price(made.add_product("Team"), 1500)
    other = made.add_price(made.add_product("Other"), 900)
    grows = made.subscribe(made.add_customer("Grows"), [(price, 4)])
    leaves = made.subscribe(made.add_customer("Leaves"), [(price, 10)])
    stays = made.subscribe(made.add_customer("Stays"), [(other, 1)])
    made.advance(instant("2026-03-20T10:00:00Z"))
    made.change_quantity(grows.items[0], 6)
    made.cancel_at_period_end(leaves)
    made.advance(NOW)
    made.cancel_at_period_end(stays)
    return json.dumps(made.snapshot())


GROWS = json.loads(plain_account())["customers"][0]["id"]


def account(name: str) -> Mapping[str, Any]:
    """All customers and products of it called so, and their metadata saying so."""
    shown: Mapping[str, Any] = json.loads(plain_account())
    for customer in shown["customers"]:
        customer["name"] = name
        customer["metadata"] = {"tier": name}
    for product in shown["products"]:
        product["name"] = name
    return shown


def lay_out(folder: Path, name: str = "Plain") -> Workdir:
    """The ledger as one sync leaves it, and a configuration beside it."""
    return lay_out_of(folder, account(name))


def lay_out_of(folder: Path, shown: Mapping[str, Any], text: str = CONFIG) -> Workdir:
    """The same of any account."""
    workdir = Workdir(folder).configure(text)
    config = parse(text, {})
    with closing(open_database(workdir.ledger, create=True)) as connection:
        wire = Wire(SimulatedAccount(shown), NOW)
        walk(connection, wire, config)
        settle(connection, NOW)
    return workdir
