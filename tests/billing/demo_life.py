"""The life of one customer of the demo business, told as a generator.

It yields the instant at which it wants to be woken; in between, others live theirs.
The business sells project management to craft businesses, by the seat.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR
from tests.billing.catalogue import Price
from tests.billing.demo_names import weighted
from tests.billing.demo_shop import ADD_ONS, PLANS, SEAT, Shop
from tests.billing.state import Customer, Item, Subscription

# So that the last day finds some on their way out and some late with paying.
LAST_WEEKS = 1_792_108_800  # 2026-10-16
# Stripe's words for what may be ticked, as often as they are; None says nothing.
FEEDBACK: dict[str | None, float] = {
    None: 5,
    "too_expensive": 4,
    "missing_features": 2.5,
    "switched_service": 2,
    "unused": 2,
    "too_complex": 1,
    "customer_service": 0.5,
    "other": 1,
}
FLEXIBLE_SINCE = 1_759_190_400  # 2025-09-30, clover: the default became flexible


@dataclass(slots=True)
class Rates:
    """Chances a month, while a customer pays."""

    chances: dict[str, float] = field(
        default_factory=lambda: {
            "leave": 0.0066,
            "cancel_now": 0.0014,
            "waver": 0.006,
            "upgrade": 0.010,
            "downgrade": 0.0035,
            "more_seats": 0.047,
            "fewer_seats": 0.0085,
            "add_on": 0.010,
            "drop_add_on": 0.003,
            "go_yearly": 0.006,
            "fail": 0.020,
            "pause": 0.0016,
        }
    )


class Life:
    def __init__(
        self, account: Account, shop: Shop, customer: Customer, rng: random.Random
    ) -> None:
        self.account, self.shop, self.customer, self.rng = account, shop, customer, rng
        self.rates = Rates().chances
        self.currency = ""
        self.sub: Subscription | None = None
        self.quiet_until = 0  # no second change before the first one shows

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random()

    def later(self, low_days: float, high_days: float) -> int:
        """An instant in so many days, at office hours, off the full hour."""
        day = int(self.account.now + self.between(low_days, high_days) * DAY) // DAY
        at = day * DAY + int(self.between(7, 19) * HOUR)
        return at if at > self.account.now else at + DAY

    def live(self, currency: str) -> Iterator[int]:
        """Subscribe, live on, leave; perhaps come back."""
        self.currency = currency
        while True:
            yield from self.one_subscription()
            if not self.chance(0.34):
                return
            yield self.later(40, 230)

    def one_subscription(self) -> Iterator[int]:
        sub = self.sub = self.start()
        if sub.trial_end is not None:
            yield sub.trial_end - int(self.between(1, 3) * DAY)
            if self.chance(0.2):
                self.account.cancel_at_period_end(sub)
                yield sub.trial_end + DAY
                return
            yield sub.trial_end + 2 * HOUR
        elif sub.items[0].price.interval == "month" and self.chance(0.08):
            self.account.charge_once(sub, self.shop.setup[self.currency])
        while sub.ended_at is None:
            month = 30.4
            yield self.later(month * 0.55, month * 1.45)
            if sub.ended_at is None:
                yield from self.decide(sub)

    def start(self) -> Subscription:
        account, rng = self.account, self.rng
        plan = weighted(rng, {"Starter": 5, "Team": 4, "Business": 1.5})
        interval = weighted(rng, {"month": 3.4, "year": 1})
        low, high = {"Starter": (2, 7), "Team": (3, 14), "Business": (6, 22)}[plan]
        seats = int(self.between(low, high))
        items = [(self.price(plan, interval), seats)]
        if self.chance(0.12):
            items.append((self.price("Document vault", interval), 1))
        offers: dict[str | None, float] = {None: 12, "NONPROFIT": 0.8}
        trial = self.chance(0.3)
        if not trial and interval == "month":
            offers["SPRING50"] = 0.9
        if not trial:
            offers["WELCOME"] = 1.2
        coupon = weighted(rng, offers)
        modern = account.now >= FLEXIBLE_SINCE and self.chance(0.6)
        return account.subscribe(
            self.customer,
            items,
            trial_days=14 if trial else 0,
            coupon=self.shop.coupons[coupon] if coupon else None,
            mode="flexible" if modern else "classic",
        )

    def price(self, name: str, interval: str) -> Price:
        return self.shop.prices[name, self.currency, interval]

    def decide(self, sub: Subscription) -> Iterator[int]:
        chances = dict(self.rates)
        if sub.items[0].price.interval == "year":  # a year is a long time to wait
            for name in ("leave", "cancel_now", "fail", "waver"):
                chances[name] *= 0.6
        young = self.account.now - sub.created < 90 * DAY
        chances["leave"] *= 1.7 if young else 1
        if self.account.now > LAST_WEEKS:
            chances["leave"], chances["fail"] = chances["leave"] * 4, 0.05
        choice = weighted(self.rng, chances | {"": 1 - sum(chances.values())})
        if not choice or self.account.now < self.quiet_until or sub.cancel_at:
            return
        yield from getattr(self, choice)(sub)

    def feedback(self, sub: Subscription) -> str | None:
        """What was ticked in the portal, by dice of its own: nothing else moves."""
        return weighted(random.Random(f"feedback {sub.id}"), FEEDBACK)

    def leave(self, sub: Subscription) -> Iterator[int]:
        flag = sub.mode == "classic" or self.chance(0.5)
        said = self.feedback(sub)
        self.account.cancel_at_period_end(sub, flag=flag, feedback=said)
        assert sub.cancel_at is not None
        yield sub.cancel_at + DAY

    def cancel_now(self, sub: Subscription) -> Iterator[int]:
        if not sub.pending:
            said = self.feedback(sub)
            self.account.cancel_now(sub, prorate=self.chance(0.4), feedback=said)
        yield from ()

    def waver(self, sub: Subscription) -> Iterator[int]:
        self.account.cancel_at_period_end(sub)
        assert sub.cancel_at is not None
        yield self.account.now + int(self.between(0.3, 0.9) * DAY)
        if sub.ended_at is None:
            self.account.undo_cancel(sub)

    def proration(self, sub: Subscription) -> str:
        chosen = weighted(
            self.rng, {"create_prorations": 6, "always_invoice": 3, "none": 1.5}
        )
        if chosen == "none":
            self.quiet_until = sub.items[0].period_end
        return chosen

    def plan_change(self, sub: Subscription, by: int) -> Iterator[int]:
        item = sub.items[0]
        at = PLANS.index(item.price.product.name) + by
        if not 0 <= at < len(PLANS):
            return
        assert item.price.interval is not None
        price = self.price(PLANS[at], item.price.interval)
        if by < 0 and item.price.interval == "month":  # at the renewal
            end, kind = item.period_end, "none"
            yield max(self.account.now + 60, end - int(self.between(2, 12) * HOUR))
            if sub.ended_at is not None or item.period_end != end:
                return
            self.quiet_until = end
        else:
            kind = self.proration(sub)
        self.account.change_price(item, price, quantity=item.quantity, proration=kind)

    def upgrade(self, sub: Subscription) -> Iterator[int]:
        yield from self.plan_change(sub, 1)

    def downgrade(self, sub: Subscription) -> Iterator[int]:
        yield from self.plan_change(sub, -1)

    def seats(self, sub: Subscription, by: float) -> None:
        item = sub.items[0]
        quantity = max(1, item.quantity + round(item.quantity * by + (by > 0) * 0.6))
        if quantity == item.quantity:
            quantity = item.quantity + 1 if by > 0 else max(1, item.quantity - 1)
        if quantity != item.quantity:
            kind = self.proration(sub)
            self.account.change_quantity(item, quantity, proration=kind)

    def more_seats(self, sub: Subscription) -> Iterator[int]:
        self.seats(sub, self.between(0.08, 0.32))
        yield from ()

    def fewer_seats(self, sub: Subscription) -> Iterator[int]:
        self.seats(sub, -self.between(0.12, 0.4))
        yield from ()

    def add_ons(self, sub: Subscription) -> list[Item]:
        return [i for i in sub.items if i.price.product.name in ADD_ONS]

    def add_on(self, sub: Subscription) -> Iterator[int]:
        have = {item.price.product.name for item in self.add_ons(sub)}
        for name in ADD_ONS:
            if name in have:
                continue
            interval = sub.items[0].price.interval
            assert interval is not None
            seats = sub.items[0].quantity if name in SEAT else 1
            self.account.add_item(
                sub,
                self.price(name, interval),
                seats,
                proration=weighted(
                    self.rng, {"create_prorations": 3, "always_invoice": 1}
                ),
            )
            break
        yield from ()

    def drop_add_on(self, sub: Subscription) -> Iterator[int]:
        for item in self.add_ons(sub)[:1]:
            self.account.remove_item(item)
        yield from ()

    def go_yearly(self, sub: Subscription) -> Iterator[int]:
        if sub.items[0].price.interval == "month":
            wanted = {
                item: (self.price(item.price.product.name, "year"), item.quantity)
                for item in sub.items
            }
            self.account.change_prices(sub, wanted, proration="always_invoice")
        yield from ()

    def pause(self, sub: Subscription) -> Iterator[int]:
        """The winter break: invoices are void, the subscription stays active."""
        if sub.items[0].price.interval == "month" and sub.status == "active":
            self.account.pause_collection(sub)
            yield self.later(35, 75)
            if sub.ended_at is None:
                self.account.resume_collection(sub)

    def fail(self, sub: Subscription) -> Iterator[int]:
        """The card is declined at the next renewal; most get it right in time."""
        end = sub.items[0].period_end
        if end - self.account.now > 31 * DAY:
            return
        self.account.fail_payments(self.customer)
        yield end + int(self.between(3, 11) * DAY)
        if sub.ended_at is None and sub.status != "past_due":
            self.account.recover(self.customer)
            return
        if self.chance(0.86):
            self.account.recover(self.customer)
            return
        yield end + int(self.between(20, 25) * DAY)
        if sub.ended_at is None and self.chance(0.4):
            self.account.give_up(sub, into="unpaid")
            yield self.account.now + int(self.between(4, 20) * DAY)
        if sub.ended_at is None:
            self.account.give_up(sub)
        self.customer.pays = True
