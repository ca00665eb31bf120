"""A report and what belongs to it → one HTML file that needs nothing else.

The figures are written into the page and drawn as SVG, so it is whole without a script;
the script shows a chart's numbers where the pointer is, and one currency or segment at a
time. Everything that comes from Stripe is escaped, and the page may load nothing at all.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from connector.render.at_risk import NOTE
from connector.render.footnotes import CAUSES, FX, RESTATED, SEGMENTS, policy_sentence
from connector.render.page.charts import AmountStyle
from connector.render.page.figures import View, of_segment, segment_names, view
from connector.render.page.lists import cohort_note, heat_maps, movers, risk_panel
from connector.render.report_tables import (
    CAUSE_HEADINGS,
    by_segment,
    cause_tables,
    cells,
    headings,
    kind_of,
)
from connector.reports.model import CurrencyReport, Report, label, split
from connector.reports.page import Largest, PageContents

MOST_SEGMENTS = 12  # that can be looked at by themselves; the table has all
MOST_REFUSALS = 20


def to_html(page: PageContents) -> str:
    style, script = _template("page.css"), _template("page.js")
    report = page.report
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            report=report,
            kind=kind_of(report),
            parts=[_part(page, part) for part in report.parts],
            policy=policy_sentence(report.policy).split("; "),
            refusals=report.refusals[:MOST_REFUSALS],
            notes=_notes(report),
            at_risk_note=NOTE,
            restated_note=RESTATED,
            version=page.version,
            style=Markup(style),  # noqa: S704  # ours, and its hash is in the policy
            script=Markup(script),  # noqa: S704
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _template(name: str) -> str:
    folder = files(__package__).joinpath("templates")
    return folder.joinpath(name).read_text("utf-8").rstrip("\n")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names what may run: nothing else does."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _notes(report: Report) -> list[str]:
    notes = [SEGMENTS] if report.by is not None else []
    if any(line.causes for part in report.parts for line in part.lines):
        notes.append(CAUSES)
    return [*notes, FX] if report.total is not None else notes


def _part(page: PageContents, part: CurrencyReport) -> dict[str, Any]:
    """A currency's panels by name; None or empty where the page has nothing of it."""
    report, code = page.report, part.currency
    told = AmountStyle(report, part, page.locale)
    times = 12 if report.is_annual else 1
    whole = view(told, part.lines, page.benchmarks)
    own = None if part.is_total else code
    cohorts = page.cohorts.get(own or "")
    largest = page.largest.get(own or "")
    outlook = page.outlooks.get(own or "")
    return {
        "key": f"total-{code}" if part.is_total else code,
        "title": part.title,
        "told": told,
        "views": [whole, *_segment_views(page, part, told)],
        "segments": _segments_table(part, page) if report.by is not None else None,
        "causes": _causes(page, part, whole),
        "cause_heads": CAUSE_HEADINGS,
        "heat_maps": heat_maps(cohorts, page.locale, times) if cohorts else [],
        "cohort_note": cohort_note(cohorts) if cohorts else "",
        "largest": _largest(page, part, largest, times) if largest else [],
        "ahead": risk_panel(outlook, page.labels, page.locale) if outlook else None,
    }


def _segment_views(
    page: PageContents, part: CurrencyReport, told: AmountStyle
) -> list[View]:
    if page.report.by is None:
        return []
    return [
        view(told, of_segment(part.lines, name), page.benchmarks, name)
        for name in segment_names(part)[:MOST_SEGMENTS]
    ]


def _segments_table(part: CurrencyReport, page: PageContents) -> dict[str, Any]:
    headline = split(part.lines)[0][-1]
    total = len(headline.segments)  # the row below them; what was reported comes last
    rows = [
        [name.strip(), *cells(each, part, page.locale, whole=True)]
        for name, each in by_segment(headline)
    ]
    return {
        "title": f"{label(headline)}, by {page.report.by}",
        "heads": ["", *headings(part)],
        "rows": rows,
        "total": total,
        "reported": range(total + 1, len(rows)),
        "left_out": max(len(headline.segments) - MOST_SEGMENTS, 0),
    }


def _causes(page: PageContents, part: CurrencyReport, whole: View) -> list[Any]:
    return list(cause_tables(whole.headline, part, page.report, page.locale))


def _largest(
    page: PageContents, part: CurrencyReport, found: Largest, times: int
) -> list[tuple[str, list[Any]]]:
    trailing, periods = split(part.lines)
    named = ((label(periods[-1]), found.period), (label(trailing[-1]), found.trailing))
    return [
        (name, list(movers(moved, page.labels, page.locale, times)))
        for name, moved in named
    ]
