"""Who pays at the end of a day, how much, and who has contracted lately."""

from collections.abc import Collection, Iterable
from datetime import date
from typing import NamedTuple

import numpy as np

from connector.core.kept.columns import KINDS
from connector.core.model import MovementKind
from connector.metrics.wide.columns import Columns, Ints, added

_CONTRACTION = KINDS.index(MovementKind.CONTRACTION)


class Paying(NamedTuple):
    """Everybody who pays, by the ledger's key; ``shrank`` is a day's ordinal, 0 of none."""

    who: Ints
    minor: Ints
    shrank: Ints

    def chosen(self, is_one: Ints) -> "Paying":
        return Paying(*(each[is_one] for each in self))

    def of(self, keys: Collection[int]) -> "Paying":
        return self.chosen(np.isin(self.who, list(keys)))

    def lately(self) -> "Paying":
        """Those who have contracted."""
        return self.chosen(self.shrank > 0)

    def largest(self, most: int | None) -> "Paying":
        """So many who pay most, and who pays as much as the last of them."""
        if most is None or len(self.who) <= most:
            return self
        return self.chosen(self.minor >= np.sort(self.minor)[-most])

    def in_minor(self, scale: int) -> "Paying":
        """Amounts in units of ``scale`` to the nearest minor unit, half to even."""
        if scale == 1:
            return self
        whole, rest = self.minor // scale, self.minor % scale
        return self._replace(minor=whole + (2 * rest + whole % 2 > scale))


def paying(parts: Iterable[Columns], until: date, since: date) -> Paying:
    """At the end of ``until``, with the last contraction of each after ``since``."""
    found = [Paying(*np.zeros((3, 0), np.int64))]
    for moves, *_ in parts:
        is_past = moves.day <= until.toordinal()
        own, day = moves.own[is_past], moves.day[is_past]
        minor = added(own, moves.amount_minor[is_past], len(moves.who))
        lately = (moves.kind[is_past] == _CONTRACTION) & (day > since.toordinal())
        shrank = np.zeros(len(moves.who), np.int64)
        np.maximum.at(shrank, own[lately], day[lately])
        found.append(Paying(moves.who, minor, shrank).chosen(minor > 0))
    return Paying(*map(np.concatenate, zip(*found, strict=True)))
