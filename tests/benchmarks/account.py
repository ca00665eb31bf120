"""A growing account of any size, in the shape and size in which Stripe shows it.

Each of ``subscriptions`` customers has one subscription of three items, paid monthly,
quarterly or yearly, and there are exactly four invoices a subscription. Newest first,
as Stripe lists them; the same size and ``now_s`` make the same account.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tests.billing.calendar_ import DAY, HOUR, add_months
from tests.support import shapes
from tests.support.shapes import Json

INVOICES_EACH = 4
YEARS = 3
PRODUCTS = {"Plan": 4_900, "Analytics": 900, "Support": 1_500}  # cents a month
INTERVALS = {1: ("month", 1), 3: ("month", 3), 12: ("year", 1)}
# How often the n-th subscription pays, in months; as many as give a few invoices too
# many, so that some subscriptions must have ended.
PAID_EVERY = (1, 3, 12, 12, 3, 1, 12, 3, 12, 1, 3, 12, 3, 1, 12, 3, 12, 3, 1, 12)
PAID = "invoice.paid"  # the only type of event there is
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Life:
    """One customer's subscription: ``starts`` are those of its periods, and an end."""

    number: int
    customer: str
    sub: str
    months: int
    starts: list[int]
    is_over: bool = False

    @property
    def periods(self) -> Iterator[tuple[int, int, int]]:
        """Number, start and end of each period."""
        ends = self.starts[1:]
        return ((n, *p) for n, p in enumerate(zip(self.starts, ends, strict=False)))

    def seats(self, period: int) -> int:
        """Every third grows, every seventh shrinks."""
        grown = period // 3 if self.number % 3 == 0 else 0
        lost = period // 2 if self.number % 7 == 0 else 0
        return max(1, 2 + self.number % 9 + grown - lost)


class Account:
    """The lists of one account; made anew with each look at them, to hold none."""

    def __init__(self, subscriptions: int, now_s: int) -> None:
        self.now_s = now_s
        self._random = random.Random(subscriptions)
        self.products = [shapes.product(f"prod_{name}") for name in PRODUCTS]
        opened = now_s - YEARS * 365 * DAY
        self.prices = {
            (name, months): self._price(f"{name}_{months}", cents * months, months)
            for name, cents in PRODUCTS.items()
            for months in INTERVALS
        }
        self.archived = [
            self._price(f"{name}_1_before", cents, 1, active=False)
            for name, cents in PRODUCTS.items()
        ]
        for thing in (*self.products, *self.prices.values(), *self.archived):
            thing["created"] = opened - DAY
        self.coupon = shapes.coupon("TENTH", percent=10, created=opened - DAY)
        self.lives = [self._life(n, subscriptions) for n in range(subscriptions)]
        self._end_some(INVOICES_EACH * subscriptions)

    def _price(self, name: str, cents: int, months: int, **more: Any) -> Json:
        interval, count = INTERVALS[months]
        product = f"prod_{name.partition('_')[0]}"
        return shapes.price(
            f"price_{name}", cents, interval, count, product=product, **more
        )

    def _life(self, number: int, of: int) -> Life:
        """Created by the square root: each year wins more customers than the last."""
        passed = ((number + 0.5) / of) ** 0.5
        start = self.now_s - round((1 - passed) * YEARS * 365 * DAY) - HOUR
        months = PAID_EVERY[number % len(PAID_EVERY)]
        starts = [start]
        while starts[-1] <= self.now_s:
            starts.append(add_months(start, months * len(starts)))
        customer = f"cus_{self._letters()}"
        return Life(number, customer, self.new_id("sub", start), months, starts)

    def _end_some(self, invoices: int) -> None:
        """End as many subscriptions half-way as leaves just so many invoices."""
        too_many = sum(len(life.starts) - 1 for life in self.lives) - invoices
        for life in self._random.sample(self.lives, len(self.lives)):
            cut = min((len(life.starts) - 1) // 2, too_many)
            if cut > 0:
                del life.starts[-cut:]
                life.is_over = True
                too_many -= cut
        assert too_many == 0, f"{too_many} invoices too many: change PAID_EVERY"

    def _letters(self) -> str:
        return "".join(self._random.choices(LETTERS, k=14))

    def new_id(self, kind: str, at: int) -> str:
        """As Stripe's ids: what begins them grows with time, the rest is chance."""
        digits = ""
        while at:
            at, digit = divmod(at, len(LETTERS))
            digits = LETTERS[digit] + digits
        return f"{kind}_1{digits}{self._letters()}"

    # --- the lists, newest first ---

    def customers(self) -> Iterator[Json]:
        for life in reversed(self.lives):
            yield shapes.customer(
                life.customer,
                address=ADDRESS,
                created=life.starts[0] - 60,
                email=f"billing@customer-{life.number}.example.com",
                name=f"Customer {life.number:,} of the account",
                next_invoice_sequence=len(life.starts),
                preferred_locales=["en"],
            )

    def subscriptions(self) -> Iterator[Json]:
        for life in reversed(self.lives):
            *_, (number, start, end) = life.periods
            over = {
                "status": "canceled",
                "ended_at": end,
                "canceled_at": end - DAY,
                "cancel_at_period_end": True,
            }
            items = [
                shapes.subscription_item(
                    f"si_{life.sub[4:]}{place}",
                    price,
                    quantity,
                    current_period_start=start,
                    current_period_end=end,
                    plan=PLAN | {"id": price["id"], "product": price["product"]},
                )
                for place, (price, quantity) in enumerate(self._bought(life, number))
            ]
            yield shapes.subscription(
                life.starts[0],
                items,
                life.sub,
                customer=life.customer,
                discounts=self._discounts(life),
                metadata=METADATA,
                **(MORE_OF_SUBSCRIPTION | (over if life.is_over else {})),
            )

    def invoices(self) -> list[Json]:
        """The only list that is made at once: it must be sorted."""
        made = [self._invoice(life, *it) for life in self.lives for it in life.periods]
        return sorted(made, key=lambda it: (it["created"], it["id"]), reverse=True)

    def pending(self) -> Iterator[Json]:
        """What every fiftieth customer owes beside its subscription."""
        price = self.prices["Support", 1]
        for life in islice(reversed(self.lives), 0, None, 50):
            at = self.now_s - DAY
            yield shapes.pending(
                price, at, at, 2_500, customer=life.customer, parent=None
            ) | {"id": f"ii_{life.sub[4:]}", "proration": False}

    def events(self, invoices: list[Json]) -> Iterator[Json]:
        """Of the last 30 days: that each of these invoices was paid."""
        for made in invoices:
            at = made["created"] + HOUR
            if at <= self.now_s - 30 * DAY:
                return
            if at <= self.now_s:
                yield shapes.event(PAID, at, made)

    # --- one invoice ---

    def _bought(self, life: Life, period: int) -> list[tuple[Json, int]]:
        quantities = (life.seats(period), 1 + life.number % 4, 1)
        prices = [self.prices[name, life.months] for name in PRODUCTS]
        return list(zip(prices, quantities, strict=True))

    def _discounts(self, life: Life) -> list[Json]:
        """Every tenth subscription has the coupon from its start."""
        if life.number % 10:
            return []
        return [
            shapes.discount(
                f"di_{life.sub[4:]}",
                self.coupon,
                life.starts[0],
                sub=life.sub,
                customer=life.customer,
            )
        ]

    def _invoice(self, life: Life, number: int, start: int, end: int) -> Json:
        discounts = self._discounts(life)
        lines = []
        for place, (price, quantity) in enumerate(self._bought(life, number)):
            amount = price["unit_amount"] * quantity
            off = [(given["id"], amount // 10) for given in discounts]
            net = amount - sum(each for _, each in off)
            made = shapes.line(
                price,
                start,
                end,
                quantity=quantity,
                item=f"si_{life.sub[4:]}{place}",
                sub=life.sub,
                taken=off,
                id=self.new_id("il", start),
                metadata=METADATA,
                description=f"{quantity} × {price['product'][5:]} (at ${amount / 100})",
                taxes=[TAX | {"amount": net // 5, "taxable_amount": net}],
            )
            lines.append(made)
        named = self.new_id("in", start)
        link = f"https://invoice.stripe.com/i/acct_1ISuLNQK2ZHS99Rk/test_{named * 4}"
        return shapes.invoice(
            start,
            lines,
            sub=life.sub,
            invoice_id=named,
            customer=life.customer,
            customer_email=f"billing@customer-{life.number}.example.com",
            customer_name=f"Customer {life.number:,} of the account",
            discounts=discounts,
            hosted_invoice_url=link,
            invoice_pdf=f"{link}/pdf",
            metadata=METADATA,
            number=f"O6OJNDPS-{number:04}",
            **MORE_OF_INVOICE,
        )


# --- what recordings of 2026-03-25.dahlia hold besides ---

ADDRESS = {
    "city": "Springfield",
    "country": "US",
    "line1": "742 Evergreen Terrace",
    "line2": None,
    "postal_code": "97403",
    "state": "OR",
}
METADATA = {  # a subscription's is copied onto its invoices and their lines
    "contract": "C-2024-001873",
    "crm_account": "0013z00002XkLmQAAV",
    "order_id": "9f1c2d4e-6a70-4b7c-8f0e-2d4b6a8c0e1f",
    "sales_region": "north-america",
}
PLAN = {
    "object": "plan",
    "active": True,
    "amount": 1_000,
    "amount_decimal": "1000",
    "billing_scheme": "per_unit",
    "created": 1_615_253_446,
    "currency": "usd",
    "interval": "month",
    "interval_count": 1,
    "livemode": False,
    "metadata": {},
    "meter": None,
    "nickname": None,
    "tiers_mode": None,
    "transform_usage": None,
    "trial_period_days": None,
    "usage_type": "licensed",
}
TAX = {
    "tax_behavior": "exclusive",
    "tax_rate_details": {"tax_rate": "txr_1TGnErQK2ZHS99RkHpVN5MOi"},
    "taxability_reason": "standard_rated",
    "type": "tax_rate_details",
}
MORE_OF_SUBSCRIPTION: Json = {
    "application": None,
    "application_fee_percent": None,
    "billing_cycle_anchor_config": None,
    "billing_thresholds": None,
    "customer_account": None,
    "days_until_due": None,
    "default_payment_method": None,
    "default_source": None,
    "description": None,
    "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
    "latest_invoice": "in_1TGnErQK2ZHS99Rk4nuhpuoB",
    "next_pending_invoice_item_invoice": None,
    "on_behalf_of": None,
    "payment_settings": {
        "payment_method_options": None,
        "payment_method_types": None,
        "save_default_payment_method": "off",
    },
    "pending_invoice_item_interval": None,
    "pending_setup_intent": None,
    "transfer_data": None,
    "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
}
MORE_OF_INVOICE: Json = {
    "account_country": "US",
    "account_name": "Example Business",
    "account_tax_ids": None,
    "amount_overpaid": 0,
    "amount_paid": 9_500,
    "amount_remaining": 0,
    "amount_shipping": 0,
    "application": None,
    "attempt_count": 1,
    "attempted": True,
    "auto_advance": False,
    "automatic_tax": {
        "disabled_reason": None,
        "enabled": False,
        "liability": None,
        "provider": None,
        "status": None,
    },
    "automatically_finalizes_at": None,
    "custom_fields": None,
    "customer_account": None,
    "customer_address": ADDRESS,
    "customer_phone": None,
    "customer_shipping": None,
    "customer_tax_exempt": "none",
    "customer_tax_ids": [],
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "effective_at": 1_774_905_649,
    "ending_balance": 0,
    "footer": None,
    "issuer": {"type": "self"},
    "last_finalization_error": None,
    "next_payment_attempt": None,
    "on_behalf_of": None,
    "payment_settings": {
        "default_mandate": None,
        "payment_method_options": None,
        "payment_method_types": None,
    },
    "receipt_number": None,
    "rendering": None,
    "shipping_cost": None,
    "shipping_details": None,
    "starting_balance": 0,
    "statement_descriptor": None,
    "subtotal_excluding_tax": 9_500,
    "total_discount_amounts": [],
    "total_excluding_tax": 9_500,
    "total_pretax_credit_amounts": [],
    "total_taxes": [TAX | {"amount": 1_900, "taxable_amount": 9_500}],
    "webhooks_delivered_at": 1_774_905_649,
}
