"""The ledger → one plain value a report; what a program that imports this package calls.

Comes in: an open ledger (``open_ledger``) and what is asked for. Goes out: a value, which
``render`` writes down. Nothing is printed. Read ``ledger`` first, then ``report``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector.reports.at_risk import at_risk_reports
    from connector.reports.check import (
        check_ledger,
        compare_with_stripe,
        live_subscriptions,
    )
    from connector.reports.closed_months import close_month, restated_windows
    from connector.reports.cohorts import cohort_reports
    from connector.reports.compare import compare_policies
    from connector.reports.drift import formula_drift
    from connector.reports.explain import explain_customer, explain_window
    from connector.reports.ledger import Ledger, open_ledger
    from connector.reports.movements import list_movements, sum_movements
    from connector.reports.page import make_page
    from connector.reports.report import ReportRequest, make_report

# Where each lives. One that is asked for imports what it needs, and nothing else does.
_HOMES = {
    "Ledger": "ledger",
    "ReportRequest": "report",
    "at_risk_reports": "at_risk",
    "check_ledger": "check",
    "close_month": "closed_months",
    "cohort_reports": "cohorts",
    "compare_policies": "compare",
    "compare_with_stripe": "check",
    "explain_customer": "explain",
    "explain_window": "explain",
    "formula_drift": "drift",
    "list_movements": "movements",
    "live_subscriptions": "check",
    "make_page": "page",
    "make_report": "report",
    "open_ledger": "ledger",
    "restated_windows": "closed_months",
    "sum_movements": "movements",
}
__all__ = [
    "Ledger",
    "ReportRequest",
    "at_risk_reports",
    "check_ledger",
    "close_month",
    "cohort_reports",
    "compare_policies",
    "compare_with_stripe",
    "explain_customer",
    "explain_window",
    "formula_drift",
    "list_movements",
    "live_subscriptions",
    "make_page",
    "make_report",
    "open_ledger",
    "restated_windows",
    "sum_movements",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"connector.reports.{_HOMES[name]}"), name)
