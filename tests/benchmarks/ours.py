"""Our walk into the ledger file, deriving nothing: ``-m … URL LEDGER WORKERS RATE``.

``RATE`` is requests a second, in all and per endpoint. Prints JSON: how long the walk
itself took, and its requests.
"""

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from connector.config import Config
from connector.pipeline.ingest import Ingest
from connector.pipeline.sync import sync
from connector.pipeline.thread_pool import ThreadPool
from connector.store.opening import open_database
from connector.stripe_api.client import StripeApi
from connector.stripe_api.rate_limit import Limiter
from tests.benchmarks.measure import KEY


def config(workers: int, rate: int) -> str:
    """The same limits in the words of config.toml."""
    return (
        f"[sync]\nworkers = {workers}\nrequests_per_second = {rate}\n"
        f"requests_per_second_in_all = {rate}\n"
    )


def walk(url: str, ledger: Path, workers: int, rate: int) -> dict[str, Any]:
    limiter = Limiter(per_endpoint=rate, total=rate)
    with (
        closing(open_database(ledger, create=True)) as connection,
        StripeApi(KEY, url, limiter=limiter) as api,
        ThreadPool[Any](workers) as threads,
    ):
        began_s = time.perf_counter()
        ingest = Ingest(
            connection=connection,
            source=api,
            threads=threads,
            config=Config(),
            now_us=api.stripe_us,
        )
        sync(ingest, full=True)
        seconds = time.perf_counter() - began_s
        return {"seconds": seconds, "requests": api.reads.requests}


def main() -> None:
    url, ledger, workers, rate = sys.argv[1:]
    print(json.dumps(walk(url, Path(ledger), int(workers), int(rate))))


if __name__ == "__main__":
    main()
