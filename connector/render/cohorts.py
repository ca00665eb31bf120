"""Cohorts as text, JSON, CSV and Markdown."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from connector.core.money import format_minor, format_ratio, major
from connector.metrics.cohorts import Cohort, CohortPeriod
from connector.render.report_json import ratio_number
from connector.render.table import markdown_table
from connector.reports.cohorts import CohortReport

if TYPE_CHECKING:
    from rich.console import RenderableType

METRICS = ("nrr", "grr", "crr")


def name_of(cohort: Cohort, period: CohortPeriod) -> str:
    """``Mar 2026``, ``Q1 2026``."""
    if period is CohortPeriod.MONTH:
        return f"{cohort.start:%b %Y}"
    return f"Q{(cohort.start.month + 2) // 3} {cohort.start.year}"


def headings(report: CohortReport) -> list[str]:
    oldest = max((len(cohort.ages) for cohort in report.cohorts), default=0)
    return ["", "Customers", "MRR", *(str(age) for age in range(oldest))]


def rows(report: CohortReport, metric: str, locale: str) -> Iterator[list[str]]:
    """A row a cohort: its base, then the ratio at each age; empty where not yet."""
    width = len(headings(report)) - 3
    for cohort in report.cohorts:
        ratios = [format_ratio(ratio, 0) for ratio in cohort.ratios(metric)]
        yield [
            name_of(cohort, report.period),
            f"{cohort.customers:,}",
            format_minor(cohort.opening_minor, report.currency, locale, whole=True),
            *ratios,
            *[""] * (width - len(ratios)),
        ]


def title(report: CohortReport, metric: str) -> str:
    return f"{metric.upper()} by first-paid {report.period}, {report.currency.upper()}"


def note(report: CohortReport) -> str:
    """What a reader must know of the columns."""
    return (
        f"Against the MRR at the end of the first-paid {report.period}, column 0; each "
        f"column is one {report.period} later."
    )


def to_markdown(reports: Sequence[CohortReport], metric: str, locale: str) -> str:
    parts = []
    for report in reports:
        parts.append(f"## {title(report, metric)}\n")
        parts.append(
            markdown_table(headings(report), list(rows(report, metric, locale)))
        )
        parts.append(f"{note(report)}\n")
    return "\n".join(parts)


def to_csv(reports: Sequence[CohortReport]) -> str:
    """A row a cohort and age; amounts in whole units, ratios as numbers or empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("currency", "cohort", "by", "age", "joined", "base_customers", "base"),
            *("kept", "base_closing", *METRICS, "mrr"),
        ]
    )
    for currency, period, cohorts in reports:
        for cohort in cohorts:
            for age, found in enumerate(cohort.ages):
                ratios = [ratio_number(getattr(found, name)) for name in METRICS]
                base = major(cohort.opening_minor, currency)
                writer.writerow(
                    [
                        *(currency, cohort.start, period.value, age, cohort.joined),
                        *(cohort.customers, base, found.kept),
                        major(found.closing_minor, currency),
                        *("" if each is None else f"{each:.6f}" for each in ratios),
                        major(cohort.mrr_minor[age], currency),
                    ]
                )
    return out.getvalue()


def to_json(reports: Sequence[CohortReport]) -> dict[str, Any]:
    """Amounts in minor units; ``ages[n]`` is n periods after the first."""
    return {
        "currencies": [
            {
                "currency": report.currency,
                "by": report.period.value,
                "cohorts": [_cohort_json(cohort) for cohort in report.cohorts],
            }
            for report in reports
        ]
    }


def _cohort_json(cohort: Cohort) -> dict[str, Any]:
    ages = [
        {
            "kept": found.kept,
            "closing_minor": found.closing_minor,
            **{name: ratio_number(getattr(found, name)) for name in METRICS},
            "mrr_minor": mrr_minor,
        }
        for found, mrr_minor in zip(cohort.ages, cohort.mrr_minor, strict=True)
    ]
    return {
        "from": cohort.start.isoformat(),
        "joined": cohort.joined,
        "customers": cohort.customers,
        "opening_minor": cohort.opening_minor,
        "ages": ages,
    }


def cohorts_view(
    reports: Sequence[CohortReport], metric: str, locale: str
) -> "RenderableType":
    """A table a currency; a narrow terminal wraps it, a pipe gets whole lines."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

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
