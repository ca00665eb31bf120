"""What was booked after a month was closed → lines that add up to the restatement.

A line is what one run changed of one customer's day. The lines dated before a window's
end add up to the change of its closing MRR, those before its beginning to its opening's.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from msgspec import Struct

from connector.model import Movement


class RunOf(Struct, frozen=True, kw_only=True):
    """The run that changed something; ``policy`` are its rules, and those before it."""

    id: int
    started_at: datetime
    cause: str
    policy: Mapping[str, str]
    policy_before: Mapping[str, str]


class Change(Struct, frozen=True, kw_only=True):
    """A movement that a run posted, or else retracted, for a ``reason``."""

    run: RunOf
    movement: Movement
    was_posted: bool
    reason: str


class Line(NamedTuple):
    """One customer's day as it was booked and as it is since a run; None is nothing."""

    run: RunOf
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


def lines(changes: Iterable[Change]) -> list[Line]:
    """What each run changed, in the order of ``changes``: by run, customer and day.

    Where only the evidence became better nothing has changed.
    """
    found = []
    for (_, customer, currency, day), of_day in groupby(changes, key=_place):
        each = list(of_day)
        was = next((c for c in each if not c.was_posted), None)
        now = next((c for c in each if c.was_posted), None)
        line = Line(
            run=each[0].run,
            customer=customer,
            currency=currency,
            day=day,
            was=was.movement if was is not None else None,
            now=now.movement if now is not None else None,
            reason=was.reason if was is not None else "",
        )
        if _told(line.was) != _told(line.now):
            found.append(line)
    return found


def _place(change: Change) -> tuple[int, str, str, date]:
    movement = change.movement
    return change.run.id, movement.customer, movement.currency, movement.day


def _told(movement: Movement | None) -> object:
    """What the figures see of a movement."""
    return None if movement is None else (movement.kind, movement.amount_minor)


def since(
    found: Sequence[Line], moment: datetime, currency: str, before: date
) -> list[Line]:
    """The lines booked after a moment, of one currency, of the days before a day."""
    return [
        line
        for line in found
        if line.run.started_at > moment
        and line.currency == currency
        and line.day < before
    ]
