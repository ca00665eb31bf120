"""What pages of the dashboard cost on ledgers of 10,000 and 100,000 customers.

``python -m tests.benchmarks.dashboard [--small] [--keep DIR]``: the command in a process
of its own, asked over loopback. Of each page the first answer (nothing is kept yet), the
median of those after it, each beside one bare ``SELECT sum(...)`` over all movements, and
the memory of the process by then.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.benchmarks.measure import environment, machine, measured
from tests.benchmarks.report import bare_sum_s

REPEATS = 9
PAGES = {
    "overview": "/",
    "overview, 60 months": "/?months=60",
    "overview, all": "/?months=all",
    "customer": "/customer/cus_7",
    "another customer each time": "/customer/cus_{n}",
    "window by customer": "/window",
    "window, page 3, by name": "/window?page=3&sort=name",
    "window, churn alone": "/window?kind=churn",
    "customers": "/customers",
    "movements": "/movements",
    "cohorts": "/cohorts",
    "at risk": "/at-risk",
}


@contextmanager
def dashboard(folder: Path) -> Iterator[tuple[str, int]]:
    """The address that it tells, and the id of its process."""
    words = ["connector", "dashboard", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def memory_mb(pid: int, name: str) -> float:
    """``VmRSS`` is now, ``VmHWM`` the most it ever was; 0 where nobody tells."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return float(found[0]) / 1e3 if found else 0.0


def took_s(client: httpx.Client, url: str) -> float:
    began_s = time.perf_counter()
    client.get(url).raise_for_status()
    return time.perf_counter() - began_s


def show(customers: int, folder: Path, repeats: int) -> None:
    path = folder / "stripe-nrr.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text('timezone = "UTC"\n')
        measured(f"tests.benchmarks.ledgers {path} {customers}".split(), "", folder)
    bare_s = bare_sum_s(path)
    print(f"\n{customers:,} customers; one SELECT sum(...) takes {bare_s:.3f} s of CPU")
    print(f"{'':28}  first s × the sum  median s × the sum      MB  most MB")
    with (
        dashboard(folder) as (address, pid),
        httpx.Client(base_url=address, timeout=120) as client,
    ):
        for name, url in PAGES.items():
            first_s = took_s(client, url.format(n=1))
            rest = [took_s(client, url.format(n=n)) for n in range(2, 2 + repeats)]
            then_s = statistics.median(rest)
            now_mb, most_mb = (memory_mb(pid, each) for each in ("VmRSS", "VmHWM"))
            print(
                f"{name:28} {first_s:8.3f} {first_s / bare_s:9.1f} {then_s:9.3f}"
                f" {then_s / bare_s:9.1f} {now_mb:7.0f} {most_mb:8.0f}",
                flush=True,
            )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="1,000 customers alone")
    options.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the ledgers there"
    )
    given = options.parse_args(sys.argv[1:])
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        for customers in [1_000] if given.small else [10_000, 100_000]:
            show(customers, folder / str(customers), 2 if given.small else REPEATS)


if __name__ == "__main__":
    main()
