"""Risks and what is committed as a rich renderable: tables, a currency after the other."""

import sys
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from connector.outlook import (
    COMMITTED_HEADINGS,
    NOTE,
    RISK_HEADINGS,
    SCHEDULED_HEADINGS,
    Outlook,
    committed_rows,
    risk_rows,
    scheduled_rows,
    title,
)
from connector.terminal_report import table


def outlook_view(
    outlooks: Sequence[Outlook], labels: dict[str, str], locale: str
) -> RenderableType:
    """What may go, what is scheduled, and the ratios that follow from it."""
    parts: list[RenderableType] = []
    for outlook in outlooks:
        parts.append(Text(f"\n{title(outlook, locale)}", style="bold"))
        parts.append(table(RISK_HEADINGS, risk_rows(outlook, locale), sys.maxsize))
        rows = scheduled_rows(outlook, labels, locale)
        if rows:
            words = (0, 2, 3)
            parts.append(table(SCHEDULED_HEADINGS, rows, sys.maxsize, words=words))
        committed = committed_rows(outlook)
        parts.append(table(COMMITTED_HEADINGS, committed, sys.maxsize))
    parts.append(Text(NOTE, style="dim"))
    return Group(*parts)
