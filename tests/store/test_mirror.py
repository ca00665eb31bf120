"""The mirror: the newest copy wins, a change marks its customer, nothing personal stays."""

import json
import re
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.core.model import Refusal
from connector.pipeline.kept_objects import labelled
from connector.store import schema
from connector.store.database import transaction
from connector.store.ledger import customers as ledger_customers
from connector.store.ledger import unvalued
from connector.store.ledger.customers import CustomerDisplay
from connector.store.mirror import (
    companies,
    dirty_customers,
    freshness,
    histories,
    objects,
    walks,
)
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.dirty_customers import dirty
from connector.store.mirror.objects import put
from connector.stripe_api.decoding import Base, ListOf, Ref, decode
from connector.stripe_api.events import Event, StripeEvent, trimmed
from connector.stripe_api.invoices import (
    Invoice,
    InvoiceItem,
    InvoiceStatus,
    Period,
    PriceDetails,
    Pricing,
)
from connector.stripe_api.lists import LISTINGS
from connector.stripe_api.objects import (
    AppliesTo,
    Coupon,
    CouponSource,
    Customer,
    CustomerAddress,
    Discount,
    PauseCollection,
    PendingUpdate,
    Price,
    Product,
    Subscription,
    SubscriptionItem,
)
from tests.support.ledgers import empty_ledger, history_of, profile

RECORDED = Path(__file__).parents[2] / "fixtures" / "recordings" / "stripe"
S = 1_000_000  # microseconds


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def sub(
    quantity: int = 1, *, of: str = "cus_1", price: str = "price_1"
) -> Subscription:
    product = Price(id=price, product="prod_1")
    item = SubscriptionItem(id="si_1", price=product, quantity=quantity)
    items = ListOf[SubscriptionItem](data=[item])
    return Subscription(id="sub_1", customer=of, status="active", items=items)


def marked(db: sqlite3.Connection) -> list[str]:
    """Who is marked; nobody is any more."""
    found = dirty(db)
    for customer in found:
        dirty_customers.clear(db, customer, None)
    return found


def quantity(db: sqlite3.Connection) -> int | None:
    [row] = db.execute("SELECT body FROM stripe_subscriptions").fetchall()
    return decode(row[0], Subscription).items.data[0].quantity


def versions_of(
    db: sqlite3.Connection, customer: str = "cus_1"
) -> list[tuple[int, int]]:
    """Each state of the customer's subscription: the second it was first seen."""
    history = history_of(db, customer, read_catalogue(db))
    return [
        (each.seen_s, each.subscription.items.data[0].quantity or 0)
        for versions in history.versions.values()
        for each in versions
    ]


# --- the newest copy wins ---


@given(st.permutations([1, 2, 3, 4]))
def test_whatever_the_order_the_copy_asked_for_last_stays(order: list[int]) -> None:
    with empty_ledger() as db:
        for asked_s in order:
            put(db, "subscriptions", [sub(quantity=asked_s)], asked_s * S)
        assert quantity(db) == 4
        assert freshness.fetched_us(db, "subscriptions", "sub_1") == 4 * S


def test_an_older_copy_marks_nobody(db: sqlite3.Connection) -> None:
    put(db, "subscriptions", [sub(2)], 2 * S)
    assert marked(db) == ["cus_1"]
    assert put(db, "subscriptions", [sub(1)], 1 * S) == 0
    assert marked(db) == []


def test_an_older_copy_does_not_make_a_later_one_look_older(
    db: sqlite3.Connection,
) -> None:
    put(db, "subscriptions", [sub(1)], 3 * S)
    put(db, "subscriptions", [sub(1)], 1 * S)
    put(db, "subscriptions", [sub(2)], 2 * S)
    assert quantity(db) == 1


# --- who is marked ---


def test_what_is_new_marks_its_customer(db: sqlite3.Connection) -> None:
    assert put(db, "subscriptions", [sub()], 1 * S) == 1
    assert marked(db) == ["cus_1"]


def test_what_is_the_same_marks_nobody_but_is_known_to_be_newer(
    db: sqlite3.Connection,
) -> None:
    put(db, "subscriptions", [sub()], 1 * S)
    marked(db)
    assert put(db, "subscriptions", [sub()], 2 * S) == 0
    assert marked(db) == []
    assert freshness.fetched_us(db, "subscriptions", "sub_1") == 2 * S


@pytest.mark.parametrize(
    ("kind", "thing", "customers"),
    [
        pytest.param("customers", Customer(id="cus_1"), ["cus_1"], id="a customer"),
        pytest.param(
            "invoices", Invoice(id="in_1", customer="cus_1"), ["cus_1"], id="an invoice"
        ),
        pytest.param(
            "invoices",
            Invoice(id="in_1", customer=Ref(id="cus_1")),
            ["cus_1"],
            id="an invoice with its customer expanded",
        ),
        pytest.param("invoices", Invoice(id="in_1"), [], id="an invoice of nobody"),
        pytest.param(
            "events",
            Event(id="evt_1", type="invoice.paid", created=1, customer="cus_1"),
            ["cus_1"],
            id="an event",
        ),
        pytest.param(
            "invoice_items",
            InvoiceItem(
                id="ii_1",
                amount=1,
                date=1,
                period=Period(start=1, end=2),
                customer="cus_1",
            ),
            ["cus_1"],
            id="a pending item",
        ),
        pytest.param("products", Product(id="prod_1"), [], id="not by a product"),
    ],
)
def test_whom_an_object_marks(
    db: sqlite3.Connection, kind: str, thing: Base, customers: list[str]
) -> None:
    put(db, kind, [thing], 1 * S)
    assert marked(db) == customers


def test_a_subscription_that_moves_marks_both(db: sqlite3.Connection) -> None:
    put(db, "subscriptions", [sub(of="cus_1")], 1 * S)
    marked(db)
    put(db, "subscriptions", [sub(of="cus_2")], 2 * S)
    assert marked(db) == ["cus_1", "cus_2"]


def test_a_page_that_is_not_kept_marks_nobody(db: sqlite3.Connection) -> None:
    """Objects and marks land together, or not at all."""
    with pytest.raises(ZeroDivisionError), transaction(db):
        _ = put(db, "subscriptions", [sub()], 1 * S) / 0
    assert marked(db) == []
    assert freshness.fetched_us(db, "subscriptions", "sub_1") == 0


# --- a change of the catalogue ---


def discounted() -> Customer:
    coupon = {"id": "di_1", "source": {"coupon": {"id": "SPRING", "percent_off": 5}}}
    text = json.dumps({"id": "cus_3", "discount": coupon})
    return decode(text.encode(), Customer)


def invoiced() -> Invoice:
    line = {
        "id": "il_1",
        "amount": 5,
        "period": {"start": 1, "end": 2},
        "pricing": {"price_details": {"price": "price_2", "product": "prod_2"}},
    }
    text = json.dumps({"id": "in_1", "customer": "cus_2", "lines": {"data": [line]}})
    return decode(text.encode(), Invoice)


def told() -> Event:
    kind = "customer.subscription.updated"
    before = sub(of="cus_4", price="price_4")
    return Event(
        id="evt_1", type=kind, created=1, customer="cus_4", subscription=before
    )


@pytest.mark.parametrize(
    ("kind", "thing", "users"),
    [
        pytest.param(
            "prices", Price(id="price_1"), ["cus_1"], id="a price of a subscription"
        ),
        pytest.param(
            "prices", Price(id="price_2"), ["cus_2"], id="a price of an invoice line"
        ),
        pytest.param(
            "prices", Price(id="price_4"), ["cus_4"], id="a price only an event shows"
        ),
        pytest.param(
            "prices",
            Price(id="price_0"),
            ["cus_1"],
            id="a price only an older version of a subscription shows",
        ),
        pytest.param("prices", Price(id="price_"), [], id="not a longer id"),
        pytest.param(
            "products",
            Product(id="prod_1", unit_label="seat"),
            ["cus_1", "cus_4"],
            id="a product, of whoever has one of its prices",
        ),
        pytest.param(
            "coupons",
            Coupon(id="SPRING", applies_to=AppliesTo(products=["prod_1"])),
            ["cus_3"],
            id="a coupon of a customer",
        ),
    ],
)
def test_a_change_of_the_catalogue_marks_those_who_use_it(
    db: sqlite3.Connection, kind: str, thing: Base, users: list[str]
) -> None:
    put(db, "subscriptions", [sub(price="price_0")], 1 * S)
    put(db, "subscriptions", [sub(price="price_1")], 2 * S)
    put(db, "invoices", [invoiced()], 1 * S)
    put(db, "customers", [discounted()], 1 * S)
    put(db, "events", [told()], 1 * S)
    marked(db)
    put(db, kind, [thing], 3 * S)
    assert marked(db) == users
    put(db, kind, [thing], 4 * S)
    assert marked(db) == []


# Ids that an account chooses itself, as those of coupons and products may be.
HOSTILE_IDS = [
    'half "off"',
    "half \\ off",
    "50%",
    "_",
    "Frühjahr 🌷",
    '"},"coupon":"SPRING',
    "$.discount",
    "tab\there",
    "null",
]


def with_coupon(customer: str, coupon: str) -> Customer:
    source = CouponSource(coupon=Coupon(id=coupon, duration="forever"))
    return Customer(id=customer, discount=Discount(id=f"di_{customer}", source=source))


@pytest.mark.parametrize("key", HOSTILE_IDS)
@pytest.mark.parametrize("kind", ["coupons", "products", "prices"])
def test_an_id_may_be_any_text(db: sqlite3.Connection, kind: str, key: str) -> None:
    """Whoever uses it is marked, and nobody whose ids hold it, or are held by it."""
    for n, other in enumerate([f"{key}x", f'x"{key}"', key[:-1]]):
        put(db, "customers", [with_coupon(f"cus_{n}", other)], 1 * S)
    for n, used in enumerate([key, f"{key} "]):
        item = SubscriptionItem(id="si_1", price=Price(id=used, product=used))
        items = ListOf[SubscriptionItem](data=[item])
        mine = Discount(id="di_1", coupon=used)
        bought = replace(
            sub(of=f"cus_{n + 7}"), id=f"sub_{n}", items=items, discount=mine
        )
        put(db, "subscriptions", [bought], 1 * S)
    marked(db)
    shape: type[Any] = {"coupons": Coupon, "products": Product, "prices": Price}[kind]
    put(db, kind, [shape(id=key)], 3 * S)
    assert marked(db) == ["cus_7"]
    assert dirty_customers.concerned(db, kind, key) == {"cus_7"}
    put(db, kind, [shape(id=key, created=1), shape(id="another")], 4 * S)
    assert marked(db) == ["cus_7"]


def test_what_is_no_reference_is_not_taken_for_one(db: sqlite3.Connection) -> None:
    """A label, metadata and words of Stripe's own may read as an id of a coupon's."""
    ada = Customer(id="cus_1", label="SPRING", metadata={"coupon": "SPRING"})
    put(db, "customers", [ada, with_coupon("cus_2", "SUMMER")], 1 * S)
    put(db, "subscriptions", [sub(of="cus_3")], 1 * S)
    marked(db)
    for key in ("SPRING", "forever", "active"):
        put(db, "coupons", [Coupon(id=key), Coupon(id=f"{key} 2")], 2 * S)
        put(db, "coupons", [Coupon(id=key, percent_off=Decimal(5))], 3 * S)
        assert marked(db) == []


def test_a_price_that_a_pending_item_names_marks_its_customer(
    db: sqlite3.Connection,
) -> None:
    pricing = Pricing(price_details=PriceDetails(price="price_9"))
    period = Period(start=1, end=2)
    item = InvoiceItem(
        id="ii_1", amount=5, date=1, period=period, customer="cus_1", pricing=pricing
    )
    put(db, "invoice_items", [item], 1 * S)
    marked(db)
    put(db, "prices", [Price(id="price_9")], 2 * S)
    assert marked(db) == ["cus_1"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_any_id_is_found_again(ids: list[str]) -> None:
    """Among those that are missing or still dirty, in the order of the ids."""
    with empty_ledger() as db:
        there = ids[::2]
        dirty_customers.mark(db, there)
        put(db, "coupons", [Coupon(id=key) for key in there], 1 * S)
        assert dirty_customers.still_dirty(db, ids) == set(there)
        missing = [key for key in sorted(ids) if key not in there]
        assert freshness.missing(db, "coupons", ids) == missing


@pytest.mark.parametrize("key", HOSTILE_IDS)
def test_metadata_is_read_by_any_key(db: sqlite3.Connection, key: str) -> None:
    other = {f"{key}.": "no", f'"{key}"': "no"}
    put(db, "customers", [Customer(id="cus_1", metadata={**other, key: "yes"})], 1 * S)
    put(db, "customers", [Customer(id="cus_2", metadata=other)], 1 * S)
    keys = ledger_customers.keys_of(
        db, dict.fromkeys(["cus_1", "cus_2"], CustomerDisplay())
    )
    assert companies.metadata(db, key) == {keys["cus_1"]: "yes"}


# --- who may be at risk ---


@pytest.mark.parametrize(
    ("fields", "is_candidate"),
    [
        pytest.param({}, False, id="active"),
        pytest.param({"cancel_at": 900}, True, id="an end that is set"),
        pytest.param({"cancel_at_period_end": True}, True, id="at the period's end"),
        pytest.param({"cancel_at_period_end": None}, False, id="not known to end"),
        pytest.param({"status": "past_due"}, True, id="past due"),
        pytest.param(
            {"pending_update": PendingUpdate(expires_at=900)}, True, id="awaits payment"
        ),
        pytest.param({"pause_collection": PauseCollection()}, True, id="paused"),
        pytest.param(
            {"status": "canceled", "cancel_at": 900}, False, id="it has ended"
        ),
    ],
)
@pytest.mark.parametrize("coupon", [*HOSTILE_IDS, "canceled", "past_due", "cancel_at"])
def test_a_risk_is_seen_whatever_the_coupon_is_called(
    db: sqlite3.Connection, fields: dict[str, Any], coupon: str, *, is_candidate: bool
) -> None:
    discount = Discount(id="di_1", coupon=coupon)
    put(db, "subscriptions", [replace(sub(), discount=discount, **fields)], 1 * S)
    found = objects.at_risk_candidates(db, 0, 0)
    assert found == (["cus_1"] if is_candidate else [])


def test_an_open_invoice_and_what_is_due_may_be_a_risk(db: sqlite3.Connection) -> None:
    statuses: list[InvoiceStatus | None] = ["open", "paid", "draft", None]
    for n, status in enumerate(statuses):
        due = Invoice(id=f"in_{n}", customer=f"cus_{n}", created=n, status=status)
        put(db, "invoices", [due], 1 * S)
    old = Invoice(id="in_9", customer="cus_9", created=-1, status="open")
    put(db, "invoices", [old], 1 * S)
    dirty_customers.clear(db, "cus_5", 4)
    assert objects.at_risk_candidates(db, 0, 5) == ["cus_0", "cus_5"]


def test_json_is_never_read_from_a_blob() -> None:
    """SQLite 3.45.0 refuses a blob, which others read as text."""
    store = Path(schema.__file__).parent
    sql = "\n".join(path.read_text(encoding="utf-8") for path in store.rglob("*.py"))
    assert re.findall(r"json_\w+\(\s*[\w.{}]*body", sql) == []
    assert re.findall(r"body\W*->", sql) == []


# --- deleted customers ---

HALF = Discount(id="di_1", start=5, source=CouponSource(coupon="HALF"))
LIVING = Customer(
    id="cus_1",
    created=5,
    label="Ada",
    country="DE",
    metadata={"tier": "gold"},
    discount=HALF,
)
STUB = Customer(id="cus_1", deleted=True)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param(
            [LIVING, STUB],
            replace(LIVING, deleted=True, label=None),
            id="only who it was is forgotten",
        ),
        pytest.param(
            [LIVING, STUB, STUB],
            replace(LIVING, deleted=True, label=None),
            id="however often it is seen",
        ),
        pytest.param([STUB], STUB, id="of whom nothing is known"),
    ],
)
def test_a_deleted_customer(
    db: sqlite3.Connection, looks: list[Customer], expected: Customer
) -> None:
    for second, look in enumerate(looks):
        put(db, "customers", [look], second * S)
    assert profile(db, "cus_1") == expected


# --- versions ---


def test_a_version_is_kept_when_what_counts_changes(db: sqlite3.Connection) -> None:
    put(db, "subscriptions", [sub(1)], 10 * S)
    put(db, "subscriptions", [sub(1)], 20 * S)
    put(db, "subscriptions", [sub(2)], 30 * S)
    put(db, "subscriptions", [sub(3)], 40 * S)
    assert versions_of(db) == [(10, 1), (30, 2), (40, 3)]


def test_looks_within_one_second_have_a_second_each(db: sqlite3.Connection) -> None:
    """However quickly it changes, nothing that was seen is forgotten."""
    for fetched_us, quantity in ((0, 1), (1, 2), (2, 3), (3, 3), (9, 1), (S, 2)):
        put(db, "subscriptions", [sub(quantity)], 10 * S + fetched_us)
    put(db, "subscriptions", [sub(4)], 30 * S)
    assert versions_of(db) == [(10, 1), (11, 2), (12, 3), (13, 1), (14, 2), (30, 4)]


@pytest.mark.parametrize(
    ("change", "versions"),
    [
        pytest.param({"status": "past_due"}, 2, id="another status"),
        pytest.param({"canceled_at": 9}, 2, id="cancelling was asked for"),
        pytest.param({"ended_at": 9}, 2, id="it ended"),
        pytest.param({"trial_end": 9}, 2, id="another trial"),
        pytest.param({"discounts": ["di_1"]}, 2, id="a discount"),
        pytest.param({"pause_collection": {"behavior": "void"}}, 2, id="a pause"),
        pytest.param({"cancel_at": 9}, 1, id="not a plan to leave"),
        pytest.param(
            {"default_tax_rates": [{"inclusive": True}]}, 1, id="not another tax"
        ),
    ],
)
def test_what_counts(
    db: sqlite3.Connection, change: dict[str, Any], versions: int
) -> None:
    before = json.loads(msgspec.json.encode(sub()))
    after = decode(json.dumps(before | change).encode(), Subscription)
    put(db, "subscriptions", [sub()], 10 * S)
    marked(db)
    put(db, "subscriptions", [after], 20 * S)
    assert [seen_s for seen_s, _ in versions_of(db)] == [10, 20][:versions]
    assert marked(db) == ["cus_1"]  # whatever changed, it is derived anew


@given(st.lists(st.integers(1, 3), min_size=1, max_size=8))
def test_versions_are_the_changes_of_what_was_seen(seen: list[int]) -> None:
    with empty_ledger() as db:
        for second, count in enumerate(seen):
            put(db, "subscriptions", [sub(count)], second * S)
        changes = [
            (second, count)
            for second, count in enumerate(seen)
            if second == 0 or seen[second - 1] != count
        ]
        assert versions_of(db) == changes


# --- nothing personal stays ---

# Wherever one of these stands in an object of Stripe's, it may say who somebody is.
PERSONAL = {
    *("email", "phone", "description", "account_name", "number", "nickname"),
    *("customer_email", "customer_name", "customer_phone", "customer_address"),
    *("customer_shipping", "shipping", "customer_tax_ids", "custom_fields", "footer"),
    *("default_payment_method", "default_source", "client_secret", "comment"),
    *("hosted_invoice_url", "invoice_pdf", "line1", "line2", "city", "postal_code"),
    *("state", "metadata", "statement_descriptor", "receipt_number", "invoice_prefix"),
}
ADDRESS = dict.fromkeys(("line1", "line2", "city", "postal_code", "state"), "SECRET")


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def filled(thing: Any) -> Any:
    """The object with something personal wherever there may be some."""
    if isinstance(thing, list):
        return [filled(each) for each in thing]
    if not isinstance(thing, dict):
        return thing
    return {
        key: _secret(key) if key in PERSONAL else filled(value)
        for key, value in thing.items()
    }


def _secret(key: str) -> Any:
    return {"SECRET": "SECRET"} if key == "metadata" else "SECRET"


def event_about(thing: Any, kind: str) -> Any:
    data = {"object": thing, "previous_attributes": {"items": thing.get("items")}}
    return {"id": "evt_1", "type": kind, "created": 1, "data": data}


@pytest.mark.parametrize(
    ("name", "kind", "event"),
    [
        pytest.param("customer", "customers", "customer.updated", id="a customer"),
        pytest.param(
            "subscription",
            "subscriptions",
            "customer.subscription.updated",
            id="a subscription with its invoice inside",
        ),
        pytest.param("invoice", "invoices", "invoice.paid", id="an invoice"),
        pytest.param(
            "discounted_invoice",
            "invoices",
            "invoice.updated",
            id="an invoice with a discount",
        ),
        pytest.param(
            "invoice_item", "invoice items", "invoiceitem.created", id="a pending item"
        ),
    ],
)
def test_a_recorded_object_is_stored_without_anything_personal(
    db: sqlite3.Connection, name: str, kind: str, event: str
) -> None:
    table = kind.replace(" ", "_")
    thing = filled(recorded(name))
    thing["address"] = ADDRESS | {"country": "DE"}
    put(db, table, [kept(kind, thing)], 1 * S)
    about = event_about(thing, event)
    put(db, "events", [trimmed(decode(json.dumps(about).encode(), StripeEvent))], 1 * S)
    assert thing["id"] in dump(db)
    assert "SECRET" not in dump(db)
    [(body,)] = db.execute(f"SELECT body FROM stripe_{table}")  # noqa: S608
    assert len(body) < len(json.dumps(recorded(name))) * 0.6


def kept(kind: str, thing: Any) -> Base:
    found = decode(json.dumps(thing).encode(), LISTINGS[kind].type)
    return labelled(found, "id", ()) if isinstance(found, Customer) else found


def dump(db: sqlite3.Connection) -> str:
    """The whole file as text; bodies are blobs, so they are written out."""
    bodies = [
        row["body"].decode()
        for table in (
            "customers",
            "subscriptions",
            "invoices",
            "invoice_items",
            "events",
        )
        for row in _rows(db, f"SELECT body FROM stripe_{table}")  # noqa: S608
    ]
    return "\n".join([*bodies, *db.iterdump()])


def _rows(db: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


ADA = Customer(
    id="cus_1",
    name="Ada Lovelace",
    address=CustomerAddress(country="GB"),
    metadata={"company": "Engines", "segment": "smb", "notes": "likes tea"},
)


@pytest.mark.parametrize(
    ("setting", "metadata_keys", "label", "metadata"),
    [
        pytest.param("name", (), "Ada Lovelace", None, id="the name"),
        pytest.param("metadata:company", (), "Engines", None, id="a metadata value"),
        pytest.param("metadata:colour", (), None, None, id="metadata that is missing"),
        pytest.param("id", (), None, None, id="no label at all"),
        pytest.param(
            "id",
            ("segment", "colour"),
            None,
            {"segment": "smb"},
            id="only the metadata that is asked for",
        ),
    ],
)
def test_the_label_is_the_only_text_kept_of_a_customer(
    db: sqlite3.Connection,
    setting: str,
    metadata_keys: tuple[str, ...],
    label: str | None,
    metadata: dict[str, str] | None,
) -> None:
    put(db, "customers", [labelled(ADA, setting, metadata_keys)], 1 * S)
    assert profile(db, "cus_1") == Customer(
        id="cus_1", label=label, country="GB", metadata=metadata
    )


def test_a_customer_never_listed_has_no_profile(db: sqlite3.Connection) -> None:
    assert profile(db, "cus_9") is None


# --- a customer's history ---


def test_a_history_is_one_customer_s_oldest_first(db: sqlite3.Connection) -> None:
    invoices = [
        Invoice(id="in_2", customer="cus_1", created=2),
        Invoice(id="in_1", customer="cus_1", created=1),
        Invoice(id="in_9", customer="cus_9", created=1),
    ]
    put(db, "invoices", invoices, 1 * S)
    put(db, "subscriptions", [sub()], 1 * S)
    put(db, "prices", [Price(id="price_1")], 1 * S)
    history = history_of(db, "cus_1", read_catalogue(db))
    assert [each.id for each in history.invoices] == ["in_1", "in_2"]
    assert list(history.versions) == ["sub_1"]
    assert list(history.catalogue.prices) == ["price_1"]


def test_many_histories_are_read_a_few_at_a_time(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is what it is alone, in the order asked for, former ids and strangers too."""
    monkeypatch.setattr(histories, "TOGETHER", 2)
    for n in range(5):
        bought = replace(sub(n, of=f"cus_{n}"), id=f"sub_{n}")
        put(db, "subscriptions", [bought], (n + 1) * S)
        put(db, "customers", [with_coupon(f"cus_{n}", f"coupon_{n}")], (n + 1) * S)
    asked = {c: [[c]] for c in ("cus_3", "cus_9", "cus_0", "cus_2")} | {
        "cus_4": [["cus_4", "cus_1"]]
    }
    shared = read_catalogue(db)
    batches = list(histories.in_batches(db, asked))
    assert [len(rows.customers) for rows in batches] == [2, 2, 1]
    assert [each for rows in batches for each in histories.histories(rows, shared)] == [
        history_of(db, customer, shared, former)
        for customer, [(_, *former)] in asked.items()
    ]
    profiles = [histories.profile(batches[-1], c) for c in ("cus_4", "cus_1")]
    assert profiles == [with_coupon(c, f"coupon_{c[-1]}") for c in ("cus_4", "cus_1")]


def test_a_pending_item_is_kept_until_a_whole_walk_no_longer_meets_it(
    db: sqlite3.Connection,
) -> None:
    items = [
        InvoiceItem(
            id=each, amount=1, date=1, period=Period(start=1, end=2), customer=of
        )
        for each, of in (("ii_1", "cus_1"), ("ii_2", "cus_2"))
    ]
    put(db, "invoice_items", items, 1 * S)
    marked(db)
    walk = walks.begin_walk(db, 2 * S)
    put(db, "invoice_items", items[:1], 3 * S)
    objects.drop_unseen_pending(db, walk.started_us)
    assert freshness.count(db, "invoice_items") == 1
    assert marked(db) == ["cus_2"]
    assert freshness.fetched_us(db, "invoice_items", "ii_1") == 3 * S
    assert freshness.fetched_us(db, "invoice_items", "ii_2") == 0


# --- whom to derive, and when ---


def test_who_has_been_derived_is_marked_again_when_its_time_has_come(
    db: sqlite3.Connection,
) -> None:
    put(db, "subscriptions", [sub()], 1 * S)
    dirty_customers.clear(db, "cus_1", due_s=100)
    dirty_customers.mark_due(db, 99)
    assert dirty(db) == []
    dirty_customers.mark_due(db, 100)
    assert dirty(db) == ["cus_1"]
    dirty_customers.clear(db, "cus_1", None)
    dirty_customers.mark_due(db, 1_000)
    assert dirty(db) == []


def test_all_are_whoever_has_any_history(db: sqlite3.Connection) -> None:
    put(db, "subscriptions", [sub(of="cus_1")], 1 * S)
    put(db, "invoices", [Invoice(id="in_1", customer="cus_2")], 1 * S)
    put(db, "customers", [Customer(id="cus_3")], 1 * S)  # has bought nothing
    db.execute("INSERT INTO customers (id) VALUES ('cus_4')")  # is in the ledger only
    marked(db)
    assert dirty_customers.mark_all(db) == 3
    assert dirty(db) == ["cus_1", "cus_2", "cus_4"]


def test_refusals_are_replaced_by_each_derivation(db: sqlite3.Connection) -> None:
    def refusal(field: str) -> Refusal:
        return Refusal(customer="cus_1", object_id="si_1", field=field, value="None")

    unvalued.put(db, "cus_1", [refusal("price"), refusal("quantity")])
    unvalued.put(db, "cus_2", [])
    assert unvalued.known(db) == [refusal("price"), refusal("quantity")]
    unvalued.put(db, "cus_1", [refusal("price")])
    assert unvalued.known(db) == [refusal("price")]
