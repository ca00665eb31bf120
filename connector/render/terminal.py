"""The console that reports are printed on, and their tables.

Nothing is worked out here: every figure comes from the values it is given.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich import table as rich
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

from connector.core.model import MovementKind
from connector.core.text import printable_lines
from connector.render.table import Cell, Part, Table, Title
from connector.reports.model import AS_REPORTED

PIPE_WIDTH = 140
COLOURS = {
    MovementKind.NEW: "blue",
    MovementKind.REACTIVATION: "cyan",
    MovementKind.EXPANSION: "green",
    MovementKind.CONTRACTION: "yellow",
    MovementKind.CHURN: "red",
}


def console(*, width: int | None = None) -> Console:
    """A console on stdout: as wide as the terminal, or wide enough for a pipe."""
    out = _console(width)
    if not out.is_terminal and width is None:
        return _console(PIPE_WIDTH, no_color=True)
    return out


def _console(width: int | None, *, no_color: bool | None = None) -> Console:
    return Console(
        width=width, no_color=no_color, highlight=False, markup=False, emoji=False
    )


class Harmless(NamedTuple):
    """A view with its own colours, and nobody else's commands to the terminal.

    Whatever was not made ``printable`` on its way into the view is caught here.
    """

    view: RenderableType

    def __rich_console__(
        self, out: Console, options: ConsoleOptions
    ) -> Iterator[Segment]:
        for text, style, control in out.render(self.view, options):
            yield Segment(text if control else printable_lines(text), style, control)


def table(
    found: Table,
    locale: str,
    *,
    unwrapped: Container[int] = (),
    spare: Iterable[str] = (),
    width: int = 0,
) -> RenderableType:
    """Rows under their heads; without the columns to spare where ``width`` is too small.

    A row with a star is dim, and one as reported; a kind of movement has its colour.
    """
    heads, rows = found.heads, found.texts(locale)
    kept = list(range(len(heads)))
    for name in spare:
        if name in heads and _width([heads, *rows], kept) > width:
            kept.remove(heads.index(name))
    drawn = rich.Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in kept:
        drawn.add_column(
            heads[column],
            justify="right" if column in found.right else "left",
            no_wrap=column in unwrapped,
        )
    for cells, texts in zip(found.rows, rows, strict=True):
        style = "dim" if texts[0].endswith("*") or texts[0] == AS_REPORTED else ""
        drawn.add_row(*(_drawn(cells[c], texts[c]) for c in kept), style=style)
    return drawn


def view(parts: Iterable[Part], locale: str) -> RenderableType:
    """A narrow terminal wraps its tables, a pipe gets whole lines."""

    def drawn(part: Part) -> RenderableType:
        match part:
            case Title(text):
                return Text(f"\n{text}", style="bold")
            case Table():
                return table(part, locale)
            case note:
                return Text(note, style="dim")

    return Group(*map(drawn, parts))


def _drawn(cell: Cell, text: str) -> Text:
    return Text(text, COLOURS[cell] if isinstance(cell, MovementKind) else "")


def _width(texts: Sequence[Sequence[str]], kept: Iterable[int]) -> int:
    """What the columns take, each with its space, and the frame."""
    return sum(2 + max(len(row[column]) for row in texts) for column in kept)
