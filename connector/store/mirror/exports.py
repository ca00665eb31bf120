"""The mirror as rows for Parquet: all that a derivation elsewhere needs, kind by kind.

A row is an object's id, the customer whose it is (None: everybody's), an instant in unix
seconds and the body as JSON. The instant is when a subscription, or a former version of
it, was first seen so; of anything else when it was created.
"""

import sqlite3
from collections.abc import Iterator, Mapping

MirrorRow = tuple[str, str | None, int, str]

_AS_TEXT = "CAST(body AS TEXT)"
_DATED = """
    SELECT id, {customer}, {at}, {body} FROM stripe_{kind} ORDER BY {order}
"""


def _of(kind: str, customer: str, at: str = "created_s", order: str = "id") -> str:
    return _DATED.format(
        kind=kind, customer=customer, at=at, body=_AS_TEXT, order=order
    )


MIRROR_EXPORTS: Mapping[str, str] = {
    **{kind: _of(kind, "NULL") for kind in ("products", "prices", "coupons")},
    "customers": _of("customers", "id"),
    "subscriptions": _of("subscriptions", "customer", "seen_s", "customer, created_s"),
    "versions": """
        SELECT version.subscription, customer, version.seen_s,
               CAST(version.body AS TEXT)
        FROM subscription_versions AS version
        JOIN stripe_subscriptions ON stripe_subscriptions.id = version.subscription
        ORDER BY version.subscription, version.seen_s
    """,
    **{
        kind: _of(kind, "customer", order="customer, created_s")
        for kind in ("invoices", "invoice_items", "events")
    },
    # Objects that do not fit: whose they are is not derived.
    "set_aside": """
        SELECT id, customer, 0, json_object('kind', kind, 'field', field, 'value', value)
        FROM set_aside_by_customer ORDER BY kind, id
    """,
}


def rows(connection: sqlite3.Connection, kind: str) -> Iterator[MirrorRow]:
    """All rows of one of ``MIRROR_EXPORTS``."""
    return connection.execute(MIRROR_EXPORTS[kind])
