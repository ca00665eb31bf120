"""The engine's invoices, lines, pending invoice items, events → Stripe's JSON."""

from tests.billing.calendar_ import DAY
from tests.billing.render import discount, listing
from tests.billing.render_catalogue import API_VERSION
from tests.billing.state import Discount, Invoice, Json, Line


def _discount_amounts(amounts: list[tuple[Discount, int]]) -> list[Json]:
    return [{"amount": amount, "discount": made.id} for made, amount in amounts]


def _pretax(amounts: list[tuple[Discount, int]]) -> list[Json]:
    return [entry | {"type": "discount"} for entry in _discount_amounts(amounts)]


def _parent(line: Line) -> Json:
    """Where the line comes from: a subscription item, or a one-off invoice item."""
    sub = line.subscription.id if line.subscription else None
    credited = None
    if line.credits is not None and line.credits.invoice is not None:
        credited = {
            "invoice": line.credits.invoice,
            "invoice_line_items": [line.credits.id],
        }
    details: Json = {
        "invoice_item": line.invoice_item,
        "proration": line.proration,
        "proration_details": {"credited_items": credited},
        "subscription": sub,
    }
    if line.item is None:
        return {
            "invoice_item_details": details,
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    return {
        "invoice_item_details": None,
        "subscription_item_details": details | {"subscription_item": line.item.id},
        "type": "subscription_item_details",
    }


def _pricing(line: Line) -> Json:
    return {
        "price_details": {"price": line.price.id, "product": line.price.product.id},
        "type": "price_details",
        "unit_amount_decimal": line.unit_amount,
    }


def invoice_line(line: Line) -> Json:
    own = [d for d, _ in line.discounted if d.subscription_item is not None]
    taken = line.discounted
    if line.proration:  # included in the amount, they are named with an amount of 0
        own = line.named
        taken = line.discounted or [(d, 0) for d in line.named]
    return {
        "id": line.id,
        "object": "line_item",
        "amount": line.amount,
        "currency": line.price.currency,
        "description": line.description,
        "discount_amounts": _discount_amounts(taken),
        "discountable": line.discountable,
        "discounts": [discount(d) for d in own],
        "invoice": line.invoice,
        "livemode": False,
        "metadata": {},
        "parent": _parent(line),
        "period": {"end": line.end, "start": line.start},
        "pretax_credit_amounts": _pretax(line.discounted),
        "pricing": _pricing(line),
        "quantity": line.quantity,
        "quantity_decimal": str(line.quantity),
        "subtotal": line.amount,
        "taxes": [tax.shown() for tax in line.taxes],
    }


def invoice_item(line: Line) -> Json:
    parent = None
    if line.subscription is not None:
        item = line.item.id if line.item else None
        details = {"subscription": line.subscription.id, "subscription_item": item}
        parent = {"subscription_details": details, "type": "subscription_details"}
    drawn: Json = {
        "id": line.invoice_item,
        "object": "invoiceitem",
        "amount": line.amount,
        "currency": line.price.currency,
        "customer": line.customer.id,
        "customer_account": None,
        "date": line.date,
        "description": line.description,
        "discountable": line.discountable,
        "discounts": [discount(d) for d in line.named],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "net_amount": line.net,
        "parent": parent,
        "period": {"end": line.end, "start": line.start},
        "pricing": _pricing(line),
        "proration": line.proration,
        "quantity": line.quantity,
        "quantity_decimal": str(line.quantity),
        "tax_rates": [],
        "test_clock": None,
    }
    if line.discounted:
        taken = _discount_amounts(line.discounted)
        drawn["proration_details"] = {"discount_amounts": taken}
    return drawn


def _amounts(invoice: Invoice) -> Json:
    starting = invoice.starting_balance
    due = max(0, invoice.total + starting)
    paid = due if invoice.status == "paid" else 0
    totals: dict[str, tuple[Discount, int]] = {}
    for line in invoice.lines:
        for made, amount in line.discounted:
            _, so_far = totals.get(made.id, (made, 0))
            totals[made.id] = (made, so_far + amount)
    return {
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": paid,
        "amount_remaining": due - paid,
        "amount_shipping": 0,
        "ending_balance": invoice.ending_balance,
        "starting_balance": starting,
        "subtotal": invoice.subtotal,
        "subtotal_excluding_tax": invoice.subtotal,
        "total": invoice.total,
        "total_discount_amounts": _discount_amounts(list(totals.values())),
        "total_excluding_tax": invoice.total,
        "total_pretax_credit_amounts": _pretax(list(totals.values())),
        "total_taxes": [],
    }


def _progress(invoice: Invoice) -> Json:
    """What the invoice has lived through so far."""
    number = invoice.number
    link = f"https://invoice.stripe.com/i/acct_test/{invoice.id}" if number else None
    draft = invoice.status == "draft"
    finalizes = invoice.created + 3_600 if draft and invoice.auto_advance else None
    return {
        "attempt_count": invoice.attempts,
        "attempted": invoice.attempts > 0 or invoice.status == "paid",
        "auto_advance": invoice.auto_advance and invoice.status in ("draft", "open"),
        "automatically_finalizes_at": finalizes,
        "effective_at": invoice.finalized_at,
        "hosted_invoice_url": link,
        "invoice_pdf": link and f"{link}/pdf",
        "next_payment_attempt": invoice.next_attempt,
        "number": number,
        "status": invoice.status,
        "status_transitions": {
            "finalized_at": invoice.finalized_at,
            "marked_uncollectible_at": invoice.uncollectible_at,
            "paid_at": invoice.paid_at,
            "voided_at": invoice.voided_at,
        },
    }


def _customer(invoice: Invoice) -> Json:
    return {
        "customer": invoice.customer.id,
        "customer_account": None,
        "customer_address": None,
        "customer_email": invoice.customer.email,
        "customer_name": invoice.customer.name,
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
    }


def invoice_json(invoice: Invoice) -> Json:
    """With all its lines: whoever serves it cuts the list at 10, as Stripe does."""
    details = {"metadata": {}, "subscription": invoice.subscription.id}
    lines = [invoice_line(line) for line in invoice.lines]
    sent = invoice.subscription.is_sent
    return (
        {
            "id": invoice.id,
            "object": "invoice",
            "account_country": "US",
            "account_name": "Demo",
            "account_tax_ids": None,
            "application": None,
            "automatic_tax": {
                "disabled_reason": None,
                "enabled": False,
                "liability": None,
                "provider": None,
                "status": None,
            },
            "billing_reason": invoice.reason,
            "collection_method": "send_invoice" if sent else "charge_automatically",
            "created": invoice.created,
            "currency": invoice.subscription.currency,
            "custom_fields": None,
            "default_payment_method": None,
            "default_source": None,
            "default_tax_rates": [],
            "description": None,
            "discounts": [discount(d) for d in invoice.discounts],
            "due_date": invoice.created + 30 * DAY if sent else None,
            "footer": None,
            "from_invoice": None,
            "issuer": {"type": "self"},
            "last_finalization_error": None,
            "latest_revision": None,
            "lines": listing(lines, f"/v1/invoices/{invoice.id}/lines"),
            "livemode": False,
            "metadata": {},
            "on_behalf_of": None,
            "parent": {
                "quote_details": None,
                "subscription_details": details,
                "type": "subscription_details",
            },
            "payment_settings": {
                "default_mandate": None,
                "payment_method_options": None,
                "payment_method_types": None,
            },
            "period_end": invoice.period_end,
            "period_start": invoice.period_start,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "receipt_number": None,
            "rendering": None,
            "shipping_cost": None,
            "shipping_details": None,
            "statement_descriptor": None,
            "test_clock": None,
            "webhooks_delivered_at": invoice.created,
        }
        | _customer(invoice)
        | _amounts(invoice)
        | _progress(invoice)
    )


def changed(before: Json, after: Json) -> Json:
    """``previous_attributes``: the old value of all that differs; arrays whole."""
    found: Json = {}
    for key, old in before.items():
        new = after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found[key] = changed(old, new)
        else:
            found[key] = old
    return found


def event(
    event_id: str, kind: str, created: int, before: Json | None, now: Json
) -> Json:
    data: Json = {"object": now}
    if before is not None:
        data["previous_attributes"] = changed(before, now)
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
