"""Of personal data only a display label is stored, and a setting switches that off.

Everything that may say who somebody is holds a marker, in every object that Stripe shows
and at any depth; in odd objects also fields of another type do. Real processes read them
by each way in, and write everything that they write: no byte of it holds the marker.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector.store.schema import MIRRORED
from tests.support.all_forms import all_told, read_file
from tests.support.commands import Ran
from tests.support.loopback import Served, serving
from tests.support.served import PORTS, ServingWorkdir, serve, until
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import GROWS
from tests.support.spoiled import SpoiledAccount, with_field
from tests.support.synced import shop

MARK, LABEL = "Zq7Mallory", "Label Lt"
SAYS_WHO = f"{MARK} <{MARK}@x.example> +49 170 4242 DE89{MARK}"
ADDRESS = dict.fromkeys(("line1", "line2", "city", "postal_code", "state"), SAYS_WHO)
CONTACT = {"name": SAYS_WHO, "email": SAYS_WHO, "phone": SAYS_WHO, "address": ADDRESS}
CARD = {"last4": MARK, "fingerprint": MARK, "exp_year": MARK, "name": SAYS_WHO}
PAID_BY = {
    "id": "pm_1",
    "billing_details": CONTACT,
    "card": CARD,
    "sepa_debit": CARD,
    "us_bank_account": {**CARD, "routing_number": MARK, "bank_name": MARK},
}
# On every object, whether Stripe has it there or not: who reads it keeps it.
PERSONAL: Mapping[str, Any] = {
    **{key: each for key, each in CONTACT.items() if key not in ("name", "address")},
    "metadata": {"tier": SAYS_WHO, MARK: SAYS_WHO},
    "description": SAYS_WHO,
    "shipping": {**CONTACT, "carrier": MARK, "tracking_number": MARK},
    "customer_name": SAYS_WHO,
    "customer_email": SAYS_WHO,
    "customer_phone": MARK,
    "customer_address": ADDRESS,
    "customer_shipping": CONTACT,
    "customer_tax_ids": [{"type": "eu_vat", "value": MARK}],
    "footer": SAYS_WHO,
    "tax_ids": {"object": "list", "data": [{"type": "eu_vat", "value": MARK}]},
    "account_name": SAYS_WHO,
    "individual_name": MARK,
    "business_name": MARK,
    "default_payment_method": PAID_BY,
    "default_source": CARD,
    "sources": [CARD],
    "payment_settings": PAID_BY,
    "custom_fields": [{"name": MARK, "value": MARK}],
    "invoice_settings": {"custom_fields": [{"name": MARK, "value": MARK}]},
    "receipt_email": SAYS_WHO,
    "receipt_number": MARK,
    "number": MARK,
    "statement_descriptor": MARK,
    "hosted_invoice_url": f"https://x/{MARK}",
    "invoice_pdf": f"https://x/{MARK}",
    "nickname": MARK,
    "lookup_key": MARK,
    "preferred_locales": [MARK],
    "last_finalization_error": {"message": SAYS_WHO},
    "promotion_code": {"id": "promo_1", "code": MARK},
    "ip": MARK,
}
COMMENT = {"reason": "cancellation_requested", "feedback": "other", "comment": SAYS_WHO}
CONFIG = f'timezone = "UTC"\n{PORTS}[sync]\nstatus_file = "status.json"\n'


def filled(thing: Any, kind: str = "") -> Any:
    """With all of it, at any depth, and as the kind's own name if it is a customer's."""
    if isinstance(thing, list):
        return [filled(each) for each in thing]
    if not isinstance(thing, dict):
        return thing
    made = {key: filled(each) for key, each in thing.items()}
    if "object" not in thing and "data" not in thing and "price" not in thing:
        return made
    made |= PERSONAL
    if thing.get("object") == "customer" or kind == "customers":
        made |= {"name": LABEL, "address": {**ADDRESS, "country": "DE"}}
    if thing.get("object") == "subscription":
        made["cancellation_details"] = COMMENT
    if thing.get("object") == "coupon":
        made["name"] = MARK
    return made


# Of each kind another object, in which a field of another type says who somebody is.
SUBSCRIPTION = {
    "status": MARK,
    "customer": {"id": 7, "email": MARK},
    "created": MARK,
    "currency": MARK,
    "start_date": MARK,
    "discounts": MARK,
    "ended_at": [MARK],
    "items": MARK,
    "pause_collection": MARK,
    "cancellation_details": MARK,
    "items.data.0.quantity": MARK,
    "items.data.0.price": MARK,
    "trial_end": {MARK: MARK},
    "default_tax_rates": [MARK],
    "customer_account": 5,
}
INVOICE = {
    "status": MARK,
    "currency": MARK,
    "lines": MARK,
    "lines.data.0.amount": MARK,
    "lines.data.0.period": MARK,
    "lines.data.0.quantity": f"{MARK}@x.example",
    "parent": MARK,
    "lines.data.0.pricing": {"unit_amount_decimal": MARK},
}
CUSTOMER = {"address": MARK, "discount": MARK, "created": MARK, "metadata": MARK}
ODD: Mapping[str, Mapping[str, Any]] = {
    "subscriptions": SUBSCRIPTION,
    "invoices": INVOICE,
    "customers": CUSTOMER,
}


def account() -> SimulatedAccount:
    """A small business of which everything that may is personal, and its events."""
    shown = {
        kind: [filled(thing, kind) for thing in things]
        for kind, things in shop().objects.items()
    }
    shown["events"] = [*shown.get("events", []), *events(shown)]
    return SimulatedAccount(shown, shop().facts)


def events(shown: Mapping[str, Any]) -> Iterator[Any]:
    nouns = {"customers": "customer", "invoices": "invoice"}
    nouns |= {"subscriptions": "customer.subscription", "invoiceitems": "invoiceitem"}
    for kind, noun in nouns.items():
        for number, thing in enumerate(shown.get(kind, [])):
            before = {key: thing[key] for key in PERSONAL} | {"name": MARK}
            yield {
                "id": f"evt_{kind}{number}",
                "object": "event",
                "type": f"{noun}.updated",
                "created": int(time.time()) - 3_600,
                "data": {"object": thing, "previous_attributes": before},
            }


def odd(turn: int) -> SpoiledAccount:
    """Each object with another odd field; in other turns with others."""
    whole = account()
    spoils = {}
    for kind, fields in ODD.items():
        paths = list(fields)
        for number, thing in enumerate(whole.objects[kind]):
            path = paths[(number + turn) % len(paths)]
            spoils[thing["id"]] = with_field(path, fields[path])
    for thing in whole.objects["events"]:
        spoils[thing["id"]] = with_field("data.object.created", MARK)
    return SpoiledAccount(whole, spoils)


@pytest.fixture
def stripe() -> Iterator[Served]:
    with serving(account()) as served:
        yield served


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served) -> ServingWorkdir:
    made = ServingWorkdir(tmp_path, stripe.url)
    made.configure(CONFIG)
    return made


def holding(folder: Path, *texts: str) -> list[str]:
    """The files, at any depth, in which any of these stands."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        made = read_file(path) if path.suffix == ".parquet" else path.read_bytes()
        found += [path.name] if any(text.encode() in made for text in texts) else []
    return found


def said(ran: Ran, *codes: int) -> str:
    assert ran.code in codes, ran.err
    return ran.out + ran.err


def all_written(workdir: ServingWorkdir) -> str:
    """All commands, pages and files; what processes said and logged."""
    logged = [
        said(workdir.run("--verbose", "sync", "--full"), 0, 3),
        said(workdir.run("--log-format", "json", "--verbose", "sync"), 0, 3),
        said(workdir.run("--verbose", "recompute"), 0, 3),
        said(workdir.call("export", "--what", "mirror", "-o", "mirror"), 0),
        said(workdir.call("lake", "mirror", "lake"), 0, 3),
        said(workdir.call("close", "2026-03", "--despite", "a test"), 0, 1, 3),
    ]
    return "".join(logged)


def by_webhook(workdir: ServingWorkdir, stripe: Served) -> str:
    """An event of each object, signed, and what the server has to say of it."""
    told = list[str]()
    with serve(workdir) as server:
        for event in stripe.account.objects["events"]:
            sent = {**event, "id": f"{event['id']}_sent", "data": event["data"]}
            assert server.send(sent) == 200
        until(
            lambda: (
                server.ready()["inbox"]["waiting"] == server.ready()["inbox"]["failing"]
            )
        )
        pages = ("metrics", "readyz", "customers", "at-risk.json")
        told += [server.client.get(f"{server.admin}/{page}").text for page in pages]
        assert server.stop() == 0
        assert server.process.stderr is not None
        told.append(server.process.stderr.read())
    return "".join(told)


def read_tables(ledger: Path) -> Mapping[str, str]:
    """All that each table holds, as text."""
    with closing(sqlite3.connect(ledger)) as db:
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: repr(db.execute(f"SELECT * FROM {name}").fetchall())  # noqa: S608
            for (name,) in names.fetchall()
        }


# Whatever holds something that Stripe or an event said: none of these is left empty.
FILLED = {
    *(f"stripe_{kind}" for kind in MIRRORED),
    *("customers", "movements", "components", "plans", "terms", "invoiced", "inbox"),
    *("settings", "runs"),
}


def test_no_byte_that_is_written_says_who_somebody_is(
    workdir: ServingWorkdir, stripe: Served
) -> None:
    logged = all_written(workdir) + by_webhook(workdir, stripe)
    assert MARK not in logged
    told = all_told(
        workdir, {GROWS: stripe.account.objects["customers"][0]["id"]}, ("forget",)
    )
    assert [name for name, made in told if MARK.encode() in made] == []
    assert holding(workdir.folder, MARK) == []
    tables = read_tables(workdir.ledger)
    assert FILLED.isdisjoint(name for name, rows in tables.items() if rows == "[]")
    labelled = {name for name, rows in tables.items() if LABEL in rows}
    assert labelled == {"customers", "stripe_customers"}


def test_a_setting_switches_the_label_off(
    workdir: ServingWorkdir, stripe: Served
) -> None:
    workdir.configure(f'{CONFIG}[customers]\nlabel = "id"\n')
    logged = all_written(workdir) + by_webhook(workdir, stripe)
    assert MARK not in logged
    assert LABEL not in logged
    assert holding(workdir.folder, MARK, LABEL) == []


TURNS = range(max(len(fields) for fields in ODD.values()))


def test_an_odd_object_says_not_who_somebody_is(
    workdir: ServingWorkdir, stripe: Served
) -> None:
    """A name in a field of another type is told by its length alone."""
    said(workdir.call("sync", "-q"), 0)
    for turn in TURNS:
        stripe.account = odd(turn)
        logged = said(workdir.call("sync", "--full"), 3)
        logged += said(workdir.call("check", "--format", "json"), 3)
        assert "a text of 10 characters" in logged
        assert MARK not in logged
        assert holding(workdir.folder, MARK) == []
    assert MARK not in all_written(workdir) + by_webhook(workdir, stripe)
    customer = stripe.account.objects["customers"][0]["id"]
    told = all_told(workdir, {GROWS: customer}, ("forget",))
    assert [name for name, made in told if MARK.encode() in made] == []
    assert holding(workdir.folder, MARK) == []
