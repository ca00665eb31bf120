"""The console that reports are printed on, and their tables.

Nothing is worked out here: every figure comes from the values it is given.
"""

from collections.abc import Container, Iterable, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from connector.core.model import MovementKind
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
    out = Console(width=width, highlight=False, soft_wrap=False)
    if not out.is_terminal and width is None:
        return Console(width=PIPE_WIDTH, highlight=False, no_color=True)
    return out


def kind_text(kind: MovementKind) -> Text:
    """A kind of movement in its colour."""
    return Text(kind, style=COLOURS[kind])


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    words: Container[int] = (0,),
    unwrapped: Container[int] = (),
    spare: Iterable[str] = (),
    width: int = 0,
) -> RenderableType:
    """Rows under their heads; without the columns to spare where ``width`` is too small.

    The columns ``words`` are texts, the others figures. A row with a star is dim, and
    one as reported.
    """
    kept = list(range(len(heads)))
    for name in spare:
        if name in heads and _width([heads, *rows], kept) > width:
            kept.remove(heads.index(name))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in kept:
        table.add_column(
            heads[column],
            justify="left" if column in words else "right",
            no_wrap=column in unwrapped,
        )
    for row in rows:
        name = str(row[0])
        style = "dim" if name.endswith("*") or name == AS_REPORTED else ""
        table.add_row(*(row[column] for column in kept), style=style)
    return table


def _width(texts: Sequence[Sequence[str | Text]], kept: Iterable[int]) -> int:
    """What the columns take, each with its space, and the frame."""
    return sum(2 + max(len(row[column]) for row in texts) for column in kept)
