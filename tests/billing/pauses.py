"""Pauses and their ends, trials of who pays; what of them is seen when all is over."""

from collections.abc import Iterator

from tests.billing.calendar_ import DAY, period_at
from tests.billing.changes import Changes
from tests.billing.state import PROOF, Invoice, Item, Subscription
from tests.billing.truth import Step


class Pauses(Changes):
    def pause(self, sub: Subscription, *, credit: bool = False) -> None:
        """Nothing is billed from now on; with ``credit``, the rest is taken back."""
        assert sub.status in ("active", "past_due"), sub.status
        made = None
        with self.change(sub):
            if credit:
                licensed = [i for i in sub.items if not i.price.metered]
                billed = [i for i in licensed if i.last_line or i.billed_net]
                sub.pending += [self.credit(item) for item in billed]
                made = self.invoice_pending(sub)
            sub.status, sub.paused_at = "paused", self.now
            sub.stops.add(self.now)
            for invoice in self.invoices.values():
                if invoice.subscription is sub and invoice.status == "open":
                    invoice.next_attempt, invoice.auto_advance = None, False
        if made is not None:
            self.finalize(made)
        for item in sub.all_items:  # it says itself since when it is paused
            self.see(item, f"paused {self.now}")

    def resume(self, sub: Subscription, *, anchor: str = "now") -> None:
        """``now``: new periods; ``unchanged``: the rest of the period; ``none``: free."""
        assert sub.status == "paused", sub.status
        self.pause_over(sub)
        with self.change(sub):
            sub.status, sub.paused_at = "active", None
            if anchor == "now":
                sub.anchor = self.now
            for item in sub.items:
                item.period_start, item.period_end = period_at(
                    sub.anchor, *item.price.cycle, self.now
                )
                item.billed_net, item.last_line = 0, None
            made = self._first_after(sub, anchor)
        if made is not None:
            self.finalize(made)
        for end in {item.period_end for item in sub.items}:
            self.renew_later(sub, end)

    def _first_after(self, sub: Subscription, anchor: str) -> Invoice | None:
        if anchor == "now":
            return self.bill(sub, sub.items, "subscription_update")
        if anchor == "none":
            return None
        licensed = [item for item in sub.items if not item.price.metered]
        sub.pending += [self.debit(item) for item in licensed]
        return self.invoice_pending(sub)

    def pause_over(self, sub: Subscription) -> None:
        """Resumed, or ended: what shows the pause is that nothing was billed."""
        if sub.status == "paused":
            self.see_unbilled(sub)

    def was_due(self, sub: Subscription) -> bool:
        """Whether anything would have been billed since, had it not been paused.

        Where all is of another interval than was billed, nobody knows since when: its
        bill may be the one after the period that the last billed second lies in.
        """
        covered = self.billed_until(sub)
        return any(
            (item.last_line is not None and item.last_line.price.cycle == cycle)
            or period_at(sub.anchor, *cycle, covered - 1)[1] < self.now
            for item, cycle in ((i, i.price.cycle) for i in sub.items)
            if not item.price.metered
        )

    def ran_out(self, item: Item) -> Iterator[int]:
        """When what was metered would have been billed in advance again, had it a fee.

        That shows where it is metered yet, or a bill shows that it was.
        """
        lines = [
            x for i in self.invoices.values() if i.status in PROOF for x in i.lines
        ]
        used = [x for x in lines if x.item is item and x.price.metered]
        lines += item.subscription.pending
        own = [x for x in lines if x.item is item and not x.price.metered]
        for since, until in item.metered:
            over = until or item.subscription.ended_at or self.now
            is_yet = until is None and not item.removed
            is_shown = is_yet or any(since <= x.end < over for x in used)
            billed = [x for x in own if x.amount >= 0 and x.credits is None]
            before = [x for x in billed if x.date <= since]
            if before and is_shown:
                last = max(before, key=lambda x: (x.start, x.date))
                if since <= last.end < over:
                    yield last.end

    def try_again(self, sub: Subscription, days: int) -> None:
        """Who pays is given a trial; what was paid for the rest is credited."""
        assert sub.status == "active", sub.status
        with self.change(sub):
            licensed = [item for item in sub.items if not item.price.metered]
            sub.pending += [self.credit(item) for item in licensed]
            lines, sub.pending = sub.pending, []
            sub.status, sub.anchor = "trialing", self.now + days * DAY
            if sub.trial_start is None or sub.mode == "flexible":
                sub.trial_start = self.now
            sub.trial_end = sub.anchor
            sub.paid_trials.append((self.now, sub.anchor))
            for item in sub.items:
                item.period_start, item.period_end = self.now, sub.anchor
                if item in licensed:
                    lines.append(self.trial_line(item))
            made = self.invoice(
                sub, "subscription_update", lines, period_start=self.now
            )
        for item in sub.all_items:
            item.billed_net = 0
            self.see(item, made.id)
        self.finalize(made)
        self.renew_later(sub, sub.anchor)

    def has_paid(self, sub: Subscription) -> bool:
        """Whether each licensed item was paid for, up to now at least."""
        lines = [item.last_line for item in sub.items if not item.price.metered]
        return bool(lines) and all(
            line is not None
            and line.invoice is not None
            and self.invoices[line.invoice].status == "paid"
            and line.net > 0
            and line.start < self.now <= line.end
            for line in lines
        )

    def first_payment(self, sub: Subscription) -> int | None:
        paid = [
            invoice.paid_at
            for invoice in self.invoices.values()
            if invoice.subscription is sub
            and invoice.paid_at is not None
            and sum(x.net for x in invoice.lines if x.item is not None) > 0
        ]
        return min(paid, default=None)

    def with_trials(self, item: Item, steps: list[Step]) -> list[Step]:
        """The steps, where a trial of who pays goes on at what was paid."""
        over = item.subscription.ended_at
        for start, planned in item.subscription.paid_trials:
            end = min(planned, over or planned)
            until = [step for step in steps if step.at <= end]
            steps = [step for step in steps if step.at < start or step.at > end]
            if until and end <= self.now:
                steps.append(Step(end, until[-1].mrr_minor))
                steps.sort(key=lambda step: step.at)
        return steps

    def from_payment(self, item: Item, steps: list[Step]) -> list[Step]:
        """The steps, from the first payment on."""
        at = self.first_payment(item.subscription)
        if at is None:
            return []
        before = [step for step in steps if step.at <= at]
        begun = [Step(at, before[-1].mrr_minor)] if before else []
        return begun + [step for step in steps if step.at > at]
