"""Reports of two accounts, as they were last accepted: the demo's, and a small shop's.

One of the demo's customers is of the same company as one of the shop's. ``pytest
--accept`` rewrites fixtures/output/accounts; git shows the difference.
"""

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from connector.cli.app import stripe_nrr
from connector.core.policy import CompanyRule
from connector.store.database import transaction
from connector.store.mirror.event_feed import events_were_read
from tests.render.test_golden import still
from tests.support.companies import belong
from tests.support.folders import FIXTURES
from tests.support.ledgers import empty_ledger, settle
from tests.support.synced import (
    SEEN,
    Wire,
    demo_now_s,
    settled_demo,
    shop,
    walk,
)

GOLDEN = FIXTURES / "output" / "accounts"
CONFIG = """
timezone = "Europe/Berlin"
[customers]
account = "metadata:parent"
[[account]]
name = "demo"
database = "demo.db"
key_file = "demo.key"
[[account]]
name = "shop"
database = "shop.db"
key_file = "shop.key"
"""
REPORTS = {
    "report.txt": "report --by account --to 2026-10",
    "report.json": "report --by account --to 2026-10 --currency eur --format json",
    "churn.txt": "churn --by account --from 2025-01 --to 2026-10",
    "explain.txt": "explain Parent",
}
US = 1_000_000


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("accounts")
    rule, now_s = CompanyRule(key="parent"), demo_now_s()
    with settled_demo() as demo, empty_ledger() as other:
        walk(other, Wire(shop(), SEEN))
        for name, connection in (("demo", demo), ("shop", other)):
            query = "SELECT id FROM stripe_customers ORDER BY id LIMIT 1"
            [first] = connection.execute(query).fetchone()
            belong(connection, {first: "Parent"}, (now_s + 1) * US)
            with transaction(connection):
                events_were_read(connection, now_s * US)
            settle(connection, now_s + 2, "Europe/Berlin", company=rule)
            connection.execute("VACUUM INTO ?", [str(folder / f"{name}.db")])
    (folder / "config.toml").write_text(CONFIG)
    with chdir(folder):
        yield folder


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_is_as_it_was_accepted(
    workdir: Path, name: str, pytestconfig: pytest.Config
) -> None:
    command = [*REPORTS[name].split(), "-o", name]
    stripe_nrr.main(command, prog_name="stripe-nrr", standalone_mode=False)
    text = still((workdir / name).read_text(encoding="utf-8"))
    if pytestconfig.getoption("--accept"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_accepted_file_is_of_a_report() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == REPORTS.keys()
