"""Lines of no subscription item → those that bill the same again and again.

A *series* is a customer's lines of one reason, currency, product (or description) and
interval. A line of a known kind (a licence fee, a contract) or of an unknown parent
recurs by itself. A manual line looks recurring where its like were billed at least three
times: for a week, a month, a quarter or a year each, or so far apart from each other.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct

from connector.core.dates import add_months, instant
from connector.core.invoiced import NotCountedReason
from connector.core.money import round_minor
from connector.mrr.outside.lines import OutsideLine
from connector.mrr.pricing import months_factor

DAY_S = 86_400
LEAST = 3  # times that a manual line is seen before it looks recurring


class BillingInterval(Struct, frozen=True):
    """``month`` and 3 are a quarter."""

    unit: str
    count: int

    @property
    def months(self) -> Fraction:
        """The part of its amount that is a month's."""
        return months_factor(self.unit, self.count)


MONTH = BillingInterval("month", 1)
# About a week, a month, a quarter, a year: the days from and to.
_ABOUT = {
    BillingInterval("week", 1): (6, 8),
    MONTH: (26, 36),
    BillingInterval("month", 3): (84, 98),
    BillingInterval("year", 1): (350, 380),
}
# How far a period may be from so many whole months: some end on the day before.
_NEAR_S = 2.1 * DAY_S


def interval_of(start_s: int, end_s: int) -> BillingInterval | None:
    """What a line's period covers: months where it does, else weeks or days.

    None for an instant, or less than a day.
    """
    length_s = end_s - start_s
    if length_s < DAY_S - 1:
        return None
    months = round(length_s / (DAY_S * 365.25 / 12))
    if months and abs(end_s - _months_after(start_s, months)) <= _NEAR_S:
        return (
            BillingInterval("year", months // 12)
            if months % 12 == 0
            else _month(months)
        )
    days = round(length_s / DAY_S)
    return (
        BillingInterval("day", days) if days % 7 else BillingInterval("week", days // 7)
    )


def _month(count: int) -> BillingInterval:
    return BillingInterval("month", count)


def _months_after(start_s: int, count: int) -> int:
    """The same day and time so many months later, or the month's last day."""
    start = instant(start_s)
    first = add_months(start.date(), count)
    last = (add_months(first, 1) - timedelta(days=1)).day
    there = start.replace(year=first.year, month=first.month, day=min(start.day, last))
    return int(there.timestamp())


class SeriesLine(NamedTuple):
    """A line, and from when to when it is taken to bill."""

    line: OutsideLine
    start_s: int
    end_s: int


class InvoicedSeries(NamedTuple):
    """``lines`` are by the start of what they bill. ``interval`` None: nothing says it.

    ``named`` is the product or description that its lines have in common.
    """

    item: str
    named: str
    reason: NotCountedReason
    currency: str
    product: str
    interval: BillingInterval | None
    lines: tuple[SeriesLine, ...]

    @property
    def fades_s(self) -> int:
        """When the last one is older than one and a half intervals."""
        last = self.lines[-1]
        length_s = last.end_s - last.start_s
        return max(last.start_s, last.line.billed_s) + length_s * 3 // 2

    @property
    def monthly_minor(self) -> int:
        """What the last time billed, as a month's worth; of an instant, as it is."""
        last = self.lines[-1]
        near_s = (last.end_s - last.start_s) // 2
        found = [x for x in self.lines if last.start_s - x.start_s <= near_s]
        billed = Fraction(sum(each.line.net_minor for each in found))
        return round_minor(billed * (self.interval or MONTH).months)


def invoiced_series(lines: Iterable[OutsideLine]) -> list[InvoicedSeries]:
    """Every series of a customer, by reason, then product or description."""
    apart: dict[tuple[NotCountedReason, str], list[OutsideLine]] = {}
    for line in lines:
        apart.setdefault((line.reason, line.currency), []).append(line)
    found: list[InvoicedSeries] = []
    for (reason, _), own in apart.items():
        of_kind = _manual if reason is NotCountedReason.MANUAL else _known
        found += of_kind(own)
    return sorted(found, key=lambda each: (each.reason, each.currency, each.item))


def _known(lines: Sequence[OutsideLine]) -> Iterator[InvoicedSeries]:
    """Of lines that recur by what they are."""
    for named, own in _alike(lines).items():
        for interval, of_interval in _by_interval(own).items():
            if interval is not None:
                yield _series(named, interval, of_interval)
                continue
            spaced = _by_distance(of_interval)
            for distance, run in spaced.items():
                yield _series(named, distance, run, is_spaced=True)
            left = _without(of_interval, spaced.values())
            if left:
                yield _series(named, None, left)


def _manual(lines: Sequence[OutsideLine]) -> Iterator[InvoicedSeries]:
    """Of lines that look recurring: by their periods, else by their distance.

    Without periods only the same description tells what is the same, then, of what is
    left, the same product: else another line in between would hide the distance.
    """
    left: list[OutsideLine] = []
    for named, own in _alike(lines).items():
        for interval, of_interval in _by_interval(own).items():
            starts = {line.start_s // DAY_S for line in of_interval}
            if interval in _ABOUT and len(starts) >= LEAST and named:
                yield _series(named, interval, of_interval)
            else:
                left += of_interval
    for name_of in (_text_of, _product_of):
        for named, own in _named(left, name_of).items():
            spaced = _by_distance(own) if named else {}
            for distance, run in spaced.items():
                yield _series(named, distance, run, is_spaced=True)
            left = _without(left, spaced.values())


_text_of, _product_of = attrgetter("text"), attrgetter("product")


def _named(
    lines: Iterable[OutsideLine], name_of: Callable[[OutsideLine], str]
) -> dict[str, list[OutsideLine]]:
    found: dict[str, list[OutsideLine]] = {}
    for line in lines:
        found.setdefault(name_of(line), []).append(line)
    return found


def _without(
    lines: Sequence[OutsideLine], taken: Iterable[Iterable[OutsideLine]]
) -> list[OutsideLine]:
    ids = {line.id for own in taken for line in own}
    return [line for line in lines if line.id not in ids]


def _alike(lines: Iterable[OutsideLine]) -> dict[str, list[OutsideLine]]:
    """Lines that have a description or a product in common, directly or by others.

    By one of these; "" has neither.
    """
    name_of: dict[str, str] = {}  # each description's and product's
    found: dict[str, list[OutsideLine]] = {}
    for line in lines:
        words = [word for word in (line.text, line.product) if word]
        known = list(dict.fromkeys(name_of[w] for w in words if w in name_of))
        name = known[0] if known else next(iter(words), "")
        for other in known[1:]:
            found[name] += found.pop(other)
            name_of = {w: name if n == other else n for w, n in name_of.items()}
        name_of |= dict.fromkeys(words, name)
        found.setdefault(name, []).append(line)
    return found


def _by_interval(
    lines: Iterable[OutsideLine],
) -> dict[BillingInterval | None, list[OutsideLine]]:
    apart: dict[BillingInterval | None, list[OutsideLine]] = {}
    for line in lines:
        apart.setdefault(interval_of(line.start_s, line.end_s), []).append(line)
    return apart


def _by_distance(
    lines: Iterable[OutsideLine],
) -> dict[BillingInterval, list[OutsideLine]]:
    """Those of at least three days that are a week, a month … apart from each other."""
    days: dict[int, list[OutsideLine]] = {}
    for line in sorted(lines, key=lambda each: each.billed_s):
        days.setdefault(line.billed_s // DAY_S, []).append(line)
    found: dict[BillingInterval, list[OutsideLine]] = {}
    for interval, (least, most) in _ABOUT.items():
        for run in _runs(list(days), least, most):
            if len(run) >= LEAST:
                own = [line for day in run for line in days.pop(day)]
                found.setdefault(interval, []).extend(own)
    return found


def _runs(days: Iterable[int], least: int, most: int) -> Iterator[list[int]]:
    """Days in their order, cut where two are not so far apart."""
    run: list[int] = []
    for day in days:
        if run and not least <= day - run[-1] <= most:
            yield run
            run = []
        run.append(day)
    yield run


def _series(
    named: str,
    interval: BillingInterval | None,
    lines: Sequence[OutsideLine],
    *,
    is_spaced: bool = False,
) -> InvoicedSeries:
    """``item`` tells it from the customer's other series of the same reason."""
    first = lines[0]
    every = "" if interval is None else f"{interval.count} {interval.unit}"
    words = (first.reason, named, "every" if is_spaced else "", every)
    return InvoicedSeries(
        item=" ".join(word for word in words if word),
        named=named,
        reason=first.reason,
        currency=first.currency,
        product=first.product if len({x.product for x in lines}) == 1 else "",
        interval=interval,
        lines=tuple(sorted(_spans(lines, interval), key=lambda x: (x[1:], x[0].id))),
    )


def _spans(
    lines: Iterable[OutsideLine], interval: BillingInterval | None
) -> Iterator[SeriesLine]:
    """Each line's own period; of an instant, the interval from when it was billed."""
    for line in lines:
        if interval is None:
            end_s = _months_after(line.billed_s, 1)
            yield SeriesLine(line, line.billed_s, end_s)
        elif interval_of(line.start_s, line.end_s) == interval:
            yield SeriesLine(line, line.start_s, line.end_s)
        else:
            yield SeriesLine(line, line.billed_s, _after(line.billed_s, interval))


def _after(start_s: int, interval: BillingInterval) -> int:
    if interval.unit == "week":
        return start_s + 7 * DAY_S * interval.count
    return _months_after(
        start_s, interval.count * (12 if interval.unit == "year" else 1)
    )
