"""A customer who asked to be erased: no byte of its name is left, and no figure moves."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector.store.opening import open_database
from connector.store.schema import MIGRATIONS
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.all_forms import all_told, read_file
from tests.support.commands import Ran, Workdir
from tests.support.loopback import Served, serving
from tests.support.served import PORTS, ServingWorkdir, serve, webhook
from tests.support.simulator import SimulatedAccount
from tests.support.site import site_of
from tests.support.small_ledger import GROWS

NAME, SECTOR, OTHER = "Ottilie Unvergessen", "Beekeeping and Honey", "Plain Works"
CONFIG = """
timezone = "UTC"
[customers]
metadata = ["sector"]
"""


def shop(name: str = NAME) -> tuple[SimulatedAccount, str]:
    """Two customers, the first of them named so; and its id."""
    account = Account(instant("2026-01-10T09:00:00Z"), seed=5)
    team = account.add_price(account.add_product("Team"), 1500)
    asked, stays = account.add_customer(name), account.add_customer(OTHER)
    for customer in (asked, stays):
        account.subscribe(customer, [(team, 4)])
    account.advance(instant("2026-03-05T12:00:00Z"))
    objects: dict[str, Any] = dict(account.snapshot())
    objects["customers"] = [_told(each, asked.id) for each in objects["customers"]]
    return SimulatedAccount(objects), asked.id


def _told(customer: Mapping[str, Any], asked: str) -> dict[str, Any]:
    is_asked = customer["id"] == asked
    return {**customer, "metadata": {"sector": SECTOR if is_asked else "Steel"}}


@pytest.fixture
def stripe() -> Iterator[Served]:
    with serving(shop()[0]) as served:
        yield served


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served) -> Workdir:
    workdir = Workdir(tmp_path, stripe.url).configure(CONFIG)
    done(workdir.call("sync"))
    return workdir


def done(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    return ran


def holding(folder: Path, *texts: str) -> list[str]:
    """The files in which any of these stands, however it is stored."""
    return [
        each.name
        for each in sorted(folder.iterdir())
        if each.is_file() and any(text.encode() in each.read_bytes() for text in texts)
    ]


def figures(workdir: Workdir) -> Any:
    return done(workdir.call("report", "--format", "json")).json["currencies"]


def test_nothing_is_left_and_no_figure_moves(workdir: Workdir) -> None:
    asked = shop()[1]
    before = figures(workdir)
    assert holding(workdir.folder, NAME, SECTOR) == ["stripe-nrr.db"]
    ran = done(workdir.call("forget", asked, "--format", "json"))
    assert (ran.json["customers"], ran.json["named"]) == ([asked], 1)
    assert holding(workdir.folder, NAME, SECTOR) == []
    assert figures(workdir) == before
    assert OTHER in done(workdir.call("movements")).out
    assert asked in done(workdir.call("movements")).out
    done(workdir.call("check"))


def test_what_an_earlier_version_repeated_of_it_goes_too(workdir: Workdir) -> None:
    """The odd values of its objects, and what failed events say of them."""
    asked = shop()[1]
    with closing(sqlite3.connect(workdir.ledger)) as db, db:
        query = "SELECT id FROM stripe_subscriptions WHERE customer = ?"
        [subscription] = db.execute(query, [asked]).fetchone()
        for kind, key, owner in (
            ("subscriptions", subscription, ""),  # of which only the mirror knows
            ("invoices", "in_odd", asked),
            ("customers", "cus_other", "cus_other"),
        ):
            odd = (kind, key, owner, "", "status", NAME if owner != key else OTHER, 1)
            db.execute(
                "INSERT INTO set_aside (kind, id, customer, subscription, field,"
                " value, fetched_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                odd,
            )
            names, error = json.dumps([[kind, key]]), f"{key}: status is {odd[5]}"
            db.execute(
                "INSERT INTO inbox (event, type, names, received_us, state, tries,"
                " due_us, settled_us, error) VALUES (?, 'x', ?, 1, 'dead', 9, 1, 1, ?)",
                [f"evt_{key}", names, error],
            )
    assert NAME in workdir.call("inbox").out
    assert NAME in workdir.call("check").out
    done(workdir.call("forget", asked))
    assert holding(workdir.folder, NAME) == []
    for command in ("inbox", "check"):
        told = workdir.call(command)
        assert NAME not in told.out
        assert "not shown any more" in told.out
        assert f"status is {OTHER}" in told.out


def test_it_is_a_run_of_its_own(workdir: Workdir) -> None:
    asked = shop()[1]
    number = done(workdir.call("forget", asked, "--format", "json")).json["run"]
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        runs = connection.execute("SELECT id, cause FROM runs ORDER BY id").fetchall()
        kept = connection.execute("SELECT customer, run FROM forgotten").fetchall()
    assert runs[-1] == (number, "manual")
    assert kept == [(asked, number)]


@pytest.mark.parametrize("words", [["--full"], []])
def test_it_stays_forgotten_whatever_stripe_shows(
    workdir: Workdir, stripe: Served, words: list[str]
) -> None:
    asked = shop()[1]
    done(workdir.call("forget", asked))
    stripe.account = shop("Ottilie Wiedergefunden")[0]
    synced = done(workdir.call("sync", *words, "--format", "json"))
    assert synced.json["movements"] == synced.json["retractions"] == 0
    assert holding(workdir.folder, NAME, SECTOR, "Wiedergefunden") == []
    done(workdir.call("recompute"))
    done(workdir.call("check"))
    again = done(workdir.call("forget", asked, "--format", "json"))
    assert again.json["named"] == 0


def test_a_backup_that_is_put_back_brings_it_no_more(workdir: Workdir) -> None:
    asked = shop()[1]
    done(workdir.call("backup", "copy.db"))
    done(workdir.call("forget", asked))
    done(workdir.call("restore", "copy.db"))
    (workdir.folder / "copy.db").unlink()
    assert holding(workdir.folder, NAME, SECTOR) == []
    done(workdir.call("check"))


def test_all_ids_of_a_customer_are_forgotten(workdir: Workdir) -> None:
    asked = shop()[1]
    workdir.configure(f'{CONFIG}merge = {{{asked} = "cus_new"}}\n')
    done(workdir.call("recompute"))
    done(workdir.call("forget", "cus_new"))
    assert holding(workdir.folder, NAME, SECTOR) == []


# --- Accounts as customers ---

ACCOUNT = "acct_1Customer"


def by_account(
    account: SimulatedAccount, asked: str, *, linked: bool
) -> SimulatedAccount:
    """Its subscriptions and invoices name an Account; its customer does if ``linked``."""
    named = {"customer": None, "customer_account": ACCOUNT}
    objects = {
        kind: [it | named if it.get("customer") == asked else it for it in things]
        for kind, things in account.objects.items()
    }
    if linked:
        objects["customers"] = [
            it | {"customer_account": ACCOUNT if it["id"] == asked else None}
            for it in objects["customers"]
        ]
    return SimulatedAccount(objects)


@pytest.mark.parametrize("said", ["the Account", "the customer"])
def test_an_account_is_forgotten_with_its_customer(
    workdir: Workdir, stripe: Served, said: str
) -> None:
    account, asked = shop()
    stripe.account = by_account(account, asked, linked=True)
    done(workdir.call("sync", "--full"))
    before = figures(workdir)
    word = ACCOUNT if said == "the Account" else asked
    ran = done(workdir.call("forget", word, "--format", "json"))
    assert (set(ran.json["customers"]), ran.json["named"]) == ({ACCOUNT, asked}, 1)
    assert holding(workdir.folder, NAME, SECTOR) == []
    stripe.account = by_account(shop(ELSEWISE)[0], asked, linked=True)
    done(workdir.call("sync", "--full"))
    assert holding(workdir.folder, NAME, SECTOR, "Wiedergefunden") == []
    assert figures(workdir) == before


@pytest.mark.parametrize("first", ["the customer", "an invoice"])
def test_whose_account_is_forgotten_is_so_once_that_is_known(
    tmp_path: Path, stripe: Served, first: str
) -> None:
    """Nothing had named both when it was asked; a customer then comes without a name."""
    account, asked = shop()
    apart = by_account(account, asked, linked=False)
    only = [it for it in apart.objects["customers"] if it["id"] != asked]
    is_new = first == "the customer"
    known = {**apart.objects, "customers": only} if is_new else apart.objects
    stripe.account = SimulatedAccount(known)
    workdir = Workdir(tmp_path, stripe.url).configure(CONFIG)
    done(workdir.call("sync"))
    ran = done(workdir.call("forget", ACCOUNT, "--format", "json"))
    assert ran.json["customers"] == [ACCOUNT]
    if is_new:
        stripe.account = by_account(account, asked, linked=True)
    else:
        invoices = apart.objects["invoices"]
        owned = next(it for it in invoices if it["customer_account"] == ACCOUNT)
        both = [it | {"customer": asked} if it is owned else it for it in invoices]
        stripe.account = SimulatedAccount({**apart.objects, "invoices": both})
    done(workdir.call("sync", "--full"))
    with closing(sqlite3.connect(workdir.ledger)) as db:
        db.execute("VACUUM")  # a page that is not used any more may hold what was there
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        gone = {each for (each,) in db.execute("SELECT customer FROM forgotten")}
    assert gone == {ACCOUNT, asked}
    assert holding(workdir.folder, NAME, SECTOR) == []


def test_who_was_never_seen_is_named(workdir: Workdir) -> None:
    ran = workdir.call("forget", "cus_nobody")
    assert ran.code == 1
    assert "nothing was ever stored of customer 'cus_nobody'" in ran.err


# --- everywhere, and whatever comes later ---

ELSEWISE = "Ottilie Wiedergefunden"


def told_everywhere(workdir: Workdir, asked: str) -> list[str]:
    """In which forms, and files of the folder, the customer's name or metadata stands."""
    instead = {GROWS: asked, "metadata:tier": "metadata:sector"}
    told = [*all_told(workdir, instead, ("forget", "reconcile")), *lake(workdir)]
    found = [
        name
        for name, made in told
        if any(text.encode() in made for text in (NAME, SECTOR, "Wiedergefunden"))
    ]
    return found + holding(workdir.folder, NAME, SECTOR, "Wiedergefunden")


def lake(workdir: Workdir) -> Iterator[tuple[str, bytes]]:
    done(workdir.call("export", "--what", "mirror", "-o", "mirror"))
    done(workdir.call("lake", "mirror", "lake"))
    for path in sorted(workdir.folder.rglob("*.parquet")):
        yield str(path), read_file(path)


def test_a_name_is_in_no_form_and_stays_away(tmp_path: Path, stripe: Served) -> None:
    """Whatever comes: syncs, a full walk, a webhook, an older backup, another name."""
    workdir = ServingWorkdir(tmp_path, stripe.url)
    workdir.configure(f"{CONFIG}{PORTS}")
    asked = shop()[1]
    done(workdir.call("sync"))
    done(workdir.call("note", "2026-02", f"{NAME} grew", "--customer", asked))
    (tmp_path / "older").mkdir()
    done(workdir.call("backup", "older/copy.db"))
    assert {"movements --format csv", "/customers html", "stripe-nrr.db"} <= {
        *told_everywhere(workdir, asked)
    }
    done(workdir.call("forget", asked))
    shutil.rmtree(tmp_path / "lake")
    (tmp_path / "copy.db").unlink()
    assert told_everywhere(workdir, asked) == []
    stripe.account = shop(ELSEWISE)[0]
    done(workdir.call("sync"))
    done(workdir.call("sync", "--full"))
    with serve(workdir) as server:
        thing = {"id": asked, "object": "customer", "name": ELSEWISE}
        assert server.send(webhook("customer.updated", thing)) == 200
        server.settle()
        pages = [server.client.get(f"{server.admin}/customers").text]
        assert server.stop() == 0
    assert "Ottilie" not in "".join(pages)
    done(workdir.call("restore", "older/copy.db", "--despite", "an older one is tried"))
    done(workdir.call("recompute"))
    assert told_everywhere(workdir, asked) == []
    done(workdir.call("check"))


def test_a_dashboard_that_runs_forgets_too(workdir: Workdir) -> None:
    """What it has read before the customer was forgotten it shows no more."""
    asked = shop()[1]
    with site_of(workdir.folder) as site:
        paths = ("/customers", f"/customer/{asked}", "/customers.csv")
        assert all(NAME in site.get(path).text for path in paths)
        done(workdir.call("forget", asked))
        assert not any(NAME in site.get(path).text for path in paths)


# --- an upgrade, and the way back ---


def older(path: Path) -> None:
    """The ledger as a version without the newest table left it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP TABLE forgotten;"
            "DELETE FROM _sqlite_migrations WHERE name = 'm016_forgotten'"
        )


def test_the_ledger_is_kept_once_as_it_was_before_its_schema_changes(
    workdir: Workdir,
) -> None:
    kept = workdir.folder / "stripe-nrr.db.before-m016_forgotten"
    assert not kept.exists(), "a new ledger has nothing to go back to"
    before = figures(workdir)
    older(workdir.ledger)
    done(workdir.call("recompute"))
    assert kept.stat().st_mode & 0o777 == 0o600
    first = kept.read_bytes()
    older(workdir.ledger)
    done(workdir.call("recompute"))
    assert kept.read_bytes() == first
    with closing(sqlite3.connect(kept)) as connection:
        rows = connection.execute("SELECT name FROM _sqlite_migrations").fetchall()
    assert {name for (name,) in rows} == set(MIGRATIONS) - {"m016_forgotten"}
    done(workdir.call("restore", kept.name))
    assert figures(workdir) == before


def test_a_ledger_of_today_is_not_copied(workdir: Workdir) -> None:
    open_database(workdir.ledger).close()
    assert [each.name for each in workdir.folder.glob("*.before-*")] == []
