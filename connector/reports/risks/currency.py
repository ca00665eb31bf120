"""A currency's figures with what is ahead of it, or those of all in one."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from connector.core.dates import add_months
from connector.core.figures import WindowFigures
from connector.core.model import Flow, Movement
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.currency_total import flows_in_one
from connector.metrics.retention import measure
from connector.metrics.rollups import exchanged
from connector.mrr.risks import Risk
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.figures.windows import figures
from connector.reports.ledger import Ledger
from connector.reports.risks.future import AHEAD, CustomerFuture
from connector.reports.risks.model import LATELY_DAYS
from connector.store.ledger import balances as ledger_balances
from connector.store.ledger import columns, customers

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns
    from connector.metrics.wide.paying import Paying


class CurrencyRisks(NamedTuple):
    """A currency's ledger on a day, in units of ``scale``, and what is ``ahead`` of it.

    ``so_far`` is measured without what is ahead, ``committed`` with it. ``units`` are
    those of each currency's minor unit, in a total.
    """

    currency: str
    today: date
    mrr: int
    pays: "Paying"
    ahead: Sequence[Flow]
    risks: Sequence[Risk]
    so_far: WindowFigures
    committed: Sequence[WindowFigures]
    scale: int = 1
    units: Mapping[str, int] = MappingProxyType({})
    is_total: bool = False


def currency_risks(
    ledger: Ledger,
    currency: str,
    today: date,
    future: CustomerFuture,
    own: Collection[int] | None,
) -> CurrencyRisks:
    """From the sums that are kept, with what is ahead; of ``own`` customers, of theirs."""
    from connector.metrics.wide.columns import columns_of, in_units
    from connector.metrics.wide.fold import measured
    from connector.metrics.wide.paying import paying

    connection, wanted = ledger.connection, _wanted(today)

    def parts() -> "Iterator[Columns]":
        for block in columns.blocks(connection, currency):
            found = columns_of(block)
            yield found if own is None else in_units(found, 1, own, are_in=True)

    coming = [m for m in future.movements if m.currency == currency]
    ahead = _flows(
        coming, customers.keys_among(connection, {m.customer for m in coming})
    )
    now = flows_of(connection, {flow.customer for flow in ahead}).get(currency, [])
    found = (
        figures(ledger, currency, wanted)
        if own is None
        else measured(parts(), wanted, has_terms=False)
    )
    return CurrencyRisks(
        currency=currency,
        today=today,
        mrr=found[0].waterfall.closing_minor,
        pays=paying(parts(), date.max, _lately(today)),
        ahead=ahead,
        risks=[risk for risk in future.risks if risk.currency == currency],
        so_far=found[0],
        committed=_with_ahead(found, now, [*now, *ahead]),
    )


def _with_ahead(
    found: Sequence[WindowFigures], now: Sequence[Flow], later: Sequence[Flow]
) -> list[WindowFigures]:
    """Figures of everybody as they will be: of some these are the movements."""
    wanted = [each.window for each in found]
    both = measure(now, wanted), measure(later, wanted)
    return [exchanged(*each) for each in zip(found, *both, strict=True)]


def flows_of(
    connection: sqlite3.Connection, keys: Collection[int]
) -> dict[str, list[Flow]]:
    """All of these customers', by currency."""
    found: dict[str, list[Flow]] = {}
    for own in ledger_balances.flows_of_some(connection, keys):
        for code, flow in own:
            found.setdefault(code, []).append(flow)
    return found


def risks_in_one(
    ledger: Ledger,
    today: date,
    future: CustomerFuture,
    own: Collection[int] | None,
) -> CurrencyRisks:
    """All currencies, at the rates of the last known day: none later are known."""
    from connector.metrics.wide.columns import in_units
    from connector.metrics.wide.fold import measured
    from connector.metrics.wide.paying import paying

    connection, total, wanted = ledger.connection, CurrencyTotal(ledger), _wanted(today)
    keys = customers.keys_among(connection, {m.customer for m in future.movements})
    coming: dict[str, list[Flow]] = {}
    for code in dict.fromkeys(m.currency for m in future.movements):
        coming[code] = _flows([m for m in future.movements if m.currency == code], keys)
    span = Window(WindowKind.TRAILING_12, wanted[0].start, wanted[-1].end)
    found = total.conversion(span, coming)

    def parts() -> "Iterator[Columns]":
        for each in total.columns(span, found):
            yield each if own is None else in_units(each, 1, own, are_in=True)

    books = flows_of(connection, keys.values())
    joined = {
        code: sorted([*books.get(code, ()), *coming.get(code, ())])
        for code in (*books, *coming)
    }
    now, later = (list(flows_in_one(each, found.units)) for each in (books, joined))
    everybody = measured(parts(), wanted, has_terms=False)
    return CurrencyRisks(
        currency=total.currency,
        today=today,
        mrr=everybody[0].waterfall.closing_minor,
        pays=paying(parts(), today, _lately(today)),
        ahead=[flow for flow in later if flow.day > today],
        risks=[
            risk._replace(
                currency=total.currency,
                mrr_minor=found.minor(
                    risk.mrr_minor * found.units.get(risk.currency, 0)
                ),
            )
            for risk in future.risks
        ],
        so_far=everybody[0],
        committed=_with_ahead(everybody, now, later),
        scale=found.scale,
        units=found.units,
        is_total=True,
    )


def _lately(today: date) -> date:
    return today - timedelta(days=LATELY_DAYS)


def _wanted(today: date) -> list[Window]:
    """The running trailing-12 window, and those to come."""
    this_month = today.replace(day=1)
    last = add_months(this_month, AHEAD - 1)
    return windows(WindowKind.TRAILING_12, this_month, last)


def _flows(coming: Sequence[Movement], keys: Mapping[str, int]) -> list[Flow]:
    """By customer, then day."""
    return sorted(Flow(keys[m.customer], m.day, m.kind, m.amount_minor) for m in coming)
