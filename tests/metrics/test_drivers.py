"""Expansion and contraction by cause: net per customer, adding up to what is behind NRR."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.config import parse
from connector.core.kept.columns import CAUSES, KINDS, WIDTHS, Block
from connector.core.model import Cause, MovementKind
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.contributions import Causes, Share
from connector.metrics.retention import measure, retention
from connector.metrics.wide.causes import causes as counted
from connector.metrics.wide.columns import columns_of
from connector.reports.ledger import Ledger
from connector.reports.report import causes_in
from connector.store.ledger import columns, queries
from tests.support.books import NOON
from tests.support.synced import settled_demo

YEAR = Window(WindowKind.YEAR, date(2025, 1, 1), date(2026, 1, 1))


class CauseAmount(NamedTuple):
    """What one cause changed for one customer in the window."""

    customer: int
    cause: str
    amount_minor: int


def block_of(opening: Mapping[int, int], moved: Iterable[CauseAmount]) -> Block:
    """The opening came long before, all else in one movement of the window."""
    inside: dict[int, list[CauseAmount]] = {customer: [] for customer in opening}
    for each in moved:
        inside.setdefault(each.customer, []).append(each)
    rows: list[tuple[int, date, int, int, list[CauseAmount]]] = []
    for customer, own in sorted(inside.items()):
        paid = opening.get(customer, 0)
        if paid:
            start = [CauseAmount(customer, Cause.START, paid)]
            rows.append((customer, date(2024, 1, 1), 0, paid, start))
        net = sum(each.amount_minor for each in own)
        kind = KINDS.index(MovementKind.EXPANSION)
        rows.append((customer, date(2025, 6, 1), kind, net, own))
    who, days, kinds, minor, parts = zip(*rows, strict=True) if rows else [()] * 5
    listed = [each for own in parts for each in own]
    columns: Sequence[Iterable[int]] = (
        *(who, [day.toordinal() for day in days], kinds, minor),
        *((), (), (), (), ()),
        range(len(rows)),
        [len(own) for own in parts],
        [CAUSES.index(Cause(each.cause)) for each in listed],
        [each.amount_minor for each in listed],
    )
    return Block(*(array(w, c).tobytes() for w, c in zip(WIDTHS, columns, strict=True)))


def causes(
    opening: Mapping[int, int],
    moved: Iterable[CauseAmount],
    most: int | None = None,
) -> Causes:
    block = block_of(opening, moved)
    [found] = counted(map(columns_of, [block, Block()]), [YEAR], most=most)
    return found


def parts(**amounts: Mapping[int, int]) -> list[CauseAmount]:
    return sorted(
        CauseAmount(customer, Cause(cause).value, amount)
        for cause, own in amounts.items()
        for customer, amount in own.items()
    )


def drawn(shares: tuple[Share, ...]) -> str:
    return " ".join(f"{share.cause}{share.amount_minor:+d}" for share in shares)


@pytest.mark.parametrize(
    ("moved", "expansion", "contraction"),
    [
        pytest.param(parts(quantity={1: 30}), "quantity+30", "", id="more seats"),
        pytest.param(parts(plan={1: -30}), "", "plan-30", id="a smaller plan"),
        pytest.param(
            parts(quantity={1: 30}, discount={1: -10}), "quantity+30 discount-10", "",
            id="more seats at a discount: both, and the customer expands by 20",
        ),
        pytest.param(
            parts(quantity={1: 30, 2: -10}), "quantity+30", "quantity-10",
            id="one expands, another one contracts",
        ),
        pytest.param(parts(end={1: -100}), "", "", id="churn is neither"),
        pytest.param(
            parts(end={1: -100}, start={1: 120}), "return+20", "", id="left and came back"
        ),
        pytest.param(
            parts(quantity={1: 30}, plan={1: -30}), "", "", id="no net change is neither"
        ),
        pytest.param(parts(pause={1: -30}), "", "pause-30", id="one of two paused"),
        pytest.param(
            parts(pause={1: -100}, resume={1: 120}), "resume+20", "",
            id="paused, and resumed for more",
        ),
        pytest.param(
            parts(pause={1: -100, 2: -20}, resume={1: 90}), "", "pause-30",
            id="paused, and resumed for less",
        ),
        pytest.param(parts(start={9: 50}), "", "", id="who came later does not count"),
    ],
)  # fmt: skip
def test_causes(moved: list[CauseAmount], expansion: str, contraction: str) -> None:
    found = causes({1: 100, 2: 50}, moved)
    assert (drawn(found.expansion), drawn(found.contraction)) == (
        expansion,
        contraction,
    )


def test_the_customers_behind_a_cause_come_by_size() -> None:
    [seats] = causes({1: 100, 2: 50}, parts(quantity={1: 30, 2: 40})).expansion
    assert (seats.customers, seats.number) == (((2, 40), (1, 30)), 2)


def test_some_are_named_and_all_are_counted() -> None:
    moved = parts(quantity={1: 30, 2: 40, 3: 40})
    [seats] = causes({1: 100, 2: 50, 3: 50}, moved, most=2).expansion
    assert (seats.customers, seats.number) == (((2, 40), (3, 40)), 3)
    assert seats.amount_minor == 110


def test_of_nobody_there_are_no_causes() -> None:
    assert [causes({}, [])] == counted([], [YEAR]) == [Causes((), ())]


customers = st.integers(1, 4)
amounts = st.integers(-3, 3).filter(bool)


@given(
    st.dictionaries(customers, st.integers(1, 5)),
    st.lists(st.tuples(customers, st.sampled_from(Cause), amounts), max_size=12),
)
def test_causes_add_up_to_what_is_behind_nrr(
    opening: dict[int, int], drafts: list[tuple[int, Cause, int]]
) -> None:
    """Whatever happened to whom, as long as nobody's MRR falls below 0."""
    closing: dict[int, int] = dict(opening)
    moved = []
    for customer, cause, amount in drafts:
        if closing.get(customer, 0) + amount >= 0:
            closing[customer] = closing.get(customer, 0) + amount
            moved.append(CauseAmount(customer, cause.value, amount))
    base = retention(opening, {c: e for c, e in closing.items() if e})
    found = causes(opening, sorted(moved))
    assert sum(s.amount_minor for s in found.expansion) == base.expansion_minor
    assert sum(s.amount_minor for s in found.contraction) == -base.contraction_minor
    for share in (*found.expansion, *found.contraction):
        assert sum(amount for _, amount in share.customers) == share.amount_minor


def test_the_demo_s_windows_add_up() -> None:
    """Real components of a real ledger, packed and not, and as of its last run."""
    first, last = date(2023, 11, 1), date(2026, 10, 1)
    with settled_demo() as connection:
        ledger = Ledger(connection, parse("", {}), NOON)
        asked = [w for kind in WindowKind for w in windows(kind, first, last)]
        for currency in queries.currencies(connection):
            flows = list(queries.flows(connection, currency))
            told = [causes_in(ledger, currency, window) for window in asked]
            for measured, found in zip(measure(flows, asked), told, strict=True):
                base = measured.retention
                grown = sum(share.amount_minor for share in found.expansion)
                shrunk = sum(share.amount_minor for share in found.contraction)
                assert (grown, -shrunk) == (
                    base.expansion_minor,
                    base.contraction_minor,
                )
                assert found == defined(ledger, currency, measured.window)
            columns.MUCH, much = 0, columns.MUCH
            columns.pack(connection)
            columns.MUCH = much
            assert told == [causes_in(ledger, currency, window) for window in asked]
            columns.clear(connection)


def defined(ledger: Ledger, currency: str, window: Window) -> Causes:
    """The same from the movements themselves, customer by customer."""
    called = {
        Cause.START.value: "return",
        Cause.END.value: "return",
        Cause.RESUME.value: Cause.PAUSE.value,
    }
    keys = dict(ledger.connection.execute("SELECT id, key FROM customers").fetchall())
    found: tuple[dict[str, list[tuple[int, int]]], ...] = ({}, {})
    moved = sorted(queries.movements(ledger.connection), key=attrgetter("customer"))
    for customer, group in groupby(moved, key=attrgetter("customer")):
        own = [m for m in group if m.currency == currency]
        opening = sum(m.amount_minor for m in own if m.day < window.start)
        amounts: dict[str, int] = {}
        for movement in own:
            if window.start <= movement.day < window.end:
                for part in movement.components:
                    name = called.get(part.cause.value, part.cause.value)
                    amounts[name] = amounts.get(name, 0) + part.amount_minor
        net = sum(amounts.values())
        if opening and net and opening + net:
            for name, minor in amounts.items():
                told = "resume" if name == "pause" and minor > 0 else name
                if minor:
                    shares = found[net < 0].setdefault(told, [])
                    shares.append((keys[customer], minor))
    return Causes(
        *(tuple(sorted(map(_share, own.items()), key=_size)) for own in found)
    )


def _share(named: tuple[str, list[tuple[int, int]]]) -> Share:
    name, own = named
    largest = sorted(own, key=lambda each: (-abs(each[1]), each[0]))
    return Share(name, sum(minor for _, minor in own), tuple(largest), len(own))


def _size(share: Share) -> tuple[int, str]:
    return -abs(share.amount_minor), share.cause
