"""Series of invoiced lines → MRR steps, where the policy counts them by period.

Each series is an item: what its lines bill, over the months that their periods cover, from
a period's start to its end and five days more, or until the next one begins. So periods
that follow each other join, and one that does not come is churn when the days are over.
What takes back the rest of a line's period ends it there.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from connector.core.model import Evidence, ItemPricing, MrrStep, Tariff
from connector.mrr.outside.lines import OutsideLine
from connector.mrr.outside.series import (
    DAY_S,
    BillingInterval,
    InvoicedSeries,
)
from connector.mrr.pricing import monthly_minor

GRACE_S = 5 * DAY_S  # after a period's end, for the next invoice to come
NEARLY = 97  # per cent of what is left of a line: months are not equally long


def series_steps(
    series: Iterable[InvoicedSeries],
    credits_: Iterable[OutsideLine] = (),
    goes_on_at_s: int | None = None,
) -> Iterator[MrrStep]:
    """Each series' steps, of those that an interval is known of.

    What covers ``goes_on_at_s`` is taken to go on for ever.
    """
    known, taken_back = list(series), list(credits_)
    starts: dict[tuple[str, str, str], list[int]] = {}  # of what one thing bills
    for each in known:
        own = starts.setdefault((each.reason, each.currency, each.named), [])
        own += [start_s for _, start_s, _ in each.lines]
    for each in known:
        if each.interval is not None:
            following = sorted(starts[each.reason, each.currency, each.named])
            ends = list(_ends(each, following, taken_back))
            yield from _steps(each, each.interval, ends, goes_on_at_s)


def _steps(
    series: InvoicedSeries,
    interval: BillingInterval,
    ends: Iterable[int],
    goes_on_at_s: int | None,
) -> Iterator[MrrStep]:
    """Begins and ends at the same instant are one step, or none."""
    changes: dict[int, list[tuple[int, OutsideLine]]] = {}
    for (line, start_s, _), end_s in zip(series.lines, ends, strict=True):
        changes.setdefault(start_s, []).append((1, line))
        if goes_on_at_s is None or not start_s <= goes_on_at_s < end_s:
            changes.setdefault(end_s, []).append((-1, line))
    active, billed_minor = 0, 0
    last: ItemPricing | None = None
    for at_s, changed in sorted(changes.items()):
        active += sum(sign for sign, _ in changed)
        billed_minor += sum(sign * line.net_minor for sign, line in changed)
        pricing = _pricing(series, interval, billed_minor) if active else None
        if pricing == last:
            continue
        last = pricing
        shown = [line for sign, line in changed if sign > 0 or pricing is None]
        yield MrrStep(
            at_s=at_s,
            subscription="",
            item=series.item,
            currency=series.currency,
            pricing=pricing,
            mrr_minor=0 if pricing is None else monthly_minor(pricing),
            evidence=_evidence(shown or [line for _, line in changed], at_s),
        )


def _ends(
    series: InvoicedSeries, starts: Sequence[int], taken_back: Sequence[OutsideLine]
) -> Iterator[int]:
    """Until when each line counts, in their order; ``starts`` are sorted."""
    for line, start_s, end_s in series.lines:
        early_s = min(GRACE_S, (end_s - start_s) // 4)  # an invoice that came too soon
        place = bisect_left(starts, max(start_s + 1, end_s - early_s))
        following = starts[place] if place < len(starts) else None
        last_s = end_s + GRACE_S
        own_s = last_s if following is None else min(following, last_s)
        yield min([own_s, *_taken_back(line, taken_back)])


def _taken_back(line: OutsideLine, credits_: Iterable[OutsideLine]) -> Iterator[int]:
    """Since when a credit leaves nothing of the line; a part of it is no end."""
    for each in credits_:
        is_same = (each.reason, each.currency) == (line.reason, line.currency) and (
            (each.product and each.product == line.product)
            or (each.text and each.text == line.text)
        )
        is_rest = line.billed_s < each.billed_s and line.start_s <= each.start_s
        if not is_same or not is_rest or abs(each.end_s - line.end_s) > DAY_S:
            continue
        whole = line.net_minor * (line.end_s - each.start_s)
        if each.net_minor * (line.end_s - line.start_s) * 100 >= whole * NEARLY:
            yield each.start_s


def _pricing(
    series: InvoicedSeries, interval: BillingInterval, billed_minor: int
) -> ItemPricing:
    rate = Tariff(
        price=series.product or series.reason,
        currency=series.currency,
        interval=interval.unit,
        interval_count=interval.count,
        unit_amount_minor=Decimal(billed_minor),
    )
    return ItemPricing(tariff=rate, quantity=Decimal(1))


def _evidence(lines: Iterable[OutsideLine], at_s: int) -> tuple[Evidence, ...]:
    proof = [each for line in lines for each in line.evidence(at_s)]
    return tuple(dict.fromkeys(proof))
