"""An account: subscriptions' lives from start to end, its snapshot, its true MRR."""

from tests.billing import render, render_catalogue, render_invoice
from tests.billing.calendar_ import DAY, HOUR
from tests.billing.catalogue import Coupon, Price
from tests.billing.pauses import Pauses
from tests.billing.state import (
    PROOF,
    Change,
    Customer,
    Invoice,
    Item,
    Json,
    Subscription,
)
from tests.billing.store import ENDS
from tests.billing.truth import Step, added_up, seen_steps, since_birth, true_steps

EVENTS_KEPT = 30 * DAY
RETRIED = frozenset({"open"})


class Account(Pauses):
    def subscribe(
        self,
        customer: Customer,
        items: Price | list[tuple[Price, int]],
        *,
        quantity: int = 1,
        trial_days: int = 0,
        coupon: Coupon | None = None,
        mode: str = "flexible",
        prorations: str = "net",
        metadata: dict[str, str] | None = None,
        needs_card: bool = False,
        is_sent: bool = False,
    ) -> Subscription:
        """Start now; the first invoice is due now, or is free while the trial runs."""
        bought = items if isinstance(items, list) else [(items, quantity)]
        sub = Subscription(
            id=self.new_id("sub"),
            customer=customer,
            created=self.now,
            currency=bought[0][0].currency,
            anchor=self.now + trial_days * DAY,
            mode=mode,
            prorations=prorations,
            metadata=metadata or {},
            needs_card=needs_card,
            is_sent=is_sent,
        )
        customer.currency = sub.currency
        self.subscriptions.append(sub)
        for price, count in bought:
            self.new_item(sub, price, count)
        cycles = {item.price.cycle for item in sub.items}
        assert mode == "flexible" or len(cycles) == 1, "classic: one interval"
        if coupon is not None:
            self.lapse_later(sub, self.new_discount(sub, coupon))
        made = self._first_invoice(sub, trial_days)
        self.finalize(made)
        if made.status == "open" and not is_sent:
            sub.status = "incomplete"
            self.at(self.now + 23 * HOUR, ENDS, lambda: self._expire(sub, made))
        self._opened(sub)
        return sub

    def _first_invoice(self, sub: Subscription, trial_days: int) -> Invoice:
        if not trial_days:
            return self.bill(sub, sub.items, "subscription_create")
        sub.status = "trialing"
        sub.trial_start, sub.trial_end = self.now, sub.anchor
        for item in sub.items:
            item.period_start, item.period_end = self.now, sub.anchor
        lines = [self.trial_line(i) for i in sub.items if not i.price.metered]
        return self.invoice(sub, "subscription_create", lines, period_start=self.now)

    def _opened(self, sub: Subscription) -> None:
        for item in sub.items:
            self.see(item, "subscription")
        self.book(sub)
        if self.now >= self.events_from:
            self.write_event(sub, "created", None, render.subscription(sub))
        for end in {item.period_end for item in sub.items}:
            self.renew_later(sub, end)

    def _expire(self, sub: Subscription, first: Invoice) -> None:
        """A first invoice that nobody paid within 23 hours."""
        if sub.status == "incomplete":
            first.status, first.voided_at = "void", self.now
            first.next_attempt = None
            with self.change(sub):
                sub.status, sub.ended_at = "incomplete_expired", self.now

    def report_usage(self, item: Item, quantity: int) -> None:
        """Metered: adds to the usage of the current period."""
        item.usage += quantity

    def cancel_now(
        self,
        sub: Subscription,
        *,
        prorate: bool = False,
        invoice_now: bool = False,
        feedback: str | None = None,
    ) -> None:
        """No line and no pending proration is left; with ``prorate``, credits."""
        with self.change(sub):
            self._drop_prorations(sub)
            if prorate and sub.status in ("active", "past_due"):
                for item in sub.items:
                    if not item.price.metered:
                        sub.pending.append(self.credit(item))
            made = self.invoice_pending(sub) if invoice_now else None
            sub.canceled_at, sub.cancel_feedback = self.now, feedback
            self._end(sub, "cancellation_requested")
        if made is not None:
            self.finalize(made)

    def _drop_prorations(self, sub: Subscription) -> None:
        gone = {line.invoice_item for line in sub.pending if line.proration}
        sub.pending = [line for line in sub.pending if not line.proration]
        for item in sub.all_items:
            item.sightings = [s for s in item.sightings if s.source not in gone]
            if (
                item.if_dropped is not None
            ):  # what nobody was billed for reduced nothing
                item.changes, item.reduced = item.if_dropped
                item.if_dropped = None

    def _end(self, sub: Subscription, reason: str | None) -> None:
        if self.was_due(sub):
            self.pause_over(sub)
        sub.status, sub.ended_at = "canceled", self.now
        sub.cancel_reason = reason
        for item in sub.all_items:
            self.see(item, "subscription")

    def cancel_at_period_end(
        self, sub: Subscription, *, flag: bool = True, feedback: str | None = None
    ) -> None:
        """``flag=False``: as the customer portal does it in flexible mode."""
        with self.change(sub):
            sub.cancel_feedback = feedback
            sub.cancel_at_period_end = flag
            self._leave_at(sub, max(item.period_end for item in sub.items))

    def cancel_at(self, sub: Subscription, when: int) -> None:
        assert when > self.now
        with self.change(sub):
            self._leave_at(sub, when)

    def _leave_at(self, sub: Subscription, when: int) -> None:
        assert sub.ended_at is None, f"{sub.id} has ended"
        sub.cancel_at, sub.canceled_at = when, self.now
        sub.cancel_reason = "cancellation_requested"
        self.at(when, ENDS, lambda: self._left(sub))

    def _left(self, sub: Subscription) -> None:
        """The agreed end: what is pending is billed, and the subscription is over."""
        if sub.ended_at is not None or sub.cancel_at != self.now:
            return
        with self.change(sub):
            made = self.invoice_pending(sub)
            if made is not None:
                made.reason = "subscription_cycle"
                self.finalize_later(made)
            self._end(sub, sub.cancel_reason)

    def undo_cancel(self, sub: Subscription) -> None:
        assert sub.ended_at is None, f"{sub.id} has ended"
        with self.change(sub):
            sub.cancel_at = sub.canceled_at = None
            sub.cancel_reason = sub.cancel_feedback = None
            sub.cancel_at_period_end = False

    def fail_payments(self, customer: Customer) -> None:
        """The card stops working: the next charge is declined."""
        customer.pays = False

    def recover(self, customer: Customer) -> None:
        """The card works again: open invoices are paid, subscriptions are active."""
        customer.pays, customer.delinquent = True, False
        for invoice in self.invoices.values():
            if invoice.customer is customer and invoice.status in RETRIED:
                invoice.attempts += 1
                invoice.status, invoice.paid_at = "paid", self.now
                invoice.next_attempt = None
        for sub in self.subscriptions:
            late = sub.status in ("past_due", "unpaid", "incomplete")
            if sub.customer is customer and late:
                has_begun, was_unpaid = (
                    sub.status != "incomplete",
                    sub.status == "unpaid",
                )
                with self.change(sub):
                    sub.status = "active"
                for item in sub.items:
                    self.see(item, "paid" if was_unpaid else "event")
                    if not has_begun:  # paid within a day: it counts from its start
                        for own in (item.changes, *item.changes_under.values()):
                            own[:] = [Change(sub.created, own[-1].mrr_minor)]

    def give_up(self, sub: Subscription, *, into: str = "canceled") -> None:
        """Every retry failed: ``canceled`` or ``unpaid``."""
        assert sub.status in ("past_due", "unpaid"), sub.status
        for invoice in self.invoices.values():
            if invoice.subscription is sub and invoice.status == "open":
                invoice.next_attempt, invoice.auto_advance = None, False
        with self.change(sub):
            if into == "unpaid":
                sub.status = "unpaid"
                sub.stops.add(self.now)
                return
            self._drop_prorations(sub)
            sub.canceled_at = self.now
            self._end(sub, "payment_failed")

    def void(self, invoice: Invoice) -> None:
        assert invoice.status in ("open", "uncollectible")
        invoice.status, invoice.voided_at = "void", self.now
        invoice.auto_advance, invoice.next_attempt = False, None

    def pause_collection(self, sub: Subscription, behavior: str = "void") -> None:
        """``void`` | ``keep_as_draft`` | ``mark_uncollectible``; stays active."""
        with self.change(sub):
            sub.pause = {"behavior": behavior, "resumes_at": None}

    def resume_collection(self, sub: Subscription) -> None:
        with self.change(sub):
            sub.pause = None

    def true_mrr(self) -> dict[tuple[str, str], list[Step]]:
        """By (customer, currency): the MRR from each instant on."""
        return {
            grain: added_up(items, true_steps) for grain, items in self._items().items()
        }

    def true_mrr_under(
        self, *, from_payment: bool = False, trials_count: bool = False
    ) -> dict[tuple[str, str], list[Step]]:
        """The same under other policies: ``active_from``, ``trial_after_paying``."""

        def steps(item: Item) -> list[Step]:
            found = true_steps(item)
            found = self.with_trials(item, found) if trials_count else found
            return self.from_payment(item, found) if from_payment else found

        return {grain: added_up(items, steps) for grain, items in self._items().items()}

    def evidenced_mrr(self) -> dict[tuple[str, str], list[Step]]:
        """The same, dated by what a snapshot taken now shows."""
        kept = self._kept_events()
        by_sub: dict[str, list[int]] = {}
        for sub_id, event in kept:
            by_sub.setdefault(sub_id, []).append(event["created"])

        def seen(item: Item) -> list[Step]:
            shown = [s for s in item.sightings if self._stands(item, s.source)]
            at = [s.at for s in shown if s.source != "item"]
            at += by_sub.get(item.subscription.id, [])
            at += self.ran_out(item)
            steps = seen_steps(item, at, self.now)
            says_when = any(s.source == "item" for s in shown)
            used_since = item.used_since or self.now + 1  # usage is never carried back
            is_usage = bool(steps) and steps[0].at >= used_since
            return since_birth(item, steps) if says_when and not is_usage else steps

        return {grain: added_up(items, seen) for grain, items in self._items().items()}

    def _items(self) -> dict[tuple[str, str], list[Item]]:
        found: dict[tuple[str, str], list[Item]] = {}
        for sub in self.subscriptions:
            grain = (sub.customer.id, sub.currency)
            found.setdefault(grain, []).extend(sub.all_items)
        return found

    def _stands(self, item: Item, source: str) -> bool:
        """Whether what once showed the item's state is still there to be read."""
        if source.startswith("in_"):
            return self.invoices[source].status in PROOF
        if source.startswith("di_"):
            sub = item.subscription
            live = [d.id for holder in sub.holders for d in holder.discounts]
            shown = self.shown.get(source, set())
            return source in live or any(self._stands(item, i) for i in shown)
        if source == "item":
            return not item.removed
        if source.startswith("successor "):
            return any(source.endswith(it.id) for it in item.subscription.items)
        if source.startswith("paused "):
            is_paused = item.subscription.status == "paused"
            return is_paused and source == f"paused {item.subscription.paused_at}"
        return source != "event"

    def _kept_events(self) -> list[tuple[str, Json]]:
        since = self.now - EVENTS_KEPT
        return [e for e in self.events if e[1]["created"] >= since]

    def snapshot(self) -> dict[str, list[Json]]:
        """Stripe's lists as of now, newest first; nested lists are whole."""
        pending = [line for sub in self.subscriptions for line in sub.pending]
        pending.sort(key=lambda line: line.date)
        oldest_first = {
            "customers": [render_catalogue.customer(c) for c in self.customers],
            "products": [render_catalogue.product(p) for p in self.products],
            "prices": [render_catalogue.price(p, tiers=True) for p in self.prices],
            "coupons": [render_catalogue.coupon(c) for c in self.coupons],
            "subscriptions": [render.subscription(s) for s in self.subscriptions],
            "invoices": [
                render_invoice.invoice_json(i) for i in self.invoices.values()
            ],
            "invoiceitems": [render_invoice.invoice_item(line) for line in pending],
            "events": [event for _, event in self._kept_events()],
        }
        return {kind: made[::-1] for kind, made in oldest_first.items()}
