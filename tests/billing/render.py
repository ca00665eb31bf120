"""The engine's subscriptions, items and discounts → Stripe's JSON."""

from tests.billing.render_catalogue import plan, price
from tests.billing.state import Discount, Item, Json, Subscription


def listing(data: list[Json], url: str) -> Json:
    return {
        "object": "list",
        "data": data,
        "has_more": False,
        "total_count": len(data),
        "url": url,
    }


def discount(made: Discount) -> Json:
    return {
        "id": made.id,
        "object": "discount",
        "checkout_session": None,
        "customer": made.customer,
        "customer_account": None,
        "end": made.end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {"coupon": made.coupon.id, "type": "coupon"},
        "start": made.start,
        "subscription": made.subscription,
        "subscription_item": made.subscription_item,
    }


def subscription_item(item: Item) -> Json:
    drawn: Json = {
        "id": item.id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": item.created,
        "current_period_end": item.period_end,
        "current_period_start": item.period_start,
        "current_trial": None,
        "discounts": [discount(d) for d in item.discounts],
        "metadata": {},
        "plan": plan(item.price),
        "price": price(item.price),
        "quantity": item.quantity,
        "subscription": item.subscription.id,
        "tax_rates": [],
    }
    if item.price.metered:
        del drawn["quantity"]
    return drawn


def _billing_mode(sub: Subscription) -> Json:
    if sub.mode == "classic":
        return {"flexible": None, "type": "classic"}
    return {
        "flexible": {
            "proration_discounts": "itemized"
            if sub.prorations == "itemized"
            else "included"
        },
        "type": "flexible",
        "updated_at": sub.created,
    }


def _dates(sub: Subscription) -> Json:
    details = {
        "comment": None,
        "feedback": sub.cancel_feedback,
        "reason": sub.cancel_reason,
    }
    return {
        "billing_cycle_anchor": sub.anchor,
        "cancel_at": sub.cancel_at,
        "cancel_at_period_end": sub.cancel_at_period_end,
        "canceled_at": sub.canceled_at,
        "cancellation_details": details,
        "created": sub.created,
        "ended_at": sub.ended_at,
        "start_date": sub.created,
        "trial_end": sub.trial_end,
        "trial_start": sub.trial_start,
    }


def subscription(sub: Subscription) -> Json:
    url = f"/v1/subscription_items?subscription={sub.id}"
    alone = sub.items[0] if len(sub.items) == 1 else None
    return (
        {
            "id": sub.id,
            "object": "subscription",
            "application": None,
            "application_fee_percent": None,
            "automatic_tax": {
                "disabled_reason": None,
                "enabled": False,
                "liability": None,
            },
            "billing_cycle_anchor_config": None,
            "billing_mode": _billing_mode(sub),
            "billing_schedules": [],
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "currency": sub.currency,
            "customer": sub.customer.id,
            "customer_account": None,
            "days_until_due": None,
            "default_payment_method": None,
            "default_source": None,
            "default_tax_rates": [],
            "description": None,
            "discounts": [discount(d) for d in sub.discounts],
            "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
            "items": listing([subscription_item(item) for item in sub.items], url),
            "latest_invoice": sub.latest_invoice,
            "livemode": False,
            "metadata": dict(sub.metadata),
            "next_pending_invoice_item_invoice": None,
            "on_behalf_of": None,
            "pause_collection": sub.pause,
            "payment_settings": {
                "payment_method_options": None,
                "payment_method_types": None,
                "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": None,
            "pending_setup_intent": None,
            "pending_update": None,
            "plan": plan(alone.price) if alone else None,
            "quantity": alone.quantity if alone else None,
            "schedule": None,
            "status": sub.status,
            "test_clock": None,
            "transfer_data": None,
            "trial_settings": {
                "end_behavior": {"missing_payment_method": "create_invoice"}
            },
        }
        | _dates(sub)
        | _unusual(sub)
    )


def _unusual(sub: Subscription) -> Json:
    """What only some subscriptions show otherwise."""
    drawn: Json = {}
    if sub.paused_at is not None and sub.status == "paused":
        drawn["status_details"] = {"paused": {"transitioned_at": sub.paused_at}}
    if sub.is_sent:
        drawn |= {"collection_method": "send_invoice", "days_until_due": 30}
    return drawn
