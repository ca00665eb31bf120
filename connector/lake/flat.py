"""Tables of today's state, a column a field → objects as far as these columns go.

The columns are those of Stripe's Data Pipeline and Sigma. The reader is lossy: discounts
of the past, taxes inside a price, tiers, pauses and pending changes are in no column that
it reads, and a price has its present amount alone. What is made of it says
``source_shape`` flat.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from connector.lake.objects import LakeRow

FLAT = "flat"  # the shape
Columns = Mapping[str, Any]
# Whose rows are parts of another table's objects, and by which column.
PARTS = {
    "subscription_items": ("subscriptions", "subscription_id"),
    "invoice_line_items": ("invoices", "invoice_id"),
}


def put_together(rows: Iterable[LakeRow]) -> Iterator[LakeRow]:
    """One customer's rows of tables as rows of objects."""
    own = list(rows)
    parts: dict[tuple[str, str], list[Columns]] = {}
    for row in own:
        if row.kind in PARTS:
            told = json.loads(row.body)
            kind, column = PARTS[row.kind]
            parts.setdefault((kind, str(told.get(column))), []).append(told)
    for row in own:
        if row.kind not in PARTS:
            found = sorted(parts.get((row.kind, row.id), []), key=_id)
            thing = flat_object(row.kind, json.loads(row.body), found)
            yield row._replace(body=json.dumps(thing).encode())


def _id(told: Columns) -> str:
    return str(told.get("id"))


def flat_object(
    kind: str, told: Columns, parts: Iterable[Columns] = ()
) -> dict[str, Any]:
    """What Stripe would show, as far as a table says it; None is left out."""
    match kind:
        case "subscriptions":
            shown = _subscription(told, list(parts))
        case "invoices":
            shown = _invoice(told, parts)
        case "prices":
            shown = _price(told, "")
        case _:
            shown = dict(told)
    found: dict[str, Any] = _without_none(
        {**shown, "created": _second(told.get("created"))}
    )
    return found


def _subscription(told: Columns, items: list[Columns]) -> dict[str, Any]:
    same = ("id", "status", "cancel_at_period_end")
    times = (
        *("start_date", "billing_cycle_anchor"),
        *("ended_at", "canceled_at", "cancel_at"),
        *("trial_start", "trial_end"),
    )
    behavior = told.get("pause_collection_behavior")
    currencies = [it["price_currency"] for it in items if it.get("price_currency")]
    return {
        **{name: told.get(name) for name in same},
        **{name: _second(told.get(name)) for name in times},
        "customer": told.get("customer_id"),
        "currency": next(iter(currencies), told.get("currency")),
        "items": {"data": [_item(each) for each in items]},
        "discounts": _discounts(told),
        "pause_collection": behavior
        and {
            "behavior": behavior,
            "resumes_at": _second(told.get("pause_collection_resumes_at")),
        },
    }


def _item(told: Columns) -> dict[str, Any]:
    return {
        "id": told.get("id"),
        "created": _second(told.get("created")),
        "quantity": told.get("quantity"),
        "price": _price(told, "price_"),
    }


def _price(told: Columns, before: str) -> dict[str, Any]:
    interval = told.get(f"{before}recurring_interval")
    same = ("id", "currency", "unit_amount", "unit_amount_decimal")
    return {
        **{name: told.get(f"{before}{name}") for name in same},
        "product": told.get(f"{before}product_id"),
        "billing_scheme": told.get(f"{before}billing_scheme"),
        "tiers_mode": told.get(f"{before}tiers_mode"),
        "recurring": interval
        and {
            "interval": interval,
            "interval_count": told.get(f"{before}recurring_interval_count"),
            "usage_type": told.get(f"{before}recurring_usage_type"),
        },
    }


def _discounts(told: Columns) -> list[dict[str, Any]]:
    """The one that applies today."""
    coupon = told.get("discount_coupon_id")
    if not coupon:
        return []
    return [
        {
            "id": f"{told.get('id')} {coupon}",  # a table tells no id of it
            "source": {"coupon": coupon},
            "start": _second(told.get("discount_start")),
            "end": _second(told.get("discount_end")),
        }
    ]


def _invoice(told: Columns, lines: Iterable[Columns]) -> dict[str, Any]:
    subscription = told.get("subscription_id")
    details = {"subscription": subscription}
    return {
        "id": told.get("id"),
        "customer": told.get("customer_id"),
        "status": told.get("status"),
        "currency": told.get("currency"),
        "due_date": _second(told.get("due_date")),
        "parent": subscription and {"subscription_details": details},
        "status_transitions": {
            name: _second(told.get(f"status_transitions_{name}"))
            for name in ("finalized_at", "paid_at", "marked_uncollectible_at")
        },
        "lines": {"data": [_line(each) for each in lines]},
    }


def _line(told: Columns) -> dict[str, Any]:
    price = told.get("price_id")
    kind = "subscription_item_details" if _of_item(told) else "invoice_item_details"
    details = {
        "subscription": told.get("subscription"),
        "subscription_item": told.get("subscription_item_id"),
        "invoice_item": told.get("invoice_item_id"),
        "proration": told.get("proration"),
    }
    return {
        **{name: told.get(name) for name in ("id", "amount", "currency", "quantity")},
        "period": {
            "start": _second(told.get("period_start")),
            "end": _second(told.get("period_end")),
        },
        "parent": {"type": kind, kind: details},
        "pricing": price and {"price_details": {"price": price}},
    }


def _of_item(told: Columns) -> bool:
    return bool(told.get("subscription_item_id"))


def _second(value: Any) -> Any:
    """Unix seconds of a timestamp as engines write one; UTC where it names no zone."""
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(aware.timestamp())


def _without_none(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _without_none(it) for key, it in thing.items() if it is not None}
    return [_without_none(it) for it in thing] if isinstance(thing, list) else thing
