"""Days, months and windows in the reporting zone: the only owner of the calendar.

Every range is half-open: ``from`` is in, ``to`` is out. An instant is an ``int`` of unix
seconds (UTC), as Stripe gives it; a day is a ``date`` of the reporting zone. What "now" is
and which zone the books are kept in are always arguments.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at_s: int) -> datetime:
    """Unix seconds as an aware UTC datetime."""
    return EPOCH + timedelta(seconds=at_s)


def iso(at_s: int) -> str:
    """Unix seconds as ``2026-03-01T09:30:00Z``."""
    return instant(at_s).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_day(at_s: int) -> str:
    """The day of an instant in UTC, as ``2026-03-01``."""
    return _day_text(at_s // 86_400)


@lru_cache(maxsize=16_384)  # years of days; a derivation names each of them often
def _day_text(days_since_epoch: int) -> str:
    return (EPOCH.date() + timedelta(days=days_since_epoch)).isoformat()


class Days(dict[str, date]):
    """Each text's day; of few days in many rows, each is read once."""

    def __missing__(self, text: str) -> date:
        day = self[text] = date.fromisoformat(text)
        return day


@lru_cache(maxsize=4_096)  # movements, terms and prices ask for the same instants
def local_day(at_s: int, zone: tzinfo) -> date:
    """The day an instant belongs to, as the books in ``zone`` see it."""
    try:
        return datetime.fromtimestamp(at_s, zone).date()
    except OSError as error:  # how the machine's own calendar refuses a far year
        raise OverflowError(f"{at_s} is beyond all years") from error


class LocalMonths:
    """Which month of ``zone`` an instant is in, as ``2026-03``; for many of them."""

    def __init__(self, zone: tzinfo) -> None:
        firsts = [date(y, m, 1) for y in range(1970, 2101) for m in range(1, 13)]
        self._texts = ["", *(f"{first:%Y-%m}" for first in firsts)]
        self._starts_s = [day_end_s(each - timedelta(days=1), zone) for each in firsts]
        self._zone = zone

    def month(self, at_s: int) -> str:
        place = bisect_right(self._starts_s, at_s)
        if 0 < place < len(self._starts_s):
            return self._texts[place]
        return local_day(at_s, self._zone).isoformat()[:7]


@lru_cache(maxsize=16)
def local_months(zone: tzinfo) -> LocalMonths:
    """One a zone: made once, it answers ten times as fast as a calendar."""
    return LocalMonths(zone)


def day_end_s(day: date, zone: tzinfo) -> int:
    """The first second after a day, as the books in ``zone`` see it."""
    following = day + timedelta(days=1)
    midnight = datetime(following.year, following.month, following.day, tzinfo=zone)
    return int(midnight.timestamp())


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration_s(text: str) -> float:
    """``15m`` in seconds; raises ``ValueError`` for what is no duration."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise ValueError(text)
    return float(int(match[1]) * _UNITS_S[match[2]])


def month_start(day: date) -> date:
    return day.replace(day=1)


def add_months(first: date, count: int) -> date:
    """The first day of the month ``count`` months after the month of ``first``."""
    index = first.year * 12 + first.month - 1 + count
    return date(index // 12, index % 12 + 1, 1)


def later(at_s: int, interval: str, count: int) -> int:
    """Where a billing period from an instant on ends, as Stripe counts it (in UTC).

    ``count`` intervals of a day, week, month or year, before it where negative; a month
    that is too short for the day ends it.
    """
    days = {"day": 1, "week": 7}.get(interval)
    if days is not None:
        return at_s + days * count * 86_400
    at = instant(at_s)
    month = add_months(at.date(), count * {"month": 1, "year": 12}[interval])
    last = (add_months(month, 1) - timedelta(days=1)).day
    day = min(at.day, last)
    return int(at.replace(year=month.year, month=month.month, day=day).timestamp())


_LONGEST_DAYS = {"day": 1, "week": 7, "month": 31, "year": 366}


def next_period(anchor_s: int, interval: str, count: int, from_s: int) -> int:
    """The first start of a billing period from an instant on, counted from its anchor."""
    longest_s = _LONGEST_DAYS[interval] * count * 86_400
    place = (from_s - anchor_s) // longest_s - 1
    while (start_s := later(anchor_s, interval, place * count)) < from_s:
        place += 1
    return start_s


def months(first: date, end: date) -> Iterator[date]:
    """The first days of the months from ``first``'s (in) to ``end``'s (out)."""
    month, stop = month_start(first), month_start(end)
    while month < stop:
        yield month
        month = add_months(month, 1)


def period_start(day: date, length: int) -> date:
    """The first day of the month, quarter or year of a day: 1, 3 or 12 months long."""
    return date(day.year, (day.month - 1) // length * length + 1, 1)


# Years with room for a window before and after them; Stripe itself began in 2010.
YEARS = range(1970, 9999)


def parse_month(text: str) -> date:
    """``2026-03`` → the first of March 2026; ``ValueError`` for anything else."""
    if not re.fullmatch(r"\d{4}-\d{2}", text):
        raise ValueError(f"{text!r} is not a month")
    return parse_day(f"{text}-01")


def parse_day(text: str) -> date:
    """``2026-03-31`` → that day; ``ValueError`` for anything else."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) or int(text[:4]) not in YEARS:
        raise ValueError(f"{text!r} is not a day")
    return date.fromisoformat(text)


def is_ahead(moment: datetime, now: datetime, zone: tzinfo) -> bool:
    """Whether it is of a day that has not begun; the end of today is not."""
    return moment.astimezone(zone).date() > now.astimezone(zone).date()


def parse_moment(text: str, zone: tzinfo) -> datetime:
    """An aware moment from ISO 8601.

    Without an offset it is local time in ``zone``; a bare day is the last microsecond of
    that day there. ``ValueError`` where it is neither.
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return instant(day_end_s(parse_day(text), zone)) - timedelta(microseconds=1)
    moment = datetime.fromisoformat(text)
    if moment.year not in YEARS:
        raise ValueError(f"{text!r} is too far away")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)
