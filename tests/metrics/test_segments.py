"""Segments: who belongs where, and that they add up to the total in every window."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.figures import WindowFigures
from connector.core.model import (
    EVERYBODY,
    NONE,
    ContractTerm,
    Flow,
    Movement,
    MovementKind,
    segment_value,
)
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.retention import measure
from connector.metrics.wide.columns import Columns, columns_of_flows
from connector.metrics.wide.fold import Segmentation, by_segment, moved_by_segment
from connector.metrics.wide.segments import by_band, by_trait, everybody, within
from tests.support.books import lived

JAN, MAR = date(2024, 1, 1), date(2024, 3, 1)
MONTHS = windows(WindowKind.MONTH, JAN, date(2024, 6, 1))


def flows(movements: Sequence[Movement]) -> list[Flow]:
    return [Flow(int(m.customer), m.day, m.kind, m.amount_minor) for m in movements]


class Book(NamedTuple):
    flows: list[Flow]
    terms: Sequence[ContractTerm] = ()

    @property
    def parts(self) -> list[Columns]:
        return [columns_of_flows(self.flows, self.terms)]


def book(*lives: str, terms: Sequence[ContractTerm] = ()) -> Book:
    moved = [m for n, life in enumerate(lives) for m in lived(str(n), life)]
    return Book(flows(moved), terms)


def nrr(measured: WindowFigures) -> str:
    found = measured.retention.nrr
    return "–" if found is None else f"{found * 100}"


def plans(*lives: Mapping[date, str]) -> Segmentation:
    found: dict[str, tuple[list[int], list[int]]] = {}
    for n, each in enumerate(lives):
        for day, name in each.items():
            customers, days = found.setdefault(name, ([], []))
            customers.append(n)
            days.append(day.toordinal())
    return by_trait(found)


def test_moving_to_another_plan_is_expansion_of_the_plan_one_had() -> None:
    """One customer goes from small to large in March; the other always was large."""
    of = plans({JAN: "small", date(2024, 3, 15): "large"}, {JAN: "large"})
    [march] = by_segment(book("10 10 30", "50").parts, [MONTHS[2]], of)
    assert {name: nrr(each) for name, each in march.items()} == {
        "large": "100",
        "small": "300",
    }
    assert march["small"].waterfall.churn_minor == 0
    [april] = by_segment(book("10 10 30", "50").parts, [MONTHS[3]], of)
    assert {name: m.retention.opening_minor for name, m in april.items()} == {
        "large": 80
    }


def test_who_comes_in_a_window_belongs_where_it_came() -> None:
    of = plans({date(2024, 2, 15): "small", date(2024, 3, 15): "large"})
    [both] = by_segment(
        book(". 10 30").parts, [Window(WindowKind.YEAR, JAN, MONTHS[-1].end)], of
    )
    assert list(both) == ["small"]
    assert both["small"].waterfall.expansion_minor == 20


def test_who_has_no_trait_is_in_a_segment_of_its_own() -> None:
    of = plans({JAN: "small"}, {})
    [march] = by_segment(book("10", "20").parts, [MONTHS[2]], of)
    assert list(march) == [NONE, "small"]


@pytest.mark.parametrize(
    ("mrr_minor", "band"),
    [
        pytest.param(1, "1: under 10,000", id="next to nothing"),
        pytest.param(83_333, "1: under 10,000", id="9,999.96 a year"),
        pytest.param(83_334, "2: 10,000 to 100,000", id="10,000.08 a year"),
        pytest.param(1_000_000, "3: 100,000 and more", id="120,000 a year"),
    ],
)
def test_bands_are_of_the_contract_s_value_a_year(mrr_minor: int, band: str) -> None:
    assert by_band([10_000, 100_000], 100).named([1], [JAN], [mrr_minor]) == [band]


def test_a_contract_of_exactly_an_edge_is_in_the_band_above() -> None:
    assert by_band([12], 1).named([1], [JAN], [1]) == ["2: 12 and more"]


def test_a_customer_counts_in_the_band_of_its_opening() -> None:
    """It grows over the edge inside the window: that is expansion of the lower band."""
    of = by_band([1_200], 1)
    [march] = by_segment(book("50 50 500").parts, [MONTHS[2]], of)
    assert list(march) == ["1: under 1,200"]
    assert march["1: under 1,200"].retention.expansion_minor == 450


def test_renewals_are_cut_by_segment_too() -> None:
    ides = date(2024, 3, 15)
    terms = [
        ContractTerm(ides, "usd", 0, "sub_a", 10, 0),
        ContractTerm(ides, "usd", 1, "sub_b", 20, 20),
        ContractTerm(ides, "usd", 7, "sub_c", 20, 20),  # pays nothing here
    ]
    of = plans({JAN: "small"}, {JAN: "large"})
    [march] = by_segment(book("10 10 0", "20", terms=terms).parts, [MONTHS[2]], of)
    renewed = {name: each.renewals for name, each in march.items()}
    assert renewed["small"] is not None
    assert (renewed["small"].ended, renewed["small"].renewed) == (1, 0)
    assert renewed["large"] is not None
    assert (renewed["large"].ended, renewed["large"].renewed) == (1, 1)


# --- laws ---

cell = st.sampled_from(["0", "1", "2", "500", "."])
life = st.lists(cell, min_size=1, max_size=6).map(" ".join)
names = st.sampled_from(["a", "b", "c", ""])
trait = st.dictionaries(st.sampled_from([w.start for w in MONTHS]), names, max_size=3)
some_windows = st.sampled_from(
    [w for kind in WindowKind for w in windows(kind, JAN, date(2024, 6, 1))]
)
by = st.one_of(
    st.lists(trait, min_size=5, max_size=5).map(lambda own: plans(*own)),
    st.lists(st.integers(1, 5_000), min_size=1, max_size=3, unique=True).map(
        lambda edges: by_band(sorted(edges), 1)
    ),
)


@given(st.lists(life, max_size=5), by, st.lists(some_windows, min_size=1, max_size=4))
def test_segments_add_up_to_the_total(
    lives: list[str], of: Segmentation, asked: list[Window]
) -> None:
    """Every amount and every number of customers, in every window, however cut."""
    whole = book(*lives)
    totals = measure(whole.flows, asked)
    for total, cut in zip(totals, by_segment(whole.parts, asked, of), strict=True):
        for part in ("waterfall", "retention"):
            for field in getattr(total, part).__struct_fields__:
                parts = [getattr(getattr(each, part), field) for each in cut.values()]
                assert sum(parts) == getattr(getattr(total, part), field), field
        assert sum(each.paying for each in cut.values()) == total.paying


terms = st.lists(
    st.builds(
        ContractTerm,
        day=st.dates(JAN, MONTHS[-1].end),
        currency=st.just("usd"),
        customer=st.integers(0, 4),
        subscription=st.sampled_from("xyz"),
        before_minor=st.integers(1, 3),
        after_minor=st.integers(0, 2),
    ).map(lambda term: term._replace(subscription=f"{term.customer}{term[3]}")),
    max_size=12,
).map(lambda drawn: sorted(drawn, key=lambda term: (term.customer, term.day)))


@given(st.lists(life, max_size=5), terms, by, st.lists(some_windows, min_size=1))
def test_a_segment_is_measured_as_if_its_customers_were_all_there_are(
    lives: list[str], ended: list[ContractTerm], of: Segmentation, asked: list[Window]
) -> None:
    """Waterfall, retention, renewals and all: the figures of one and the same formula."""
    whole = book(*lives, terms=ended)
    for window, cut in zip(asked, by_segment(whole.parts, asked, of), strict=True):
        segments: dict[int, str | None] = {}
        for customer in range(len(lives)):
            own = [flow for flow in whole.flows if flow.customer == customer]
            found = by_segment([columns_of_flows(own)], [window], of)
            segments |= dict.fromkeys([customer], next(iter(found[0]), None))
        for name, measured in cut.items():
            flows = [f for f in whole.flows if segments[f.customer] == name]
            own_terms = [t for t in ended if segments.get(t.customer) == name]
            assert [measured] == measure(flows, [window], terms=own_terms)


@given(st.lists(life, max_size=5), by, by, st.lists(some_windows, min_size=1))
def test_who_has_two_segments_at_once_is_measured_as_if_alone(
    lives: list[str], one: Segmentation, other: Segmentation, asked: list[Window]
) -> None:
    """Each value of one within each of the other: nobody twice, and nobody left out."""
    whole = book(*lives)
    for window in asked:
        [outer] = by_segment(whole.parts, [window], one)
        for name, alone in outer.items():
            inside = within([(one, name)], other)
            [cells] = by_segment(whole.parts, [window], inside)
            [only] = by_segment(whole.parts, [window], within([(one, name)], everybody))
            assert only == {EVERYBODY: alone}
            opening_minor = alone.retention.opening_minor
            assert sum(m.retention.opening_minor for m in cells.values()) == (
                opening_minor
            )
            for second, cell in cells.items():
                both = within([(other, second), (one, name)], everybody)
                assert by_segment(whole.parts, [window], both) == [{EVERYBODY: cell}]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("country=DE", ("country", "DE")),
        ("plan=Team, month (price_1)", ("plan", "Team, month (price_1)")),
        ("metadata:a=b=c", ("metadata:a=b", "c")),
        ("metadata:a=c", ("metadata:a", "c")),
        ("band=1: under 10,000", ("band", "1: under 10,000")),
    ],
)
def test_a_segment_is_read_as_it_is_written(text: str, read: tuple[str, str]) -> None:
    kinds = ("country", "plan", "band", "metadata:a", "metadata:a=b")
    found = segment_value(text, kinds)
    assert found == read
    assert str(found) == text


@pytest.mark.parametrize("text", ["=", "country", "country=", "shoe=9", "DE"])
def test_what_is_no_segment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        segment_value(text, ("country", "plan"))


@given(st.lists(life, max_size=5), by)
def test_sums_of_movements_by_segment_add_up(
    lives: list[str], of: Segmentation
) -> None:
    whole = book(*lives)
    span = Window(WindowKind.YEAR, JAN, MONTHS[-1].end)
    cut = moved_by_segment(whole.parts, span, of)
    for kind in MovementKind:
        own = [flow.amount_minor for flow in whole.flows if flow.kind is kind]
        told = [by_kind[kind] for by_kind in cut.values()]
        assert sum(count for count, _ in told) == len(own)
        assert sum(minor for _, minor in told) == sum(own)


@given(st.lists(life, max_size=5), some_windows)
def test_a_book_that_starts_at_the_window_gives_the_same_figures(
    lives: list[str], window: Window
) -> None:
    """What stood before is all that matters of the past."""
    whole = book(*lives)
    opening: dict[int, int] = {}
    for flow in whole.flows:
        if flow.day < window.start:
            opening[flow.customer] = opening.get(flow.customer, 0) + flow.amount_minor
    since = [flow for flow in whole.flows if flow.day >= window.start]
    paying = {customer: minor for customer, minor in opening.items() if minor}
    assert measure(since, [window], paying) == measure(whole.flows, [window])
