"""A value → the text that a template writes of it, beside those of the page."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from connector.core.dates import instant
from connector.core.money import format_count, format_points
from connector.core.windows import Window, WindowKind, name_of, written
from connector.dashboard import links
from connector.render.table import Table, shown
from connector.reports.model import title_of


def filters(locale: str) -> Mapping[str, Callable[..., Any]]:
    return {
        "date": date_text,
        "clock": clock,
        "spoken": spoken,
        "written": written,
        "last_day": last_day,
        "away": away,
        "points": format_points,
        "counted": format_count,
        "href": links.href,
        "customer_href": links.customer,
        "currency_title": currency_title,
        "rows": partial(rows, locale=locale),
        "utc_text": lambda at_s: f"{instant(at_s):%Y-%m-%d %H:%M} UTC",
    }


def date_text(day: date | None) -> str:
    return "–" if day is None else f"{day.day} {day:%b %Y}"


def clock(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M}"


def spoken(window: Window) -> str:
    """``the twelve months to October 2026``, ``October 2026``, ``Q1 2026``, ``2026``."""
    last = last_day(window)
    if window.kind is WindowKind.TRAILING_12:
        return f"the twelve months to {last:%B %Y}"
    return f"{last:%B %Y}" if window.kind is WindowKind.MONTH else name_of(window)


def last_day(window: Window) -> date:
    return window.end - timedelta(days=1)


def away(day: date, today: date) -> str:
    """``in 11 days``, ``today``, ``3 days ago``."""
    days = (day - today).days
    if not days:
        return "today"
    counted = format_count(abs(days), "day")
    return f"in {counted}" if days > 0 else f"{counted} ago"


def currency_title(code: str, reporting: str | None) -> str:
    """``USD``; of the total ``all currencies in EUR``."""
    is_total = code == "total"
    return title_of(reporting or "" if is_total else code, is_total=is_total)


def rows(table: Table, locale: str) -> list[list[str]]:
    return [[shown(cell, locale) for cell in row] for row in table.rows]
