"""What becomes of invoiced money: the classes of coverage, and what is not counted.

    InvoiceClass        where an invoiced amount belongs; each is in exactly one
    NotCountedReason    why recurring money is no MRR
    CustomerCoverage    one customer's amounts by class, and what is not counted of it
      NotCounted        lines that bill the same again and again, and are no MRR
    OutsideMrr          the same as reports tell it, with whose it is

The rule is docs/definitions.md, *Coverage*.
"""

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct


class InvoiceClass(StrEnum):
    COUNTED = "counted"  # evidence of an item in MRR
    BY_POLICY = "by_policy"  # of an item that does not count: metered, on trial
    ADJUSTMENT = "adjustment"  # a proration, or what takes back what was billed
    ONE_OFF = "one_off"
    NOT_COUNTED = "recurring_not_counted"
    NOT_DUE = "not_due"  # of a draft or a void invoice
    REFUSED = "refused"  # what could not be valued, by name


class NotCountedReason(StrEnum):
    PRICING_PLAN = "pricing_plan"
    LICENCE_FEE = "licence_fee"
    RATE_CARD = "rate_card"
    CONTRACT = "contract"
    SCHEDULE = "schedule"
    BILLING_CADENCE = "billing_cadence"
    UNKNOWN_PARENT = "unknown_parent"  # none, or one of which nothing is known
    UNKNOWN_PRICING = "unknown_pricing"
    MANUAL = "manual"  # lines written by hand, or by another program, that recur


# By currency, then month (2026-03), then class; minor units, 0 left out.
InvoicedSums = dict[str, dict[str, dict[str, int]]]


class NotCounted(NamedTuple):
    """Lines of one reason and product (or description) of one customer.

    ``monthly_minor`` is 0 once the last one is older than one and a half of its periods.
    ``product`` is "" where none is named; ``since`` is the first one's day.
    """

    currency: str
    reason: NotCountedReason
    item: str
    product: str
    monthly_minor: int
    since: date
    last_invoice: str


class CustomerCoverage(Struct, frozen=True, kw_only=True):
    """``next_s``: when it will be another, though nothing in Stripe will have changed."""

    sums: InvoicedSums
    not_counted: tuple[NotCounted, ...] = ()
    next_s: int | None = None


class OutsideMrr(Struct, frozen=True, kw_only=True):
    """What a customer is invoiced a month for one reason, and is in no figure.

    ``accepted``: the configuration says that it is known, by customer or product.
    """

    customer: str
    currency: str
    reason: NotCountedReason
    monthly_minor: int
    since: date
    last_invoice: str
    accepted: bool = False


def alarming(outside: Iterable[OutsideMrr]) -> dict[str, int]:
    """What is invoiced a month and neither counted nor accepted, by currency."""
    sums: dict[str, int] = {}
    for each in outside:
        if each.monthly_minor and not each.accepted:
            sums[each.currency] = sums.get(each.currency, 0) + each.monthly_minor
    return sums


def invoiced_together(parts: Iterable[InvoicedSums]) -> InvoicedSums:
    """What several customers, or ledgers, were invoiced."""
    sums: InvoicedSums = {}
    for part in parts:
        for currency, months in part.items():
            for month, classes in months.items():
                place = sums.setdefault(currency, {}).setdefault(month, {})
                for name, minor in classes.items():
                    place[name] = place.get(name, 0) + minor
    return without_zeros(sums)


def held_sums(known: InvoicedSums, now: InvoicedSums) -> InvoicedSums:
    """Of a history that is not whole: ``known`` when it was, and what is invoiced ``now``.

    ``now`` has what is due as refused. A month that bills what it did keeps its classes;
    of any other, nobody can say which part of it is new.
    """
    not_due = InvoiceClass.NOT_DUE.value
    found: InvoicedSums = {}
    for currency, months in now.items():
        before = known.get(currency, {})
        for month, own in months.items():
            was = {k: v for k, v in before.get(month, {}).items() if k != not_due}
            due_minor = own.get(InvoiceClass.REFUSED.value, 0)
            is_same = sum(was.values()) == due_minor
            place = was if is_same else {InvoiceClass.REFUSED.value: due_minor}
            place[not_due] = own.get(not_due, 0)
            place = {name: minor for name, minor in place.items() if minor}
            found.setdefault(currency, {})[month] = place
    return without_zeros(found)


def without_zeros(sums: InvoicedSums) -> InvoicedSums:
    kept = {
        currency: {month: own for month, own in months.items() if any(own.values())}
        for currency, months in sums.items()
    }
    return {currency: months for currency, months in kept.items() if months}
