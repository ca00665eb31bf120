"""The ledger's invariants, over every movement and every standard window."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from connector.core.dates import local_day
from connector.metrics.invariants import (
    Finding,
    every_window,
    refusal_findings,
    restated_findings,
    run_checks,
    sums_are_kept,
)
from connector.metrics.retention import measure
from connector.metrics.rollups import figures_of
from connector.reports.close import measured_again
from connector.reports.ledger import Ledger
from connector.store.ledger import (
    contract_terms,
    customers,
    queries,
    rollups,
    unvalued,
)
from connector.store.mirror import dirty_customers


class CheckedLedger(NamedTuple):
    """What breaks an invariant, who waits to be derived, and what customers are called."""

    movements: int
    findings: list[Finding]
    waiting: list[str]
    labels: Mapping[str, str]


def check_ledger(ledger: Ledger) -> CheckedLedger:
    """Every invariant, checked on all that the ledger holds."""
    connection = ledger.connection
    movements = list(queries.movements(connection))
    found = {
        currency: list(queries.flows(connection, currency))
        for currency in queries.currencies(connection)
    }
    today = local_day(int(ledger.moment.timestamp()), ledger.config.zone)
    findings = run_checks(movements, found, today)
    for currency, flows in found.items() if ledger.is_whole else ():
        asked = every_window(flows, today)
        ended = contract_terms.terms(connection, currency, date.min, date.max)
        counted = measure(flows, asked, terms=list(ended))
        kept = figures_of(rollups.deltas(connection, currency, asked), asked)
        findings += sums_are_kept(currency, counted, kept)
    findings += restated_findings(measured_again(connection))
    findings += refusal_findings(unvalued.known(connection))
    return CheckedLedger(
        movements=len(movements),
        findings=findings,
        waiting=dirty_customers.dirty(connection),
        labels=customers.labels(connection),
    )
