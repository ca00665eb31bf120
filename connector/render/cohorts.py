"""Cohorts as text, JSON, CSV and Markdown."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from connector.core.figures import RATIOS
from connector.core.language import _, marked, month_text
from connector.core.money import ratio_number
from connector.metrics.cohorts import Cohort, CohortPeriod
from connector.render.csv_table import csv_text
from connector.render.report.json_form import currency_json
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Percent,
    Table,
    Title,
    figure,
    table_of,
)
from connector.reports.cohorts import CohortReport
from connector.reports.model import code_of, title_of


def name_of(cohort: Cohort, period: CohortPeriod) -> str:
    """``Mar 2026``, ``Q1 2026``."""
    if period is CohortPeriod.MONTH:
        return month_text(cohort.start)
    return f"Q{(cohort.start.month + 2) // 3} {cohort.start.year}"


def triangle(report: CohortReport, metric: str) -> Table:
    """A row a cohort: its base, then the ratio at each age; blank where not yet."""
    oldest = max((len(cohort.ages) for cohort in report.cohorts), default=0)

    def at(age: int, cohort: Cohort) -> Cell:
        is_over = age < len(cohort.ages)
        return Percent(cohort.ages[age].ratios[metric], 0) if is_over else None

    def base(cohort: Cohort) -> Cell:
        return Money(cohort.opening_minor, report.currency, whole=True)

    return table_of(
        report.cohorts,
        Column("", lambda cohort: name_of(cohort, report.period)),
        figure(_("Customers"), lambda cohort: cohort.customers),
        figure("MRR", base),
        *(figure(str(age), partial(at, age)) for age in range(oldest)),
    )


_BY = {
    CohortPeriod.MONTH: marked("{metric} by first-paid month, {whose}"),
    CohortPeriod.QUARTER: marked("{metric} by first-paid quarter, {whose}"),
}
_NOTES = {
    CohortPeriod.MONTH: marked(
        "Against the MRR at the end of the first-paid month, column 0; each column is one "
        "month later.{rates}"
    ),
    CohortPeriod.QUARTER: marked(
        "Against the MRR at the end of the first-paid quarter, column 0; each column is "
        "one quarter later.{rates}"
    ),
}


def title(report: CohortReport, metric: str) -> str:
    whose = title_of(report.currency, is_total=report.is_total)
    return _(_BY[report.period]).format(metric=metric.upper(), whose=whose)


def note(report: CohortReport) -> str:
    """What a reader must know of the columns."""
    rates = _(" All at the rates of the last known day.") if report.is_total else ""
    said = _(_NOTES[report.period]).format(rates=rates)
    finer = (
        _(" `--by month` shows months.")
        if report.period is CohortPeriod.QUARTER
        else ""
    )
    return said + finer


def parts(reports: Sequence[CohortReport], metric: str) -> Iterator[Part]:
    """A table a currency."""
    for report in reports:
        yield Title(title(report, metric))
        yield triangle(report, metric)
        yield note(report) if report.cohorts else _("No first month is over yet.")
    if not reports:
        yield _("There is no recurring revenue in this ledger.")


def to_csv(reports: Sequence[CohortReport]) -> str:
    """A row a cohort and age; amounts in whole units, ratios as numbers or empty."""
    heads = (
        *("currency", "cohort", "by", "age", "joined", "base_customers", "base"),
        *("kept", "base_closing", *RATIOS, "mrr"),
    )
    rows = (
        (
            code_of(currency, is_total=is_total),
            *(cohort.start, period.value, age, cohort.joined),
            *(cohort.customers, Money(cohort.opening_minor, currency), found.kept),
            Money(found.closing_minor, currency),
            *map(Percent, found.ratios.values()),
            Money(cohort.mrr_minor[age], currency),
        )
        for currency, period, cohorts, is_total in reports
        for cohort in cohorts
        for age, found in enumerate(cohort.ages)
    )
    return csv_text(heads, rows)


def to_json(reports: Sequence[CohortReport]) -> dict[str, Any]:
    """Amounts in minor units; ``ages[n]`` is n periods after the first."""
    return {
        "currencies": [
            {
                **currency_json(report.currency, is_total=report.is_total),
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
            **{name: ratio_number(ratio) for name, ratio in found.ratios.items()},
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
