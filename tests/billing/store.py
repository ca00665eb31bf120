"""Everything an account holds, its clock, and the booking of each change."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal

from tests.billing import render, render_invoice
from tests.billing.catalogue import Coupon, Option, Price, Product, Tier
from tests.billing.ids import Ids
from tests.billing.state import (
    Change,
    Customer,
    Invoice,
    Item,
    Json,
    Sighting,
    Subscription,
)
from tests.billing.truth import item_mrr_minor

Task = Callable[[], None]
# At one instant: what ends comes before what renews, and payments come last.
ENDS, LAPSES, RENEWS, FINALIZES = range(4)


class Store:
    """``events_from``: events older than this are not rendered (to be fast)."""

    def __init__(
        self,
        now: int,
        *,
        seed: int = 1,
        events_from: int = 0,
        once_counts: bool = False,
        usage_counts: bool = False,
        coupon_settings: Iterable[tuple[bool, bool]] = (),
    ) -> None:
        """``coupon_settings``: (repeating, once) subtracted, booked beside the truth."""
        self.now = now
        self.coupon_settings = tuple(coupon_settings)
        self.once_counts = once_counts
        self.usage_counts = usage_counts
        self.ids = Ids(seed)
        self.events_from = events_from
        self.products: list[Product] = []
        self.prices: list[Price] = []
        self.coupons: list[Coupon] = []
        self.customers: list[Customer] = []
        self.subscriptions: list[Subscription] = []
        self.invoices: dict[str, Invoice] = {}
        self.events: list[tuple[str, Json]] = []  # with the subscription's id
        self.shown: dict[str, set[str]] = {}  # discount → invoices that show it
        self._due: list[tuple[int, int, int, Task]] = []
        self._tasks = 0

    def new_id(self, prefix: str) -> str:
        return self.ids.new(prefix, self.now)

    def at(self, when: int, rank: int, task: Task) -> None:
        """Do ``task`` when the clock reaches ``when``."""
        self._tasks += 1
        heapq.heappush(self._due, (when, rank, self._tasks, task))

    def advance(self, to: int) -> None:
        """Move the clock to ``to`` and do all that falls due up to and including it."""
        assert to >= self.now, "time only moves forward"
        while self._due and self._due[0][0] <= to:
            when, _, _, task = heapq.heappop(self._due)
            self.now = when
            task()
        self.now = to

    def add_product(self, name: str, *, unit_label: str | None = None) -> Product:
        made = Product(
            id=self.new_id("prod"), name=name, created=self.now, unit_label=unit_label
        )
        self.products.append(made)
        return made

    def add_price(
        self,
        product: Product,
        unit_amount: int | str | None = None,
        *,
        currency: str = "usd",
        interval: str | None = "month",
        interval_count: int = 1,
        metered: bool = False,
        tiers: tuple[Tier, ...] = (),
        tiers_mode: str | None = None,
        divide_by: int | None = None,
        divide_round: str = "up",
        nickname: str | None = None,
        tax_behavior: str = "unspecified",
        options: tuple[Option, ...] = (),
    ) -> Price:
        """``unit_amount`` in minor units; a string may hold fractions of a cent."""
        made = Price(
            id=self.new_id("price"),
            product=product,
            currency=currency,
            created=self.now,
            interval=interval,
            interval_count=interval_count,
            unit_amount=None if unit_amount is None else Decimal(unit_amount),
            metered=metered,
            tiers=tiers,
            tiers_mode=tiers_mode,
            divide_by=divide_by,
            divide_round=divide_round,
            nickname=nickname,
            tax_behavior=tax_behavior,
            options=options,
        )
        self.prices.append(made)
        return made

    def add_coupon(
        self,
        coupon_id: str,
        *,
        percent_off: int | str | None = None,
        amount_off: int | None = None,
        currency: str | None = None,
        duration: str = "forever",
        months: int | None = None,
        name: str | None = None,
    ) -> Coupon:
        made = Coupon(
            id=coupon_id,
            created=self.now,
            percent_off=None if percent_off is None else Decimal(percent_off),
            amount_off=amount_off,
            currency=currency,
            duration=duration,
            duration_in_months=months,
            name=name,
        )
        self.coupons.append(made)
        return made

    def add_customer(
        self,
        name: str = "Customer",
        *,
        email: str = "customer@example.com",
        country: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Customer:
        made = Customer(
            id=self.new_id("cus"),
            created=self.now,
            name=name,
            email=email,
            prefix=self.ids.word(),
            country=country,
            metadata=metadata or {},
        )
        self.customers.append(made)
        return made

    @contextmanager
    def change(self, sub: Subscription) -> Iterator[None]:
        """Whatever happens to ``sub`` inside: book its MRR and write its event."""
        watched = self.now >= self.events_from
        before = render.subscription(sub) if watched else None
        yield
        self.book(sub)
        if before is not None:
            after = render.subscription(sub)
            if after["status"] == "canceled" and before["status"] != "canceled":
                self.write_event(sub, "deleted", None, after)
            elif after != before:
                self.write_event(sub, "updated", before, after)

    def write_event(
        self, sub: Subscription, kind: str, before: Json | None, after: Json
    ) -> None:
        full = f"customer.subscription.{kind}"
        made = render_invoice.event(self.new_id("evt"), full, self.now, before, after)
        self.events.append((sub.id, made))

    def book(self, sub: Subscription) -> None:
        """Write down what each item's MRR is from now on."""
        self._note_request(sub)
        for item in sub.all_items:
            counts = {"once": self.once_counts, "usage": self.usage_counts}
            mrr_minor = item_mrr_minor(item, self.now, **counts)
            self._book(item.changes, mrr_minor)
            if item.if_dropped is not None:
                own, _ = item.if_dropped
                mrr_minor = item_mrr_minor(item, self.now, **counts, if_dropped=True)
                self._book(own, mrr_minor)
            for repeating, once in self.coupon_settings:
                own = item.changes_under.setdefault((repeating, once), [])
                mrr_minor = item_mrr_minor(
                    item, self.now, once=once, repeating=repeating
                )
                self._book(own, mrr_minor)

    def _book(self, changes: list[Change], mrr_minor: int) -> None:
        if changes and mrr_minor == changes[-1].mrr_minor:
            return
        if changes and changes[-1].at == self.now:
            changes.pop()
        changes.append(Change(self.now, mrr_minor))

    def _note_request(self, sub: Subscription) -> None:
        """Since when leaving was asked for, and until when that stood."""
        is_open = bool(sub.asked) and sub.asked[-1][1] is None
        if sub.canceled_at is not None and not is_open:
            sub.asked.append((self.now, None))
        elif sub.canceled_at is None and is_open:
            sub.asked[-1] = (sub.asked[-1][0], self.now)

    def see(self, item: Item, source: str) -> None:
        """Stripe's objects show, from now on, what the item has become now."""
        item.sightings.append(Sighting(self.now, source))
