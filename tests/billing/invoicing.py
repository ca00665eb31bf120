"""Lines, invoices, renewals: what Stripe writes when money falls due."""

from collections.abc import Iterable
from fractions import Fraction

from tests.billing import taxes
from tests.billing.calendar_ import HOUR, period_at, written
from tests.billing.catalogue import Piece, half_up
from tests.billing.discounting import note_reduced, replaced_by, taken_from
from tests.billing.render_catalogue import decimal
from tests.billing.state import Discount, Invoice, Item, Line, Sighting, Subscription
from tests.billing.store import FINALIZES, LAPSES, RENEWS, Store


def units(item: Item, quantity: int) -> str:
    """``3 seat × Team``."""
    label = item.price.product.unit_label
    counted = f"{quantity} {label}" if label else f"{quantity}"
    return f"{counted} × {item.price.product.name}"


def _described(item: Item, piece: Piece) -> str:
    interval, count = item.price.cycle
    every = interval if count == 1 else f"every {count} {interval}s"
    money = (
        piece.unit_amount if piece.unit_amount is not None else half_up(piece.amount)
    )
    shown = f"{float(money) / 100:,.2f} {item.price.currency.upper()}"
    return f"{units(item, piece.quantity)}{piece.note} (at {shown} / {every})"


class Invoicing(Store):
    def line(
        self,
        item: Item,
        *,
        amount: int,
        description: str,
        period: tuple[int, int],
        quantity: int,
    ) -> Line:
        return Line(
            date=self.now,
            customer=item.subscription.customer,
            subscription=item.subscription,
            item=item,
            price=item.price,
            quantity=quantity,
            amount=amount,
            start=period[0],
            end=period[1],
            description=description,
            unit_amount=None,
        )

    def regular_lines(self, item: Item) -> list[Line]:
        """The item's whole current period, or as much of it as ``cancel_at`` leaves."""
        start, end = item.period_start, item.period_end
        stop = item.subscription.cancel_at or end
        share = Fraction(1)
        if start < stop < end:
            share, end = Fraction(stop - start, end - start), stop
        return self._pieces(item, item.quantity, (start, end), share)

    def _pieces(
        self,
        item: Item,
        quantity: int,
        period: tuple[int, int],
        share: Fraction = Fraction(1),
    ) -> list[Line]:
        found = []
        for piece in item.price.pieces(quantity):
            made = self.line(
                item,
                amount=half_up(piece.amount * share),
                description=_described(item, piece),
                period=period,
                quantity=piece.quantity,
            )
            made.unit_amount = decimal(piece.unit_amount)
            found.append(made)
        return found

    def trial_line(self, item: Item) -> Line:
        made = self.line(
            item,
            amount=0,
            description=f"Free trial for {units(item, item.quantity)}",
            period=(item.period_start, item.period_end),
            quantity=item.quantity,
        )
        made.unit_amount = "0"
        return made

    def proration(self, item: Item, full: Fraction | int, *, credit: bool) -> Line:
        """What is left of the period, of an amount ``full`` for the whole of it."""
        left = Fraction(item.period_end - self.now, item.period_end - item.period_start)
        word = "Unused" if credit else "Remaining"
        what = item.price.product.name
        if item.quantity != 1:
            what = f"{item.quantity} × {what}"
        made = self.line(
            item,
            amount=half_up(Fraction(full) * left) * (-1 if credit else 1),
            description=f"{word} time on {what} after {written(self.now)}",
            period=(self.now, item.period_end),
            quantity=item.quantity,
        )
        made.proration, made.discountable = True, False
        made.invoice_item = self.new_id("ii")
        made.credits = item.last_line if credit else None
        return made

    def credit(self, item: Item) -> Line:
        """Call it before the item changes; sees the item."""
        made = self._less(item, item.billed_net, item.billed_taken, credit=True)
        assert made.invoice_item
        self.see(item, made.invoice_item)
        return made

    def debit(self, item: Item) -> Line:
        """Call it after the item changed; sees the item."""
        taken = taken_from(item, self.now)
        net = item.price.amount(item.quantity) - sum(part for _, part in taken)
        made = self._less(item, net, taken, credit=False)
        for each in item.subscription.all_items:
            if each.if_dropped is None:
                each.if_dropped = (list(each.changes), list(each.reduced))
        item.billed_net, item.billed_taken = half_up(net), taken
        item.reduced = [(made, item.period_end) for made, part in taken if part]
        for _, end in item.reduced:
            self._book_at(item.subscription, end)
        assert made.invoice_item
        self.see(item, made.invoice_item)
        return made

    def _less(
        self,
        item: Item,
        net: Fraction | int,
        taken: list[tuple[Discount, Fraction]],
        *,
        credit: bool,
    ) -> Line:
        """Classic: net, and no more is said; included: named; itemized: with amounts."""
        sub, sign = item.subscription, -1 if credit else 1
        itemizes = sub.prorations == "itemized"
        gross = net + sum(part for _, part in taken) if itemizes else net
        made = self.proration(item, gross, credit=credit)
        if sub.prorations != "net":
            made.named = [each for each, _ in taken]
        if itemizes:
            left = Fraction(
                item.period_end - self.now, item.period_end - item.period_start
            )
            made.discounted = [(d, sign * half_up(part * left)) for d, part in taken]
        return made

    def _book_at(self, sub: Subscription, at: int) -> None:
        def book() -> None:
            if sub.ended_at is None:
                self.book(sub)

        self.at(at, RENEWS, book)

    def invoice(
        self,
        sub: Subscription,
        reason: str,
        lines: list[Line],
        *,
        period_start: int,
    ) -> Invoice:
        """A draft; the caller finalizes it at once or lets it wait for an hour."""
        made = Invoice(
            id=self.new_id("in"),
            customer=sub.customer,
            subscription=sub,
            created=self.now,
            reason=reason,
            lines=lines,
            discounts=[d for d in sub.discounts if d.runs(self.now)],
            period_start=period_start,
            period_end=self.now,
        )
        self.invoices[made.id] = made
        sub.latest_invoice = made.id
        for item in sub.all_items:
            item.if_dropped = None  # nothing waits any more
        self._discount(made)
        for line in lines:
            if line.item is not None:
                line.taxes = taxes.charged(line.net, line.price, sub.customer.tax)
        for line in lines:
            line.id, line.invoice = self.new_id("il"), made.id
            is_in_advance = not line.price.metered and line.amount >= 0
            if line.item is not None and is_in_advance:
                line.item.last_line = line
            if line.item is not None and line.price.metered and line.invoice_item:
                self._see_what_followed(line.item, line)
        return made

    def _see_what_followed(self, item: Item, usage: Line) -> None:
        """Usage that was billed as the item was metered no longer says when that was."""
        assert usage.invoice
        if not item.metered:  # and that it was so from the start
            item.sightings.append(Sighting(item.created, usage.invoice))
        item.sightings.append(Sighting(usage.end, usage.invoice))

    def finalize_later(self, invoice: Invoice) -> None:
        self.at(self.now + HOUR, FINALIZES, lambda: self.finalize(invoice))

    def _discount(self, invoice: Invoice) -> None:
        """Take item discounts, then the invoice's, from every discountable line."""
        lines = [line for line in invoice.lines if line.discountable and line.amount]
        for item in {line.item: None for line in lines if line.item is not None}:
            for made in item.discounts:
                if made.runs(self.now):
                    self._take(invoice, made, [x for x in lines if x.item is item])
        for made in invoice.discounts:
            self._take(invoice, made, lines)
        if lines:  # a coupon for one invoice is used up now
            sub = invoice.subscription
            for holder in sub.holders:
                holder.discounts = [
                    d for d in holder.discounts if d.coupon.duration != "once"
                ]

    def _take(self, invoice: Invoice, made: Discount, lines: list[Line]) -> None:
        coupon, total = made.coupon, sum(line.net for line in lines)
        self.shown.setdefault(made.id, set()).add(invoice.id)
        if total <= 0:
            return
        rest = 0 if coupon.amount_off is None else min(coupon.amount_off, total)
        for line in lines:
            if coupon.percent_off is not None:
                share = Fraction(coupon.percent_off) / 100
                line.discounted.append((made, half_up(line.net * share)))
                continue
            taken = half_up(Fraction(rest * line.net, total)) if total else 0
            rest, total = rest - taken, total - line.net
            line.discounted.append((made, taken))

    def finalize(self, invoice: Invoice) -> None:
        """Number the invoice, settle it with the balance, charge the rest."""
        sub, customer = invoice.subscription, invoice.customer
        if invoice.status != "draft" or not invoice.auto_advance:
            return
        customer.invoices_numbered += 1
        invoice.number = f"{customer.prefix}-{customer.invoices_numbered:04d}"
        invoice.finalized_at = self.now
        invoice.starting_balance = customer.balance
        due = invoice.total + customer.balance
        paused = sub.pause["behavior"] if sub.pause else None
        if paused is not None and invoice.reason == "subscription_cycle":
            invoice.ending_balance = customer.balance
            self.set_aside(invoice, paused)
            return
        customer.balance = invoice.ending_balance = min(0, due)
        if due <= 0:
            invoice.status, invoice.paid_at = "paid", self.now
        elif sub.is_sent:
            invoice.status = "open"
        elif customer.pays:
            invoice.attempts += 1
            invoice.status, invoice.paid_at = "paid", self.now
        else:
            self._declined(invoice)

    def set_aside(self, invoice: Invoice, behavior: str) -> None:
        invoice.auto_advance = False
        if behavior == "void":
            invoice.status, invoice.voided_at = "void", self.now
        else:
            invoice.status, invoice.uncollectible_at = "uncollectible", self.now

    def _declined(self, invoice: Invoice) -> None:
        invoice.status, invoice.attempts = "open", invoice.attempts + 1
        invoice.next_attempt = self.now + 72 * HOUR
        invoice.customer.delinquent = True
        sub = invoice.subscription
        if sub.status == "active" and invoice.reason != "subscription_create":
            with self.change(sub):
                sub.status = "past_due"

    def bill(self, sub: Subscription, items: list[Item], reason: str) -> Invoice:
        """Invoice the items' current periods and all that is pending."""
        lines, sub.pending = sub.pending, []
        start = min(item.period_start for item in items)
        for item in items:
            if not item.price.metered:
                regular = self.regular_lines(item)
                lines += regular
        made = self.invoice(sub, reason, lines, period_start=start)
        self.note_regular(made, items)
        return made

    def note_regular(self, invoice: Invoice, items: Iterable[Item]) -> None:
        """Remember what the regular lines cost, and that they show the items."""
        for item in items:
            mine = [x for x in invoice.lines if x.item is item and not x.proration]
            own = [x for x in mine if x.start == item.period_start]
            item.billed_net = sum(x.net for x in own)
            item.billed_taken = [(d, Fraction(n)) for x in own for d, n in x.discounted]
            if invoice.auto_advance and any(x.amount for x in own):
                self._note_reduced(item, own)
            is_missed = item.removed and item.metered
            if mine or is_missed or not item.price.metered:
                # Of usage without a line nothing tells.
                self.see(item, invoice.id)
        if invoice.auto_advance:  # a draft that stays one shows nothing
            taxes.note(invoice.lines, self.now)
        self.book(invoice.subscription)

    def _note_reduced(self, item: Item, lines: list[Line]) -> None:
        note_reduced(item, lines)
        for made, end in item.reduced:
            self._book_at(item.subscription, end)
            if made.coupon.duration == "once":
                beside = [each for each, _ in item.reduced]
                replaced_by(item.subscription, made, beside)
        if self.once_counts:  # they begin with what they reduce
            self.book(item.subscription)

    def _paid_until(self, item: Item) -> int:
        """As it was last billed: an interval that no line shows is not known."""
        if item.last_line is not None:
            return item.last_line.end
        lines = [x for invoice in self.invoices.values() for x in invoice.lines]
        ends = [x.end for x in lines if x.item is item and x.amount >= 0]
        return max(ends, default=item.period_end)

    def renew_later(self, sub: Subscription, at: int) -> None:
        self.at(at, RENEWS, lambda: self._renew(sub))

    def lapse_later(self, sub: Subscription, made: Discount) -> None:
        """When a repeating discount ends, so does its effect on the MRR."""
        if made.end is not None:
            self.at(made.end, LAPSES, lambda: self._lapse(sub, made))

    def _lapse(self, sub: Subscription, made: Discount) -> None:
        held = any(made in holder.discounts for holder in sub.holders)
        if sub.ended_at is not None or not held:
            return
        with self.change(sub):
            for holder in sub.holders:
                holder.discounts = [d for d in holder.discounts if d is not made]
        for item in sub.items:
            self.see(item, made.id)

    def _renew(self, sub: Subscription) -> None:
        due = [item for item in sub.items if item.period_end == self.now]
        if not due or sub.ended_at is not None:
            return
        if sub.status in ("incomplete", "paused"):
            return
        if sub.status == "trialing" and sub.needs_card:
            with self.change(sub):
                sub.status, sub.paused_at = "paused", self.now
            return
        before = min(item.period_start for item in due)
        with self.change(sub):
            if sub.status == "trialing":
                sub.status = "active"
                for item in due:
                    self.see(item, "subscription")
            lines, sub.pending = sub.pending, []
            used = {
                item: item.price.amount(item.usage)
                for item in due
                if item.price.metered
            }
            for item in due:
                lines += self._roll(item)
            made = self.invoice(sub, "subscription_cycle", lines, period_start=before)
            held = sub.pause is not None and sub.pause["behavior"] == "keep_as_draft"
            made.auto_advance = not held and sub.status != "unpaid"
            if sub.status == "unpaid":
                for item in sub.all_items:
                    self.see(item, "left a draft")
            if made.auto_advance:  # a draft that stays one is no bill
                for item in due:
                    ends = (line.end for line in lines if line.price is item.price)
                    if item.price.metered and self.now in ends:
                        item.used = used[item]
                        item.used_since = item.used_since or self.now
        self.finalize_later(made)
        missed = [i for i in sub.removed_items if self._paid_until(i) <= self.now]
        self.note_regular(made, [*due, *missed])
        for end in {item.period_end for item in due}:
            self.renew_later(sub, end)

    def _roll(self, item: Item) -> list[Line]:
        """Move the item into the period that starts now; its lines."""
        ended = (item.period_start, item.period_end)
        item.period_start, item.period_end = period_at(
            item.subscription.anchor, *item.price.cycle, self.now
        )
        if item.price.metered:
            used, item.usage = item.usage, 0
            if ended[1] == item.subscription.trial_end:
                return []  # what is tried is free
            return self._pieces(item, used, ended)
        return self.regular_lines(item)
