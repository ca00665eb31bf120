"""What a month must not be closed without: what of it is missing, and what to run."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.invoiced import alarming
from connector.core.language import DEFAULT, message, speaking
from connector.core.money import format_count, format_minor
from connector.reports.ledger import Ledger, some_of
from connector.store.ledger import balances, coverage, queries, unvalued
from connector.store.mirror import dirty_customers, event_feed


class Lack(NamedTuple):
    """Something that a month lacks, for how much as far as known, and what to run."""

    what: str
    fix: str


FIRST_SYNC = Lack(
    "the first sync has not finished, so customers are missing", "run `stripe-nrr sync`"
)


def lacking(ledger: Ledger, month: date) -> list[Lack]:
    """What a month must not be closed without; empty where it is whole.

    In English: kept with the month, if that is closed despite it.
    """
    with speaking(DEFAULT):
        return _lacking(ledger, month)


def _lacking(ledger: Ledger, month: date) -> list[Lack]:
    found = [
        FIRST_SYNC if event_feed.is_first_sync_unfinished(ledger.connection) else None,
        _other_rules(ledger),
        _waiting(ledger, month),
        _refused(ledger, month),
        _outside(ledger, month),
    ]
    lacks = [each for each in found if each is not None]
    if not lacks:  # else nobody knows who paid first
        first = _before_first_customer(ledger, month)
        lacks += [first] if first is not None else []
    return lacks


def _before_first_customer(ledger: Ledger, month: date) -> Lack | None:
    codes = queries.currencies(ledger.connection)
    days = (queries.first_day(ledger.connection, code) for code in codes)
    first = min((day for day in days if day is not None), default=None)
    if first is not None and first < add_months(month, 1):
        return None
    if first is None:
        return Lack("nobody has paid yet", "close a month in which somebody did")
    return Lack(
        f"nobody had paid by its end: the first customer came on {first}",
        f"close {first:%Y-%m} or a later month",
    )


def _other_rules(ledger: Ledger) -> Lack | None:
    from connector.pipeline.policy_change import is_current

    if not ledger.has_other_rules and is_current(ledger.connection):
        return None
    return Lack(
        "everybody waits to be derived under the rules of the configuration and of "
        "this version",
        "run `stripe-nrr recompute`",
    )


def _waiting(ledger: Ledger, month: date) -> Lack | None:
    end_s = ledger.end_s(month)
    marked = dirty_customers.waiting(ledger.connection, end_s - 1)
    waiting = dirty_customers.begun_before(ledger.connection, marked, end_s)
    if not waiting:
        return None
    paid = _paid(ledger, month, waiting)
    who = some_of(waiting)
    said = (
        f"1 customer waits to be derived ({who}); {paid} of theirs is in the figures, "
        "as before"
        if len(waiting) == 1
        else f"{len(waiting):,} customers wait to be derived ({who}); {paid} of theirs "
        "is in the figures, as before"
    )
    return Lack(said, "run `stripe-nrr recompute`")


def _refused(ledger: Ledger, month: date) -> Lack | None:
    known = unvalued.known(ledger.connection)
    named = {refusal.customer for refusal in known} - {""}
    of_it = dirty_customers.begun_before(ledger.connection, named, ledger.end_s(month))
    refused = [x for x in known if x.customer in {*of_it, ""}]
    if not refused:
        return None
    shown = {f"{x.object_id} ({x.field})" for x in refused}
    return Lack(
        f"{format_count(len(refused), 'object')} could not be valued "
        f"({some_of(shown)}); {_paid(ledger, month, of_it)} of "
        f"{format_count(len(of_it), 'such customer')} is in the figures",
        "see `stripe-nrr check`",
    )


def _outside(ledger: Ledger, month: date) -> Lack | None:
    begun = [x for x in ledger.outside() if x.since < add_months(month, 1)]
    outside = [x for x in begun if not x.accepted]
    if not outside:
        return None
    running = {(x.customer, x.currency) for x in outside if x.monthly_minor}
    ceased = {(x.customer, x.currency) for x in outside} - running
    then = coverage.not_counted_in(ledger.connection, month) if ceased else {}
    whose = {x for x, _ in running | (ceased & then.keys())}
    sums = Counter(alarming(outside))
    for customer, currency in ceased & then.keys():
        sums[currency] += then[customer, currency]
    if not sums:
        return None
    return Lack(
        f"{_amounts(ledger, sums)} a month of {format_count(len(whose), 'customer')} "
        f"({some_of(whose)}) is invoiced outside Stripe subscriptions, and is in no "
        "figure",
        "see `stripe-nrr coverage`: have it counted, or accept it in the configuration",
    )


def _paid(ledger: Ledger, month: date, customers: Iterable[str]) -> str:
    """What the ledger has these pay at a month's end."""
    last = add_months(month, 1) - timedelta(days=1)
    mrr = balances.mrr_on(ledger.connection, last)
    sums: Counter[str] = Counter()
    for customer in set(map(ledger.companies.of, customers)):
        sums.update(mrr.get(customer, {}))
    return message(f"{_amounts(ledger, sums)} a month") if sums else message("nothing")


def _amounts(ledger: Ledger, sums: Mapping[str, int]) -> str:
    locale = ledger.config.locale
    return " + ".join(format_minor(sums[code], code, locale) for code in sorted(sums))
