"""The report that answers each tool."""

from datetime import timedelta
from typing import Any

from connector.assistants.answer import Made
from connector.assistants.tool_request import ToolRequest
from connector.core.errors import NothingFound
from connector.core.figures import RATIOS
from connector.core.model import MovementKind
from connector.core.money import format_ratio
from connector.core.windows import WindowKind, name_of
from connector.dashboard.answer import words
from connector.dashboard.query import WrongParameter
from connector.metrics.cohorts import CohortPeriod
from connector.metrics.contributions import Ratio
from connector.reports.model import CurrencyReport


def overview_report(asked: ToolRequest) -> Made:
    from connector.reports.report import ReportRequest

    return _reported(asked, ReportRequest(currency=asked.asked_currency), [])


def retention_report(asked: ToolRequest) -> Made:
    from connector.reports.report import ReportRequest

    query, kind = asked.query, asked.member("window", WindowKind)
    request = ReportRequest(
        kind=kind,
        first=query.month("from"),
        last=query.month("to"),
        currency=asked.asked_currency,
        as_of=asked.as_of,
        by=asked.by,
        causes=asked.is_asked("causes"),
        arr=asked.is_asked("arr"),
        only=asked.only,
    )
    told = {name: query.text(name) or None for name in ("from", "to")}
    flags = [f"--{name}" for name in ("causes", "arr") if asked.is_asked(name)]
    more = words(
        window=kind,
        **told,
        as_of=asked.given_as_of,
        by=asked.by,
        segment=list(asked.only),
    )
    return _reported(asked, request, [*more, *flags])


def _reported(asked: ToolRequest, request: Any, options: list[str]) -> Made:
    from connector.render.report.footnotes import goal_sentences
    from connector.render.report.json_form import to_json
    from connector.reports.report import make_report

    report = make_report(asked.ledger, request)
    total = [] if report.total is None else [report.total]
    said = [
        line
        for part in [*total, *report.currencies]
        for line in (*_headline(part), *goal_sentences(part, report.goals))
    ]
    return Made(
        json=to_json(report),
        command=["report", *options, *words(currency=asked.asked_currency)],
        facts=None,
        lists=("windows", "segments", "customers", "refused"),
        say=said,
    )


def _headline(part: CurrencyReport) -> list[str]:
    """The last trailing-12 window that is over, in words."""
    row = part.headline
    code = f"all currencies as {part.currency}" if part.is_total else part.currency
    if row is None:
        return [
            f"No headline in {code}: none of these windows is of twelve months and over."
        ]
    ratios = row.measured.retention.ratios
    figures = ", ".join(f"{x.upper()} {format_ratio(ratios[x])}" for x in RATIOS)
    whole = "" if row.complete else " It is not whole."
    name = name_of(row.measured.window)
    return [f"Headline in {code}, {name}: {figures}.{whole}"]


def explain_window_report(asked: ToolRequest) -> Made:
    from connector.render.contributions import to_json
    from connector.reports.explained.window import WindowRequest, explain_window

    window = asked.query.window("window")
    metric = asked.member("metric", Ratio) or Ratio.NRR
    assert window is not None
    wanted = WindowRequest(
        window, metric, asked.asked_currency, asked.as_of, asked.only
    )
    found = explain_window(asked.ledger, wanted)
    return Made(
        json={"windows": [to_json(each) for each in found]},
        command=[
            "explain",
            *words(
                window=asked.query.text("window"),
                metric=metric,
                currency=asked.asked_currency,
                segment=list(asked.only),
                as_of=asked.given_as_of,
            ),
        ],
        facts=asked.ledger.facts(asked.as_of),
        lists=("contributions",),
        say=["The contributions add up to the ratio's numerator over its denominator."],
    )


def explain_customer_report(asked: ToolRequest) -> Made:
    from connector.render.movements import explanation_json
    from connector.reports.explained.customer import explain_customer

    customer, day = asked.customer(), asked.query.day("on")
    assert customer is not None
    found = explain_customer(asked.ledger, customer, day, asked.as_of)
    options = words(on=day, as_of=asked.given_as_of)
    return Made(
        json=explanation_json(found),
        command=["explain", customer, *options],
        facts=asked.ledger.facts(asked.as_of),
        lists=("movements",),
        say=[f"MRR as it stood at the end of {found.on}."],
    )


def movements_report(asked: ToolRequest) -> Made:
    from connector.render.movements import as_json
    from connector.reports.movements import list_movements
    from connector.store.ledger.queries import Wanted

    query, customer = asked.query, asked.customer()
    first, last = query.day("from"), query.day("to")
    if first is not None and last is not None and first > last:
        raise WrongParameter("from", str(first), f"a day before {last}, which to is")
    kind = asked.member("kind", MovementKind)
    wanted = Wanted(
        customer=customer,
        start=first,
        end=last + timedelta(days=1) if last else None,
        kind=kind,
        currency=asked.asked_currency,
    )
    options: dict[str, object] = {"from": first, "to": last, "kind": kind}
    found, _ = list_movements(asked.ledger, wanted)
    return Made(
        json={"movements": [as_json(each) for each in found]},
        command=[
            "movements",
            *words(customer=customer, **options, currency=asked.asked_currency),
        ],
        facts=asked.ledger.facts(),
        lists=("movements",),
        say=["Contraction and churn are negative; from and to are both included."],
    )


def at_risk_report(asked: ToolRequest) -> Made:
    from connector.pipeline.quarantine import underivable
    from connector.render.at_risk import to_json
    from connector.reports.risks.at_risk import at_risk_reports

    owner = asked.query.text("owner") or None
    if owner is not None and not asked.names:
        raise NothingFound(
            "nobody is found by an owner",
            fix="ask without one: names are left out of this session",
        )
    found = at_risk_reports(asked.ledger, asked.asked_currency, owner=owner)
    error = underivable(found.failed)
    return Made(
        json=to_json(found),
        command=["at-risk", *words(currency=asked.asked_currency, owner=owner)],
        facts=asked.ledger.facts(),
        lists=("risks", "customers", "scheduled"),
        say=[
            "Committed windows are what is scheduled and nothing else: no forecast.",
            *([] if error is None else [f"{error.problem}; {error.fix}."]),
        ],
    )


def cohorts_report(asked: ToolRequest) -> Made:
    from connector.render.cohorts import to_json
    from connector.reports.cohorts import cohort_reports

    period = asked.member("by", CohortPeriod) or CohortPeriod.MONTH
    found = cohort_reports(asked.ledger, period, asked.asked_currency)
    return Made(
        json=to_json(found),
        command=["cohorts", *words(by=period, currency=asked.asked_currency)],
        facts=asked.ledger.facts(),
        lists=("cohorts",),
        say=["Only periods that are over are shown; age 0 is what is compared with."],
    )


def coverage_report(asked: ToolRequest) -> Made:
    from connector.render.coverage import to_json
    from connector.reports.coverage import coverage_report

    kind = asked.member("window", WindowKind)
    found = coverage_report(asked.ledger, kind, asked.asked_currency)
    return Made(
        json=to_json(found),
        command=["coverage", *words(window=kind, currency=asked.asked_currency)],
        facts=asked.ledger.facts(),
        lists=("windows", "not_counted"),
        say=["What is recurring and not counted is in no figure of retention."],
    )
