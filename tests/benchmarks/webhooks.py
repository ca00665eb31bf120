"""How fast webhooks are acknowledged and derived: ``python -m tests.benchmarks.webhooks``.

Each acknowledgement is a durable commit. The load is open: a request is sent when its
time has come, whether or not the others were answered, and its latency counts from then.
The load, the server and the Stripe it asks are three processes.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from connector.core.policy import Policy, Rules
from connector.pipeline.recompute import SharedCatalogue, recompute
from connector.store import inbox
from connector.store.database import transaction
from connector.store.inbox import ReceivedEvent
from connector.store.mirror import dirty_customers, objects
from connector.store.opening import open_database
from connector.stripe_api.decoding import decode, ref
from connector.stripe_api.objects import Subscription
from connector.webhooks import endpoint, server
from tests.support.loopback import serving
from tests.support.served import PORTS, SECRET, ServingWorkdir, headers, serve
from tests.support.served import webhook as event
from tests.support.simulator import SimulatedAccount
from tests.support.synced import demo, demo_now_s, walked_demo

RATE = 500  # events a second
SECONDS = 10
BURST = 10_000
CONNECTIONS = 64
HOUR_S = 3_600


# --- the load: a process of its own ---


def requests(url: str, count: int, ids: Sequence[str], mark: str) -> Iterator[bytes]:
    """Signed requests, whole, each another event about one of the subscriptions."""
    place = urlsplit(url)
    for number in range(count):
        about = {"id": ids[number % len(ids)], "object": "subscription"}
        filler = {"padding": "x" * 4_000}  # a subscription's event has about 5 kB
        told = event(
            "customer.subscription.updated", {**about, **filler}, f"evt_{mark}{number}"
        )
        body = json.dumps(told).encode()
        head = {"Host": place.netloc, "Content-Length": str(len(body)), **headers(body)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        yield f"POST {place.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


async def load(url: str, sent: Sequence[bytes], rate: float) -> list[float]:
    """Send each in its time (rate 0: as soon as a connection is free); the latencies."""
    place = urlsplit(url)
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    free = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(place.hostname, place.port))
    latencies_s: list[float] = []

    async def one(request: bytes, due_s: float) -> None:
        reader, writer = await free.get()
        due_s = due_s or time.perf_counter()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        latencies_s.append(time.perf_counter() - due_s)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        free.put_nowait((reader, writer))

    began_s = time.perf_counter()
    tasks = []
    for number, request in enumerate(sent):
        due_s = began_s + number / rate if rate else 0.0
        if (wait_s := due_s - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        elif not rate and free.empty():
            await asyncio.sleep(0)
        tasks.append(asyncio.create_task(one(request, due_s)))
    await asyncio.gather(*tasks)
    return latencies_s


def loaded(url: str, count: int, ids: Sequence[str], mark: str, rate: float) -> None:
    sent = list(requests(url, count, ids, mark))
    began_s = time.perf_counter()
    latencies_s = asyncio.run(load(url, sent, rate))
    took_s = time.perf_counter() - began_s
    cuts = statistics.quantiles(latencies_s, n=100)
    told = {"count": len(latencies_s), "rate": count / took_s}
    told |= {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}
    print(json.dumps(told | {"max_ms": max(latencies_s) * 1e3}))


def measured(
    url: str, count: int, rate: float, mark: str, ids: Sequence[str] = ("sub_1",)
) -> dict[str, float]:
    """Have another process send these; what it measured."""
    words = ["load", url, str(count), str(rate), mark, *ids]
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


# --- the same app with a commit for each request ---


def serve_each(path: Path) -> None:
    """What it would be without the thread that gathers."""
    with closing(open_database(path, create=True)) as connection:
        inbox.prepare_to_keep(connection)

        async def keep(arrived: ReceivedEvent) -> bool:
            with transaction(connection):
                return inbox.keep(connection, [arrived], time.time_ns() // 1_000)[0]

        door = endpoint.EndpointSettings(
            secrets=[SECRET], keep=keep, count=lambda *_: None
        )
        with server.listen("127.0.0.1", 0) as listening:
            at = listening.getsockname()
            asyncio.run(
                server.run(
                    [(endpoint.endpoint_app([door]), listening)],
                    is_alive=lambda: True,
                    ready=lambda: print(
                        f"http://{at[0]}:{at[1]}{endpoint.PATH}", flush=True
                    ),
                )
            )


@contextmanager
def each_committed(path: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "each", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


# --- what is measured ---


def show(title: str, told: dict[str, float]) -> None:
    print(
        f"{title:<48} {told['rate']:>7,.0f}/s  p50 {told['p50_ms']:>6.1f}"
        f"  p99 {told['p99_ms']:>6.1f}  max {told['max_ms']:>6.1f} ms",
        flush=True,
    )


def acknowledgements(folder: Path) -> None:
    """With a ledger that was never synced, so that only the inbox is at work."""
    workdir = ServingWorkdir(folder).configure(PORTS)
    with serve(workdir) as running:
        steady = measured(running.url, RATE * SECONDS, RATE, "steady")
        show(f"{RATE} events/s for {SECONDS} s, group commit", steady)
        burst = measured(running.url, BURST, 0, "burst")
        show(f"{BURST:,} events at once, group commit", burst)
        running.stop()
    with closing(open_database(workdir.ledger)) as connection:
        kept = inbox.depth(connection).waiting
    assert kept == BURST + RATE * SECONDS, kept
    print(f"{'':<48} none of them lost")
    with each_committed(folder / "each.db") as url:
        steady = measured(url, RATE * SECONDS, RATE, "steady")
        show(f"{RATE} events/s for {SECONDS} s, a commit each", steady)
        burst = measured(url, BURST, 0, "burst")
        show(f"{BURST:,} events at once, a commit each", burst)


def with_the_worker(folder: Path) -> None:
    """The demo's account is behind it, and every event is worked off meanwhile."""
    account = demo()
    ids = [it["id"] for it in account.objects["subscriptions"]]
    with stripe_process() as url:
        workdir = ServingWorkdir(folder, url).configure(PORTS)
        assert workdir.run("sync", "--quiet").code == 0
        with serve(workdir) as running:
            steady = measured(running.url, RATE * SECONDS, RATE, "busy", ids)
            show(f"{RATE} events/s, while the worker derives", steady)
            began_s = time.perf_counter()
            before = done_events(workdir.ledger)
            time.sleep(5)
            done = done_events(workdir.ledger) - before
            print(f"{'worked off (fetched, derived, settled)':<48}", end="")
            print(f" {done / (time.perf_counter() - began_s):>7,.0f}/s")
            running.stop()


def done_events(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT count(*) FROM inbox WHERE state = 'done'"
        return int(connection.execute(query).fetchone()[0])


@contextmanager
def stripe_process() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "stripe"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def be_stripe(account: SimulatedAccount) -> None:
    with serving(account) as stripe:
        print(stripe.url, flush=True)
        while True:
            time.sleep(60)


def recomputes(folder: Path) -> None:
    """One customer at a time: read, derive, compare, commit, as the worker does it."""
    path = folder / "demo.db"
    with walked_demo() as memory, closing(sqlite3.connect(path)) as copy:
        memory.backup(copy)
        copy.execute("PRAGMA journal_mode = WAL")  # as every ledger on a disk has it
    with closing(open_database(path)) as connection:
        everybody = dirty_customers.dirty(connection)
        with (folder / "bare").open("wb", buffering=0) as bare:
            deriving = Deriving(connection)
            deriving.show("all movements new", everybody, bare)
            with transaction(connection):
                dirty_customers.mark_all(connection)
            deriving.show("nothing new", everybody, bare)
            deriving.show("one movement new", with_another_seat(connection), bare)


def beside_a_recompute(folder: Path) -> None:
    """How long a write waits while everybody is derived: as a webhook's event does."""
    path = folder / "demo.db"
    with walked_demo() as memory, closing(sqlite3.connect(path)) as copy:
        memory.backup(copy)
        copy.execute("PRAGMA journal_mode = WAL")
    waited_s: list[float] = []
    is_over = threading.Event()

    def write() -> None:
        with closing(open_database(path)) as other:
            while not is_over.wait(0.005):
                began_s = time.perf_counter()
                with transaction(other):
                    waited_s.append(time.perf_counter() - began_s)

    with closing(open_database(path)) as connection:
        deriving = Deriving(connection)
        deriving.derive(dirty_customers.dirty(connection)[0])  # imports what it needs
        with transaction(connection):
            dirty_customers.mark_all(connection)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            recompute(connection, deriving.rules, cause="manual", now=deriving.now)
        finally:
            is_over.set()
            writer.join()
    cuts = statistics.quantiles(waited_s, n=100, method="inclusive")
    print(
        f"{f'{len(waited_s)} writes beside a recompute of all wait':<48}"
        f" p50 {cuts[49] * 1e3:.1f}, p99 {cuts[98] * 1e3:.1f},"
        f" max {max(waited_s) * 1e3:.1f} ms"
    )


class Deriving(NamedTuple):
    connection: sqlite3.Connection
    rules: Rules = Rules(
        policy=Policy(), zone=ZoneInfo("Europe/Berlin"), code_version="measured"
    )
    now: datetime = datetime.fromtimestamp(demo_now_s() + HOUR_S, tz=UTC)
    shared: SharedCatalogue = SharedCatalogue()

    def show(self, title: str, customers: Sequence[str], bare: FileIO) -> None:
        """Derive each; beside each, in turn, a bare write of a page that is durable."""
        ours_s, bare_s = [], []
        for customer in customers:
            began_s = time.perf_counter()
            self.derive(customer)
            ended_s = time.perf_counter()
            bare.write(b"x" * 4_096)
            os.fdatasync(bare.fileno())
            ours_s.append(ended_s - began_s)
            bare_s.append(time.perf_counter() - ended_s)
        ours, floor = statistics.median(ours_s), statistics.median(bare_s)
        print(
            f"{f'one recompute, {title}':<48} {1 / ours:>7,.0f}/s  p50"
            f" {ours * 1e3:>6.2f} ms, {ours / floor:.1f} × a bare 4 kB write +"
            f" fdatasync ({floor * 1e3:.2f})"
        )

    def derive(self, customer: str) -> None:
        recompute(
            self.connection,
            self.rules,
            cause="webhook",
            now=self.now,
            only=[customer],
            shared=self.shared,
        )


def with_another_seat(connection: sqlite3.Connection) -> list[str]:
    """Let each paying subscription be seen with a seat more; its customer."""
    found = []
    rows = connection.execute(
        "SELECT body FROM stripe_subscriptions WHERE instr(body, '\"active\"')"
    ).fetchall()
    for (text,) in rows:
        now = decode(text, Subscription)
        first, *others = now.items.data
        more = replace(first, quantity=(first.quantity or 1) + 1)
        items = replace(now.items, data=[more, *others])
        found.append(ref(now.customer))
        with transaction(connection):
            seen_us = (demo_now_s() + 60) * 1_000_000
            objects.put(
                connection, "subscriptions", [replace(now, items=items)], seen_us
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.webhooks")
    parser.add_argument("role", nargs="?", default="all")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    if asked.role == "load":
        url, count, rate, mark, *ids = asked.words
        loaded(url, int(count), ids, mark, float(rate))
    elif asked.role == "each":
        serve_each(Path(asked.words[0]))
    elif asked.role == "stripe":
        be_stripe(demo())
    else:
        measures = {
            each.__name__: each
            for each in (
                *(acknowledgements, with_the_worker),
                *(recomputes, beside_a_recompute),
            )
        }
        wanted = measures.values() if asked.role == "all" else [measures[asked.role]]
        with tempfile.TemporaryDirectory() as folder:
            for each in wanted:
                place = Path(folder) / each.__name__
                place.mkdir()
                each(place)


if __name__ == "__main__":
    main()
