"""An object that does not fit is set aside by name, and nobody else is concerned.

A table of malformed objects, on each way by which objects come in. The expectation is the
ledger of the same account without the customer whose object it is.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from connector.config import Config
from connector.core.dates import instant
from connector.core.windows import WindowKind
from connector.pipeline.bundled_account import BundledAccount, load_account
from connector.reports.coverage import coverage_report
from connector.reports.ledger import Ledger
from connector.store.ledger import coverage, queries, unvalued
from connector.store.mirror import dirty_customers
from connector.store.opening import open_database
from connector.store.schema import MIRRORED
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR
from tests.support.commands import Workdir
from tests.support.ledgers import Known, empty_ledger, settle
from tests.support.living import Telling
from tests.support.loopback import serving
from tests.support.simulator import SimulatedAccount
from tests.support.spoiled import MISSING, spoiled
from tests.support.synced import OPENED, SEEN, Wire, changed, shop, sync, walk

HUGE = 10**30


class Odd(NamedTuple):
    """``kind``'s ``field`` is shown as ``value``; named as ``said`` (field, value)."""

    kind: str
    field: str
    value: object
    said: tuple[str, str]


SUBSCRIPTIONS = [
    Odd("subscriptions", "customer", None, ("customer", "None")),
    Odd("subscriptions", "customer", 7, ("customer", "7")),
    Odd("subscriptions", "status", "frozen", ("status", "frozen")),
    Odd("subscriptions", "status", None, ("status", "None")),
    Odd("subscriptions", "status", MISSING, ("status", "missing")),
    Odd("subscriptions", "items", None, ("items", "None")),
    Odd("subscriptions", "items", MISSING, ("items.data", "missing")),
    Odd("subscriptions", "items", {"data": []}, ("items.data", "empty")),
    Odd("subscriptions", "items.data.0.price", None, ("items.data[0].price", "None")),
    Odd("subscriptions", "items.data.0.quantity", -3, ("items.data[0].quantity", "-3")),
    Odd(
        *("subscriptions", "items.data.0.quantity", None),
        ("items.data[0].quantity", "None"),
    ),
    Odd(
        *("subscriptions", "items.data.0.quantity", HUGE),
        ("items.data[0].quantity", "100000… (a long number)"),
    ),
    Odd("subscriptions", "start_date", -5, ("start_date", "-5")),
    Odd("subscriptions", "ended_at", 10**12, ("ended_at", "1000000000000")),
    Odd("subscriptions", "currency", "zzz", ("currency", "zzz")),
    Odd("subscriptions", "discounts", "half", ("discounts", "a text of 4 characters")),
    Odd("subscriptions", "discounts", None, ("discounts", "None")),
    Odd(
        *("subscriptions", "items.data.0.discounts", None),
        ("items.data[0].discounts", "None"),
    ),
    Odd("subscriptions", "items.data", None, ("items.data", "None")),
    Odd("subscriptions", "created", "today", ("created", "a text of 5 characters")),
    Odd("subscriptions", "id", 7, ("id", "7")),
    Odd("subscriptions", "", None, ("the object", "None")),
]
INVOICES = [
    Odd("invoices", "customer", None, ("customer", "None")),
    Odd("invoices", "status", "frozen", ("status", "frozen")),
    Odd("invoices", "status", None, ("status", "None")),
    Odd("invoices", "lines", None, ("lines", "None")),
    Odd("invoices", "lines", MISSING, ("lines.data", "missing")),
    Odd("invoices", "lines", {}, ("lines.data", "missing")),
    Odd("invoices", "lines.data.0", None, ("lines.data[0]", "None")),
    Odd(
        *("invoices", "lines.data.0.amount", "12"),
        ("lines.data[0].amount", "a text of 2 characters"),
    ),
    Odd(
        *("invoices", "lines.data.0.amount", HUGE),
        ("lines.data[0].amount", "100000… (a long number)"),
    ),
    Odd("invoices", "lines.data.0.pricing", None, ("lines.data[0].pricing", "None")),
    Odd("invoices", "lines.data.0.period.end", 5, ("lines.data[0].period.end", "5")),
    Odd("invoices", "lines.data.0.period", None, ("lines.data[0].period", "None")),
    Odd(
        *("invoices", "lines.data.0.pricing", {"unit_amount_decimal": "NaN"}),
        ("lines.data[0].pricing.unit_amount_decimal", "NaN"),
    ),
    Odd("invoices", "discounts", None, ("discounts", "None")),
    Odd(
        *("invoices", "lines.data.0.discounts", None),
        ("lines.data[0].discounts", "None"),
    ),
    Odd("invoices", "lines.data", None, ("lines.data", "None")),
    Odd("invoices", "id", None, ("id", "None")),
]
OTHERS = [
    Odd("customers", "name", {"first": "A"}, ("name", "an object")),
    Odd("customers", "discount", 4, ("discount", "4")),
    Odd("invoiceitems", "customer", None, ("customer", "None")),
    Odd("invoiceitems", "amount", None, ("amount", "None")),
    Odd(
        *("invoiceitems", "proration_details", {"discount_amounts": None}),
        ("proration_details.discount_amounts", "None"),
    ),
]
# Used by everybody: figures stay, by what else shows it.
SHARED = [
    Odd("prices", "unit_amount", -5, ("unit_amount", "-5")),
    Odd("prices", "unit_amount_decimal", "NaN", ("unit_amount_decimal", "NaN")),
    Odd("prices", "recurring", "monthly", ("recurring", "a text of 7 characters")),
    Odd("prices", "id", 7, ("id", "7")),
    Odd("coupons", "duration", "eternal", ("duration", "eternal")),
    Odd("coupons", "percent_off", 200, ("percent_off", "200")),
    Odd(
        *("coupons", "applies_to", {"products": None}),
        ("applies_to.products", "None"),
    ),
]
ODD = [*SUBSCRIPTIONS, *INVOICES, *OTHERS]


def named(odd: Odd) -> str:
    return f"{odd.kind} {odd.field} {str(odd.value)[:12]}"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def first(kind: str, account: SimulatedAccount | None = None) -> dict[str, Any]:
    return dict((account or shop()).objects[kind][0])


def owner(kind: str) -> str:
    it = first(kind)
    return str(it["id"] if kind == "customers" else it["customer"])


def without_owner(known: Known, kind: str) -> Known:
    gone = owner(kind)
    return Known(
        [m for m in known.movements if m.customer != gone],
        [r for r in known.refusals if r.customer != gone],
    )


def quiet() -> Known:
    with empty_ledger() as connection:
        return sync(connection, Wire(shop(), SEEN))[1]


@pytest.mark.parametrize("odd", ODD, ids=named)
def test_a_walk_sets_it_aside_and_knows_everybody_else(
    db: sqlite3.Connection, odd: Odd
) -> None:
    account = spoiled(shop(), first(odd.kind)["id"], odd.field, odd.value)
    _, known = sync(db, Wire(account, SEEN))
    is_nobodys = odd.field == "" or odd in SUBSCRIPTIONS[:2]
    if not is_nobodys and odd.value != "frozen":  # events show that it was active
        assert known.movements == without_owner(quiet(), odd.kind).movements
    [found] = [r for r in known.refusals if (r.field, r.value) == odd.said]
    key = first(odd.kind)["id"]
    assert found.object_id == key or "without an id" in found.object_id
    assert found.customer == ("" if is_nobodys else owner(odd.kind))
    assert dirty_customers.dirty(db) == []


@pytest.mark.parametrize("odd", SHARED, ids=named)
def test_what_everybody_uses_is_named_and_figures_stay(
    db: sqlite3.Connection, odd: Odd
) -> None:
    account = spoiled(shop(), first(odd.kind)["id"], odd.field, odd.value)
    _, known = sync(db, Wire(account, SEEN))
    assert known.movements == quiet().movements
    assert [(r.customer, r.field, r.value) for r in known.refusals] == [("", *odd.said)]


def rows(db: sqlite3.Connection) -> list[object]:
    kinds = [*MIRRORED, "movements", "retractions", "refusals"]
    tables = [kind if kind in kinds[-3:] else f"stripe_{kind}" for kind in kinds]
    return [
        [row[-1] for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608
        for table in tables
    ]


@pytest.mark.parametrize("full", [False, True], ids=["by events", "full"])
@pytest.mark.parametrize(
    "odd", [*SUBSCRIPTIONS[2:6], *INVOICES[:4], *OTHERS], ids=named
)
def test_it_changes_nothing_when_repeated_and_heals_by_itself(
    db: sqlite3.Connection, odd: Odd, *, full: bool
) -> None:
    key = first(odd.kind)["id"]
    account = spoiled(shop(), key, odd.field, odd.value)
    _, before = sync(db, Wire(account, SEEN))
    kept = rows(db)
    assert sync(db, Wire(account, SEEN + HOUR), full=full)[1] == before
    assert rows(db) == kept
    assert sync(db, Wire(shop(), SEEN + 2 * HOUR), full=full)[1] == quiet()


@pytest.mark.parametrize("full", [False, True], ids=["by events", "full"])
@pytest.mark.parametrize("odd", [*SUBSCRIPTIONS[3:16], *INVOICES[:11]], ids=named)
def test_who_was_known_keeps_the_last_good_movements_and_is_named(
    db: sqlite3.Connection, odd: Odd, *, full: bool
) -> None:
    """Also where the policy changes meanwhile, and everybody else is derived by it."""
    _, good = sync(db, Wire(shop(), SEEN))
    key = first(odd.kind)["id"]
    event = told_of(odd.kind, key)
    account = spoiled(changed(shop(), "events", event), key, odd.field, odd.value)
    _, known = sync(db, Wire(account, SEEN + DAY), full=full)
    assert known.movements == good.movements
    assert [(r.object_id, r.customer) for r in known.refusals] == [
        (key, owner(odd.kind))
    ]
    assert dirty_customers.dirty(db) == []


@pytest.mark.parametrize("full", [False, True], ids=["by events", "full"])
def test_a_status_nobody_knows_does_not_count_from_when_it_is_seen(
    db: sqlite3.Connection, *, full: bool
) -> None:
    """Not as paying, nor as 0 in silence; once it is known again nothing had been."""
    _, good = sync(db, Wire(shop(), SEEN))
    key = first("subscriptions")["id"]
    account = changed(shop(), "events", told_of("subscriptions", key))
    odd = spoiled(account, key, "status", "frozen")
    _, known = sync(db, Wire(odd, SEEN + DAY), full=full)
    [said] = known.refusals
    gone = owner("subscriptions")
    assert (said.object_id, said.customer, said.field, said.value) == (
        *(key, gone, "status"),
        "frozen",
    )
    [loss] = [m for m in known.movements if m not in good.movements]
    assert (loss.customer, loss.after_minor) == (gone, 0)
    assert str(loss.day) == "2025-03-21"
    assert sync(db, Wire(account, SEEN + 2 * DAY), full=full)[1] == good


def told_of(kind: str, key: str) -> dict[str, Any]:
    """An invoice event or a subscription event that only names its object."""
    noun = {"subscriptions": "customer.subscription", "invoices": "invoice"}[kind]
    shown = {"id": key, "object": noun.rpartition(".")[2], "customer": owner(kind)}
    data = {"object": first(kind) | shown, "previous_attributes": {}}
    return {
        "id": "evt_odd",
        "object": "event",
        "type": f"{noun}.updated",
        "created": SEEN + HOUR,
        "data": data,
    }


def test_a_price_that_loses_its_value_keeps_its_last_one(
    db: sqlite3.Connection,
) -> None:
    """Else the past of all who pay it would be rewritten to nothing."""
    _, good = sync(db, Wire(shop(), SEEN))
    key = first("prices")["id"]
    for field, value in (("billing_scheme", "by_mood"), ("recurring.interval", "moon")):
        account = spoiled(shop(), key, field, value)
        _, known = sync(db, Wire(account, SEEN + HOUR))
        assert known.movements == good.movements
        assert [(r.object_id, r.field) for r in known.refusals] == [(key, field)]
    assert sync(db, Wire(shop(), SEEN + DAY))[1] == good


# --- the lines of later pages ---


def test_a_line_of_a_later_page_that_does_not_fit(db: sqlite3.Connection) -> None:
    long = first("invoices")
    line = long["lines"]["data"][0]
    many = [line | {"id": f"il_long_{n}"} for n in range(150)]
    longer = long | {
        "lines": long["lines"] | {"data": many},
        "total_excluding_tax": 150 * line["amount"],
    }
    account = changed(shop(), "invoices", longer)
    odd = spoiled(account, "il_long_140", "period", None)
    _, known = sync(db, Wire(odd, SEEN))
    assert known.movements == without_owner(quiet(), "invoices").movements
    [found] = known.refusals
    assert (found.object_id, found.customer) == (long["id"], long["customer"])
    assert (found.field, found.value) == ("il_long_140 period", "None")
    bills = Counter(billed()) - Counter({long["currency"]: long["total_excluding_tax"]})
    whole_minor = 150 * line["amount"]
    assert invoiced_in(db) == bills + Counter({long["currency"]: whole_minor})


# --- events ---


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("data.object.status", None, "status is None"),
        ("data.object.items", None, "items is None"),
        ("data.object.start_date", -(10**15), "start_date is -1000000000000000"),
        ("data.object.customer", 7, "customer is 7"),
        ("created", None, "created is None"),
        ("type", 3, "type is 3"),
        ("id", 7, "id is 7"),
    ],
)
def test_an_event_that_does_not_fit_is_named_and_what_it_names_is_fetched(
    db: sqlite3.Connection, field: str, value: object, why: str
) -> None:
    acc = Telling(OPENED)
    plan = acc.add_price(acc.add_product("Plan"), 1_000)
    sub = acc.subscribe(acc.add_customer("Ada"), plan)
    acc.tell()
    acc.advance(SEEN)
    sync(db, Wire(acc.now_shown(), SEEN))
    acc.change_quantity(sub.items[0], 4, proration="none")
    acc.tell()
    acc.advance(SEEN + HOUR)
    newest = max(acc.now_shown().objects["events"], key=lambda it: it["created"])
    account = spoiled(acc.now_shown(), newest["id"], field, value)
    met, known = sync(db, Wire(account, SEEN + HOUR), full=False)
    assert why in met.unreadable.values()
    is_named = field.startswith("data")  # else nothing says what it is about
    assert known.movements[-1].after_minor == (4_000 if is_named else 1_000)
    assert known.refusals == []


# --- Accounts as customers ---


def as_account(shown: dict[str, Any], *, both: bool) -> dict[str, Any]:
    customer = shown["customer"] if both else None
    return shown | {"customer": customer, "customer_account": "acct_1Customer"}


@pytest.mark.parametrize("kind", ["subscriptions", "invoices", "customers"])
@pytest.mark.parametrize("full", [False, True], ids=["by events", "full"])
def test_one_object_that_names_both_says_whose_the_others_are(
    db: sqlite3.Connection, kind: str, *, full: bool
) -> None:
    """Also where that is seen long after all the others; the rest names the Account."""
    gone = owner("subscriptions")
    alone = shop()
    for each in ("subscriptions", "invoices", "invoiceitems"):
        own = [it for it in alone.objects[each] if it["customer"] == gone]
        alone = changed(alone, each, *(as_account(it, both=False) for it in own))
    _, apart = sync(db, Wire(alone, SEEN))
    assert gone not in {m.customer for m in apart.movements}
    if kind == "customers":
        known = first(kind) | {"customer_account": "acct_1Customer"}
        assert known["id"] == gone
        named = {"type": "customer.updated", "data": {"object": known}}
    else:
        shown = next(it for it in shop().objects[kind] if it["customer"] == gone)
        known = as_account(shown, both=True)
        named = {"type": "invoice.updated", "data": {"object": known}}
        if kind == "subscriptions":
            data = {"object": known, "previous_attributes": {}}
            named = {"type": "customer.subscription.updated", "data": data}
    told = {"id": "evt_both", "object": "event", "created": SEEN + HOUR, **named}
    account = changed(changed(alone, kind, known), "events", told)
    _, joined = sync(db, Wire(account, SEEN + DAY), full=full)
    assert joined.refusals == []
    assert whose(joined) == whose(quiet())


def whose(known: Known) -> list[tuple[object, ...]]:
    return [(m.customer, m.day, m.amount_minor, m.kind) for m in known.movements]


@pytest.mark.parametrize("both", [False, True])
def test_an_account_is_read_as_the_customer(
    db: sqlite3.Connection, *, both: bool
) -> None:
    """Both given: the customer's id, so that its history stays one."""
    gone = owner("subscriptions")
    account = shop()
    for kind in ("subscriptions", "invoices", "invoiceitems"):
        own = [it for it in account.objects[kind] if it["customer"] == gone]
        account = changed(account, kind, *(as_account(it, both=both) for it in own))
    _, known = sync(db, Wire(account, SEEN))
    name = gone if both else "acct_1Customer"
    assert known.refusals == []
    was = [m for m in quiet().movements if m.customer == gone]
    now = [m for m in known.movements if m.customer == name]
    assert [(m.day, m.amount_minor) for m in now] == [
        (m.day, m.amount_minor) for m in was
    ]


# --- the bundled account ---


def test_a_malformed_object_of_a_file_is_set_aside(tmp_path: Path) -> None:
    source = bundled(tmp_path, "subscriptions", {"status": None})
    odd = source.page("subscriptions").data[0]
    assert (odd.field, odd.value) == ("status", "None")


def bundled(folder: Path, kind: str, fields: dict[str, Any]) -> BundledAccount:
    import gzip  # noqa: PLC0415
    import json  # noqa: PLC0415

    for each in shop().objects:
        things = [dict(it) for it in shop().objects[each]]
        if each == kind:
            things[0] |= fields
        text = "\n".join(map(json.dumps, things))
        (folder / f"{each}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    facts = {"now": "2025-03-20T12:00:00Z", "timezone": "UTC"}
    (folder / "account.json").write_text(json.dumps(facts))
    return load_account(folder)


# --- the command, over HTTP ---


def test_the_command_names_it_and_ends_with_3_until_it_is_well_formed(
    tmp_path: Path,
) -> None:
    key = first("subscriptions")["id"]
    with serving(spoiled(shop(), key, "status", "frozen")) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure("")
        ran = workdir.call("sync", "-q")
        again = workdir.call("sync", "-q", "--format", "json")
        check = workdir.call("check")
        report = workdir.call("report")
        explained = workdir.call("explain", owner("subscriptions"))
        stripe.account = shop()
        healed = workdir.call("sync", "-q")
    codes = [ran.code, again.code, check.code, report.code, healed.code]
    assert codes == [3, 3, 3, 0, 0]
    line = f"  {key} of {owner('subscriptions')}: status is frozen"
    assert line in ran.out.splitlines()
    assert again.json["refused"][0]["object_id"] == key
    assert f"{key}" in check.out
    assert "Not complete: 1 object of 1 customer could not be valued" in report.out
    assert f"not valued: {key}: status is frozen" in explained.out
    with closing(open_database(workdir.ledger)) as connection:
        assert unvalued.known(connection) == []
        assert list(queries.movements(connection))


def test_a_secret_or_a_name_is_not_repeated(tmp_path: Path) -> None:
    key = first("customers")["id"]
    with serving(spoiled(shop(), key, "metadata", {"phone": 491701234567})) as stripe:
        ran = Workdir(tmp_path, stripe.url).configure("").call("sync", "-q")
    assert ran.code == 3
    assert "491701234567" not in ran.out + ran.err


# --- together with much else ---


def test_many_are_each_named(db: sqlite3.Connection) -> None:
    from tests.support.spoiled import SpoiledAccount, with_field  # noqa: PLC0415

    subs = [it["id"] for it in shop().objects["subscriptions"]]
    spoils = {key: with_field("status", None) for key in subs}
    _, known = sync(db, Wire(SpoiledAccount(shop(), spoils), SEEN, page=3), workers=3)
    assert known.movements == []
    assert sorted(r.object_id for r in known.refusals) == sorted(subs)


def test_the_figures_of_a_new_policy_leave_who_is_held_as_it_was(
    db: sqlite3.Connection,
) -> None:
    sync(db, Wire(shop(), SEEN))
    key = first("subscriptions")["id"]
    walk(db, Wire(spoiled(shop(), key, "status", None), SEEN + HOUR))
    held = owner("subscriptions")
    before = list(queries.movements(db))
    dirty_customers.mark_all(db)
    after = settle(db, SEEN + DAY, "America/Los_Angeles")
    assert [m for m in before if m.customer == held] == [
        m for m in after.movements if m.customer == held
    ]
    assert dirty_customers.dirty(db) == []


# --- what contradicts itself ---


@pytest.mark.parametrize("is_billed", [False, True])
def test_a_quantity_that_was_never_billed_is_a_note_and_what_was_billed_counts(
    tmp_path: Path, *, is_billed: bool
) -> None:
    """A pending change, dropped by the cancellation, stands on the ended subscription."""
    acc = Account(OPENED)
    plan = acc.add_price(acc.add_product("Plan"), 1_000)
    sub = acc.subscribe(acc.add_customer("Ada"), plan, quantity=3)
    acc.advance(OPENED + DAY)
    if is_billed:
        acc.change_quantity(sub.items[0], 5, proration="always_invoice")
    acc.advance(OPENED + 2 * DAY)
    acc.cancel_now(sub)
    acc.advance(OPENED + 3 * DAY)
    odd = spoiled(SimulatedAccount(acc.snapshot()), sub.id, "items.data.0.quantity", 5)
    with serving(odd) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure("")
        ran, check = workdir.call("sync", "-q"), workdir.call("check")
        explained = workdir.call("explain", sub.customer.id)
        moved = workdir.call("movements", "--format", "json").json["movements"]
    assert (ran.code, check.code) == (0, 0)
    before = 5_000 if is_billed else 3_000
    assert moved[-1]["before_minor"] == before
    assert ("note: " in explained.out) is not is_billed
    if not is_billed:
        assert f"{sub.id} ended with quantity 5 of {sub.items[0].id}" in explained.out


# --- coverage of who is set aside ---


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        pytest.param("invoices", "lines", None, (2_000, 0), id="nothing is known"),
        pytest.param(
            *("subscriptions", "status", "frozen", (0, 2_000)),
            id="it counted until it was seen frozen",
        ),
    ],
)
def test_what_a_held_customer_was_invoiced_is_refused_unless_it_counted(
    tmp_path: Path, kind: str, field: str, value: object, expected: tuple[int, int]
) -> None:
    """One customer, one plan: two months at $10; (refused, counted)."""
    acc = Account(OPENED)
    plan = acc.add_price(acc.add_product("Plan"), 1_000)
    acc.subscribe(acc.add_customer("Ada"), plan)
    acc.advance(OPENED + 40 * DAY)
    whole = SimulatedAccount(acc.snapshot())
    key = whole.objects[kind][0]["id"]
    with serving(spoiled(whole, key, field, value)) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure("")
        workdir.call("sync", "-q")
        text = workdir.call("coverage").out
        told = workdir.call("coverage", "--format", "json").json
        check = workdir.call("check", "--format", "json").json
        stripe.account = whole
        workdir.call("sync", "-q", "--full")
        healed = workdir.call("coverage", "--format", "json").json
    assert "Nothing was invoiced" not in text
    assert key in text
    [refused] = told["refused"]
    assert refused["object_id"] == key
    assert refused_and_counted(told) == expected
    assert not [x for x in check["findings"] if x.get("law") == "coverage"]
    assert refused_and_counted(healed) == (0, 2_000)
    assert healed["refused"] == []


def refused_and_counted(told: dict[str, Any]) -> tuple[int, int]:
    [usd] = told["currencies"]
    months = [each for each in usd["windows"] if each["window"] == "month"]
    refused, counted = (
        sum(each["classes"][name] for each in months) for name in ("refused", "counted")
    )
    return refused, counted


@pytest.mark.parametrize("is_known", [False, True], ids=["first sync", "known before"])
@pytest.mark.parametrize("odd", ODD, ids=named)
def test_what_is_invoiced_adds_up_whatever_is_set_aside(
    db: sqlite3.Connection, odd: Odd, *, is_known: bool
) -> None:
    """To what the invoices bill, by currency; healed, each amount is where it was."""
    if is_known:
        sync(db, Wire(shop(SEEN - 60 * DAY), SEEN - 60 * DAY))
    key = first(odd.kind)["id"]
    sync(db, Wire(spoiled(shop(), key, odd.field, odd.value), SEEN))
    assert invoiced_in(db) == billed()
    sync(db, Wire(shop(), SEEN + HOUR))
    healed = coverage.sums(db)
    assert invoiced_in(db) == billed()
    assert healed == quiet_coverage()


def billed() -> dict[str, int]:
    """What Stripe's own invoices add up to."""
    sums: Counter[str] = Counter()
    for each in shop().objects["invoices"]:
        sums[each["currency"]] += each["total_excluding_tax"]
    return dict(sums)


def invoiced_in(db: sqlite3.Connection) -> dict[str, int]:
    found = coverage_report(Ledger(db, Config(), instant(SEEN)), WindowKind.MONTH)
    return {
        each.currency: sum(month.invoiced_minor for month in each.windows)
        for each in found.currencies
    }


@cache
def quiet_coverage() -> dict[tuple[str, str, str], int]:
    with empty_ledger() as db:
        sync(db, Wire(shop(), SEEN + HOUR))
        return coverage.sums(db)
