"""However a list is cut: every object is read, few twice, in hardly more requests."""

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connector.stripe_api.objects import Product
from connector.stripe_api.paging import (
    TOP,
    WORTH_CUTTING,
    CreatedRange,
    ListPage,
    PageCursor,
    Partition,
    worth_cutting,
)

FIRST_S = 1_400_000_000
YEAR_S = 365 * 86_400
NOW_S = FIRST_S + 5 * YEAR_S
PAGE = 100


class Listed:
    """A list as Stripe shows it: newest first, 100 a page, narrowed by creation."""

    def __init__(self, times_s: Sequence[int]) -> None:
        times_s = sorted(times_s, reverse=True)
        self.things = [
            Product(id=str(i), name="", created=t) for i, t in enumerate(times_s)
        ]
        self.ages = [-t for t in times_s]

    def page(self, span: CreatedRange, place: PageCursor) -> ListPage:
        first = 0 if place.after is None else int(place.after) + 1
        if span.to_s is not None:
            first = max(first, bisect_left(self.ages, 1 - span.to_s))
        end = bisect_left(self.ages, 1 - span.from_s)
        data = self.things[first : min(first + PAGE, end)]
        if not data:
            return ListPage([], has_more=False, asked_us=0)
        place = PageCursor(data[-1].id, frozenset(), data[-1].created)
        return ListPage(data, first + PAGE < end, 0, place)


class Read(NamedTuple):
    times: Counter[str]  # how often each object was read
    requests: int
    cuts: int


def read_all(listed: Listed, workers: int, chance: Random) -> Read:
    """As ``Intake.read`` does it, with answers that come in any order."""
    ranges = [Partition("products")]
    waiting, under_way = deque(ranges), list[tuple[Partition, ListPage]]()
    times: Counter[str] = Counter()
    requests = 0
    limits = {"products": (FIRST_S, NOW_S)}
    while True:
        while len(under_way) < workers:
            if not waiting:
                fullest = worth_cutting(ranges, limits)
                if fullest is None:
                    break
                ranges.append(fullest.cut(*limits["products"]))
                waiting.append(ranges[-1])
            each = waiting.popleft()
            under_way.append((each, listed.page(each.span, each.place)))
            requests += 1
        if not under_way:
            return Read(times, requests, len(ranges) - 1)
        each, page = under_way.pop(chance.randrange(len(under_way)))
        times.update(thing.id for thing in page.data)
        each.went_on(page)
        if not each.done:
            waiting.appendleft(each)


def drawn(chance: Random, bursts: Sequence[tuple[int, int, int]]) -> list[int]:
    """Each burst: so many objects within so many seconds from so many days on."""
    return [
        min(FIRST_S + day * 86_400 + chance.randrange(width_s), NOW_S - 1)
        for day, count, width_s in bursts
        for _ in range(count)
    ]


def grown(chance: Random, count: int) -> list[int]:
    """A hundred times as many a month in the end as in the beginning."""
    return [
        FIRST_S + int(5 * YEAR_S * math.log(1 + 99 * chance.random(), 100))
        for _ in range(count)
    ]


widths_s = st.sampled_from([1, 100, 3_600, 86_400, YEAR_S])
bursts = st.lists(
    st.tuples(st.integers(0, 1_800), st.integers(1, 900), widths_s),
    min_size=1,
    max_size=8,
)
workers = st.integers(1, 8)


@settings(max_examples=100)
@given(bursts=bursts, workers=workers, seed=st.integers(0, 10_000))
@example(bursts=[(1_800, 900, 1), (0, 300, YEAR_S)], workers=8, seed=0)
def test_every_object_is_read_and_none_more_than_twice(
    bursts: list[tuple[int, int, int]], workers: int, seed: int
) -> None:
    """Twice only by a page that was under way while its range was cut."""
    times_s = drawn(Random(seed), bursts)
    read = read_all(Listed(times_s), workers, Random(seed))
    assert len(read.times) == len(times_s)
    assert max(read.times.values()) <= 2
    if workers == 1:
        assert max(read.times.values()) == 1


def most(objects: int, workers: int) -> float:
    """Requests a walk may take: a quarter more than full pages, 28 a further worker."""
    return 1.25 * math.ceil(objects / PAGE) + 28 * (workers - 1)


@settings(max_examples=100)
@given(bursts=bursts, workers=workers, seed=st.integers(0, 10_000))
@example(bursts=[(1_800, 900, 1), (0, 300, YEAR_S)], workers=8, seed=0)
@example(bursts=[(day, 600, 1) for day in range(0, 1_800, 180)], workers=8, seed=0)
def test_uneven_lists_take_hardly_more_requests_than_full_pages(
    bursts: list[tuple[int, int, int]], workers: int, seed: int
) -> None:
    times_s = drawn(Random(seed), bursts)
    read = read_all(Listed(times_s), workers, Random(seed))
    assert read.requests <= most(len(times_s), workers)
    # Every range ends with one page that is not full; nothing else is lost.
    assert read.requests <= math.ceil(read.times.total() / PAGE) + 1 + read.cuts


ACCOUNTS = {
    "even": [(0, 6_000, 5 * YEAR_S)],
    "a bill run each month": [(30 * month, 100, 3_600) for month in range(60)],
    "moved here in one night, then few": [(0, 5_500, 3_600), (0, 1_000, 5 * YEAR_S)],
    "few, then moved here in one night": [(1_820, 5_500, 3_600), (0, 1_000, YEAR_S)],
    "all in one second": [(900, 6_000, 1)],
    "ten seconds of many": [(day, 600, 1) for day in range(0, 1_800, 180)],
}


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("bursts", ACCOUNTS.values(), ids=ACCOUNTS)
def test_large_accounts(bursts: list[tuple[int, int, int]], workers: int) -> None:
    times_s = drawn(Random(1), bursts)
    read = read_all(Listed(times_s), workers, Random(2))
    assert len(read.times) == len(times_s)
    assert read.requests <= most(len(times_s), workers)


def test_a_growing_account_keeps_everybody_busy() -> None:
    """Cut so that eight read at once, though nearly all lies in the last year."""
    times_s = grown(Random(1), 6_000)
    read = read_all(Listed(times_s), 8, Random(2))
    assert read.cuts >= 7
    assert len(read.times) == len(times_s)
    assert read.requests <= most(len(times_s), 8)


@given(
    from_s=st.integers(0, NOW_S),
    length_s=st.integers(1, 5 * YEAR_S),
    reached=st.none() | st.fractions(0, 1),
    oldest_s=st.integers(0, NOW_S),
)
def test_a_cut_loses_no_second(
    from_s: int, length_s: int, reached: float | None, oldest_s: int
) -> None:
    to_s = from_s + length_s
    place = TOP
    if reached is not None:
        place = PageCursor("it", frozenset(), from_s + int(length_s * reached))
    cut = Partition("products", from_s, to_s, place)
    older = cut.cut(oldest_s, NOW_S)
    assert older.from_s == from_s
    assert older.to_s == cut.from_s
    assert (cut.to_s, cut.place) == (to_s, place)


def test_a_second_is_cut_but_once() -> None:
    """However much lies in it: else empty ranges would be asked for without end."""
    limits = {"products": (FIRST_S, NOW_S)}
    whole = Partition(
        "products", place=PageCursor("x", frozenset(), FIRST_S + 1), seen=1
    )
    whole.per_s = 1e6
    assert worth_cutting([whole], limits) is whole
    older = whole.cut(*limits["products"])
    assert (older.from_s, older.to_s, whole.from_s) == (0, FIRST_S + 1, FIRST_S + 1)
    assert worth_cutting([whole], limits) is None


def test_what_nobody_has_looked_into_is_not_cut() -> None:
    """Else a page under way would reach into many new ranges at once."""
    limits = {"products": (FIRST_S, NOW_S)}
    listed = Listed(grown(Random(1), 5_000))
    whole = Partition("products")
    assert worth_cutting([whole], limits) is None
    whole.went_on(listed.page(whole.span, whole.place))
    assert worth_cutting([whole], limits) is whole
    older = whole.cut(*limits["products"])
    assert older.left(*limits["products"]) > WORTH_CUTTING
    assert worth_cutting([older], limits) is None


def test_a_page_that_overtakes_its_range_ends_it() -> None:
    times_s = list(range(FIRST_S, FIRST_S + 300))
    listed = Listed(times_s)
    whole = Partition("products", 0, NOW_S)
    page = listed.page(whole.span, whole.place)
    whole.from_s = FIRST_S + 250  # cut while the page was under way
    whole.went_on(page)
    assert whole.done
