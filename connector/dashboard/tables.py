"""Pages that are tables: cohorts, churn, coverage, restatements, what counts."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from connector.core.dates import add_months, parse_month
from connector.core.figures import RATIOS
from connector.core.invoiced import alarming
from connector.core.language import _, percent_sign
from connector.core.losses import LossReason
from connector.core.policy import POLICY_RULES, differences
from connector.core.windows import WindowKind
from connector.dashboard import frame
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest, words
from connector.metrics.cohorts import CohortPeriod
from connector.render import churn as churn_forms
from connector.render import closed_months as closed_forms
from connector.render import cohorts as cohort_forms
from connector.render import coverage as coverage_forms
from connector.render.page.losses import loss_chart
from connector.render.report_json import facts_json
from connector.render.report_tables import REASON_WORDS
from connector.render.table import csv_text
from connector.reports.churn import (
    ChurnReport,
    ChurnReports,
    ChurnRequest,
    churn_losses,
    churn_reports,
)
from connector.reports.closed_months import (
    RestatementLine,
    Restatements,
    restated_windows,
)
from connector.reports.cohorts import cohort_reports
from connector.reports.coverage import CoverageReport, coverage_report
from connector.reports.ledger import is_total
from connector.store.ledger import unvalued

COHORTS_KNOWN = frozenset(("currency", "metric", "by", "as-of"))
NO_COHORTS = NothingPaid(
    lambda _: cohort_forms.to_json([]), lambda _: cohort_forms.to_csv([])
)
MOST_COHORTS = 60


def cohorts_answer(asked: PageRequest) -> PageAnswer:
    currency = asked.currency()
    metric = asked.query.choice("metric", RATIOS, "nrr")
    by = asked.query.choice("by", [each.value for each in CohortPeriod], "")
    size = CohortPeriod(by) if by else None
    known = asked.reading.keep(
        ("cohorts", currency, size, asked.as_of),
        lambda: cohort_reports(asked.ledger, size, currency, asked.as_of),
        lambda made: sum(len(c.ages) for each in made for c in each.cohorts),
    )
    found = known[0] if known else None
    return PageAnswer(
        template="cohorts.html.j2",
        title=_("Cohorts"),
        values={
            "found": found,
            "shown": found.cohorts[-MOST_COHORTS:] if found is not None else (),
            "metric": metric,
            "percent": percent_sign(),
            "own_currency": currency,
            "currencies": asked.currencies(),
        },
        json=lambda: cohort_forms.to_json(known),
        csv=lambda: cohort_forms.to_csv(known),
        command=[
            "cohorts",
            *words(by=found.period if found is not None else None, currency=currency),
        ],
    )


CHURN_KNOWN = frozenset(
    ("currency", "from", "to", "reason", "segment", "as-of"),
)
NOBODY_LEFT = ChurnReports(currencies=(), by=None)
NO_CHURN = NothingPaid(
    lambda _: churn_forms.to_json(NOBODY_LEFT),
    lambda _: churn_forms.losses_text(()),
)


def churn_answer(asked: PageRequest) -> PageAnswer:
    """Who left and why; of the total each reason is told by currency alone."""
    codes = [code for code in asked.currencies() if not is_total(code)]
    currency = asked.currency()
    code = codes[0] if is_total(currency) else currency
    query = asked.query
    wanted = ChurnRequest(
        first=query.month("from"),
        last=query.month("to"),
        currency=code,
        as_of=asked.as_of,
        only=asked.only,
    )
    reports = asked.reading.keep(
        ("churn", wanted),
        lambda: churn_reports(asked.ledger, wanted),
        lambda made: sum(len(each.departures) for each in made.currencies),
    )
    [found] = reports.currencies
    reason = query.choice("reason", [each.value for each in LossReason], "")
    left = [each for each in found.departures if reason in ("", each.reason)]

    def month(day: date | None) -> str | None:
        return None if day is None else f"{day:%Y-%m}"

    return PageAnswer(
        template="churn.html.j2",
        title=_("Churn"),
        values={
            "found": found,
            "left": left,
            "reason": reason,
            "own_currency": code,
            "currencies": codes,
            "reason_words": REASON_WORDS,
            "month_table": churn_forms.month_table(found),
            "chart": loss_chart(found),
            "month_links": _months_of(found),
            "feedback_table": churn_forms.feedback_table(found),
            "how_shown": churn_forms.how_shown,
            "stated": churn_forms.words,
            "lead": churn_forms.lead(found, asked.config.locale),
            "not_nrr": churn_forms.not_nrr(found, asked.config.locale),
            "span": churn_forms.span_text(found.window),
            "most": MOST_LINES,
            "only": wanted.only,
        },
        json=lambda: churn_forms.to_json(reports),
        csv=lambda: churn_forms.losses_text(churn_losses(asked.ledger, wanted)),
        command=[
            "churn",
            *words(**{"from": month(wanted.first), "to": month(wanted.last)}),
            *words(currency=code, segment=list(wanted.only)),
        ],
    )


def _months_of(found: ChurnReport) -> list[tuple[date, date]]:
    """The first and the last day of each month that is told."""
    starts = [parse_month(each.name) for each in found.months]
    return [(day, add_months(day, 1) - timedelta(days=1)) for day in starts]


COVERAGE_KNOWN = frozenset(("currency", "window"))


def coverage_answer(asked: PageRequest) -> PageAnswer:
    kind = asked.query.choice("window", [each.value for each in WindowKind], "")
    currency = asked.query.text("currency").lower() or None
    code = (
        None if is_total(currency) else currency
    )  # of the total it is told by currency
    found = coverage_of(asked, WindowKind(kind) if kind else None, code)
    invoices = {
        one.last_invoice for each in found.currencies for one in each.not_counted
    }
    return PageAnswer(
        template="coverage.html.j2",
        title=_("Coverage"),
        values={
            "found": found,
            "own_currency": code or "",
            "currencies": asked.ledger.currencies() if found.currencies else [],
            "kind": kind,
            "note": _(coverage_forms.CLASSES_NOTE),
            "to_do": coverage_forms.TO_DO,
            "lacks_texts": coverage_forms.LACKS_TEXTS,
            "refused_lines": coverage_forms.refused_lines,
            "reasons": coverage_forms.REASON_WORDS,
            "shares": coverage_forms.shares,
            "class_words": coverage_forms.CLASS_WORDS,
            "windows_table": coverage_forms.windows_table,
            "alarming": alarming,
            "places": frame.places_in_stripe(asked.ledger, invoices),
        },
        json=lambda: coverage_forms.to_json(found),
        csv=lambda: coverage_forms.to_csv(found),
        command=["coverage", *words(window=kind or None, currency=code)],
    )


def coverage_of(
    asked: PageRequest, kind: WindowKind | None, currency: str | None
) -> CoverageReport:
    return asked.reading.keep(
        ("coverage", kind, currency),
        lambda: coverage_report(asked.ledger, kind, currency),
        lambda made: len(made.labels),
    )


RESTATEMENTS_KNOWN = frozenset(("since", "account"))
MOST_LINES = 500


class BookedRun(NamedTuple):
    """What one run changed of closed months; ``changed`` are the rules it changed."""

    lines: Sequence[RestatementLine]
    changed: Sequence[str]

    @property
    def run(self) -> Any:
        return self.lines[0].run


def restatements_answer(asked: PageRequest) -> PageAnswer:
    """Months are closed account by account: of several one is shown at a time."""
    day = asked.query.day("since")
    names = asked.ledger.added().names
    account = asked.query.choice("account", names, names[0]) if names else ""
    part = asked.ledger.parts[names.index(account) if names else 0]
    found = asked.reading.keep(
        ("restatements", account, day),
        lambda: restated_windows(part.ledger, day),
        lambda made: len(made.labels),
    )
    return PageAnswer(
        template="restatements.html.j2",
        title=_("Restatements"),
        values={
            "found": found,
            "runs": _runs(found),
            "since": day,
            "most": MOST_LINES,
            "accounts": names,
            "account_shown": account,
            "called": part.called,
        },
        json=lambda: {
            **facts_json(part.ledger.facts()),
            **closed_forms.restated_json(found),
        },
        csv=lambda: closed_forms.restated_csv(found),
        command=["restatements", *words(since=day, account=account or None)],
        tells_facts=False,
    )


def _runs(found: Restatements) -> list[BookedRun]:
    """Each line once, though several windows hold it; the newest run first."""
    booked = {id(line): line for each in found.windows for line in each.lines}
    lines = sorted(booked.values(), key=lambda x: (-x.run.id, x.customer, x.day))
    runs = (list(of_run) for _, of_run in groupby(lines, key=lambda x: x.run.id))
    return [
        BookedRun(own, differences(own[0].run.policy_before, own[0].run.policy))
        for own in runs
    ]


COUNTS_KNOWN = frozenset[str]()


class CountingRule(NamedTuple):
    key: str
    value: str
    sentence: str
    others: Sequence[str]


def counts_answer(asked: PageRequest) -> PageAnswer:
    known = asked.state
    rules = [
        CountingRule(
            key=rule.key,
            value=rule.of(known.policy),
            sentence=rule.sentence(rule.of(known.policy)),
            others=[each for each in rule.values if each != rule.of(known.policy)],
        )
        for rule in POLICY_RULES.values()
    ]
    refusals = unvalued.known(asked.ledger.connection)
    return PageAnswer(
        template="counts.html.j2",
        title=_("What counts"),
        values={
            "rules": rules,
            "refusals": refusals,
            "most": MOST_LINES,
            "places": frame.places_in_stripe(
                asked.ledger, {each.object_id for each in refusals}
            ),
            "has_other_rules": asked.ledger.has_other_rules,
        },
        json=lambda: {
            "policy": dict(known.policy),
            "timezone": known.timezone,
            "refused": [
                {"customer": r.customer, "object_id": r.object_id}
                | {"field": r.field, "value": r.value}
                for r in refusals
            ],
        },
        csv=lambda: csv_text(
            ("setting", "in force"), ((rule.key, rule.value) for rule in rules)
        ),
    )
