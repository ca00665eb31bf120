"""Risks by name, their sums, and whom to call with all that it is at risk for."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from connector.core.dates import local_day
from connector.core.model import Flow
from connector.metrics.currency_total import Conversion, flows_in_one, with_balance
from connector.mrr.risks import (
    Risk,
    RiskReason,
    RiskSum,
    at_risk_minor,
    by_customer,
    risk_sum,
)
from connector.reports.ledger import Ledger
from connector.reports.risks.currency import CurrencyRisks, flows_of
from connector.reports.risks.model import CustomerAtRisk
from connector.store.ledger import balances as ledger_balances
from connector.store.ledger import customers
from connector.store.ledger import losses as ledger_losses
from connector.store.ledger.losses import LastMovement
from connector.store.mirror.renewals import next_renewals

if TYPE_CHECKING:
    from connector.metrics.wide.paying import Paying


def ids_of(connection: sqlite3.Connection, keys: Collection[int]) -> dict[int, str]:
    """What Stripe calls these customers."""
    found = customers.accounts_of(connection, keys)
    return {key: each.id for key, each in found.items()}


class NamedRisks(NamedTuple):
    """Risks by name, the largest first, and what those whom they name pay."""

    risks: Sequence[Risk]
    by_customer: Mapping[str, Sequence[Risk]]
    keys: Mapping[str, int]
    pays: Mapping[int, int]
    lately: "Paying"
    twice: Collection[int]  # who contracted lately, and is at risk for another reason


def named_risks(ledger: Ledger, book: CurrencyRisks, most: int | None) -> NamedRisks:
    """Who has only contracted lately is named if it is among so many who pay most."""
    connection, paying = ledger.connection, book.pays.in_minor(book.scale)
    keys = customers.keys_among(connection, {x.customer for x in book.risks})
    lately, own = paying.lately(), list(keys.values())
    twice = lately.of(own)
    named = lately.largest(most)
    named = lately.of({*named.who.tolist(), *twice.who.tolist()})
    ids = ids_of(connection, named.who.tolist())
    shrank = [
        Risk(CONTRACTED, ids[key], book.currency, "", minor, date.fromordinal(day))
        for key, minor, day in zip(*(x.tolist() for x in named), strict=True)
    ]
    found = sorted(
        [*book.risks, *shrank], key=lambda r: (-r.mrr_minor, r.customer, r.reason)
    )
    keys |= {name: key for key, name in ids.items()}
    paid = paying.of(keys.values())
    pays = dict(zip(paid.who.tolist(), paid.minor.tolist(), strict=True))
    return NamedRisks(
        found, by_customer(found), keys, pays, lately, set(twice.who.tolist())
    )


CONTRACTED = RiskReason.CONTRACTED


def risk_sums(book: CurrencyRisks, found: NamedRisks) -> tuple[RiskSum, list[RiskSum]]:
    """All that is at risk, and by reason."""
    lately = found.lately
    sums = [risk_sum(each, book.risks) for each in RiskReason if each != CONTRACTED]
    shrank = RiskSum(CONTRACTED, int(lately.minor.sum()), 0, len(lately.who))
    once = [x for x in book.risks if found.keys.get(x.customer) not in found.twice]
    apart = risk_sum(None, once)
    every = apart._replace(
        mrr_minor=apart.mrr_minor + shrank.mrr_minor,
        subscriptions=risk_sum(None, book.risks).subscriptions,
        customers=apart.customers + shrank.customers,
    )
    return every, [each for each in (*sums, shrank) if each.customers]


def call_list(
    ledger: Ledger,
    book: CurrencyRisks,
    found: NamedRisks,
    own: Mapping[str, Sequence[Risk]],
    owners: Mapping[int, str],
) -> Iterator[CustomerAtRisk]:
    """These customers, each with all that it is at risk for."""
    connection = ledger.connection
    keys = {found.keys[name] for name in own if name in found.keys}
    codes = [book.currency] if not book.is_total else ledger.currencies()
    since: dict[int, date] = {}
    for code in codes:
        for key, day in ledger_losses.first_days(connection, code, keys).items():
            since[key] = min(since.get(key, day), day)
    last = (
        _last_in_one(connection, Conversion(book.units, book.scale), keys)
        if book.is_total
        else ledger_losses.last_movements(connection, book.currency, keys)
    )
    countries = ledger_balances.countries(connection, keys)
    now_s = int(ledger.state().at.timestamp())
    renewals = _renewals(ledger, own, now_s)
    for name, risks_of in own.items():
        key = found.keys.get(name, -1)
        due = renewals.get(name, {})
        bills = [at_s for code, at_s in due.items() if code in codes]
        yield CustomerAtRisk(
            customer=name,
            mrr_minor=found.pays.get(key, 0),
            at_risk_minor=at_risk_minor(risks_of),
            risks=tuple(risks_of),
            country=countries.get(key),
            owner=owners.get(key),
            paid_since=since.get(key),
            last=last.get(key),
            renews_on=local_day(min(bills), ledger.zone) if bills else None,
        )


def _last_in_one(
    connection: sqlite3.Connection, found: Conversion, keys: Collection[int]
) -> dict[int, LastMovement]:
    """What moved each of them last in all currencies, as the total's movements tell."""
    moved: dict[int, tuple[Flow, int]] = {}
    converted = flows_in_one(flows_of(connection, keys), found.units)
    for flow, before in with_balance(converted):
        change = found.minor(before + flow.amount_minor) - found.minor(before)
        if change:
            moved[flow.customer] = flow, change
    days = {key: flow.day for key, (flow, _) in moved.items()}
    causes = ledger_losses.causes_on(connection, days, found.units)
    return {
        key: LastMovement(flow.day, flow.kind, change, causes[key])
        for key, (flow, change) in moved.items()
    }


TOGETHER = 1_000  # customers that are read with one query


def _renewals(
    ledger: Ledger, names: Iterable[str], now_s: int
) -> dict[str, dict[str, int]]:
    """When each is billed next in any of its accounts, by currency."""
    found: dict[str, dict[str, int]] = {}
    for part in ledger.parts:
        own = {name: key for name in names if (key := part.own(name)) is not None}
        ids = part.ledger.companies.ids
        every = {each: name for name, key in own.items() for each in ids(key)}
        for name, due in next_renewals(part.ledger.connection, every, now_s).items():
            known = found.setdefault(name, {})
            for code, at_s in due.items():
                known[code] = min(known.get(code, at_s), at_s)
    return found
