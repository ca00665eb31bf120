"""A ledger that is replaced or removed under a running server: no 200, not ready."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector.store.opening import open_database
from tests.support.loopback import serving
from tests.support.served import (
    PATIENCE_S,
    PORTS,
    Server,
    ServingWorkdir,
    serve,
    until,
    webhook,
)
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import account, lay_out


def told(event: str) -> dict[str, Any]:
    changed = account("Plain")["subscriptions"][0]
    return webhook("customer.subscription.updated", changed, event)


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[ServingWorkdir]:
    made = lay_out(tmp_path)
    with serving(SimulatedAccount(account("Plain"))) as stripe:
        serving_it = ServingWorkdir(made.folder, stripe.url)
        serving_it.configure(f'timezone = "UTC"\n{PORTS}')
        assert serving_it.run("sync", "-q").code == 0
        yield serving_it


@pytest.fixture
def server(workdir: ServingWorkdir) -> Iterator[Server]:
    assert workdir.call("backup", "copy.db").code == 0
    with serve(workdir) as running:
        until(lambda: bool(running.ready()["ready"]))
        assert running.send(told("evt_1")) == 200
        yield running


def removed(workdir: ServingWorkdir) -> None:
    workdir.ledger.unlink()


def replaced(workdir: ServingWorkdir) -> None:
    shutil.copy(workdir.folder / "copy.db", workdir.folder / "new.db")
    (workdir.folder / "new.db").replace(workdir.ledger)


def restored(workdir: ServingWorkdir) -> None:
    ran = workdir.call("restore", "copy.db")
    assert ran.code == 0, ran.err


def log_removed(workdir: ServingWorkdir) -> None:
    """Who commits into it goes on, and nobody else would ever read it."""
    workdir.ledger.with_name("stripe-nrr.db-wal").unlink()


@pytest.mark.parametrize("change", [removed, replaced, restored, log_removed])
def test_no_event_is_acknowledged_that_would_be_lost(
    workdir: ServingWorkdir,
    server: Server,
    change: Callable[[ServingWorkdir], None],
) -> None:
    change(workdir)
    assert server.send(told("evt_2")) >= 500
    until(lambda: not server.ready()["ready"])
    assert server.client.get(f"{server.admin}/readyz").status_code == 503
    assert server.send(told("evt_3")) >= 500
    assert server.stop() == 0
    if change is log_removed:
        with closing(open_database(workdir.ledger)) as connection:
            kept = connection.execute("SELECT event FROM inbox").fetchall()
        assert kept == [("evt_1",)], "what was acknowledged before"
    if change is restored:
        assert workdir.call("check").code == 0
        with closing(open_database(workdir.ledger)) as connection:
            assert connection.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
        with serve(workdir) as anew:
            assert anew.send(told("evt_2")) == 200
            until(lambda: bool(anew.ready()["ready"]))


def test_a_sync_goes_on_in_no_file_that_is_not_there(workdir: ServingWorkdir) -> None:
    """With ``--every`` the next one finds the ledger that stands there then."""
    process = workdir.start("sync", "--every", "1s", "-q")
    until(workdir.ledger.exists)
    workdir.ledger.unlink()
    until(lambda: process.poll() is not None or workdir.ledger.exists())
    process.terminate()
    process.communicate(timeout=PATIENCE_S)
    assert workdir.call("check").code in {0, 3}
