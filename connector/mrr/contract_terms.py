"""A customer's steps and line items → its contract terms that ended, its main prices.

A contract term is a period that was billed in advance; it ends with its period, or with
the subscription where that ends first. Time that costs nothing (a trial) is no term.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, tzinfo
from itertools import groupby
from operator import attrgetter

from connector.core.dates import local_day
from connector.core.model import ContractTerm, MainPrice, MrrStep
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.pricing import interval_text

NO_KEY = 0  # the ledger's keys are known to the ledger
MrrAtDayEnd = tuple[date, int]  # in minor units, until the next one's day
_SUBSCRIPTION, _CURRENCY = attrgetter("subscription"), attrgetter("currency")


def contract_terms(
    line_items: Mapping[str, Sequence[LineItem]],
    steps: Sequence[MrrStep],
    zone: tzinfo,
    until_s: int,
) -> list[ContractTerm]:
    """Every term that ended up to ``until_s``, by day; one a subscription and day."""
    found = []
    ordered = sorted(steps, key=_SUBSCRIPTION)
    for subscription, group in groupby(ordered, key=_SUBSCRIPTION):
        own = list(group)
        mrr_by_day = _mrr_by_day(own, zone)
        ends = _period_ends(line_items.get(subscription, ()))
        days = {local_day(end_s, zone) for end_s in ends if end_s <= until_s}
        days |= {day for day, mrr_minor in mrr_by_day if not mrr_minor}
        changed_on = [day for day, _ in mrr_by_day]
        amounts_minor = [0, *(mrr_minor for _, mrr_minor in mrr_by_day)]
        for day in days:
            before_minor = amounts_minor[bisect_left(changed_on, day)]
            after_minor = amounts_minor[bisect_right(changed_on, day)]
            if before_minor:
                whose = (own[0].currency, NO_KEY, subscription)
                found.append((day, *whose, before_minor, after_minor))
    return list(map(ContractTerm._make, sorted(found)))


def _mrr_by_day(steps: Iterable[MrrStep], zone: tzinfo) -> list[MrrAtDayEnd]:
    """A subscription's MRR at the end of each day on which one of its items changed."""
    by_item: dict[str, int] = {}
    mrr_by_day, total_minor = [], 0
    for day, of_day in groupby(steps, key=lambda step: local_day(step.at_s, zone)):
        for step in of_day:
            total_minor += step.mrr_minor - by_item.get(step.item, 0)
            by_item[step.item] = step.mrr_minor
        mrr_by_day.append((day, total_minor))
    return mrr_by_day


def _period_ends(line_items: Iterable[LineItem]) -> set[int]:
    """Where billed periods end, but those that a later one of the item has replaced.

    A change of interval bills the new period before the old one has ended; a change of
    quantity bills the rest of it, up to the same end.
    """
    periods = [(n.start_s, n.end_s, n.item) for n in line_items if not n.credit]
    periods.sort(reverse=True)
    ends: set[int] = set()
    # Of an item's later ones, each ends after the next.
    longer_of: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for start_s, end_s, item in periods:
        longer = longer_of[item]
        while longer and longer[-1][1] <= end_s:
            longer.pop()
        if not longer or longer[-1][0] >= end_s:
            ends.add(end_s)
        longer.append((start_s, end_s))
    return ends


def main_prices(steps: Iterable[MrrStep], zone: tzinfo) -> list[MainPrice]:
    """From which day which price makes up most of the MRR, by currency, then day.

    Of two prices with the same MRR, the one whose id comes first.
    """
    found = []
    by_currency = sorted(steps, key=_CURRENCY)  # keeps order of time
    for currency, own in groupby(by_currency, key=_CURRENCY):
        items: dict[tuple[str, str], MrrStep] = {}
        by_price: dict[str, int] = {}
        intervals: dict[str, str] = {}
        last: tuple[str, str] | None = ("", "")
        for day, of_day in groupby(own, key=lambda step: local_day(step.at_s, zone)):
            for step in of_day:
                key = (step.subscription, step.item)
                for each, sign in ((items.get(key), -1), (step, 1)):
                    if each is not None and each.pricing is not None and each.mrr_minor:
                        tariff = each.pricing.tariff
                        kept_minor = by_price.pop(tariff.price, 0)
                        if kept_minor := kept_minor + sign * each.mrr_minor:
                            by_price[tariff.price] = kept_minor
                        intervals[tariff.price] = interval_text(tariff)
                items[key] = step
            main = _price_with_most_mrr(by_price, intervals)
            if main != last:
                found.append(MainPrice(day, currency, *main))
                last = main
    return found


def _price_with_most_mrr(
    by_price: Mapping[str, int], intervals: Mapping[str, str]
) -> tuple[str, str]:
    """The price with most MRR, and its interval; twice "" where nothing is paid."""
    if not by_price:
        return "", ""
    price = min(by_price, key=lambda each: (-by_price[each], each))
    return price, intervals[price]
