"""Closed months: how one is closed or withdrawn, and its figures as reported."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from functools import partial
from itertools import groupby
from typing import NamedTuple

from connector import __version__
from connector.core.dates import add_months, local_day
from connector.core.errors import NothingFound, NotOverYet, NotWhole
from connector.core.figures import WindowFigures
from connector.core.kept.months import Closing
from connector.core.language import message
from connector.core.windows import ending_with
from connector.metrics.exchange_rates import KeptRates
from connector.reports.closings.lacks import FIRST_SYNC, lacking
from connector.reports.figures.configured_rates import configured_rates
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.figures.windows import counted
from connector.reports.ledger import Ledger
from connector.store.ledger import queries
from connector.store.months import closings, seals
from connector.store.months.closings import ReportedFigures


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
    lacked = lacking(ledger, month)
    if lacked and not despite:
        raise NotWhole(
            f"{month:%Y-%m} is not closed: {'; '.join(x.what for x in lacked)}",
            fix="; ".join([*dict.fromkeys(x.fix for x in lacked), ALL_THE_SAME]),
            lacked=[x.what for x in lacked],
        )
    figures = list(figures_to_close(ledger.connection, month))
    rates: closings.Rates = {}
    if figures and ledger.config.reporting_currency is not None:
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
    total: CurrencyTotal, figures: Iterable[ReportedFigures]
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
