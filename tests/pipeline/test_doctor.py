"""What the doctor says of each fact, and of real ledgers and a Stripe on loopback."""

import dataclasses
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.config import Config, parse
from connector.core.account import StripeIdentity
from connector.core.errors import ConnectorError, LedgerUnusable, StripeRefused
from connector.core.policy import Policy, Rules
from connector.pipeline.doctor.checks import examine, same_days
from connector.pipeline.doctor.installation import (
    DiskSpace,
    Installation,
    LedgerFile,
    NotChecked,
    StripeReads,
    Verdict,
    lasting,
    opened,
    sized,
)
from connector.pipeline.policy_change import adopt
from connector.store import opening
from connector.store.account import belong_to
from connector.store.database import put_setting, transaction
from connector.store.lock import LockState, exclusive_sync
from connector.store.mirror import dirty_customers, event_feed, walks
from connector.store.opening import open_database
from connector.store.read_only import damage, open_as_it_is
from connector.store.schema import MIGRATIONS
from connector.stripe_api.client import StripeApi
from connector.stripe_api.decoding import AccountSettings, Dashboard, StripeAccount
from connector.stripe_api.http import api_version
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.commands import Ran, Workdir
from tests.support.loopback import Fault, Reply, Served, failing, on, serving
from tests.support.simulator import AccountFacts, SimulatedAccount

SECOND_US, HOUR_US = 1_000_000, 3_600 * 1_000_000

# --- each check of an installation ---

TROUBLE = ConnectorError("the earth shook", fix="wait")
NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
FOLDER = tempfile.TemporaryDirectory()
LEDGERS: list[sqlite3.Connection] = []


@pytest.fixture(scope="module", autouse=True)
def _closed_in_the_end() -> Iterator[None]:
    yield
    for connection in LEDGERS:
        connection.close()
    FOLDER.cleanup()


@dataclass(frozen=True)
class Answers:
    """A connection to Stripe, of which these are known."""

    skew_us: int | None = 0
    answered_version: str | None = api_version()
    livemode: bool | None = True

    def identity_of(self, account: StripeAccount) -> StripeIdentity:
        return StripeIdentity(id=account.id, name=account.name, livemode=self.livemode)

    @property
    def clock(self) -> "Answers":
        return self

    @property
    def api(self) -> StripeApi:
        return cast("StripeApi", self)


def shown(zone: str | None = "Europe/Berlin") -> StripeAccount:
    """The account as Stripe shows it."""
    dashboard = Dashboard(timezone=zone, display_name="Acme")
    return StripeAccount(id="acct_1", settings=AccountSettings(dashboard=dashboard))


OURS = StripeIdentity(id="acct_1", name="Acme", livemode=True)


def ledger(
    *,
    account: str = "",
    of: StripeIdentity | None = OURS,
    synced: int = 1,
    walking: int = 0,
    waiting: int = 0,
) -> sqlite3.Connection:
    """A ledger in memory, synced and walked so many hours ago; 0: it was not."""
    connection = open_database(":memory:")
    LEDGERS.append(connection)
    now_us = round(NOW.timestamp()) * SECOND_US
    if account:
        put_setting(connection, "account", account)
    if of is not None:
        belong_to(connection, of)
    if synced:
        event_feed.events_were_read(connection, now_us - synced * HOUR_US)
    if walking:
        walks.begin_walk(connection, now_us - walking * HOUR_US)
    dirty_customers.mark(connection, (f"cus_{number}" for number in range(waiting)))
    return connection


def configured(text: str) -> Config:
    return parse(text, {}, source=Path("config.toml"))


BERLIN = 'timezone = "Europe/Berlin"\ndatabase = "nrr.db"'
WELL = Installation(
    environ={"STRIPE_API_KEY": "rk_live_51Loopbackabcd"},
    now=NOW,
    config=configured(BERLIN),
    key="rk_live_51Loopbackabcd",
    stripe=StripeReads(Answers().api, (), None, account=shown()),
    disk=DiskSpace(Path("/srv"), 10**9, is_writable=True, ledger_bytes=4_000_000),
    ledger=LedgerFile(ledger(), pending=[], damage=[], lock=LockState()),
)
NAMES = list(examine(WELL))


def but(part: str, **changes: Any) -> Installation:
    """All well, but for these of a part."""
    return WELL._replace(**{part: getattr(WELL, part)._replace(**changes)})


def told(at: Installation, name: str) -> Verdict:
    return examine(at)[name]


class Case(NamedTuple):
    at: Installation
    check: str
    mark: str
    said: str
    fix: str = ""


def key(text: str) -> Installation:
    return WELL._replace(key=text)


def key_file(mode: int) -> Installation:
    path = Path(FOLDER.name, f"key-{mode:o}")
    path.touch(mode)
    path.chmod(mode)
    return WELL._replace(environ={"STRIPE_API_KEY_FILE": str(path)})


def stripe_says(**changes: Any) -> Installation:
    return but("stripe", api=Answers(**changes).api)


def account_says(
    account: StripeAccount | ConnectorError, of: StripeIdentity | None = OURS
) -> Installation:
    """What Stripe shows of the key's account, beside a ledger of another or the same."""
    return but("stripe", account=account)._replace(
        ledger=but("ledger", connection=ledger(of=of)).ledger
    )


def ledger_says(held_by: str | None = None, **changes: Any) -> Installation:
    return but("ledger", connection=ledger(**changes), lock=LockState(held_by))


def in_zone(zone: str) -> LedgerFile:
    """A ledger that keeps to a zone."""
    connection = ledger()
    adopt(connection, Rules(policy=Policy(), zone=ZoneInfo(zone), code_version="1"))
    found = but("ledger", connection=connection).ledger
    assert isinstance(found, LedgerFile)
    return found


MAY_NOT = StripeRefused("it may not", fix="let it", status=403)
DOWN = StripeRefused("it is down", fix="wait for it", status=500)
AT_WORK = "another sync (process 7)"
CASES = [
    Case(
        WELL._replace(config=parse("", {})),
        "configuration",
        "ok",
        "every setting has its default",
    ),
    Case(
        WELL._replace(config=TROUBLE),
        "configuration",
        "fault",
        "the earth shook",
        "wait",
    ),
    Case(WELL, "environment", "ok", "set: STRIPE_API_KEY"),
    Case(WELL._replace(environ={}, key=TROUBLE), "environment", "ok", "nothing is set"),
    Case(WELL, "key", "ok", "rk_live_…abcd is a restricted key"),
    Case(
        key("sk_live_51Loopbackabcd"),
        "key",
        "hint",
        "secret key: it works",
        "restricted key",
    ),
    Case(
        key("pk_live_51Loopbackabcd"), "key", "fault", "publishable", "restricted key"
    ),
    Case(
        key("whsec_51Loopbackabcd"),
        "key",
        "fault",
        "webhook's secret",
        "restricted key",
    ),
    Case(key("51Loopbackabcd"), "key", "hint", "does not begin like", "copy it again"),
    Case(WELL, "key mode", "ok", "live"),
    Case(key("rk_test_51Loopbackabcd"), "key mode", "hint", "sandbox", "live key"),
    Case(key("51Loopbackabcd"), "key mode", "hint", "does not say", "“key”"),
    Case(WELL, "key file", "ok", "STRIPE_API_KEY itself"),
    Case(key_file(0o600), "key file", "ok", "only its owner"),
    Case(key_file(0o640), "key file", "hint", "mode 0640", "chmod 600"),
    Case(key_file(0o602), "key file", "hint", "mode 0602", "chmod 600"),
    Case(
        WELL._replace(key=TROUBLE),
        "key mode",
        "later",
        "not checked: see “key”",
        "“key”",
    ),
    Case(WELL, "Stripe", "ok", "it answers"),
    Case(but("stripe", refusal=TROUBLE), "Stripe", "fault", "the earth shook", "wait"),
    Case(WELL, "permissions", "ok", "all 8"),
    Case(
        but("stripe", missing=("Prices: read", "Events: read")),
        "permissions",
        "fault",
        "lacks 2 of 8 read permissions: Prices: read, Events: read",
        "edit the key",
    ),
    Case(
        but("stripe", refusal=TROUBLE, missing=("Prices: read",)),
        "permissions",
        "fault",
        "Prices: read",
        "edit the key",
    ),
    Case(
        but("stripe", refusal=TROUBLE),
        "permissions",
        "later",
        "not checked",
        "“Stripe”",
    ),
    Case(WELL, "clock", "ok", "agrees"),
    Case(
        stripe_says(skew_us=40 * SECOND_US),
        "clock",
        "hint",
        "this machine's is 40 seconds behind Stripe's",
        "clock",
    ),
    Case(
        stripe_says(skew_us=-300 * SECOND_US),
        "clock",
        "hint",
        "this machine's is 5 minutes ahead of Stripe's",
        "clock",
    ),
    Case(
        stripe_says(skew_us=301 * SECOND_US),
        "clock",
        "fault",
        "5 minutes behind",
        "clock",
    ),
    Case(stripe_says(skew_us=None), "clock", "later", "not checked", "“Stripe”"),
    Case(WELL, "API version", "ok", f"{api_version()}, as asked for"),
    Case(
        stripe_says(answered_version="2020-08-27"),
        "API version",
        "fault",
        "2020-08-27 answered",
        "upgrade",
    ),
    Case(
        stripe_says(answered_version=None),
        "API version",
        "hint",
        "does not say",
        "Stripe-Version",
    ),
    Case(WELL, "time zone", "ok", "is Europe/Berlin"),
    Case(WELL, "account", "ok", "of Acme (acct_1), live mode, and so is the ledger"),
    Case(
        account_says(shown(), of=None), "account", "ok", "does not say yet whose it is"
    ),
    Case(
        account_says(MAY_NOT),
        "account",
        "ok",
        "of an account that the key may not read, live mode; the mode alone is compared",
    ),
    Case(account_says(DOWN), "account", "hint", "it is down", "wait for it"),
    Case(
        account_says(shown(), of=replace(OURS, id="acct_2", name="Other")),
        "account",
        "fault",
        "of Acme (acct_1), live mode, and the ledger of Other (acct_2), live mode",
        "that account's key",
    ),
    Case(
        account_says(MAY_NOT, of=replace(OURS, livemode=False)),
        "account",
        "fault",
        "live mode, and the ledger of Acme (acct_1), test mode",
        "that account's key",
    ),
    Case(
        account_says(shown("Europe/Vienna")),
        "time zone",
        "ok",
        "Europe/Vienna, whose days are those of Europe/Berlin",
    ),
    Case(
        account_says(shown("Asia/Tokyo")),
        "time zone",
        "fault",
        "the account's is Asia/Tokyo, but `timezone` is Europe/Berlin",
        'timezone = "Asia/Tokyo"',
    ),
    Case(
        account_says(shown(None)),
        "time zone",
        "hint",
        "does not show",
        "by hand: `timezone` is Europe/Berlin",
    ),
    Case(
        account_says(MAY_NOT),
        "time zone",
        "hint",
        "not compared: the key may not read the account",
        "by hand: `timezone` is Europe/Berlin",
    ),
    Case(
        account_says(DOWN),
        "time zone",
        "later",
        "not checked: see “account”",
        "“account”",
    ),
    Case(
        account_says(shown())._replace(config=configured("")),
        "time zone",
        "ok",
        "the first sync takes the account's own, Europe/Berlin",
    ),
    Case(
        account_says(shown("Asia/Tokyo"))._replace(
            config=configured(""), ledger=in_zone("Europe/Berlin")
        ),
        "time zone",
        "fault",
        "the account's is Asia/Tokyo, but the ledger's is Europe/Berlin",
        'timezone = "Asia/Tokyo"',
    ),
    Case(
        account_says(MAY_NOT)._replace(config=configured("")),
        "time zone",
        "fault",
        "no time zone is configured, and the key may not read the account's own",
        "Europe/Berlin, America/New_York, UTC or another",
    ),
    Case(
        account_says(replace(shown("Mars/Olympus"), country="AT"))._replace(
            config=configured("")
        ),
        "time zone",
        "fault",
        "the account's own, 'Mars/Olympus', is not known here",
        "Europe/Vienna or another",
    ),
    Case(WELL, "folder", "ok", "/srv can be written"),
    Case(
        WELL._replace(disk=OSError("the name is too long")),
        "folder",
        "fault",
        "the name is too long",
        "`database`",
    ),
    Case(
        but("disk", free_bytes=None, is_writable=False),
        "folder",
        "fault",
        "/srv does not exist",
        "create it",
    ),
    Case(
        but("disk", is_writable=False),
        "folder",
        "fault",
        "cannot be written",
        "writable",
    ),
    Case(WELL, "disk", "ok", "1.0 GB free"),
    Case(but("disk", free_bytes=200_000_000), "disk", "ok", "200 MB"),
    Case(
        but("disk", free_bytes=199_999_999),
        "disk",
        "fault",
        "only 199 MB free",
        "200 MB should be free",
    ),
    Case(
        but("disk", free_bytes=10**9, ledger_bytes=6 * 10**8),
        "disk",
        "fault",
        "only 1.0 GB free",
        "1.2 GB should be free",
    ),
    Case(
        but("disk", free_bytes=None),
        "disk",
        "later",
        "not checked: see “folder”",
        "“folder”",
    ),
    Case(WELL, "SQLite", "ok", f"{sqlite3.sqlite_version} is in use"),
    Case(WELL, "ledger", "ok", "nrr.db can be opened"),
    Case(
        ledger_says(account="demo"),
        "ledger",
        "hint",
        "the demo's account",
        "`database`",
    ),
    Case(
        WELL._replace(ledger=TROUBLE),
        "integrity",
        "later",
        "not checked: see “ledger”",
        "“ledger”",
    ),
    Case(
        but("ledger", pending=["m900_more"]),
        "schema",
        "hint",
        "it lacks m900_more",
        "sync",
    ),
    Case(
        but("ledger", damage=["a page is torn"]),
        "integrity",
        "fault",
        "a page is torn",
        "backup",
    ),
    Case(WELL, "lock", "ok", "no sync"),
    Case(
        but("ledger", lock=LockState(held_by=AT_WORK)),
        "lock",
        "ok",
        "process 7) is at work",
    ),
    Case(
        but("ledger", lock=LockState(left_by=AT_WORK)),
        "lock",
        "ok",
        "no sync holds the ledger; another sync (process 7) was killed",
    ),
    Case(but("ledger", lock=TROUBLE), "lock", "fault", "the earth shook", "wait"),
    Case(WELL, "last sync", "ok", "until 60 minutes ago"),
    Case(ledger_says(synced=48), "last sync", "ok", "2 days"),
    Case(
        ledger_says(synced=73),
        "last sync",
        "hint",
        "until 3 days ago",
        "schedule",
    ),
    Case(
        ledger_says(synced=0),
        "last sync",
        "hint",
        "none",
        "`stripe-nrr sync`",
    ),
    Case(
        ledger_says(synced=0, walking=1, waiting=3),
        "last sync",
        "later",
        "see “unfinished sync”",
        "“unfinished sync”",
    ),
    Case(
        ledger_says(synced=0, walking=1, waiting=3),
        "customers waiting",
        "later",
        "see “unfinished sync”",
        "“unfinished sync”",
    ),
    Case(
        ledger_says(walking=1),
        "unfinished sync",
        "hint",
        "was interrupted",
        "goes on",
    ),
    Case(
        ledger_says(AT_WORK, walking=1),
        "unfinished sync",
        "ok",
        "at work right now",
    ),
    Case(
        ledger_says(waiting=1_200),
        "customers waiting",
        "hint",
        "1,200 to be derived",
        "recompute",
    ),
    Case(
        ledger_says(AT_WORK, waiting=1),
        "customers waiting",
        "ok",
        "at work",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.check}: {c.said}"[:60])
def test_each_fact_has_its_verdict(case: Case) -> None:
    verdict = told(case.at, case.check)
    assert verdict.mark == case.mark
    assert case.said in verdict.said
    assert case.fix in verdict.fix
    assert bool(case.fix) == bool(verdict.fix)


def test_every_check_has_a_case() -> None:
    assert {case.check for case in CASES} == set(NAMES)


def test_where_all_is_well_nothing_is_asked_for() -> None:
    assert {verdict.mark for verdict in examine(WELL).values()} == {"ok"}


WHY = NotChecked("nobody looked", "look")


def whole_or_not(part: str, *, may_be_left: bool = True) -> st.SearchStrategy[Any]:
    found = [getattr(at, part) for at in [WELL, *(case.at for case in CASES)]]
    return st.sampled_from([*found, TROUBLE, *([WHY] if may_be_left else [])])


INSTALLATIONS = st.builds(
    Installation,
    environ=st.just(WELL.environ),
    now=st.just(NOW),
    config=whole_or_not("config", may_be_left=False),
    key=whole_or_not("key", may_be_left=False),
    stripe=whole_or_not("stripe"),
    disk=whole_or_not("disk"),
    ledger=whole_or_not("ledger"),
)


@given(INSTALLATIONS)
def test_every_check_is_made_whatever_the_others_find(at: Installation) -> None:
    assert list(examine(at)) == NAMES


@given(INSTALLATIONS)
def test_there_is_something_to_do_exactly_where_it_is_not_well(
    at: Installation,
) -> None:
    for verdict in examine(at).values():
        assert bool(verdict.fix) == (verdict.mark != "ok")
        assert verdict.said


@given(INSTALLATIONS)
def test_a_trouble_is_told_as_one_fault_and_what_hangs_on_it_as_none(
    at: Installation,
) -> None:
    found = examine(at)
    if at.key is TROUBLE:
        assert found["key"] == Verdict("fault", "the earth shook", "wait")
        assert {found[n].mark for n in ("key mode", "key file")} == {"later"}
    if at.ledger is TROUBLE:
        assert found["ledger"] == Verdict("fault", "the earth shook", "wait")
        hanging = NAMES[NAMES.index("ledger") + 1 :]
        assert {found[n].mark for n in hanging} == {"later"}


def test_a_sqlite_that_is_too_old_is_one_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nrr.db"
    open_database(path, create=True).close()
    monkeypatch.setattr(opening, "SQLITE_VERSION", (3, 37, 2))
    config = configured(f'database = "{path}"')
    with opened(lambda: config, {}, NOW, offline=True) as at:
        found = examine(at)
    assert found["SQLite"].mark == "fault"
    assert "SQLite 3.37.2" in found["SQLite"].said
    assert found["ledger"].said == "not checked: see “SQLite”"
    with pytest.raises(LedgerUnusable, match=r"needs 3\.38"):
        open_as_it_is(path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Europe/Berlin", "Europe/Berlin", True),
        ("UTC", "Etc/UTC", True),
        ("Asia/Calcutta", "Asia/Kolkata", True),
        ("Europe/Berlin", "Europe/Vienna", True),
        ("Europe/London", "UTC", False),
        ("America/New_York", "America/Toronto", True),
        ("America/Phoenix", "America/Denver", False),
        ("Asia/Tokyo", "Europe/Berlin", False),
    ],
)
def test_zones_are_compared_by_their_days(one: str, other: str, *, same: bool) -> None:
    assert same_days(ZoneInfo(one), ZoneInfo(other)) is same


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7_199, "119 minutes"),
        (7_200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
        (86_400 * 1_500, "1,500 days"),
    ],
)
def test_times_are_told_in_one_unit(seconds: int, words: str) -> None:
    assert lasting(seconds * SECOND_US) == words


@pytest.mark.parametrize(
    ("count_bytes", "words"),
    [
        (0, "0 MB"),
        (199_999_999, "199 MB"),
        (999_999_999, "999 MB"),
        (10**9, "1.0 GB"),
        (83_190_000_000, "83.1 GB"),
        (1_234_567_000_000, "1,234.5 GB"),
    ],
)
def test_sizes_are_told_rounded_down(count_bytes: int, words: str) -> None:
    assert sized(count_bytes) == words


# --- the whole command ---

LIVE_KEY = "rk_live_51LoopbackWaterfall"
CONFIG = 'timezone = "Europe/Berlin"\n'


@pytest.fixture(scope="module")
def business() -> SimulatedAccount:
    account = Account(instant("2026-01-10T09:00:00Z"), seed=7)
    team = account.add_price(account.add_product("Team"), 1500)
    account.subscribe(account.add_customer("Stays"), [(team, 4)])
    account.advance(instant("2026-03-01T12:00:00Z"))
    facts = AccountFacts(timezone="Europe/Berlin", label="Acme")
    return SimulatedAccount(account.snapshot(), facts)


@pytest.fixture
def stripe(business: SimulatedAccount) -> Iterator[Served]:
    with serving(business, key=LIVE_KEY) as served:
        yield served


@pytest.fixture(scope="module")
def synced_folder(
    business: SimulatedAccount, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("synced")
    with serving(business, key=LIVE_KEY) as served:
        ran = Workdir(folder, served.url, LIVE_KEY).configure(CONFIG).call("sync")
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served, synced_folder: Path) -> Workdir:
    """A ledger of its own that one sync has filled."""
    shutil.copytree(synced_folder, tmp_path, dirs_exist_ok=True)
    return Workdir(tmp_path, stripe.url, LIVE_KEY)


def verdicts(ran: Ran) -> dict[str, str]:
    return {row["check"]: row["mark"] for row in ran.json["checks"]}


def amiss(ran: Ran) -> dict[str, str]:
    """What is not well, and how bad it is."""
    return {name: mark for name, mark in verdicts(ran).items() if mark != "ok"}


def said(ran: Ran, name: str) -> str:
    (row,) = [row for row in ran.json["checks"] if row["check"] == name]
    return f"{row['said']} → {row['fix']}"


def examined(workdir: Workdir, *words: str) -> Ran:
    ran = workdir.call("doctor", "--format", "json", *words)
    assert list(verdicts(ran)) == NAMES, "every check, each time"
    assert ran.json["faults"] == list(verdicts(ran).values()).count("fault")
    assert ran.json["hints"] == list(verdicts(ran).values()).count("hint")
    assert ran.code == (3 if ran.json["faults"] else 0)
    for secret in (LIVE_KEY, workdir.key or LIVE_KEY):
        assert secret not in ran.out + ran.err
    return ran


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_is_well_and_stays_as_it_was(workdir: Workdir, stripe: Served) -> None:
    before = files(workdir.folder)
    ran = examined(workdir)
    assert amiss(ran) == {}
    assert ran.err == ""
    assert files(workdir.folder) == before
    assert {request.method for request in stripe.requests} == {"GET"}
    lists = [r for r in stripe.requests if r.path != "/v1/account"]
    assert {tuple(request.params) for request in lists} == {(("limit", "1"),)}
    assert len(stripe.requests) == 8 + 1, "one a permission, and the account"


def test_a_line_a_check_and_what_to_do_below(workdir: Workdir, stripe: Served) -> None:
    stripe.forbidden = ["coupons", "account"]
    ran = workdir.call("doctor")
    lines = ran.out.splitlines()
    assert ran.code == 3
    assert "\x1b" not in ran.out
    at = [line[:6] for line in lines].index("FAULT ")
    assert lines[at] == (
        "FAULT  permissions: the key lacks 1 of 8 read permissions: Coupons: read"
    )
    assert lines[at + 1].startswith("       → edit the key in Stripe's Dashboard")
    checks = [line for line in lines if not line.startswith(" ")]
    assert [line[7:].partition(":")[0] for line in checks[:-1]] == NAMES
    assert checks[-1] == "21 checks; faults: 1, hints: 1."


def test_every_missing_permission_is_named_at_once(
    workdir: Workdir, stripe: Served
) -> None:
    stripe.forbidden = ["prices", "invoiceitems", "events"]
    ran = examined(workdir)
    assert amiss(ran) == {"permissions": "fault"}
    for needs in ("Prices: read", "Invoice Items: read", "Events: read"):
        assert needs in said(ran, "permissions")


def test_a_key_that_may_not_read_the_account_is_no_fault(
    workdir: Workdir, stripe: Served
) -> None:
    stripe.forbidden = ["account"]
    ran = examined(workdir)
    assert amiss(ran) == {"time zone": "hint"}
    assert "by hand: `timezone` is Europe/Berlin" in said(ran, "time zone")


def test_a_key_nobody_knows(workdir: Workdir) -> None:
    ran = examined(dataclasses.replace(workdir, key="sk_live_51NobodyKnowsThisOne"))
    assert amiss(ran) == {
        "key": "hint",
        "Stripe": "fault",
        "permissions": "later",
        "clock": "later",
        "account": "later",
        "time zone": "later",
    }
    assert "sk_live_…sOne" in said(ran, "Stripe")


def test_nobody_at_the_other_end(workdir: Workdir) -> None:
    ran = examined(dataclasses.replace(workdir, stripe="http://127.0.0.1:9"))
    of_stripe = ("permissions", "clock", "API version", "account", "time zone")
    assert amiss(ran) == {"Stripe": "fault", **dict.fromkeys(of_stripe, "later")}
    assert "no connection" in said(ran, "Stripe")


def test_a_test_key_is_pointed_out(workdir: Workdir, stripe: Served) -> None:
    stripe.key = "rk_test_51Sandbox00Castle"
    ran = examined(dataclasses.replace(workdir, key=stripe.key))
    assert amiss(ran) == {"key mode": "hint", "account": "fault"}
    assert "(acct_simulated), test mode, and the ledger of" in said(ran, "account")


def test_no_key(workdir: Workdir, stripe: Served) -> None:
    ran = examined(dataclasses.replace(workdir, key=None))
    assert {n for n, mark in amiss(ran).items() if mark == "fault"} == {"key"}
    assert "not checked: see “key”" in said(ran, "permissions")
    assert stripe.requests == []


@dataclass(frozen=True)
class WorkdirWithKeyFile(Workdir):
    """The key is in the file ``path``, or it is taken for a path itself."""

    path: str = "key"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "STRIPE_API_KEY_FILE": self.path}


@pytest.mark.parametrize(
    ("mode", "found"), [(0o600, {}), (0o644, {"key file": "hint"})]
)
def test_a_key_file_is_for_its_owner_only(
    workdir: Workdir, mode: int, found: dict[str, str]
) -> None:
    path = workdir.folder / "key"
    path.write_text(f"{LIVE_KEY}\n", encoding="utf-8")
    path.chmod(mode)
    ran = examined(WorkdirWithKeyFile(workdir.folder, workdir.stripe, None))
    assert amiss(ran) == found
    assert "STRIPE_API_KEY_FILE" in said(ran, "environment")


def test_a_key_taken_for_a_path_is_not_shown(workdir: Workdir) -> None:
    ran = examined(WorkdirWithKeyFile(workdir.folder, workdir.stripe, None, LIVE_KEY))
    assert verdicts(ran)["key"] == "fault"


def elsewhen(shift_s: int) -> Fault:
    def fault(true: Reply, _: Reply | None) -> Reply:
        return dataclasses.replace(
            true, headers={"Date": formatdate(time.time() + shift_s, usegmt=True)}
        )

    return fault


@pytest.mark.parametrize(
    ("shift_s", "mark", "way"),
    [(60, "hint", "behind"), (-60, "hint", "ahead"), (3_600, "fault", "behind")],
)
def test_a_clock_that_is_off(
    workdir: Workdir, stripe: Served, shift_s: int, mark: str, way: str
) -> None:
    stripe.spoil(lambda _: elsewhen(shift_s))
    ran = examined(workdir)
    assert amiss(ran) == {"clock": mark}
    assert way in said(ran, "clock")


def test_an_answer_of_another_version(workdir: Workdir, stripe: Served) -> None:
    old = {"Stripe-Version": "2020-08-27"}
    stripe.spoil(lambda _: lambda true, _before: dataclasses.replace(true, headers=old))
    ran = examined(workdir)
    assert amiss(ran) == {"API version": "fault"}
    assert "2020-08-27" in said(ran, "API version")


def test_a_no_for_another_reason_is_told_and_the_others_are_asked(
    workdir: Workdir, stripe: Served
) -> None:
    stripe.spoil(on("/v1/prices", failing(400)))
    stripe.forbidden = ["events"]
    ran = examined(workdir)
    assert verdicts(ran)["Stripe"] == "fault"
    assert "/v1/prices" in said(ran, "Stripe")
    assert "Events: read" in said(ran, "permissions")


@pytest.mark.parametrize(
    ("config", "zone", "mark"),
    [
        ("Asia/Tokyo", "Europe/Berlin", "fault"),
        ("Europe/Vienna", "Europe/Berlin", "ok"),
        ("UTC", "Etc/UTC", "ok"),
        ("UTC", "Moon/Tranquility", "fault"),
        ("UTC", None, "hint"),
    ],
)
def test_the_zone_against_the_account_s(
    workdir: Workdir, stripe: Served, config: str, zone: str | None, mark: str
) -> None:
    stripe.account = SimulatedAccount({}, AccountFacts(timezone=zone))
    ran = examined(workdir.configure(f'timezone = "{config}"\n'))
    assert verdicts(ran)["time zone"] == mark
    assert config in said(ran, "time zone")


def test_before_the_first_sync(tmp_path: Path, stripe: Served) -> None:
    ran = examined(Workdir(tmp_path, stripe.url, LIVE_KEY).configure(CONFIG))
    later = NAMES[NAMES.index("ledger") :]
    assert amiss(ran) == dict.fromkeys(later, "later")
    assert "there is no ledger at stripe-nrr.db yet" in said(ran, "ledger")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml"]


def test_before_anything_a_line_for_what_is_wrong_now(tmp_path: Path) -> None:
    ran = Workdir(tmp_path, key=None).call("doctor")
    begun = [line for line in ran.out.splitlines() if not line.startswith(" ")]
    fault, count = (it for it in begun if it[:6] not in ("ok    ", "later "))
    assert fault.startswith("FAULT  key: no Stripe key: set STRIPE_API_KEY")
    assert count == "6 of 21 checks made; faults: 1, hints: 0."
    of_key, of_sync = (line for line in begun if line.startswith("later"))
    assert of_key == (
        "later  key mode, key file, Stripe, permissions, clock, API version, account, "
        "time zone: not checked: see “key”"
    )
    assert of_sync == (
        "later  ledger, schema, integrity, lock, last sync, unfinished sync, customers "
        "waiting: not checked: after the first sync; there is no ledger at "
        "stripe-nrr.db yet"
    )


def test_a_folder_that_is_not_there(tmp_path: Path, stripe: Served) -> None:
    workdir = Workdir(tmp_path, stripe.url, LIVE_KEY)
    ran = examined(workdir.configure(f'{CONFIG}database = "away/nrr.db"\n'))
    assert verdicts(ran)["folder"] == "fault"
    assert "away does not exist" in said(ran, "folder")
    assert verdicts(ran)["disk"] == "later"


def test_a_path_that_no_system_takes(tmp_path: Path, stripe: Served) -> None:
    workdir = Workdir(tmp_path, stripe.url, LIVE_KEY)
    ran = examined(workdir.configure(f'{CONFIG}database = "{"x" * 300}"\n'))
    assert verdicts(ran)["folder"] == "fault"
    assert "not checked: see “folder”" in said(ran, "ledger")
    assert verdicts(ran)["permissions"] == "ok"


def test_a_file_that_is_no_ledger(workdir: Workdir) -> None:
    workdir.ledger.write_text("Dear diary,\n" * 1_000)
    ran = examined(workdir)
    assert {n for n, mark in amiss(ran).items() if mark == "fault"} == {"ledger"}
    assert "not a SQLite database" in said(ran, "ledger")
    assert "not checked: see “ledger”" in said(ran, "last sync")


def test_a_damaged_ledger(workdir: Workdir) -> None:
    """Where the movements begin it is overwritten: the file still opens."""
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        asked = "SELECT rootpage FROM sqlite_schema WHERE name = 'movements'"
        (page,) = connection.execute(asked).fetchone()
    with workdir.ledger.open("r+b") as file:
        file.seek((page - 1) * 4_096)
        file.write(b"\xff" * 4_096)
    ran = examined(workdir)
    assert verdicts(ran)["ledger"] == "ok"
    assert verdicts(ran)["integrity"] == "fault"
    assert "not checked: see “integrity”" in said(ran, "last sync")


def test_a_row_that_hangs_in_the_air(workdir: Workdir) -> None:
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        connection.execute("INSERT INTO retractions VALUES (999, 1, 'a whim')")
        connection.commit()
    with closing(open_as_it_is(workdir.ledger)) as connection:
        (found,) = damage(connection)
    assert found.endswith("of retractions names one of movements that is not there")


def test_a_ledger_of_an_older_version(workdir: Workdir) -> None:
    newest = MIGRATIONS[-1]
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", [newest])
        connection.commit()
    ran = examined(workdir)
    assert verdicts(ran)["schema"] == "hint"
    assert newest in said(ran, "schema")
    assert "not checked: see “schema”" in said(ran, "last sync")


def test_what_an_interrupted_sync_leaves(workdir: Workdir) -> None:
    now_us = time.time_ns() // 1_000
    with closing(open_database(workdir.ledger)) as connection, transaction(connection):
        walks.begin_walk(connection, now_us - 5 * HOUR_US)
        dirty_customers.mark_all(connection)
    ran = examined(workdir)
    assert amiss(ran) == {"unfinished sync": "hint", "customers waiting": "hint"}
    assert "one began 5 hours ago" in said(ran, "unfinished sync")
    assert said(ran, "customers waiting").startswith("1 to be derived")


def test_a_sync_at_work_explains_itself(workdir: Workdir) -> None:
    with closing(open_database(workdir.ledger)) as connection, transaction(connection):
        walks.begin_walk(connection, time.time_ns() // 1_000)
    with exclusive_sync(workdir.ledger, "the nightly sync"):
        ran = examined(workdir)
    assert amiss(ran) == {}
    assert "the nightly sync is at work" in said(ran, "lock")


def test_a_lock_that_is_none(workdir: Workdir) -> None:
    Path(f"{workdir.ledger}.lock").write_text("keep out\n" * 100)
    ran = examined(workdir)
    assert amiss(ran) == {"lock": "fault"}


def test_the_demo_s_ledger_is_not_for_a_sync(workdir: Workdir) -> None:
    with closing(open_database(workdir.ledger)) as connection:
        put_setting(connection, "account", "demo")
    ran = examined(workdir)
    assert amiss(ran) == {"ledger": "hint"}


def test_a_fault_in_the_configuration(workdir: Workdir, stripe: Served) -> None:
    ran = examined(workdir.configure('timezon = "UTC"\n'))
    faults = {n for n, mark in amiss(ran).items() if mark == "fault"}
    assert faults == {"configuration"}
    assert "did you mean timezone?" in said(ran, "configuration")
    assert verdicts(ran)["key"] == "ok"
    assert stripe.requests == []


def test_offline_asks_nobody(workdir: Workdir, stripe: Served) -> None:
    ran = examined(workdir, "--offline")
    of_stripe = ["permissions", "clock", "API version", "account", "time zone"]
    assert amiss(ran) == dict.fromkeys(["Stripe", *of_stripe], "later")
    assert stripe.requests == []
