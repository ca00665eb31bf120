"""Stripe's subscriptions as they stand now → against the ledger, and why they differ.

Comes in: one customer's live subscriptions, what the mirror holds of it, and its MRR in
the ledger. Goes out: a row a currency, in which

    Stripe's figure + policy + not yet synced + refused + waiting + remainder = ledger's

and the remainder, which no reason explains, must be 0. Stripe's figure is by its own
definition (``STRIPES``). Each subscription is valued as it stands (``current_mrr``),
without the timeline and ``evidence``, so that the two can hold each other to account.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from connector.core.errors import Unvalued
from connector.core.model import Refusal
from connector.core.policy import POLICY_RULES, Policy
from connector.mrr.history import History
from connector.stripe_api.objects import Discount, Subscription
from connector.valuation.billed_periods import billed_periods
from connector.valuation.current_mrr import CurrentMrr, ValuationInputs, current_mrr

# "The sum of the monthly-normalized value of all active and past_due subscriptions",
# without trials, taxes, free plans and metered prices; forever discounts are subtracted,
# others only where one sets it so. Source: Stripe's documentation of its analytics.
STRIPES = Policy(repeating_subtracted=False)


# The key of the policy by which money without a subscription counts, which Stripe's own
# definition never does.
OUTSIDE = POLICY_RULES["invoiced_by_period"].key


class GapReason(StrEnum):
    POLICY = "policy"  # [policy] counts otherwise than Stripe
    NOT_SYNCED = "not yet synced"  # Stripe's object is not the mirror's copy
    REFUSED = "refused"  # an object that cannot be valued
    WAITING = "waiting"  # the customer is to be derived anew


class GapPart(NamedTuple):
    """What a reason adds on the way from Stripe's figure to the ledger's.

    ``what`` names the key of the policy, the subscription, or the refused object.
    """

    reason: GapReason
    what: str
    amount_minor: int


class CustomerComparison(Struct, frozen=True, kw_only=True):
    """A customer's MRR in one currency, on both sides. No parts: nothing differs."""

    customer: str
    currency: str
    stripe_minor: int
    ledger_minor: int
    parts: tuple[GapPart, ...]

    @property
    def remainder_minor(self) -> int:
        explained_minor = sum(part.amount_minor for part in self.parts)
        return self.ledger_minor - self.stripe_minor - explained_minor

    @property
    def size_minor(self) -> int:
        """All that differs, also where it cancels out."""
        parts = sum(abs(part.amount_minor) for part in self.parts)
        return parts + abs(self.remainder_minor)


class CustomerInLedger(Struct, frozen=True, kw_only=True):
    """What the ledger says of a customer: its MRR by currency, and what stands out.

    ``outside_minor`` is what of it is invoiced without a subscription, by currency.
    ``is_waiting``: it has not been derived from all that the mirror holds.
    """

    mrr_minor: Mapping[str, int] = field(default_factory=dict)
    outside_minor: Mapping[str, int] = field(default_factory=dict)
    is_waiting: bool = False
    refusals: Sequence[Refusal] = ()


def reconcile(
    history: History,
    live: Iterable[Subscription],
    discounts: Mapping[str, Discount],
    booked: CustomerInLedger,
    policy: Policy,
    at_s: int,
) -> list[CustomerComparison]:
    """Compare one customer (and its former ids): a row for each currency it pays in.

    ``live`` are Stripe's subscriptions at ``at_s``, those that count at the least;
    ``discounts`` are the customers' own, by customer.
    """
    at_stripe = {each.id: each for each in live}
    mirrored = {key: own[-1].subscription for key, own in history.versions.items()}
    billed = billed_periods(history.invoices, {**mirrored, **at_stripe}.values(), at_s)
    inputs = ValuationInputs(history, billed, discounts, at_s)
    sums: dict[str, _CurrencySum] = defaultdict(_CurrencySum)
    for key in sorted(at_stripe.keys() | mirrored.keys()):
        _add(sums, key, at_stripe.get(key), mirrored.get(key), inputs, policy)
    for currency, mrr_minor in booked.mrr_minor.items():
        sums[currency].ledger_minor = mrr_minor
        outside_minor = booked.outside_minor.get(currency, 0)
        sums[currency].by_policy_key[OUTSIDE] += outside_minor
        sums[currency].mirrored_minor += outside_minor
    rows = [
        CustomerComparison(
            customer=history.customer,
            currency=currency,
            stripe_minor=found.stripe_minor,
            ledger_minor=found.ledger_minor,
            parts=tuple(_parts(found, booked)),
        )
        for currency, found in sorted(sums.items())
    ]
    return [row for row in rows if row.parts or row.stripe_minor or row.ledger_minor]


class _CurrencySum(Struct):
    """One currency while it is added up; ``mirrored_minor`` by the mirror's copies."""

    stripe_minor: int = 0
    mirrored_minor: int = 0
    ledger_minor: int = 0
    by_policy_key: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_subscription: dict[str, int] = field(default_factory=dict)
    refused: list[Unvalued] = field(default_factory=list)


def _add(
    sums: Mapping[str, _CurrencySum],
    key: str,
    at_stripe: Subscription | None,
    mirrored: Subscription | None,
    inputs: ValuationInputs,
    policy: Policy,
) -> None:
    """Add one subscription as it is at Stripe, and as the mirror's copy of it is."""
    live = copy = None
    if mirrored is not None:
        copy = current_mrr(mirrored, inputs, policy)
        sums[copy.currency].mirrored_minor += copy.mrr_minor
    if at_stripe is not None:
        live = _add_by_policy(sums, at_stripe, inputs, policy)
    found = live or copy
    assert found is not None
    sums[found.currency].refused += found.refused
    missed_minor = (copy.mrr_minor if copy else 0) - (live.mrr_minor if live else 0)
    if missed_minor:
        sums[found.currency].by_subscription[key] = missed_minor


def _add_by_policy(
    sums: Mapping[str, _CurrencySum],
    at_stripe: Subscription,
    inputs: ValuationInputs,
    policy: Policy,
) -> CurrentMrr:
    """Add it by Stripe's definition, then what each key of the policy makes of that."""
    found = current_mrr(at_stripe, inputs, STRIPES)
    into = sums[found.currency]
    into.stripe_minor += found.mrr_minor
    for key, reached in _on_the_way_to(policy):
        before_minor = found.mrr_minor
        found = current_mrr(at_stripe, inputs, reached)
        into.by_policy_key[key] += found.mrr_minor - before_minor
    return found


def _on_the_way_to(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """From Stripe's definition to the policy, one key after the other."""
    reached = STRIPES
    for switch, rule in POLICY_RULES.items():
        wanted = getattr(policy, switch)
        if wanted != getattr(reached, switch):
            reached = replace(reached, **{switch: wanted})
            yield rule.key, reached


def _parts(found: _CurrencySum, booked: CustomerInLedger) -> Iterator[GapPart]:
    for key, amount_minor in found.by_policy_key.items():
        if amount_minor:
            yield GapPart(GapReason.POLICY, key, amount_minor)
    for key, amount_minor in found.by_subscription.items():
        yield GapPart(GapReason.NOT_SYNCED, key, amount_minor)
    left_minor = found.ledger_minor - found.mirrored_minor
    if left_minor and booked.is_waiting:
        yield GapPart(GapReason.WAITING, "", left_minor)
        left_minor = 0
    refused = found.refused or (booked.refusals if left_minor else ())
    if refused:
        names = [f"{r.object_id} {r.field} is {r.value}" for r in refused]
        yield GapPart(GapReason.REFUSED, ", ".join(dict.fromkeys(names)), left_minor)


class CurrencyComparison(Struct, frozen=True, kw_only=True):
    """A currency's sums over all customers; ``explained`` by each reason."""

    currency: str
    stripe_minor: int
    ledger_minor: int
    explained: Mapping[GapReason, int]
    remainder_minor: int


def totals(rows: Sequence[CustomerComparison]) -> list[CurrencyComparison]:
    """The sums by currency, the one with most customers first."""
    by_currency: dict[str, list[CustomerComparison]] = defaultdict(list)
    for row in rows:
        by_currency[row.currency].append(row)
    ordered = sorted(by_currency.items(), key=lambda each: (-len(each[1]), each[0]))
    return [_total(currency, own) for currency, own in ordered]


def _total(currency: str, rows: Sequence[CustomerComparison]) -> CurrencyComparison:
    explained = dict.fromkeys(GapReason, 0)
    for row in rows:
        for part in row.parts:
            explained[part.reason] += part.amount_minor
    return CurrencyComparison(
        currency=currency,
        stripe_minor=sum(row.stripe_minor for row in rows),
        ledger_minor=sum(row.ledger_minor for row in rows),
        explained=explained,
        remainder_minor=sum(row.remainder_minor for row in rows),
    )


def differing(rows: Iterable[CustomerComparison]) -> list[CustomerComparison]:
    """The rows on which the two sides differ, the largest first."""
    found = [row for row in rows if row.parts or row.remainder_minor]
    return sorted(found, key=lambda row: (-row.size_minor, row.customer, row.currency))
