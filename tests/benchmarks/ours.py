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

from connector.crew import Crew
from connector.database import open_database
from connector.intake import Intake, Keeping
from connector.limiter import Limiter
from connector.stripe_api import StripeApi
from connector.sync import sync
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
        Crew[Any](workers) as crew,
    ):
        began_s = time.perf_counter()
        intake = Intake(
            connection=connection,
            source=api,
            crew=crew,
            keeping=Keeping(),
            now_us=api.stripe_us,
        )
        sync(intake, full=True)
        seconds = time.perf_counter() - began_s
        return {"seconds": seconds, "requests": api.reads.requests}


def main() -> None:
    url, ledger, workers, rate = sys.argv[1:]
    print(json.dumps(walk(url, Path(ledger), int(workers), int(rate))))


if __name__ == "__main__":
    main()
