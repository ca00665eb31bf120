"""Closed months: their figures as reported.

Append-only, as the ledger is. A closing records a moment; the ledger as of that moment
gives the same figures again, and they are stored beside it as well. One that was made by
mistake is withdrawn: it stays, but does not stand, and its month can be closed again.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple

from msgspec.structs import replace

from connector.core.dates import add_months, parse_month
from connector.core.figures import (
    FIGURES,
    TERMS,
    WindowFigures,
    reading,
    window_figures,
)
from connector.core.kept.months import Closing, Withdrawal
from connector.core.windows import Window, WindowKind
from connector.store.database import scalar
from connector.store.ledger.as_of import stamp, stood
from connector.store.ledger.posting import ONE_TICK
from connector.store.months import seals


class ReportedFigures(NamedTuple):
    """One window of one currency, or of all in one, as it was reported."""

    currency: str
    measured: WindowFigures
    is_total: bool = False


# Renewals are not recorded: which terms had ended is known only as of now.
_CLOSED = tuple(name for name in FIGURES if not name.startswith(TERMS))
_COLUMNS = ", ".join(("closing", "currency", "kind", "first_day", "end_day", *_CLOSED))
_RECORD = f"""
    INSERT INTO closed_figures ({_COLUMNS})
    VALUES (?, ?, ?, ?, ?, {", ".join("?" * len(_CLOSED))})
"""  # noqa: S608
_amounts_of = reading(_CLOSED)
# What a minor unit of a currency was worth in the total, by currency and day.
Rates = Mapping[tuple[str, date], Fraction]
NO_RATES: Rates = {}
TOTAL = "total "  # before the currency, of all in one


def close(
    connection: sqlite3.Connection,
    month: date,
    figures: Iterable[ReportedFigures],
    *,
    rates: Rates = NO_RATES,
    policy: Mapping[str, str],
    code_version: str,
    now: datetime,
    despite: str = "",
    lacked: Sequence[str] = (),
) -> Closing:
    """Close and seal a month, with the figures of every window that ends with it.

    ``rates`` are those that a total of all currencies was made with.
    Runs inside the transaction in which the caller read them, so that nothing is booked
    between reading and recording them.
    """
    closed_at = _moment(connection, now)
    key = scalar(
        connection,
        _CLOSE,
        [
            *(f"{month:%Y-%m}", stamp(closed_at), code_version),
            *(json.dumps(dict(policy), ensure_ascii=False), despite),
            json.dumps(list(lacked), ensure_ascii=False),
        ],
    )
    connection.executemany(_RECORD, [_row(key, each) for each in figures])
    connection.executemany(
        "INSERT INTO closed_rates VALUES (?, ?, ?, ?)",
        [(key, code, str(day), str(rate)) for (code, day), rate in rates.items()],
    )
    seals.seal(connection, closed_at)
    return Closing(
        id=key,
        month=month,
        closed_at=closed_at,
        code_version=code_version,
        policy=policy,
        despite=despite,
        lacked=tuple(lacked),
    )


_CLOSE = """
    INSERT INTO closings
        (month, closed_at, run, movement, code_version, policy, despite, lacked)
    VALUES (?, ?, (SELECT max(id) FROM runs), (SELECT max(id) FROM movements), ?, ?, ?, ?)
    RETURNING id
"""


def withdraw(
    connection: sqlite3.Connection, closing: Closing, reason: str, now: datetime
) -> Closing:
    """Mark a closing as a mistake, and seal that; in the caller's transaction."""
    at = max(_moment(connection, now), closing.closed_at + ONE_TICK)
    connection.execute(
        "INSERT INTO withdrawals VALUES (?, ?, ?)", [closing.id, stamp(at), reason]
    )
    seals.seal(connection, at)
    return replace(closing, withdrawn=Withdrawal(at, reason))


def _moment(connection: sqlite3.Connection, now: datetime) -> datetime:
    """The moment to close at: now, or that of the newest run if it is later.

    So that whatever has been posted counts, also where a clock went back. Neither is it
    before the last withdrawal.
    """
    begun = scalar(connection, "SELECT max(started_at) FROM runs")
    withdrawn = scalar(connection, "SELECT max(withdrawn_at) FROM withdrawals")
    return datetime.fromisoformat(max(stamp(now), begun or "", withdrawn or ""))


def _row(closing: int, figures: ReportedFigures) -> list[object]:
    window = figures.measured.window
    return [
        closing,
        TOTAL + figures.currency if figures.is_total else figures.currency,
        window.kind.value,
        window.start.isoformat(),
        window.end.isoformat(),
        *_amounts_of(figures.measured),
    ]


_KNOWN = """
    SELECT id, month, closed_at, code_version, policy, despite, lacked, withdrawn_at,
           reason
    FROM closings LEFT JOIN withdrawals ON closing = id
    ORDER BY month, id
"""


def ever(connection: sqlite3.Connection) -> list[Closing]:
    """Every closing, also those that were withdrawn: by month, then as they were made."""
    return [
        Closing(
            id=key,
            month=parse_month(month),
            closed_at=datetime.fromisoformat(closed_at),
            code_version=version,
            policy=json.loads(policy),
            despite=despite,
            lacked=tuple(json.loads(lacked)),
            withdrawn=None
            if at is None
            else Withdrawal(datetime.fromisoformat(at), reason),
        )
        for key, month, closed_at, version, policy, despite, lacked, at, reason in (
            connection.execute(_KNOWN)
        )
    ]


def known(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> list[Closing]:
    """Every closing that stands, or stood then, the earliest month first."""
    return [
        each
        for each in ever(connection)
        if stood(each.closed_at, each.withdrawn and each.withdrawn.at, as_of)
    ]


_FIGURES = f"""
    SELECT {_COLUMNS} FROM closed_figures WHERE closing = ? ORDER BY currency, kind
"""  # noqa: S608


def figures_of(
    connection: sqlite3.Connection, closing: Closing
) -> Iterator[ReportedFigures]:
    """What was reported of one closed month."""
    for row in connection.execute(_FIGURES, [closing.id]):
        _, currency, kind, first, end, *amounts = row
        days = (date.fromisoformat(first), date.fromisoformat(end))
        told = dict(zip(_CLOSED, amounts, strict=True))
        measured = window_figures(Window(WindowKind(kind), *days), told)
        code = currency.removeprefix(TOTAL)
        yield ReportedFigures(code, measured, is_total=code != currency)


def figures(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> Iterator[tuple[date, ReportedFigures]]:
    """What was reported of every closed month, by then: the month and a window."""
    for closing in known(connection, as_of):
        for each in figures_of(connection, closing):
            yield closing.month, each


def rates(connection: sqlite3.Connection, closing: Closing) -> Rates:
    """Those that the total of a closed month was made with."""
    rows = connection.execute(
        "SELECT currency, day, rate FROM closed_rates WHERE closing = ?", [closing.id]
    )
    return {(c, date.fromisoformat(day)): Fraction(rate) for c, day, rate in rows}


def despite(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> dict[date, Closing]:
    """What stood then and was closed although something lacked, by the day after it."""
    return {
        add_months(each.month, 1): each
        for each in known(connection, as_of)
        if each.despite
    }


def reported(
    connection: sqlite3.Connection,
    currency: str,
    as_of: datetime | None = None,
    *,
    is_total: bool = False,
) -> dict[Window, WindowFigures]:
    """Each window of a currency that was closed by then, as it was reported."""
    return {
        each.measured.window: each.measured
        for _, each in figures(connection, as_of)
        if (each.currency, each.is_total) == (currency, is_total)
    }
