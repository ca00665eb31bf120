"""Money that is invoiced beside subscriptions, and in which class of coverage it is.

Licence fees of pricing plans, contracts and whatever else a preview bills, as an invoice
of the released version may show them; retainers, usage and one-off work that a person or
another program puts on invoices. The truth is by docs/definitions.md, *Coverage*, and is
known because it is this module that makes the money recur.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR, add_months
from tests.billing.state import Customer, Json

# How long a period is, and when the next begins: of a kind of interval.
MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Types of a line's parent that no version released so far names.
PREVIEW = (
    "license_fee_subscription_details",
    "pricing_plan_subscription_details",
    "rate_card_subscription_details",
    "schedule_details",
    "unheard_of_details",
)


@dataclass(slots=True, kw_only=True)
class OutsideInvoice:
    """``manual`` tells a line written by hand; else ``parent`` is its type, or None."""

    id: str
    customer: Customer
    created: int
    amount: int
    start: int
    end: int
    description: str
    product: str | None
    status: str = "paid"
    manual: bool = True
    parent: str | None = "invoice_item_details"
    pricing: str = "price_details"
    taken: int = 0  # by a discount
    tax: int = 0  # inside the amount
    currency: str = "usd"
    series: int = 0  # which series it belongs to; 0 is one-off

    @property
    def net(self) -> int:
        return self.amount - self.taken - self.tax


@dataclass(slots=True, kw_only=True)
class Series:
    """Bills again and again. ``times`` were due, the last one from and to when."""

    number: int
    every: str
    amount: int
    times: int = 0
    last: int = 0
    last_ends: int = 0
    taken_back: int | None = None  # since when the rest of the last one is credited

    def monthly(self) -> Fraction:
        """What it bills a month."""
        if self.every == "week":
            return Fraction(self.amount * 52, 12)
        return Fraction(self.amount, MONTHS[self.every])

    def pays(self, at: int) -> bool:
        """By period: to the end of the last one and five days more."""
        ends = self.last_ends + 5 * DAY
        if self.taken_back is not None:
            ends = self.taken_back
        return self.times > 0 and at < ends


@dataclass(slots=True)
class Outside:
    """What is invoiced beside the subscriptions of an account."""

    account: Account
    invoices: list[OutsideInvoice] = field(default_factory=list)
    series: dict[int, Series] = field(default_factory=dict)

    def once(
        self, customer: Customer, amount: int, at: int, **more: object
    ) -> OutsideInvoice:
        """One-off work, or a manual credit where the amount is negative."""
        number = len(self.invoices)
        made = OutsideInvoice(
            id=f"in_outside_{number}",
            customer=customer,
            created=at,
            amount=amount,
            start=at,
            end=at,
            description=f"Work of another kind {_letters(number)}",
            product=None,
        )
        for name, value in more.items():
            setattr(made, name, value)
        self.invoices.append(made)
        return made

    def again(
        self,
        customer: Customer,
        amount: int,
        since: int,
        *,
        every: str = "month",
        until: int | None = None,
        with_period: bool = True,
        void_every: int = 0,
        **more: object,
    ) -> Series:
        """The same every week, month, quarter or year, up to now (or ``until``).

        Every so manieth invoice is void; 0 is none.
        """
        number = len(self.series) + 1
        made = self.series[number] = Series(number=number, every=every, amount=amount)
        at, count = since, 0
        while at <= min(self.account.now, until or self.account.now):
            count += 1
            following = _after(since, every, count)
            is_void = void_every and count % void_every == 0
            self.once(
                customer,
                amount,
                at,
                end=following if with_period else at,
                description=f"Retainer {_letters(number)}, {count}",
                series=number,
                status="void" if is_void else "paid",
                **more,
            )
            if not is_void:
                made.times, made.last, made.last_ends = made.times + 1, at, following
            at = following
        return made

    def take_back(self, own: Series) -> None:
        """Credit the second half of its last period, once that has begun."""
        if not own.times or (own.last + own.last_ends) // 2 > self.account.now:
            return
        last = next(x for x in reversed(self.invoices) if x.series == own.number)
        own.taken_back = (own.last + own.last_ends) // 2
        self.once(
            last.customer,
            -(last.amount - last.amount // 2),
            own.taken_back,
            end=last.end,
            description=last.description,
            manual=last.manual,
            parent=last.parent,
        )

    def truth(self, bill: OutsideInvoice) -> str:
        """The class of its line, as a look now sees it."""
        if bill.status in ("draft", "void"):
            return "not_due"
        if not bill.manual:
            return "recurring_not_counted" if bill.net > 0 else "adjustment"
        own = self.series.get(bill.series)
        if own is None or bill.net <= 0:
            return "one_off"
        fades = own.last + HOUR + 3 * (own.last_ends - own.last) // 2
        recurs = own.times >= 3 and self.account.now <= fades
        return "recurring_not_counted" if recurs else "one_off"

    def snapshot(self) -> dict[str, list[Json]]:
        """The account's lists, with these invoices among its own."""
        lists = self.account.snapshot()
        made = [_invoice(each) for each in self.invoices]
        every = [*lists["invoices"], *made]
        every.sort(key=lambda each: -each["created"])
        return {**lists, "invoices": every}


def _after(since: int, every: str, count: int) -> int:
    if every == "week":
        return since + count * 7 * DAY
    return add_months(since, count * MONTHS[every])


def _letters(number: int) -> str:
    """A word for a number: digits do not tell descriptions apart."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _parent(bill: OutsideInvoice) -> Json | None:
    if bill.parent is None:
        return None
    details: Json = {"invoice_item_details": None, "subscription_item_details": None}
    if bill.manual:
        details["invoice_item_details"] = {
            "invoice_item": f"ii_{bill.id}",
            "proration": False,
            "proration_details": {"credited_items": None},
            "subscription": None,
        }
    return {**details, "type": bill.parent}


def _pricing(bill: OutsideInvoice) -> Json:
    details = {
        "price": f"price_{bill.id}",
        "product": bill.product or f"prod_{bill.id}",
    }
    shown = {"price_details": details} if bill.pricing == "price_details" else {}
    return {**shown, "type": bill.pricing, "unit_amount_decimal": str(bill.amount)}


def _line(bill: OutsideInvoice) -> Json:
    taxable = bill.net
    tax = {"amount": bill.tax, "tax_behavior": "inclusive", "taxable_amount": taxable}
    taken = {"amount": bill.taken, "discount": "di_outside"}
    return {
        "id": f"il_{bill.id}",
        "object": "line_item",
        "amount": bill.amount,
        "currency": bill.currency,
        "description": bill.description,
        "discount_amounts": [taken] if bill.taken else [],
        "discounts": [],
        "invoice": bill.id,
        "parent": _parent(bill),
        "period": {"start": bill.start, "end": bill.end},
        "pricing": _pricing(bill),
        "quantity": 1,
        "taxes": [tax] if bill.tax else [],
    }


def _invoice(bill: OutsideInvoice) -> Json:
    finalized = None if bill.status == "draft" else bill.created + HOUR
    return {
        "id": bill.id,
        "object": "invoice",
        "billing_reason": "manual",
        "created": bill.created,
        "currency": bill.currency,
        "customer": bill.customer.id,
        "discounts": [],
        "due_date": None,
        "lines": {"object": "list", "data": [_line(bill)], "has_more": False},
        "livemode": False,
        "parent": None,
        "status": bill.status,
        "status_transitions": {
            "finalized_at": finalized,
            "paid_at": finalized if bill.status == "paid" else None,
            "voided_at": finalized if bill.status == "void" else None,
            "marked_uncollectible_at": None,
        },
        "subtotal": bill.amount - bill.taken,
        "total": bill.amount - bill.taken,
        "total_excluding_tax": bill.net,
    }
