"""A small billing engine: lives played by Stripe's rules → Stripe's objects and truth.

It never imports the connector, so that its figures can hold the connector's to account.
"""

from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR, add_months, instant
from tests.billing.catalogue import Coupon, Price, Product, Tier
from tests.billing.state import Customer, Invoice, Item, Json, Subscription
from tests.billing.truth import Step

__all__ = [
    "DAY",
    "HOUR",
    "Account",
    "Coupon",
    "Customer",
    "Invoice",
    "Item",
    "Json",
    "Price",
    "Product",
    "Step",
    "Subscription",
    "Tier",
    "add_months",
    "instant",
]
