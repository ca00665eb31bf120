"""Instants in unix seconds (UTC) → billing periods, as Stripe cuts them.

A period is half-open, ``start`` in and ``end`` out. Every boundary is counted from
the anchor, so that an anchor on the 31st falls on 28 February and again on 31 March.
"""

from calendar import monthrange
from datetime import UTC, datetime

DAY = 86_400
HOUR = 3_600
MONTHS = {"month": 1, "year": 12}
SECONDS = {"week": 7 * DAY, "day": DAY}


def instant(text: str) -> int:
    """``2024-01-31`` or ``2024-01-31T09:30:00`` → unix seconds; UTC unless it says."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def add_months(anchor: int, months: int) -> int:
    """The same day and time ``months`` later, or that month's last day."""
    moment = datetime.fromtimestamp(anchor, UTC)
    year, month0 = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month0 + 1)[1])
    return int(moment.replace(year=year, month=month0 + 1, day=day).timestamp())


def boundary(anchor: int, interval: str, count: int, n: int) -> int:
    """The ``n``-th period boundary counted from the anchor, before it or after."""
    if interval in MONTHS:
        return add_months(anchor, MONTHS[interval] * count * n)
    return anchor + SECONDS[interval] * count * n


def period_at(anchor: int, interval: str, count: int, at: int) -> tuple[int, int]:
    """The period that holds ``at``."""
    if interval in MONTHS:
        one, two = (datetime.fromtimestamp(t, UTC) for t in (anchor, at))
        months = (two.year - one.year) * 12 + two.month - one.month
        n = months // (MONTHS[interval] * count)
    else:
        n = (at - anchor) // (SECONDS[interval] * count)
    while boundary(anchor, interval, count, n) > at:
        n -= 1
    while boundary(anchor, interval, count, n + 1) <= at:
        n += 1
    start = boundary(anchor, interval, count, n)
    return start, boundary(anchor, interval, count, n + 1)


def written(at: int) -> str:
    """``10 Nov 2025``, as Stripe writes it on proration lines."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%b %Y}"
