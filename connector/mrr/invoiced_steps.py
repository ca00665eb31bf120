"""Series of invoiced lines → MRR steps, where the policy counts them by period.

Each series is an item: what its lines bill, over the months that their periods cover, from
a period's start to its end and five days more, or until the next one begins. So periods
that follow each other join, and one that does not come is churn when the days are over.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from decimal import Decimal

from connector.core.model import Evidence, ItemPricing, MrrStep, Tariff
from connector.mrr.evidence.invoiced_series import (
    DAY_S,
    BillingInterval,
    InvoicedSeries,
)
from connector.mrr.evidence.outside_lines import OutsideLine
from connector.mrr.pricing import monthly_minor

GRACE_S = 5 * DAY_S  # after a period's end, for the next invoice to come


def series_steps(
    series: Iterable[InvoicedSeries], goes_on_at_s: int | None = None
) -> Iterator[MrrStep]:
    """Each series' steps, of those that an interval is known of.

    What covers ``goes_on_at_s`` is taken to go on for ever.
    """
    for each in series:
        if each.interval is not None:
            yield from _steps(each, each.interval, goes_on_at_s)


def _steps(
    series: InvoicedSeries, interval: BillingInterval, goes_on_at_s: int | None
) -> Iterator[MrrStep]:
    """Begins and ends at the same instant are one step, or none."""
    changes: dict[int, list[tuple[int, OutsideLine]]] = {}
    for (line, start_s, _), end_s in zip(series.lines, _ends(series), strict=True):
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


def _ends(series: InvoicedSeries) -> Iterator[int]:
    """Until when each line counts, in their order."""
    starts = [each.start_s for each in series.lines]
    for _, start_s, end_s in series.lines:
        early_s = min(GRACE_S, (end_s - start_s) // 4)  # an invoice that came too soon
        place = bisect_left(starts, max(start_s + 1, end_s - early_s))
        following = starts[place] if place < len(starts) else None
        last_s = end_s + GRACE_S
        yield last_s if following is None else min(following, last_s)


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
