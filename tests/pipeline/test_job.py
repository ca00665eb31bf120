"""The scheduled job: when it runs next, what it leaves for monitoring, how it ends."""

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.cli.params import DURATION
from connector.pipeline.job import LONGEST_BACK_OFF, SPREAD, pause_s
from connector.pipeline.status import JobStatus, SyncSummary, read_status, write_status
from connector.store.mirror import dirty_customers
from connector.store.opening import open_database
from tests.pipeline.test_recompute import EVERYBODY, TOO_EARLY_S, cure, poison
from tests.support.commands import Workdir
from tests.support.loopback import Served, failing, held_until, on, serving
from tests.support.served import PATIENCE_S, until
from tests.support.synced import shop

STATUS = '[sync]\nstatus_file = "status.json"\n'


# --- when ---


@pytest.mark.parametrize(
    ("failures", "times"),
    [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (50, LONGEST_BACK_OFF)],
)
def test_pauses_grow_with_each_failure_after_the_first(
    failures: int, times: int
) -> None:
    assert pause_s(900, failures, 0.5) == 900 * times


@given(st.integers(1, 10**6), st.integers(0, 99), st.floats(0, 1, exclude_max=True))
def test_pauses_are_spread_but_never_by_much(
    every_s: int, failures: int, chance: float
) -> None:
    middle_s = pause_s(every_s, failures, 0.5)
    assert (
        abs(pause_s(every_s, failures, chance) - middle_s) <= middle_s * SPREAD * 1.01
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("1d", 86_400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["15", "m", "0m", "-1m", "1.5h", "15 minutes"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write it as 15m"):
        DURATION.convert(text, None, None)


# --- what is left for monitoring ---

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def summary(known_until: datetime | None = NOON) -> SyncSummary:
    return SyncSummary(
        mode="events",
        why="",
        resumed=False,
        seen={"events": 3},
        changed=1,
        unreadable_events=[],
        customers=1,
        movements=1,
        retractions=0,
        refused=[],
        requests=4,
        retries=0,
        limited=0,
        requests_in_30_days=40,
        known_until=known_until,
        seconds=0.5,
    )


def test_the_status_counts_failures_until_a_success(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    for minutes in (1, 2):
        now = NOON + timedelta(minutes=minutes)
        write_status(path, read_status(path).after(now, now, None, "no connection"))
    failed = read_status(path)
    assert (failed.ok, failed.failures, failed.error) == (False, 2, "no connection")
    assert failed.last_success_at is None
    assert failed.lag_s is None
    later = NOON + timedelta(minutes=5)
    write_status(path, failed.after(later, later, summary()))
    good = read_status(path)
    assert (good.ok, good.failures, good.error, good.lag_s) == (True, 0, "", 300)
    assert good.last == summary()
    worse = good.after(later, later + timedelta(minutes=5), None, "rate limit")
    assert (worse.last_success_at, worse.lag_s) == (later, 600)


def test_a_customer_that_was_left_behind_is_a_failure_but_what_is_known_goes_on() -> (
    None
):
    good = JobStatus().after(NOON, NOON, summary())
    later = NOON + timedelta(minutes=5)
    left = replace(summary(later), failed={"cus_1": "AssertionError: 7"})
    status = good.after(later, later, left, "cus_1 could not be derived")
    assert (status.ok, status.failures) == (False, 1)
    assert status.error == "cus_1 could not be derived"
    assert (status.known_until, status.lag_s) == (later, 0)
    assert status.last == left
    assert status.last_success_at == NOON


def test_a_file_of_something_else_is_no_status(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    path.write_text("[]")
    assert read_status(path) == JobStatus()


# --- the process ---


def wait_until(true: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    def is_so() -> bool:
        assert true() or process.poll() is None, process.communicate()
        return bool(true())

    until(is_so)


def ended(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """What it said until it ended."""
    return process.communicate(timeout=PATIENCE_S)


def test_it_stays_survives_a_failure_and_ends_when_asked(tmp_path: Path) -> None:
    with serving(shop(), faults=on("/v1/prices", failing(403))) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure(STATUS)
        process = workdir.start("sync", "--every", "1s", "--format", "json")
        path = workdir.folder / "status.json"
        wait_until(lambda: read_status(path).last_success_at, process)
        process.send_signal(signal.SIGTERM)
        out, err = ended(process)
    assert process.returncode == 0
    assert "error: Stripe refused /v1/prices (HTTP 403)" not in out
    assert "(HTTP 403)" in err
    assert "Traceback" not in err
    first = json.JSONDecoder().raw_decode(out)[0]
    assert first["mode"] == "full"
    assert first["seen"]["customers"] == 6
    status = read_status(path)
    assert (status.ok, status.failures) == (True, 0)


def asked(stripe: Served, path: str) -> bool:
    return any(request.path == path for request in stripe.requests)


@pytest.mark.parametrize("words", [["sync"], ["sync", "--every", "15m"]], ids=" ".join)
def test_a_sync_that_is_asked_to_stop_finishes_its_page(
    tmp_path: Path, words: list[str]
) -> None:
    """What was under way is stored, the walk is not done, and the next run goes on."""
    goes_on = threading.Event()
    with serving(shop(), faults=on("/v1/invoices", held_until(goes_on))) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure(STATUS)
        process = workdir.start(*words)
        wait_until(lambda: asked(stripe, "/v1/invoices"), process)
        process.send_signal(signal.SIGTERM)
        goes_on.set()
        _, err = ended(process)
        assert process.returncode == (75 if words == ["sync"] else 0), err
        stripe.requests.clear()
        done = workdir.call("sync", "--format", "json")
        assert done.json["resumed"] is True
        invoices = [r for r in stripe.requests if r.path == "/v1/invoices"]
        assert len(invoices) == 1  # a look at the newest only


def test_a_sync_in_a_long_back_off_ends_when_asked(tmp_path: Path) -> None:
    with serving(shop(), faults=lambda _request: failing(503)) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure("")
        process = workdir.start("sync")
        wait_until(lambda: len(stripe.requests) > 3, process)
        process.send_signal(signal.SIGTERM)
        _, err = ended(process)
    assert process.returncode == 75
    assert "asked to stop" in err
    assert not workdir.ledger.exists()


def test_a_history_that_nobody_foresaw_is_named_and_all_others_are_brought_up_to_date(
    tmp_path: Path,
) -> None:
    bad = EVERYBODY[0]
    with serving(shop()) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure(STATUS)
        assert workdir.call("sync", "-q").code == 0
        with closing(open_database(workdir.ledger)) as connection:
            whole = poison(connection, [bad], TOO_EARLY_S)
            dirty_customers.mark(connection, EVERYBODY)
        told = workdir.call("sync", "-q")
        as_json = workdir.call("sync", "--format", "json")
        again = workdir.call("recompute", "--format", "json")
        check = workdir.call("check")
        report = workdir.call("report")
        with closing(open_database(workdir.ledger)) as connection:
            cure(connection, whole)
        cured = workdir.call("sync", "-q")
    assert [
        told.code,
        as_json.code,
        again.code,
        check.code,
        report.code,
        cured.code,
    ] == [*(1, 1, 1, 3, 0, 0)]
    assert f"  {bad}: ValueError: " in told.out
    assert "5 customers changed" in told.out
    for ran in (told, as_json, again):
        assert f"error: 1 customer could not be derived: {bad}\n  fix: " in ran.err
        assert f"stripe-nrr --verbose recompute --customer {bad}" in ran.err
        assert "Traceback" not in ran.err
    for ran in (as_json, again):
        assert ran.json["failed"].keys() == {bad}
    assert f"1 customer waits: {bad}; run" in check.out
    assert "Not up to date: 1 customer stands" in report.out
    status = read_status(workdir.folder / "status.json")
    assert (status.ok, status.failures) == (True, 0)


def test_a_process_that_stays_goes_on_at_its_pace_beside_one_bad_history(
    tmp_path: Path,
) -> None:
    with serving(shop()) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure(STATUS)
        assert workdir.call("sync", "-q").code == 0
        with closing(open_database(workdir.ledger)) as connection:
            poison(connection, EVERYBODY[:1], TOO_EARLY_S)
            dirty_customers.mark(connection, EVERYBODY[:1])
        process = workdir.start("sync", "--every", "1s", "--quiet")
        path = workdir.folder / "status.json"
        wait_until(lambda: read_status(path).failures > 2, process)
        process.send_signal(signal.SIGTERM)
        ended(process)
    status = read_status(path)
    assert process.returncode == 0
    assert EVERYBODY[0] in status.error
    assert status.last is not None
    assert status.last.failed.keys() == {EVERYBODY[0]}


def test_the_status_file_tells_of_a_failure(tmp_path: Path) -> None:
    with serving(shop()) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure(STATUS)
        assert workdir.call("sync").code == 0
        stripe.forbidden = {"invoices"}
        assert workdir.call("sync", "--full").code == 1
    status = read_status(workdir.folder / "status.json")
    assert (status.ok, status.failures) == (False, 1)
    assert "may not read /v1/invoices" in status.error
    assert status.last_success_at is not None
    assert status.lag_s is not None
