"""The engine's products, prices, coupons and customers → Stripe's JSON.

Shapes as recorded at 2026-03-25.dahlia, with the fields of 2026-10-28.endive.
"""

from decimal import Decimal

from tests.billing.catalogue import Coupon, Price, Product
from tests.billing.state import Customer, Json

API_VERSION = "2026-10-28.endive"


def decimal(amount: Decimal | None) -> str | None:
    """``1000``, ``0.5``: no exponent, no idle zeros."""
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def whole(amount: Decimal | None) -> int | None:
    return int(amount) if amount is not None and amount == int(amount) else None


def product(made: Product) -> Json:
    return {
        "id": made.id,
        "object": "product",
        "active": True,
        "created": made.created,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": made.name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": made.unit_label,
        "updated": made.created,
        "url": None,
    }


def _recurring(made: Price) -> Json | None:
    if made.interval is None:
        return None
    return {
        "interval": made.interval,
        "interval_count": made.interval_count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "metered" if made.metered else "licensed",
    }


def price(made: Price, *, tiers: bool = False) -> Json:
    """As on a subscription item; with ``tiers``, as the list of prices expands it."""
    made = made.sold_as or made
    transform = None
    if made.divide_by is not None:
        transform = {"divide_by": made.divide_by, "round": made.divide_round}
    drawn = {
        "id": made.id,
        "object": "price",
        "active": True,
        "billing_scheme": "tiered" if made.tiers else "per_unit",
        "created": made.created,
        "currency": made.currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": made.nickname,
        "product": made.product.id,
        "recurring": _recurring(made),
        "tax_behavior": made.tax_behavior,
        "tiers_mode": made.tiers_mode,
        "transform_quantity": transform,
        "type": "one_time" if made.interval is None else "recurring",
        "unit_amount": whole(made.unit_amount),
        "unit_amount_decimal": decimal(made.unit_amount),
    }
    if tiers:
        offers = [made, *(made.offered(each.currency) for each in made.options)]
        drawn["currency_options"] = {it.currency: _currency_option(it) for it in offers}
        if made.tiers:
            drawn["tiers"] = _tiers(made)
    return drawn


def _tiers(made: Price) -> list[Json]:
    return [
        {
            "flat_amount": tier.flat_amount or None,
            "flat_amount_decimal": str(tier.flat_amount) if tier.flat_amount else None,
            "unit_amount": whole(tier.unit_amount),
            "unit_amount_decimal": decimal(tier.unit_amount),
            "up_to": tier.up_to,
        }
        for tier in made.tiers
    ]


def _currency_option(made: Price) -> Json:
    drawn: Json = {
        "custom_unit_amount": None,
        "tax_behavior": made.tax_behavior,
        "unit_amount": whole(made.unit_amount),
        "unit_amount_decimal": decimal(made.unit_amount),
    }
    if made.tiers:
        drawn["tiers"] = _tiers(made)
    return drawn


def plan(made: Price) -> Json:
    made = made.sold_as or made
    return {
        "id": made.id,
        "object": "plan",
        "active": True,
        "amount": whole(made.unit_amount),
        "amount_decimal": decimal(made.unit_amount),
        "billing_scheme": "tiered" if made.tiers else "per_unit",
        "created": made.created,
        "currency": made.currency,
        "interval": made.interval,
        "interval_count": made.interval_count,
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": made.nickname,
        "product": made.product.id,
        "tiers_mode": made.tiers_mode,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "metered" if made.metered else "licensed",
    }


def coupon(made: Coupon) -> Json:
    return {
        "id": made.id,
        "object": "coupon",
        "amount_off": made.amount_off,
        "created": made.created,
        "currency": made.currency,
        "duration": made.duration,
        "duration_in_months": made.duration_in_months,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": made.name,
        "percent_off": None if made.percent_off is None else float(made.percent_off),
        "redeem_by": None,
        "times_redeemed": made.times_redeemed,
        "valid": True,
    }


def customer(made: Customer) -> Json:
    places = ("city", "country", "line1", "line2", "postal_code", "state")
    address = dict.fromkeys(places) | {"country": made.country}
    return {
        "id": made.id,
        "object": "customer",
        "address": address if made.country else None,
        "balance": made.balance,
        "created": made.created,
        "currency": made.currency,
        "customer_account": None,
        "default_source": None,
        "delinquent": made.delinquent,
        "description": None,
        "discount": None,
        "email": made.email,
        "invoice_prefix": made.prefix,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": made.metadata,
        "name": made.name,
        "next_invoice_sequence": made.invoices_numbered + 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
