"""One customer's billing history → MRR steps over time, each with its evidence.

Of each subscription, and of what is invoiced by period beside them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.model import MrrStep, Refusal
from connector.core.policy import Policy
from connector.mrr.discounts.scopes import ShownDiscounts
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.subscription_lines import subscription_lines
from connector.mrr.history import (
    History,
    events_by_subscription,
    invoices_by_subscription,
)
from connector.mrr.outside.lines import outside_credits, outside_lines
from connector.mrr.outside.series import invoiced_series
from connector.mrr.outside.steps import series_steps
from connector.mrr.steps.facts import (
    SubscriptionEvidence,
    SubscriptionFacts,
    subscription_facts,
)
from connector.mrr.steps.subscription_steps import SubscriptionSteps

_LineItems = Mapping[str, Sequence[LineItem]]


class Timeline(NamedTuple):
    """``steps`` are in order of time. ``next_s`` is the first step still to come.

    ``next_s`` is None where nothing is scheduled; by then the customer must be derived
    again, though nothing in Stripe will have changed. ``line_items`` are by subscription,
    as they were read on the way. ``used`` are the items that usage was billed for.
    """

    steps: tuple[MrrStep, ...]
    refusals: tuple[Refusal, ...]
    next_s: int | None
    line_items: _LineItems
    used: frozenset[str]


def timeline(
    history: History, policy: Policy, until_s: int, *, goes_on_at_s: int | None = None
) -> Timeline:
    """Derive a customer's steps up to ``until_s``; what cannot be valued is refused.

    What has been seen has happened, also where it is stamped a second later. Of what is
    invoiced by period, that which covers ``goes_on_at_s`` is taken to go on.
    """
    until_s = max([until_s, *(own[-1].seen_s for own in history.versions.values())])
    by_subscription = subscription_lines(history)
    refused = list(_orphans(history, by_subscription))
    found: list[MrrStep] = []
    used: set[str] = set()
    for facts in _facts_of_each(history, by_subscription, policy):
        steps = SubscriptionSteps(facts)
        found += steps
        refused += steps.refused
        used |= facts.metered
    if policy.invoiced_by_period:
        series = invoiced_series(outside_lines(history.invoices))
        found += series_steps(series, outside_credits(history.invoices), goes_on_at_s)
    found.sort(key=attrgetter("at_s", "subscription", "item"))
    place = bisect_right(found, until_s, key=attrgetter("at_s"))
    return Timeline(
        steps=tuple(found[:place]),
        refusals=tuple(sorted({_refusal(history.customer, each) for each in refused})),
        next_s=found[place].at_s if place < len(found) else None,
        line_items=by_subscription,
        used=frozenset(used),
    )


def _facts_of_each(
    history: History, by_subscription: _LineItems, policy: Policy
) -> Iterator[SubscriptionFacts]:
    events = events_by_subscription(history)
    invoices = invoices_by_subscription(history)
    shown = ShownDiscounts(history, by_subscription)
    for subscription, versions in history.versions.items():
        evidence = SubscriptionEvidence(
            versions=versions,
            line_items=by_subscription.get(subscription, []),
            events=events[subscription],
            invoices=invoices.get(subscription, []),
        )
        yield subscription_facts(shown, evidence, policy)


def _orphans(history: History, by_subscription: _LineItems) -> Iterator[Unvalued]:
    """The first line item of each subscription that the history does not have."""
    for subscription in by_subscription.keys() - history.versions.keys():
        orphan = by_subscription[subscription][0]
        yield Unvalued(orphan.id, "subscription", subscription or None)


def _refusal(customer: str, refused: Unvalued) -> Refusal:
    return Refusal(
        customer=customer,
        object_id=refused.object_id,
        field=refused.field,
        value=str(refused.value),
    )
