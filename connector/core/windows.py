"""The standard windows: of which months, what they are called, what is cut there."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import chain
from typing import NamedTuple, Protocol, TypeVar

from connector.core.dates import add_months, months, parse_month, period_start
from connector.core.language import _, marked, month_text


class WindowKind(StrEnum):
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    TRAILING_12 = "trailing-12"


class Window(NamedTuple):
    """``start`` is in, ``end`` is out."""

    kind: WindowKind
    start: date
    end: date


def windows(kind: WindowKind, first: date, last: date) -> list[Window]:
    """The windows of a kind for the months ``first`` to ``last``, both included.

    A quarter or year is there if any of its months is; a trailing-12 window belongs to
    the month it ends with.
    """
    end = add_months(last, 1)
    if kind is WindowKind.TRAILING_12:
        return [
            Window(kind, add_months(month, -11), add_months(month, 1))
            for month in months(first, end)
        ]
    length = _MONTHS[kind]
    starts = dict.fromkeys(period_start(month, length) for month in months(first, end))
    return [Window(kind, start, add_months(start, length)) for start in starts]


_MONTHS = {WindowKind.MONTH: 1, WindowKind.QUARTER: 3, WindowKind.YEAR: 12}


def ending_with(month: date) -> list[Window]:
    """The windows of which a month is the last one; itself first."""
    wanted = [w for kind in WindowKind for w in windows(kind, month, month)]
    return [window for window in wanted if window.end == add_months(month, 1)]


class _Dated(Protocol):
    @property
    def day(self) -> date: ...


D = TypeVar("D", bound=_Dated)


def boundaries_of(windows: Iterable[Window]) -> list[date]:
    """Every day on which one of them begins or has just ended, in order."""
    return sorted({day for w in windows for day in (w.start, w.end)})


class DayPositions(dict[date, int]):
    """How many of some ordered days a day has reached; of few days, asked for often."""

    def __init__(self, days: Sequence[date]) -> None:
        super().__init__()
        self._days = days

    def __missing__(self, day: date) -> int:
        place = self[day] = bisect_right(self._days, day)
        return place


def cut(dated: Iterable[D], days: Sequence[date]) -> list[list[D]]:
    """What was before the first of ``days``, then between each two, then since the last.

    ``days`` are in order; what is cut may come in any, and keeps it.
    """
    parts: list[list[D]] = [[] for _ in range(len(days) + 1)]
    place_of = DayPositions(days)
    for each in dated:
        parts[place_of[each.day]].append(each)
    return parts


def inside(parts: Sequence[list[D]], days: Sequence[date], window: Window) -> list[D]:
    """What is in the window, of what was cut at ``days``."""
    found = parts[bisect_right(days, window.start) : bisect_right(days, window.end)]
    return found[0] if len(found) == 1 else list(chain.from_iterable(found))


TRAILING = marked("12 months to {month}")


def trailing_prefix() -> str:
    """What the names of trailing-12 windows have before their month."""
    return _(TRAILING).partition("{month}")[0]


def name_of(window: Window) -> str:
    """``Mar 2026``, ``Q1 2026``, ``2026``, ``12 months to Mar 2026``."""
    last = window.end - timedelta(days=1)
    match window.kind:
        case WindowKind.MONTH:
            return month_text(last)
        case WindowKind.QUARTER:
            return f"Q{(window.start.month + 2) // 3} {window.start.year}"
        case WindowKind.YEAR:
            return str(window.start.year)
        case WindowKind.TRAILING_12:
            return _(TRAILING).format(month=month_text(last))


# How each kind of window is written, and the month that names it.
_SHAPES: Sequence[tuple[WindowKind, str, Callable[[re.Match[str]], str]]] = (
    (WindowKind.MONTH, r"\d{4}-\d{2}", lambda found: found[0]),
    (
        WindowKind.QUARTER,
        r"(\d{4})-[Qq]([1-4])",
        lambda found: f"{found[1]}-{int(found[2]) * 3:02}",
    ),
    (WindowKind.YEAR, r"\d{4}", lambda found: f"{found[0]}-01"),
    (WindowKind.TRAILING_12, r"\.\.(\d{4}-\d{2})", lambda found: found[1]),
)


def parse_window(text: str) -> Window:
    """``2026-03``, ``2026-Q1``, ``2026`` or ``..2026-03``; ``ValueError`` for others."""
    for kind, shape, month in _SHAPES:
        found = re.fullmatch(shape, text.strip())
        if found is not None:
            day = parse_month(month(found))
            return windows(kind, day, day)[0]
    raise ValueError(text)


def written(window: Window) -> str:
    """As ``parse_window`` reads it."""
    last = window.end - timedelta(days=1)
    match window.kind:
        case WindowKind.MONTH:
            return f"{last:%Y-%m}"
        case WindowKind.QUARTER:
            return f"{last:%Y}-Q{last.month // 3}"
        case WindowKind.YEAR:
            return f"{last:%Y}"
        case WindowKind.TRAILING_12:
            return f"..{last:%Y-%m}"
