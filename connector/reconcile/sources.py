"""Files of one kind → each customer's cells as they have them, in minor units.

Files may overlap, and be parts of one another: what two of them say alike counts once.
Amounts are in minor or in major units, which their sums tell when held to ours.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.errors import UsageFault
from connector.core.language import _, marked
from connector.core.model import CustomerName
from connector.core.money import exponent
from connector.reconcile.cells import Amounts, Cell, Grain
from connector.reconcile.files.days import months_read
from connector.reconcile.files.headers import FileKind
from connector.reconcile.files.tables import TEN, OpenedFile, lines_of, open_file
from connector.store.external_figures import (
    ExternalFigure,
    ExternalFigures,
    ExternalLine,
)


class ReadFile(NamedTuple):
    """A file that is read; ``whole`` is whether all its amounts are whole numbers.

    ``days`` are those it is about, of months their first; ``is_named`` whether customers
    are named otherwise than by Stripe's ids.
    """

    opened: OpenedFile
    lines: int
    days: frozenset[date]
    whole: bool
    is_named: bool
    notes: Sequence[str]


class TheirCells(NamedTuple):
    """One customer's; ``older`` is what an older file says of a cell."""

    amounts: dict[Cell, int]
    repeated: dict[Cell, int]
    older: dict[Cell, int]


NOTHING_THERE = TheirCells({}, {}, {})


def opened_together(paths: Iterable[Path]) -> list[list[OpenedFile]]:
    """Files that are parts of one, in an order that is not that of their naming.

    Of months all are; of changes those with the same columns: of a customer's and of an
    item's changes one tells the other again.
    """
    found: dict[tuple[FileKind, tuple[str, ...]], list[OpenedFile]] = {}
    for path in sorted(set(paths)):
        opened = open_file(path)
        is_of_months = opened.kind == FileKind.MONTHS
        heads = () if is_of_months else tuple(sorted(opened.heads))
        found.setdefault((opened.kind, heads), []).append(opened)
    return [found[each] for each in sorted(found)]


def read_files(
    files: Sequence[OpenedFile],
    into: ExternalFigures,
    counted_as: Callable[[str], str],
    locale: str,
    progress: Callable[[str, int, int | None], None],
) -> list[ReadFile]:
    """Every line of the files, the customers called as they are now.

    A 0 counts beside another file alone, which may have had more there.
    """
    found = []
    has_others = len(files) > 1 and files[0].kind == FileKind.MONTHS
    for number, opened in enumerate(files):
        seen = _Seen(zeros_count=has_others)
        into.add(_lines(opened, number, counted_as, locale, seen, progress))
        written = {month for _, month in opened.layout.months} | seen.on_days
        days, notes = frozenset(written), list[str]()
        if opened.kind == FileKind.MONTHS:
            days, notes = months_read(opened.path, number, into, written)
        found.append(
            ReadFile(opened, seen.lines, days, seen.whole, seen.is_named, notes)
        )
    if not any(each.days for each in found):
        names = ", ".join(str(each.opened.path) for each in found)
        raise UsageFault(f"{names} has no lines", fix="give files with figures in them")
    return found


class _Seen:
    """What a file turned out to hold, while its lines pass by."""

    def __init__(self, *, zeros_count: bool) -> None:
        self.zeros_count = zeros_count
        self.lines, self.whole, self.is_named = 0, True, False
        self.on_days: set[date] = set()


def _lines(
    opened: OpenedFile,
    number: int,
    counted_as: Callable[[str], str],
    locale: str,
    seen: _Seen,
    progress: Callable[[str, int, int | None], None],
) -> Iterator[ExternalLine]:
    for line in lines_of(opened, locale):
        seen.lines += 1
        seen.on_days.add(line.on)
        if not line.amount and not seen.zeros_count:
            continue
        if line.amount % TEN:
            seen.whole = False
        if seen.lines % 100_000 == 0:
            progress(marked("reading"), seen.lines, None)
        customer = counted_as(line.customer)
        seen.is_named = seen.is_named or not customer.startswith("cus_")
        day, on = line.day.toordinal(), line.on.toordinal()
        yield ExternalLine(
            customer, line.currency, day, on, number, line.mark, line.amount
        )


def span_of(files: Sequence[ReadFile], kind: FileKind) -> tuple[date, date]:
    """From the first day that they are about to the first one that they are not."""
    days = [day for each in files for day in each.days]
    if kind == FileKind.MONTHS:
        return min(days), add_months(max(days), 1)
    return min(days), max(days) + timedelta(days=1)


# --- by customer, beside ours ---


def joined(
    theirs: Iterator[tuple[str, list[ExternalFigure]]],
    ours: Iterator[tuple[CustomerName, dict[Cell, int]]],
) -> Iterator[tuple[CustomerName, list[ExternalFigure], dict[Cell, int] | None]]:
    """Everybody of either side, in order of the ids; None is not in the ledger."""
    there, here = next(theirs, None), next(ours, None)
    while there is not None or here is not None:
        if here is None or (there is not None and there[0] < here[0].id):
            assert there is not None
            yield CustomerName(there[0], None), there[1], None
            there = next(theirs, None)
        elif there is None or here[0].id < there[0]:
            yield here[0], [], here[1]
            here = next(ours, None)
        else:
            yield here[0], there[1], here[1]
            there, here = next(theirs, None), next(ours, None)


NEAR = Fraction(1, 100)


class AmountUnit(NamedTuple):
    """Whether a file's amounts are minor units, and why they are taken so."""

    is_minor: bool
    because: str

    def minor(self, amount: int, currency: str) -> int:
        if self.is_minor:
            return round(Fraction(amount, TEN))
        return round(Fraction(amount * 10 ** exponent(currency), TEN))


class Sums:
    """What a file says and what ours says of the same cells, by currency.

    ``unlike`` counts cells that are the same neither in minor nor in major units, over
    those that are.
    """

    def __init__(self) -> None:
        self.theirs: dict[str, int] = {}
        self.ours: dict[str, int] = {}
        self.unlike: dict[str, int] = {}

    def add(self, currency: str, amount: int, ours_minor: int) -> None:
        if amount and ours_minor:
            own = ours_minor * TEN
            is_alike = own in (amount, amount * 10 ** exponent(currency))
            for sums, more in (
                (self.theirs, abs(amount)),
                (self.ours, abs(ours_minor)),
                (self.unlike, -1 if is_alike else 1),
            ):
                sums[currency] = sums.get(currency, 0) + more

    def is_minor(self) -> bool | None:
        """None where nothing is in both."""
        known = [currency for currency in self.ours if exponent(currency)]
        if not known:
            return None
        currency = max(known, key=self.ours.__getitem__)
        as_minor = Fraction(self.theirs[currency], TEN * self.ours[currency])
        as_major = as_minor * 10 ** exponent(currency)
        return _far(as_minor) < _far(as_major)

    def rates(self, unit: "AmountUnit") -> dict[str, Fraction]:
        """Theirs to ours of each currency in which they are not the same.

        Twelve times ours is no rate, but a year's.
        """
        found = {
            currency: Fraction(unit.minor(self.theirs[currency], currency), ours)
            for currency, ours in self.ours.items()
            if self.unlike[currency] > 0
        }
        return {c: rate for c, rate in found.items() if abs(rate / 12 - 1) > NEAR}


def _far(ratio: Fraction) -> Fraction:
    return max(ratio, 1 / ratio)


def scale_of(read: ReadFile, sums: Sums) -> AmountUnit:
    by_sums = sums.is_minor()
    if not read.whole and not (read.opened.says_minor and by_sums):
        return AmountUnit(is_minor=False, because=_("some have decimals"))
    if by_sums is not None:
        return AmountUnit(by_sums, _("by their sums beside ours"))
    if read.opened.says_minor:
        return AmountUnit(is_minor=True, because=_("their column says so"))
    return AmountUnit(is_minor=False, because=_("nothing tells otherwise"))


class CellReading(NamedTuple):
    """How figures are made cells: each file's scale, the newest file first to be heard.

    ``main`` is the currency of those of whom nobody knows another one.
    """

    kind: FileKind
    scales: Sequence[AmountUnit]
    age: Sequence[int]  # by file: the larger the newer
    main: str

    def cells(
        self, figures: Sequence[ExternalFigure], own: str | None, grain: Grain
    ) -> TheirCells:
        """One customer's; ``own`` is the currency it pays in, for files without one."""
        first, end = grain.start, grain.end
        by_cell: dict[Cell, list[ExternalFigure]] = {}
        for each in figures:
            if first <= each.day < end:
                currency = each.currency or own or self.main
                cell = currency, each.day.toordinal()
                by_cell.setdefault(cell, []).append(each)
        found = TheirCells({}, {}, {})
        for cell, said in by_cell.items():
            self._put(found, cell, said)
        return found

    def _put(
        self, found: TheirCells, cell: Cell, said: Sequence[ExternalFigure]
    ) -> None:
        currency = cell[0]
        newest = max(said, key=lambda each: self.age[each.file])
        scale = self.scales[newest.file]
        minor = scale.minor(newest.amount, currency)
        if minor:
            found.amounts[cell] = minor
        if newest.repeated:
            found.repeated[cell] = scale.minor(newest.repeated, currency)
        others = (self.scales[e.file].minor(e.amount, currency) for e in said)
        older = [other for other in others if other != minor]
        if older:
            found.older[cell] = older[0]


def own_currency(changes: Amounts | None) -> str | None:
    """The one that most of a customer's movements are in."""
    moved: dict[str, int] = {}
    for (currency, _day), minor in (changes or {}).items():
        moved[currency] = moved.get(currency, 0) + abs(minor)
    return max(sorted(moved), key=moved.__getitem__, default=None)
