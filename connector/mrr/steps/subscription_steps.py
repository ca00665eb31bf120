"""A subscription's facts → the steps of its items, each valued and proved."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from operator import attrgetter, itemgetter

from connector.core.errors import Unvalued
from connector.core.model import Evidence, ItemDiscount, ItemPricing, MrrStep, Tariff
from connector.mrr.discounts.shares import (
    AppliedDiscount,
    DiscountedItem,
    item_discounts,
)
from connector.mrr.evidence.inclusive_tax import tax_at
from connector.mrr.evidence.item_changes import present_times, state_at
from connector.mrr.evidence.item_states import ItemState
from connector.mrr.evidence.trials import PaidTrials
from connector.mrr.intervals import CoveredTime, InForce
from connector.mrr.pricing import (
    interval_minor,
    is_metered,
    monthly_minor,
    months_factor,
)
from connector.mrr.steps.facts import SubscriptionFacts
from connector.mrr.steps.instants import instants
from connector.mrr.steps.proofs import Proofs
from connector.stripe_api.decoding import ref

_AT = attrgetter("at_s")
FEW_ITEMS = 8  # to look at each costs less than to know which of them are there
LARGEST_MRR_MINOR = 10**15  # nobody pays so much, and no ledger can add up much more

_Rates = Mapping[str, tuple[Tariff, Decimal]]  # by item, with its quantity


class SubscriptionSteps:
    """``refused`` is all that could not be valued, once the steps have been read."""

    def __init__(self, facts: SubscriptionFacts) -> None:
        self.refused = list(facts.refused)
        self._facts = facts
        self._prices = facts.tariffs.catalogue.prices
        self._paid = PaidTrials(facts.active.paid_trials)
        self._is_active = CoveredTime(facts.active.periods)
        self._is_paused = CoveredTime(facts.active.pauses)
        self._on_trial = {item: CoveredTime(own) for item, own in facts.trials.items()}
        self._is_shared = CoveredTime(
            span
            for each in facts.discounts
            if each.coupon.percent_off is None
            for span in each.intervals
        )

    def __iter__(self) -> Iterator[MrrStep]:
        """Every item's steps, in order of time; equal neighbours are left out."""
        proofs = Proofs(self._facts)
        last: dict[str, ItemPricing] = {}
        for at_s, touched in sorted(instants(self._facts).items(), key=itemgetter(0)):
            paid_s = self._paid.as_of(at_s)
            items = touched
            if items is None or self._is_shared.covers(paid_s):
                items = {*last, *self._items_at(paid_s)}
            now = self._pricing_at(at_s, items)
            before = {item: last.pop(item, None) for item in items}
            last |= now
            changed = [i for i in sorted(items) if now.get(i) != before[i]]
            for item in changed:
                pricing = now.get(item)
                shares = changed if _is_shared_anew(before[item], pricing) else ()
                evidence = proofs.of_change(item, at_s, shares)
                yield self._step(item, at_s, pricing, evidence)

    def _step(
        self,
        item: str,
        at_s: int,
        pricing: ItemPricing | None,
        evidence: tuple[Evidence, ...],
    ) -> MrrStep:
        mrr_minor = 0 if pricing is None else monthly_minor(pricing)
        if mrr_minor > LARGEST_MRR_MINOR:
            self.refused.append(Unvalued(item, "monthly amount", mrr_minor))
            pricing, mrr_minor = None, 0
        return MrrStep(
            at_s=at_s,
            subscription=self._facts.subscription.id,
            item=item,
            currency=self._facts.tariffs.currency,
            pricing=pricing,
            mrr_minor=mrr_minor,
            evidence=evidence,
            is_paused=pricing is None and self._is_paused.covers(at_s),
        )

    def _items_at(self, at_s: int) -> Iterable[str]:
        """Those that are there then, or where they are few simply all."""
        few = len(self._facts.changes) <= FEW_ITEMS
        return self._facts.changes if few else self._present.at(at_s)

    @cached_property
    def _present(self) -> InForce[str]:
        known = self._facts.changes.items()
        return InForce((item, present_times(own)) for item, own in known)

    @cached_property
    def _in_force(self) -> InForce[AppliedDiscount]:
        return InForce((each, each.intervals) for each in self._facts.discounts)

    def _pricing_at(self, at_s: int, items: Iterable[str]) -> dict[str, ItemPricing]:
        """What each of the items that count at ``at_s`` costs, discounts included."""
        if not self._is_active.covers(at_s):
            return {}
        facts = self._facts
        at_s = self._paid.as_of(at_s)
        rates: dict[str, tuple[Tariff, Decimal]] = {}
        for item in items:
            state = state_at(facts.changes.get(item, ()), at_s)
            is_on_trial = item in self._on_trial and self._on_trial[item].covers(at_s)
            if state is None or is_on_trial:
                continue
            counted = self._tariff_and_quantity(item, state, at_s)
            if counted is not None:
                rates[item] = counted
        discounts = self._discounts_at(at_s, rates) if facts.discounts else {}
        return {
            item: ItemPricing(
                tariff=rate,
                quantity=quantity,
                discounts=discounts.get(item, ()),
                inclusive_tax=tax_at(
                    facts.taxes, item, self._prices[rate.price], rate.currency, at_s
                ),
            )
            for item, (rate, quantity) in rates.items()
        }

    def _tariff_and_quantity(
        self, item: str, state: ItemState, at_s: int
    ) -> tuple[Tariff, Decimal] | None:
        """None for what the policy leaves out, and for what is refused."""
        price = self._prices.get(state.price)
        quantity, unit_amount_minor = state.quantity, state.unit_amount_minor
        if is_metered(price):
            line = self._facts.usage.last(item, at_s)
            if line is None or self._had_fee_in(item, line.end_s, at_s):
                return None
            quantity = line.quantity
            if line.price != state.price:  # another one since: usage cost what it did
                price = self._prices[line.price]
                unit_amount_minor = line.unit_amount_minor
        try:
            if price is None:
                raise Unvalued(item, "price", state.price or None)  # noqa: TRY301
            tariffs = self._facts.tariffs
            return tariffs.tariff(price, quantity, unit_amount_minor), quantity
        except Unvalued as error:
            self.refused.append(error)
            return None

    def _had_fee_in(self, item: str, since_s: int, until_s: int) -> bool:
        own = self._facts.changes.get(item, ())
        times = (bisect_left(own, at_s, key=_AT) for at_s in (since_s, until_s))
        states = (change.state for change in own[slice(*times)])
        return any(
            state is not None and not is_metered(self._prices.get(state.price))
            for state in states
        )

    def _discounts_at(
        self, at_s: int, rates: _Rates
    ) -> dict[str, tuple[ItemDiscount, ...]]:
        """Each item's discounts; none at all where one of them has no value here."""
        items = {
            item: DiscountedItem(
                interval_minor(rate, quantity),
                months_factor(rate.interval, rate.interval_count),
                ref(self._prices[rate.price].product),
            )
            for item, (rate, quantity) in rates.items()
        }
        currency = self._facts.tariffs.currency
        try:
            return item_discounts(self._in_force.at(at_s), at_s, items, currency)
        except Unvalued as error:
            self.refused.append(error)
            return {}


def _is_shared_anew(before: ItemPricing | None, after: ItemPricing | None) -> bool:
    """Whether an item's share of an amount off is another, as another item changed."""
    if before is None or after is None or before.discounts == after.discounts:
        return False
    return any(each.percent is None for each in (*before.discounts, *after.discounts))
