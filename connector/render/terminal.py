"""The console that reports are printed on, and their tables.

Nothing is worked out here: every figure comes from the values it is given.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from rich import box
from rich import table as rich
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.text import Text

from connector.core.language import _, marked
from connector.core.model import MovementKind
from connector.core.text import printable_lines, wrapped
from connector.render.table import Cell, Part, Table, Title
from connector.reports.model import as_reported

PIPE_WIDTH = 140
# Characters that a column of words is given before it has to go below, and how long the
# longest word, such as an id, may be that is never broken there.
LEAST_WORDS = 16
LONGEST_WORD = 64
COLOURS = {
    MovementKind.NEW: "blue",
    MovementKind.REACTIVATION: "cyan",
    MovementKind.EXPANSION: "green",
    MovementKind.CONTRACTION: "yellow",
    MovementKind.CHURN: "red",
}


def console(*, width: int | None = None) -> Console:
    """A console on stdout: as wide as the terminal, or wide enough for a pipe.

    One of a ``width`` is for a text to be kept: it knows no colours.
    """
    shown = Console(highlight=False, markup=False, emoji=False)
    if width is None and shown.is_terminal:
        return shown
    return Console(
        width=width or PIPE_WIDTH,
        no_color=True,
        force_terminal=False,
        highlight=False,
        markup=False,
        emoji=False,
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


class Lines(NamedTuple):
    """Lines of text as wide as the console, which breaks no word."""

    text: str
    style: str = ""

    def __rich_console__(
        self, _console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        text = self.text
        if not options.no_wrap:  # else a pipe, in which lines are as they are
            text = wrapped(text, options.max_width)
        yield Text(text, style=self.style, no_wrap=True, overflow="ignore")


class FittedTable(NamedTuple):
    """Rows under their heads, as wide as the console: no figure and no id is cut.

    Where it is too wide, columns of ``spare`` go in their order, which is said, if it fits
    without them; else all columns stand in blocks below each other, each with the first
    column. A row with a star is dim, and one as reported; a kind of movement has its
    colour.
    """

    table: Table
    locale: str
    unwrapped: Container[int] = ()
    spare: Sequence[str] = ()

    def __rich_console__(
        self, _console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        texts = self.table.texts(self.locale)
        widths = self._widths(texts)
        every, room = range(len(widths)), options.max_width
        for number in range(len(self.spare) + 1):
            left_out = self.spare[:number]
            kept = [n for n in every if self.table.heads[n] not in left_out]
            if _width(widths, kept) <= room:
                yield self._drawn(texts, kept, _shared(texts, widths, kept, room))
                if left_out:
                    yield Text(_(_LEFT_OUT).format(", ".join(left_out)), style="dim")
                return
        for block in _blocks(widths, room):
            yield self._drawn(texts, block, _shared(texts, widths, block, room))

    def _widths(self, texts: Sequence[Sequence[str]]) -> list[int]:
        """What each column takes at least; words may be wrapped, figures may not."""
        widths = []
        for column, cells in enumerate(zip(self.table.heads, *texts, strict=True)):
            width = max(map(cell_len, cells))
            is_fixed = column in self.table.right or column in self.unwrapped
            words = (cell_len(word) for cell in cells for word in cell.split(" "))
            least = min(max(words, default=0), LONGEST_WORD)
            widths.append(width if is_fixed else min(width, max(LEAST_WORDS, least)))
        return widths

    def _drawn(
        self,
        texts: Sequence[Sequence[str]],
        kept: Sequence[int],
        widths: Mapping[int, int],
    ) -> rich.Table:
        drawn = rich.Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in kept:
            is_figure = column in self.table.right
            drawn.add_column(
                self.table.heads[column],
                justify="right" if is_figure else "left",
                no_wrap=is_figure or column in self.unwrapped,
                overflow="fold",
                width=widths.get(column),
            )
        for cells, row in zip(self.table.rows, texts, strict=True):
            style = (
                "dim"
                if row[0].endswith("*") or row[0].startswith(as_reported())
                else ""
            )
            drawn.add_row(*(_drawn(cells[c], row[c]) for c in kept), style=style)
        return drawn


_LEFT_OUT = marked(
    "Left out, as there is no room: {}. A wider window shows it, and --format csv does."
)


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """The columns of each block, about as many in each; all have the first one."""
    others = range(1, len(widths))
    for number in others:
        size = ceil(len(others) / number)
        blocks = [[0, *others[at : at + size]] for at in range(0, len(others), size)]
        if all(_width(widths, block) <= room for block in blocks):
            return blocks
    return [[0, column] for column in others] or [[0]]


def _shared(
    texts: Sequence[Sequence[str]],
    least: Sequence[int],
    kept: Sequence[int],
    room: int,
) -> dict[int, int]:
    """How wide words are where they have to be wrapped: no column gets less than its least.

    What is left of the room goes to all that want more, and first to who wants little.
    Empty where there is room for everything, or not for the least.
    """
    whole = {c: max([least[c], *(cell_len(row[c]) for row in texts)]) for c in kept}
    left = room - _width(least, kept)
    if left < 0 or sum(whole.values()) + 2 * len(kept) <= room:
        return {}
    wanting = sorted((c for c in kept if whole[c] > least[c]), key=whole.__getitem__)
    given = {c: least[c] for c in kept}
    for number, column in enumerate(wanting):
        share = left // (len(wanting) - number)
        more = min(whole[column] - least[column], share)
        given[column] += more
        left -= more
    return given


def view(parts: Iterable[Part], locale: str) -> RenderableType:
    def drawn(part: Part) -> RenderableType:
        match part:
            case Title(text):
                return Group("", Lines(text, "bold"))
            case Table():
                return FittedTable(part, locale, spare=part.spare)
            case note:
                return Lines(note, "dim")

    return Group(*map(drawn, parts))


def _drawn(cell: Cell, text: str) -> Text:
    return Text(text, COLOURS[cell] if isinstance(cell, MovementKind) else "")


def _width(widths: Sequence[int], kept: Sequence[int]) -> int:
    """What columns take, each with its space, and the frame."""
    return sum(2 + widths[column] for column in kept)
