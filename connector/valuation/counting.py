"""One subscription as Stripe shows it → whether it counts under a policy, and as what.

Part of ``current_mrr``, and apart from ``evidence`` as all of that is.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from connector.core.policy import Policy
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Price, Subscription
from connector.valuation.billed_periods import BilledPeriod

COUNTED = ("active", "past_due")  # under Stripe's definition, and under every policy
TRIALING = "trialing"  # counts under a policy, for what was paid before
DAY_S = 86_400


def counted_statuses(policy: Policy) -> tuple[str, ...]:
    """Those in which a subscription may count."""
    return (TRIALING, *COUNTED) if policy.trial_after_paying_counts else COUNTED


def counts(
    now: Subscription, invoices: Iterable[Invoice], policy: Policy, at_s: int
) -> bool:
    """Whether the subscription counts as it is, and as its invoices are paid."""
    if now.status not in counted_statuses(policy):
        return False
    if policy.active_from_payment and not any(map(_is_payment, invoices)):
        return False
    if policy.churn_when_requested and now.canceled_at is not None:
        return False
    if not policy.pause_collection_counts and now.pause_collection is not None:
        return False
    if policy.past_due_days is None or now.status != "past_due":
        return True
    return not _is_overdue(invoices, at_s - policy.past_due_days * DAY_S)


def _is_payment(invoice: Invoice) -> bool:
    """Paid, and more than nothing for the subscription's items."""
    taken_minor = billed_minor = 0
    for line in invoice.lines.data:
        if line.parent is not None and line.parent.subscription_item_details:
            billed_minor += line.amount
            taken_minor += sum(each.amount for each in line.discount_amounts or ())
    return invoice.status == "paid" and billed_minor > taken_minor


def _is_overdue(invoices: Iterable[Invoice], since_s: int) -> bool:
    """Whether an invoice that was due by then is still open; one paid later settles it."""
    settled_s, unpaid = 0, []
    for invoice in invoices:
        moments = invoice.status_transitions
        if invoice.status == "open" and moments is not None:
            unpaid.append((invoice.created, invoice.due_date or moments.finalized_at))
        elif moments is not None and moments.paid_at is not None:
            settled_s = max(settled_s, invoice.created)
    return any(
        due_s is not None and due_s <= since_s and created_s >= settled_s
        for created_s, due_s in unpaid
    )


def as_paid(
    now: Subscription, billed: Sequence[BilledPeriod], prices: Mapping[str, Price]
) -> Subscription:
    """As it was when its trial began: with the items that were paid for until then."""
    items = []
    for item in now.items.data:
        until = _paid_until_trial([b for b in billed if b.item == item.id], now)
        price = prices.get(until.price, item.price) if until is not None else None
        if until is not None and price is not None:
            units = until.units(price)
            paid = replace(item, price=price, quantity=None, quantity_decimal=units)
            items.append(paid)
    return replace(now, items=replace(now.items, data=items))


def _paid_until_trial(
    billed: Sequence[BilledPeriod], now: Subscription
) -> BilledPeriod | None:
    """What was paid last for an item, where its trial took the place of that."""
    paid = [p for p in billed if p.invoice.status == "paid" and p.net_minor > 0]
    if not paid:
        return None
    last = paid[-1]
    tried = [
        p.start_s for p in billed if not p.amount_minor and p.start_s > last.start_s
    ]
    begun_s = min(tried, default=now.trial_start or now.started_at)
    return last if last.start_s < begun_s <= last.end_s else None
