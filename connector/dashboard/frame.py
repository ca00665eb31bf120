"""What stands around every page: whose ledger, known until when, what is missing, noted."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from connector.config import DEFAULT_LOCALE
from connector.core.account import MODES, NOBODY, StripeIdentity
from connector.core.kept.months import Note
from connector.core.language import _, language, marked
from connector.core.windows import Window
from connector.dashboard.answer import PageAnswer, PageRequest
from connector.dashboard.filters import href
from connector.render.page.svg import middle
from connector.render.report.footnotes import policy_sentence
from connector.render.report.missing import banner, outside_note, refused_sentence
from connector.reports.ledger import Ledger, some_of
from connector.store.database import setting
from connector.store.ledger import customers, queries
from connector.store.mirror import objects
from connector.store.mirror.companies import is_customer
from connector.store.months import notes


class NavigationEntry(NamedTuple):
    name: str
    href: str
    is_here: bool


# In the navigation, by the pages that count as being there.
NAVIGATION = {
    marked("Overview"): ("/", ("overview",)),
    marked("Retention"): ("/window", ("window",)),
    marked("Customers"): ("/customers", ("customers", "customer")),
    marked("Movements"): ("/movements", ("movements",)),
    marked("Cohorts"): ("/cohorts", ("cohorts",)),
    marked("At risk"): ("/at-risk", ("at-risk",)),
    marked("Churn"): ("/churn", ("churn",)),
    marked("Coverage"): ("/coverage", ("coverage",)),
    marked("Restated"): ("/restatements", ("restatements",)),
    marked("Differences"): ("/differences", ("differences",)),
}


def bare_frame() -> Mapping[str, Any]:
    """Where there is no ledger to read."""
    return {
        "account": "stripe-nrr",
        "mode": "",
        "known": None,
        "navigation": _navigation(""),
        "banner": [],
        "state_tag": "",
        "policy": "",
        "locale": DEFAULT_LOCALE,
        "language": language(),
        "outside_line": None,
        "refused_line": None,
    }


def of_ledger(ledger: Ledger, page: str) -> Mapping[str, Any]:
    known = ledger.state()
    account, mode = account_of(ledger)
    return {
        "account": account,
        "mode": mode,
        "known": known,
        "known_at": known.at.astimezone(ledger.zone),
        "zone": ledger.zone.key,
        "navigation": _navigation(page),
        "banner": banner(ledger.facts(), ledger.outside(), ledger.config.locale),
        "state_tag": state_tag([each.ledger for each in ledger.parts]),
        "policy": policy_sentence(known.policy),
        "locale": ledger.config.locale,
        "language": language(),
        "outside_line": outside_note(ledger.outside(), ledger.config.locale),
        "refused_line": refused_sentence(ledger.missing()),
        "reporting_currency": ledger.config.reporting_currency,
    }


def of_answer(answer: PageAnswer, asked: PageRequest, page: str) -> Mapping[str, Any]:
    given = dict(asked.query.all)
    path = asked.path if asked.path != "/" else f"/{page}"
    return {
        "title": answer.title,
        "path": asked.path,
        "given": given,
        "as_of": asked.as_of,
        "json_href": href(f"{path}.json", given),
        "csv_href": href(f"{path}.csv", given),
        "excel_href": _excel_href(f"{path}.csv", given),
        "xlsx_href": href(f"{path}.xlsx", given),
        "fixed_href": href(
            asked.path, given, as_of=f"{asked.ledger.moment:%Y-%m-%dT%H:%M:%SZ}"
        ),
        "command_line": answer.command_line(asked.reading.options),
    }


# How a spreadsheet opens CSV by a double click where the language is spoken.
SPREADSHEETS = {"de": "excel-de"}


def _excel_href(path: str, given: Mapping[str, Any]) -> str | None:
    """None where the usual CSV opens as well."""
    dialect = SPREADSHEETS.get(language())
    return None if dialect is None else href(path, given, dialect=dialect)


def account_of(ledger: Ledger) -> tuple[str, str]:
    """What the account is called, and its mode in words; "" where that is not known.

    Of several their names in the configuration, with the mode that they have together.
    """
    if ledger.is_of_several:
        modes = {account_in_stripe(part.ledger).livemode for part in ledger.parts}
        own = _(MODES[modes.pop()]) if len(modes) == 1 and None not in modes else ""
        return some_of(ledger.added().names), own
    if setting(ledger.connection, "account") == "demo":
        return _("Bundled demo account"), _("test mode")
    account = ledger.state().account or NOBODY
    if not account.id:  # of a ledger that was filled without a look at the account
        return _("Stripe account"), ""
    called = f"{account.id} · {_(MODES[account.livemode])}"
    return account.name or _("Stripe account"), called


def account_in_stripe(ledger: Ledger) -> StripeIdentity:
    """As its Dashboard has it: without an id where there is one account alone.

    Of a mode that nobody knows its Dashboard asks.
    """
    if setting(ledger.connection, "account") == "demo":
        return StripeIdentity(livemode=False)
    known = ledger.state().account or NOBODY
    return known if ledger.config.name else replace(known, id=None)


def places_in_stripe(
    ledger: Ledger, ids: Iterable[str]
) -> Mapping[str, StripeIdentity]:
    """In whose Dashboard objects are shown, by what each account's mirror has."""
    if not ledger.is_of_several:
        return defaultdict(partial(account_in_stripe, ledger))
    found: dict[str, StripeIdentity] = defaultdict(lambda: NOBODY)
    wanted = set(ids)
    for part in ledger.parts:
        whose = account_in_stripe(part.ledger)
        known = objects.known_among(part.ledger.connection, wanted)
        found |= dict.fromkeys(known, whose)
    return found


class CustomerInStripe(NamedTuple):
    id: str
    whose: StripeIdentity


def customers_in_stripe(ledger: Ledger, names: Iterable[str]) -> list[CustomerInStripe]:
    """Who they are in each account's Dashboard; of several each in those that have it."""
    found = []
    for name in names:
        own = [
            CustomerInStripe(key, account_in_stripe(part.ledger))
            for part in ledger.parts
            if (key := part.own(name)) is not None
            and (not ledger.is_of_several or is_customer(part.ledger.connection, key))
        ]
        found += own or [CustomerInStripe(name, NOBODY)]
    return found


def state_tag(ledgers: Iterable[Ledger]) -> str:
    """Another text whenever a page may show something else, of whichever account."""
    told = [
        f"{queries.newest_run(part.connection)} {part.state().synced_at} {part.missing()}"
        for part in ledgers
    ]
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:16]


def _navigation(page: str) -> list[NavigationEntry]:
    return [
        NavigationEntry(_(name), at, page in pages)
        for name, (at, pages) in NAVIGATION.items()
    ]


# What people noted of a month, where a page shows that month


class ShownNote(NamedTuple):
    """``number`` is the one by which a chart's mark names it on this page."""

    number: int
    note: Note
    label: str  # what its customer is called; "" of a note of none


class NoteMark(NamedTuple):
    """Where on a chart the notes of a period stand, in per cent, and which they are."""

    x: float
    numbers: Sequence[int]


def notes_in(
    asked: PageRequest, start: date, end: date, customer: str | None = None
) -> list[ShownNote]:
    """Those of months from ``start`` (in) to ``end`` (out), the oldest first.

    With ``customer``, those of it and those of nobody alone.
    """
    connection = asked.ledger.connection
    found = [
        each
        for each in notes.standing(connection, asked.as_of)
        if start.replace(day=1) <= each.month < end
        and (customer is None or each.customer in ("", customer))
    ]
    named = customers.labels_of(connection, {each.customer for each in found})
    return [
        ShownNote(number, each, named.get(each.customer, each.customer))
        for number, each in enumerate(found, 1)
    ]


def marks_of(asked: PageRequest, periods: Sequence[Window]) -> list[NoteMark]:
    """One for each period, a column of a chart each, of which something is noted."""
    shown = notes_in(asked, periods[0].start, periods[-1].end)
    marks = []
    for place, period in enumerate(periods):
        own = [x.number for x in shown if period.start <= x.note.month < period.end]
        if own:
            marks.append(NoteMark(middle(place, len(periods)), own))
    return marks
