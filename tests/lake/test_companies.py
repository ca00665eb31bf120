"""Customers that are one company, and several accounts, are in the lake as in ledgers."""

import random
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from connector.config import Config
from connector.core.account import StripeIdentity
from connector.core.dates import instant
from connector.core.policy import CompanyRule, Policy, Rules
from connector.lake import duckdb
from connector.lake.parquet import Row
from connector.lake.run import Prepared, prepared, write_run
from connector.lake.source import sources_in
from connector.store.account import belong_to
from connector.store.database import put_setting, transaction
from connector.store.mirror import objects
from connector.store.mirror.event_feed import events_were_read
from connector.stripe_api.decoding import decode
from connector.stripe_api.objects import Customer
from tests.support.accounts import several
from tests.support.companies import KEY, belong
from tests.support.lakes import Rows, export, mirrored, rows_in, rows_of
from tests.support.ledgers import empty_ledger, settle
from tests.support.synced import SEEN, Wire, demo_now_s, shop, walk, walked_demo

ZONE = "Europe/Berlin"
US = 1_000_000
NOW_S = demo_now_s() + 10
Fill = Callable[[Prepared], Callable[[Path], None]]


class Grouped(NamedTuple):
    """What ledgers have, and a folder with all that is in their mirrors."""

    rows: Rows
    folder: Path
    rules: Rules


def rules_of(company: CompanyRule, merge: dict[str, str] | None = None) -> Rules:
    return Rules(
        policy=Policy(),
        zone=ZoneInfo(ZONE),
        code_version="t",
        merge=merge or {},
        company=company,
    )


def names(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT id FROM stripe_customers ORDER BY id"
    return [key for (key,) in connection.execute(query)]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Grouped:
    """The demo's customers: companies by metadata and pairs, chains, a circle, merges."""
    folder = tmp_path_factory.mktemp("grouped")
    drawn = random.Random(18)
    with walked_demo() as connection:
        everybody = names(connection)
        a, b, c, d, e, f, g, h, i, *others = everybody
        own = an_account_of(connection, others[50])
        company_of = {each: f"Größe {drawn.randrange(8)}'s" for each in others[:40]}
        company_of |= {a: b, b: " Acme\t", c: d, d: e, e: c, f: f, g: f, h: "left"}
        merge = {"left": i, others[41]: others[42], others[43]: a}
        company_of |= {others[41]: "Nobody's", others[42]: "Acme", others[51]: own}
        pairs = {others[0]: "Acme", others[44]: others[45], "cus_unknown": "Acme"}
        belong(connection, company_of, (NOW_S - 1) * US)
        rule = CompanyRule(key=KEY, pairs=pairs)
        settle(connection, NOW_S, ZONE, merge=merge, company=rule)
        source = folder / "Grö ße's [x] *`"  # what a shell or a pattern would read
        export(mirrored(connection), source, NOW_S)
        rows = {
            table: sorted(own, key=repr) for table, own in rows_in(connection).items()
        }
    return Grouped(rows, source, rules_of(rule, merge))


def an_account_of(connection: sqlite3.Connection, customer: str) -> str:
    """Stripe shows the customer with an Account that it is, too."""
    query = "SELECT body FROM stripe_customers WHERE id = ?"
    [body] = connection.execute(query, [customer]).fetchone()
    account = "acct_1OfACustomer"
    shown = replace(decode(body, Customer), customer_account=account)
    with transaction(connection):
        objects.put(connection, "customers", [shown], (NOW_S - 2) * US)
    return account


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Grouped:
    """Three accounts: the demo; a shop; the same ids again, whose prices sell otherwise.

    The two shops have one company in common with the demo, and a customer that was merged
    into one of the other's; all other ids of the shops are two customers each.
    """
    folder = tmp_path_factory.mktemp("apart")
    rule = CompanyRule(key=KEY, pairs={})
    with walked_demo() as demo, empty_ledger() as one, empty_ledger() as two:
        for connection in (one, two):
            walk(connection, Wire(shop(), SEEN))
        first, second, third, fourth, *_ = names(one)
        merge = {third: fourth}
        belong(demo, dict.fromkeys(names(demo)[:3], "Parent"), (NOW_S - 1) * US)
        belong(one, {first: "Parent", second: first}, (NOW_S - 1) * US)
        belong(two, {second: "Parent"}, (NOW_S - 1) * US)
        two.execute(
            "UPDATE stripe_products SET body = CAST(json_set("
            "CAST(body AS TEXT), '$.name', 'Other ' || id) AS BLOB)"
        )
        ledgers = {"demo": demo, "shop": one, "zweig": two}
        for name, connection in ledgers.items():
            with transaction(connection):
                events_were_read(connection, NOW_S * US)
                put_setting(connection, "account", "own")
                belong_to(
                    connection, StripeIdentity(id=f"acct_1{name}", livemode=False)
                )
            settle(connection, NOW_S, ZONE, merge=merge, company=rule)
            export(mirrored(connection), folder / "source" / name, NOW_S)
            connection.execute("VACUUM INTO ?", [str(folder / f"{name}.db")])
    config = Config(company=f"metadata:{KEY}", merge=merge)
    with several(folder, list(ledgers), config) as ledger:
        rows = {
            table: sorted(own, key=repr)
            for table, own in rows_in(ledger.connection).items()
        }
    return Grouped(rows, folder / "source", rules_of(rule, merge))


def run(told: Grouped, out: Path, fill: Fill) -> Path:
    given = prepared(sources_in(told.folder), told.rules)
    return write_run(out, given, "of the tests", instant(0), fill(given))


def on_duckdb(processes: int) -> Fill:
    return lambda given: partial(duckdb.fill, given, processes)


@pytest.mark.parametrize("processes", [1, 2])
def test_companies_are_the_ledgers(
    grouped: Grouped, tmp_path: Path, processes: int
) -> None:
    check_companies(grouped, tmp_path, on_duckdb(processes))


def check_companies(grouped: Grouped, out: Path, fill: Fill) -> None:
    found = rows_of(run(grouped, out, fill))
    assert {"Acme", "Größe 1's"} <= {row[0] for row in found["movements"]}
    for table, rows in grouped.rows.items():
        assert found[table] == rows, table


def test_several_accounts_are_the_ledgers_added_up(
    apart: Grouped, tmp_path: Path
) -> None:
    check_accounts(apart, tmp_path, on_duckdb(1))


def check_accounts(apart: Grouped, out: Path, fill: Fill) -> None:
    found = rows_of(run(apart, out, fill))
    who = {row[0] for row in found["movements"]}
    assert "Parent" in who
    assert {each.split("/")[0] for each in who if "/" in each} == {"shop", "zweig"}
    for table, rows in apart.rows.items():
        assert without_accounts(found[table]) == without_accounts(rows), table


def without_accounts(rows: Iterable[Row]) -> list[Row]:
    """Of an id that one account has, and another one counts elsewhere, the lake says so
    without the account's name."""
    return sorted(((row[0].split("/")[-1], *row[1:]) for row in rows), key=repr)
