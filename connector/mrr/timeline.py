"""One customer's billing history → MRR steps over time, each with its evidence.

For each subscription three things are found independently: what its items were
(``item_changes``), when it counts (``active_periods``) and which discounts were in force
(``discounts``). Wherever one of them changes, the items are valued anew (``pricing``).
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import NamedTuple

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
from connector.mrr.discounts.in_force import applied_discounts
from connector.mrr.discounts.scopes import ShownDiscounts, unresolved
from connector.mrr.discounts.shares import (
    AppliedDiscount,
    DiscountedItem,
    item_discounts,
)
from connector.mrr.evidence.active_periods import active_periods
from connector.mrr.evidence.inclusive_tax import inclusive_taxes, tax_at
from connector.mrr.evidence.invoiced_series import invoiced_series
from connector.mrr.evidence.item_changes import (
    ItemChange,
    changes_at,
    item_changes,
    present_times,
    state_at,
)
from connector.mrr.evidence.item_states import ItemState
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.outside_lines import outside_credits, outside_lines
from connector.mrr.evidence.subscription_lines import subscription_lines
from connector.mrr.evidence.trials import (
    PaidTrials,
    item_trials,
    trials_after_paying,
)
from connector.mrr.evidence.usage import usage_changes, usage_lines
from connector.mrr.history import (
    History,
    SubscriptionVersion,
    events_by_subscription,
    invoices_by_subscription,
    versions_in,
)
from connector.mrr.intervals import CoveredTime, InForce, Interval
from connector.mrr.invoiced_steps import series_steps
from connector.mrr.pricing import (
    interval_minor,
    is_metered,
    is_whole_period,
    monthly_minor,
    months_factor,
    tariff,
    tariff_as_billed,
)
from connector.stripe_api.decoding import ref
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Price

FEW_ITEMS = 8  # to look at each costs less than to know which of them are there
LARGEST_MRR_MINOR = 10**15  # nobody pays so much, and no ledger can add up much more


class Timeline(NamedTuple):
    """``steps`` are in order of time. ``next_s`` is the first step still to come.

    ``next_s`` is None where nothing is scheduled; by then the customer must be derived
    again, though nothing in Stripe will have changed. ``line_items`` are by subscription,
    as they were read on the way. ``used`` are the items that usage was billed for.
    """

    steps: tuple[MrrStep, ...]
    refusals: tuple[Refusal, ...]
    next_s: int | None
    line_items: Mapping[str, Sequence[LineItem]]
    used: frozenset[str]


def timeline(
    history: History, policy: Policy, until_s: int, *, goes_on_at_s: int | None = None
) -> Timeline:
    """Derive a customer's steps up to ``until_s``; what cannot be valued is refused.

    What has been seen has happened, also where it is stamped a second later. Of what is
    invoiced by period, that which covers ``goes_on_at_s`` is taken to go on.
    """
    until_s = max([until_s, *(own[-1].seen_s for own in history.versions.values())])
    steps: list[MrrStep] = []
    refused: list[Unvalued] = []
    later: list[int] = []
    used: set[str] = set()
    by_subscription = subscription_lines(history)
    events = events_by_subscription(history)
    invoices = invoices_by_subscription(history)
    shown = ShownDiscounts(history)
    for subscription, versions in history.versions.items():
        evidence = _SubscriptionEvidence(
            versions=versions,
            line_items=by_subscription.get(subscription, []),
            events=events[subscription],
            invoices=invoices.get(subscription, []),
        )
        own = _SubscriptionTimeline(shown, evidence, policy)
        for step in own.steps():
            if step.at_s <= until_s:
                steps.append(step)
            else:
                later.append(step.at_s)
        refused += own.refused
        used |= own.used
    if policy.invoiced_by_period:
        series = invoiced_series(outside_lines(history.invoices))
        taken_back = outside_credits(history.invoices)
        for step in series_steps(series, taken_back, goes_on_at_s):
            if step.at_s <= until_s:
                steps.append(step)
            else:
                later.append(step.at_s)
    for subscription in by_subscription.keys() - history.versions.keys():
        orphan = by_subscription[subscription][0]
        refused.append(Unvalued(orphan.id, "subscription", subscription or None))
    steps.sort(key=attrgetter("at_s", "subscription", "item"))
    return Timeline(
        steps=tuple(steps),
        refusals=tuple(sorted({_refusal(history.customer, each) for each in refused})),
        next_s=min(later, default=None),
        line_items=by_subscription,
        used=frozenset(used),
    )


def _refusal(customer: str, refused: Unvalued) -> Refusal:
    return Refusal(
        customer=customer,
        object_id=refused.object_id,
        field=refused.field,
        value=str(refused.value),
    )


class _SubscriptionEvidence(NamedTuple):
    """What is one subscription's own in a history, each oldest first."""

    versions: Sequence[SubscriptionVersion]
    line_items: Sequence[LineItem]
    events: Sequence[Event]
    invoices: Sequence[Invoice]


# The items whose pricing may change at an instant; None: all of them.
_Touched = set[str] | None


class _SubscriptionTimeline:
    """One subscription's history, worked out once, then valued at each instant."""

    def __init__(
        self, shown: ShownDiscounts, evidence: _SubscriptionEvidence, policy: Policy
    ) -> None:
        versions, line_items, events, invoices = evidence
        now = versions[-1].subscription
        own_prices = [i.price for i in now.items.data if i.price is not None]
        self.currency = now.currency or (own_prices[0].currency if own_prices else "")
        unread = [n for n in line_items if not n.item or n.currency != self.currency]
        self.refused = [_unread_line(line) for line in unread]
        known = line_items
        if unread:
            known = [n for n in line_items if n.item and n.currency == self.currency]
        if not now.is_of_known_status:
            self.refused.append(Unvalued(now.id, "status", now.status))
        self.subscription = now
        every = [*versions, *versions_in(events)]
        self.catalogue = shown.history.catalogue.with_prices_on(every)
        prices = self.catalogue.prices
        ids = {line.price for line in known}
        metered = {key for key in ids if is_metered(prices.get(key))}
        licensed, usage = known, known[:0]
        if metered:
            licensed = [line for line in known if line.price not in metered]
            usage = [line for line in known if line.price in metered]
        self.used = {line.item for line in usage}
        self.changes = item_changes(versions, licensed, events, prices, usage)
        self.active = active_periods(versions, events, known, invoices, prices, policy)
        self.paid = PaidTrials(self.active.paid_trials)
        self.lasting = (*self.active.periods, *self.active.paid_trials)
        self.lasting_at = _by_bound(self.lasting)
        self.is_active = CoveredTime(self.active.periods)
        self.is_paused = CoveredTime(self.active.pauses)
        self.trials = _item_trials(versions, events, known, prices, policy)
        self.trials_at = {item: _by_bound(own) for item, own in self.trials.items()}
        self.on_trial = {item: CoveredTime(own) for item, own in self.trials.items()}
        self.discounts, unknown = applied_discounts(
            shown, versions, known, events, invoices, prices, policy
        )
        self.refused += unknown
        self.discounts_at = _by_bound_of_discounts(self.discounts)
        self.is_shared = CoveredTime(
            span
            for each in self.discounts
            if each.coupon.percent_off is None
            for span in each.intervals
        )
        if self.active.periods:
            self.refused += unresolved(shown, versions, known)
        self.regular = {(n.item, n.start_s): n for n in licensed if n.is_regular}
        self.usage = usage_lines(known, prices) if policy.metered_invoiced else {}
        if self.usage:
            self.changes |= usage_changes(now, self.usage, usage, self.changes, prices)
        self.used_until = {
            item: [line.end_s for line in lines] for item, lines in self.usage.items()
        }
        self.taxes = inclusive_taxes(versions, known, prices)
        self.tariffs: dict[tuple[str, Decimal | None], Tariff] = {}
        tiered = {
            key: prices[key] for key in ids if key in prices and prices[key].tiers
        }
        self.billed_whole = {
            (line.price, line.quantity): line.amount_minor
            for line in (known if tiered else ())
            if line.is_regular
            and line.amount_minor
            and line.price in tiered
            and tiered[line.price].lacks_tiers_in(line.currency)
            and is_whole_period(tiered[line.price], line.start_s, line.end_s)
        }

    def steps(self) -> Iterator[MrrStep]:
        """Every item's steps, in order of time; equal neighbours are left out."""
        last: dict[str, ItemPricing] = {}
        for at_s, touched in sorted(self._instants().items(), key=itemgetter(0)):
            paid_s = self.paid.as_of(at_s)
            items = touched
            if items is None or self.is_shared.covers(paid_s):
                items = {*last, *self._items_at(paid_s)}
            now = self._pricing_at(at_s, items)
            before = {item: last.pop(item, None) for item in items}
            last |= now
            changed = [i for i in sorted(items) if now.get(i) != before[i]]
            for item in changed:
                pricing = now.get(item)
                shares = changed if _is_shared_anew(before[item], pricing) else ()
                mrr_minor = 0 if pricing is None else monthly_minor(pricing)
                if mrr_minor > LARGEST_MRR_MINOR:
                    self.refused.append(Unvalued(item, "monthly amount", mrr_minor))
                    pricing, mrr_minor = None, 0
                yield MrrStep(
                    at_s=at_s,
                    subscription=self.subscription.id,
                    item=item,
                    currency=self.currency,
                    pricing=pricing,
                    mrr_minor=mrr_minor,
                    evidence=self._evidence(item, at_s, shares),
                    is_paused=pricing is None and self.is_paused.covers(at_s),
                )

    def _items_at(self, at_s: int) -> Iterable[str]:
        """Those that are there then, or where they are few simply all."""
        few = len(self.changes) <= FEW_ITEMS
        return self.changes if few else self._present.at(at_s)

    @cached_property
    def _present(self) -> InForce[str]:
        return InForce((item, present_times(own)) for item, own in self.changes.items())

    @cached_property
    def _in_force(self) -> InForce[AppliedDiscount]:
        return InForce((each, each.intervals) for each in self.discounts)

    def _instants(self) -> dict[int, _Touched]:
        """When anything may change, and of which items."""
        found: dict[int, _Touched] = {}
        for at_s, items in self._boundaries():
            touched = found.setdefault(at_s, set())
            if items is None:
                found[at_s] = None
            elif touched is not None:
                touched.update(items)
        return found

    def _boundaries(self) -> Iterator[tuple[int, Iterable[str] | None]]:
        for item, own in self.changes.items():
            yield from ((change.at_s, (item,)) for change in own)
        for item, lines in self.usage.items():
            yield from ((line.end_s, (item,)) for line in lines)
        untold: list[str] = []
        if self.taxes:
            untold += (
                i for i, own in self.changes.items() if not self._tells_tax(i, own)
            )
        for item, rates in self.taxes.items():
            yield from ((rate.since_s, (item, *untold)) for rate in rates)
        for items, interval in self._intervals():
            yield interval.start_s, items
            if interval.end_s is not None:
                yield interval.end_s, items

    def _tells_tax(self, item: str, changes: Sequence[ItemChange]) -> bool:
        """Whether it has a rate of its own from its first change on."""
        return any(r.since_s <= changes[0].at_s for r in self.taxes.get(item, ())[:1])

    def _intervals(self) -> Iterator[tuple[Iterable[str] | None, Interval]]:
        for interval in self.lasting:
            yield None, interval
        for item, own in self.trials.items():
            yield from (((item,), trial) for trial in own)
        for each in self.discounts:
            is_shared = each.coupon.percent_off is None
            if each.interval is not None:
                items = (each.item,) if each.item and not is_shared else None
                yield items, each.interval
            for item, interval in each.by_item.items():
                yield None if is_shared else (item,), interval

    def _pricing_at(self, at_s: int, items: Iterable[str]) -> dict[str, ItemPricing]:
        """What each of the items that count at ``at_s`` costs, discounts included."""
        if not self.is_active.covers(at_s):
            return {}
        at_s = self.paid.as_of(at_s)
        rates: dict[str, tuple[Tariff, Decimal]] = {}
        for item in items:
            state = state_at(self.changes.get(item, ()), at_s)
            is_on_trial = item in self.on_trial and self.on_trial[item].covers(at_s)
            if state is None or is_on_trial:
                continue
            counted = self._tariff_and_quantity(item, state, at_s)
            if counted is not None:
                rates[item] = counted
        discounts = self._discounts_at(at_s, rates) if self.discounts else {}
        return {
            item: ItemPricing(
                tariff=rate,
                quantity=quantity,
                discounts=discounts.get(item, ()),
                inclusive_tax=self._tax_at(item, rate, at_s),
            )
            for item, (rate, quantity) in rates.items()
        }

    def _tax_at(self, item: str, rate: Tariff, at_s: int) -> Fraction:
        price = self.catalogue.prices[rate.price]
        return tax_at(self.taxes, item, price, rate.currency, at_s)

    def _tariff_and_quantity(
        self, item: str, state: ItemState, at_s: int
    ) -> tuple[Tariff, Decimal] | None:
        """None for what the policy leaves out, and for what is refused."""
        price = self.catalogue.prices.get(state.price)
        quantity, unit_amount_minor = state.quantity, state.unit_amount_minor
        if is_metered(price):
            used = bisect_right(self.used_until.get(item, ()), at_s)
            if not used:
                return None
            line = self.usage[item][used - 1]
            quantity = line.quantity
            if line.price != state.price:  # another one since: usage cost what it did
                price = self.catalogue.prices[line.price]
                unit_amount_minor = line.unit_amount_minor
        try:
            if price is None:
                raise Unvalued(item, "price", state.price or None)  # noqa: TRY301
            return self._tariff(price, quantity, unit_amount_minor), quantity
        except Unvalued as error:
            self.refused.append(error)
            return None

    def _tariff(
        self, price: Price, quantity: Decimal, unit_amount_minor: Decimal | None
    ) -> Tariff:
        """Read once: the items keep theirs over most instants."""
        currency = self.currency or price.currency
        if price.lacks_tiers_in(currency):
            billed = self.billed_whole.get((price.id, quantity))
            if billed is not None:
                return tariff_as_billed(price, currency, billed)
        key = (price.id, unit_amount_minor)
        if key not in self.tariffs:
            product = self.catalogue.products.get(ref(price.product))
            self.tariffs[key] = tariff(
                price,
                currency,
                unit_amount_minor=unit_amount_minor,
                unit_label=(product.unit_label or "") if product is not None else "",
            )
        return self.tariffs[key]

    def _discounts_at(
        self, at_s: int, rates: Mapping[str, tuple[Tariff, Decimal]]
    ) -> dict[str, tuple[ItemDiscount, ...]]:
        """Each item's discounts; none at all where one of them has no value here."""
        prices = self.catalogue.prices
        items = {
            item: DiscountedItem(
                interval_minor(rate, quantity),
                months_factor(rate.interval, rate.interval_count),
                ref(prices[rate.price].product),
            )
            for item, (rate, quantity) in rates.items()
        }
        try:
            return item_discounts(self._in_force.at(at_s), at_s, items, self.currency)
        except Unvalued as error:
            self.refused.append(error)
            return {}

    def _evidence(
        self, item: str, at_s: int, shares: Iterable[str]
    ) -> tuple[Evidence, ...]:
        """Whatever shows a change of this item at this instant, each once.

        Where a discount is shared anew, that is what changed those that it is shared with.
        """
        proof = list(self._evidence_of_ends(item, at_s))
        for other in shares:
            proof += self._evidence_of_ends(other, at_s)
        line = self.regular.get((item, at_s))  # of a period that begins then
        if line is not None and all(line.id != each.id for each in proof):
            proof += line.evidence()
        if item in self.usage:  # of periods that have ended
            ends_s = self.used_until[item]
            for place in range(bisect_left(ends_s, at_s), bisect_right(ends_s, at_s)):
                proof += self.usage[item][place].evidence()
        return tuple(dict.fromkeys(proof))

    def _evidence_of_ends(self, item: str, at_s: int) -> Iterator[Evidence]:
        for change in changes_at(self.changes.get(item, ()), at_s):
            yield from change.evidence
        discounts = (each.interval_of(item) for each in self.discounts_at.get(at_s, ()))
        trials = self.trials_at.get(item, {}).get(at_s, ())
        for interval in (*self.lasting_at.get(at_s, ()), *trials, *discounts):
            if interval is not None and at_s in (interval.start_s, interval.end_s):
                is_start = at_s == interval.start_s
                yield from interval.began if is_start else interval.ended


def _unread_line(line: LineItem) -> Unvalued:
    """Of no item, or in another currency than its subscription's: never added to it."""
    if not line.item:
        return Unvalued(line.id, "subscription_item", None)
    return Unvalued(line.id, "currency", line.currency or None)


def _item_trials(
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
    policy: Policy,
) -> dict[str, list[Interval]]:
    """The trials of single items in which these count for nothing."""
    found = item_trials(versions, events, line_items, prices)
    if not policy.trial_after_paying_counts:
        return found
    for item, tried in found.items():
        own = [line for line in line_items if line.item == item]
        paid = trials_after_paying(tried, own)
        found[item] = [trial for trial in tried if trial not in paid]
    return found


def _by_bound(intervals: Iterable[Interval]) -> dict[int, list[Interval]]:
    """Those that begin or end at an instant, in their order."""
    found: defaultdict[int, list[Interval]] = defaultdict(list)
    for each in intervals:
        found[each.start_s].append(each)
        if each.end_s is not None and each.end_s != each.start_s:
            found[each.end_s].append(each)
    return found


def _by_bound_of_discounts(
    applied: Iterable[AppliedDiscount],
) -> dict[int, list[AppliedDiscount]]:
    """Those that begin or end for any item at an instant, in their order."""
    found: defaultdict[int, list[AppliedDiscount]] = defaultdict(list)
    for each in applied:
        for at_s in _by_bound(each.intervals):
            found[at_s].append(each)
    return found


def _is_shared_anew(before: ItemPricing | None, after: ItemPricing | None) -> bool:
    """Whether an item's share of an amount off is another, as another item changed."""
    if before is None or after is None or before.discounts == after.discounts:
        return False
    return any(each.percent is None for each in (*before.discounts, *after.discounts))
