"""One customer's billing history → MRR steps over time, each with its evidence.

For each subscription three things are found independently: what its items were
(``changes``), when it counts (``standing``) and which discounts were in force
(``discounts``). Wherever one of them changes, the items are valued anew (``mrr``).
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, cast

from connector.core.errors import Unvalued
from connector.core.model import (
    Evidence,
    ItemDiscount,
    ItemPricing,
    MrrStep,
    Refusal,
    Tariff,
)
from connector.core.policy import Policy
from connector.mrr.evidence.active_periods import active_periods, names
from connector.mrr.evidence.discount_scopes import unresolved
from connector.mrr.evidence.discounts import applied, offs
from connector.mrr.evidence.inclusive_tax import inclusive_taxes, tax_at
from connector.mrr.evidence.item_changes import ItemChange, item_changes
from connector.mrr.evidence.item_states import ItemState, is_metered
from connector.mrr.evidence.line_items import LineItem, line_items
from connector.mrr.evidence.trials import item_trials
from connector.mrr.history import Catalogue, History, SubscriptionVersion
from connector.mrr.pricing import interval_minor, is_whole_period, monthly_minor, tariff
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Price, ref


class Timeline(NamedTuple):
    """``steps`` are in order of time. ``next_s`` is the first step still to come.

    ``next_s`` is None where nothing is scheduled; by then the customer must be derived
    again, though nothing in Stripe will have changed. ``charges`` are each
    subscription's, as they were read on the way.
    """

    steps: tuple[MrrStep, ...]
    refusals: tuple[Refusal, ...]
    next_s: int | None
    line_items: Mapping[str, Sequence[LineItem]]


def timeline(history: History, policy: Policy, until_s: int) -> Timeline:
    """Derive a customer's steps up to ``until_s``; what cannot be valued is refused.

    What has been seen has happened, also where it is stamped a second later.
    """
    until_s = max([until_s, *(seen[-1].seen_s for seen in history.sightings.values())])
    steps: list[MrrStep] = []
    refused: list[Unvalued] = []
    later: list[int] = []
    by_subscription = line_items(history)
    for subscription, sightings in history.sightings.items():
        story = _SubscriptionTimeline(
            history, sightings, by_subscription.get(subscription, []), policy
        )
        for step in story.steps():
            if step.at_s <= until_s:
                steps.append(step)
            else:
                later.append(step.at_s)
        refused += story.refused
    for subscription in by_subscription.keys() - history.sightings.keys():
        orphan = by_subscription[subscription][0]
        refused.append(Unvalued(orphan.id, "subscription", subscription or None))
    steps.sort(key=lambda step: (step.at_s, step.subscription, step.item))
    refusals = {
        Refusal(
            customer=history.customer,
            object_id=each.object_id,
            field=each.field,
            value=str(each.value),
        )
        for each in refused
    }
    return Timeline(
        steps=tuple(steps),
        refusals=tuple(sorted(refusals)),
        next_s=min(later, default=None),
        line_items=by_subscription,
    )


class _SubscriptionTimeline:
    """One subscription's history, worked out once, then valued at each instant."""

    def __init__(
        self,
        history: History,
        sightings: Sequence[SubscriptionVersion],
        charged: Sequence[LineItem],
        policy: Policy,
    ) -> None:
        now = sightings[-1].subscription
        events = [e for e in history.events if _is_about(e, now.id)]
        known = [c for c in charged if c.item]
        bills = [i for i in history.invoices if names(i, now.id)]
        self.refused = [
            Unvalued(c.id, "subscription_item", None) for c in charged if not c.item
        ]
        self.subscription = now
        priced = [i.price for i in now.items.data if i.price is not None]
        self.currency = now.currency or (priced[0].currency if priced else "")
        self.policy = policy
        self.catalogue = _with_own_prices(history.catalogue, sightings, events)
        prices = self.catalogue.prices
        metered = {p for p in {c.price for c in known} if is_metered(prices.get(p))}
        licensed = [c for c in known if c.price not in metered]
        self.changes = item_changes(sightings, licensed, events, prices)
        self.spans = active_periods(sightings, events, known, bills, prices, policy)
        self.trials = item_trials(sightings, events, known, prices)
        self.applied, unknown = applied(history, sightings, known, events, policy)
        self.refused += unknown
        if self.spans:
            self.refused += unresolved(history, sightings, known)
        self.charged = {(c.item, c.start_s): c for c in licensed if c.is_regular}
        self.usage = _usage(known, prices) if policy.metered_invoiced else {}
        self.taxes = inclusive_taxes(sightings, known)
        self.tariffs: dict[tuple[str, Decimal | None], Tariff] = {}

    def steps(self) -> Iterator[MrrStep]:
        """Every item's steps, in order of time; equal neighbours are left out."""
        last: dict[str, ItemPricing | None] = {}
        for at_s in self._instants():
            now = self._terms_at(at_s)
            for item in sorted(now.keys() | last.keys()):
                terms = now.get(item)
                if terms == last.get(item):
                    continue
                last[item] = terms
                yield MrrStep(
                    at_s=at_s,
                    subscription=self.subscription.id,
                    item=item,
                    currency=self.currency,
                    terms=terms,
                    mrr_minor=0 if terms is None else monthly_minor(terms),
                    evidence=self._evidence(item, at_s),
                )

    def _instants(self) -> list[int]:
        instants = {c.at_s for changes in self.changes.values() for c in changes}
        instants |= {at_s for taxes in self.taxes.values() for at_s, _ in taxes}
        instants |= {line.end_s for lines in self.usage.values() for line in lines}
        gaps = [gap for found in self.trials.values() for gap in found]
        active_periods = (*self.spans, *gaps, *(each.span for each in self.applied))
        ends = [(span.start_s, span.end_s) for span in active_periods]
        instants |= {at_s for pair in ends for at_s in pair if at_s is not None}
        return sorted(instants)

    def _terms_at(self, at_s: int) -> dict[str, ItemPricing]:
        """What each item that counts at ``at_s`` costs, discounts included."""
        if not any(span.covers(at_s) for span in self.spans):
            return {}
        rates: dict[str, tuple[Tariff, Decimal]] = {}
        for item, changes in self.changes.items():
            holding = _latest(changes, at_s)
            on_trial = any(span.covers(at_s) for span in self.trials.get(item, ()))
            if holding is None or on_trial:
                continue
            valued = self._rate(item, holding, at_s)
            if valued is not None:
                rates[item] = valued
        reductions = self._offs(at_s, rates) if self.applied else {}
        return {
            item: ItemPricing(
                tariff=rate,
                quantity=quantity,
                offs=reductions.get(item, ()),
                inclusive_tax=self._tax(item, rate, at_s),
            )
            for item, (rate, quantity) in rates.items()
        }

    def _rate(
        self, item: str, holding: ItemState, at_s: int
    ) -> tuple[Tariff, Decimal] | None:
        """None for what the policy leaves out, and for what is refused."""
        price = self.catalogue.prices.get(holding.price)
        quantity = holding.quantity
        if is_metered(price):
            used = [c.quantity for c in self.usage.get(item, ()) if c.end_s <= at_s]
            if not used:
                return None
            quantity = used[-1]
        try:
            if price is None:
                raise Unvalued(item, "price", holding.price or None)  # noqa: TRY301
            return self._tariff(price, holding.unit_amount_minor), quantity
        except Unvalued as error:
            self.refused.append(error)
            return None

    def _tariff(self, price: Price, unit_amount_minor: Decimal | None) -> Tariff:
        """Read once: the items keep theirs over most instants."""
        key = (price.id, unit_amount_minor)
        if key not in self.tariffs:
            self.tariffs[key] = tariff(
                price,
                self.currency or price.currency,
                unit_amount_minor=unit_amount_minor,
                unit_label=self._unit_label(ref(price.product)),
            )
        return self.tariffs[key]

    def _unit_label(self, product: str) -> str:
        known = self.catalogue.products.get(product)
        return (known.unit_label or "") if known is not None else ""

    def _offs(
        self, at_s: int, rates: Mapping[str, tuple[Tariff, Decimal]]
    ) -> dict[str, tuple[ItemDiscount, ...]]:
        """Each item's discounts; none at all where one of them has no value here."""
        gross = {item: interval_minor(*rate) for item, rate in rates.items()}
        prices = self.catalogue.prices
        products = {i: ref(prices[r.price].product) for i, (r, _) in rates.items()}
        currency = self.currency
        try:
            return offs(self.applied, at_s, gross, currency, products)
        except Unvalued as error:
            self.refused.append(error)
            return {}

    def _tax(self, item: str, rate: Tariff, at_s: int) -> Fraction:
        behavior = self.catalogue.prices[rate.price].tax_behavior
        return tax_at(self.taxes, item, behavior, at_s)

    def _evidence(self, item: str, at_s: int) -> tuple[Evidence, ...]:
        """Whatever shows a change of this item at this instant, each once."""
        proof = list(self._changes_shown(item, at_s))
        line = self.charged.get((item, at_s))  # of a period that begins then
        if line is not None and all(line.id != each.id for each in proof):
            proof += line.evidence()
        for usage in self.usage.get(item, ()):  # of a period that has ended
            if usage.end_s == at_s:
                proof += usage.evidence()
        return tuple(dict.fromkeys(proof))

    def _changes_shown(self, item: str, at_s: int) -> Iterator[Evidence]:
        for change in self.changes.get(item, ()):
            if change.at_s == at_s:
                yield from change.evidence
        discounts = (each.span for each in self.applied if each.item in ("", item))
        for span in (*self.spans, *self.trials.get(item, ()), *discounts):
            if at_s in (span.start_s, span.end_s):
                yield from span.began if at_s == span.start_s else span.ended


def _is_about(event: Event, subscription: str) -> bool:
    if event.subscription is not None:
        return event.subscription.id == subscription
    return event.discount is not None


def _latest(changes: Sequence[ItemChange], at_s: int) -> ItemState | None:
    holding = None
    for change in changes:
        if change.at_s > at_s:
            break
        holding = change.holding
    return holding


def _with_own_prices(
    catalogue: Catalogue,
    sightings: Sequence[SubscriptionVersion],
    events: Sequence[Event],
) -> Catalogue:
    """The catalogue, and prices that only the subscription itself still shows.

    A listed price wins: it carries tiers and currency options, which items never do.
    """
    seen = [s.subscription for s in sightings]
    seen += [e.subscription for e in events if e.subscription is not None]
    own = {
        i.price.id: i.price for s in seen for i in s.items.data if i.price is not None
    }
    missing = {key: price for key, price in own.items() if key not in catalogue.prices}
    if not missing:
        return catalogue
    return Catalogue(
        # Not copied, as it may be large; whoever reads it, writes nothing.
        prices=ChainMap(missing, cast("dict[str, Price]", catalogue.prices)),
        coupons=catalogue.coupons,
        products=catalogue.products,
    )


def _usage(
    charged: Sequence[LineItem], prices: Mapping[str, Price]
) -> dict[str, list[LineItem]]:
    """Each metered item's lines for full periods, by the end of their period."""
    used: dict[str, list[LineItem]] = {}
    for charge in charged:
        price = prices.get(charge.price)
        if price is None or not is_metered(price) or not charge.is_regular:
            continue
        if is_whole_period(price, charge.start_s, charge.end_s):  # not a stub's usage
            used.setdefault(charge.item, []).append(charge)
    for lines in used.values():
        lines.sort(key=lambda line: line.end_s)
    return used
