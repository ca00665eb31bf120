"""The first line of a file → which column is what, and so which kind of file it is.

Stripe's column names are not documented for every download, and other tools have their
own: columns are found by what they are called, in any order, and others are left alone.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from connector.core.errors import UsageFault


class FileKind(StrEnum):
    """What a line of a file says."""

    MONTHS = "MRR by month"  # a customer's MRR at the end of a month
    CHANGES = "MRR changes"  # a customer's, or an item's, MRR changed on a day


# What each column may be called: lower case, letters and digits alone.
_NAMES: Mapping[str, str] = {
    "whose": "customerid customer stripecustomerid customerexternalid externalid"
    " subscriberid subscriber custid customers subscribers clientid accountid",
    "money": "currency currencycode mrrcurrency customercurrency",
    "month": "month period monthend monthstart monthending",
    "day": "date day eventtimestamp timestamp eventdate changedate effectivedate"
    " datetime occurredat eventtime",
    "local_day": "localeventtimestamp localdate localeventdate localtimestamp",
    "change": "mrrchange change mrrdelta netmrrchange changeinmrr mrrmovement"
    " activitymrrmovement mrrchangeminor changeminor mrrimpact",
    "mrr": "mrr mrrminor monthlyrecurringrevenue currentmrr mrramount amount value"
    " closingmrr activitymrr endingmrr totalmrr",
}
_ROLE_OF = {name: role for role, names in _NAMES.items() for name in names.split()}
_MONTH_NAMES = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)


class Layout(NamedTuple):
    """Where in a line each thing stands; None where it does not.

    ``months`` are the columns of a file with a column a month. ``ignored`` are the names
    of columns that are not needed.
    """

    kind: FileKind
    customer: int
    currency: int | None
    when: int | None
    amount: int | None
    months: Sequence[tuple[int, date]] = ()
    ignored: Sequence[str] = ()


def layout_of(heads: Sequence[str], source: str) -> Layout:
    """Raises ``UsageFault`` that names what was found and what is needed."""
    found: dict[str, int] = {}
    months, ignored = [], []
    for place, head in enumerate(heads):
        role, named = _ROLE_OF.get(_plain(head)), month_of(head)
        if named is not None:
            months.append((place, named))
        elif role is not None and role not in found:
            found[role] = place
        elif head.strip():
            ignored.append(head.strip())
    customer, mrr = found.get("whose"), found.get("mrr")
    change = found.get("change")
    day = found.get("local_day", found.get("day"))
    month = found.get("month", day)
    if customer is not None and day is not None and change is not None:
        kind, when, amount, months = FileKind.CHANGES, day, change, []
    elif customer is not None and months:
        kind, when, amount = FileKind.MONTHS, None, None
    elif customer is not None and month is not None and mrr is not None:
        kind, when, amount = FileKind.MONTHS, month, mrr
    else:
        raise _not_understood(heads, found, source)
    currency = found.get("money")
    return Layout(kind, customer, currency, when, amount, months, ignored)


def _plain(head: str) -> str:
    """``MRR change (minor units)`` as ``mrrchange``: without case, marks and brackets."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(.*?\)", "", head.lower()))


def is_minor(head: str) -> bool:
    """Whether a column says of itself that its amounts are in minor units."""
    return bool(re.search(r"minor|cents?\b", head.lower()))


def month_of(text: str) -> date | None:
    """``2026-03``, ``2026-03-31``, ``03/2026``, ``Mar 2026``, ``March-26``; else None."""
    text = text.strip()
    found = re.fullmatch(r"(\d{4})[-/.](\d{1,2})(?:[-/.]\d{1,2}([T ].*)?)?", text)
    if found is not None:
        return _first(int(found[1]), int(found[2]))
    found = re.fullmatch(r"(\d{1,2})[-/.](\d{4})", text)
    if found is not None:
        return _first(int(found[2]), int(found[1]))
    found = re.fullmatch(r"([A-Za-z]{3,9})\.?[-/ ,]+'?(\d{2}|\d{4})", text)
    if found is None or found[1][:3].lower() not in _MONTH_NAMES:
        return None
    year = int(found[2]) + (2000 if len(found[2]) == 2 else 0)
    return _first(year, _MONTH_NAMES.index(found[1][:3].lower()) + 1)


def _first(year: int, month: int) -> date | None:
    return date(year, month, 1) if 1 <= month <= 12 and year >= 1970 else None


_NEEDED = {
    "whose": "a customer (Customer ID, customer_id, customer)",
    "mrr": "its MRR by month (a column `month` and one `mrr`, or a column a month such as "
    "2026-03), or a `date` and an `mrr_change`",
}


def _not_understood(
    heads: Sequence[str], found: Mapping[str, int], source: str
) -> UsageFault:
    shown = ", ".join(head.strip() or "(nothing)" for head in heads[:20])
    needed = [words for role, words in _NEEDED.items() if role not in found]
    return UsageFault(
        f"{source} begins with the columns {shown}: not a file of MRR by customer",
        fix=f"give a CSV file with {' and '.join(needed) or _NEEDED['mrr']}",
    )
