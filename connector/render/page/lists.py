"""Cohorts, movements and risks → what the page's lists show: texts, ids, shades."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from connector.core.model import Evidence, Movement
from connector.core.money import format_minor, format_ratio
from connector.mrr.risks import Risk
from connector.render.at_risk import committed_table, risk_table, scheduled_table
from connector.render.cohorts import METRICS, headings, name_of
from connector.render.report_tables import CAUSE_WORDS
from connector.reports.at_risk import AtRiskReport
from connector.reports.cohorts import CohortReport

MOST = 10  # risks and scheduled movements that are listed by name
MOST_COHORTS = 24
# A cohort's shade: how far from 100 % it is, in so many steps either way.
SHADES = (
    Fraction(1, 200),
    Fraction(5, 100),
    Fraction(10, 100),
    Fraction(20, 100),
    Fraction(35, 100),
)


class Cell(NamedTuple):
    """``shade`` is ``n`` at 100 %, ``u1`` to ``u5`` above it, ``d1`` to ``d5`` below."""

    text: str
    shade: str


class CohortRow(NamedTuple):
    name: str
    customers: str
    base: str
    cells: Sequence[Cell]


class HeatMap(NamedTuple):
    metric: str
    ages: Sequence[str]
    rows: Sequence[CohortRow]


def heat_maps(report: CohortReport, locale: str, times: int = 1) -> list[HeatMap]:
    """NRR, GRR and CRR of the last cohorts; amounts are multiplied by ``times``."""
    kept = report.cohorts[-MOST_COHORTS:]
    ages = headings(report._replace(cohorts=kept))[3:]
    return [
        HeatMap(
            metric.upper(),
            ages,
            [
                CohortRow(
                    name_of(cohort, report.period),
                    f"{cohort.customers:,}",
                    format_minor(
                        cohort.opening_minor * times,
                        report.currency,
                        locale,
                        whole=True,
                    ),
                    [
                        Cell(format_ratio(ratio, 0).removesuffix("%"), _shade(ratio))
                        for ratio in cohort.ratios(metric)
                    ],
                )
                for cohort in kept
            ],
        )
        for metric in METRICS
    ]


def cohort_note(report: CohortReport) -> str:
    """What a row, a column and a cell are."""
    period = report.period
    left_out = len(report.cohorts) - MOST_COHORTS
    more = f" {left_out} older cohorts are left out." if left_out > 0 else ""
    return (
        f"A row: the customers who first paid in this {period}; a column: one {period} "
        f"later. Per cent of what they paid (CRR: of their number) at the end of the "
        f"first {period}, which is column 0.{more}"
    )


def _shade(ratio: Fraction | None) -> str:
    if ratio is None:
        return "none"
    steps = sum(abs(ratio - 1) > step for step in SHADES)
    return f"{'u' if ratio > 1 else 'd'}{steps}" if steps else "n"


class Mover(NamedTuple):
    """A movement, and the Stripe object that proves it; ``more`` others do too."""

    customer: str
    label: str
    day: str
    kind: str
    before: str
    after: str
    change: str
    because: str
    proof: str
    more: int


def movers(
    found: Sequence[Movement], labels: Mapping[str, str], locale: str, times: int = 1
) -> Iterator[Mover]:
    for each in found:
        amounts = (each.before_minor, each.after_minor)
        before, after = (
            format_minor(minor * times, each.currency, locale) for minor in amounts
        )
        change = each.amount_minor * times
        proofs = dict.fromkeys(_proofs(each))
        yield Mover(
            customer=each.customer,
            label=labels.get(each.customer, each.customer),
            day=str(each.day),
            kind=each.kind.value,
            before=before,
            after=after,
            change=format_minor(change, each.currency, locale, signed=True),
            because=", ".join(dict.fromkeys(_causes(each))),
            proof=next(iter(proofs), "–"),
            more=max(len(proofs) - 1, 0),
        )


def _causes(movement: Movement) -> Iterator[str]:
    """In words, but of the beginning and the end, which the kind says already."""
    for part in movement.components:
        if part.cause.value in CAUSE_WORDS:
            yield CAUSE_WORDS[part.cause.value]


def _proofs(movement: Movement) -> Iterator[str]:
    """The ids of its evidence, invoice lines first: these are what a customer paid."""
    every: list[Evidence] = [p for c in movement.components for p in c.evidence]
    for proof in sorted(every, key=lambda p: p.kind != "invoice_line"):
        yield proof.id


class RiskRow(NamedTuple):
    """``subscription`` is "" where all that the customer pays is at risk."""

    customer: str
    label: str
    reason: str
    subscription: str
    amount: str
    day: str


class RiskPanel(NamedTuple):
    """What may go and what is set, of one currency; ``left_out`` risks are not listed."""

    day: str
    at_risk: str
    of: str
    share: str
    reasons: Sequence[Sequence[str]]
    risks: Sequence[RiskRow]
    left_out: int
    scheduled: Sequence[Sequence[str]]
    committed: Sequence[Sequence[str]]


def risk_panel(
    outlook: AtRiskReport, labels: Mapping[str, str], locale: str
) -> RiskPanel:
    def money(amount_minor: int) -> str:
        return format_minor(amount_minor, outlook.currency, locale)

    share = Fraction(outlook.at_risk_minor, outlook.mrr_minor or 1)
    return RiskPanel(
        day=f"{outlook.today:%d %b %Y}",
        at_risk=money(outlook.at_risk_minor),
        of=money(outlook.mrr_minor),
        share=format_ratio(share),
        reasons=risk_table(outlook).texts(locale),
        risks=[_risk_row(risk, labels, locale) for risk in outlook.risks[:MOST]],
        left_out=max(len(outlook.risks) - MOST, 0),
        scheduled=scheduled_table(outlook, labels).texts(locale)[:MOST],
        committed=committed_table(outlook).texts(locale),
    )


def _risk_row(risk: Risk, labels: Mapping[str, str], locale: str) -> RiskRow:
    return RiskRow(
        customer=risk.customer,
        label=labels.get(risk.customer, risk.customer),
        reason=str(risk.reason),
        subscription=risk.subscription,
        amount=format_minor(risk.mrr_minor, risk.currency, locale),
        day="–" if risk.day is None else str(risk.day),
    )
