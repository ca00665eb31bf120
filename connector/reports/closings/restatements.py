"""What was booked in closed months since, a line a run and customer's day.

The lines dated before a window's end add up to the change of its closing MRR, those
before its beginning to its opening's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from connector.core.dates import add_months, day_end_s, instant
from connector.core.figures import WindowFigures
from connector.core.kept.months import Closing
from connector.core.model import Movement
from connector.core.windows import ending_with
from connector.metrics.retention import is_same, measure
from connector.reports.closings.closed_months import totals_again
from connector.reports.figures.windows import counted
from connector.reports.ledger import Ledger
from connector.store.ledger import customers, mrr_changes
from connector.store.ledger.mrr_changes import ChangingRun, LedgerChange
from connector.store.months import closings
from connector.store.months.closings import ReportedFigures


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
    """One closed window, as it was reported and as the ledger has it now.

    ``lines`` add up to the change of its closing MRR; a total's each in its own currency.
    """

    closing: Closing
    reported: ReportedFigures
    now: WindowFigures
    lines: list[RestatementLine]


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
    """By what was booked on a day or later; without one, ever since they were closed.

    Raises ``UsageFault`` for a day that has not begun.
    """
    after = EVER
    if day is not None:
        ledger.require_begun(day, f"--since {day}")
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
    found = lines(mrr_changes.changes(connection, max(first, after), end))
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
