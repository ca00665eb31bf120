"""Closed months: their figures as reported, and what was booked in them since.

A row of a restatement is what one run changed of one customer's day. The rows dated
before a window's end add up to the change of its closing MRR, those before its beginning
to its opening's.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from connector import __version__
from connector.core.dates import add_months, day_end_s, instant
from connector.core.errors import NothingFound, NotOverYet
from connector.core.exchange_rates import KeptRates
from connector.core.figures import WindowFigures
from connector.core.model import Movement
from connector.core.windows import ending_with
from connector.metrics.retention import is_same, measure
from connector.reports.ledger import Ledger
from connector.store.ledger import closings, customers, queries, seals
from connector.store.ledger.closings import (
    ChangingRun,
    Closing,
    LedgerChange,
    ReportedFigures,
)
from connector.store.mirror import dirty_customers

if TYPE_CHECKING:
    from connector.reports.currency_total import CurrencyTotal


class ClosedMonth(NamedTuple):
    """A closed month. ``waiting`` customers were not yet derived when it was closed.

    ``seal`` is its hash; "" of one that was closed before there were seals.
    """

    closing: Closing
    figures: list[ReportedFigures]
    was_closed: bool
    waiting: int = 0
    seal: str = ""


def close_month(ledger: Ledger, month: date) -> ClosedMonth:
    """Record what is reported of a month; one that is closed stays as it is.

    Writes, inside the caller's transaction. Raises ``NotOverYet`` or ``NothingFound``.
    """
    connection = ledger.connection
    closed = {each.month: each for each in closings.known(connection)}
    was_closed, waiting = month in closed, 0
    if not was_closed:
        closed[month] = _close(ledger, month)
        waiting = dirty_customers.behind(connection)
    kept = [each for of, each in closings.figures(connection) if of == month]
    sealed = seals.of_month(connection, f"{month:%Y-%m}")
    seal = sealed.hash if sealed is not None else ""
    return ClosedMonth(closed[month], kept, was_closed, waiting, seal)


def _close(ledger: Ledger, month: date) -> Closing:
    known, end = ledger.state(), add_months(month, 1)
    if known.synced_at is None:
        raise NothingFound(
            "the ledger is empty: there is nothing to close",
            fix="run `stripe-nrr sync`",
        )
    if known.today < end:
        raise NotOverYet(
            f"{month:%Y-%m} is not over: the ledger knows the days to {known.today}",
            fix=f"run `stripe-nrr sync` on {end} or later, then close it",
        )
    figures = list(figures_to_close(ledger.connection, month))
    rates: closings.Rates = {}
    if figures and ledger.config.reporting_currency is not None:
        from connector.reports.currency_total import CurrencyTotal

        total = CurrencyTotal(ledger)
        figures += _in_one(total, figures)
        rates = total.asked
    return closings.close(
        ledger.connection,
        month,
        figures,
        rates=rates,
        policy=known.rules,
        code_version=__version__,
        now=ledger.moment,
    )


def figures_to_close(
    connection: sqlite3.Connection, month: date
) -> Iterator[ReportedFigures]:
    """Of every currency, those of the windows that end with the month, as they are now."""
    for currency in queries.currencies(connection):
        flows = queries.flows(connection, currency)
        for measured in measure(flows, ending_with(month)):
            yield ReportedFigures(currency, measured)


def _in_one(
    total: "CurrencyTotal", figures: Iterable[ReportedFigures]
) -> list[ReportedFigures]:
    """The same windows of all currencies in one."""
    each: dict[str, list[WindowFigures]] = {}
    for own in figures:
        each.setdefault(own.currency, []).append(own.measured)
    measured = total.measured(each)
    return [ReportedFigures(total.currency, one, is_total=True) for one in measured]


def totals_again(
    ledger: Ledger, *, as_of: bool = True
) -> Iterator[tuple[date, ReportedFigures, WindowFigures]]:
    """Each closed window of a total as it was reported, and as it is at the same rates.

    As the ledger was at its closing, or else as it is now.
    """
    connection = ledger.connection
    closed_at = {each.month: each.closed_at for each in closings.known(connection)}
    found = [pair for pair in closings.figures(connection) if pair[1].is_total]
    for month, of_month in groupby(found, lambda pair: pair[0]):
        from connector.reports.currency_total import CurrencyTotal, configured_rates

        reported = [each for _, each in of_month]
        kept = closings.rates(connection, month)
        others = partial(configured_rates, ledger.config)
        rates = KeptRates(reported[0].currency, kept, others)
        total = CurrencyTotal(ledger, closed_at[month] if as_of else None, rates)
        windows = [each.measured.window for each in reported]
        each = {code: measure(own, windows) for code, own in total.books.items()}
        for was, now in zip(reported, total.measured(each), strict=True):
            yield month, was, now


def measured_again(
    connection: sqlite3.Connection,
) -> Iterator[tuple[str, WindowFigures, WindowFigures]]:
    """Each closed window of a currency as reported, and as the ledger gives it then."""
    closed_at = {each.month: each.closed_at for each in closings.known(connection)}
    figures = (pair for pair in closings.figures(connection) if not pair[1].is_total)
    for (month, currency), of_both in groupby(
        figures, lambda it: (it[0], it[1].currency)
    ):
        reported = [each.measured for _, each in of_both]
        end = add_months(month, 1)
        flows = queries.flows(connection, currency, closed_at[month], until=end)
        found = measure(flows, [each.window for each in reported])
        for was, now in zip(reported, found, strict=True):
            yield currency, was, now


class RestatementLine(NamedTuple):
    """One customer's day as it was booked and as it is since a run; None is nothing."""

    run: ChangingRun
    customer: str
    currency: str
    day: date
    was: Movement | None
    now: Movement | None
    reason: str

    @property
    def amount_minor(self) -> int:
        """By how much MRR from that day on is another one."""
        sides = [(self.now, 1), (self.was, -1)]
        return sum(sign * m.amount_minor for m, sign in sides if m is not None)


def lines(changes: Iterable[LedgerChange]) -> list[RestatementLine]:
    """What each run changed, in the order of ``changes``: by run, customer and day.

    Where only the evidence became better nothing has changed.
    """
    found = []
    for (_, customer, currency, day), of_day in groupby(changes, key=_place):
        each = list(of_day)
        was = next((c for c in each if not c.was_posted), None)
        now = next((c for c in each if c.was_posted), None)
        line = RestatementLine(
            run=each[0].run,
            customer=customer,
            currency=currency,
            day=day,
            was=was.movement if was is not None else None,
            now=now.movement if now is not None else None,
            reason=was.reason if was is not None else "",
        )
        if _figures_of(line.was) != _figures_of(line.now):
            found.append(line)
    return found


def _place(change: LedgerChange) -> tuple[int, str, str, date]:
    movement = change.movement
    return change.run.id, movement.customer, movement.currency, movement.day


def _figures_of(movement: Movement | None) -> object:
    """What the figures see of a movement."""
    return None if movement is None else (movement.kind, movement.amount_minor)


def since(
    found: Sequence[RestatementLine],
    moment: datetime,
    currency: str | None,
    before: date,
) -> list[RestatementLine]:
    """The lines booked after a moment, of one currency or all, of the days before a day."""
    return [
        line
        for line in found
        if line.run.started_at > moment
        and currency in (None, line.currency)
        and line.day < before
    ]


class RestatedWindow(NamedTuple):
    """One closed window, as it was reported and as the ledger has it now."""

    closing: Closing
    reported: ReportedFigures
    now: WindowFigures
    lines: list[RestatementLine]  # they add up to the change of its closing MRR; of a
    # total each is in its own currency


class Restatements(NamedTuple):
    """The closed windows that have changed, of ``closed`` months; labels by id."""

    windows: list[RestatedWindow]
    labels: Mapping[str, str]
    closed: int


EVER = datetime(1970, 1, 1, tzinfo=UTC)


def restated_windows(ledger: Ledger, day: date | None = None) -> Restatements:
    """By what was booked on a day or later; without one, ever since they were closed."""
    after = EVER
    if day is not None:
        after = instant(day_end_s(day - timedelta(days=1), ledger.zone))
        after -= timedelta(microseconds=1)
    return Restatements(
        windows=list(_restated(ledger, after)),
        labels=customers.labels(ledger.connection),
        closed=len(closings.known(ledger.connection)),
    )


def _restated(ledger: Ledger, after: datetime) -> Iterator[RestatedWindow]:
    """Every closed window in which something was booked since it was closed."""
    connection = ledger.connection
    closed = {each.month: each for each in closings.known(connection)}
    if not closed:
        return
    first = min(each.closed_at for each in closed.values())
    end = max(add_months(month, 1) for month in closed)
    found = lines(closings.changes(connection, max(first, after), end))
    flows = {c: list(queries.flows(connection, c)) for c in {x.currency for x in found}}
    reported = [pair for pair in closings.figures(connection) if not pair[1].is_total]
    told = {(month, figures.currency) for month, figures in reported}
    for month in closed:
        for currency in sorted(flows):
            if (month, currency) not in told:
                nothing = measure([], ending_with(month))  # nobody had paid in it yet
                reported += [(month, ReportedFigures(currency, x)) for x in nothing]
    for month, figures in reported:
        closing_of, window = closed[month], figures.measured.window
        currency = figures.currency
        moment = max(closing_of.closed_at, after)
        own = since(found, moment, currency, window.end)
        if not own:
            continue
        [now] = measure(flows[currency], [window])
        if not is_same(now, figures.measured):
            yield RestatedWindow(closing_of, figures, now, own)
    for month, figures, now in totals_again(ledger, as_of=False) if found else ():
        moment = max(closed[month].closed_at, after)
        own = since(found, moment, None, now.window.end)
        if own and not is_same(now, figures.measured):
            yield RestatedWindow(closed[month], figures, now, own)
