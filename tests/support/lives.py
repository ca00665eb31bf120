"""Random customers: what they do and when, and the account in which they do it.

An ``Act`` that is impossible at its moment (removing the last item, cancelling what has
ended) is skipped, so that every list of acts is a life.
"""

from collections.abc import Callable
from copy import copy
from decimal import Decimal
from typing import NamedTuple

from hypothesis import strategies as st

from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR, instant
from tests.billing.catalogue import Coupon, Price, Tier
from tests.billing.state import COUNTS, Item, Subscription

BORN = instant("2023-01-30T17:20:00")
MODES = ("flexible", "classic", "included", "itemized")
PRORATIONS = ("create_prorations", "always_invoice", "none")


class Act(NamedTuple):
    """After ``wait_s`` the customer does ``what``; the numbers choose among options."""

    wait_s: int
    what: str
    one: int = 0
    two: int = 0
    three: int = 0


class Life(NamedTuple):
    mode: str
    acts: list[Act]


numbers = st.integers(0, 11)
waits = st.one_of(
    st.integers(120, 3 * HOUR),  # objects of one minute may be one request
    st.integers(HOUR, 20 * DAY),
    st.integers(DAY, 200 * DAY),
    st.sampled_from([DAY, 14 * DAY, 28 * DAY, 30 * DAY, 31 * DAY, 365 * DAY]),
)
EVENTFUL = (
    "reprice",
    "resize",
    "add",
    "remove",
    "cancel_now",
    "cancel_at_period_end",
    "cancel_on_a_day",
    "stay",
    "discount",
    "undiscount",
    "swap",
    "change_plan",
    "stop_paying",
    "pay_again",
    "give_up",
    "pause",
    "resume",
    "halt",
    "carry_on",
    "try_again",
    "come_back",
)
# All that may be done to who is paused.
WHILE_PAUSED = frozenset({"carry_on", "cancel_now", "cancel_on_a_day", "stay"})
CHANGES = frozenset({"reprice", "resize", "add", "remove", "change_plan"})
# The engine dates what an unwatched account shows item by item, not discount by discount.
ONLY_WATCHED = frozenset({"discount", "undiscount", "swap", "change_plan"})
# Twice as often as the rest: they are what most lives are made of.
USUAL = ("reprice", "resize", "add", "come_back")
acts = st.builds(
    Act, waits, st.sampled_from(EVENTFUL + USUAL), numbers, numbers, numbers
)
beginnings = st.builds(Act, waits, st.just("come_back"), numbers, numbers, numbers)
lives = st.builds(
    lambda mode, first, rest: Life(mode, [first, *rest]),
    st.sampled_from(MODES),
    beginnings,
    st.lists(acts, min_size=1, max_size=9),
)


class Lived:
    """One customer's account, and the acts as methods."""

    def __init__(
        self, mode: str, *, is_watched: bool = False, account: Account | None = None
    ) -> None:
        self.account = account or Account(BORN)
        self.mode = "classic" if mode == "classic" else "flexible"
        self.prorations = mode if mode in ("included", "itemized") else "net"
        self.is_watched = is_watched
        self.customer = self.account.add_customer()
        self.subs: list[Subscription] = []
        self.prices = self._prices()
        add = self.account.add_coupon
        self.coupons = [
            add("HALF", percent_off=50),
            add("TENTH", percent_off=10, duration="repeating", months=3),
            add("ONCE", percent_off=20, duration="once"),
            add("FREE", percent_off=100, duration="repeating", months=2),
            # Off a whole subscription, it moves items that nothing has happened to.
            add("OFF3", amount_off=300, currency="usd"),
            add("SOME", amount_off=450, currency="usd", duration="repeating", months=4),
        ]

    def neighbour(self) -> "Lived":
        """Another customer of the same account, who has bought nothing yet."""
        other = copy(self)
        other.customer, other.subs = self.account.add_customer(), []
        return other

    def _prices(self) -> list[Price]:
        product = self.account.add_product("Plan")
        add = self.account.add_price
        steps = (
            Tier(up_to=2, unit_amount=Decimal(700)),
            Tier(unit_amount=Decimal(500), flat_amount=90),
        )
        return [
            add(product, 1_000),
            add(product, 2_500),
            add(product, 12_000, interval="year"),
            add(product, 25_000, interval="year"),
            add(product, 900, interval="week"),
            add(product, 5_000, interval_count=2),
            add(product, tiers=steps, tiers_mode="graduated"),
            add(product, "33.5", divide_by=2),
            add(product, 0),
        ]

    def do(self, act: Act) -> None:
        self.account.advance(self.account.now + act.wait_s)
        if self.account.now in self._renewals():
            # In the second of a renewal nothing shows whether it was before or after.
            self.account.advance(self.account.now + 10 * 60)
        sub = self.subs[act.three % len(self.subs)] if self.subs else None
        if act.what == "come_back":
            self.come_back(act)
        elif act.what == "stop_paying":
            self.account.fail_payments(self.customer)
        elif act.what == "pay_again":
            self.account.recover(self.customer)
        elif sub is not None and sub.ended_at is None and sub.status != "incomplete":
            if act.what in ONLY_WATCHED and not self.is_watched:
                return
            if sub.status == "paused" and act.what not in WHILE_PAUSED:
                return
            # What is unpaid is billed by drafts alone, which are no proof.
            if sub.status == "unpaid" and act.what in CHANGES and not self.is_watched:
                return
            deed: Callable[[Subscription, Act], None] = getattr(self, act.what)
            deed(sub, act)

    def _renewals(self) -> set[int]:
        """The starts of the periods; of one that paused, the end of its last too."""
        items = [item for sub in self.subs for item in sub.items]
        return {at for item in items for at in (item.period_start, item.period_end)}

    def come_back(self, act: Act) -> None:
        if len([s for s in self.subs if s.ended_at is None]) == 2:
            return
        coupon = dict(enumerate(self.coupons[:4])).get(act.three)
        if (
            coupon is not None
            and coupon.duration == "repeating"
            and not self.is_watched
        ):
            coupon = None
        price = self._price(act.one)
        more = [(self._like(price, act.two), 1)] if act.two % 4 == 3 else []
        made = self.account.subscribe(
            self.customer,
            [(price, 1 + act.two % 3), *more],
            trial_days=14 if act.one == 11 else 0,
            coupon=coupon,
            mode=self.mode,
            needs_card=act.one == 11 and act.two % 2 == 0,
            is_sent=act.three == 11,
            prorations=self.prorations,
        )
        self.subs.append(made)

    def _price(self, n: int) -> Price:
        return self.prices[n % len(self.prices)]

    def _like(self, price: Price, n: int) -> Price:
        """A price that may stand beside ``price``: in classic mode, as often billed."""
        if self.mode == "flexible":
            return self._price(n)
        same = [p for p in self.prices if p.cycle == price.cycle]
        return same[n % len(same)]

    def _item(self, sub: Subscription, act: Act) -> Item:
        return sub.items[act.one % len(sub.items)]

    def reprice(self, sub: Subscription, act: Act) -> None:
        item = self._item(sub, act)
        price = self._price(act.two)
        if self.mode == "classic" and len(sub.items) > 1:
            price = self._like(item.price, act.two)
        if sub.status in ("trialing", "unpaid") and price.cycle != item.price.cycle:
            return  # the engine does not play it
        proration = self._prorated(item, price, act)
        billed_until = self.account.billed_until(sub, waiting=False)
        if not self.is_watched and billed_until < item.period_end:
            # To and fro without a bill leaves time unbilled, as a pause does; also where
            # a cancellation drops what was to bill it.
            proration = "always_invoice"
        self.account.change_price(
            item, price, quantity=1 + act.three % 3, proration=proration
        )

    def _prorated(self, _item: Item, _price: Price, act: Act) -> str:
        return PRORATIONS[act.one % 3]

    def resize(self, sub: Subscription, act: Act) -> None:
        self.account.change_quantity(
            self._item(sub, act), 1 + act.two % 5, proration=PRORATIONS[act.three % 3]
        )

    def add(self, sub: Subscription, act: Act) -> None:
        if len(sub.items) < 3 and sub.status != "trialing":
            price = self._like(sub.items[0].price, act.two)
            self.account.add_item(
                sub, price, 1 + act.one % 2, proration=PRORATIONS[act.three % 3]
            )

    def remove(self, sub: Subscription, act: Act) -> None:
        proration = PRORATIONS[act.two % 3]
        if not self.is_watched and any(i.created > sub.created for i in sub.items):
            # Else nothing might show whether it made way for the newer item.
            proration = "always_invoice"
        if len(sub.items) > 1:
            self.account.remove_item(self._item(sub, act), proration=proration)

    def halt(self, sub: Subscription, act: Act) -> None:
        until = max(item.period_end for item in sub.items)
        is_billed = self.account.billed_until(sub, waiting=False) >= until
        # Where time before it was not billed either, nothing tells the two apart; nor
        # where a cancellation drops what was to bill it.
        if sub.status in COUNTS and (is_billed or self.is_watched):
            self.account.pause(sub, credit=act.two % 3 == 2)

    def carry_on(self, sub: Subscription, act: Act) -> None:
        if sub.status == "paused" and self.customer.pays and not self._is_soon(sub):
            ways = (
                ("now", "unchanged", "none")
                if self.is_watched
                else ("now", "unchanged")
            )
            self.account.resume(sub, anchor=ways[act.one % len(ways)])

    def _is_soon(self, sub: Subscription) -> bool:
        """Within a day after a trial nothing shows that it ended paused."""
        covered = self.account.billed_until(sub)
        is_tried = sub.status == "paused" and covered == sub.trial_end
        return is_tried and not self.is_watched and self.account.now <= covered + DAY

    def try_again(self, sub: Subscription, act: Act) -> None:
        is_leaving = sub.cancel_at is not None
        if not self.is_watched and sub.removed_items:
            return  # whether they went before nothing shows, where they were paid beyond
        if sub.status == "active" and not is_leaving and self.account.has_paid(sub):
            self.account.try_again(sub, 10 + act.one)

    def cancel_now(self, sub: Subscription, act: Act) -> None:
        if self._is_soon(sub):
            return
        self.account.cancel_now(
            sub, prorate=act.one % 2 == 1, invoice_now=act.two % 2 == 1
        )

    def cancel_at_period_end(self, sub: Subscription, act: Act) -> None:
        self.account.cancel_at_period_end(sub, flag=act.one % 2 == 1)

    def cancel_on_a_day(self, sub: Subscription, act: Act) -> None:
        at = self.account.now + (1 + act.one * 9) * DAY
        tried = sub.trial_end if sub.needs_card and not self.is_watched else None
        if tried is None or not tried < at <= tried + DAY:  # as soon, as above
            self.account.cancel_at(sub, at)

    def stay(self, sub: Subscription, _act: Act) -> None:
        self.account.undo_cancel(sub)

    def discount(self, sub: Subscription, act: Act) -> None:
        if len(sub.discounts) < 3:
            item = self._item(sub, act) if act.two % 3 == 2 else None
            self.account.add_discount(sub, self._coupon(act.one), item=item)

    def undiscount(self, sub: Subscription, act: Act) -> None:
        if sub.discounts:
            made = sub.discounts[act.one % len(sub.discounts)]
            self.account.remove_discount(sub, made)

    def _coupon(self, n: int) -> Coupon:
        return self.coupons[n % len(self.coupons)]

    def swap(self, sub: Subscription, act: Act) -> None:
        coupons = [self._coupon(n) for n in (act.one, act.two)[: 1 + act.three % 2]]
        item = self._item(sub, act) if act.two % 4 == 3 else None
        self.account.swap_discounts(sub, coupons, item)

    def change_plan(self, sub: Subscription, act: Act) -> None:
        """Another price of the interval and other coupons, or none, in one request."""
        item = self._item(sub, act)
        if sub.status not in ("active", "past_due") or item.price.metered:
            return
        same = [p for p in self.prices if p.cycle == item.price.cycle]
        coupons = [self._coupon(act.three)] if act.three < len(self.coupons) else []
        self.account.change_price_and_discounts(
            item,
            same[act.two % len(same)],
            coupons,
            of_item=act.two % 5 == 4,
            proration=PRORATIONS[act.one % 3],
        )

    def give_up(self, sub: Subscription, act: Act) -> None:
        if sub.status in ("past_due", "unpaid"):
            if sub.status == "past_due" and act.one % 4 == 1:
                self.account.give_up(sub, into="unpaid")
            elif sub.status == "past_due" and act.one % 4 == 2:
                self.halt(sub, act)
            else:
                self.account.give_up(sub, into="canceled")

    def pause(self, sub: Subscription, act: Act) -> None:
        behaviors = ["void", "mark_uncollectible"]
        if self.is_watched:
            behaviors.append("keep_as_draft")  # its lines may be edited: no proof
        self.account.pause_collection(sub, behaviors[act.one % len(behaviors)])

    def resume(self, sub: Subscription, _act: Act) -> None:
        self.account.resume_collection(sub)
