"""The demo's ledger in a folder, and the dashboard over it."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from connector.core.account import StripeIdentity
from connector.store.account import belong_to
from tests.support.commands import Workdir
from tests.support.site import Site, site_of
from tests.support.synced import settled_demo

CONFIG = """
timezone = "Europe/Berlin"
[reporting]
currency = "eur"
rates = "rates.csv"
"""


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    with (
        settled_demo() as connection,
        closing(
            sqlite3.connect(folder / "stripe-nrr.db", isolation_level=None)
        ) as file,
    ):
        connection.backup(file)
        belong_to(file, StripeIdentity(id="acct_demo", livemode=False))
        file.execute("PRAGMA journal_mode = WAL")
    (folder / "config.toml").write_text('timezone = "Europe/Berlin"\n')
    return folder


@pytest.fixture(scope="session")
def demo(demo_folder: Path) -> Workdir:
    return Workdir(demo_folder)


@pytest.fixture(scope="session")
def site(demo_folder: Path) -> Iterator[Site]:
    with site_of(demo_folder) as found:
        yield found


@pytest.fixture
def copied(demo_folder: Path, tmp_path: Path) -> Workdir:
    """The demo's ledger to be written to."""
    for name in ("stripe-nrr.db", "config.toml"):
        shutil.copy(demo_folder / name, tmp_path / name)
    return Workdir(tmp_path)


@pytest.fixture(scope="session")
def total_folder(demo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a reporting currency."""
    folder = tmp_path_factory.mktemp("total")
    shutil.copy(demo_folder / "stripe-nrr.db", folder / "stripe-nrr.db")
    (folder / "config.toml").write_text(CONFIG)
    days = (date(2023, 10, 1) + timedelta(days=n) for n in range(1_200))
    rates = [f"{day},usd,0.{80 + day.month}" for day in days]
    (folder / "rates.csv").write_text("\n".join(["date,currency,rate", *rates]) + "\n")
    return folder
