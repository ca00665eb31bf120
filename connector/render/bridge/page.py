"""A reconciliation as one HTML file: what is unexplained, the bridge, what explains it.

Drawn as SVG, without a script; whatever comes from a file or from Stripe is escaped.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache, partial
from itertools import accumulate, pairwise
from typing import NamedTuple

from connector.core.language import _, language, long_month_text
from connector.core.money import format_minor
from connector.core.text import printable
from connector.reconcile.files.headers import FileKind
from connector.reconcile.model import (
    DifferingCell,
    GapCause,
    MonthBridge,
    Reconciliation,
)
from connector.render.bridge.causes import part_words, words
from connector.render.bridge.words import (
    bridge_table,
    day_of,
    largest,
    notes,
    span,
    verdict,
    what_of,
)
from connector.render.page.svg import WaterfallBar, waterfall
from connector.render.page.templating import environment, inlined, template, template_of
from connector.render.report.footnotes import policy_sentence
from connector.render.report.missing import banner
from connector.reports.ledger_facts import LedgerFacts

EXPLAINED_BESIDE = 20  # customers with ours beside theirs
SHOWN = 100  # cells of each kind
MOST_BARS = 9  # causes; what is smaller is one more
MONTHS_DRAWN = 12
CUT = 5  # bars begin above 0 where all causes move less than a fifth of either end


class BridgeStep(NamedTuple):
    """``kind`` is how it is drawn: ``whole`` at both ends, else by sign and cause."""

    name: str
    kind: str
    amount_minor: int
    bar: WaterfallBar


class DrawnMonth(NamedTuple):
    """``base_minor`` is where its bars begin."""

    month: date
    currency: str
    steps: Sequence[BridgeStep]
    base_minor: int


def to_html(found: Sequence[Reconciliation], facts: LedgerFacts, locale: str) -> str:
    style = inlined(template("page.css") + template_of(__package__, "bridge.css"))
    return _drawing(locale)(
        found=found,
        facts=facts,
        warnings=banner(facts, locale=locale),
        style=style.text,
        style_hash=style.hash,
        EXPLAINED_BESIDE=EXPLAINED_BESIDE,
        SHOWN=SHOWN,
        language=language(),
    )


@cache
def _drawing(locale: str) -> Callable[..., str]:
    """Gives the page of the values that its template names."""
    made = environment(locale, _own)
    made.filters |= {
        "span": span,
        "verdict": verdict,
        "what_of": what_of,
        "notes": lambda done: list(notes(done)),
        "open_cells": lambda done: [c for c in done.cells if c.is_unexplained],
        "known_cells": lambda done: [c for c in done.cells if not c.is_unexplained],
        "by_customer": by_customer,
        "day_of": lambda cell, done: day_of(done, cell),
        "reasons": partial(reasons, locale=locale),
        "bridge_table": bridge_table,
        "drawn_months": drawn_months,
        "long_month": long_month_text,
        "rules_in_words": lambda done: policy_sentence(done.rules).split("; "),
    }
    return made.get_template("bridge.html.j2").render


def _own(name: str) -> str | None:
    return template_of(__package__, name) if name.startswith("bridge") else None


def by_customer(cells: Sequence[DifferingCell]) -> list[list[DifferingCell]]:
    """Each customer's in order of days; the customers as their first cells come."""
    found: dict[tuple[str, str], list[DifferingCell]] = {}
    for cell in cells:
        found.setdefault((cell.customer.id, cell.currency), []).append(cell)
    return [sorted(own, key=lambda cell: cell.day) for own in found.values()]


def reasons(cell: DifferingCell, *, locale: str) -> list[str]:
    """Each part with its amount; they add up to the difference."""
    return [
        f"{format_minor(part.amount_minor, cell.currency, locale, signed=True)} "
        f"{printable(part_words(part))}"
        for part in cell.parts
    ]


def drawn_months(done: Reconciliation, currency: str) -> list[DrawnMonth]:
    """The last months that differ, the newest first."""
    own = [each for each in done.months if each.currency == currency and each.parts]
    return [_drawn(each, done) for each in own[: -MONTHS_DRAWN - 1 : -1]]


def _drawn(month: MonthBridge, done: Reconciliation) -> DrawnMonth:
    ours, theirs = (
        (_("Our MRR"), _("Their MRR"))
        if done.kind == FileKind.MONTHS
        else (_("Our change"), _("Their change"))
    )
    moved = [*_moves(month)]
    reached = [*accumulate((n for _name, _kind, n in moved), initial=month.ours_minor)]
    base_minor = _base(reached)
    placed = waterfall(
        [(0, reached[0]), *pairwise(reached), (0, reached[-1])], base_minor
    )
    rows = [
        (ours, "whole", reached[0]),
        *moved,
        (theirs, "whole", reached[-1]),
    ]
    steps = [BridgeStep(*row, bar) for row, bar in zip(rows, placed, strict=True)]
    return DrawnMonth(month.month, month.currency, steps, base_minor)


def _moves(month: MonthBridge) -> Iterator[tuple[str, str, int]]:
    ranked = largest([month])
    for named in ranked[:MOST_BARS]:
        minor = month.parts[named]
        is_open = named[0] == GapCause.UNEXPLAINED
        kind = "churn" if is_open else "new" if minor > 0 else "contraction"
        yield words(*named), kind, minor
    other = sum(month.parts[named] for named in ranked[MOST_BARS:])
    if other:
        yield _("all else"), "new" if other > 0 else "contraction", other


def _base(reached: Sequence[int]) -> int:
    """0, or below the lowest where what moves would be too small to be seen."""
    low, high = min(reached), max(reached)
    if low <= 0 or (high - low) * CUT > high:
        return min(low, 0)
    base = max(low - (high - low), 0)
    digits: int = 10 ** (len(str(high - low)) - 1)
    return base // digits * digits
