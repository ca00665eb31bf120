"""What a sync costs here, beside other ways: ``python -m tests.benchmarks.sync``.

The account's server and each client are processes of their own on this machine. Ours
must copy for at most twice the CPU of the floor, and twenty times cheaper than the
stripe package's own objects; it must keep up with Stripe's limits and use memory that
does not grow with the account.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import ours
from tests.benchmarks.measure import Cost, Served, machine, measured, serving

SUBSCRIPTIONS = 5_000
UNLIMITED = 1_000  # requests a second, far more than anybody reaches
WORKERS = 8


@dataclass(frozen=True, slots=True)
class Bench:
    """One account, being served; each client gets a fresh folder below ``folder``."""

    served: Served
    folder: Path
    objects: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", sum(self.served.counts))

    def _fresh(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir(parents=True)
        return place

    def walk(self, name: str, workers: int = WORKERS, rate: int = UNLIMITED) -> Cost:
        words = ["tests.benchmarks.ours", self.served.url, "stripe-nrr.db"]
        place = self._fresh(name)
        return measured([*words, str(workers), str(rate)], self.served.url, place)

    def sync(self, name: str) -> Cost:
        """The command itself; in the folder of an earlier one, that ledger's next."""
        place = self.folder / name
        if not place.exists():
            text = f'timezone = "UTC"\n{ours.config(WORKERS, UNLIMITED)}'
            (self._fresh(name) / "config.toml").write_text(text)
        words = ["connector", "sync", "--quiet", "--format", "json"]
        return measured(words, self.served.url, place)

    def other(self, name: str) -> Cost:
        words = [f"tests.benchmarks.{name}", self.served.url, "copy.db"]
        return measured(words, self.served.url, self._fresh(name))


@contextmanager
def account(folder: Path, subscriptions: int, latency_ms: float = 0) -> Iterator[Bench]:
    with serving(subscriptions, latency_ms) as served:
        yield Bench(served, folder)


# --- the tables ---


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (head, ["-" * width for width in widths], *rows):
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(it.rjust(width) for it, width in others)]
        print("  ".join(cells).rstrip())


def copying(bench: Bench) -> Cost:
    """What copying the account costs, by each way; returns what our sync costs."""
    walk, sync = bench.walk("walk"), bench.sync("sync")
    sdk, floor = bench.other("sdk"), bench.other("floor")
    ways = {
        "(a) stripe-nrr, walk only": walk,
        "(a) stripe-nrr sync: walk + derivation": sync,
        "(b) stripe auto-paging → sqlite-utils upserts": sdk,
        "(c) floor: httpx → msgspec → executemany": floor,
    }
    table(
        "Copying the account: whole processes, their start and imports included",
        ["way", "objects/s", "CPU ms/1,000 objects", "peak MB"],
        [
            [
                way,
                f"{bench.objects / cost.wall_s:,.0f}",
                f"{cost.cpu_s * 1e6 / bench.objects:,.1f}",
                f"{cost.peak_mb:,.1f}",
            ]
            for way, cost in ways.items()
        ],
    )
    table(
        "Ratios of CPU",
        ["ratio", "measured", "target"],
        [
            ["(a) walk ÷ (c)", f"{walk.cpu_s / floor.cpu_s:,.2f}", "≤ 2"],
            ["(a) walk + derivation ÷ (c)", f"{sync.cpu_s / floor.cpu_s:,.2f}", "–"],
            ["(b) ÷ (a) walk", f"{sdk.cpu_s / walk.cpu_s:,.1f}", "≥ 20"],
            ["(b) ÷ (a) walk + derivation", f"{sdk.cpu_s / sync.cpu_s:,.1f}", "–"],
        ],
    )
    return sync


def waiting(bench: Bench, latency_ms: float) -> None:
    """How close walks come to their limits when each answer takes its time."""
    rows = []
    for workers, rate, goal in ((WORKERS, 25, 0.9), (4 * WORKERS, 100, 0.75)):
        said = bench.walk(f"{workers} workers", workers, rate).said
        most = min(rate, workers * 1_000 / latency_ms)
        reached = bench.served.pages / said["seconds"]
        rows.append(
            [
                f"{workers} workers, at most {rate} requests/s",
                f"{reached:,.1f}",
                f"{reached / most:.0%}",
                f"≥ {goal:.0%} of {most:,.0f}",
                f"{said['requests']:,}",
                f"{bench.served.pages:,}",
                f"{said['requests'] / said['seconds']:,.1f}",
                f"{said['seconds']:,.2f}",
            ]
        )
    head = ["walk only", "pages/s", "reached", "target", "requests", "fewest possible"]
    title = (
        f"With {latency_ms:g} ms of latency an answer: the whole walk, ramp-up included"
    )
    table(title, [*head, "requests/s", "seconds"], rows)


def growing(small: tuple[int, Cost], large: tuple[int, Cost]) -> None:
    rows = [
        [f"{objects:,}", f"{cost.peak_mb:,.1f}", "< 250", f"{cost.wall_s:,.2f}"]
        for objects, cost in (small, large)
    ]
    head = ["objects", "peak MB", "target", "seconds"]
    table("Memory of stripe-nrr sync as the account grows", head, rows)


def again(first: Cost, second: Cost) -> None:
    rows = [
        [
            name,
            f"{cost.said['requests']:,}",
            f"{cost.wall_s:,.2f}",
            f"{cost.cpu_s:,.2f}",
        ]
        for name, cost in (("first", first), ("second", second))
    ]
    head = ["stripe-nrr sync", "requests", "seconds", "CPU s"]
    table("Syncing the unchanged account again", head, rows)


def run(folder: Path, subscriptions: int, latency_ms: float) -> None:
    with account(folder, subscriptions) as bench:
        print(machine())
        print(bench.served.told)
        first = copying(bench)
        second = bench.sync("sync")
    with account(folder / "latency", subscriptions, latency_ms) as slow:
        waiting(slow, latency_ms)
    with account(folder / "large", 4 * subscriptions) as large:
        growing((bench.objects, first), (large.objects, large.sync("sync")))
    again(first, second)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sync")
    parser.add_argument("--small", action="store_true", help="a hundredth of the size")
    parser.add_argument("--keep", type=Path, help="an empty folder for what is made")
    asked = parser.parse_args()
    size, latency_ms = (
        (SUBSCRIPTIONS // 100, 20) if asked.small else (SUBSCRIPTIONS, 200)
    )
    if asked.keep is not None:
        run(asked.keep.resolve(), size, latency_ms)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), size, latency_ms)


if __name__ == "__main__":
    main()
