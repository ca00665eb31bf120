"""The console that reports are printed on, and their tables.

Nothing is worked out here: every figure comes from the values it is given.
"""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

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


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    spare: Iterable[str] = (),
    words: Iterable[int] = (0,),
) -> RenderableType:
    """Rows under their heads; on a narrow terminal without the columns to spare.

    The columns ``words`` are texts, the others figures. A row with a star is dim, and
    one as reported.
    """
    texts = [heads, *rows]
    kept = list(range(len(heads)))
    for name in spare:
        if name in heads and _width(texts, kept) > width:
            kept.remove(heads.index(name))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in kept:
        table.add_column(heads[column], justify="left" if column in words else "right")
    for row in rows:
        style = "dim" if row[0].endswith("*") or row[0] == AS_REPORTED else ""
        table.add_row(*(row[column] for column in kept), style=style)
    return table


def _width(texts: Sequence[Sequence[str]], kept: Iterable[int]) -> int:
    """What the columns take, each with its space, and the frame."""
    return sum(2 + max(len(row[column]) for row in texts) for column in kept)
