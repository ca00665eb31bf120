"""The nouns of a reconciliation: cells that differ, and the causes that add up to it.

    Reconciliation    what one kind of file says beside the ledger
      MonthBridge     a month's total: ours, theirs, and what leads from one to the other
      DifferingCell   one customer's month, or day of changes, that is not the same
        CellPart       as much of its difference as one cause explains

A cell is a customer's MRR at the end of a month, or what changed it on a day; it is
theirs minus ours that is explained.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from connector.core.model import CustomerName, Movement
from connector.reconcile.cells import Amounts, Cell
from connector.reconcile.files.headers import FileKind


class GapCause(StrEnum):
    """Why a cell of theirs is not ours."""

    UNEXPLAINED = "unexplained"
    POLICY = "policy"  # a switch is set otherwise there
    USAGE = "usage"  # metered prices count there
    TRIAL = "trial"  # trials count there
    TAX = "tax"  # tax is in their amounts
    CURRENCY = "currency"  # they converted
    ZONE = "zone"  # their days begin elsewhere
    DATE = "date"  # they count it on another day or in another month
    MISSING_THERE = "missing_there"
    MISSING_HERE = "missing_here"
    MOVED = "moved"  # another customer id has it there, or has it here
    SET_ASIDE = "set_aside"  # an object that we refused to value
    NOT_DERIVED = "not_derived"  # our ledger waits to be brought up to date
    RESTATED_HERE = "restated_here"
    RESTATED_THERE = "restated_there"
    REPEATED = "repeated"  # a line is there more than once
    ROUNDING = "rounding"


class CellPart(NamedTuple):
    """``detail`` is what customers have in common, ``note`` what is this one's own."""

    cause: GapCause
    amount_minor: int
    detail: str = ""
    note: str = ""


class DifferingCell(NamedTuple):
    """``day`` is the first of a month, or the day of a change."""

    customer: CustomerName
    currency: str
    day: date
    ours_minor: int
    theirs_minor: int
    parts: tuple[CellPart, ...]

    @property
    def gap_minor(self) -> int:
        return self.theirs_minor - self.ours_minor

    @property
    def unexplained_minor(self) -> int:
        parts = (p for p in self.parts if p.cause == GapCause.UNEXPLAINED)
        return sum(part.amount_minor for part in parts)

    @property
    def is_unexplained(self) -> bool:
        return any(part.cause == GapCause.UNEXPLAINED for part in self.parts)


class MonthBridge(NamedTuple):
    """A month's sums in one currency; ``parts`` are of cause and detail, none is 0."""

    currency: str
    month: date
    ours_minor: int
    theirs_minor: int
    parts: Mapping[tuple[GapCause, str], int]


class SourceFile(NamedTuple):
    """``is_minor`` is how its amounts were read; ``because`` why so."""

    name: str
    lines: int
    is_minor: bool
    because: str
    ignored: Sequence[str]


class PresetFit(NamedTuple):
    """How many cells differ under a preset, as a sample of the customers has it."""

    name: str
    differing: int


class Reconciliation(NamedTuple):
    """``start`` is the first day compared, ``end`` the first one not.

    ``preset`` fits best of ``tried``, or was asked for; None is the ledger's own rules.
    ``cells`` are the unexplained first, then the largest; ``left_out`` are more of them.
    """

    kind: FileKind
    files: Sequence[SourceFile]
    start: date
    end: date
    timezone: str
    their_timezone: str
    rules: Mapping[str, str]
    preset: str | None
    is_asked: bool
    tried: Sequence[PresetFit]
    customers: int
    compared: int
    differing: int
    unexplained: int
    months: Sequence[MonthBridge]
    cells: Sequence[DifferingCell]
    left_out: int
    notes: Sequence[str]
    statements: Mapping[str, str]  # of customers with unexplained cells: ours, in words
    explained: Mapping[str, Sequence[Movement]]  # the same, in full


class Leftover(NamedTuple):
    """A customer's cells after every alternative that helped.

    ``ours`` are what these made of ours; ``gaps`` are theirs minus that, and none is 0.
    ``repeated`` and ``older`` are what lines add that are there twice, and what an older
    file of theirs says. ``around`` is ``ours`` with the months before and after.
    ``tax_rates`` are those on the customer's invoices.
    """

    ours: Amounts
    theirs: Amounts
    gaps: Amounts
    repeated: Amounts
    older: Amounts
    around: Amounts
    is_there: bool
    is_here: bool
    is_refused: bool
    rate: Fraction | None  # about theirs to ours, where the files name no currency
    tax_rates: Sequence[Fraction] = ()


Found = dict[Cell, CellPart]


def all_of(gaps: Amounts, cause: GapCause, detail: str = "", note: str = "") -> Found:
    return {cell: CellPart(cause, n, detail, note) for cell, n in gaps.items()}
