"""Counted over columns, the figures are those of the definition, for each customer alone.

The definition here is written down for one customer and one window, in plain arithmetic,
and knows nothing of columns.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.config import parse
from connector.core.dates import instant
from connector.core.figures import FIGURES, WindowFigures, reading
from connector.core.model import (
    EVERYBODY,
    ContractTerm,
    Flow,
    MainPrice,
    MovementKind,
    classify,
)
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.invariants import columns_are_kept
from connector.metrics.wide.columns import columns_of, columns_of_flows, in_units
from connector.metrics.wide.fold import WHOLE, by_segment, measured
from connector.pipeline.settling import make_whole
from connector.reports.figures.segments import segment_of
from connector.reports.figures.windows import counted, figures, figures_by_segment
from connector.reports.ledger import Ledger
from connector.store.database import transaction
from connector.store.ledger import columns, contract_terms, queries
from connector.store.schema import CHUNK_BITS
from tests.support.books import NOON, key_of, moved, post
from tests.support.ledgers import empty_ledger, settle
from tests.support.synced import demo_now_s, walked_demo

HOUR = timedelta(hours=1)
CONFIG = parse('timezone = "UTC"\n[reporting]\nbands = [1, 3]', {})
SPAN = (date(2024, 1, 1), date(2024, 6, 1))
ASKED = [w for kind in WindowKind for w in windows(kind, *SPAN)]
Named = Callable[
    [int, date, int], str
]  # a customer at the end of a day, at what it pays
Sums = dict[str, dict[str, int]]


# --- the definition ---


def defined(
    flows: Sequence[Flow],
    terms: Sequence[ContractTerm],
    window: Window,
    named: Named | None,
) -> Sums:
    """Each segment's figures by name; without ``named`` one of everybody, terms and all."""
    found: Sums = {} if named is not None else {"": dict.fromkeys(FIGURES, 0)}
    kinds = {kind: f"{kind}_minor" for kind in MovementKind}
    for customer in sorted(
        {*(f.customer for f in flows), *(t.customer for t in terms)}
    ):
        own = sorted(f for f in flows if f.customer == customer)
        s = sum(f.amount_minor for f in own if f.day < window.start)
        e = sum(f.amount_minor for f in own if f.day < window.end)
        inside = [f for f in own if window.start <= f.day < window.end]
        name = ""
        if named is not None:
            if not s and not inside:
                continue
            eve = window.start - timedelta(days=1)
            at = (eve, s) if s else (inside[0].day, inside[0].amount_minor)
            name = named(customer, *at)
        told = found.setdefault(name, dict.fromkeys(FIGURES, 0))
        told["opening_minor"] += s
        told["closing_minor"] += e
        told["paying"] += e > 0
        for flow in inside:
            told[kinds[flow.kind]] += abs(flow.amount_minor)
        if s:
            told["base_customers"] += 1
            told["base_kept"] += e > 0
            told["base_opening_minor"] += s
            told["base_closing_minor"] += e
            told["base_expansion_minor"] += max(e - s, 0)
            told["base_contraction_minor"] += max(s - e, 0) if e else 0
            told["base_churn_minor"] += 0 if e else s
        ended = [t for t in terms if t.customer == customer]
        for subscription in {t.subscription for t in ended}:
            days = [
                t
                for t in sorted(ended)
                if t.subscription == subscription and window.start <= t.day < window.end
            ]
            for last in days[-1:]:
                told["terms_ended"] += 1
                told["terms_ended_minor"] += last.before_minor
                told["terms_renewed"] += last.after_minor > 0
                told["terms_renewed_minor"] += (
                    last.before_minor if last.after_minor else 0
                )
    return found


def told(found: Mapping[str, WindowFigures], *, has_terms: bool = True) -> Sums:
    names = [n for n in FIGURES if has_terms or not n.startswith("terms_")]
    read = reading(names)
    return {n: dict(zip(names, read(each), strict=True)) for n, each in found.items()}


def without_terms(found: Sums) -> Sums:
    return {
        name: {k: v for k, v in own.items() if not k.startswith("terms_")}
        for name, own in found.items()
    }


# --- random ledgers ---


class State(NamedTuple):
    """What customers (by number) pay in each currency from days on; terms; plans."""

    mrr: Mapping[tuple[int, str], Mapping[date, int]]
    terms: Sequence[tuple[int, str, str, date, int, int]]
    plans: Mapping[tuple[int, str, date], str]


NUMBERS = st.integers(1, 4)
DAYS = st.dates(date(2023, 1, 1), date(2024, 7, 31))
CURRENCIES = st.sampled_from(["usd", "eur"])
MRR = st.dictionaries(DAYS, st.sampled_from([0, 1, 7, 8, 25, 26, 2**40]), max_size=6)
SUBSCRIPTIONS = st.sampled_from(["sub_a", "sub_b"])
TERMS = st.tuples(
    NUMBERS, CURRENCIES, SUBSCRIPTIONS, DAYS, st.integers(1, 9), st.integers(0, 2)
)
STATES = st.builds(
    State,
    st.dictionaries(st.tuples(NUMBERS, CURRENCIES), MRR, max_size=6),
    st.lists(TERMS, max_size=8, unique_by=lambda t: (t[0], t[2], t[3])),
    st.dictionaries(
        st.tuples(NUMBERS, CURRENCIES, DAYS),
        st.sampled_from(["price_a", "price_b", ""]),
        max_size=5,
    ),
)
COUNTRIES = {1: "DE", 2: "US", 3: None, 4: "DE"}
# Far apart, so that they are not all packed together.
KEYS = {number: (number << CHUNK_BITS) - number for number in COUNTRIES}


def name_of(number: int) -> str:
    return f"cus_{number}"


def introduce(db: sqlite3.Connection) -> None:
    """Give each customer its key."""
    for number, country in COUNTRIES.items():
        db.execute(
            "INSERT INTO customers (key, id, country) VALUES (?, ?, ?)",
            [KEYS[number], name_of(number), country],
        )
        assert key_of(db, name_of(number), country=country) == KEYS[number]


def post_state(db: sqlite3.Connection, state: State, at: datetime) -> None:
    everybody = [name_of(number) for number in COUNTRIES]
    movements = [
        m
        for (number, c), mrr in state.mrr.items()
        for m in moved(name_of(number), mrr, c)
    ]
    movements.sort(key=lambda m: m.customer)
    post(db, movements, at=at, customers=everybody)
    with transaction(db):
        for number, key in KEYS.items():
            key_of(db, name_of(number), country=COUNTRIES[number])
            ended = [
                ContractTerm(day, c, key, f"{number}{sub}", before, after)
                for n, c, sub, day, before, after in state.terms
                if n == number
            ]
            contract_terms.put_terms(db, key, sorted(ended))
            prices = [
                MainPrice(day, c, price, "month")
                for (n, c, day), price in state.plans.items()
                if n == number
            ]
            contract_terms.put_main_prices(
                db, key, sorted(prices, key=lambda p: p[1::-1])
            )


def flows_of(state: State, currency: str) -> list[Flow]:
    """From what customers pay, without a look at the ledger."""
    found = []
    for (number, code), mrr in state.mrr.items():
        before, has_paid = 0, False
        for day, after in sorted(mrr.items()) if code == currency else ():
            kind = classify(before, after, has_paid=has_paid)
            if kind is not None:
                found.append(Flow(KEYS[number], day, kind, after - before))
            before, has_paid = after, has_paid or after > 0
    return found


def terms_of(state: State, currency: str) -> list[ContractTerm]:
    return [
        ContractTerm(day, c, KEYS[number], f"{number}{sub}", before, after)
        for number, c, sub, day, before, after in state.terms
        if c == currency
    ]


def namings(state: State, currency: str) -> dict[str, Named]:
    """Each way to tell a segment, for one customer."""
    numbers = {key: number for number, key in KEYS.items()}

    def plan(key: int, day: date, _minor: int) -> str:
        own = {
            since: price
            for (number, c, since), price in state.plans.items()
            if c == currency and number == numbers[key] and price and since <= day
        }
        price = own[max(own)] if own else None
        return f"{price}, month ({price})" if price else "(none)"

    def band(_key: int, _day: date, minor: int) -> str:
        a_year = Fraction(minor * 12, 100)
        if a_year < 1:
            return "1: under 1"
        return "2: 1 to 3" if a_year < 3 else "3: 3 and more"

    def cohort(key: int, _day: date, _minor: int) -> str:
        days = [f.day for f in flows_of(state, currency) if f.customer == key]
        return f"{min(days):%Y-%m}"

    return {
        "plan": plan,
        "band": band,
        "cohort": cohort,
        "country": lambda key, _day, _minor: COUNTRIES[numbers[key]] or "(none)",
        "currency": lambda _key, _day, _minor: currency.upper(),
    }


def pack_all(db: sqlite3.Connection) -> None:
    """However little it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "MUCH", 0)
        columns.pack(db)


@given(st.lists(STATES, min_size=1, max_size=3), st.integers(-1, 2))
def test_every_figure_of_every_segment_is_that_of_the_definition(
    states: list[State], packed_at: int
) -> None:
    """With retractions, in several currencies, now; from the tables and packed."""
    with empty_ledger() as db:
        introduce(db)
        for hour, state in enumerate(states):
            post_state(db, state, NOON + hour * HOUR)
            if hour == packed_at:  # what is posted later is packed no more
                pack_all(db)
        ledger, state = Ledger(db, CONFIG, NOON + 9 * HOUR), states[-1]
        for currency in queries.currencies(db):
            flows, terms = flows_of(state, currency), terms_of(state, currency)
            whole = figures(ledger, currency, ASKED)
            for window, each in zip(ASKED, whole, strict=True):
                assert told({"": each}) == defined(flows, terms, window, None)
            for by, named in namings(state, currency).items():
                cut = figures_by_segment(ledger, currency, ASKED, by)
                for window, by_name in zip(ASKED, cut, strict=True):
                    assert told(by_name) == defined(flows, terms, window, named)


@given(st.lists(STATES, min_size=1, max_size=3))
def test_as_of_a_moment_they_are_what_they_were(states: list[State]) -> None:
    """Counted, then from what has changed since in the sums that are kept."""
    with empty_ledger() as db:
        introduce(db)
        for hour, state in enumerate(states):
            post_state(db, state, NOON + hour * HOUR)
        pack_all(db)
        ledger = Ledger(db, CONFIG, NOON + 9 * HOUR)
        for turn, (hour, state) in product(range(2), enumerate(states)):
            if turn:
                make_whole(db)
            as_of = NOON + hour * HOUR
            for currency in queries.currencies(db, as_of):
                flows = flows_of(state, currency)
                found = figures(ledger, currency, ASKED, as_of)
                for window, each in zip(ASKED, found, strict=True):
                    right = without_terms(defined(flows, [], window, None))
                    assert told({"": each}, has_terms=False) == right
                    assert each.renewals is None
                named = namings(state, currency)["band"]
                cut = figures_by_segment(ledger, currency, ASKED, "band", as_of)
                for window, by_name in zip(ASKED, cut, strict=True):
                    right = without_terms(defined(flows, [], window, named))
                    assert told(by_name, has_terms=False) == right


# --- amounts of any size ---


def test_sums_beyond_what_a_float_holds_are_exact() -> None:
    day = date(2024, 2, 10)
    odd = [2**53 + 1, 2**52 + 1, 2**53 - 1, 1]
    flows = [Flow(n, day, MovementKind.NEW, minor) for n, minor in enumerate(odd)]
    with empty_ledger() as db:
        for n, minor in enumerate(odd, start=1):
            db.execute("INSERT INTO customers (key, id) VALUES (?, ?)", [n, name_of(n)])
            post(db, moved(name_of(n), {day: minor}))
        [march] = measured(
            map(columns_of, columns.blocks(db, "usd")),
            windows(WindowKind.MONTH, date(2024, 3, 1), date(2024, 3, 1)),
        )
        assert march.waterfall.opening_minor == sum(odd)
    units = 10**30 + 7
    [february] = measured(
        [in_units(columns_of_flows(flows), units)],
        windows(WindowKind.MONTH, day, day),
        has_terms=False,
    )
    assert february.waterfall.new_minor == sum(odd) * units


@pytest.mark.parametrize("is_cut", [True, False])
def test_of_nobody_there_is_nothing(is_cut: bool) -> None:  # noqa: FBT001
    [found] = by_segment([], ASKED[:1], WHOLE, is_cut=is_cut)
    assert list(found) == ([] if is_cut else [EVERYBODY])
    with empty_ledger() as db:
        assert all(not block.day for block in columns.blocks(db, "usd"))


# --- packed ---


def packed(db: sqlite3.Connection) -> set[int]:
    rows: Iterable[tuple[int]] = db.execute("SELECT chunk FROM packed_columns")
    return {chunk for (chunk,) in rows}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({date(2024, 1, 1): 5, date(2024, 3, 1): 9}, id="a movement more"),
        pytest.param({}, id="a movement retracted"),
    ],
)
def test_what_is_posted_is_packed_no_more(change: Mapping[date, int]) -> None:
    with empty_ledger() as db:
        introduce(db)
        first = {date(2024, 1, 1): 5}
        state = State({(1, "usd"): first, (2, "usd"): first}, [], {})
        post_state(db, state, NOON)
        pack_all(db)
        assert {KEYS[1] >> CHUNK_BITS, KEYS[2] >> CHUNK_BITS} <= packed(db)
        post_state(
            db, State({(1, "usd"): change, (2, "usd"): first}, [], {}), NOON + HOUR
        )
        assert KEYS[1] >> CHUNK_BITS not in packed(db)
        assert KEYS[2] >> CHUNK_BITS in packed(db)


def test_terms_that_change_are_packed_no_more() -> None:
    with empty_ledger() as db:
        introduce(db)
        pack_all(db)
        term = ContractTerm(date(2024, 3, 1), "usd", KEYS[3], "sub_c", 5, 5)
        contract_terms.put_terms(db, KEYS[3], [term])
        assert KEYS[3] >> CHUNK_BITS not in packed(db)
        assert KEYS[2] >> CHUNK_BITS in packed(db)


def test_what_is_packed_otherwise_is_found() -> None:
    with empty_ledger() as db:
        introduce(db)
        first = {date(2024, 1, 1): 5}
        post_state(db, State({(1, "usd"): first, (2, "eur"): first}, [], {}), NOON)
        pack_all(db)
        assert list(columns.stale(db)) == []
        db.execute("UPDATE packed_columns SET day = x'' WHERE currency = 'eur'")
        assert list(columns.stale(db)) == [[name_of(2)]]
        [finding] = columns_are_kept(columns.stale(db))
        assert (finding.rule, finding.subject) == ("columns", "cus_2 and others")


def test_a_recompute_packs_what_it_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's, however few; a second one finds all of it as it is booked."""
    monkeypatch.setattr(columns, "MUCH", 0)
    with walked_demo() as db:
        settle(db, demo_now_s(), "Europe/Berlin")
        assert packed(db)
        assert list(columns.stale(db)) == []
        ledger = Ledger(db, CONFIG, instant(demo_now_s()))
        for currency in queries.currencies(db):
            kept = figures(ledger, currency, ASKED)
            assert kept == counted(db, currency, ASKED)


def test_little_is_not_packed() -> None:
    with empty_ledger() as db:
        post(
            db,
            moved("cus_1", {date(2024, 1, 1): 5}),
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        columns.pack(db)
        assert packed(db) == set()


def test_segments_are_told_of_single_customers_too() -> None:
    with empty_ledger() as db:
        introduce(db)
        of = segment_of(db, CONFIG, "country", "usd")
        days, minor = [date(2024, 1, 1)] * 2, [1, 1]
        assert of.named([KEYS[2], KEYS[3]], days, minor) == ["US", "(none)"]
