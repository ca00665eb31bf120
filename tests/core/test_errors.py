"""Every message with which this package gives up, provoked and kept in gallery.txt.

Read gallery.txt as an operator would: does it say what is wrong and what to do? After a
change of words, ``pytest --accept`` writes it anew; git shows the difference.
"""

import ast
import json
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest

import connector
from connector import config
from connector.assistants import tools as assistants_tools
from connector.cli.app import stripe_nrr
from connector.cli.commands.ledger import config as config_command
from connector.cli.out_files import check_folder
from connector.core import errors
from connector.core.account import StripeIdentity
from connector.core.dates import instant
from connector.core.errors import ConnectorError, NothingFound, Unvalued
from connector.core.language import speaking
from connector.core.messages import spoken
from connector.core.policy import Policy, Rules
from connector.dashboard.answer import PageRequest
from connector.dashboard.app import PAGES
from connector.dashboard.ledger_reader import LedgerReader
from connector.dashboard.query import query_of
from connector.dashboard.responses import never_synced, no_page, no_workbook, unreadable
from connector.pipeline import bundled_account, held_ledger
from connector.pipeline.policy_change import adopt, zone_of
from connector.pipeline.recompute import recompute
from connector.store.account import belong_to
from connector.store.backups import back_up
from connector.store.database import put_setting, setting, snapshot, transaction
from connector.store.ledger import queries
from connector.store.lock import exclusive_sync, lock_state
from connector.store.mirror.event_feed import events_were_read
from connector.store.opening import open_database
from connector.store.read_only import check_unchanged, open_to_read
from connector.store.restores import restore
from connector.store.schema import MIGRATIONS
from connector.stripe_api import credentials
from connector.stripe_api.client import StripeApi
from connector.stripe_api.decoding import StripeAccount
from connector.stripe_api.rate_limit import Limiter
from connector.webhooks import admin_access, server
from tests.pipeline.test_recompute import EVERYBODY, TOO_EARLY_S, poison
from tests.support import accounts, broken_lakes
from tests.support.books import key_of, lived, post
from tests.support.ledgers import empty_ledger
from tests.support.loopback import serving
from tests.support.simulator import SimulatedAccount
from tests.support.synced import SEEN, Wire, shop, walk

GALLERY = Path(__file__).with_name("gallery.txt")
GERMAN = Path(__file__).with_name("gallery_de.txt")
PACKAGE = Path(connector.__file__).parent
KEY = "rk_live_51AbCdEfGhIjKlMnOpQrStUv"
NOBODY = 65534
Provoked = Callable[[], object]


# --- how errors are provoked: each in an empty folder of its own ---


def command(*words: str) -> None:
    """Run a command on the ledger in this folder."""
    stripe_nrr.main([*words], prog_name="stripe-nrr", standalone_mode=False)


def configured(text: str, *words: str) -> None:
    Path("config.toml").write_text(text, encoding="utf-8")
    command(*words)


def opened(content: bytes | None) -> None:
    path = Path("ledger.db")
    if content is not None:
        path.write_bytes(content)
    open_database(path).close()


def opened_with_an_old_sqlite() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connector.store.opening.SQLITE_VERSION", (3, 37, 2))
        opened(None)


def database(script: str) -> bytes:
    """The file of a ledger to which this was done from outside."""
    with empty_ledger() as connection:
        connection.executescript(script)
        return connection.serialize()


def foreign() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE dogs (name)")
        return connection.serialize()


def damaged() -> bytes:
    content = database("")
    return content[:100] + b"\xff" * 3_996 + content[4_096:]


NEWER = """
    INSERT INTO _sqlite_migrations (migration_set, name, applied_at)
    VALUES ('stripe-nrr', 'm900_teleport', 'tomorrow')
"""


def locked_twice() -> None:
    path, who = Path("ledger.db"), "another sync (process 7 on nrr, since today)"
    with exclusive_sync(path, who), exclusive_sync(path):
        pass


def locked(content: str) -> None:
    Path("ledger.db.lock").write_text(content)
    with exclusive_sync(Path("ledger.db")):
        pass


def locked_nowhere() -> None:
    with exclusive_sync(Path("missing/ledger.db")):
        pass


def answered(
    status: int,
    body: object,
    base: str = "https://api.stripe.com",
    kind: str = "application/json",
) -> None:
    """Ask for customers; Stripe answers always the same."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": kind}
    asked(lambda _: httpx.Response(status, content=content, headers=headers), base)


def said(status: int, message: str) -> None:
    answered(status, {"error": {"message": message}})


def asked(answer: Callable[[httpx.Request], httpx.Response], base: str) -> None:
    transport = httpx.MockTransport(answer)
    free = Limiter.free()
    with StripeApi(
        KEY, base, transport=transport, sleep=lambda _: None, limiter=free
    ) as api:
        list(api.pages("customers"))


def answered_for(stripe_account: str, *, header: str = "") -> None:
    """Ask whose the key is; another account answers."""
    body = {"id": "acct_1Other", "object": "account"}
    headers = {"Content-Type": "application/json"}
    if header:
        headers["Stripe-Account"] = header
    content = json.dumps(body).encode()
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=content, headers=headers)
    )
    with StripeApi(
        KEY, transport=transport, limiter=Limiter.free(), stripe_account=stripe_account
    ) as api:
        api.identity()


def no_access() -> None:
    body = {"error": {"message": "No access.", "code": "account_invalid"}}
    transport = httpx.MockTransport(lambda _: httpx.Response(403, json=body))
    with StripeApi(
        KEY, transport=transport, limiter=Limiter.free(), stripe_account="acct_1Uk"
    ) as api:
        api.identity()


def stopped() -> None:
    with Limiter().turn("/v1/customers", stopping=lambda: True):
        pass


def unreachable(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("Connection refused")


def posted(currency: str) -> None:
    with empty_ledger() as connection:
        post(connection, lived("cus_1", "50", currency))


def read_after(change: str) -> None:
    with empty_ledger() as connection:
        post(connection, lived("cus_1", "50"))
        connection.executescript(change)
        list(queries.movements(connection))


def not_bundled() -> None:
    """As in an installation from which the demo's folder is missing."""
    here = bundled_account.__file__
    bundled_account.__file__ = str(Path.cwd() / "connector" / "pipeline" / "it.py")
    try:
        bundled_account.bundled_folder()
    finally:
        bundled_account.__file__ = here


def loaded(facts: str) -> None:
    Path("account.json").write_text(facts)
    bundled_account.load_account(Path())


def keyed(**environ: str) -> None:
    credentials.stripe_key(environ)


def let_in(name: str | None, content: str = "", mode: int = 0) -> None:
    path = Path(name) if name is not None else None
    if path is not None and content:
        path.write_text(content)
        path.chmod(mode)
    admin_access.admin_token(path, config.ListenAddress("0.0.0.0", 8481))  # noqa: S104


def keyed_by_file(content: str | None) -> None:
    """An account's own key_file."""
    if content is not None:
        Path("uk.key").write_text(content)
    credentials.stripe_key({}, Path("uk.key"))


def keyed_from(content: str) -> None:
    Path("key").write_text(content)
    keyed(STRIPE_API_KEY_FILE="key")


def converted(*rates: str) -> None:
    """A report in another currency, with this file of rates."""
    text = '[reporting]\ncurrency = "eur"\nrates = "rates.csv"'
    Path("config.toml").write_text(text)
    if rates:
        Path("rates.csv").write_text("\n".join(rates))
    with_ledger("report", "--to", "2024-03")


TWO_ACCOUNTS = """
[[account]]
name = "de"
key_file = "de.key"
[[account]]
name = "uk"
key_file = "uk.key"
database = "uk.db"
"""
PARQUET = ("export", "--what", "mrr", "--format", "parquet")


def reconciled(content: bytes | None) -> None:
    """Another tool's file, held to that ledger."""
    if content is not None:
        Path("theirs.csv").write_bytes(content)
    with_ledger("reconcile", "theirs.csv")


def without(library: str, *words: str) -> None:
    """A command where a library is not installed, and nothing imported that has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connector, "lake", None, raising=False)
        patch.setitem(sys.modules, library, None)
        rooms = ("connector.lake", "connector.assistants")
        for module in [m for m in sys.modules if m.startswith(rooms)]:
            patch.delitem(sys.modules, module)
        with_ledger(*words)


def over_a_copy() -> None:
    open_database(Path("copy.db"), create=True).close()
    with_ledger("report", "-o", "copy.db")


def two_accounts(*words: str, rule: str = "counts") -> None:
    """A command on the ledgers of two accounts; the second has its own rule of pauses."""
    for name, value in (("de", "counts"), ("us", rule)):
        book = accounts.Book({"a": lived(f"cus_{name}", "50 90")})
        rules = {**accounts.RULES, "pause_collection": value}
        accounts.write(Path(f"{name}.db"), [book], rules=rules)
    of_two(*words)


def of_two(*words: str) -> None:
    tables = (
        f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\nkey_file = "{name}.key"'
        for name in ("de", "us")
    )
    configured("\n".join(tables), *words)


def of_whom(de: StripeIdentity, us: StripeIdentity) -> None:
    """A report of two accounts that turn out to be these."""
    for name, whose in (("de", de), ("us", us)):
        book = accounts.Book({"a": lived(f"cus_{name}", "50 90")})
        accounts.write(Path(f"{name}.db"), [book])
        with closing(open_database(Path(f"{name}.db"))) as connection:
            belong_to(connection, whose)
    of_two("report")


def page_of_two(url: str) -> None:
    """A page of the dashboard on the ledgers of two accounts."""
    two_accounts("movements")
    known = config.parse(Path("config.toml").read_text(encoding="utf-8"), {})
    several = config.accounts_of(known)
    with (
        closing(LedgerReader(known, lambda: instant(SEEN), several)) as reader,
        reader.reading() as reading,
    ):
        found = PAGES[urlsplit(url).path.strip("/")]
        pairs = parse_qsl(urlsplit(url).query)
        query = query_of(pairs, found.known, reading.ledger.zone)
        found.answer(PageRequest(reading=reading, query=query, path=url))


def one_of_two_is_empty() -> None:
    for name in ("de", "us"):
        open_database(Path(f"{name}.db"), create=True).close()
    of_two("report")


def lake_of_two_zones() -> None:
    zones = ('"timezone": "Europe/Berlin"', '"timezone": "America/New_York"')
    command("lake", str(broken_lakes.lay_out_two(*zones)), "lake")


def lake_of_companies() -> None:
    broken_lakes.lay_out_broken_history()
    text = '[customers]\naccount = "metadata:parent"'
    configured(text, "lake", "mirror", "lake")


def paired(text: str | None) -> None:
    """A file of customers and their companies, or none."""
    if text is not None:
        Path("pairs.csv").write_text(text, encoding="utf-8")
    configured('[customers]\naccount_file = "pairs.csv"', "report")


RUN_OF_BEFORE = """{
  "schema": 1, "started_at": "2026-11-02T06:00:00Z", "engine": "duckdb",
  "code_version": "1.0", "policy": {"timezone": "UTC"},
  "known_until": "2026-11-02T06:00:00Z", "source_shape": "mirror", "accounts": [],
  "rows": {}
}"""


def of_run_of_before(*words: str) -> None:
    place = Path("lake", "run-20261102T060000Z")
    place.mkdir(parents=True)
    (place / "run.json").write_text(RUN_OF_BEFORE, encoding="utf-8")
    command("report", "--lake", "lake", *words)


def lake_of_broken() -> None:
    broken_lakes.lay_out_broken_history()
    command("lake", "mirror", "lake")


def compared(text: str | None) -> None:
    """A report beside this file of benchmarks."""
    Path("config.toml").write_text('[reporting]\nbenchmarks = "benchmarks.toml"')
    if text is not None:
        Path("benchmarks.toml").write_text(text)
    with_ledger("report", "--to", "2024-03")


def kept_in_a_file() -> None:
    Path("file").touch()
    command("demo", "--keep", "file")


def a_folder_as_a_ledger() -> None:
    Path("stripe-nrr.db").mkdir()
    command("report")


def backed_up_of_one() -> None:
    Path("copy-de.db").touch()
    of_two("restore", "copy.db", "--account", "de")


def into_a_folder_of_others() -> None:
    Path.cwd().chmod(0o755)
    Path("theirs").mkdir(mode=0o555)
    is_root = os.geteuid() == 0
    if is_root:  # who may write anywhere
        os.seteuid(NOBODY)
    try:
        check_folder(Path("theirs/report.csv"))
    finally:
        if is_root:
            os.seteuid(0)


def with_ledger(
    *words: str, walked: bool = True, account: str = "", zoned: bool = True
) -> None:
    """A command on a ledger that holds two customers of one name."""
    with closing(open_database(Path("stripe-nrr.db"), create=True)) as connection:
        if zoned:
            adopt(connection, RULES)
        if walked:
            walk(connection, Wire(shop(), SEEN))
            post(connection, [*lived("cus_1", "50"), *lived("cus_2", "60")])
            for number in (1, 2):
                key_of(connection, f"cus_{number}", f"Ada {number}", None)
        if account:
            put_setting(connection, "account", account)
    command(*words)


def note_forgotten() -> None:
    with_ledger("forget", "cus_1", "--format", "json")
    command("note", "2024-01", "so", "--customer", "cus_1")


def page(url: str, *, is_empty: bool = False) -> None:
    """A page of the dashboard on that ledger, or on one in which nobody ever paid."""
    with suppress(NothingFound):  # of an empty one there are no movements
        with_ledger("movements", "--format", "csv", walked=not is_empty)
    with closing(open_database(Path("stripe-nrr.db"))) as connection:
        events_were_read(connection, SEEN * 1_000_000)
    file = Path("config.toml")
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    known = config.parse(text, {})
    asked = urlsplit(url)
    name, _, key = asked.path.strip("/").partition("/")
    with (
        closing(LedgerReader(known, lambda: instant(SEEN))) as reader,
        reader.reading() as reading,
    ):
        found = PAGES[name or "overview"]
        query = query_of(parse_qsl(asked.query), found.known, reading.ledger.zone)
        answer = found.answer(
            PageRequest(reading=reading, query=query, path=asked.path, key=key)
        )
        answer.json()


def tool(name: str, arguments: Mapping[str, Any], *, names: bool = True) -> None:
    """What an assistant asks for, on that ledger."""
    with suppress(NothingFound):
        with_ledger("movements", "--format", "csv")
    with closing(open_database(Path("stripe-nrr.db"))) as connection:
        events_were_read(connection, SEEN * 1_000_000)
    known = config.parse("", {})
    with closing(LedgerReader(known, lambda: instant(SEEN))) as reader:
        assistants_tools.call(reader, name, arguments, names=names)


def of_many_in_a_workbook() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connector.render.workbook.window.ROWS", 0)
        with_ledger("report", "--format", "xlsx", "-o", "nrr.xlsx")


def of_an_owner(*words: str) -> None:
    Path("config.toml").write_text('[customers]\nowner = "metadata:csm"\n')
    with_ledger(*words)


def in_what_others_pay() -> None:
    with_ledger("movements", "--format", "csv")
    with closing(open_database(Path("stripe-nrr.db"))) as connection:
        post(connection, lived("cus_3", "70", "eur"))
    command("movements", "--segment", "currency=EUR", "--currency", "usd")


def in_total_by_page() -> None:
    rates = "date,currency,rate\n2024-02-01,usd,1.1\n"
    Path("rates.csv").write_text(rates, encoding="utf-8")
    text = '[reporting]\ncurrency = "eur"\nrates = "rates.csv"\n'
    Path("config.toml").write_text(text, encoding="utf-8")
    page("/window?window=2024-02&currency=total&by=country&segment=US")


def older() -> bytes:
    """Without its last migration."""
    return database(
        "DELETE FROM _sqlite_migrations"
        " WHERE id = (SELECT max(id) FROM _sqlite_migrations)"
    )


def page_of_many(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("connector.dashboard.pages.movements.MOST_EXPORTED", 0)
        page(url)


def read_by_page(content: bytes | None) -> None:
    if content is not None:
        Path("stripe-nrr.db").write_bytes(content)
    with (
        closing(LedgerReader(config.parse("", {}), lambda: instant(SEEN))) as reader,
        reader.reading(),
    ):
        pass


def raised(error: ConnectorError) -> None:
    raise error


@contextmanager
def environment(**given: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def syncing(*, into: str = "stripe-nrr.db", of: str = "") -> None:
    """``sync`` with a Stripe on this machine that refuses nothing."""
    Path("config.toml").write_text(f'database = "{into}"')
    with (
        serving(shop()) as stripe,
        environment(STRIPE_API_KEY=stripe.key, STRIPE_API_BASE=stripe.url),
    ):
        with_ledger("sync", "-q", walked=False, account=of)


def synced_before(account: str, *, livemode: bool) -> None:
    """``sync`` into a ledger of that account, with a test key of another."""
    with closing(open_database(Path("stripe-nrr.db"), create=True)) as connection:
        whose = StripeIdentity(id=account, name="Acme", livemode=livemode)
        belong_to(connection, whose)
    syncing()


def report_over_a_backup() -> None:
    open_database(Path("backup.db"), create=True).close()
    with_ledger("report", "-o", "backup.db")


def kept_twice() -> None:
    """Another account's ledger is of whom this one's key turns out to be."""
    known = config.parse(
        TWO_ACCOUNTS.replace('"de.key"', '"de.key"\ndatabase = "de.db"'), {}
    )
    key = StripeIdentity(id="acct_1Acme", name="Acme", livemode=True)
    with closing(open_database(Path("de.db"), create=True)) as connection:
        belong_to(connection, key)
    held_ledger.check_kept_once(known.accounts[1], key)


def synced_and_then(wire: Wire, *, stopping: bool = False) -> None:
    """A second sync, of a ledger that knows the shop."""
    with empty_ledger() as connection:
        walk(connection, Wire(shop(), SEEN))
        walk(connection, wire, stopping=lambda: stopping)


def rules_changed() -> None:
    """Another process has put other rules in force while this one derives."""
    with empty_ledger() as connection:
        walk(connection, Wire(shop(), SEEN))
        adopt(connection, RULES)
        put_setting(connection, "derivation", "of a later version")
        recompute(connection, RULES, cause="sync", now=instant(SEEN))


RULES = Rules(policy=Policy(), zone=ZoneInfo("UTC"), code_version="of the tests")
RATES = ["date,currency,rate", "2024-01-02,usd,0.90"]


def read_only(allowed: int, content: bytes) -> sqlite3.Connection:
    """A ledger of which this user may only do what is allowed."""
    path = Path("ledger.db")
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda _path, what, **_: what == allowed)
        return open_to_read(path)


OLDER = f"DELETE FROM _sqlite_migrations WHERE name = '{MIGRATIONS[-1]}'"  # noqa: S608


def locked_by_a_loop() -> None:
    Path("ledger.db.lock").symlink_to("ledger.db.lock")
    lock_state(Path("ledger.db"))


def written_while_read() -> None:
    with closing(read_only(os.R_OK, database(""))) as connection:
        os.utime("ledger.db", (1, 1))
        check_unchanged(connection)


def backed_up(script: str, before: bytes = b"") -> None:
    Path("ledger.db").write_bytes(database(script))
    if before:
        Path("backup.db").write_bytes(before)
    back_up(Path("ledger.db"), Path("backup.db"))


CLOSED = """
    INSERT INTO closings (month, closed_at, code_version, policy)
    VALUES ('2026-03', '2026-04-01', '1.0', '{}')
"""


def restored(script: str) -> None:
    backed_up("")
    Path("ledger.db").write_bytes(database(script))
    restore(Path("backup.db"), Path("ledger.db"), instant(SEEN))


def restored_of_a_poem() -> None:
    Path("backup.db").write_text("so much depends upon", encoding="utf-8")
    restore(Path("backup.db"), Path("ledger.db"), instant(SEEN))


def restored_while_read() -> None:
    backed_up("")
    with closing(open_database("ledger.db")) as writer, transaction(writer):
        restore(Path("backup.db"), Path("ledger.db"), instant(SEEN))


def restored_beside_a_reader() -> None:
    backed_up("")
    with (
        closing(open_database("ledger.db")) as writer,
        closing(open_database("ledger.db")) as reader,
        snapshot(reader),
    ):
        setting(reader, "rules")
        put_setting(writer, "rules", "{}")
        restore(Path("backup.db"), Path("ledger.db"), instant(SEEN))


def unforeseen() -> None:
    """A history that breaks the derivation, among others."""
    path = Path("stripe-nrr.db")
    with closing(open_database(path, create=True)) as connection:
        adopt(connection, RULES)
        walk(connection, Wire(shop(), SEEN))
        poison(connection, EVERYBODY[:1], TOO_EARLY_S)
    command("recompute")


def of_former_version(*words: str) -> None:
    """A command on a ledger that was derived by other rules of derivation."""
    with closing(open_database(Path("stripe-nrr.db"), create=True)) as connection:
        adopt(connection, RULES)
        put_setting(connection, "derivation", "1")
    command(*words)


def begun_twice() -> None:
    command("config", "init", "--timezone", "UTC")
    command("config", "init")


def begun_without_the_example() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            config_command, "__file__", Path("connector/cli/commands/ledger/config.py")
        )
        command("config", "init", "--timezone", "UTC")


EXHIBITS: Mapping[str, Provoked] = {
    # the configuration
    "begin one that is there": begun_twice,
    "begin one in a zone that is none": lambda: command(
        "config", "init", "--timezone", "Europe/Atlantis"
    ),
    "begin one without the example": begun_without_the_example,
    "config.toml is not TOML": lambda: configured("database = nowhere", "report"),
    "several faults at once": lambda: configured(
        'timezone = "Europe/Atlantis"\n[policy]\nchrun = "ended"', "report"
    ),
    "a key in the file": lambda: configured(f'[stripe]\nkey = "{KEY}"', "report"),
    "a status file over the ledger": lambda: configured(
        '[sync]\nstatus_file = "stripe-nrr.db"', "report"
    ),
    "a file of companies that is not there": lambda: paired(None),
    "lines that are no pairs, and one that is another": lambda: paired(
        "customer,account\ncus_1,Acme\ncus_2\ncus_1,Other\n"
    ),
    "a file that is not there": lambda: config.load(Path("my.toml"), {}, Path()),
    "an API base over plain http": lambda: answered(200, {}, "http://example.com"),
    "no time zone, and the account's own is not shown": lambda: zone_of(
        StripeAccount(id="acct_1", country="AT")
    ),
    "no key": keyed,
    "a key file that is not there": lambda: keyed(STRIPE_API_KEY_FILE="key"),
    "a key with a blank inside": lambda: keyed_from("rk_live_ 51AbCd"),
    "an account that nobody named": lambda: configured(
        TWO_ACCOUNTS, "--account", "fr", "report"
    ),
    "one account's command, of two": lambda: configured(TWO_ACCOUNTS, "restatements"),
    "a month of two accounts": lambda: configured(TWO_ACCOUNTS, "close", "2024-01"),
    "two accounts in one ledger": lambda: configured(
        TWO_ACCOUNTS.replace('database = "uk.db"', ""), "report"
    ),
    "an empty key_file": lambda: keyed_by_file(""),
    "a key_file that is not there": lambda: keyed_by_file(None),
    "an organization's key without an account": lambda: credentials.account_headers(
        "sk_org_live_1", None
    ),
    "another account's answer": lambda: answered_for("acct_1Uk"),
    "another account's answer, by its header": lambda: answered_for(
        "acct_1Uk", header="acct_1Other"
    ),
    "an account that is none of the key's": no_access,
    "no webhook secret": lambda: credentials.webhook_secrets({}),
    "a key instead of a webhook secret": lambda: credentials.webhook_secrets(
        {"STRIPE_WEBHOOK_SECRET": KEY}
    ),
    # Stripe
    "a key nobody knows": lambda: said(401, "Invalid API Key provided."),
    "a missing permission": lambda: said(403, "No."),
    "a request Stripe does not take": lambda: said(400, "Received unknown parameter."),
    "a no of something else": lambda: answered(404, b"<html>"),
    "a proxy's page": lambda: answered(403, b"<html>", kind="text/html"),
    "a login page": lambda: answered(200, b"<html>", kind="text/html"),
    "Stripe is down": lambda: said(503, "Try later."),
    "no network": lambda: asked(unreachable, "https://api.stripe.com"),
    "half an answer": lambda: answered(200, b'{"data": [{"id'),
    "a list that repeats itself": lambda: answered(
        200, {"data": [{"id": "prod_1"}], "has_more": True}
    ),
    "asked to stop": stopped,
    "asked to stop between two pages": lambda: synced_and_then(
        Wire(shop(), SEEN), stopping=True
    ),
    "an unknown shape": lambda: answered(200, {"data": 7}),
    # the ledger's file
    "a ledger of another account": lambda: synced_and_then(
        Wire(SimulatedAccount({}), SEEN)
    ),
    "a key of another mode": lambda: synced_before("acct_simulated", livemode=True),
    "a key of another account": lambda: synced_before("acct_9", livemode=False),
    "an account that is kept already": kept_twice,
    "a report over a backup": report_over_a_backup,
    "a SQLite that is too old": opened_with_an_old_sqlite,
    "no ledger": lambda: opened(None),
    "not a database": lambda: opened(b"Dear diary, " * 100),
    "somebody else's database": lambda: opened(foreign()),
    "a newer ledger": lambda: opened(database(NEWER)),
    "an empty file": lambda: opened(b""),
    "an older ledger that may only be read": lambda: read_only(
        os.R_OK, database(OLDER)
    ),
    "a ledger that may not be read": lambda: read_only(os.F_OK, database("")),
    "a copy that somebody writes": written_while_read,
    "a lock that cannot be looked at": locked_by_a_loop,
    "a damaged ledger is not backed up": lambda: backed_up(
        "PRAGMA ignore_check_constraints = ON;" + CLOSED.replace("2026-03", "March")
    ),
    "a backup over something else": lambda: backed_up("", b"Dear diary"),
    "a backup that is not there": lambda: restore(
        Path("backup.db"), Path("ledger.db"), instant(SEEN)
    ),
    "a backup older than a closing": lambda: restored(CLOSED),
    "a backup that is none": restored_of_a_poem,
    "a report into a folder that is not there": lambda: with_ledger(
        "report", "--format", "csv", "-o", "nowhere/report.csv"
    ),
    "a restore while somebody writes": restored_while_read,
    "a restore while somebody reads": restored_beside_a_reader,
    "a damaged ledger": lambda: opened(damaged()),
    "a place that cannot be written": lambda: open_database(
        "missing/ledger.db", create=True
    ),
    "two syncs at once": locked_twice,
    "a lock that is none": lambda: locked("Dear diary, " * 100),
    "nowhere to lock": locked_nowhere,
    "two processes with different rules": rules_changed,
    # the server
    "an address of another machine": lambda: server.listen("192.0.2.1", 8480),
    "an operator's port for everybody": lambda: let_in(None),
    "a token that is not there": lambda: let_in("admin-token"),
    "a token for everybody": lambda: let_in("admin-token", "of-the-tests", 0o644),
    "a token of two words": lambda: let_in("admin-token", "of the tests", 0o600),
    # the ledger's rows
    "a movement the tables refuse": lambda: posted("?"),
    "a row changed from outside": lambda: read_after(
        "DROP TRIGGER components_are_never_edited; UPDATE components SET amount_minor = 49"
    ),
    # exchange rates
    "rates that are not there": converted,
    "a reporting currency without rates": lambda: config.parse(
        '[reporting]\ncurrency = "eur"', {}
    ),
    "a total without a reporting currency": lambda: with_ledger(
        "report", "--currency", "total"
    ),
    "causes of a total": lambda: with_ledger(
        "report", "--currency", "total", "--causes"
    ),
    "an amount that is two": lambda: with_ledger(
        "compare", "--mrr", "1.234", "--on", "2024-02-01"
    ),
    "a file of no rates": lambda: converted("colour,size"),
    "a line without a rate": lambda: converted(*RATES, "soon"),
    "a day without a rate": lambda: converted(*RATES),
    # benchmarks
    "benchmarks that are not there": lambda: compared(None),
    "benchmarks that are not TOML": lambda: compared("NRR > 100"),
    "benchmarks with faults": lambda: compared(
        '[[band]]\nmetric = "nrr"\n[[typical]]\nmetric = "arr"\n[other]'
    ),
    # the demo's account
    "an account that cannot be read": lambda: loaded('{"now": '),
    "an installation without the demo": not_bundled,
}

COMMANDS: Mapping[str, Provoked] = {
    "Parquet on a terminal": lambda: with_ledger(*PARQUET),
    "a folder for a file": lambda: command("reconcile", "."),
    "a file for a folder": kept_in_a_file,
    "a report into a folder of others": into_a_folder_of_others,
    "a folder in the ledger's place": a_folder_as_a_ledger,
    "a workbook that is printed": lambda: with_ledger("report", "--format", "xlsx"),
    "a workbook without its library": lambda: without(
        "xlsxwriter", "report", "--format", "xlsx", "-o", "nrr.xlsx"
    ),
    "a workbook of too many": of_many_in_a_workbook,
    "assistants without their library": lambda: without("mcp_types", "mcp"),
    "a tool's parameter of no kind": lambda: tool("overview", {"currency": ["eur"]}),
    "a tool without what it needs": lambda: tool("explain_window", {}),
    "a tool of too many rows": lambda: tool("movements", {"limit": 5000}),
    "a tool of days in the wrong order": lambda: tool(
        "movements", {"from": "2024-03-01", "to": "2024-01-01"}
    ),
    "a name where none are told": lambda: tool(
        "explain_customer", {"customer": "Ada"}, names=False
    ),
    "an owner where names are left out": lambda: tool(
        "at_risk", {"owner": "Ada"}, names=False
    ),
    "Parquet without its library": lambda: without(
        "pyarrow", *PARQUET, "-o", "mrr.parquet"
    ),
    "a mirror without its library": lambda: without(
        "pyarrow", "export", "--what", "mirror", "-o", "mirror"
    ),
    "a mirror on a terminal": lambda: with_ledger("export", "--what", "mirror"),
    "a mirror of nothing": lambda: with_ledger(
        "export", "--what", "mirror", "-o", "mirror", walked=False
    ),
    "a lake without its library": lambda: without("duckdb", "lake", "mirror", "lake"),
    "a lake's run of before": lambda: of_run_of_before("--by", "plan"),
    "a lake's causes": lambda: command("report", "--lake", "x", "--causes"),
    "a lake's metadata": lambda: configured(
        '[customers]\nmetadata = ["team"]',
        *("report", "--lake", "x", "--by", "metadata:team"),
    ),
    "a lake's page": lambda: command("report", "--lake", "x", "--format", "html"),
    "a lake under a preset": lambda: command(
        "report", "--lake", "x", "--policy", "stripe:default"
    ),
    "a lake before its first run": lambda: of_run_of_before("--as-of", "2026-11-01"),
    "a lake's figures without its library": lambda: without(
        "pyarrow", "report", "--lake", "lake"
    ),
    **broken_lakes.EXHIBITS,
    "a history that breaks the derivation in a lake": lake_of_broken,
    "a lake of companies": lake_of_companies,
    "a lake of two zones": lake_of_two_zones,
    "a backup of one of several": backed_up_of_one,
    "accounts of other rules": lambda: two_accounts("report", rule="excluded"),
    "an account without a ledger": lambda: of_two("report"),
    "an account that was never synced": one_of_two_is_empty,
    "a policy's page of several accounts": lambda: page_of_two("/differences?mrr=5"),
    "two ledgers of one account": lambda: of_whom(
        StripeIdentity(id="acct_1de"), StripeIdentity(id="acct_1de")
    ),
    "live and test mode added up": lambda: of_whom(
        StripeIdentity(livemode=False), StripeIdentity(livemode=True)
    ),
    "another policy of several accounts": lambda: two_accounts(
        "report", "--policy", "stripe:default"
    ),
    "a report over a copy of a ledger": over_a_copy,
    "a report over the ledger": lambda: with_ledger("report", "-o", "stripe-nrr.db"),
    "report of nothing": lambda: with_ledger("report", walked=False),
    "report of a ledger that has no time zone yet": lambda: with_ledger(
        "report", walked=False, zoned=False
    ),
    "report backwards": lambda: with_ledger(
        "report", "--from", "2024-05", "--to", "2024-02"
    ),
    "report as of some time": lambda: with_ledger("report", "--as-of", "lately"),
    "report in another currency": lambda: with_ledger("report", "--currency", "sek"),
    "coverage of nothing": lambda: with_ledger("coverage", walked=False),
    "coverage in another currency": lambda: with_ledger(
        "coverage", "--currency", "sek"
    ),
    "coverage of a former version's ledger": lambda: of_former_version("coverage"),
    "movements backwards": lambda: with_ledger(
        "movements", "--from", "2024-05-01", "--to", "2024-02-01"
    ),
    "explain nobody": lambda: with_ledger("explain", "Babbage"),
    "explain one of several": lambda: with_ledger("explain", "Ada"),
    "explain nothing": lambda: with_ledger("explain"),
    "explain a customer's segment": lambda: with_ledger(
        "explain", "cus_1", "--segment", "country=DE"
    ),
    "explain a customer as a table": lambda: with_ledger(
        "explain", "cus_1", "--format", "csv"
    ),
    "compare a day to come": lambda: with_ledger(
        "compare", "--mrr", "47002", "--on", "2125-01-01"
    ),
    "compare too many decimals": lambda: with_ledger(
        "compare", "--mrr", "0.501", "--on", "2024-02-01"
    ),
    "reconcile a file that is not there": lambda: reconciled(None),
    "reconcile what is no text": lambda: reconciled(b"customer,month,mrr\n\xc3("),
    "reconcile an empty file": lambda: reconciled(b" \n"),
    "reconcile a workbook": lambda: reconciled(b"PK\x03\x04..[Content_Types].xml"),
    "reconcile an archive": lambda: reconciled(b"PK\x03\x04..mrr.csv"),
    "reconcile what is no text at all": lambda: reconciled(b"customer\0month"),
    "reconcile a name without end": lambda: reconciled(b'"' + b"a" * 140_000),
    "reconcile half a text": lambda: reconciled(b"\xff\xfec"),
    "reconcile two columns of one name": lambda: reconciled(
        b"customer,month,mrr,MRR\ncus_1,2024-01,5,6\n"
    ),
    "reconcile some days of a month": lambda: reconciled(
        b"customer,date,mrr\ncus_1,2024-01-05,5\ncus_1,2024-01-12,6\n"
    ),
    "reconcile nothing but 0": lambda: reconciled(
        b"customer,month,mrr\ncus_1,2024-01,0\n"
    ),
    "reconcile another kind of file": lambda: reconciled(b"Invoice,Total\nin_1,5\n"),
    "reconcile a file of nothing": lambda: reconciled(b"customer,month,mrr\n"),
    "reconcile no amount": lambda: reconciled(
        b"customer,month,mrr\ncus_1,2024-01,many\n"
    ),
    "reconcile days of which both can be the month": lambda: reconciled(
        b"customer,date,mrr_change\ncus_1,3/4/2026,1\ncus_1,5/6/2026,1\n"
    ),
    "reconcile days as Excel counts them": lambda: reconciled(
        b"customer,month,mrr\ncus_1,46112,1\n"
    ),
    "reconcile a quote that nothing closes": lambda: reconciled(
        b'customer,name,month,mrr\ncus_1,"Acme,2026-01,1\n'
    ),
    "reconcile months to come": lambda: reconciled(
        b"customer,month,mrr\ncus_1,2125-01,5\n"
    ),
    "reconcile another account's file": lambda: reconciled(
        b"customer,month,mrr\nada@example.com,2024-01,5\n"
    ),
    "close a month to come": lambda: with_ledger("close", "2125-01"),
    "close an empty ledger": lambda: with_ledger("close", "2024-01", walked=False),
    "close before the first customer": lambda: with_ledger("close", "2019-01"),
    "close despite nothing": lambda: with_ledger("close", "2024-01", "--despite", " "),
    "note nothing": lambda: with_ledger("note"),
    "note without a text": lambda: with_ledger("note", "2024-01", " "),
    "note no page": lambda: with_ledger(
        "note", "2024-01", "so", "--url", "javascript:x"
    ),
    "note one who was forgotten": note_forgotten,
    "withdraw a note that is not there": lambda: with_ledger("note", "--withdraw", "7"),
    "close and withdraw": lambda: with_ledger(
        "close", "2024-01", "--despite", "so", "--withdraw", "not so"
    ),
    "withdraw what is not closed": lambda: with_ledger(
        "close", "2024-01", "--withdraw", "closed too early"
    ),
    "recompute a history that nobody foresaw": unforeseen,
    "forget nobody": lambda: with_ledger("forget", "cus_9"),
    "recompute nobody": lambda: with_ledger("recompute", "--customer", "cus_9"),
    "retry nothing": lambda: with_ledger("inbox", "retry", "evt_9", walked=False),
    "an endpoint over plain http": lambda: command("webhook-setup", "http://a.b/"),
    "sync into the demo's ledger": lambda: syncing(of="demo"),
    "sync into a folder that is not there": lambda: syncing(into="missing/nrr.db"),
    "an owner where none are configured": lambda: with_ledger(
        "at-risk", "--owner", "Ada"
    ),
    "an owner who owns nobody": lambda: of_an_owner("at-risk", "--owner", "Ada"),
    "a metadata key that nobody has": lambda: of_an_owner(
        "report", "--to", "2024-03", "--by", "metadata:csm"
    ),
    "coverage of the total": lambda: with_ledger("coverage", "--currency", "total"),
    "a digest of the future": lambda: with_ledger("digest", "--since", "2999-01-01"),
    "a dialect of what is no CSV": lambda: command("churn", "--dialect", "excel-de"),
    "a mirror as CSV": lambda: command(
        "export", "--what", "mirror", "--format", "csv", "-o", "mirror"
    ),
    "a lake into its source": lambda: command("lake", "mirror", "mirror/lake"),
    "churn of the total": lambda: with_ledger("churn", "--currency", "total"),
    "churn backwards": lambda: with_ledger(
        "churn", "--from", "2024-03", "--to", "2024-02"
    ),
    "a page of no ledger": lambda: read_by_page(None),
    "a page of an older ledger": lambda: read_by_page(older()),
    "a page while the ledger cannot be read": lambda: raised(unreadable()),
    "figures of a page before the first sync": lambda: raised(never_synced()),
    "a page that is not there": lambda: raised(no_page()),
    "a page that has no workbook": lambda: raised(no_workbook()),
    "a page of a ledger without revenue": lambda: page("/window", is_empty=True),
    "a page with a parameter that it has not": lambda: page("/?colour=red"),
    "a page with a parameter twice": lambda: page("/?to=2024-01&to=2024-02"),
    "a page with a long parameter": lambda: page(f"/window?q={'a' * 201}"),
    "a page with a month that is none": lambda: page("/?to=2026-13"),
    "a page beyond the last": lambda: page("/window?page=2"),
    "a segment of nothing": lambda: page("/?segment=US"),
    "two segments of one kind": lambda: page("/?segment=country=US&segment=country=DE"),
    "a segment in a currency that it does not pay in": in_what_others_pay,
    "a segment that nobody is in": lambda: page("/?by=country&segment=US"),
    "a window's segment of nothing": lambda: page("/window?segment=US"),
    "a window's segment that nobody is in": lambda: page(
        "/window?window=2024-02&by=country&segment=US"
    ),
    "a window's segment of the total": in_total_by_page,
    "a page's movements backwards": lambda: page(
        "/movements?from=2024-02-01&to=2024-01-01"
    ),
    "movements without end": lambda: page_of_many("/movements?from=2024-01-01"),
    "a customer that is not there": lambda: page("/customer/cus_9"),
    "a customer by a part of its name": lambda: page("/customer/Ada"),
    "another tool's MRR that is none": lambda: page("/differences?mrr=lots"),
    "the demo over a configuration": lambda: configured("", "demo", "--keep", "."),
    "the demo into a real ledger": lambda: with_ledger("demo", "--keep", "."),
}


# --- the gallery ---


class Exhibit(NamedTuple):
    title: str
    exit_code: int
    problem: str
    fix: str

    def drawn(self, error: str = "error", fix: str = "fix") -> str:
        """As the command prints it, under its title."""
        code = f" (exit {self.exit_code})" if self.exit_code != 1 else ""
        return f"# {self.title}{code}\n{error}: {self.problem}\n  {fix}: {self.fix}\n"

    def in_german(self) -> "Exhibit":
        with speaking("de"):
            return self._replace(problem=spoken(self.problem), fix=spoken(self.fix))


def met(title: str, provoke: Provoked) -> Exhibit:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        try:
            provoke()
        except ConnectorError as error:
            problem = error.problem.replace(folder, "…")
            return Exhibit(title, error.exit_code, problem, error.fix)
    raise AssertionError(f"{title}: nothing went wrong")


@pytest.fixture(scope="module")
def sites() -> Iterator[set[tuple[str, int]]]:
    """Where in the package errors have been made, while this module's tests ran."""
    found: set[tuple[str, int]] = set()
    patch = pytest.MonkeyPatch()
    make = ConnectorError.__init__

    def noted(self: ConnectorError, problem: str, *, fix: str) -> None:
        frame = sys._getframe(1)  # noqa: SLF001 - who makes it
        while frame.f_locals.get("self") is self and frame.f_back is not None:
            frame = frame.f_back
        found.add((frame.f_code.co_filename, frame.f_lineno))
        make(self, problem, fix=fix)

    patch.setattr(ConnectorError, "__init__", noted)
    yield found
    patch.undo()


@pytest.fixture(scope="module")
def exhibits(sites: set[tuple[str, int]]) -> list[Exhibit]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/nonexistent")
        for name in ("STRIPE_API_KEY", "STRIPE_API_KEY_FILE", "STRIPE_API_BASE"):
            patch.delenv(name, raising=False)
        everything = {**EXHIBITS, **COMMANDS}
        found = [met(title, provoke) for title, provoke in everything.items()]
    assert sites
    return found


@pytest.fixture(scope="module")
def gallery(exhibits: list[Exhibit]) -> str:
    return "\n".join(each.drawn() for each in exhibits)


def test_every_message_is_as_it_hangs_in_the_gallery(
    gallery: str, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("--accept"):
        GALLERY.write_text(gallery, encoding="utf-8")
    assert gallery == GALLERY.read_text(encoding="utf-8")


def test_every_message_is_as_it_hangs_in_the_german_gallery(
    exhibits: list[Exhibit], pytestconfig: pytest.Config
) -> None:
    german = [each.in_german().drawn("Fehler", "Abhilfe") for each in exhibits]
    if pytestconfig.getoption("--accept"):
        GERMAN.write_text("\n".join(german), encoding="utf-8")
    assert "\n".join(german) == GERMAN.read_text(encoding="utf-8")


# What only English has; what is quoted, or between backticks, is the same in each.
ENGLISH = re.compile(
    r"\b(the|and|of|is|are|not|no|or|with|there|which|give|run|write|set|it|its|"
    r"cannot|has|have|had|by|to|from|than|that|this|as|be|what|where)\b"
)
# Where another program speaks: SQLite, a library, Stripe, a worker of Spark.
QUOTED = {
    *("a damaged ledger", "a damaged ledger is not backed up", "half an answer"),
    *("an account that cannot be read", "an unknown shape", "Stripe is down"),
    *("a request Stripe does not take", "a movement the tables refuse"),
    *("a file of the catalogue that is no Parquet", "reconcile a name without end"),
    "reconcile a quote that nothing closes",
    *("a file of invoices that is no Parquet", "benchmarks that are not TOML"),
    *("a worker of Spark that fails", "reconcile half a text"),
    "a disk without room to sort",
    *("a manifest that says too little", "a run that does not say what it is"),
    *("two syncs at once", "an account that is kept already", "a key of another mode"),
    *("a key of another account", "a manifest of a zone that is none"),
    "a page with a parameter that it has not",
}
SAME = (
    r"`[^`]*`|[\w.-]*/\S*|'[^']*'|\"[^\"]*\"|\(HTTP[^)]*\)|--?[a-z-]+|\w+[=.]\S+|"
    r"\[[^\]]*\]"
)


def test_no_english_is_left_in_the_german_gallery(exhibits: list[Exhibit]) -> None:
    left = {
        each.title: words
        for each in (met.in_german() for met in exhibits)
        if (words := ENGLISH.findall(re.sub(SAME, "", f"{each.problem} {each.fix}")))
    }
    assert {title: left[title] for title in left if title not in QUOTED} == {}


def test_every_error_of_the_package_hangs_in_the_gallery(
    gallery: str, sites: set[tuple[str, int]]
) -> None:
    assert gallery
    missing = [
        f"{module}:{first} {name}"
        for module, name, first, last in makings()
        if not any((module, line) in sites for line in range(first, last + 1))
    ]
    assert missing == []


def makings() -> Iterator[tuple[str, str, int, int]]:
    """Where the package makes an error: module, class, first and last line."""
    names = {each.__name__ for each in every_kind()}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in names:
                last = node.end_lineno or node.lineno
                yield str(path), node.func.id, node.lineno, last


def every_kind(of: type[ConnectorError] = ConnectorError) -> Iterator[type[Exception]]:
    yield of
    for kind in of.__subclasses__():
        yield from every_kind(kind)


def test_every_message_says_what_is_wrong_and_what_to_do(gallery: str) -> None:
    for exhibit in gallery.split("\n# "):
        title, problem, fix, *rest = exhibit.splitlines()
        assert rest in ([], [""]), title
        assert len(problem) > len("error: ") + 10, title
        assert len(fix) > len("  fix: ") + 10, title
        assert "Traceback" not in exhibit
        assert "Error(" not in exhibit
        assert KEY not in exhibit


def test_the_tree_of_errors_is_the_docstring_of_its_module() -> None:
    told = errors.__doc__ or ""
    here = [k for k in every_kind() if k.__module__ == "connector.core.errors"]
    assert [kind.__name__ for kind in here if kind.__name__ not in told] == []


def test_what_has_no_value_names_the_field() -> None:
    assert (
        str(Unvalued("price_1", "unit_amount", None)) == "price_1: unit_amount is None"
    )


def test_moments_of_the_gallery_do_not_matter(gallery: str) -> None:
    """No date of today and no folder of this run may hang in it."""
    assert f"{datetime.now(UTC):%Y-%m-%d}" not in gallery
    assert tempfile.gettempdir() not in gallery
