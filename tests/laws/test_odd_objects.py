"""Whatever one field of one object is shown as: nobody else's figures change.

An account is drawn, an object of it, a field at any depth, and what is shown there:
nothing, another type, a word nobody knows, an absurd number. The sync comes to its end;
what it set aside is named; and whoever is not concerned has the movements of the account
as it is. Shown well-formed again, all is as if nothing had been.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.billing.calendar_ import HOUR
from tests.support.ledgers import Known, empty_ledger
from tests.support.lives import BORN, EVENTFUL, USUAL, Act, Lived
from tests.support.living import Telling
from tests.support.simulator import SimulatedAccount
from tests.support.spoiled import MISSING, spoiled
from tests.support.synced import Wire, sync

LIVES = 6
OWNED = ("subscriptions", "invoices", "invoiceitems", "customers")
# Without these nobody knows what it says: null there is always named.
NEEDED = ("id", "customer", "status", "items", "lines", "period", "amount", "currency")
NEEDING = ("subscriptions", "invoices", "invoiceitems")
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
