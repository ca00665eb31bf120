"""What was booked since it was last told: in open months, and in closed ones.

Each account's ledger says what is new of it; in the sum of several a change is told as
it is there, where who moves from one to the other neither leaves nor comes.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, Self

from connector.core.dates import add_months
from connector.core.kept.months import Closing
from connector.core.model import Movement
from connector.reports.closings.restatements import RestatementLine
from connector.reports.ledger import Ledger, LedgerPart
from connector.store.ledger import mrr_changes
from connector.store.ledger.mrr_changes import LedgerChange
from connector.store.months import closings
from connector.store.position import DigestCursor

FIRST_DAYS = 7  # that the first digest looks back


class ToldAccount(NamedTuple):
    """How far an account was told; ``from_day`` None: it goes on from there.

    ``account`` is its name, "" where there is one alone.
    """

    account: str
    part: LedgerPart
    cursor: DigestCursor
    from_day: date | None
    closed: Sequence[Closing]

    @classmethod
    def of(cls, ledger: Ledger, part: LedgerPart, since: date | None) -> Self:
        connection = part.ledger.connection
        cursor = DigestCursor.of(connection) if since is None else None
        from_day = since
        if since is None and cursor is None:
            from_day = ledger.state().today - timedelta(days=FIRST_DAYS)
        name = part.ledger.config.name if ledger.is_of_several else ""
        closed = closings.known(connection)
        return cls(name, part, cursor or DigestCursor(), from_day, closed)

    @property
    def since(self) -> datetime:
        """The moment after which all is booked that may be new."""
        if self.from_day is None:
            return self.cursor.position.run_at - timedelta(microseconds=1)
        zone = self.part.ledger.zone
        return datetime.combine(self.from_day, time(), zone).astimezone(UTC)

    def changes(self) -> Iterator[LedgerChange]:
        """All that was booked in its own ledger since it was told."""
        own = self.part.ledger.connection
        for change in mrr_changes.changes(own, self.since, date.max):
            if self.cursor.position.is_before(change):
                yield change


def changed(
    ledger: Ledger, told: Sequence[ToldAccount]
) -> tuple[list[RestatementLine], list[RestatementLine]]:
    """Movements, and what is restated in closed months: net of all that was new."""
    apart: dict[bool, list[tuple[LedgerChange, str]]] = {False: [], True: []}
    for change, of in _changes(ledger, told):
        is_restated = _is_restated(change, of.closed)
        from_day = of.from_day
        if from_day is None or is_restated or change.movement.day >= from_day:
            apart[is_restated].append((change, of.account))
    return _net(apart[False]), _net(apart[True])


def _changes(
    ledger: Ledger, told: Sequence[ToldAccount]
) -> Iterator[tuple[LedgerChange, ToldAccount]]:
    """Each with the account whose run booked it."""
    if not ledger.is_of_several:
        yield from ((change, own) for own in told for change in own.changes())
        return
    new = {
        (own.part.called(change.movement.customer), change.run.started_at): own
        for own in told
        for change in own.changes()
    }
    first = min(own.since for own in told)
    for change in (
        mrr_changes.changes(ledger.connection, first, date.max) if new else ()
    ):
        booked_by = new.get((change.movement.customer, change.run.started_at))
        if booked_by is not None:
            yield change, booked_by


def _is_restated(change: LedgerChange, closed: Sequence[Closing]) -> bool:
    """Whether it was booked after a month was closed that it belongs to or precedes."""
    return any(
        change.movement.day < add_months(each.month, 1)
        and change.run.started_at > each.closed_at
        for each in closed
    )


def _net(changes: Iterable[tuple[LedgerChange, str]]) -> list[RestatementLine]:
    """A line a customer, currency and day whose figures are others now.

    What was both posted and retracted among the ``changes`` is nothing.
    """
    places: dict[tuple[str, str, date], list[LedgerChange]] = {}
    accounts: dict[tuple[str, str, date], str] = {}
    for change, account in changes:
        movement = change.movement
        place = (movement.customer, movement.currency, movement.day)
        places.setdefault(place, []).append(change)
        accounts[place] = account
    lines = (_line(each, accounts[place]) for place, each in places.items())
    return sorted(
        (line for line in lines if _figures(line.was) != _figures(line.now)),
        key=lambda x: (x.currency, -abs(x.amount_minor), x.day, x.customer),
    )


def _line(changes: Sequence[LedgerChange], account: str) -> RestatementLine:
    """Of one place: at most one movement stood before, and at most one stands now."""
    posted = {each.movement_id: each.movement for each in changes if each.was_posted}
    gone = {each.movement_id: each for each in changes if not each.was_posted}
    last, movement = changes[-1], changes[-1].movement
    was = next((x for key, x in gone.items() if key not in posted), None)
    return RestatementLine(
        run=last.run,
        customer=movement.customer,
        currency=movement.currency,
        day=movement.day,
        was=None if was is None else was.movement,
        now=next((x for key, x in posted.items() if key not in gone), None),
        reason="" if was is None else was.reason,
        account=account,
    )


def _figures(movement: Movement | None) -> object:
    """What the figures see of it."""
    return None if movement is None else (movement.kind, movement.amount_minor)
