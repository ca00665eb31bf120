"""A window by customer: NRR, GRR, CRR and the waterfall as formulas over the rows.

    row 4    the ratios, and the sums that they are of
    row 6    the waterfall of everybody, and by how much it does not add up
    row 7    the head of the list; below it a row a customer

A customer's row has its net change. Where the way there was more than one movement (came
and grew; grew and shrank back), the waterfall's kinds differ from it: by how much stands in
columns of its own, which add up to 0 in a row and are in no ratio.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from connector.core.errors import UsageFault
from connector.core.figures import Retention
from connector.core.language import _, marked
from connector.core.model import MovementKind, classify
from connector.core.windows import name_of
from connector.metrics.contributions import Causes
from connector.render.report.reasons import cause_words
from connector.render.table import Cell, Percent, Points
from connector.render.workbook.cells import ROWS, ExactMoney, Live, SheetCell
from connector.render.workbook.sheet import SheetWriter
from connector.reports.explained.window_customers import CustomerInWindow
from connector.reports.model import WindowRow
from connector.reports.page import WindowBook

KINDS = tuple(MovementKind)
FORMULA_KINDS = ("new", "reactivation", "churn", "expansion", "contraction")
FIRST = 8  # the first customer's row, as Excel counts
RATIOS_AT = {"nrr": "C4", "grr": "D4", "crr": "E4"}
SUMS_AT = {"opening": "F4", "closing": "G4", "customers": "I4", "kept": "J4"}
NOTE = marked(
    "Live: change an opening or a closing, and the change, its kind, the ratios and the "
    "waterfall follow. Beside: where the way from one to the other was more than one "
    "movement, what of the waterfall is of another kind than the net change."
)


ZERO = Fraction(0)


class WindowSums(NamedTuple):
    """What the formulas come to now; minor units, exact."""

    opening: Fraction
    closing: Fraction
    kept: Fraction
    fx: Fraction
    everybody: Fraction
    moved: Mapping[MovementKind, Fraction]


def sums_of(book: WindowBook) -> WindowSums:
    base = [each for each in book.customers if each.opening_minor]
    opening = _sum(each.opening_minor for each in base)
    own: dict[MovementKind, list[Fraction]] = {kind: [] for kind in KINDS}
    for each in book.customers:
        for kind, minor in each.moved_minor.items():
            own[kind].append(minor)
    is_total = book.part.is_total
    return WindowSums(
        opening=opening,
        closing=_sum(each.closing_minor for each in base),
        kept=_sum(min(x.opening_minor, x.closing_minor) for x in base),
        fx=opening - book.row.measured.waterfall.opening_minor if is_total else ZERO,
        everybody=_sum(each.closing_minor for each in book.customers),
        moved={kind: _sum(found) for kind, found in own.items()},
    )


def _sum(amounts: Iterable[Fraction]) -> Fraction:
    """Exact; those of one denominator, which are nearly all, as whole numbers."""
    found: dict[int, int] = {}
    for each in amounts:
        found[each.denominator] = found.get(each.denominator, 0) + each.numerator
    return sum((Fraction(above, below) for below, above in found.items()), ZERO)


def write_window(writer: SheetWriter, book: WindowBook, title: str) -> None:
    """The whole sheet. Raises ``UsageFault`` for more customers than it has rows."""
    if len(book.customers) > ROWS - FIRST:
        raise UsageFault(
            f"{len(book.customers):,} customers are more than a sheet of Excel has rows",
            fix="use --format csv, or --format html",
        )
    writer.title(f"{title}: {window_name(book.row)}")
    writer.put(writer.row, 0, _(NOTE), italic=True)  # one row: below it all is placed
    writer.row += 1
    last = FIRST - 1 + max(len(book.customers), 1)
    sums, paying = sums_of(book), sum(1 for x in book.customers if x.closing_minor)
    _ratios(writer, book, sums, paying, last)
    _waterfall(writer, book, sums, last)
    ordered = sorted(
        book.customers,
        key=lambda x: (
            -abs(x.closing_minor - x.opening_minor),
            -x.opening_minor,
            x.name.id,
        ),
    )
    why = _reasons(book.causes)
    quoted = [f'"{_(name)}"' for name in FORMULA_KINDS]
    writer.filtered(
        _heads(),
        (
            _row(each, FIRST + place, book, why, quoted)
            for place, each in enumerate(ordered)
        ),
    )


def _ratios(
    writer: SheetWriter, book: WindowBook, sums: WindowSums, paying: int, last: int
) -> None:
    opening, closing = f"D{FIRST}:D{last}", f"E{FIRST}:E{last}"
    kept: Retention = book.row.measured.retention
    code = book.part.currency
    least = f"({opening}<{closing})*{opening}+({opening}>={closing})*{closing}"
    told: Mapping[str, Cell | Live] = {
        "NRR": _share("G4", "F4", Percent(kept.nrr, 2)),
        "GRR": _share("H4", "F4", Percent(kept.grr, 2)),
        "CRR": _share("J4", "I4", Percent(kept.crr, 2)),
        _("Opening MRR"): Live(f"=SUM({opening})", ExactMoney(sums.opening, code)),
        _("They pay at closing"): Live(
            f'=SUMIF({opening},">0",{closing})', ExactMoney(sums.closing, code)
        ),
        _("Growth left out"): Live(
            f"=SUMPRODUCT({least})", ExactMoney(sums.kept, code)
        ),
        _("Opening customers"): Live(f'=COUNTIF({opening},">0")', kept.customers),
        _("Still paying"): Live(f'=COUNTIFS({opening},">0",{closing},">0")', kept.kept),
        _("Paying at closing"): Live(f'=COUNTIF({closing},">0")', paying),
    }
    writer.heads(told, first=2)
    _values(writer, list(told.values()))


def _share(part: str, whole: str, now: Percent) -> Live:
    return Live(f'=IF({whole}=0,"–",{part}/{whole})', now if now.ratio else "–")


def _values(writer: SheetWriter, cells: Sequence[SheetCell]) -> None:
    for column, cell in enumerate(cells, 2):
        writer.put(writer.row, column, cell, bold=True)
    writer.row += 1


def _waterfall(
    writer: SheetWriter, book: WindowBook, sums: WindowSums, last: int
) -> None:
    """Of everybody; what takes away is below 0. In one currency there is no FX."""
    code = book.part.currency
    kinds, change = f"G{FIRST}:G{last}", f"F{FIRST}:F{last}"
    parts = {
        _(kind.value).capitalize(): Live(
            f'=SUMIF({kinds},"{_(kind.value)}",{change})+SUM({column}{FIRST}:{column}{last})',
            ExactMoney(sums.moved[kind], code),
        )
        for kind, column in zip(KINDS, "IJKLM", strict=True)
    }
    opening = ExactMoney(sums.opening - sums.fx, code)
    told: dict[str, SheetCell] = {
        _("Opening"): Live("=F4-I6", opening),
        **parts,
        "FX": ExactMoney(sums.fx, code) if book.part.is_total else None,
        _("Closing"): Live(f"=SUM(E{FIRST}:E{last})", ExactMoney(sums.everybody, code)),
        _("Not adding up"): Live("=ROUND(SUM(C6:I6)-J6,6)", ExactMoney(ZERO, code)),
    }
    writer.heads(told, first=2)
    _values(writer, list(told.values()))


def _row(
    each: CustomerInWindow,
    row: int,
    book: WindowBook,
    why: Mapping[int, str],
    quoted: Sequence[str],
) -> Iterator[SheetCell]:
    code, start = book.part.currency, book.row.measured.window.start
    change = each.closing_minor - each.opening_minor
    kind = kind_of(each, start)
    yield from (each.name.shown, each.name.id, each.since)
    yield ExactMoney(each.opening_minor, code)
    yield ExactMoney(each.closing_minor, code)
    yield Live(f"=E{row}-D{row}", ExactMoney(change, code))
    new, back, left, more, less = quoted
    came = f"IF(C{row}>=DATE({start.year},{start.month},{start.day}),{new},{back})"
    yield Live(
        f'=IF(D{row}=E{row},"",IF(D{row}=0,{came},IF(E{row}=0,{left},'
        f"IF(E{row}>D{row},{more},{less}))))",
        _(kind.value) if kind is not None else "",
    )
    share = book.row.measured.retention.of_opening(change)
    points = Points(share * 100) if share is not None and each.opening_minor else ""
    yield Live(f'=IF(D{row}=0,"",F{row}/$F$4*100)', points)
    for name in KINDS:
        beside = each.moved_minor.get(name, 0) - (change if name is kind else 0)
        yield ExactMoney(Fraction(beside), code) if beside else None
    gone = _("left") if kind is MovementKind.CHURN else None
    yield why.get(each.key, gone)


def _heads() -> list[str]:
    return [
        *(_("Customer"), _("Id"), _("Customer since"), _("Opening"), _("Closing")),
        *(_("Change"), _("Kind"), _("Points")),
        *(_("Beside: {kind}").format(kind=_(kind.value)) for kind in KINDS),
        _("Because of"),
    ]


def window_name(row: WindowRow) -> str:
    """``12 months to Oct 2026``, and whether that is not over yet."""
    name = name_of(row.measured.window)
    return (
        name if row.is_over else _("{window}, so far: not over yet").format(window=name)
    )


def kind_of(each: CustomerInWindow, start: date) -> MovementKind | None:
    """Of the net change in the window; who never paid before its start is new."""
    has_paid = each.since < start
    opening, closing = each.opening_minor, each.closing_minor
    if opening == closing:
        return None
    ends = (bool(opening), bool(closing))
    if all(ends):
        return MovementKind.EXPANSION if closing > opening else MovementKind.CONTRACTION
    return classify(int(ends[0]), int(ends[1]), has_paid=has_paid)


def _reasons(why: Causes | None) -> dict[int, str]:
    """Each customer's causes in words, by the ledger's key; the largest of all first."""
    found: dict[int, list[str]] = {}
    for share in (*why.expansion, *why.contraction) if why is not None else ():
        for key, _minor in share.customers:
            found.setdefault(key, []).append(cause_words(share.cause))
    return {key: ", ".join(words) for key, words in found.items()}
