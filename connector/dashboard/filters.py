"""A value → the text or the URL that a template writes of it, beside the page's own.

URLs are of pages, with what they ask, and of Stripe's Dashboard, in the right mode.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from urllib.parse import quote, urlencode

from connector.core.account import StripeIdentity
from connector.core.dates import add_months, instant
from connector.core.language import (
    _,
    day_text,
    long_month_text,
    marked,
    month_text,
    ngettext,
    percent_sign,
    table_day,
)
from connector.core.model import Cause, SegmentValue
from connector.core.money import format_points, format_ratio
from connector.core.windows import Window, WindowKind, name_of, written
from connector.metrics.cohorts import Cohort, CohortPeriod
from connector.render.report.reasons import CAUSE_WORDS


def date_text(day: date | None) -> str:
    return "–" if day is None else day_text(day)


def clock(at: datetime) -> str:
    return f"{date_text(at.date())}, {at:%H:%M}"


def spoken(window: Window) -> str:
    """``the twelve months to October 2026``, ``October 2026``, ``Q1 2026``, ``2026``."""
    last = last_day(window)
    if window.kind is WindowKind.TRAILING_12:
        return _("the twelve months to {month}").format(month=long_month_text(last))
    return long_month_text(last) if window.kind is WindowKind.MONTH else name_of(window)


def heading(window: Window) -> str:
    """The same where a sentence begins with it."""
    text = spoken(window).removeprefix("the ")
    return text[0].upper() + text[1:]


def sentence(text: str) -> str:
    """As one begins, with all other letters as they are."""
    return text[:1].upper() + text[1:]


def last_day(window: Window) -> date:
    return window.end - timedelta(days=1)


def away(day: date, today: date) -> str:
    """``in 11 days``, ``today``, ``3 days ago``."""
    days = (day - today).days
    if not days:
        return _("today")
    if days > 0:
        return ngettext("in {number} day", "in {number} days", days).format(number=days)
    ago = ngettext("{number} day ago", "{number} days ago", -days)
    return ago.format(number=-days)


_CAUSES = {
    **CAUSE_WORDS,
    Cause.START.value: marked("start"),
    Cause.END.value: marked("end"),
}


def cause_said(cause: str) -> str:
    return _(_CAUSES[cause])


def without_price(segment: str) -> str:
    """A plan's name as its segment has it, without the id of its price."""
    return re.sub(r" \(price_\w+\)$", "", segment)


def cohort_end(cohort: Cohort, period: CohortPeriod) -> date:
    """The last day on which somebody could join it."""
    return add_months(cohort.start, period.length) - timedelta(days=1)


def fine_points(points: Fraction | None) -> str:
    """With two decimals, as many customers move a ratio by less than a tenth."""
    if points is None:
        return "–"
    text = format_ratio(points / 100, 2).removesuffix(percent_sign())
    return f"+{text}" if points > 0 and text.strip("0.,") else text


def without(only: Sequence[SegmentValue], one: SegmentValue) -> tuple[str, ...]:
    """The other segments, as a URL has them."""
    return tuple(str(each) for each in only if each != one)


def utc_text(at_s: int) -> str:
    return f"{table_day(instant(at_s))} {instant(at_s):%H:%M} UTC"


# URLs

STRIPE = "https://dashboard.stripe.com"

# What Stripe's Dashboard calls the page of an object, by the beginning of its id.
_PLACES = {
    "cus_": "customers",
    "sub_": "subscriptions",
    "in_": "invoices",
    "price_": "prices",
    "prod_": "products",
    "evt_": "events",
}
_SAFE = "_-"


def href(path: str, asked: Mapping[str, object] | None = None, **more: object) -> str:
    """A path with its query; what is None or "" is left out, ``as_of`` is ``as-of``.

    A tuple is given once for each of its values.
    """
    named = {name.replace("_", "-"): value for name, value in more.items()}
    values = [
        (name, str(each))
        for name, value in {**(asked or {}), **named}.items()
        for each in (value if isinstance(value, tuple) else (value,))
        if each not in (None, "")
    ]
    return f"{path}?{urlencode(values)}" if values else path


def customer_href(
    key: str, asked: Mapping[str, object] | None = None, **more: object
) -> str:
    return href(f"/customer/{quote(key, safe=_SAFE)}", asked, **more)


def stripe_href(key: str, whose: StripeIdentity) -> str | None:
    """Where Stripe shows an object; None where it has no page of its own.

    In the account that is named, whichever the reader last looked at there.
    """
    place = next((at for start, at in _PLACES.items() if key.startswith(start)), None)
    if place is None:
        return None
    account = f"/{quote(whose.id, safe=_SAFE)}" if whose.id else ""
    mode = "/test" if whose.livemode is False else ""
    return f"{STRIPE}{account}{mode}/{place}/{quote(key, safe=_SAFE)}"


_NAMED = (
    *(away, cause_said, clock, cohort_end, customer_href, fine_points, heading, href),
    *(
        last_day,
        sentence,
        spoken,
        stripe_href,
        utc_text,
        without,
        without_price,
        written,
    ),
)
FILTERS: Mapping[str, Callable[..., Any]] = {
    **{each.__name__: each for each in _NAMED},
    "date": date_text,
    "long_month": long_month_text,
    "month": month_text,
    "points": format_points,
}
