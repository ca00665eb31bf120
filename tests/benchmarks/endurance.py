"""Whether ``serve`` stays as it is: ``python -m tests.benchmarks.endurance --minutes N``.

A Stripe whose customers renew all the time, its signed events at a steady rate, asked
again no faster than the configuration's defaults allow. Beside them, one after the other,
all that is run beside a server: syncs, reports, backups, pages of the dashboard, /metrics.
Each minute a row: the memory of the server's process, its open files, the WAL and the
ledger, what waits, how long acknowledgements took.

At the end no event is lost, and the ledger checks. Exit 1 where it does not, where
anything grows, or where events wait ever longer.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx

from connector.webhooks.apply_events import BATCH
from tests.benchmarks.busy_account import BusyAccount, Happenings, in_time
from tests.benchmarks.dashboard import memory_mb
from tests.benchmarks.measure import machine
from tests.support.loopback import delayed, serving
from tests.support.served import PORTS, Server, ServingWorkdir, headers, serve
from tests.support.synced import demo

BESIDE_S = 5.0
BESIDE: Sequence[Sequence[str]] = [
    ("report",),
    ("sync", "--quiet"),
    ("report", "--by", "product", "--format", "html", "-o", "report.html"),
    ("movements", "--format", "csv", "-o", "movements.csv"),
    ("at-risk", "--format", "json"),
    ("backup", "copies/copy.db", "--keep", "2"),
    ("cohorts", "--format", "markdown"),
    ("export", "--what", "movements", "-o", "exported.csv"),
]
LATENCY_S = 0.15  # of Stripe's answers
PAGES = ["/", "/movements", "/customers", "/cohorts", "/at-risk"]
CONFIG = f'timezone = "Europe/Berlin"\n{PORTS}'  # all else as it is by default
BEHIND = 3  # a CSV says so, who reads it while somebody is not derived yet
SAYS_SO = "warning: Not "
GROWS_MB = 16.0  # of memory between the second and the last quarter: more is a leak
WAL_MB = 32.0  # with a reader beside it now and then
WAITS = 2 * BATCH  # events, at the median of a quarter: more is a backlog


# --- Stripe, and its events: each a process of its own ---


def happenings(rate: float, began_s: float) -> Happenings:
    return Happenings.of(demo(), rate, began_s)


def be_stripe(rate: float, began_s: float) -> None:
    account = BusyAccount(demo(), happenings(rate, began_s))
    with serving(account, faults=lambda _request: delayed(LATENCY_S)) as stripe:
        print(stripe.url, flush=True)
        while True:
            time.sleep(1)
            stripe.requests.clear()


async def send(url: str, seconds: float, those: Happenings) -> None:
    """Signed events, each in its time; a line a minute says how soon they were kept."""
    began_s, waited_s, told = time.monotonic(), list[float](), 0
    sending = set[asyncio.Task[None]]()

    async def one(client: httpx.AsyncClient, body: bytes) -> None:
        sent_s = time.perf_counter()
        answer = await client.post(url, content=body, headers=headers(body))
        waited_s.append(time.perf_counter() - sent_s)
        answer.raise_for_status()

    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        for wait_s, event in in_time(those, seconds):
            await asyncio.sleep(wait_s)
            task = asyncio.create_task(one(client, json.dumps(event).encode()))
            sending.add(task)
            task.add_done_callback(sending.discard)
            if time.monotonic() - began_s > (told + 1) * 60:
                told += 1
                tell(waited_s)
                waited_s.clear()
        await asyncio.gather(*sending)
    tell(waited_s)


def tell(waited_s: Sequence[float]) -> None:
    cuts = statistics.quantiles(waited_s, n=100)
    told = {"kept": len(waited_s), "p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}
    print(json.dumps(told), flush=True)


@contextmanager
def role(*words: str, out: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """This module in a process of its own; what it prints stands in the file."""
    command = [sys.executable, "-m", __spec__.name, *words]
    with out.open("wb") as file, subprocess.Popen(command, stdout=file) as process:
        try:
            yield process
        finally:
            process.terminate()


def first_line(path: Path) -> str:
    while not (line := path.read_text(encoding="utf-8")).endswith("\n"):
        time.sleep(0.05)
    return line.splitlines()[0]


# --- what is run beside ---


class DirtyCustomers:
    """The most that were not derived at any moment since it was last asked."""

    def __init__(self, ledger: Path) -> None:
        self.ledger, self.most, self.ends = ledger, 0, threading.Event()

    def watch(self) -> None:
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as db:
            while not self.ends.wait(0.01):
                query = "SELECT count(*) FROM dirty_customers"
                self.most = max(self.most, db.execute(query).fetchone()[0])

    def since_asked(self) -> int:
        most, self.most = self.most, 0
        return most


@dataclass
class Beside:
    """Commands and pages, one after the other, until it is told to end."""

    workdir: ServingWorkdir
    server: Server
    dirty: DirtyCustomers
    ends: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def go_on(self) -> None:
        number = 0
        while not self.ends.wait(BESIDE_S):
            words = BESIDE[number % len(BESIDE)]
            self.dirty.since_asked()
            ran = self.workdir.run(*words)
            self.done[words[0]] += 1
            says_so = "csv" in words and SAYS_SO in ran.err and self.dirty.since_asked()
            self.done["of which behind"] += ran.code == BEHIND and bool(says_so)
            if ran.code != (BEHIND if says_so else 0):
                self.failed.append(f"{' '.join(words)}: {ran.code} {ran.err}")
            self.look(PAGES[number % len(PAGES)])
            number += 1

    def look(self, page: str) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            for path in (page, "/metrics", "/readyz"):
                answer = client.get(f"{self.server.admin}{path}")
                self.done["pages"] += 1
                if answer.status_code != httpx.codes.OK:
                    self.failed.append(f"{path}: {answer.status_code} {answer.text}")


# --- what is measured ---


class Sample(NamedTuple):
    """The server at one moment. ``waiting`` events are kept, and not yet applied."""

    minute: float
    memory_mb: float
    files: int
    threads: int
    wal_mb: float
    ledger_mb: float
    waiting: int


def sample(minute: float, server: Server, ledger: Path) -> Sample:
    process = Path(f"/proc/{server.process.pid}")
    wal = ledger.with_name(f"{ledger.name}-wal")
    with httpx.Client(trust_env=False, timeout=60) as client:
        ready = client.get(f"{server.admin}/readyz").json()
    return Sample(
        minute,
        memory_mb(server.process.pid, "VmRSS"),
        len(list((process / "fd").iterdir())),
        len(list((process / "task").iterdir())),
        wal.stat().st_size / 1e6 if wal.exists() else 0.0,
        ledger.stat().st_size / 1e6,
        ready["inbox"]["waiting"],
    )


TITLES = (
    f"{'minute':>6} {'MB':>7} {'files':>6} {'threads':>7} {'WAL MB':>7}"
    f" {'ledger MB':>9} {'waiting':>7}  {'kept':>6} {'p50 ms':>7} {'p99 ms':>7}"
)


def row(seen: Sample, told: dict[str, float]) -> str:
    shown = (
        f"{seen.minute:6.1f} {seen.memory_mb:7.1f} {seen.files:6} {seen.threads:7}"
        f" {seen.wal_mb:7.1f} {seen.ledger_mb:9.1f} {seen.waiting:7}"
    )
    if not told:
        return shown
    return f"{shown}  {told['kept']:6} {told['p50_ms']:7.1f} {told['p99_ms']:7.1f}"


def growth(samples: Sequence[Sample]) -> Iterator[str]:
    """What grew from the second quarter of the time to the last, and must not have."""
    quarter = max(len(samples) // 4, 1)
    early, late = samples[quarter : 2 * quarter] or samples[:1], samples[-quarter:]
    before, now = (
        statistics.median(s.memory_mb for s in part) for part in (early, late)
    )
    print(f"memory: {before:.1f} MB in the second quarter, {now:.1f} MB in the last")
    if now - before > GROWS_MB:
        yield f"memory grew by {now - before:.1f} MB"
    if (most := max(s.wal_mb for s in samples)) > WAL_MB:
        yield f"the WAL grew to {most:.1f} MB"
    if (waiting := statistics.median(s.waiting for s in late)) > WAITS:
        yield f"{waiting} events wait"
    files = [min(s.files for s in part) for part in (early, late)]
    if files[1] > files[0] + 5:
        yield f"open files, connections apart, grew from {files[0]} to {files[1]}"


def last_told(path: Path, known: int) -> dict[str, float]:
    """The newest line that the sender has printed since; empty where there is none."""
    lines = path.read_text(encoding="utf-8").splitlines()
    told: dict[str, float] = json.loads(lines[-1]) if len(lines) > known else {}
    return told


def endure(folder: Path, minutes: float, rate: float) -> list[str]:
    """Print the table; what is not as it should be."""
    began = ("--began", str(time.time()), "--rate", str(rate))
    with role("--role", "stripe", *began, out=folder / "stripe.txt"):
        workdir = ServingWorkdir(folder, first_line(folder / "stripe.txt"))
        workdir.configure(CONFIG)
        (folder / "copies").mkdir()
        assert workdir.run("sync", "--quiet").code == 0
        with serve(workdir) as server:
            faults = list(under_load(workdir, server, minutes, rate, began))
    checked = workdir.run("check")
    print(f"check: exit {checked.code}")
    return [*faults, *([checked.out] if checked.code else [])]


def under_load(
    workdir: ServingWorkdir,
    server: Server,
    minutes: float,
    rate: float,
    began: Sequence[str],
) -> Iterator[str]:
    dirty = DirtyCustomers(workdir.ledger)
    beside = Beside(workdir, server, dirty)
    watching = threading.Thread(target=dirty.watch)
    running = threading.Thread(target=beside.go_on)
    log = threading.Thread(target=drain, args=(server,))
    told, samples, lines = workdir.folder / "sent.txt", list[Sample](), 0
    words = ("--url", server.url, "--minutes", str(minutes), *began)
    began_s, step_s = time.monotonic(), min(60.0, minutes * 60 / 8)
    print(TITLES, flush=True)
    with role("--role", "send", *words, out=told) as sending:
        watching.start()
        running.start()
        log.start()
        while sending.poll() is None:
            time.sleep(step_s)
            minute = (time.monotonic() - began_s) / 60
            samples.append(sample(minute, server, workdir.ledger))
            print(row(samples[-1], last_told(told, lines)), flush=True)
            lines = len(told.read_text(encoding="utf-8").splitlines())
        beside.ends.set()
        running.join()
        dirty.ends.set()
        watching.join()
    if sending.returncode:
        yield "an event was not answered by 200"
    yield from beside.failed
    server.settle()
    metrics = server.metrics()
    done = {name: int(v) for name, v in metrics.items() if "_events_total" in name}
    print(f"beside: {dict(beside.done)}")
    print(f"events: {done}; dead: {metrics['stripe_nrr_inbox_dead']:.0f}")
    kept = sum(count for name, count in done.items() if 'outcome="kept"' in name)
    if kept != round(rate * minutes * 60) or metrics["stripe_nrr_inbox_dead"]:
        yield "events were lost or given up"
    yield from growth(samples)
    if server.stop():
        yield "it did not end well"
    log.join()


def drain(server: Server) -> None:
    """What it logs, so that its pipe is never full."""
    assert server.process.stderr is not None
    for line in server.process.stderr:
        print(f"serve: {line}", end="", file=sys.stderr)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=45)
    options.add_argument("--rate", type=float, default=50, help="events a second")
    options.add_argument("--role", choices=("stripe", "send"), help=argparse.SUPPRESS)
    options.add_argument("--url", help=argparse.SUPPRESS)
    options.add_argument("--began", type=float, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.role == "stripe":
        be_stripe(given.rate, given.began)
    elif given.role == "send":
        those = happenings(given.rate, given.began)
        asyncio.run(send(given.url, given.minutes * 60, those))
    else:
        print(machine())
        with tempfile.TemporaryDirectory() as folder:
            faults = endure(Path(folder), given.minutes, given.rate)
        print("\n".join(faults) or "nothing grows, nothing is lost")
        sys.exit(bool(faults))


if __name__ == "__main__":
    main()
