"""The ledger → one plain value a report; what a program that imports this package calls.

Comes in: an open ledger (``open_ledger``) and what is asked for. Goes out: a value, which
``render`` writes down. Nothing is printed. Read ``ledger`` first, then ``report``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # ``as`` itself: a type checker takes it for this package's own
    from connector.reports.check import check_ledger as check_ledger
    from connector.reports.check import compare_with_stripe as compare_with_stripe
    from connector.reports.check import live_subscriptions as live_subscriptions
    from connector.reports.churn import ChurnRequest as ChurnRequest
    from connector.reports.churn import churn_losses as churn_losses
    from connector.reports.churn import churn_reports as churn_reports
    from connector.reports.closings.closed_months import close_month as close_month
    from connector.reports.closings.closed_months import (
        withdraw_month as withdraw_month,
    )
    from connector.reports.closings.restatements import (
        restated_windows as restated_windows,
    )
    from connector.reports.cohorts import cohort_reports as cohort_reports
    from connector.reports.compare import compare_policies as compare_policies
    from connector.reports.compare import formula_drift as formula_drift
    from connector.reports.compare import under_preset as under_preset
    from connector.reports.coverage import coverage_report as coverage_report
    from connector.reports.explained.customer import (
        explain_customer as explain_customer,
    )
    from connector.reports.explained.window import WindowRequest as WindowRequest
    from connector.reports.explained.window import explain_window as explain_window
    from connector.reports.ledger import Ledger as Ledger
    from connector.reports.ledger import open_ledger as open_ledger
    from connector.reports.movements import list_movements as list_movements
    from connector.reports.movements import sum_movements as sum_movements
    from connector.reports.page import make_page as make_page
    from connector.reports.page import make_workbook as make_workbook
    from connector.reports.report import ReportRequest as ReportRequest
    from connector.reports.report import make_report as make_report
    from connector.reports.risks.at_risk import at_risk_lines as at_risk_lines
    from connector.reports.risks.at_risk import at_risk_reports as at_risk_reports

# Where each lives. One that is asked for imports what it needs, and nothing else does.
_NAMES = {
    "check": ("check_ledger", "compare_with_stripe", "live_subscriptions"),
    "churn": ("ChurnRequest", "churn_losses", "churn_reports"),
    "closings.closed_months": ("close_month", "withdraw_month"),
    "closings.restatements": ("restated_windows",),
    "cohorts": ("cohort_reports",),
    "compare": ("compare_policies", "formula_drift", "under_preset"),
    "coverage": ("coverage_report",),
    "explained.customer": ("explain_customer",),
    "explained.window": ("WindowRequest", "explain_window"),
    "ledger": ("Ledger", "open_ledger"),
    "movements": ("list_movements", "sum_movements"),
    "page": ("make_page", "make_workbook"),
    "report": ("ReportRequest", "make_report"),
    "risks.at_risk": ("at_risk_lines", "at_risk_reports"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}
__all__ = tuple(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"connector.reports.{_HOMES[name]}"), name)
