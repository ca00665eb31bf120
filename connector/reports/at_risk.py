"""At risk: MRR that may go, and the NRR that is already committed."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct

from connector.config import rules_of
from connector.core.dates import add_months
from connector.core.figures import WindowFigures
from connector.core.model import Flow, Movement, MovementKind
from connector.core.policy import Rules
from connector.core.windows import WindowKind, windows
from connector.metrics.retention import measure, standing
from connector.mrr import timeline as histories
from connector.mrr.movements import movements
from connector.mrr.risks import Risk, as_scheduled, at_risk_minor, contracted, risks
from connector.pipeline.quarantine import set_aside
from connector.reports.ledger import Ledger
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


def at_risk_reports(ledger: Ledger, currency: str | None = None) -> AtRiskReports:
    """What is at risk and what is set in each currency, as far as the ledger knows."""
    known, codes = ledger.state(), ledger.currencies(currency)
    connection, rules = ledger.connection, rules_of(ledger.config)
    future = _future(connection, rules, int(known.at.timestamp()), known.today)
    return AtRiskReports(
        currencies=tuple(
            _at_risk_report(connection, code, known.today, future) for code in codes
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


def _at_risk_report(
    connection: sqlite3.Connection, currency: str, today: date, future: _Future
) -> AtRiskReport:
    this_month = today.replace(day=1)
    last = add_months(this_month, AHEAD - 1)
    wanted = windows(WindowKind.TRAILING_12, this_month, last)
    opening = ledger_balances.balances(connection, currency, wanted[0].start)
    flows = list(queries.flows(connection, currency, None, wanted[0].start))
    ids = customers.ids(connection)
    coming = [m for m in future.movements if m.currency == currency]
    lately = today - timedelta(days=LATELY_DAYS)
    shrunk = [f for f in flows if f.kind is MovementKind.CONTRACTION and f.day > lately]
    found = [risk for risk in future.risks if risk.currency == currency]
    balances = standing(opening, flows)
    found += contracted(shrunk, balances, ids, currency)
    [so_far] = measure(flows, wanted[:1], opening)
    return AtRiskReport(
        currency=currency,
        today=today,
        mrr_minor=sum(balances.values()),
        risks=tuple(sorted(found, key=lambda r: (-r.mrr_minor, r.customer, r.reason))),
        scheduled=tuple(
            ScheduledMovement(
                day=m.day, customer=m.customer, kind=m.kind, amount_minor=m.amount_minor
            )
            for m in sorted(coming, key=lambda m: (m.day, m.customer))
        ),
        so_far=so_far,
        committed=tuple(measure([*flows, *_flows(coming, ids)], wanted, opening)),
    )


def _flows(coming: Sequence[Movement], ids: Mapping[int, str]) -> list[Flow]:
    named = {movement.customer for movement in coming}
    keys = {customer: key for key, customer in ids.items() if customer in named}
    return [Flow(keys[m.customer], m.day, m.kind, m.amount_minor) for m in coming]
