"""The sheets behind a window: movements, cohorts, what is at risk, coverage."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from connector.core.figures import RATIOS
from connector.core.language import _, grouped, marked
from connector.core.model import Movement
from connector.core.windows import Window, name_of
from connector.mrr.risks import RiskReason
from connector.render import at_risk as risk_forms
from connector.render import cohorts as cohort_forms
from connector.render import coverage as coverage_forms
from connector.render.movements import causes_text
from connector.render.risk_words import why
from connector.render.table import Money, Title
from connector.render.workbook.cells import ROWS, SheetCell
from connector.render.workbook.sheet import SheetWriter
from connector.reports.cohorts import CohortReport
from connector.reports.coverage import CoverageReport
from connector.reports.model import code_of
from connector.reports.page import WorkbookContents
from connector.reports.risks.model import AtRiskReport, AtRiskReports, CustomerAtRisk

MOVEMENT_HEADS = (
    *(marked("Day"), marked("Customer"), marked("Id"), marked("Currency")),
    *(marked("Movement"), marked("Before"), marked("After"), marked("Change")),
    marked("Because of"),
)
RISK_HEADS = (
    *(marked("Customer"), marked("Id"), marked("Currency"), "MRR", marked("At risk")),
    *(marked("Why"), marked("First of these days"), marked("Renews or ends")),
    *(marked("Last movement"), marked("Movement"), marked("Change")),
    *(marked("Paid since"), marked("Country")),
)
NOT_KEPT = marked("Not kept as of a past moment: it is told only as of now.")


def write_movements(
    writer: SheetWriter, found: WorkbookContents, window: Window
) -> None:
    """A row a movement, as far as a sheet has rows."""
    writer.title(_("Movements of {window}").format(window=name_of(window)))
    room = ROWS - 4
    if found.moved > room:
        writer.line(
            _(
                "The first {shown} of {all}: a sheet of Excel has no more rows. "
                "`stripe-nrr movements --format csv` lists them all."
            ).format(shown=grouped(room), all=grouped(found.moved)),
            bold=True,
        )
    writer.filtered(
        [_(head) for head in MOVEMENT_HEADS],
        (_movement(each, found.labels) for each in islice(found.movements, room)),
    )


def _movement(each: Movement, labels: Mapping[str, str]) -> Sequence[SheetCell]:
    amounts = (each.before_minor, each.after_minor)
    return (
        each.day,
        labels.get(each.customer, each.customer),
        each.customer,
        each.currency.upper(),
        _(each.kind.value),
        *(Money(minor, each.currency) for minor in amounts),
        Money(each.amount_minor, each.currency, signed=True),
        causes_text(each),
    )


def write_cohorts(writer: SheetWriter, found: Sequence[CohortReport]) -> None:
    """NRR, GRR and CRR of each currency's cohorts, one triangle below the other."""
    for report in found:
        for metric in RATIOS:
            writer.parts(
                [
                    Title(cohort_forms.title(report, metric)),
                    cohort_forms.triangle(report, metric),
                ]
            )
        writer.parts([cohort_forms.note(report)])
    if not any(report.cohorts for report in found):
        writer.line(_("Nobody has paid yet."))
    writer.sheet.freeze_panes(0, 1)


def write_at_risk(writer: SheetWriter, found: AtRiskReports | None) -> None:
    """Whom to call, who pays most first; then what follows if nothing else changes."""
    if found is None:
        writer.line(_(NOT_KEPT))
        return
    writer.title(_("At risk: whom to call"))
    heads = (*map(_, RISK_HEADS), *([_("Owner")] if found.has_owners else []))
    called = [
        (outlook, each)
        for outlook in found.currencies
        for each in outlook.customers[: ROWS - 100]
    ]
    rows = (_called(outlook, each, found) for outlook, each in called)
    writer.filtered(heads, rows)
    if not called:
        writer.line(_("Nothing is at risk."))
    for outlook in found.currencies:
        writer.parts(
            [
                Title(risk_forms.title(outlook, found, writer.locale)),
                risk_forms.risk_table(outlook),
                Title(f"{_(risk_forms.COMMITTED)}, {outlook.currency.upper()}"),
                risk_forms.committed_table(outlook),
            ]
        )
    writer.parts([_(risk_forms.NOTE)])


def _called(
    outlook: AtRiskReport, each: CustomerAtRisk, found: AtRiskReports
) -> Iterator[SheetCell]:
    code, last = outlook.currency, each.last
    days = (risk.day for risk in each.risks if risk.reason in RiskReason)
    yield found.labels.get(each.customer, each.customer)
    yield each.customer
    yield code_of(code, is_total=outlook.is_total).upper()
    yield Money(each.mrr_minor, code)
    yield Money(each.at_risk_minor, code)
    yield "; ".join(map(why, each.risks))
    yield min((day for day in days if day is not None), default=None)
    yield each.renews_on
    yield from (
        (None, None, None)
        if last is None
        else (last.day, _(last.kind.value), Money(last.amount_minor, code, signed=True))
    )
    yield from (each.paid_since, each.country)
    if found.has_owners:
        yield each.owner


def write_coverage(writer: SheetWriter, found: CoverageReport | None) -> None:
    """Where every invoiced amount belongs, and what recurs and is not counted."""
    if found is None:
        writer.line(
            _(
                "There is none: as of a past moment it is not kept, else nothing was "
                "invoiced yet, or a former version derived the ledger (run "
                "`stripe-nrr recompute`)."
            )
        )
        return
    writer.parts(coverage_forms.parts(found, writer.locale))
    writer.sheet.freeze_panes(0, 1)
