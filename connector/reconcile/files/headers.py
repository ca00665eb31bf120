"""The first line of a file → which column is what, and so which kind of file it is.

Stripe's column names are not documented for every download, and other tools have their
own: columns are found by what they are called, in any order, and others are left alone.
Who a line is of is in the column whose texts are Stripe's ids, where there is one.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from connector.core.errors import UsageFault
from connector.core.language import message
from connector.reconcile.files.days import is_day_first, month_of


class FileKind(StrEnum):
    """What a line of a file says."""

    MONTHS = "MRR by month"  # a customer's MRR at the end of a month
    CHANGES = "MRR changes"  # a customer's, or an item's, MRR changed on a day


# What each column may be called, the likeliest first: lower case, letters and digits.
_NAMES: Mapping[str, str] = {
    "whose": "stripecustomerid customerid customerexternalid externalid subscriberid"
    " custid customer subscriber customers subscribers clientid accountid stripeid"
    " kundenid kundennummer kunde abonnent"
    " customername subscribername kundenname customeremail subscriberemail email",
    "money": "currency currencycode mrrcurrency customercurrency presentmentcurrency"
    " settlementcurrency reportingcurrency defaultcurrency wahrung waehrung",
    # The end of a period may be its last day or the first of the next: its start is one.
    "month": "month billingmonth monthend monthenddate monthending monthstart"
    " monthstartdate period periodstart billingperiod monat abrechnungsmonat",
    "day": "date day eventtimestamp timestamp eventdate changedate effectivedate"
    " datetime occurredat eventtime datum tag",
    "local_day": "localeventtimestamp localdate localeventdate localtimestamp",
    "change": "mrrchange change mrrdelta netmrrchange changeinmrr mrrmovement"
    " activitymrrmovement mrrimpact anderung aenderung mrranderung",
    "mrr": "mrr monthlyrecurringrevenue currentmrr mrramount closingmrr endingmrr"
    " totalmrr activitymrr amount value betrag",
}
_ROLE_OF = {name: role for role, names in _NAMES.items() for name in names.split()}
_RANK_OF = {
    name: rank for names in _NAMES.values() for rank, name in enumerate(names.split())
}


class Layout(NamedTuple):
    """Where in a line each thing stands; None where it does not.

    ``months`` are the columns of a file with a column a month. ``ignored`` are the names
    of columns that are not needed. ``by_id``: customers are named by Stripe's ids.
    """

    kind: FileKind
    customer: int
    currency: int | None
    when: int | None
    amount: int | None
    months: Sequence[tuple[int, date]] = ()
    ignored: Sequence[str] = ()
    by_id: bool = False


def layout_of(
    heads: Sequence[str], source: str, lines: Sequence[Sequence[str]] = ()
) -> Layout:
    """``lines`` are some of those below.

    Raises ``UsageFault`` that names what was found and what is needed.
    """
    bare = [_without_figure(head) for head in heads]
    day_first = bool(is_day_first(bare))
    named = (month_of(head, day_first=day_first) for head in bare)
    months = [(n, month) for n, month in enumerate(named) if month is not None]
    found = _columns(heads, source)
    by_ids = _of_ids(lines)
    customer = found.get("whose")
    customer = by_ids[0] if by_ids and customer not in by_ids else customer
    mrr, change = found.get("mrr"), found.get("change")
    day = found.get("local_day", found.get("day"))
    month = found.get("month", day)
    if customer is not None and day is not None and change is not None:
        kind, when, amount, months = FileKind.CHANGES, day, change, []
    elif customer is not None and months:
        kind, when, amount = FileKind.MONTHS, None, None
        _once(heads, [named for _, named in months], [n for n, _ in months], source)
    elif customer is not None and month is not None and mrr is not None:
        kind, when, amount = FileKind.MONTHS, month, mrr
    else:
        raise _not_understood(heads, found, source)
    currency = found.get("money")
    used = {customer, currency, when, amount, *(n for n, _ in months)}
    left = [h.strip() for n, h in enumerate(heads) if n not in used and h.strip()]
    by_id = customer in by_ids
    return Layout(kind, customer, currency, when, amount, months, left, by_id)


def _columns(heads: Sequence[str], source: str) -> dict[str, int]:
    """By what is needed: the column whose name is likeliest to be it."""
    by_role: dict[str, list[int]] = {}
    for place, head in enumerate(heads):
        role = _ROLE_OF.get(_plain(head))
        if role is not None:
            by_role.setdefault(role, []).append(place)
    found = {}
    for role, places in by_role.items():
        ranks = [_RANK_OF[_plain(heads[place])] for place in places]
        best = [p for p, r in zip(places, ranks, strict=True) if r == min(ranks)]
        if role != "whose":  # a second column of these would be another figure
            _once(heads, [role] * len(best), best, source)
        found[role] = best[0]
    return found


def _once(
    heads: Sequence[str], said: Sequence[object], places: Sequence[int], source: str
) -> None:
    """Raises ``UsageFault`` where two columns say of themselves to be the same."""
    first: dict[object, int] = {}
    for what, place in zip(said, places, strict=True):
        other = first.setdefault(what, place)
        if other != place:
            raise UsageFault(
                f"{source} has the columns {heads[other].strip()} and "
                f"{heads[place].strip()}, numbers {other + 1} and {place + 1}: which "
                "one counts cannot be known",
                fix="leave one of them out, or give it another name",
            )


def _of_ids(lines: Sequence[Sequence[str]]) -> list[int]:
    """The columns in which there is nothing but Stripe's ids of customers."""
    found = []
    for place in range(max(map(len, lines), default=0)):
        texts = {line[place].strip() for line in lines if place < len(line)} - {""}
        if texts and all(id_in(text) or is_total(text) for text in texts):
            found.append(place)
    return found


_ID = re.compile(r"\bcus_\w+")
_TOTAL = re.compile(
    r"((grand|sub)[ -]?)?totals?\b|sum\b|[∑Σ]|overall\b|all customers\b|ergebnis\b"
    r"|summe\b|(end|zwischen)summe|gesamt|insgesamt|alle kunden\b",
    re.IGNORECASE,
)


def is_total(text: str) -> bool:
    """Whether a line below customers' ids says of itself to be of all of them."""
    return _TOTAL.match(text) is not None


def id_in(text: str) -> str:
    """Stripe's id of a customer in a link, or after a name; "" for none."""
    found = _ID.search(text)
    return "" if found is None else found[0]


_UNITS = re.compile(r"\b(?:in\s+)?(?:cents?|minor(?:\s+units?)?)\b")


def _plain(head: str) -> str:
    """``MRR change (USD)`` as ``mrrchange``, and so ``mrr_change_minor``.

    Without case, marks and accents, what stands in brackets, the currency and the unit of
    its amounts.
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"\(.*?\)|\[.*?\]", "", head))
    bare = (
        unicodedata.normalize("NFD", words.lower()).encode("ascii", "ignore").decode()
    )
    spaced = re.sub(r"[^a-z0-9]+", " ", bare)
    return _UNITS.sub("", _IN_CURRENCY.sub("", spaced)).replace(" ", "")


_CODES = (
    "usd eur gbp jpy cad aud nzd chf sek nok dkk isk pln czk huf ron bgn brl mxn inr cny"
    " hkd sgd krw thb myr php idr vnd zar ils aed sar kwd bhd"
)
_IN_CURRENCY = re.compile(rf"\s+(?:in\s+)?(?:{'|'.join(_CODES.split())})\s*$")


_FIGURE = r"\(.*?\)|\[.*?\]|\bmrr\b|\bsum of\b|\bsumme von\b"


def _without_figure(head: str) -> str:
    """``MRR Jan 2025 (USD)`` as ``Jan 2025``: what such a column is of is known.

    ``mrr_2025_01`` as ``2025-01``, ``Sum of 2025-01`` of a pivot table, too.
    """
    words = re.sub(_FIGURE, " ", head.replace("_", "-"), flags=re.IGNORECASE)
    return " ".join(words.strip(" _-:").split())


def is_minor(head: str) -> bool:
    """Whether a column says of itself that its amounts are in minor units."""
    return bool(re.search(r"minor|cents?\b", head.lower()))


_BOTH = message(
    "a customer (Customer ID, customer_id, customer) and its MRR by month (a column "
    "`month` and one `mrr`, or a column a month such as 2026-03), or a `date` and an "
    "`mrr_change`"
)
_WHOSE = message("a customer (Customer ID, customer_id, customer)")
_MRR = message(
    "its MRR by month (a column `month` and one `mrr`, or a column a month such as "
    "2026-03), or a `date` and an `mrr_change`"
)


def _not_understood(
    heads: Sequence[str], found: Mapping[str, int], source: str
) -> UsageFault:
    shown = ", ".join(head.strip() or "(nothing)" for head in heads[:20])
    needed = _MRR
    if "whose" not in found:
        needed = _WHOSE if "mrr" in found else _BOTH
    return UsageFault(
        f"{source} begins with the columns {shown}: not a file of MRR by customer",
        fix=f"give a CSV file with {needed}",
    )
