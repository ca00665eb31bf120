"""Odd billing, told by hand: each folder of ``fixtures/`` against what is booked.

``python -m tests.support.cases.odd`` writes the Stripe objects, ``pytest --accept`` what
the connector makes of them: read it against the rules before you believe it.
"""

import sqlite3
from collections.abc import Callable

import pytest

from connector.metrics.invariants import MOVEMENT_CHECKS
from tests.support import folders
from tests.support.cases import everyday
from tests.support.cases.odd import CASES, Case
from tests.support.folders import Look
from tests.support.simulator import SimulatedAccount
from tests.support.synced import Wire, walk
from tests.support.told import LISTS

every_case = pytest.mark.parametrize("case", CASES, ids=folders.name)


@every_case
def test_the_connector_books(case: Case, request: pytest.FixtureRequest) -> None:
    folder = folders.place(case)
    text = folders.booked(folders.known(folders.looks(folder)))
    if request.config.getoption("--accept"):
        (folder / "expected.txt").write_text(text)
    assert text == (folder / "expected.txt").read_text()


def synced(connection: sqlite3.Connection, seen: Look, at_s: int) -> None:
    """Fetched as a sync does: pages, inline lists cut at 10, coupons as bare ids."""
    account = SimulatedAccount({kind: seen[kind] for kind in LISTS})
    walk(connection, Wire(account, at_s))


# The account that is served here has one coupon of an id, and expands every id to it.
SERVED = [c for c in CASES if folders.name(c) != "coupon-deleted-and-made-again"]


@pytest.mark.parametrize("case", SERVED, ids=folders.name)
def test_a_sync_books_the_same(case: Case) -> None:
    folder = folders.place(case)
    text = folders.booked(folders.known(folders.looks(folder), synced))
    assert text == (folder / "expected.txt").read_text()


@every_case
def test_the_files_are_what_their_builder_makes(case: Case) -> None:
    folder = folders.place(case)
    for file, text in folders.files(case, case().looks()).items():
        assert (folder / file).read_text() == text, (
            "run python -m tests.support.cases.odd"
        )


@every_case
def test_the_readme_says_what_happens_and_which_rule_it_shows(case: Case) -> None:
    assert len(folders.readme(case).splitlines()) == 2


@pytest.mark.parametrize("case", [*everyday.CASES, *CASES], ids=folders.name)
def test_every_movement_is_explained_and_named(case: Callable[[], object]) -> None:
    """The checks of the ledger find nothing: each component names its evidence."""
    looks = folders.looks(folders.place(case))
    movements = folders.known(looks).movements
    assert [f for check in MOVEMENT_CHECKS for f in check(movements)] == []


def test_every_folder_is_a_case() -> None:
    found = {path.parent.name for path in folders.CASES.glob("*/*/stripe.json")}
    assert found == {folders.name(case) for case in (*everyday.CASES, *CASES)}
