"""The overview: the last whole twelve months, what moved MRR, and every month a link."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from connector.core.dates import add_months
from connector.core.language import _
from connector.core.model import SegmentValue
from connector.core.windows import WindowKind, trailing_prefix, written
from connector.dashboard.answer import (
    NothingPaid,
    PageAnswer,
    PageRequest,
    month_words,
    words,
    workbook,
)
from connector.dashboard.frame import marks_of, notes_in
from connector.dashboard.pages.beside_headline import (
    by_plan,
    covered,
    largest,
    yardsticks,
)
from connector.metrics.benchmarks import Benchmarks
from connector.render.coverage import CLASS_WORDS, shares
from connector.render.page.figures import View, of_segment, view
from connector.render.page.levels import levels, retention_steps
from connector.render.report.csv_form import to_csv
from connector.render.report.footnotes import OF_COMPANIES, ONLY
from connector.render.report.json_form import to_json
from connector.render.report.segment_names import only_words
from connector.reports.benchmarks import benchmarks
from connector.reports.figures.asked_books import nobody_in
from connector.reports.model import CurrencyReport, Report, judged_goals, metrics_of
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import queries
from connector.store.months import closings

KNOWN = frozenset(
    ("currency", "window", "months", "to", "by", "segment", "as-of"),
)
SPANS = ("12", "24", "36", "60", "all")
PERIODS = ("month", "quarter", "year")
MOST_MONTHS = 600  # fifty years: what "all" may be of a broken ledger
FEW = 10  # customers, below which a ratio is judged by nothing
NOTHING_PUBLISHED = Benchmarks(bands=(), typical=())


def answer(asked: PageRequest) -> PageAnswer:
    only, by = asked.only, asked.by
    own = next((each for each in only if each.by == by), None)
    request = _request(asked, tuple(each for each in only if each != own))
    report = _report(asked, request)
    part = report.parts[0]
    shown = _view(asked, part, own)
    plain = request._replace(trend=False, only=only, by=None if own else by)
    command = ["report", *_options(plain), *words(as_of=asked.given_as_of)]
    return PageAnswer(
        template="overview.html.j2",
        title=_("Overview"),
        values={
            **_values(asked, report, part, shown),
            "segments": _segments(part, report),
            "own": own,
            "by": by,
            "month_count": _span_asked(asked),
            "period": str(request.kind or "month"),
        },
        json=lambda: _json(asked, plain),
        csv=lambda: _csv(asked, plain),
        command=command,
        tells_facts=False,
        xlsx=lambda: workbook(asked, plain, command),
    )


def _of_nobody(asked: PageRequest) -> Report:
    return make_report(asked.ledger, ReportRequest(as_of=asked.as_of))


NOTHING = NothingPaid(
    lambda asked: to_json(_of_nobody(asked)), lambda asked: to_csv(_of_nobody(asked))
)


def _request(asked: PageRequest, only: tuple[SegmentValue, ...]) -> ReportRequest:
    """``only`` without the segment of the kind that the report is cut by, if any."""
    query = asked.query
    kind = query.choice("window", (*PERIODS, "trailing-12"), "month")
    last, today = query.month("to"), asked.state.today
    return ReportRequest(
        kind=None if kind in ("month", "trailing-12") else WindowKind(kind),
        first=_first(asked, min(last or today, add_months(today, -1))),
        last=last,
        currency=asked.currency(),
        as_of=asked.as_of,
        by=asked.by,
        trend=True,
        only=only,
    )


def _span_asked(asked: PageRequest) -> str:
    return asked.query.choice("months", SPANS, "36")


def _first(asked: PageRequest, over: date) -> date:
    """The first month of the span; not before anybody paid."""
    span = _span_asked(asked)
    days = asked.reading.keep(("first days", asked.as_of), lambda: _first_days(asked))
    since = min(days, default=over)
    longest = MOST_MONTHS if span == "all" else int(span)
    return min(max(since.replace(day=1), add_months(over, 1 - longest)), over).replace(
        day=1
    )


def _first_days(asked: PageRequest) -> list[date]:
    """On which each currency was first paid in."""
    codes = asked.ledger.currencies(None, asked.as_of)
    found = (
        queries.first_day(asked.ledger.connection, code, asked.as_of) for code in codes
    )
    return [day for day in found if day is not None]


def _options(request: ReportRequest) -> list[str]:
    return [
        *words(window=request.kind),
        *month_words(request.first, request.last),
        *words(currency=request.currency, by=request.by),
        *words(segment=list(request.only)),
    ]


def _report(asked: PageRequest, request: ReportRequest) -> Report:
    return asked.reading.keep(
        ("report", request), lambda: make_report(asked.ledger, request)
    )


def _json(asked: PageRequest, request: ReportRequest) -> Any:
    return to_json(_report(asked, request))


def _csv(asked: PageRequest, request: ReportRequest) -> str:
    return to_csv(_report(asked, request))


def _view(asked: PageRequest, part: CurrencyReport, own: SegmentValue | None) -> View:
    """Of all that the report tells of, or of one of its segments.

    Few customers are held against nothing.
    """
    found = _judged_view(asked, part, own, benchmarks(asked.config))
    if found.headline.measured.retention.customers >= FEW:
        return found
    return _judged_view(asked, part, own, NOTHING_PUBLISHED)


def _judged_view(
    asked: PageRequest,
    part: CurrencyReport,
    own: SegmentValue | None,
    published: Benchmarks,
) -> View:
    only = only_words(asked.only) if asked.only else ""
    if own is None:
        goals = {} if only else asked.config.goals
        return view(part, part.rows, published, "MRR", only, goals)
    named = {each.name for row in part.rows for each in row.segments}
    if own.value not in named:
        windows = [row.measured.window for row in part.rows]
        raise nobody_in(
            asked.ledger, asked.only, asked.currency(), windows, asked.as_of
        )
    return view(part, of_segment(part.rows, own.value), published, "MRR", only)


def _segments(part: CurrencyReport, report: Report) -> Sequence[tuple[str, int]]:
    """Those of the headline, with their opening customers; the largest first."""
    headline = part.headline
    if report.by is None or headline is None:
        return ()
    found = [(s.name, s.measured.retention.customers) for s in headline.segments]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _values(
    asked: PageRequest, report: Report, part: CurrencyReport, shown: View
) -> dict[str, Any]:
    headline, recent = shown.headline.measured, shown.recent.measured
    periods = [row.measured for row in shown.periods]
    is_over = [row.is_over for row in shown.periods]
    kept = headline.retention
    return {
        "report": report,
        "part": part,
        "view": shown,
        "kept": kept,
        "young": None if shown.segment else part.first_year,
        "is_few": kept.customers < FEW,
        **asked.pickers("total" if part.is_total else part.currency),
        "scales": {} if kept.customers < FEW else yardsticks(asked, shown),
        "assessed": {each.metric: each for each in shown.assessments},
        "goals": {
            each.metric: each
            for each in ([] if shown.segment else judged_goals(part, report.goals))
        },
        "bridge": retention_steps(kept),
        "mrr": levels([m.waterfall.closing_minor for m in periods], is_over, 280),
        "paying": levels([m.paying for m in periods], is_over, 90),
        "arpa": levels([_arpa(m, report) for m in periods], is_over, 90),
        "largest": largest(asked, part, shown),
        "noted": notes_in(asked, periods[0].window.start, periods[-1].window.end),
        "note_marks": marks_of(asked, [each.window for each in periods]),
        "covered": covered(asked, part),
        "by_plan": by_plan(asked, part, headline),
        "few": FEW,
        "of_some": ONLY,
        "of_companies": OF_COMPANIES,
        "shares": shares,
        "class_words": CLASS_WORDS,
        "trailing_prefix": trailing_prefix(),
        "closed": [each.month for each in closings.known(asked.ledger.connection)],
        "before": _year_before_minor(shown),
        "headline_window": written(headline.window),
        "recent_window": written(recent.window),
        "kinds": [
            kind for kind in asked.kinds if kind not in {each.by for each in asked.only}
        ],
        "segments_asked": tuple(map(str, asked.only)),
    }


def _arpa(measured: Any, report: Report) -> Fraction | None:
    return metrics_of(measured, report).arpa_minor


def _year_before_minor(shown: View) -> int:
    """What MRR gained in the headline's twelve months."""
    flow = shown.headline.measured.waterfall
    return flow.closing_minor - flow.opening_minor
