"""Reports of two accounts, as they were last accepted: the demo's, and a small shop's.

One of the demo's customers is of the same company as one of the shop's. ``pytest
--accept`` rewrites fixtures/output/accounts; git shows the difference.
"""

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from connector.cli.app import stripe_nrr
from tests.render.test_golden import still
from tests.support.accounts import demo_and_shop
from tests.support.folders import FIXTURES

GOLDEN = FIXTURES / "output" / "accounts"
REPORTS = {
    "report.txt": "report --by account --to 2026-10",
    "report.json": "report --by account --to 2026-10 --currency eur --format json",
    "churn.txt": "churn --by account --from 2025-01 --to 2026-10",
    "explain.txt": "explain Parent",
    "digest.txt": "digest --peek",
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("accounts")
    demo_and_shop(folder)
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
