"""Coverage: where every invoiced amount belongs, and what is not counted."""

from connector.core.invoiced import alarming
from connector.core.language import _
from connector.core.windows import WindowKind
from connector.dashboard import frame
from connector.dashboard.answer import PageAnswer, PageRequest, words
from connector.render import coverage as forms
from connector.reports.coverage import CoverageReport, coverage_report
from connector.reports.ledger import is_total

KNOWN = frozenset(("currency", "window"))


def answer(asked: PageRequest) -> PageAnswer:
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
            "note": _(forms.CLASSES_NOTE),
            "to_do": forms.TO_DO,
            "lacks_texts": forms.LACKS_TEXTS,
            "refused_lines": forms.refused_lines,
            "reasons": forms.REASON_WORDS,
            "shares": forms.shares,
            "class_words": forms.CLASS_WORDS,
            "windows_table": forms.windows_table,
            "alarming": alarming,
            "places": frame.places_in_stripe(asked.ledger, invoices),
        },
        json=lambda: forms.to_json(found),
        csv=lambda: forms.to_csv(found),
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
