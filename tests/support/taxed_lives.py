"""Random customers who pay in euro what is priced in dollars, mostly with tax inside."""

from decimal import Decimal

from hypothesis import strategies as st

from tests.billing.catalogue import Option, Price, Tier
from tests.billing.state import Item, Subscription
from tests.billing.taxes import TaxStatus
from tests.support.lives import (
    EVENTFUL,
    PRORATIONS,
    USUAL,
    Act,
    Life,
    Lived,
    beginnings,
    numbers,
    waits,
)

NINETEEN, SEVEN = Decimal(19), Decimal(7)
STATUSES = (
    TaxStatus((NINETEEN,)),
    TaxStatus((NINETEEN,), exempt=True),
    TaxStatus((SEVEN,)),
    TaxStatus(),
    TaxStatus((Decimal(5), Decimal(10))),
)
acts = st.builds(
    Act,
    waits,
    st.sampled_from(EVENTFUL + USUAL + ("tax",) * 5),
    numbers,
    numbers,
    numbers,
)
taxed_lives = st.builds(
    lambda mode, first, rest: Life(mode, [first, *rest]),
    st.sampled_from(["flexible", "classic"]),
    beginnings,
    st.lists(acts, min_size=1, max_size=9),
)


class TaxedLived(Lived):
    """``tax`` changes how the customer is taxed, from the next invoice on."""

    def __init__(self, mode: str, *, is_watched: bool = False) -> None:
        super().__init__(mode, is_watched=is_watched)
        for coupon in self.coupons:
            if coupon.amount_off is not None:
                coupon.currency = "eur"
            if coupon.percent_off == 100:  # what is free shows no tax: the engine, at
                coupon.percent_off = Decimal(25)  # a proration, would not look ahead
        self.customer.tax = STATUSES[0]

    def _prices(self) -> list[Price]:
        product = self.account.add_product("Plan")
        steps = (
            Tier(up_to=2, unit_amount=Decimal(11_900)),
            Tier(unit_amount=Decimal(5_950), flat_amount=2_380),
        )
        amounts = (
            ("month", 1, 11_900),
            ("month", 1, 23_800),
            ("year", 1, 142_800),
            ("week", 1, 2_999),
            ("month", 2, 20_000),
            ("month", 1, None),
        )
        dollars = Tier(unit_amount=Decimal(9_900))
        return [
            self.account.add_price(
                product,
                None if amount is None else 10_000,
                interval=interval,
                interval_count=count,
                tiers=() if amount else (dollars,),
                tiers_mode=None if amount else "graduated",
                tax_behavior="exclusive",
                options=(
                    Option(
                        currency="eur",
                        unit_amount=None if amount is None else Decimal(amount),
                        tiers=() if amount else steps,
                        tax_behavior="inclusive",
                    ),
                ),
            ).offered("eur")
            for interval, count, amount in amounts
        ]

    def tax(self, _sub: Subscription, act: Act) -> None:
        """Not while a proration waits that is the first to show an item's tax.

        Nor, unwatched, before each item has shown one: from what it is then seen as, the
        engine concludes what it was since it was added.
        """
        waiting = [line.item for sub in self.subs for line in sub.pending if line.item]
        items = [item for sub in self.subs for item in sub.items]
        unshown = [it for it in items if not self.is_watched or not self._is_dated(it)]
        if all(it.tax.prices for it in waiting + unshown):
            self.customer.tax = STATUSES[act.one % len(STATUSES)]

    def _is_dated(self, item: Item, without: Item | None = None) -> bool:
        """Whether what it shows first, the same bill tells to be a change or its own.

        A proration may be that, billed at the taxes of its invoice's day. Only an item that
        has shown a tax before, and is billed with it, tells whether that was another: else
        the product may have a rate of its own, and nothing in Stripe tells the two apart.
        """
        return bool(item.tax.prices) or any(
            other.tax.prices and other.price.cycle == item.price.cycle
            for other in item.subscription.items
            if other is not without
        )

    def remove(self, sub: Subscription, act: Act) -> None:
        """Not what tells how another item was taxed."""
        item = self._item(sub, act)
        if all(self._is_dated(it, item) for it in sub.items if it is not item):
            super().remove(sub, act)

    def reprice(self, sub: Subscription, act: Act) -> None:
        """For the same reason."""
        item = self._item(sub, act)
        if all(self._is_dated(it, item) for it in sub.items if it is not item):
            super().reprice(sub, act)

    def add(self, sub: Subscription, act: Act) -> None:
        """For the same reasons: at once where a new tax has not shown yet."""
        inside = self.customer.tax.inside
        is_shown = all(item.tax.inside == inside for item in sub.items)
        proration = PRORATIONS[act.three % 3]
        is_dated = is_shown or proration == "always_invoice"
        if is_dated and (self.is_watched or proration != "none"):
            super().add(sub, act)

    def carry_on(self, sub: Subscription, act: Act) -> None:
        """Not for free before a bill has shown a tax: the engine dates it by the bill."""
        is_shown = any(item.tax.prices for item in sub.items)
        super().carry_on(sub, act if is_shown else act._replace(one=act.one % 2))

    def pause(self, sub: Subscription, act: Act) -> None:
        """Drafts that stay drafts are no evidence of a rate, so none are kept."""
        behavior = ("void", "mark_uncollectible")[act.one % 2]
        self.account.pause_collection(sub, behavior)
