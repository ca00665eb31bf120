"""One ledger lives through kills of whatever writes it or beside it: nothing is lost.

Each command is killed (SIGKILL) at a random instant, and run again. In between the
customers of a real account change. ``--kills N`` is how often it is killed in all.
"""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

import httpx
import pytest

from connector.core.dates import add_months
from tests.billing.account import Account
from tests.laws.test_kills import whole
from tests.support.loopback import serving
from tests.support.served import PORTS, ServingWorkdir, serve, start
from tests.support.simulator import SimulatedAccount
from tests.webhooks.test_serve import Company, ago_s, quiet, shown

USUAL = 7  # one kill of each command
OLD = b"of last month"
WORDS = {
    "sync": ("sync", "-q"),
    "recompute": ("recompute",),
    "export": ("export", "--what", "movements", "-o", "figures"),
    "backup": ("backup", "copy.db", "--keep", "2"),
    "restore": ("restore", "good.db"),
}


@dataclass
class KilledLife:
    """A company's ledger, and who kills what works on it.

    ``took_s`` is how long each command took when nobody killed it. Customer 0 has so
    many seats as ``seats`` says, at $10.00.
    """

    company: Company
    chance: random.Random
    took_s: dict[str, float] = field(default_factory=dict)
    seats: int = 1

    def __post_init__(self) -> None:
        month = add_months(datetime.now(UTC).date().replace(day=1), -2)
        self.close = ("close", f"{month:%Y-%m}")
        self.workdir, self.folder = self.company.workdir, self.company.workdir.folder

    def words(self, name: str) -> tuple[str, ...]:
        return self.close if name == "close" else WORDS[name]

    def run(self, name: str) -> None:
        began_s = time.monotonic()
        ran = self.workdir.run(*self.words(name))
        assert ran.code == 0, (name, ran)
        self.took_s.setdefault(name, time.monotonic() - began_s)

    def catch_up(self) -> None:
        """In full: the newest events are left to a later sync."""
        assert self.workdir.run("sync", "--full", "-q").code == 0

    def say(self, *words: str) -> str:
        ran = self.workdir.call(*words)
        assert ran.code == 0, (words, ran)
        return ran.out

    def booked(self) -> str:
        return self.say("export", "--what", "movements")

    def killed(self, name: str) -> None:
        with subprocess.Popen(
            self.workdir.command(*self.words(name)),
            cwd=self.folder,
            env=self.workdir.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(self.chance.uniform(0.4, 1.05) * self.took_s[name])
            process.kill()

    def kill(self, name: str) -> None:
        """Kill it, see that all is whole, run it again, see that all is there."""
        prepare: Callable[[], object] = {
            "sync": self.grow,
            "close": lambda: self.say(*self.close, "--withdraw", "a test"),
            "restore": lambda: self.say("backup", "good.db"),
        }.get(name, lambda: None)
        prepare()
        before = self.booked()
        self.killed(name)
        self.see_whole(before)
        self.run(name)
        self.see_whole(before)
        if name == "sync":
            self.catch_up()
            assert self.company.mrr(0) == self.seats * 1_000
        else:
            assert self.booked() == before
        assert "0 findings" in self.say("check")
        if name == "close":
            assert "already closed" in self.say(*self.close)
        assert not list(self.folder.glob(".*.draft*"))

    def see_whole(self, before: str) -> None:
        """No file is torn, and what was there before is there."""
        figures = self.folder / "figures"
        assert figures.read_bytes() in {OLD, before.encode()}
        figures.write_bytes(OLD)
        for path in self.folder.glob("[!.]*.db*"):  # a draft is no ledger yet
            if not path.name.endswith(("-wal", "-shm", "-journal", ".lock")):
                assert whole(path), path
        for path in self.folder.glob("*.replaced-*"):
            path.unlink()
        changes = self.company.subs[0].customer.id  # the others are as they were
        for text in before.splitlines():
            assert changes in text or text in self.booked()
        assert self.company.mrr(0) in {(self.seats - 1) * 1_000, self.seats * 1_000}

    def grow(self) -> list[dict[str, object]]:
        self.seats += 1
        return self.company.grow(0, self.seats)

    def kill_server(self) -> None:
        """Killed around the moments in which it answers, fetches and derives."""
        before, acknowledged = self.booked(), False
        server = start(self.workdir)
        events = self.grow()
        fuse = threading.Timer(self.chance.uniform(0, 0.3), server.process.kill)
        fuse.start()
        for event in events:
            with suppress(httpx.HTTPError):
                acknowledged |= server.send(event) == 200
        fuse.join()
        server.kill()
        server.close()
        self.see_whole(before)
        with serve(self.workdir) as again:
            again.settle()
            assert again.stop() == 0
        if not acknowledged:
            self.catch_up()
        assert self.company.mrr(0) == self.seats * 1_000
        self.see_whole(before)
        assert "0 findings" in self.say("check")


@pytest.fixture
def life(tmp_path: Path) -> Iterator[KilledLife]:
    """Every command was run once; a page of last month stands where figures are put."""
    account = Account(ago_s(90))
    with serving(SimulatedAccount(account.snapshot())) as stripe:
        workdir = ServingWorkdir(tmp_path, stripe.url)
        workdir.configure(PORTS)
        made = KilledLife(Company(account, stripe, workdir), random.Random(1))
        made.run("sync")
        made.took_s.clear()  # of a walk; the next one reads events
        (tmp_path / "figures").write_bytes(OLD)
        for name in ("close", *WORDS):
            made.say("backup", "good.db")
            made.run(name)
        yield made


def test_a_ledger_lives_through_kills(
    life: KilledLife, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    wanted = request.config.getoption("--kills")
    life.chance.seed(time.time_ns() if wanted else 1)
    for name in islice(cycle(["serve", "close", *WORDS]), wanted or USUAL):
        life.kill_server() if name == "serve" else life.kill(name)
    life.catch_up()
    alone = quiet(life.company, tmp_path / "alone.db")
    assert shown(life.workdir.ledger) == alone
