"""The tools: what each is for, what it may be asked, and the report that answers it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from connector.assistants.answer import Made, answer
from connector.assistants.tool_reports import (
    at_risk_report,
    cohorts_report,
    coverage_report,
    explain_customer_report,
    explain_window_report,
    movements_report,
    overview_report,
    retention_report,
)
from connector.assistants.tool_request import MOST_ROWS, ROWS, ToolRequest, pairs_of
from connector.core.errors import ConnectorError
from connector.core.model import MovementKind
from connector.core.windows import WindowKind
from connector.dashboard.ledger_reader import LedgerReader
from connector.dashboard.query import REPEATED, WrongParameter, query_of
from connector.metrics.cohorts import CohortPeriod
from connector.metrics.contributions import Ratio


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


MONTH = r"^\d{4}-\d{2}$"
DAY = r"^\d{4}-\d{2}-\d{2}$"
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
        query = query_of(pairs_of(arguments), tool.parameters, reading.ledger.zone)
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
        overview_report,
        "report",
    ),
    "retention": ToolKind(
        "NRR, GRR, CRR and the waterfall of any windows, by segment or with causes.",
        {
            "window": _text("Only windows of this kind.", enum=[*WindowKind]),
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
        retention_report,
        "report",
    ),
    "explain_window": ToolKind(
        "A window's NRR, GRR or CRR by customer: who moved it, the largest first.",
        {
            "window": WINDOW,
            "metric": _text("Default: nrr.", enum=[*Ratio]),
            "currency": CURRENCY,
            "as-of": AS_OF,
            REPEATED: SEGMENT,
            **PAGES,
        },
        explain_window_report,
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
        explain_customer_report,
        "explain-customer",
        ("customer",),
    ),
    "movements": ToolKind(
        "What changed customers' MRR, and when, in order of days, with evidence.",
        {
            "customer": CUSTOMER,
            "from": _text("The first day, included.", pattern=DAY),
            "to": _text("The last day, included.", pattern=DAY),
            "kind": _text("Only this kind.", enum=[*MovementKind]),
            "currency": CURRENCY,
            **PAGES,
        },
        movements_report,
        "movements",
    ),
    "at_risk": ToolKind(
        "MRR that may go, by customer and reason, and the retention that is committed.",
        {
            "currency": CURRENCY,
            "owner": _text("Only customers of this owner.", maxLength=200),
            **PAGES,
        },
        at_risk_report,
        "at-risk",
    ),
    "cohorts": ToolKind(
        "How the customers who first paid in each month or quarter stayed and grew.",
        {
            "by": _text("Default: month.", enum=[*CohortPeriod]),
            "currency": CURRENCY,
            **PAGES,
        },
        cohorts_report,
        "cohorts",
    ),
    "coverage": ToolKind(
        "Where every invoiced amount belongs; what recurs and is in no figure.",
        {
            "window": _text("Only windows of this kind.", enum=[*WindowKind]),
            "currency": CURRENCY,
            **PAGES,
        },
        coverage_report,
        "coverage",
    ),
}
