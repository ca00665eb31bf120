"""What a customer has agreed to → its terms that ended, and its main plan day by day.

Comes in: one customer's steps and the charges of its subscriptions. A term is a period
that was billed in advance; it ends with its period, or with the subscription where that
ends first. Time that costs nothing (a trial) is no term.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, tzinfo
from itertools import groupby

from connector.core.dates import local_day
from connector.core.model import ContractTerm, MainPrice, MrrStep, Tariff
from connector.mrr.evidence.line_items import LineItem

Level = tuple[date, int]  # from this day's end on, MRR in minor units


def contract_terms(
    customer: int,
    charged: Mapping[str, Sequence[LineItem]],
    steps: Sequence[MrrStep],
    zone: tzinfo,
    until_s: int,
) -> list[ContractTerm]:
    """Every term that ended up to ``until_s``, by day; one a subscription and day.

    ``customer`` is the ledger's key.
    """
    found = []
    ordered = sorted(steps, key=lambda step: step.subscription)
    for subscription, group in groupby(ordered, key=lambda step: step.subscription):
        own = list(group)
        levels = _levels(own, zone)
        ends = set(_period_ends(charged.get(subscription, ())))
        days = {local_day(end_s, zone) for end_s in ends if end_s <= until_s}
        days |= {day for day, minor in levels if not minor}
        since = [day for day, _ in levels]
        worth = [0, *(minor for _, minor in levels)]
        for day in days:
            before_minor = worth[bisect_left(since, day)]
            after_minor = worth[bisect_right(since, day)]
            if before_minor:
                whose = (own[0].currency, customer, subscription)
                found.append(ContractTerm(day, *whose, before_minor, after_minor))
    return sorted(found)


def _levels(steps: Iterable[MrrStep], zone: tzinfo) -> list[Level]:
    """A subscription's MRR at the end of each day on which one of its items changed."""
    worth: dict[str, int] = {}
    levels = []
    for day, of_day in groupby(steps, key=lambda step: local_day(step.at_s, zone)):
        worth |= {step.item: step.mrr_minor for step in of_day}
        levels.append((day, sum(worth.values())))
    return levels


def _period_ends(charges: Iterable[LineItem]) -> Iterator[int]:
    """Where billed periods end, but those that a later one of the item has replaced.

    A change of interval bills the new period before the old one has ended; a change of
    quantity bills the rest of it, up to the same end.
    """
    periods: dict[str, set[tuple[int, int]]] = {}
    for charge in charges:
        if not charge.credit:
            periods.setdefault(charge.item, set()).add((charge.start_s, charge.end_s))
    for found in periods.values():
        ordered = sorted(found)
        for place, (_, end_s) in enumerate(ordered, start=1):
            is_next_later = place == len(ordered) or ordered[place][0] >= end_s
            if is_next_later or not _is_replaced(end_s, ordered[place:]):
                yield end_s


def _is_replaced(end_s: int, later: Iterable[tuple[int, int]]) -> bool:
    for start_s, other_end_s in later:
        if start_s >= end_s:
            break
        if other_end_s > end_s:
            return True
    return False


def main_prices(steps: Iterable[MrrStep], zone: tzinfo) -> list[MainPrice]:
    """From which day which price makes up most of the MRR, by currency, then day.

    Of two prices that are worth the same, the one whose id comes first.
    """
    found = []
    by_currency = sorted(steps, key=lambda step: step.currency)  # keeps order of time
    for currency, own in groupby(by_currency, key=lambda step: step.currency):
        items: dict[tuple[str, str], MrrStep] = {}
        last: tuple[str, str] | None = ("", "")
        for day, of_day in groupby(own, key=lambda step: local_day(step.at_s, zone)):
            items |= {(step.subscription, step.item): step for step in of_day}
            main = _main(items.values())
            if main != last:
                found.append(MainPrice(day, currency, *main))
                last = main
    return found


def _main(steps: Iterable[MrrStep]) -> tuple[str, str]:
    """The price with most MRR, and its interval; twice "" where nothing is paid."""
    worth: dict[str, int] = {}
    intervals: dict[str, str] = {}
    for step in steps:
        if step.terms is not None and step.mrr_minor:
            tariff = step.terms.tariff
            worth[tariff.price] = worth.get(tariff.price, 0) + step.mrr_minor
            intervals[tariff.price] = _interval(tariff)
    if not worth:
        return "", ""
    price = min(worth, key=lambda each: (-worth[each], each))
    return price, intervals[price]


def _interval(tariff: Tariff) -> str:
    count = tariff.interval_count
    return tariff.interval if count == 1 else f"{count} {tariff.interval}s"
