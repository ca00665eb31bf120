"""A sync that is asked to end does, in whatever phase, whatever Stripe does meanwhile."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

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
from tests.support.served import until
from tests.support.synced import shop

ENDS_S = 10  # as docs/running.md promises
FAULTS = {
    "byte by byte": trickling(0.5),
    "a body byte by byte": trickling_body(0.5),
    "no answer": delayed(60),
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
def test_sigterm_ends_a_sync_in_time(tmp_path: Path, nth: int, fault: str) -> None:
    """From the first probe on; afterwards the next one does it all."""
    with serving(shop(), faults=from_the(nth, FAULTS[fault])) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        process = workdir.start("sync", "-q")
        until(lambda: len(stripe.requests) > nth)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - began_s < ENDS_S
        assert process.returncode == 75, err
        assert "Traceback" not in err
        stripe.spoil(())
        assert workdir.run("sync", "-q").code == 0
        assert workdir.run("check").code == 0
