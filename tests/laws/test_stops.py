"""A sync that is asked to end does, in whatever phase, whatever Stripe does meanwhile."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connector.pipeline import process_pool, thread_pool
from connector.stripe_api import answer, rate_limit
from connector.webhooks import server, worker
from tests.support.commands import Workdir
from tests.support.loopback import (
    Fault,
    Request,
    delayed,
    failing,
    serving,
    trickling,
    trickling_body,
)
from tests.support.served import FOREVER_S, PATIENCE_S, until
from tests.support.synced import shop

ENDS_S = 10  # as docs/running.md and docs/webhooks.md promise
FAULTS = {  # each of which outlasts our patience
    "byte by byte": trickling(0.5),
    "a body byte by byte": trickling_body(0.5),
    "no answer": delayed(FOREVER_S),
    "never well": failing(503),
}


def from_the(nth: int, fault: Fault) -> Callable[[Request], Fault | None]:
    seen: list[Request] = []

    def plan(request: Request) -> Fault | None:
        seen.append(request)
        return fault if len(seen) > nth else None

    return plan


@pytest.mark.parametrize(
    ("nth", "fault"),
    [
        (0, "byte by byte"),
        (0, "no answer"),
        (1, "a body byte by byte"),
        (4, "never well"),
        (9, "byte by byte"),
    ],
)
def test_sigterm_ends_a_sync_whatever_it_waits_for(
    tmp_path: Path, nth: int, fault: str
) -> None:
    """From the first probe on; afterwards the next one does it all."""
    with serving(shop(), faults=from_the(nth, FAULTS[fault])) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        process = workdir.start("sync", "-q")
        until(lambda: len(stripe.requests) > nth)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        asked_s = time.monotonic()
        _, err = process.communicate(timeout=PATIENCE_S / 2)
        assert time.monotonic() - asked_s < 2 * ENDS_S  # on a machine of many tests
        assert process.returncode == 75, err
        assert "Traceback" not in err
        stripe.spoil(())
        assert workdir.run("sync", "-q").code == 0
        assert workdir.run("check").code == 0


def test_all_that_an_end_waits_for_is_within_what_is_promised() -> None:
    """How long each step may take, one after the other, with some time to spare."""
    asking = answer.LOOK_S + answer.GRACE_S + rate_limit.NAP_S
    reading = thread_pool.POLL_S + thread_pool.DRAIN_S + thread_pool.LINGER_S
    deriving = process_pool.ENDING_S
    serving_both = server.WATCH_S + server.ENDING_S
    applying = worker.FINISHING_S + thread_pool.LINGER_S
    for steps in (asking, reading, deriving, serving_both + applying):
        assert steps < ENDS_S
