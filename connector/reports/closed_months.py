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
from connector.core.dates import add_months, day_end_s, instant, local_day
from connector.core.errors import NothingFound, NotOverYet, NotWhole
from connector.core.figures import WindowFigures
from connector.core.language import message
from connector.core.model import Closing, Movement
from connector.core.windows import ending_with
from connector.metrics.exchange_rates import KeptRates
from connector.metrics.retention import is_same, measure
from connector.reports.figures import counted
from connector.reports.ledger import FIRST_SYNC, Ledger
from connector.store.ledger import closings, customers, queries, seals
from connector.store.ledger.closings import ChangingRun, LedgerChange, ReportedFigures

if TYPE_CHECKING:
    from connector.reports.currency_total import CurrencyTotal


class ClosedMonth(NamedTuple):
    """A closed month. ``was_closed``: it already was, before it was asked for.

    ``seal`` is its hash, of a withdrawn one that of the withdrawal; "" of one that was
    closed before there were seals.
    """

    closing: Closing
    figures: list[ReportedFigures]
    was_closed: bool
    seal: str = ""


def close_month(ledger: Ledger, month: date, despite: str = "") -> ClosedMonth:
    """Record what is reported of a month; one that is closed stays as it is.

    Writes, inside the caller's transaction. Raises ``NotOverYet``, and ``NotWhole`` where
    something of it is missing and there is no reason ``despite`` that.
    """
    standing = _standing(ledger, month)
    closing = standing or _close(ledger, month, despite)
    return _told(ledger, closing, was_closed=standing is not None)


ALL_THE_SAME = message(
    "or close it all the same with --despite REASON, which is kept and shown with its "
    "figures"
)


def withdraw_month(ledger: Ledger, month: date, reason: str) -> ClosedMonth:
    """Mark a month's closing as a mistake: it stays, and the month can be closed again.

    Writes, inside the caller's transaction. Raises ``NothingFound``.
    """
    closing = _standing(ledger, month)
    if closing is None:
        raise NothingFound(
            f"{month:%Y-%m} is not closed: there is nothing to withdraw",
            fix="see `stripe-nrr restatements` for what is closed",
        )
    withdrawn = closings.withdraw(ledger.connection, closing, reason, ledger.moment)
    return _told(ledger, withdrawn, was_closed=True)


def last_month(ledger: Ledger) -> date:
    """The last month that is over by the clock, whatever the ledger knows of it."""
    today = local_day(int(ledger.moment.timestamp()), ledger.zone)
    return add_months(today, -1)


def _standing(ledger: Ledger, month: date) -> Closing | None:
    known = closings.known(ledger.connection)
    return next((each for each in known if each.month == month), None)


def _told(ledger: Ledger, closing: Closing, *, was_closed: bool) -> ClosedMonth:
    connection, gone = ledger.connection, closing.withdrawn is not None
    return ClosedMonth(
        closing=closing,
        figures=list(closings.figures_of(connection, closing)),
        was_closed=was_closed,
        seal=seals.hash_of(connection, closing.id, is_withdrawal=gone),
    )


def _close(ledger: Ledger, month: date, despite: str) -> Closing:
    known = ledger.state()
    _require_end(ledger, month)
    lacked = ledger.lacking(month)
    if lacked and not despite:
        raise NotWhole(
            f"{month:%Y-%m} is not closed: {'; '.join(x.what for x in lacked)}",
            fix="; ".join([*dict.fromkeys(x.fix for x in lacked), ALL_THE_SAME]),
            lacked=[x.what for x in lacked],
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
        despite=despite if lacked else "",
        lacked=[x.what for x in lacked],
    )


def _require_end(ledger: Ledger, month: date) -> None:
    """Raise where the ledger does not know a month's end and what settles after it."""
    synced_at = ledger.state().synced_at
    if synced_at is None:
        raise NotWhole(
            f"{month:%Y-%m} is not closed: no sync has finished yet, so customers are "
            "missing",
            fix="run `stripe-nrr sync`",
            lacked=[FIRST_SYNC.what],
        )
    due_at = datetime.fromtimestamp(
        ledger.end_s(month) + ledger.config.close_after_s, ledger.zone
    )
    known_until = min(synced_at, ledger.moment)
    if known_until < due_at:
        raise NotOverYet(
            f"{month:%Y-%m} cannot be closed before {due_at:%Y-%m-%d %H:%M} "
            f"({ledger.zone.key}), when it is over and has settled: the ledger knows all "
            f"until {known_until.astimezone(ledger.zone):%Y-%m-%d %H:%M}",
            fix="run `stripe-nrr sync` then or later, and close it",
        )


def figures_to_close(
    connection: sqlite3.Connection, month: date
) -> Iterator[ReportedFigures]:
    """Of every currency, those of the windows that end with the month, as they are now."""
    for currency in queries.currencies(connection):
        for measured in counted(connection, currency, ending_with(month)):
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
    ledger: Ledger, closed: Iterable[Closing], *, as_of: bool = True
) -> Iterator[tuple[Closing, ReportedFigures, WindowFigures]]:
    """Each closed window of a total as it was reported, and as it is at the same rates.

    As the ledger was at its closing, or else as it is now.
    """
    connection = ledger.connection
    for closing in closed:
        found = closings.figures_of(connection, closing)
        reported = [each for each in found if each.is_total]
        if not reported:
            continue
        from connector.reports.currency_total import CurrencyTotal, configured_rates

        kept = closings.rates(connection, closing)
        others = partial(configured_rates, ledger.config)
        rates = KeptRates(reported[0].currency, kept, others)
        total = CurrencyTotal(ledger, closing.closed_at if as_of else None, rates)
        windows = [each.measured.window for each in reported]
        each = {c: counted(connection, c, windows, total.as_of) for c in total.codes}
        for was, now in zip(reported, total.measured(each), strict=True):
            yield closing, was, now


def measured_again(
    connection: sqlite3.Connection,
) -> Iterator[tuple[str, WindowFigures, WindowFigures]]:
    """Each closed window of a currency as reported, and as the ledger gives it then.

    Also of closings that were withdrawn: they stay what they were.
    """
    for closing in closings.ever(connection):
        found = closings.figures_of(connection, closing)
        own = (each for each in found if not each.is_total)
        for currency, of_both in groupby(own, lambda each: each.currency):
            reported = [each.measured for each in of_both]
            windows = [each.window for each in reported]
            again = counted(connection, currency, windows, closing.closed_at)
            for was, now in zip(reported, again, strict=True):
                yield currency, was, now


class RestatementLine(NamedTuple):
    """One customer's day as it was booked and as it is since a run; None is nothing.

    ``account`` is whose run it is, where there are several.
    """

    run: ChangingRun
    customer: str
    currency: str
    day: date
    was: Movement | None
    now: Movement | None
    reason: str
    account: str = ""

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
    """The closed windows that have changed, of all ``closings``; labels by id.

    Those that were withdrawn are among the closings, and have no windows.
    """

    windows: list[RestatedWindow]
    labels: Mapping[str, str]
    closings: list[Closing]

    @property
    def standing(self) -> list[Closing]:
        return [each for each in self.closings if each.withdrawn is None]


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
        closings=closings.ever(ledger.connection),
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
    currencies = sorted({line.currency for line in found})
    reported = [pair for pair in closings.figures(connection) if not pair[1].is_total]
    told = {(month, figures.currency) for month, figures in reported}
    for month in closed:
        for currency in currencies:
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
        [now] = counted(connection, currency, [window])
        if not is_same(now, figures.measured):
            yield RestatedWindow(closing_of, figures, now, own)
    standing = closed.values() if found else ()
    for closing_of, figures, now in totals_again(ledger, standing, as_of=False):
        moment = max(closing_of.closed_at, after)
        own = since(found, moment, None, now.window.end)
        if own and not is_same(now, figures.measured):
            yield RestatedWindow(closing_of, figures, now, own)
