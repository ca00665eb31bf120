"""Cohorts as a rich renderable: a triangle of ratios, a row a cohort."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from connector.cohort_tables import CohortReport, headings, note, rows, title


def cohorts_view(
    reports: Sequence[CohortReport], metric: str, locale: str
) -> RenderableType:
    """A table a currency; a narrow terminal wraps it, a pipe gets whole lines."""
    parts: list[RenderableType] = []
    for report in reports:
        parts.append(Text(f"\n{title(report, metric)}", style="bold"))
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in headings(report):
            table.add_column(heading, justify="right" if heading else "left")
        for row in rows(report, metric, locale):
            table.add_row(*row)
        parts += [table, Text(note(report), style="dim")]
    return Group(*parts)
