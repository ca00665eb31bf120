"""A subscription's evidence → what is known of it: its facts, each found independently.

What its items were (``item_changes``), when it counts (``active_periods``), which discounts
were in force (``discounts``), and what was used and taxed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.policy import Policy
from connector.mrr.discounts.in_force import applied_discounts
from connector.mrr.discounts.scopes import ShownDiscounts, unresolved
from connector.mrr.discounts.shares import AppliedDiscount
from connector.mrr.evidence.active_periods import ActivePeriods, active_periods
from connector.mrr.evidence.inclusive_tax import ItemTaxRates, inclusive_taxes
from connector.mrr.evidence.item_changes import ItemChange, item_changes
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.trials import item_trials, trials_after_paying
from connector.mrr.history import SubscriptionVersion, versions_in
from connector.mrr.intervals import Interval
from connector.mrr.pricing import is_metered
from connector.mrr.steps.not_billed import not_billed_by_ends
from connector.mrr.steps.tariffs import Tariffs
from connector.mrr.steps.usage import BilledUsage, usage_changes, usage_lines
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Price, Subscription


class SubscriptionEvidence(NamedTuple):
    """What is one subscription's own in a history, each oldest first."""

    versions: Sequence[SubscriptionVersion]
    line_items: Sequence[LineItem]
    events: Sequence[Event]
    invoices: Sequence[Invoice]


class SubscriptionFacts(NamedTuple):
    """``changes``, ``trials`` and ``taxes`` are by item; ``licensed`` are line items.

    ``metered`` are the items that usage was billed for; ``usage`` is empty where it counts
    for nothing. ``refused`` is what could not be read.
    """

    subscription: Subscription
    tariffs: Tariffs
    licensed: Sequence[LineItem]
    metered: frozenset[str]
    usage: BilledUsage
    changes: Mapping[str, Sequence[ItemChange]]
    active: ActivePeriods
    trials: Mapping[str, Sequence[Interval]]
    discounts: Sequence[AppliedDiscount]
    taxes: ItemTaxRates
    refused: Sequence[Unvalued]

    @property
    def lasting(self) -> tuple[Interval, ...]:
        """What begins or ends for all of its items."""
        return (*self.active.periods, *self.active.paid_trials)


def subscription_facts(
    shown: ShownDiscounts, evidence: SubscriptionEvidence, policy: Policy
) -> SubscriptionFacts:
    versions, line_items, events, invoices = evidence
    now = versions[-1].subscription
    currency = _currency(now)
    refused = _unread(now, line_items, currency)
    known = line_items
    if refused:
        known = [n for n in line_items if n.item and n.currency == currency]
    every = [*versions, *versions_in(events)]
    catalogue = shown.history.catalogue.with_prices_on(every)
    prices = catalogue.prices
    licensed, metered = _by_nature(known, prices)
    usage = usage_lines(known, prices) if policy.metered_invoiced else {}
    changes = item_changes(versions, licensed, events, prices, metered)
    if usage:
        changes |= usage_changes(now, usage, metered, changes, prices)
    active = active_periods(versions, events, known, invoices, prices, policy)
    if active.billed_after:
        changes |= not_billed_by_ends(changes, active.billed_after, licensed, every)
    discounts, unknown = applied_discounts(
        shown, versions, known, events, invoices, prices, policy
    )
    refused += unknown
    if active.periods:
        refused += unresolved(shown, versions, known)
    return SubscriptionFacts(
        subscription=now,
        tariffs=Tariffs(catalogue, currency, known),
        licensed=licensed,
        metered=frozenset(line.item for line in metered),
        usage=BilledUsage(usage),
        changes=changes,
        active=active,
        trials=_item_trials(now, every, known, prices, policy),
        discounts=discounts,
        taxes=inclusive_taxes(versions, known, prices),
        refused=refused,
    )


def _unread(
    now: Subscription, line_items: Sequence[LineItem], currency: str
) -> list[Unvalued]:
    """Its status, where nobody knows it, and the lines that are left out.

    These are of no item, or in another currency than its own: never added to it.
    """
    found = [
        Unvalued(n.id, "currency", n.currency or None)
        if n.item
        else Unvalued(n.id, "subscription_item", None)
        for n in line_items
        if not n.item or n.currency != currency
    ]
    if not now.is_of_known_status:
        found.append(Unvalued(now.id, "status", now.status))
    return found


def _currency(now: Subscription) -> str:
    """Its own, in old copies its first price's; "" where none is told."""
    own_prices = [i.price for i in now.items.data if i.price is not None]
    return now.currency or (own_prices[0].currency if own_prices else "")


def _by_nature(
    line_items: Sequence[LineItem], prices: Mapping[str, Price]
) -> tuple[Sequence[LineItem], Sequence[LineItem]]:
    """Those of licensed prices, and those of metered ones."""
    ids = {line.price for line in line_items}
    metered = {key for key in ids if is_metered(prices.get(key))}
    if not metered:
        return line_items, ()
    licensed = [line for line in line_items if line.price not in metered]
    return licensed, [line for line in line_items if line.price in metered]


def _item_trials(
    now: Subscription,
    versions: Iterable[SubscriptionVersion],
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
    policy: Policy,
) -> dict[str, list[Interval]]:
    """The trials of single items in which these count for nothing."""
    found = item_trials(now, versions, line_items, prices)
    if not policy.trial_after_paying_counts:
        return found
    for item, tried in found.items():
        own = [line for line in line_items if line.item == item]
        paid = trials_after_paying(tried, own)
        found[item] = [trial for trial in tried if trial not in paid]
    return found
