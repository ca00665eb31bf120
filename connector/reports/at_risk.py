"""At risk: MRR that may go, and the NRR that is already committed."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct

from connector.core.dates import add_months
from connector.core.figures import WindowFigures
from connector.core.model import Flow, Movement, MovementKind
from connector.core.policy import Rules
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.currency_total import Conversion, in_minor
from connector.metrics.retention import Balances, measure, standing
from connector.mrr import timeline as histories
from connector.mrr.movements import movements
from connector.mrr.risks import Risk, as_scheduled, at_risk_minor, contracted, risks
from connector.pipeline.quarantine import set_aside
from connector.reports.ledger import Ledger, is_total
from connector.store.ledger import balances as ledger_balances
from connector.store.ledger import customers, queries
from connector.store.mirror import objects


class ScheduledMovement(Struct, frozen=True, kw_only=True):
    """A movement that is to come: an end that is set, a discount that runs out."""

    day: date
    customer: str
    kind: MovementKind
    amount_minor: int


class AtRiskReport(Struct, frozen=True, kw_only=True):
    """``so_far`` is the running trailing-12 window with nothing more happening."""

    currency: str
    today: date
    mrr_minor: int
    risks: tuple[Risk, ...]
    scheduled: tuple[ScheduledMovement, ...]
    so_far: WindowFigures
    committed: tuple[WindowFigures, ...]
    is_total: bool = False

    @property
    def at_risk_minor(self) -> int:
        return at_risk_minor(self.risks)


class AtRiskReports(Struct, frozen=True, kw_only=True):
    """One a currency. ``labels`` are what customers are called, by id.

    ``failed`` are those whose history cannot be derived, and why: they are left out.
    """

    currencies: tuple[AtRiskReport, ...]
    labels: Mapping[str, str]
    failed: Mapping[str, str]


LATELY_DAYS = 90
AHEAD = 12  # months: the openings of these windows are known
DAY_S = 86_400


def at_risk_reports(
    ledger: Ledger, currency: str | None = None, *, with_total: bool = False
) -> AtRiskReports:
    """What is at risk and what is set in each currency, as far as the ledger knows.

    ``with_total``: first of all in one, as where that alone is asked for.
    """
    known, codes = ledger.state(), ledger.currencies(currency)
    connection = ledger.connection
    future = _future(connection, ledger.rules, int(known.at.timestamp()), known.today)
    books = []
    if with_total or is_total(currency):
        books.append(_in_one(ledger, known.today, future))
    if not is_total(currency):
        books += [_book(connection, code, known.today, future) for code in codes]
    return AtRiskReports(
        currencies=tuple(
            _at_risk_report(connection, book, known.today) for book in books
        ),
        labels=customers.labels(connection),
        failed=future.failed,
    )


class _Future(NamedTuple):
    """What Stripe's objects show of all customers: risks, and movements to come."""

    risks: Sequence[Risk]
    movements: Sequence[Movement]
    failed: Mapping[str, str]


def _future(
    connection: sqlite3.Connection, rules: Rules, now_s: int, today: date
) -> _Future:
    """Derive whoever has something ahead once more, as it will be in a year.

    Without those whose history cannot be derived.
    """
    until_s = now_s + (AHEAD + 1) * 31 * DAY_S
    waiting = objects.at_risk_candidates(
        connection, now_s - 2 * LATELY_DAYS * DAY_S, until_s
    )
    shared = objects.catalogue(connection)
    found: list[Risk] = []
    coming: list[Movement] = []

    def look(names: Sequence[str]) -> None:
        [customer] = names
        history = objects.history(connection, customer, shared, rules.also(customer))
        charged = histories.timeline(history, rules.policy, now_s).line_items
        scheduled = as_scheduled(history, charged, now_s)
        steps = histories.timeline(
            scheduled, rules.policy, until_s, goes_on_at_s=now_s
        ).steps
        derived = movements(customer, steps, rules.zone)
        worth = ledger_balances.worth(connection, customer)
        found.extend(list(risks(history, worth, charged, now_s, rules.zone)))
        coming.extend(movement for movement in derived if movement.day > today)

    failed: dict[str, str] = {}
    for customer in rules.affected(waiting):
        if customer not in rules.merge:
            failed |= set_aside([customer], look)
    return _Future(found, coming, failed)


class _Book(NamedTuple):
    """A currency's ledger and what is ahead of it, in units of ``scale``.

    ``flows`` are by customer, then day; of the total, from the first on.
    """

    currency: str
    opening: Balances
    flows: Sequence[Flow]
    ahead: Sequence[Flow]
    risks: Sequence[Risk]
    scale: int = 1
    is_total: bool = False


def _book(
    connection: sqlite3.Connection, currency: str, today: date, future: _Future
) -> _Book:
    start = _wanted(today)[0].start
    ids = customers.ids(connection)
    return _Book(
        currency=currency,
        opening=ledger_balances.balances(connection, currency, start),
        flows=list(queries.flows(connection, currency, None, start)),
        ahead=_flows([m for m in future.movements if m.currency == currency], ids),
        risks=[risk for risk in future.risks if risk.currency == currency],
    )


def _in_one(ledger: Ledger, today: date, future: _Future) -> _Book:
    """All currencies, at the rates of the last known day: none later are known."""
    from connector.reports.currency_total import CurrencyTotal

    total, wanted = CurrencyTotal(ledger), _wanted(today)
    ids = customers.ids(ledger.connection)
    codes = dict.fromkeys(m.currency for m in future.movements)
    ahead = {
        code: _flows([m for m in future.movements if m.currency == code], ids)
        for code in codes
    }
    span = Window(WindowKind.TRAILING_12, wanted[0].start, wanted[-1].end)
    flows, found = total.flows(span, ahead)
    risks = [
        risk._replace(
            currency=total.currency,
            mrr_minor=found.minor(risk.mrr_minor * found.units.get(risk.currency, 0)),
        )
        for risk in future.risks
    ]
    return _Book(
        currency=total.currency,
        opening={},
        flows=[flow for flow in flows if flow.day <= today],
        ahead=[flow for flow in flows if flow.day > today],
        risks=risks,
        scale=found.scale,
        is_total=True,
    )


def _wanted(today: date) -> list[Window]:
    """The running trailing-12 window, and those to come."""
    this_month = today.replace(day=1)
    last = add_months(this_month, AHEAD - 1)
    return windows(WindowKind.TRAILING_12, this_month, last)


def _at_risk_report(
    connection: sqlite3.Connection, book: _Book, today: date
) -> AtRiskReport:
    ids, minor = customers.ids(connection), Conversion({}, book.scale).minor
    lately = today - timedelta(days=LATELY_DAYS)
    shrunk = [
        flow
        for flow in book.flows
        if flow.kind is MovementKind.CONTRACTION and flow.day > lately
    ]
    balances = standing(book.opening, book.flows)
    lately_contracted = (
        risk._replace(mrr_minor=minor(risk.mrr_minor))
        for risk in contracted(shrunk, balances, ids, book.currency)
    )
    found = [*book.risks, *lately_contracted]
    ahead = sorted(book.ahead, key=lambda flow: (flow.day, ids[flow.customer]))
    wanted = _wanted(today)
    [so_far] = measure(book.flows, wanted[:1], book.opening)
    committed = measure([*book.flows, *book.ahead], wanted, book.opening)
    return AtRiskReport(
        currency=book.currency,
        today=today,
        mrr_minor=minor(sum(balances.values())),
        risks=tuple(sorted(found, key=lambda r: (-r.mrr_minor, r.customer, r.reason))),
        scheduled=tuple(
            ScheduledMovement(
                day=flow.day,
                customer=ids[flow.customer],
                kind=flow.kind,
                amount_minor=minor(flow.amount_minor),
            )
            for flow in ahead
        ),
        so_far=in_minor(so_far, book.scale),
        committed=tuple(in_minor(each, book.scale) for each in committed),
        is_total=book.is_total,
    )


def _flows(coming: Sequence[Movement], ids: Mapping[int, str]) -> list[Flow]:
    """By customer, then day."""
    named = {movement.customer for movement in coming}
    keys = {customer: key for key, customer in ids.items() if customer in named}
    return sorted(Flow(keys[m.customer], m.day, m.kind, m.amount_minor) for m in coming)
