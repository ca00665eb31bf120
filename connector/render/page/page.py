"""A report and what belongs to it → one HTML file that needs nothing else.

The figures are written into the page and drawn as SVG, so it is whole without a script;
the script shows a chart's numbers where the pointer is, and one currency or segment at a
time. Everything that comes from Stripe is escaped, and the page may load nothing at all.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from connector.core.figures import RATIOS
from connector.core.text import printable_lines
from connector.render.at_risk import NOTE
from connector.render.coverage import TO_DO
from connector.render.footnotes import (
    CAUSES,
    FX,
    RESTATED,
    SEGMENTS,
    footnotes,
    policy_sentence,
)
from connector.render.page.figures import panels
from connector.render.page.filters import filters
from connector.render.report_tables import kind_of
from connector.reports.page import PageContents


def to_html(page: PageContents) -> str:
    style, script = _template("page.css"), _template("page.js")
    report = page.report
    revenue = "ARR" if report.is_annual else "MRR"
    return (
        _environment(page.locale)
        .get_template("page.html.j2")
        .render(
            page=page,
            report=report,
            revenue=revenue,
            title=kind_of(report),
            parts=[panels(page, part, revenue) for part in report.parts],
            policy=policy_sentence(report.policy).split("; "),
            notes=[n for n in footnotes(report) if n in (SEGMENTS, CAUSES, FX)],
            at_risk_note=NOTE,
            outside_to_do=TO_DO,
            restated_note=RESTATED,
            ratios=RATIOS,
            style=Markup(style),  # noqa: S704  # ours, and its hash is in the policy
            script=Markup(script),  # noqa: S704
            style_hash=_hash(style),
            script_hash=_hash(script),
        )
    )


@cache
def _environment(locale: str) -> Environment:
    found = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    found.filters |= filters(locale)
    return found


def _plain(value: object) -> object:
    """Before it is escaped: no character in it turns the text around it."""
    return printable_lines(value) if type(value) is str else value


@cache
def _template(name: str) -> str:
    folder = files(__package__).joinpath("templates")
    return folder.joinpath(name).read_text("utf-8").rstrip("\n")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names what may run: nothing else does."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
