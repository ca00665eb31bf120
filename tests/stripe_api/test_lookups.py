"""Objects whose ids are known, looked for in their list: in few requests, never in more."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.stripe_api.decoding import ref
from connector.stripe_api.objects import Customer
from connector.stripe_api.paging import (
    PAGE,
    WORTH_LISTING,
    CreatedRange,
    ListPage,
    Lookup,
)

BEGAN_S = 1_760_000_000


class Listed:
    """A list, newest first, ``size`` objects a page; how often it was asked."""

    def __init__(self, created_s: Mapping[str, int], size: int = PAGE) -> None:
        by_age = sorted(created_s.items(), key=lambda it: (-it[1], it[0]))
        self.things = [Customer(id=key, created=at_s) for key, at_s in by_age]
        self.size, self.asked = size, 0

    def read(self, span: CreatedRange) -> ListPage:
        self.asked += 1
        assert span.to_s is not None
        there = [it for it in self.things if it.created < span.to_s]
        return ListPage(there[: self.size], len(there) > self.size, asked_us=0)

    def found(self, wanted: Mapping[str, int | None], latest_s: int) -> list[str]:
        pages = Lookup("customers", wanted, latest_s).found(self.read)
        return [ref(thing) for page in pages for thing in page.data]


def each_second(ids: Sequence[str]) -> dict[str, int]:
    """The last is the newest."""
    return {key: BEGAN_S + second for second, key in enumerate(ids)}


MANY = [f"cus_{number:05}" for number in range(5_000)]
LATEST_S = BEGAN_S + len(MANY)


@pytest.mark.parametrize(
    ("wanted", "found", "requests"),
    [
        (MANY[-3:], 0, 0),
        (MANY[-4:], 4, 1),
        (MANY[-250:], 250, 3),
        (MANY[1_000:1_080], 80, 1),
        (MANY[-10:] + MANY[1_000:1_050] + MANY[10:60], 110, 3),
        (MANY[::25], 200, 50),
        (MANY[::100], 1, 1),  # it is tried once; the others are fetched by themselves
        ([*MANY[-99:], "cus_gone"], 99, 1),
        ([f"cus_gone_{number}" for number in range(50)], 0, 1),
    ],
)
def test_in_few_requests(wanted: Sequence[str], found: int, requests: int) -> None:
    """Known ones by when they were created; those nobody knows are the newest."""
    whole = Listed(each_second(MANY))
    created_s = each_second(MANY)
    got = whole.found({key: created_s.get(key) for key in wanted}, LATEST_S)
    assert (len(got), whole.asked) == (found, requests)
    assert set(got) <= set(wanted)


def test_new_ones_are_read_on_for_while_it_pays() -> None:
    whole = Listed(each_second(MANY))
    assert len(whole.found(dict.fromkeys(MANY[-250:]), LATEST_S)) == 250
    assert whole.asked == 3
    sparse = Listed(each_second(MANY))
    assert len(sparse.found(dict.fromkeys(MANY[-1:0:-40]), LATEST_S)) == 3
    assert sparse.asked == 1


@given(
    created_s=st.dictionaries(
        st.integers(0, 60), st.integers(BEGAN_S, BEGAN_S + 40), max_size=60
    ),
    wanted=st.sets(st.integers(0, 70), max_size=40),
    known=st.sets(st.integers(0, 70)),
    size=st.integers(1, 12),
)
def test_each_once_and_never_in_more_requests_than_one_by_one(
    created_s: Mapping[int, int], wanted: set[int], known: set[int], size: int
) -> None:
    whole = Listed({f"cus_{n}": at_s for n, at_s in created_s.items()}, size)
    asked = {f"cus_{n}": created_s.get(n) if n in known else None for n in wanted}
    got = whole.found(asked, BEGAN_S + 40)
    assert len(got) == len(set(got))
    assert set(got) <= asked.keys() & {ref(thing) for thing in whole.things}
    assert whole.asked <= len(wanted)
    assert whole.asked == 0 or len(wanted) >= WORTH_LISTING
