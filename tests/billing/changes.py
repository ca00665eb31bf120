"""Changes of a running subscription: price, quantity, items, interval, discounts."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.billing import taxes
from tests.billing.calendar_ import DAY, add_months, period_at
from tests.billing.catalogue import Coupon, Price, half_up
from tests.billing.discounting import no_longer, replaced_by
from tests.billing.invoicing import Invoicing
from tests.billing.state import COUNTS, Discount, Invoice, Item, Sighting, Subscription

CREATE, ALWAYS, NONE = "create_prorations", "always_invoice", "none"


class Changes(Invoicing):
    """``proration``: create_prorations | always_invoice | none, as Stripe spells it."""

    def change_quantity(
        self, item: Item, quantity: int, *, proration: str = CREATE
    ) -> None:
        self._replace(item, item.price, quantity, proration)

    def change_price(
        self,
        item: Item,
        price: Price,
        *,
        quantity: int | None = None,
        proration: str = CREATE,
    ) -> None:
        """A quantity that is not passed falls back to 1, as in Stripe."""
        self.change_prices(
            item.subscription, {item: (price, quantity or 1)}, proration=proration
        )

    def change_prices(
        self,
        sub: Subscription,
        wanted: dict[Item, tuple[Price, int]],
        *,
        proration: str = CREATE,
    ) -> None:
        """Several items in one request; with another interval, all of them."""
        moved = [i for i, (p, _) in wanted.items() if p.cycle != i.price.cycle]
        if not moved:
            with self._request(sub, proration):
                for item, (price, quantity) in wanted.items():
                    self._swap(item, price, quantity, proration)
        elif sub.mode == "classic":
            assert set(wanted) == set(sub.items), "classic: one interval for all items"
            self._reset_anchor(sub, wanted, proration)
        else:
            with self._request(sub, proration):
                for item, (price, quantity) in wanted.items():
                    self._swap(item, price, quantity, proration)
                    self.renew_later(sub, item.period_end)

    def add_item(
        self,
        sub: Subscription,
        price: Price,
        quantity: int = 1,
        *,
        proration: str = CREATE,
    ) -> Item:
        same = [i for i in sub.items if i.price.cycle == price.cycle]
        if sub.mode == "classic":
            assert same, "classic: one interval for all items"
        with self._request(sub, proration):
            item = self.new_item(sub, price, quantity)
            if same:
                item.period_start = same[0].period_start
                item.period_end = same[0].period_end
            if self._prorates(item, proration):
                sub.pending.append(self.debit(item))
            else:
                self._takes_the_place_of(sub.removed_items, item)
        self.see(item, "item")
        self.renew_later(sub, item.period_end)
        return item

    def swap_item(
        self, item: Item, price: Price, quantity: int = 1, *, proration: str = CREATE
    ) -> Item:
        """Delete an item and add another at once: a documented way to upgrade."""
        added = self.add_item(item.subscription, price, quantity, proration=proration)
        self.remove_item(item, proration=proration)
        if not self._prorates(added, proration):
            self._takes_the_place_of([item], added)
        return added

    def _takes_the_place_of(self, removed: list[Item], added: Item) -> None:
        """Without prorations, what was removed in its period made way for the new.

        Only the new item itself says when it was added, and only while it is there.
        """
        for item in removed:
            if item.period_end > self.now:
                self.see(item, f"successor {added.id}")

    def remove_item(self, item: Item, *, proration: str = CREATE) -> None:
        sub = item.subscription
        assert len(sub.items) > 1, "the last item goes with its subscription"
        with self._request(sub, proration):
            self._take_back(item, proration)
            self._bill_usage(item)
            sub.items.remove(item)
            sub.removed_items.append(item)
            item.removed = True

    def add_discount(
        self, sub: Subscription, coupon: Coupon, *, item: Item | None = None
    ) -> Discount:
        with self.change(sub):
            made = self.new_discount(sub, coupon, item)
        for one in sub.items:
            self.see(one, made.id)
        self.lapse_later(sub, made)
        return made

    def remove_discount(self, sub: Subscription, made: Discount) -> None:
        with self.change(sub):
            self._take_away(sub, made)

    def _take_away(self, sub: Subscription, made: Discount) -> None:
        for holder in sub.holders:
            holder.discounts = [d for d in holder.discounts if d is not made]
        no_longer(sub, [made])

    def swap_discounts(
        self, sub: Subscription, coupons: list[Coupon], item: Item | None = None
    ) -> None:
        """All at one place replaced by new ones, in one request."""
        with self.change(sub):
            self._give(sub, coupons, item)

    def _give(
        self, sub: Subscription, coupons: list[Coupon], item: Item | None
    ) -> None:
        for made in list((item or sub).discounts):
            self._take_away(sub, made)
        for coupon in coupons:
            self.lapse_later(sub, self.new_discount(sub, coupon, item))

    def change_price_and_discounts(
        self,
        item: Item,
        price: Price,
        coupons: list[Coupon],
        *,
        of_item: bool = False,
        proration: str = ALWAYS,
    ) -> None:
        """Another price of the same interval, and other discounts, in one request."""
        with self._request(item.subscription, proration):
            self._take_back(item, proration)
            self._give(item.subscription, coupons, item if of_item else None)
            item.price, item.quantity = price, 1
            if self._prorates(item, proration):
                item.subscription.pending.append(self.debit(item))

    def charge_once(
        self, sub: Subscription, price: Price, description: str | None = None
    ) -> None:
        """A one-off invoice item at a one-time price: with the next cycle invoice."""
        assert price.interval is None, f"{price.id} recurs"
        amount = half_up(price.amount(1))
        made = self.line(
            sub.items[0],
            amount=amount,
            description=description or price.product.name,
            period=(self.now, self.now),
            quantity=1,
        )
        made.item, made.price, made.unit_amount = None, price, str(amount)
        made.invoice_item = self.new_id("ii")
        sub.pending.append(made)

    def new_item(self, sub: Subscription, price: Price, quantity: int) -> Item:
        start, end = period_at(sub.anchor, *price.cycle, self.now)
        made = Item(
            id=self.new_id("si"),
            subscription=sub,
            price=price,
            quantity=quantity,
            created=self.now,
            period_start=start,
            period_end=end,
        )
        sub.items.append(made)
        return made

    def new_discount(
        self, sub: Subscription, coupon: Coupon, item: Item | None = None
    ) -> Discount:
        end = None
        if coupon.duration == "repeating":
            assert coupon.duration_in_months
            end = add_months(self.now, coupon.duration_in_months)
        made = Discount(
            id=self.new_id("di"),
            coupon=coupon,
            start=self.now,
            end=end,
            customer=sub.customer.id,
            subscription=sub.id,
            subscription_item=item.id if item else None,
        )
        coupon.times_redeemed += 1
        (item or sub).discounts.append(made)
        sub.given.append(made)
        if coupon.duration != "once":  # which begins with what it reduces
            replaced_by(sub, made)
        return made

    def invoice_pending(self, sub: Subscription) -> Invoice | None:
        """All that is pending, on an invoice of its own."""
        if not sub.pending:
            return None
        lines, sub.pending = sub.pending, []
        start = min(item.period_start for item in sub.items)
        made = self.invoice(sub, "subscription_update", lines, period_start=start)
        taxes.note(made.lines, self.now)
        return made

    def _prorates(self, item: Item, proration: str) -> bool:
        billed = item.subscription.status in COUNTS
        return proration != NONE and billed and not item.price.metered

    def billed_until(self, sub: Subscription, *, waiting: bool = True) -> int:
        """The end of what was billed, or tried, and not taken back.

        Also by what is ``waiting`` for an invoice.
        """
        lines = [x for i in self.invoices.values() for x in i.lines]
        lines += sub.pending if waiting else []
        own = [x for x in lines if x.subscription is sub and x.item is not None]
        ends = [sub.created, sub.trial_end or 0]
        taken = [x for x in own if x.credits is not None or x.amount < 0]
        for line in own:
            if line not in taken:
                back = [
                    c.start
                    for c in taken
                    if c.item is line.item
                    and c.date >= line.date
                    and line.start <= c.start < line.end
                    and (line.date, line.start) < (c.date, c.start)
                ]
                ends.append(min([line.end, *back]))
        return max(ends)

    def see_unbilled(self, sub: Subscription) -> None:
        """That nothing was billed since then shows that nothing counted."""
        covered = self.billed_until(sub)
        if self.now > covered + DAY:
            for item in sub.all_items:
                item.sightings.append(Sighting(covered, "unbilled"))

    def _take_back(self, item: Item, proration: str) -> bool:
        """Credit what the item was billed; nothing where nothing ever was."""
        was_billed = item.last_line is not None or bool(item.billed_net)
        is_credited = was_billed and self._prorates(item, proration)
        if is_credited:
            item.subscription.pending.append(self.credit(item))
        return is_credited

    def _note_metered(self, item: Item, price: Price) -> None:
        if price.metered and not item.price.metered:
            item.metered.append((self.now, None))
        elif item.price.metered and not price.metered and item.metered:
            item.metered[-1] = (item.metered[-1][0], self.now)

    def _bill_usage(self, item: Item) -> None:
        """What is metered no longer; classic: what was used of its period is lost."""
        if item.price.metered and item.usage and item.subscription.mode != "classic":
            for made in self._pieces(item, item.usage, (item.period_start, self.now)):
                made.invoice_item = self.new_id("ii")
                item.subscription.pending.append(made)
        item.usage, item.used = 0, None

    @contextmanager
    def _request(self, sub: Subscription, proration: str) -> Iterator[None]:
        """One update request: one event, and one invoice where that was asked for."""
        assert sub.ended_at is None, f"{sub.id} has ended"
        made = None
        with self.change(sub):
            yield
            if proration == ALWAYS:
                made = self.invoice_pending(sub)
        if made is not None:
            self.finalize(made)

    def _replace(self, item: Item, price: Price, quantity: int, proration: str) -> None:
        with self._request(item.subscription, proration):
            self._swap(item, price, quantity, proration)

    def _swap(self, item: Item, price: Price, quantity: int, proration: str) -> None:
        """Credit the old state, debit the new; flexible moves its period."""
        sub, switched = item.subscription, price.cycle != item.price.cycle
        if (price, quantity) == (item.price, item.quantity):
            return
        is_credited = self._take_back(item, proration)
        self._note_metered(item, price)
        if item.price.metered and not price.metered:
            self._bill_usage(item)
            nothing_paid = all(each.price.metered for each in sub.items)
            if nothing_paid and proration != NONE and sub.status in COUNTS:
                self.see_unbilled(sub)
        if price.metered:  # nothing was billed for it in advance
            item.billed_net, item.billed_taken, item.last_line = 0, [], None
            if is_credited:  # nor did anything reduce it that was not taken back
                item.reduced = []
        item.price, item.quantity = price, quantity
        if switched:
            item.period_start, item.period_end = period_at(
                sub.anchor, *price.cycle, self.now
            )
        if self._prorates(item, proration):
            sub.pending.append(self.debit(item))

    def _reset_anchor(
        self,
        sub: Subscription,
        wanted: dict[Item, tuple[Price, int]],
        proration: str,
    ) -> None:
        """Classic, another interval: credits, and a whole new period from now on."""
        with self.change(sub):
            for item, (price, quantity) in wanted.items():
                self._take_back(item, proration)
                self._note_metered(item, price)
                if item.price.metered:
                    self._bill_usage(item)
                item.price, item.quantity = price, quantity
            before = min(item.period_start for item in sub.items)
            sub.anchor = self.now
            for item in sub.items:
                item.period_start, item.period_end = period_at(
                    sub.anchor, *item.price.cycle, self.now
                )
            made = self.bill(sub, sub.items, "subscription_update")
            made.period_start = before
        self.finalize(made)
        for end in {item.period_end for item in sub.items}:
            self.renew_later(sub, end)
