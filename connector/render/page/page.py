"""A report and what belongs to it → one HTML file that needs nothing else.

The figures are written into the page and drawn as SVG, so it is whole without a script;
the script shows a chart's numbers where the pointer is, and one currency or segment at a
time. Everything that comes from Stripe is escaped, and the page may load nothing at all.
"""

from functools import cache

from jinja2 import Environment

from connector.core.figures import RATIOS
from connector.core.language import _, language, percent_sign
from connector.render.at_risk import NOTE
from connector.render.coverage import TO_DO
from connector.render.page.figures import panels
from connector.render.page.templating import environment, inlined, template
from connector.render.report.footnotes import (
    CAUSES,
    FX,
    OF_COMPANIES,
    ONLY,
    RESTATED,
    SEGMENTS,
    footnotes,
    policy_sentence,
)
from connector.render.report.missing import outside_note, refused_sentence
from connector.render.report.tables import kind_of, overview_table
from connector.reports.page import PageContents


def to_html(page: PageContents) -> str:
    style, script = inlined(template("page.css")), inlined(template("page.js"))
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
            overview=overview_table(report),
            parts=[panels(page, part, revenue) for part in report.parts],
            policy=policy_sentence(report.policy).split("; "),
            language=language(),
            percent=percent_sign(),
            refused_line=refused_sentence(report.missing),
            outside_line=outside_note(report.outside, page.locale),
            notes=[
                n
                for n in footnotes(report)
                if n in [_(x) for x in (SEGMENTS, ONLY, OF_COMPANIES, CAUSES, FX)]
            ],
            at_risk_note=_(NOTE),
            outside_to_do=_(TO_DO),
            restated_note=_(RESTATED),
            ratios=RATIOS,
            style=style.text,
            script=script.text,
            style_hash=style.hash,
            script_hash=script.hash,
        )
    )


@cache
def _environment(locale: str) -> Environment:
    return environment(locale)
