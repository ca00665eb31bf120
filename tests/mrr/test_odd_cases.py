"""Odd billing, told by hand: each folder of ``fixtures/`` against what is booked.

``python -m tests.support.cases.odd`` writes the Stripe objects, ``pytest --accept`` what
the connector makes of them: read it against the rules before you believe it.
"""

import sqlite3

import pytest

from tests.support import folders
from tests.support.cases import odd
from tests.support.cases.odd import CASES, Case
from tests.support.folders import Look
from tests.support.simulator import SimulatedAccount
from tests.support.synced import Wire, walk
from tests.support.told import LISTS

every_case = pytest.mark.parametrize("case", CASES, ids=folders.name)


@every_case
def test_the_connector_books(case: Case, request: pytest.FixtureRequest) -> None:
    folder = folders.place(case)
    text = folders.booked(folders.derived(case))
    if request.config.getoption("--accept"):
        (folder / "expected.txt").write_text(text)
    assert text == (folder / "expected.txt").read_text()


@every_case
def test_the_amounts_are_those_worked_out_by_hand(case: Case) -> None:
    """The expected days and amounts are a person's, who never asked the connector."""
    expected = (folders.place(case) / "expected.txt").read_text()
    assert folders.mrr_booked(expected) == odd.worked_out(case)


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
