"""Whatever happens to a sync: the ledger ends as if nothing had happened.

Each schedule is drawn from its number: an account that goes on while it is read, answers
that are spoiled, runs that are stopped, refused, cut off, out of disk, or killed. Then all
is quiet, and one sync must end in the ledger of somebody who looked once, at the end.

``--schedules N`` tries N new ones instead of the usual. Where many workers ask at once,
a number alone does not repeat the order in which they are answered.
"""

import multiprocessing
import os
import random
import secrets
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from connector.core.dates import local_day
from connector.core.errors import ConnectorError
from connector.core.policy import Policy, Rules
from connector.metrics.invariants import (
    every_window,
    movement_findings,
    window_findings,
)
from connector.metrics.retention import measure
from connector.pipeline.ingest import Ingest
from connector.pipeline.job import bring_up_to_date
from connector.pipeline.recompute import Recomputed
from connector.pipeline.thread_pool import ThreadPool
from connector.store.ledger import queries, unvalued
from connector.store.mirror import dirty_customers
from connector.store.opening import open_database
from connector.store.schema import MIRRORED
from connector.stripe_api.client import StripeApi
from tests.billing.calendar_ import DAY, HOUR
from tests.support import loopback
from tests.support.clocks import Clock, Running
from tests.support.ledgers import Known, empty_ledger
from tests.support.lives import BORN, EVENTFUL, USUAL, Act, Lived
from tests.support.living import Telling
from tests.support.loopback import KEY, Fault, Reply, Request, Served, serving
from tests.support.served import PATIENCE_S
from tests.support.simulator import SimulatedAccount
from tests.support.synced import (
    DEFAULTS,
    Unplugged,
    Wire,
    demo,
    demo_now_s,
    sync,
    walk,
    walked_demo,
)

USUAL_SCHEDULES = 190
KILLED = 20
PAGE = 6  # objects, so that a small account has many pages
ZONE = ZoneInfo("UTC")
RULES = Rules(policy=Policy(), zone=ZONE, code_version="of the tests")


class ShortPages(SimulatedAccount):
    def answer(
        self, path: str, params: Sequence[tuple[str, str]], *, method: str = "GET"
    ) -> tuple[int, dict[str, Any]]:
        short = [(name, str(PAGE) if name == "limit" else it) for name, it in params]
        return super().answer(path, short, method=method)


@dataclass
class Town:
    """Four customers of one account, who go on living while Stripe is asked."""

    chance: random.Random
    served: Served
    clock: Clock
    spoiled: float = 0.0  # of all answers
    lively: float = 0.0  # how often something happens before an answer
    haste_s: float = 1.0  # that pass before an answer, at the most
    asked: int = 0
    at_request: Callable[[int], None] = lambda _number: None
    account: Telling = field(init=False)
    people: list[Lived] = field(init=False)
    lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.account = Telling(BORN, seed=self.chance.randrange(1_000))
        mode = self.chance.choice(["flexible", "classic"])
        first = Lived(mode, is_watched=True, account=self.account)
        self.people = [first, *(first.neighbour() for _ in range(3))]
        self.account.tell()
        for person in self.people:
            self.live(person, "come_back")
            self.pass_time(self.chance.randrange(2 * DAY))
        for _ in range(6):
            self.pass_time(self.chance.randrange(DAY))
            self.live(self.chance.choice(self.people))
        self.clock.reach(self.account.now)
        self.served.key = KEY
        self.served.now_s = self.clock.now_s
        self.served.spoil(self.answering)
        self.show()

    def live(self, person: Lived, what: str | None = None) -> None:
        """Something happens to a customer, and Stripe tells of it."""
        numbers = [self.chance.randrange(12) for _ in range(3)]
        what = what or self.chance.choice(EVENTFUL + USUAL)
        person.do(Act(0, what, *numbers))
        self.account.tell()

    def pass_time(self, wait_s: int) -> None:
        self.account.advance(self.account.now + wait_s)

    def show(self) -> None:
        self.served.account = ShortPages(self.account.snapshot())

    def catch_up(self) -> None:
        """The account lives until now, and is shown as it is then."""
        self.account.advance(max(self.account.now, int(self.clock.now_s())))
        self.clock.reach(self.account.now)
        self.show()

    def answering(self, request: Request) -> Fault | None:
        """Called before each answer: time passes, and something may happen or break."""
        with self.lock:
            self.asked += 1
            self.at_request(self.asked)
            self.clock.sleep(self.haste_s * self.chance.random())
            if self.chance.random() < self.lively:
                self.go_on()
            if self.chance.random() < self.spoiled:
                return self.fault(request)
            return None

    def go_on(self) -> None:
        """Something happens now, but never twice in a second to a clock that runs.

        (Within the second of a renewal the next act is ten minutes later.)
        """
        now_s = int(self.clock.now_s())
        if self.haste_s or now_s > self.account.now:
            self.account.advance(max(self.account.now, now_s))
            self.live(self.chance.choice(self.people))
            self.catch_up()

    def fault(self, request: Request) -> Fault | None:
        pick = self.chance.choice
        goes_on = any(name == "starting_after" for name, _ in request.params)
        return pick(
            [
                loopback.rate_limited(pick([None, 0, 2]), pick(REASONS)),
                loopback.failing(
                    pick([500, 502, 503]), should_retry=pick([None, True])
                ),
                loopback.conflicting(),
                loopback.hung_up(),
                loopback.truncated(self.chance.random()),
                loopback.truncated(self.chance.random(), claims_all=True),
                loopback.delayed(0.005),
                loopback.shuffled(random.Random(self.chance.random())),
                partial(self.again, request) if goes_on else None,
                loopback.vanished() if goes_on else None,
            ]
        )

    def again(self, request: Request, _true: Reply, _before: Reply | None) -> Reply:
        """The list's first page, as if there were no cursor."""
        params = [(k, v) for k, v in request.params if k != "starting_after"]
        status, body = self.served.account.answer(request.path, params)
        return Reply(status=status, body=body)


REASONS = (None, "global-rate", "endpoint-rate", "endpoint-concurrency")


# --- a run, and what cuts it short ---


@dataclass
class Run:
    """One sync in this process, over HTTP. What is set cuts it short."""

    town: Town
    path: Path
    full: bool = False
    workers: int = 1
    stop_at: int | None = None  # the request at which the process is asked to end
    cut_at: int | None = None  # the page after which it dies
    pages_left: int | None = None  # of the disk
    pages: int = 0

    def sync(self) -> Recomputed:
        town, began = self.town, self.town.asked
        stop_at = self.stop_at

        def stopping() -> bool:
            return stop_at is not None and town.asked - began >= stop_at

        with (
            closing(open_database(self.path, create=True)) as connection,
            StripeApi(
                KEY,
                town.served.url,
                transport=httpx.HTTPTransport(verify=False),
                now_us=town.clock.now_us,
                sleep=town.clock.sleep,
                limiter=town.clock.limiter(1e6, 1e6),
                stopping=stopping,
            ) as api,
            ThreadPool[Any](self.workers) as threads,
        ):
            connection.execute("PRAGMA synchronous = OFF")  # the machine stays up
            self.fill_up(connection)
            ingest = Ingest(
                connection=connection,
                source=api,
                threads=threads,
                config=DEFAULTS,
                now_us=api.stripe_us,
                progress=self.stored,
                stopping=stopping,
            )
            return bring_up_to_date(ingest, RULES, full=self.full)

    def stored(self, _kind: str, _seen: int, _whole: int | None) -> None:
        self.pages += 1
        if self.pages == self.cut_at:
            raise Unplugged

    def fill_up(self, connection: sqlite3.Connection) -> None:
        if self.pages_left is not None:
            [used] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {used + self.pages_left}")


def broken_run(town: Town, path: Path) -> None:
    """One run that may fail in any of the ways in which runs fail."""
    chance = town.chance
    run = Run(town, path, full=chance.random() < 0.3, workers=chance.choice([1, 1, 3]))
    way = chance.choice(["none", "stopped", "cut", "full disk", "revoked", "revoked"])
    number = chance.randrange(1, 40)
    revoked_at = town.asked + number if way == "revoked" else None
    if way == "stopped":
        run.stop_at = number
    elif way == "cut":
        run.cut_at = number
    elif way == "full disk":
        run.pages_left = chance.randrange(25)

    def revoke(asked: int) -> None:
        if asked == revoked_at:
            town.served.key = "rk_test_another"

    town.at_request = revoke
    with suppress(ConnectorError, Unplugged, sqlite3.OperationalError):
        run.sync()
    town.served.key = KEY


def ended(path: Path, town: Town) -> Known:
    """What the ledger knows; its own checks find nothing, and nobody waits."""
    with closing(open_database(path)) as connection:
        movements = list(queries.movements(connection))
        findings = movement_findings(queries.movements_by_customer(connection))
        today = local_day(town.account.now, ZONE)
        for currency in queries.currencies(connection):
            flows = list(queries.flows(connection, currency))
            asked = every_window(min(flow.day for flow in flows), today)
            findings += window_findings(currency, measure(flows, asked))
        assert dirty_customers.dirty(connection) == []
        refused = unvalued.known(connection)
    assert findings == []
    return Known(movements, refused)


def quiet_end(town: Town) -> Known:
    with empty_ledger() as connection:
        return sync(connection, Wire(town.account.now_shown(), town.account.now))[1]


def settle_down(town: Town, path: Path) -> None:
    """Nothing happens any more; the next sync succeeds, and knows all."""
    town.spoiled = town.lively = 0
    town.at_request = lambda _number: None
    town.clock.sleep(60)
    town.catch_up()
    Run(town, path).sync()
    known = ended(path, town)
    assert known == quiet_end(town)
    assert not known.refusals


@pytest.fixture(scope="module")
def stripe() -> Iterator[Served]:
    with serving(SimulatedAccount({})) as served:
        yield served


@pytest.fixture(scope="module")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("new") / "ledger.db"
    open_database(path, create=True).close()
    return path.read_bytes()


def test_whatever_happens_the_ledger_ends_the_same(
    stripe: Served, new_ledger: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    wanted = request.config.getoption("--schedules")
    first = secrets.randbelow(10**9) if wanted else 0
    for number in range(first, first + (wanted or USUAL_SCHEDULES)):
        try:
            follow(number, stripe, tmp_path / f"{number}.db", new_ledger)
        except BaseException as error:
            error.add_note(f"in schedule {number}")
            raise


def follow(number: int, stripe: Served, path: Path, new_ledger: bytes) -> None:
    path.write_bytes(new_ledger)
    town = Town(random.Random(number), stripe, Clock())
    town.spoiled = town.chance.choice([0.0, 0.1, 0.3])
    town.lively = town.chance.choice([0.0, 0.05, 0.2])
    for _ in range(town.chance.randrange(1, 4)):
        broken_run(town, path)
        town.clock.sleep(town.chance.choice([1, 20, HOUR, 2 * DAY]))
        town.catch_up()
    settle_down(town, path)


# --- long lists, cut into ranges ---


def test_a_long_walk_may_break_off_anywhere_while_many_read(tmp_path: Path) -> None:
    """Ranges that were cut, but not begun, are not forgotten."""
    path = tmp_path / "ledger.db"
    for number in (4, 9, 14, 20):
        wire = Wire(demo(), demo_now_s(), unplug_after=number)
        with (
            closing(open_database(path, create=True)) as connection,
            pytest.raises(Unplugged),
        ):
            walk(connection, wire, workers=6)
    with closing(open_database(path)) as connection:
        assert walk(connection, Wire(demo(), demo_now_s()), workers=6).resumed
    with closing(open_database(path)) as connection, walked_demo() as quiet:
        for kind in MIRRORED:
            query = f"SELECT id, body FROM stripe_{kind} ORDER BY id"  # noqa: S608
            rows = connection.execute(query).fetchall()
            assert rows == quiet.execute(query).fetchall()


# --- kill -9 ---

CONFIG = """
timezone = "UTC"
[sync]
requests_per_second = 1000
requests_per_second_in_all = 1000
"""
HEAVY = (
    "connector.cli.commands.ledger.sync",
    "stripe",
    "tenacity",
    "sqlite_utils",
    "connector.pipeline.job",
)


def stripe_nrr(folder: Path, url: str, words: Sequence[str]) -> None:
    """The command's own ``main``, in a process that has loaded its libraries already."""
    from connector.cli.app import main  # noqa: PLC0415 - not in the test's process

    os.chdir(folder)
    os.environ |= {"STRIPE_API_BASE": url, "STRIPE_API_KEY": KEY}
    with Path("said.txt").open("a", encoding="utf-8") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
    sys.argv = ["stripe-nrr", *words]
    main()


def killed_run(town: Town, folder: Path) -> None:
    """``stripe-nrr sync`` in a process of its own, killed while it asks or stores."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(list(HEAVY))
    words = ["sync", *(["--full"] if town.chance.random() < 0.3 else [])]
    asked = (folder, town.served.url, words)
    process = processes.Process(target=stripe_nrr, args=asked)
    killed_at = town.asked + town.chance.randrange(1, 25)
    soon_s = town.chance.random() / 50

    def kill(number: int) -> None:
        if number == killed_at:
            assert process.pid is not None
            threading.Timer(soon_s, os.kill, (process.pid, signal.SIGKILL)).start()

    town.at_request = kill
    process.start()
    process.join(PATIENCE_S)
    town.at_request = lambda _number: None
    said = (folder / "said.txt").read_text(encoding="utf-8")
    assert process.exitcode in (0, -signal.SIGKILL), said
    process.close()


def test_a_killed_process_is_no_reason_for_another_ledger(
    stripe: Served, tmp_path: Path
) -> None:
    """Stripe's clock is years away from this machine's, too."""
    for number in range(KILLED // 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
        town = Town(random.Random(number), stripe, Running(), haste_s=0)
        town.lively = 0.1
        for _ in range(2):
            killed_run(town, folder)
            town.clock.sleep(town.chance.choice([1, HOUR, DAY]))
            town.catch_up()
        try:
            settle_down(town, folder / "stripe-nrr.db")
        except BaseException as error:
            error.add_note(f"in schedule {number}")
            raise
