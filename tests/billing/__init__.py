"""A small billing engine: lives played by Stripe's rules → Stripe's objects and truth.

It never imports the connector, so that its figures can hold the connector's to account.
"""

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
