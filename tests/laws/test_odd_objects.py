"""Whatever one field of one object is shown as: nobody else's figures change.

An account is drawn, an object of it, a field at any depth, and what is shown there:
nothing, another type, a word nobody knows, an absurd number. The sync comes to its end;
what it set aside is named; and whoever is not concerned has the movements of the account
as it is. Shown well-formed again, all is as if nothing had been.

And by the billing engine: of two random customers of one account one has an object that
does not fit. The other's MRR is what the engine says; so is its own, once it is cured.
``--lives N`` tries N new accounts.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from connector.core.dates import local_day
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR
from tests.billing.state import Json
from tests.laws.test_lives import ZONES, by_day
from tests.pipeline.test_odd_objects import ODD, Odd
from tests.support.ledgers import Known, empty_ledger
from tests.support.lives import BORN, EVENTFUL, USUAL, Act, Life, Lived, lives
from tests.support.living import Telling
from tests.support.simulator import SimulatedAccount
from tests.support.spoiled import MISSING, spoiled
from tests.support.synced import Wire, sync

LIVES = 6
USUAL_LIVES = 40  # some ten seconds
OWNED = ("subscriptions", "invoices", "invoiceitems", "customers")
# Without these nobody knows what it says: null there is always named.
NEEDED = ("id", "customer", "status", "items", "lines", "period", "amount", "currency")
NEEDING = ("subscriptions", "invoices", "invoiceitems")
COMES = Act(120, "come_back", 0, 0, 0)
TRIES = Act(120, "come_back", 11, 0, 0)  # and is paused when the trial is over
FROZEN = next(each for each in ODD if each.said == ("status", "frozen"))
ABSURD: list[Any] = [
    *(None, MISSING, "frozen", "", 7, -1, 0, 10**12, -(10**15), 10**30, 1.5, True),
    *([], [None], {}, {"id": 7}, "1e999", "NaN"),
]


@cache
def town(number: int) -> tuple[SimulatedAccount, int, Known]:
    """An account of four lives, its clock, and what one quiet sync of it ends in."""
    account = Telling(BORN, seed=number)
    first = Lived("flexible", is_watched=True, account=account)
    people = [first, *(first.neighbour() for _ in range(3))]
    names = [*EVENTFUL, *USUAL]
    for turn, person in enumerate(people * 4):
        what = "come_back" if turn < len(people) else names[(turn * 7 + number) % 11]
        person.do(Act(0, what, turn % 5, number % 7, turn % 3))
        account.tell()
        account.advance(account.now + 36 * HOUR)
    shown = account.now_shown()
    with empty_ledger() as connection:
        return shown, account.now, sync(connection, Wire(shown, account.now))[1]


def paths(thing: Any, above: str = "") -> Iterator[str]:
    """Every field at any depth, as ``items.data.0.price``."""
    parts: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(thing, dict):
        parts = iter(thing.items())
    elif isinstance(thing, list):
        parts = iter(enumerate(thing))
    for key, value in parts:
        at = f"{above}.{key}".strip(".")
        if "." not in str(key):  # which is how ``paths`` are written
            yield at
            yield from paths(value, at)


def owner_of(kind: str, thing: dict[str, Any]) -> str:
    return str(thing["id"] if kind == "customers" else thing.get("customer"))


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_one_odd_field_concerns_nobody_else(data: st.DataObject) -> None:
    account, now_s, quiet = town(data.draw(st.integers(0, LIVES - 1)))
    kind = data.draw(
        st.sampled_from([k for k in account.objects if account.objects[k]])
    )
    thing = data.draw(st.sampled_from(list(account.objects[kind])))
    path = data.draw(st.sampled_from(list(paths(thing))))
    value = data.draw(st.sampled_from(ABSURD))
    assume(not (kind == "events" and "discounts." in path))  # shown as ids
    odd = spoiled(account, thing["id"], path, value)
    with empty_ledger() as connection:
        _, known = sync(connection, Wire(odd, now_s))
        again = sync(connection, Wire(odd, now_s + HOUR), full=True)[1]
        healed = sync(connection, Wire(account, now_s + 2 * HOUR), full=True)[1]
    assert again == known
    if value is None and path in NEEDED and kind in NEEDING:
        assert known.refusals
    if kind not in OWNED:
        return  # what everybody shares concerns everybody: it came to its end
    gone = {owner_of(kind, thing)}
    gone |= {str(value)} if path == "customer" else set()
    assert not wrong(known, quiet, gone), (thing["id"], path, value)
    assert healed.refusals == quiet.refusals


def wrong(known: Known, quiet: Known, gone: set[str]) -> list[object]:
    """Movements of others that differ from those of the account as it is."""
    theirs = [m for m in known.movements if m.customer not in gone]
    expected = [m for m in quiet.movements if m.customer not in gone]
    return [] if theirs == expected else [theirs, expected]


def two_customers(one: Life, other: Life) -> tuple[Account, tuple[str, str]]:
    """Both lives in one account, the other's after the first one's, and a quiet month."""
    account = Account(BORN)
    first = Lived(one.mode, account=account)
    second = first.neighbour()
    for played, life in ((first, one), (second, other)):
        for act in life.acts:
            played.do(act)
    account.advance(account.now + 40 * DAY)
    return account, (first.customer.id, second.customer.id)


def is_right(known: Known, account: Account, customer: str, zone: str) -> bool:
    """Whether the customer's MRR was on each day what the engine shows of it."""
    told = {m.day: m.after_minor for m in known.movements if m.customer == customer}
    steps = account.evidenced_mrr().get((customer, "usd"), [])
    return told == by_day(steps, zone)


def is_odd_in(odd: Odd, thing: Json) -> bool:
    """Items may be missing from a subscription that has ended."""
    return odd.said != ("items.data", "empty") or thing["ended_at"] is None


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_LIVES, derandomize=not wanted, deadline=None
    )


def test_who_lives_beside_an_odd_object_is_what_the_engine_says(
    trial: settings,
) -> None:
    @trial
    @given(
        one=lives,
        other=lives,
        odd=st.sampled_from(ODD),
        which=st.integers(0, 11),
        zone=ZONES,
    )
    @example(Life("flexible", [COMES]), Life("flexible", [TRIES]), FROZEN, 0, "UTC")
    def holds(one: Life, other: Life, odd: Odd, which: int, zone: str) -> None:
        account, (beside, concerned) = two_customers(one, other)
        first, second = (local_day(account.now + s, ZoneInfo(zone)) for s in (0, HOUR))
        assume(first == second)  # what a look alone shows is of the first look's day
        shown = SimulatedAccount(account.snapshot())
        things = [
            thing
            for thing in shown.objects[odd.kind]
            if owner_of(odd.kind, thing) == concerned and is_odd_in(odd, thing)
        ]
        assume(things)
        key = things[which % len(things)]["id"]
        with empty_ledger() as connection:
            spoilt = spoiled(shown, key, odd.field, odd.value)
            _, known = sync(connection, Wire(spoilt, account.now), zone)
            assert is_right(known, account, beside, zone)
            assert odd.said in {(each.field, each.value) for each in known.refusals}
            assert {each.customer for each in known.refusals} <= {concerned, ""}
            account.advance(account.now + HOUR)
            cured = Wire(SimulatedAccount(account.snapshot()), account.now)
            _, known = sync(connection, cured, zone)
        assert known.refusals == []
        assert is_right(known, account, beside, zone)
        assert is_right(known, account, concerned, zone)

    holds()
