"""The tools: what each is for, what it may be asked, and the report that answers it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from connector.assistants.answer import Made, Shown, answer
from connector.core.errors import ConnectorError, NothingFound
from connector.core.figures import RATIOS
from connector.core.model import MovementKind
from connector.core.money import format_ratio
from connector.core.windows import WindowKind, name_of
from connector.dashboard.answer import PageRequest, words
from connector.dashboard.ledger_reader import LedgerReader
from connector.dashboard.query import REPEATED, WrongParameter, query_of
from connector.metrics.cohorts import CohortPeriod
from connector.metrics.contributions import Ratio
from connector.reports.model import CurrencyReport

ROWS, MOST_ROWS = 50, 500  # of each long list


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


MONTH = r"^\d{4}-\d{2}$"
DAY = r"^\d{4}-\d{2}-\d{2}$"
KINDS = [kind.value for kind in WindowKind]
CURRENCY = _text("An ISO code; total: all in the reporting currency. Default: each.")
AS_OF = _text("As the ledger was at this moment: 2026-04-02T09:00:00Z, or a day.")
SEGMENT = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Only customers of these segments, such as plan=Team.",
}
PAGES = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_ROWS,
        "default": ROWS,
        "description": "How many rows of each long list to show.",
    },
    "page": {
        "type": "integer",
        "minimum": 1,
        "default": 1,
        "description": "Which rows, as left_out tells: pages count from 1.",
    },
}


class ToolRequest(PageRequest, frozen=True, kw_only=True):
    """What a call asks; ``names`` is False where customers are known by id alone."""

    names: bool = True

    @property
    def asked_currency(self) -> str | None:
        return self.query.text("currency").lower() or None

    @property
    def shown(self) -> Shown:
        limit = self.query.number("limit", ROWS)
        if limit > MOST_ROWS:
            raise WrongParameter("limit", str(limit), f"at most {MOST_ROWS}")
        return Shown(limit, self.query.number("page", 1), self.names)

    def is_asked(self, name: str) -> bool:
        return self.query.choice(name, ("true", "false"), "false") == "true"

    def customer(self) -> str | None:
        """The id of who is asked for; without names only an id finds anybody."""
        from connector.reports.movements import find_counted

        text = self.query.text("customer")
        if not text:
            return None
        unnamed = NothingFound(
            "no customer has exactly this id",
            fix="give an id (cus_…): names are left out of this session",
        )
        try:
            found = find_counted(self.ledger.connection, text).id
        except NothingFound:
            if self.names:
                raise
            raise unnamed from None
        if not self.names and found != text:
            raise unnamed
        return found


class ToolKind(NamedTuple):
    """``like`` names the JSON Schema in docs/schema of its result."""

    description: str
    parameters: Mapping[str, Any]
    make: Callable[[ToolRequest], Made]
    like: str
    required: tuple[str, ...] = ()


def call(
    reader: LedgerReader, name: str, arguments: Mapping[str, Any], *, names: bool
) -> dict[str, Any]:
    """The structured content of an answer; a ``ConnectorError`` says what is wrong."""
    tool = TOOLS[name]
    with reader.reading() as reading:
        query = query_of(_pairs(arguments), tool.parameters, reading.ledger.zone)
        asked = ToolRequest(reading=reading, query=query, path=name, names=names)
        for each in tool.required:
            if not query.text(each):
                raise WrongParameter(each, "", "given, and must be")
        shown = asked.shown
        made = tool.make(asked)
        ledger, as_of = asked.ledger, asked.as_of
        return answer(
            ledger, made, asked.state, ledger.facts(as_of), shown, reading.options
        )


def problem_of(error: ConnectorError) -> str:
    if isinstance(error, WrongParameter):
        return f"{error.problem}; correct the argument {error.parameter}"
    return f"{error.problem}; {error.fix}"


def _pairs(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, _word(name, each))
        for name, value in arguments.items()
        for each in (value if isinstance(value, list) and name == REPEATED else [value])
        if each is not None
    ]


def _word(name: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int():
            return str(value)
    raise WrongParameter(name, type(value).__name__, "a text or a whole number")


def _overview(asked: ToolRequest) -> Made:
    from connector.reports.report import ReportRequest

    return _reported(asked, ReportRequest(currency=asked.asked_currency), [])


def _retention(asked: ToolRequest) -> Made:
    from connector.reports.report import ReportRequest

    query = asked.query
    kind = query.choice("window", KINDS, "")
    request = ReportRequest(
        kind=WindowKind(kind) if kind else None,
        first=query.month("from"),
        last=query.month("to"),
        currency=asked.asked_currency,
        as_of=asked.as_of,
        by=asked.by,
        causes=asked.is_asked("causes"),
        arr=asked.is_asked("arr"),
        only=asked.only,
    )
    told: dict[str, object] = {"window": kind or None}
    told |= {name: query.text(name) or None for name in ("from", "to")}
    flags = [f"--{name}" for name in ("causes", "arr") if asked.is_asked(name)]
    more = words(
        **told,
        **{"as-of": asked.given_as_of, "by": asked.by},
        segment=[f"{each.by}={each.value}" for each in asked.only],
    )
    return _reported(asked, request, [*more, *flags])


def _reported(asked: ToolRequest, request: Any, options: list[str]) -> Made:
    from connector.render.footnotes import goal_sentences
    from connector.render.report_json import to_json
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
    if row is None:
        return [f"In {part.currency} no twelve months are over yet: no headline."]
    ratios = row.measured.retention.ratios
    figures = ", ".join(f"{x.upper()} {format_ratio(ratios[x])}" for x in RATIOS)
    whole = "" if row.complete else " It is not whole."
    name = name_of(row.measured.window)
    return [f"Headline in {part.currency}, {name}: {figures}.{whole}"]


def _explain_window(asked: ToolRequest) -> Made:
    from connector.render.contributions import to_json
    from connector.reports.explain import explain_window

    query = asked.query
    window, metric = query.window("window"), _metric(asked)
    assert window is not None
    found = explain_window(
        asked.ledger, window, metric, asked.asked_currency, asked.as_of, asked.only
    )
    return Made(
        json={"windows": [to_json(each) for each in found]},
        command=[
            "explain",
            *words(
                window=query.text("window"),
                metric=metric.value,
                currency=asked.asked_currency,
                segment=[f"{each.by}={each.value}" for each in asked.only],
                as_of=asked.given_as_of,
            ),
        ],
        facts=asked.ledger.facts(asked.as_of),
        lists=("contributions",),
        say=["The contributions add up to the ratio's numerator over its denominator."],
    )


def _metric(asked: ToolRequest) -> Ratio:
    return Ratio(asked.query.choice("metric", [each.value for each in Ratio], "nrr"))


def _explain_customer(asked: ToolRequest) -> Made:
    from connector.render.movements import explanation_json
    from connector.reports.explain import explain_customer

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


def _movements(asked: ToolRequest) -> Made:
    from connector.render.movements import as_json
    from connector.reports.movements import list_movements
    from connector.store.ledger.queries import Wanted

    query, customer = asked.query, asked.customer()
    first, last = query.day("from"), query.day("to")
    if first is not None and last is not None and first > last:
        raise WrongParameter("from", str(first), f"a day before {last}, which to is")
    kind = query.choice("kind", [each.value for each in MovementKind], "")
    wanted = Wanted(
        customer=customer,
        start=first,
        end=last + timedelta(days=1) if last else None,
        kind=MovementKind(kind) if kind else None,
        currency=asked.asked_currency,
    )
    options: dict[str, object] = {"from": first, "to": last, "kind": kind or None}
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


def _at_risk(asked: ToolRequest) -> Made:
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


def _cohorts(asked: ToolRequest) -> Made:
    from connector.render.cohorts import to_json
    from connector.reports.cohorts import cohort_reports

    periods = [each.value for each in CohortPeriod]
    period = asked.query.choice("by", periods, CohortPeriod.MONTH.value)
    found = cohort_reports(asked.ledger, CohortPeriod(period), asked.asked_currency)
    return Made(
        json=to_json(found),
        command=["cohorts", *words(by=period, currency=asked.asked_currency)],
        facts=asked.ledger.facts(),
        lists=("cohorts",),
        say=["Only periods that are over are shown; age 0 is what is compared with."],
    )


def _coverage(asked: ToolRequest) -> Made:
    from connector.render.coverage import to_json
    from connector.reports.coverage import coverage_report

    kind = asked.query.choice("window", KINDS, "")
    found = coverage_report(
        asked.ledger, WindowKind(kind) if kind else None, asked.asked_currency
    )
    return Made(
        json=to_json(found),
        command=[
            "coverage",
            *words(window=kind or None, currency=asked.asked_currency),
        ],
        facts=asked.ledger.facts(),
        lists=("windows", "not_counted"),
        say=["What is recurring and not counted is in no figure of retention."],
    )


CUSTOMER = _text("An id (cus_…) or a part of the display name.", maxLength=200)
WINDOW = _text(
    "2026-03, 2026-Q1, 2026, or ..2026-03 for the twelve months to March.",
    pattern=r"^(\.\.)?\d{4}(-(\d{2}|[Qq][1-4]))?$",
)
TOOLS: Mapping[str, ToolKind] = {
    "overview": ToolKind(
        "NRR, GRR, CRR and MRR now: the headline is the last twelve months that are "
        "over, then by month. Begin here.",
        {"currency": CURRENCY, **PAGES},
        _overview,
        "report",
    ),
    "retention": ToolKind(
        "NRR, GRR, CRR and the waterfall of any windows, by segment or with causes.",
        {
            "window": _text("Only windows of this kind.", enum=KINDS),
            "from": _text("The first month, included.", pattern=MONTH),
            "to": _text("The last month, included.", pattern=MONTH),
            "currency": CURRENCY,
            "as-of": AS_OF,
            "by": _text("Tell customers apart by this: plan, interval, country …"),
            REPEATED: SEGMENT,
            "causes": {"type": "boolean", "description": "Why customers pay more."},
            "arr": {"type": "boolean", "description": "Amounts a year, not a month."},
            **PAGES,
        },
        _retention,
        "report",
    ),
    "explain_window": ToolKind(
        "A window's NRR, GRR or CRR by customer: who moved it, the largest first.",
        {
            "window": WINDOW,
            "metric": _text("Default: nrr.", enum=[each.value for each in Ratio]),
            "currency": CURRENCY,
            "as-of": AS_OF,
            REPEATED: SEGMENT,
            **PAGES,
        },
        _explain_window,
        "explain-window",
        ("window",),
    ),
    "explain_customer": ToolKind(
        "A customer's MRR, movement by movement, down to the invoice lines that show it.",
        {
            "customer": CUSTOMER,
            "on": _text("As it stood at the end of this day.", pattern=DAY),
            "as-of": AS_OF,
            **PAGES,
        },
        _explain_customer,
        "explain-customer",
        ("customer",),
    ),
    "movements": ToolKind(
        "What changed customers' MRR, and when, in order of days, with evidence.",
        {
            "customer": CUSTOMER,
            "from": _text("The first day, included.", pattern=DAY),
            "to": _text("The last day, included.", pattern=DAY),
            "kind": _text("Only this kind.", enum=[x.value for x in MovementKind]),
            "currency": CURRENCY,
            **PAGES,
        },
        _movements,
        "movements",
    ),
    "at_risk": ToolKind(
        "MRR that may go, by customer and reason, and the retention that is committed.",
        {
            "currency": CURRENCY,
            "owner": _text("Only customers of this owner.", maxLength=200),
            **PAGES,
        },
        _at_risk,
        "at-risk",
    ),
    "cohorts": ToolKind(
        "How the customers who first paid in each month or quarter stayed and grew.",
        {
            "by": _text("Default: month.", enum=[each.value for each in CohortPeriod]),
            "currency": CURRENCY,
            **PAGES,
        },
        _cohorts,
        "cohorts",
    ),
    "coverage": ToolKind(
        "Where every invoiced amount belongs; what recurs and is in no figure.",
        {
            "window": _text("Only windows of this kind.", enum=KINDS),
            "currency": CURRENCY,
            **PAGES,
        },
        _coverage,
        "coverage",
    ),
}
