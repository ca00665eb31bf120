"""The kept sums: the same figures as the movements give, whatever came in what order."""

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connector.core.figures import WindowFigures
from connector.core.model import ContractTerm, Flow
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.invariants import every_window, sums_are_kept
from connector.metrics.retention import measure
from connector.metrics.rollups import CustomerBooks, differences, figures_of
from connector.store.ledger import contract_terms, customers, queries, rollups
from tests.billing.calendar_ import instant
from tests.support.books import lived
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.synced import SEEN, demo_now_s, settled_demo, shop, walked_demo

JAN = date(2024, 1, 1)
ALL = [
    w for kind in WindowKind for w in windows(kind, date(2023, 6, 1), date(2026, 9, 1))
]

cell = st.sampled_from(["0", "1", "2", "500", "."])
lives = st.lists(st.lists(cell, min_size=1, max_size=16).map(" ".join), max_size=4)
terms = st.lists(
    st.builds(
        ContractTerm,
        day=st.integers(0, 700).map(lambda n: JAN + timedelta(days=n)),
        currency=st.just("usd"),
        customer=st.just(1),
        subscription=st.sampled_from(["a", "b", "c"]),
        before_minor=st.integers(1, 9),
        after_minor=st.integers(0, 9),
    ),
    max_size=8,
).map(sorted)


def account(
    life: str, customer: int = 1, ended: Sequence[ContractTerm] = ()
) -> CustomerBooks:
    flows = [
        ("usd", Flow(customer, m.day, m.kind, m.amount_minor))
        for m in lived(str(customer), life)
    ]
    own = [t._replace(subscription=f"{t.subscription} of {customer}") for t in ended]
    return CustomerBooks(tuple(flows), tuple(own))


@given(lives, terms)
def test_differences_add_up_to_every_window(
    lived: list[str], ended: list[ContractTerm]
) -> None:
    """Of all kinds, before the first movement and long after the last."""
    accounts = [account(life, n) for n, life in enumerate(lived)]
    flows = sorted(
        (flow for each in accounts for _, flow in each.flows), key=lambda flow: flow.day
    )
    everybody = [*accounts, CustomerBooks(terms=tuple(ended))]
    changes = differences([], everybody).get("usd", [])
    assert figures_of(changes, ALL) == measure(flows, ALL, terms=ended)


def kept(
    connection: sqlite3.Connection, currency: str, asked: Sequence[Window]
) -> list[WindowFigures]:
    """The figures that a report reads."""
    return figures_of(rollups.deltas(connection, currency, asked), asked)


@given(lives, lives, terms, terms | st.none())
def test_what_is_replaced_leaves_no_trace(
    first: list[str],
    then: list[str],
    ended: list[ContractTerm],
    others: list[ContractTerm] | None,
) -> None:
    """Sums of what customers were and became are the sums of what they became."""
    before = [account(life, n, ended) for n, life in enumerate(first)]
    now_ended = ended if others is None else others
    after = [account(life, n, now_ended) for n, life in enumerate(then)]
    with empty_ledger() as replaced, empty_ledger() as fresh:
        for each in before:
            rollups.add(replaced, differences([], [each]))
        rollups.add(replaced, differences(before, after))
        rollups.add(fresh, differences([], after))
        assert kept(replaced, "usd", ALL) == kept(fresh, "usd", ALL)


def terms_of(connection: sqlite3.Connection, currency: str) -> list[ContractTerm]:
    """Everybody's, by day."""
    everybody = customers.ids(connection)
    ends = (date.min, date.max)
    return sorted(contract_terms.terms_among(connection, currency, everybody, *ends))


def assert_kept(connection: sqlite3.Connection, today: date) -> None:
    assert queries.currencies(connection)
    for currency in queries.currencies(connection):
        flows = list(queries.flows(connection, currency))
        asked = every_window(min(flow.day for flow in flows), today)
        counted = measure(flows, asked, terms=terms_of(connection, currency))
        assert kept(connection, currency, asked) == counted


def test_a_derivation_keeps_the_demo_s_sums() -> None:
    with settled_demo() as connection:
        assert_kept(connection, date(2026, 11, 2))


def test_looks_that_change_the_past_keep_the_sums() -> None:
    """Settled at three moments, and under another policy zone: replaced each time."""
    with empty_ledger() as connection:
        for at_s in (instant("2024-06-01T00:00:00Z"), SEEN, SEEN + 86_400):
            look(connection, shop().objects, SEEN)
            settle(connection, at_s)
            assert_kept(connection, date(2025, 4, 1))
        settle(connection, SEEN + 86_400, "Asia/Tokyo")
        assert_kept(connection, date(2025, 4, 1))


def test_a_ledger_from_before_the_sums_is_counted_once() -> None:
    with walked_demo() as connection:
        settle(connection, demo_now_s(), "Europe/Berlin")
        connection.execute("DELETE FROM window_sums")
        connection.execute("DELETE FROM settings WHERE name = 'window_sums'")
        settle(connection, demo_now_s(), "Europe/Berlin")
        assert_kept(connection, date(2026, 11, 2))


def test_the_sums_do_not_grow_with_customers() -> None:
    """Rows a month, not rows a customer."""
    with settled_demo() as connection:
        [rows] = connection.execute("SELECT count(*) FROM window_sums").fetchone()
        [months] = connection.execute(
            "SELECT count(DISTINCT substr(day, 1, 7)) FROM movements"
        ).fetchone()
    assert rows <= 2 * 3 * (months + 13)


def test_a_sum_that_was_changed_from_outside_is_a_finding() -> None:
    with settled_demo() as connection:
        connection.execute(
            "UPDATE window_sums SET new_minor = new_minor + 1"
            " WHERE currency = 'eur' AND kind = 'year' AND start = '2025-01-01'"
        )
        flows = list(queries.flows(connection, "eur"))
        asked = every_window(min(flow.day for flow in flows), date(2026, 11, 2))
        counted = measure(flows, asked, terms=terms_of(connection, "eur"))
        summed = kept(connection, "eur", asked)
    found = [finding.subject for finding in sums_are_kept("eur", counted, summed)]
    assert found == [
        "eur year 2025-01-01 to 2026-01-01",
        "eur year 2026-01-01 to 2027-01-01",
    ]
