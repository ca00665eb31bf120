"""What a process costs, from its start to its end: wall clock, CPU and peak memory.

Interpreter start, imports and opening files are part of it, for every process alike.
"""

import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
KEY = "rk_test_benchmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """User and system time, with the processes it had started; ``out`` is what it said.

    ``peak_mb`` is the largest of them.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    out: str

    @property
    def said(self) -> dict[str, Any]:
        return msgspec.json.decode(self.out, type=dict[str, Any])


def environment(url: str = "") -> dict[str, str]:
    """No proxy stands before loopback, and the package is the one of this folder."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith("STRIPE_") and k != "PYTHONDONTWRITEBYTECODE"
    }
    given = {"STRIPE_API_BASE": url, "STRIPE_API_KEY": KEY, "PYTHONPATH": str(ROOT)}
    return {**kept, **given, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def measured(words: Sequence[str], url: str, folder: Path) -> Cost:
    """Run ``python -m WORDS`` in the folder to its end; its failure is ours."""
    with tempfile.TemporaryFile() as out:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, env=environment(url), stdout=out
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, words)
        out.seek(0)
        return Cost(
            wall_s=wall_s,
            cpu_s=used.ru_utime + used.ru_stime,
            peak_mb=used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
            out=out.read().decode(),
        )


class Served(msgspec.Struct, frozen=True):
    """What the server said when it was ready; ``objects`` by list."""

    url: str
    objects: dict[str, int]
    invoice_bytes: int

    @property
    def counts(self) -> list[int]:
        """The lists that a sync reads: each subscription is on one of them."""
        apart = "subscriptions"  # without those that have ended
        return [count for name, count in self.objects.items() if name != apart]

    @property
    def told(self) -> str:
        """The account in a line."""
        kinds = ("invoices", "subscriptions?status=all", "customers", "events")
        parts = [f"{self.objects[kind]:,} {kind.partition('?')[0]}" for kind in kinds]
        invoice = f"an invoice of three lines is {self.invoice_bytes:,} bytes"
        return f"{sum(self.counts):,} objects: {', '.join(parts)}; {invoice}"

    @property
    def pages(self) -> int:
        """The fewest requests that show everything; an empty list takes one too."""
        return sum(max(1, -(-count // 100)) for count in self.counts)


@contextmanager
def serving(subscriptions: int, latency_ms: float = 0) -> Iterator[Served]:
    """The account's server in a process of its own."""
    words = ["tests.benchmarks.server", "--subscriptions", str(subscriptions)]
    with subprocess.Popen(
        [sys.executable, "-m", *words, "--latency-ms", str(latency_ms)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            yield msgspec.json.decode(process.stdout.readline(), type=Served)
        finally:
            process.terminate()


def machine() -> str:
    """CPU, cores and versions, in one line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        named = [
            line.partition(":")[2].strip() for line in lines if "model name" in line
        ]
        cpu = named[0] if named else cpu
    return (
        f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
