"""Stripe's JSON by hand: what a case needs to say, the rest as the recordings have it.

Ids follow from what an object is about and when, never from a counter, so that a file
written twice is the same. Instants are unix seconds (``moment``). ``more`` overrides any
field of the object.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
Taken = Sequence[tuple[str, int]]  # discount, and the amount that it takes off a line


def moment(text: str) -> int:
    """``2026-01-15T12:00`` (UTC, unless it names an offset) in unix seconds."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def stamp(at: int) -> str:
    """``20260115120000``, for ids that can be read."""
    return f"{datetime.fromtimestamp(at, UTC):%Y%m%d%H%M%S}"


def months(first: str, count: int) -> list[int]:
    """The starts of ``count`` months from ``first`` on, and the end of the last."""
    at = datetime.fromtimestamp(moment(first), UTC)
    found = []
    for number in range(at.month - 1, at.month + count):
        year, month = at.year + number // 12, number % 12 + 1
        found.append(int(at.replace(year=year, month=month).timestamp()))
    return found


def listing(data: Sequence[Json], url: str) -> Json:
    return {
        "object": "list",
        "data": list(data),
        "has_more": False,
        "total_count": len(data),
        "url": url,
    }


# Catalogue


def product(product_id: str, **more: Any) -> Json:
    return {
        "id": product_id,
        "object": "product",
        "active": True,
        "created": 1,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": product_id.removeprefix("prod_"),
        "type": "service",
        "unit_label": None,
        "updated": 1,
        **more,
    }


def amounts(amount: float | None) -> Json:
    """``unit_amount`` is null where it has fractions; the decimal is a string."""
    is_whole = amount is not None and amount == int(amount)
    return {
        "unit_amount": int(amount) if amount is not None and is_whole else None,
        "unit_amount_decimal": None if amount is None else f"{amount:g}",
    }


def price(
    price_id: str,
    amount: float | None = 1_000,
    interval: str = "month",
    count: int = 1,
    currency: str = "usd",
    *,
    usage: str = "licensed",
    **more: Any,
) -> Json:
    """A recurring price of a product of its own; no amount where it has tiers."""
    recurring = {
        "interval": interval,
        "interval_count": count,
        "meter": "mtr_1" if usage == "metered" else None,
        "trial_period_days": None,
        "usage_type": usage,
    }
    return {
        "id": price_id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 1,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": f"prod_{price_id.removeprefix('price_')}",
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        **amounts(amount),
        **more,
    }


def tier(up_to: int | None, unit: int, flat: int | None = None) -> Json:
    return {
        "flat_amount": flat,
        "flat_amount_decimal": None if flat is None else str(flat),
        "unit_amount": unit,
        "unit_amount_decimal": str(unit),
        "up_to": up_to,
    }


def tiered(
    price_id: str, mode: str, tiers: Sequence[Json], *, usage: str = "licensed"
) -> Json:
    """``mode`` is graduated or volume."""
    made = price(price_id, None, usage=usage, billing_scheme="tiered")
    return made | {"tiers_mode": mode, "tiers": list(tiers)}


def coupon(
    coupon_id: str,
    percent: float | None = None,
    amount: int | None = None,
    duration: str = "forever",
    currency: str = "usd",
    **more: Any,
) -> Json:
    """Takes a percentage or an amount off: forever, repeating or once."""
    return {
        "id": coupon_id,
        "object": "coupon",
        "amount_off": amount,
        "created": 1,
        "currency": None if amount is None else currency,
        "duration": duration,
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": percent,
        "redeem_by": None,
        "times_redeemed": 1,
        "valid": True,
        **more,
    }


def discount(
    discount_id: str,
    of: Json | str,
    start: int,
    end: int | None = None,
    *,
    sub: str | None = "sub_1",
    item: str | None = None,
    customer: str = "cus_1",
    **more: Any,
) -> Json:
    """A coupon given to a subscription, to an ``item``, or (``sub`` None) a customer.

    ``of`` is the coupon itself where the request expanded it, else its id.
    """
    return {
        "id": discount_id,
        "object": "discount",
        "checkout_session": None,
        "customer": customer,
        "customer_account": None,
        "end": end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {"coupon": of, "type": "coupon"},
        "start": start,
        "subscription": None if item else sub,
        "subscription_item": item,
        **more,
    }


# Customers and subscriptions


def customer(customer_id: str = "cus_1", **more: Any) -> Json:
    return {
        "id": customer_id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": 1,
        "currency": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": "customer@example.com",
        "livemode": False,
        "metadata": {},
        "name": "Customer",
        "phone": None,
        "shipping": None,
        "tax_exempt": "none",
        **more,
    }


def subscription_item(
    item_id: str, of: Json, quantity: int | None = 1, **more: Any
) -> Json:
    """``created`` is the subscription's start unless given. No quantity: metered.

    Inside an item a price shows neither its tiers nor its currency options.
    """
    apart = ("tiers", "currency_options")
    drawn: Json = {
        "id": item_id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": None,
        "current_period_end": 0,
        "current_period_start": 0,
        "current_trial": None,
        "discounts": [],
        "metadata": {},
        "price": {key: value for key, value in of.items() if key not in apart},
        "quantity": quantity,
        "subscription": None,
        "tax_rates": [],
    }
    if quantity is None:
        del drawn["quantity"]
    return drawn | more


def subscription(
    start: int,
    items: Sequence[Json],
    sub_id: str = "sub_1",
    status: str = "active",
    *,
    mode: str = "flexible",
    **more: Any,
) -> Json:
    """With its items put into place."""
    placed = [
        item | {"subscription": sub_id, "created": item["created"] or start}
        for item in items
    ]
    return {
        "id": sub_id,
        "object": "subscription",
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": start,
        "billing_mode": {"flexible": None, "type": mode},
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": start,
        "currency": items[0]["price"]["currency"] if items else "usd",
        "customer": "cus_1",
        "default_tax_rates": [],
        "discounts": [],
        "ended_at": None,
        "items": listing(placed, f"/v1/subscription_items?subscription={sub_id}"),
        "livemode": False,
        "metadata": {},
        "pause_collection": None,
        "pending_update": None,
        "schedule": None,
        "start_date": start,
        "status": status,
        "test_clock": None,
        "trial_end": None,
        "trial_start": None,
        **more,
    }


# Invoices


def _pricing(of: Json, unit: str | None) -> Json:
    return {
        "price_details": {"price": of["id"], "product": of["product"]},
        "type": "price_details",
        "unit_amount_decimal": unit,
    }


def _credited(*, is_credit: bool) -> Json:
    """What a credit takes back; null on a debit."""
    credited = {"invoice": "in_before", "invoice_line_items": ["il_before"]}
    return {"credited_items": credited if is_credit else None}


def line(
    of: Json,
    start: int,
    end: int,
    amount: int | None = None,
    quantity: int | None = 1,
    *,
    item: str = "si_1",
    sub: str = "sub_1",
    taken: Taken = (),
    **more: Any,
) -> Json:
    """A regular line; by default price × quantity. Its invoice gives it an id."""
    if amount is None:
        amount = (of["unit_amount"] or 0) * (quantity or 0)
    off: list[Json] = [{"amount": each, "discount": di} for di, each in taken]
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": sub,
        "subscription_item": item,
    }
    return {
        "id": None,
        "object": "line_item",
        "amount": amount,
        "currency": of["currency"],
        "description": "",
        "discount_amounts": off,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": details,
            "type": "subscription_item_details",
        },
        "period": {"end": end, "start": start},
        "pretax_credit_amounts": [each | {"type": "discount"} for each in off],
        "pricing": _pricing(of, of["unit_amount_decimal"]),
        "quantity": quantity,
        "quantity_decimal": None if quantity is None else str(quantity),
        "subtotal": amount,
        "taxes": [],
        **more,
    }


def _proration(made: Json, *, is_credit: bool) -> Json:
    details = made["parent"]["subscription_item_details"]
    details["proration"] = True
    details["proration_details"] = _credited(is_credit=is_credit)
    made["pricing"]["unit_amount_decimal"] = None
    return made | {"discountable": False}


def debit(
    of: Json, start: int, end: int, amount: int, quantity: int | None = 1, **more: Any
) -> Json:
    """The proration of a new state, until the period's end."""
    made = line(of, start, end, amount, quantity, **more)
    return _proration(made, is_credit=False)


def credit(
    of: Json, start: int, end: int, amount: int, quantity: int | None = 1, **more: Any
) -> Json:
    """The proration of an old state; the amount is negative."""
    made = line(of, start, end, amount, quantity, **more)
    return _proration(made, is_credit=True)


def one_off(
    start: int, amount: int, sub: str | None = None, currency: str = "usd", **more: Any
) -> Json:
    """A manual invoice item's line; it may still name a subscription."""
    of = price("price_one_off", amount, currency=currency)
    made = line(of, start, start, amount)
    details = {
        "invoice_item": "ii_one_off",
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": sub,
    }
    parent = {
        "invoice_item_details": details,
        "subscription_item_details": None,
        "type": "invoice_item_details",
    }
    return made | {"parent": parent} | more


def _placed(made: Json, invoice_id: str, number: int) -> Json:
    """A line with the ids that its place on the invoice gives it."""
    name = f"{invoice_id.removeprefix('in_')}_{number}"
    details = made["parent"]["subscription_item_details"]
    if details and details["proration"]:
        parent = {"subscription_item_details": details | {"invoice_item": f"ii_{name}"}}
        made = made | {"parent": made["parent"] | parent}
    return made | {"id": made["id"] or f"il_{name}", "invoice": invoice_id}


def invoice(
    created: int,
    lines: Sequence[Json],
    status: str = "paid",
    *,
    sub: str | None = "sub_1",
    invoice_id: str | None = None,
    **more: Any,
) -> Json:
    """An invoice of a subscription (``sub`` None: a manual one), with all its lines."""
    named = invoice_id or f"in_{stamp(created)}_{sub or 'manual'}"
    placed = [_placed(each, named, number) for number, each in enumerate(lines, 1)]
    details: Json = {"metadata": {}, "subscription": sub}
    parent = {
        "quote_details": None,
        "subscription_details": details,
        "type": "subscription_details",
    }
    return {
        "id": named,
        "object": "invoice",
        "billing_reason": "subscription_cycle" if sub else "manual",
        "collection_method": "charge_automatically",
        "created": created,
        "currency": lines[0]["currency"] if lines else "usd",
        "customer": "cus_1",
        "discounts": [],
        "due_date": None,
        "from_invoice": None,
        "latest_revision": None,
        "lines": listing(placed, f"/v1/invoices/{named}/lines"),
        "livemode": False,
        "metadata": {},
        "parent": parent if sub else None,
        "period_end": created,
        "period_start": created,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "status": status,
        "status_transitions": {
            "finalized_at": None if status == "draft" else created,
            "marked_uncollectible_at": created if status == "uncollectible" else None,
            "paid_at": created if status == "paid" else None,
            "voided_at": created if status == "void" else None,
        },
        "test_clock": None,
        **_totals(placed),
        **more,
    }


def _totals(lines: Sequence[Json]) -> Json:
    subtotal = sum(each["amount"] for each in lines)
    off = sum(t["amount"] for each in lines for t in each["discount_amounts"])
    return {
        "amount_due": max(0, subtotal - off),
        "subtotal": subtotal,
        "total": subtotal - off,
        "total_taxes": [],
    }


def pending(
    of: Json,
    start: int,
    end: int,
    amount: int,
    quantity: int = 1,
    *,
    item: str = "si_1",
    sub: str = "sub_1",
    **more: Any,
) -> Json:
    """A proration that waits for the next invoice; a credit where it is negative."""
    side = "credit" if amount < 0 else "debit"
    details = {"subscription": sub, "subscription_item": item}
    return {
        "id": f"ii_{stamp(start)}_{item}_{side}",
        "object": "invoiceitem",
        "amount": amount,
        "currency": of["currency"],
        "customer": "cus_1",
        "date": start,
        "description": "",
        "discountable": False,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "net_amount": amount,
        "parent": {"subscription_details": details, "type": "subscription_details"},
        "period": {"end": end, "start": start},
        "pricing": _pricing(of, None),
        "proration": True,
        "proration_details": {
            "discount_amounts": [],
            **_credited(is_credit=amount < 0),
        },
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": None,
        **more,
    }


# Events


def event(kind: str, at: int, thing: Json, previous: Json | None = None) -> Json:
    """``previous`` is what the thing was just before, where it changed."""
    data: Json = {"object": thing}
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": f"evt_{stamp(at)}_{kind.rpartition('.')[2]}_{thing['id']}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": at,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def updated(at: int, before: Json, after: Json) -> Json:
    """``customer.subscription.updated``: the old value of all that differs."""
    previous = {key: old for key, old in before.items() if after.get(key) != old}
    return event("customer.subscription.updated", at, after, previous)
