"""The losses of a window by reason: read from the ledger, with what the mirror says.

What Stripe says of an end is read as it is now, whatever the report is as of.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from connector.core.kept.columns import KINDS
from connector.core.losses import Cancellation, Loss, LossShare, LostPart
from connector.core.model import Cause, SegmentValue
from connector.core.windows import Window, WindowKind, boundaries_of
from connector.metrics.churn import (
    LossCounter,
    LossSums,
    LossTable,
    by_reason,
    is_end,
    reason_of,
)
from connector.metrics.contributions import Causes
from connector.reports.figures.currency_books import CurrencyBooks
from connector.reports.figures.segments import cut_in, segment_of
from connector.reports.ledger import Ledger
from connector.store.ledger import columns
from connector.store.ledger import losses as ledger_losses
from connector.store.mirror import cancellations as mirror

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns, Ints
    from connector.metrics.wide.losses import FoundLosses

SAME_PAUSE_S = 86_400
TOGETHER = 1_000  # losses that are read with one query
TOLD_BY_PROOF = frozenset({Cause.END, Cause.REMOVAL, Cause.PAUSE})


def causes_and_losses(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
    most: int | None = None,
) -> tuple[list[Causes], list[LossSums]]:
    """Why each window's opening customers pay more or less; and its losses by reason.

    The ledger is read once for all. With ``only``, of those alone who have all of these
    segments in the window. ``most`` are named a cause.
    """
    from connector.metrics.wide.causes import causes
    from connector.metrics.wide.losses import LossFinder

    parts, of = _parts(ledger, currency, as_of), cut_in(ledger, currency, None, only)
    books = CurrencyBooks(ledger, currency, as_of)
    if only:  # each window has its own customers
        finders = [
            LossFinder(each, customers=books.members(each, only)) for each in wanted
        ]
    else:
        days = boundaries_of(wanted)
        finders = [LossFinder(Window(WindowKind.TRAILING_12, days[0], days[-1]))]
    for finder in finders:
        parts = finder.passing(parts)
    why = causes(parts, wanted, of, most)
    tables = [loss_table(ledger.connection, finder.found()) for finder in finders]
    own = zip(wanted, tables if only else tables * len(wanted), strict=True)
    return why, [table.within(window.start, window.end) for window, table in own]


def found_in(
    ledger: Ledger,
    currency: str,
    window: Window,
    as_of: datetime | None = None,
    by: str | None = None,
    only: Sequence[SegmentValue] = (),
    *,
    is_all: bool = False,
) -> "FoundLosses":
    """Which movements lost anything in a window, by segment where asked for.

    With ``only``, those of the customers alone whose figures in it these segments' are.
    """
    from connector.metrics.wide.fold import WHOLE
    from connector.metrics.wide.losses import LossFinder

    of = WHOLE
    if by is not None:
        of = segment_of(ledger.connection, ledger.config, by, currency)
    own = CurrencyBooks(ledger, currency, as_of).members(window, only) if only else None
    finder = LossFinder(window, of, own, is_all=is_all)
    return finder.found(_parts(ledger, currency, as_of))


def _parts(
    ledger: Ledger, currency: str, as_of: datetime | None
) -> "Iterator[Columns]":
    from connector.metrics.wide.columns import columns_of

    return map(
        columns_of, columns.blocks(ledger.connection, currency, as_of, columns.PARTS)
    )


def losses(
    connection: sqlite3.Connection,
    found: "FoundLosses",
    rows: "Ints | None" = None,
    *,
    proofs: bool = True,
) -> Iterator[tuple[Loss, str]]:
    """These by reason, with their segments; without ``rows`` all.

    Without ``proofs`` no more of them are read than tell a reason.
    """
    rows = found.rows if rows is None else rows
    for row, shares, part in _reasoned(connection, rows, proofs=proofs):
        _, customer, day, kind, amount_minor, before_minor, segment = row
        told = date.fromordinal(day), KINDS[kind], amount_minor, before_minor
        yield Loss(customer, *told, shares, part), found.names[segment]


def loss_table(connection: sqlite3.Connection, found: "FoundLosses") -> LossTable:
    """All of them, by month, segment and reason."""
    counter, names = LossCounter(found.reduced), found.names
    for row, shares, part in _reasoned(connection, found.rows, proofs=False):
        _, _, day, kind, *_, segment = row
        counter.add(day, names[segment], KINDS[kind], shares, part.cancellation)
    return counter.table()


_Reasoned = tuple[Sequence[int], tuple[LossShare, ...], LostPart]


def _reasoned(
    connection: sqlite3.Connection, rows: "Ints", *, proofs: bool
) -> Iterator[_Reasoned]:
    """Each row of ``FoundLosses`` with its shares, and the component that took most."""
    for first in range(0, len(rows), TOGETHER):
        some = rows[first : first + TOGETHER].tolist()
        ids = [movement for movement, *_ in some]
        found = ledger_losses.lost_parts(connection, ids, proofs=proofs)
        seen = _seen_by(connection, found.parts())
        for row in some:
            part = found.one.get(row[0])
            if part is None:
                yield row, *by_reason([*map(seen, found.several[row[0]])])
            else:
                part = seen(part)
                yield row, (LossShare(reason_of(part), row[4]),), part


class _Shown(NamedTuple):
    """What the mirror says of the subscriptions and events that losses name."""

    ends: dict[str, Cancellation]
    statuses: dict[str, str]
    pauses: dict[str, list[mirror.PauseSeen]]


def _seen_by(
    connection: sqlite3.Connection, parts: Collection[LostPart]
) -> Callable[[LostPart], LostPart]:
    """What adds to a component what the mirror says of it."""
    proved = [part for part in parts if part.evidence and part.cause in TOLD_BY_PROOF]
    proofs = [proof for part in proved for proof in part.evidence]
    events = {proof.id for proof in proofs if proof.kind == "event"}
    paused = {part.subscription for part in proved if _is_pause(part)}
    others = {part.subscription for part in proved} - paused
    shown = _Shown(
        mirror.cancellations(connection, others) if others else {},
        mirror.event_statuses(connection, events) if events else {},
        mirror.pauses_seen(connection, paused) if paused else {},
    )
    return partial(_seen, shown) if any(shown) else _as_it_is


def _as_it_is(part: LostPart) -> LostPart:
    return part


def _is_pause(part: LostPart) -> bool:
    return part.cause is Cause.PAUSE or "paused" in part.said


def _seen(shown: _Shown, part: LostPart) -> LostPart:
    """With what the mirror says of it."""
    if part.cause not in TOLD_BY_PROOF:
        return part
    proofs = part.evidence
    if shown.statuses:
        statuses = (shown.statuses[p.id] for p in proofs if p.id in shown.statuses)
        part = part._replace(said=part.said.union(statuses))
    if shown.pauses and _is_pause(part):
        seen = shown.pauses.get(part.subscription, ())
        is_failed = any(_shows_failure(proof.at_s, seen) for proof in proofs)
        part = part._replace(is_failed_pause=is_failed)
    end = shown.ends.get(part.subscription)
    is_told = end is not None and is_end(part)
    return part._replace(cancellation=end) if is_told else part


def _shows_failure(at_s: int, seen: Iterable[mirror.PauseSeen]) -> bool:
    """Whether the pause that began then is shown as made by a failed payment.

    Where Stripe does not say since when it was, by the first time that it was seen.
    """
    own = [x for x in seen if x.since_s is not None and _is_near(x.since_s, at_s)]
    own += [x for x in seen if x.since_s is None and x.seen_s >= at_s][:1]
    return any(each.is_failed_payment for each in own)


def _is_near(since_s: int, at_s: int) -> bool:
    return abs(since_s - at_s) <= SAME_PAUSE_S
