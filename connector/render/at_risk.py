"""Risks and what is committed, as text, JSON, CSV and Markdown.

``committed`` are trailing-12 windows from the running one on. The opening of each is
known; its closing is what is paid then if what is scheduled happens and nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from msgspec.structs import asdict

from connector.core.dates import add_months
from connector.core.figures import WindowFigures
from connector.core.language import _, day_text, marked, month_text
from connector.core.money import format_minor, ratio_number
from connector.mrr.risks import Risk, RiskReason
from connector.render.csv_table import CsvRows
from connector.render.report.footnotes import and_more
from connector.render.report.json_form import currency_json, only_json
from connector.render.risk_words import last_moved, renewal, why
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Table,
    Title,
    amount,
    customer_cell,
    figure,
    ratio_figures,
    table_of,
)
from connector.reports.model import LISTED, code_of, title_of
from connector.reports.risks.model import (
    AtRiskReport,
    AtRiskReports,
    CustomerAtRisk,
    RiskLine,
    ScheduledMovement,
)


def risk_table(outlook: AtRiskReport) -> Table:
    """A row a reason, and all of them, in which MRR with several reasons counts once."""
    return table_of(
        [*outlook.reasons, outlook.every],
        Column("", lambda of: _(str(of.reason)) if of.reason else _("at risk")),
        figure("MRR", lambda of: Money(of.mrr_minor, outlook.currency)),
        figure(_("Subscriptions"), lambda of: of.subscriptions or "–"),
        figure(_("Customers"), lambda of: of.customers),
    )


def call_table(found: AtRiskReport, reports: AtRiskReports, locale: str) -> Table:
    """Whom to call: a row a customer, who pays most first; no more than are read."""
    labels = reports.labels

    def owner(each: CustomerAtRisk) -> str:
        return each.owner or "–"

    return table_of(
        found.customers[:LISTED],
        Column(_("Customer"), lambda each: customer_cell(each.customer, labels)),
        figure("MRR", lambda each: Money(each.mrr_minor, found.currency)),
        Column(_("Why"), lambda each: "; ".join(map(why, each.risks))),
        Column(
            _("Last movement"), lambda each: last_moved(each, found.currency, locale)
        ),
        Column(_("Renews"), renewal),
        *([Column(_("Owner"), owner)] if reports.has_owners else []),
    )


def committed_table(outlook: AtRiskReport) -> Table:
    """So far, then the running window and those to come; with what is set in each month."""
    scheduled_minor: Counter[date] = Counter()
    for each in outlook.scheduled:
        scheduled_minor[add_months(each.day.replace(day=1), 1)] += each.amount_minor
    so_far = outlook.so_far

    def month(of: WindowFigures) -> str:
        if of is so_far:
            return _("{today}, so far").format(today=day_text(outlook.today))
        return month_text(of.window.end - timedelta(days=1))

    def scheduled(of: WindowFigures) -> Cell:
        minor = scheduled_minor[of.window.end]
        return "" if of is so_far else amount(minor, outlook.currency, signed=True)

    return table_of(
        [so_far, *outlook.committed],
        Column(_("12 months to"), month),
        figure(_("Scheduled in the month"), scheduled),
        *ratio_figures(lambda of: of.retention),
    )


def scheduled_table(outlook: AtRiskReport, labels: Mapping[str, str]) -> Table:
    def change(each: ScheduledMovement) -> Cell:
        return Money(each.amount_minor, outlook.currency, signed=True)

    return table_of(
        outlook.scheduled,
        Column(_("Scheduled"), lambda each: each.day),
        figure(_("Change"), change),
        Column(_("Movement"), lambda each: each.kind),
        Column(_("Customer"), lambda each: customer_cell(each.customer, labels)),
    )


def title(outlook: AtRiskReport, reports: AtRiskReports, locale: str) -> str:
    mrr = format_minor(outlook.mrr_minor, outlook.currency, locale)
    whose = title_of(outlook.currency, is_total=outlook.is_total)
    owner = (
        ""
        if reports.owner is None
        else _(", customers of {owner}").format(owner=reports.owner)
    )
    return _("At risk, {whose}{owner}: of {mrr} on {today}").format(
        whose=whose, owner=owner, mrr=mrr, today=day_text(outlook.today)
    )


COMMITTED = marked("Committed, if nothing else changes")
NOTE = marked(
    "Committed is no forecast: what NRR, GRR and CRR of the 12 months to "
    "each month are if what Stripe's objects already say happens "
    "(subscriptions set to cancel, discounts running out) and nothing else "
    "changes. Expansion to come would raise NRR, and a customer that "
    "leaves and returns inside a window even GRR; trials count once they "
    "have converted. MRR with several reasons counts once in what is at "
    "risk; contracted lately is the last 90 days."
)


NO_OWNERS = marked(
    "Of none of these customers an owner was read: if Stripe shows the "
    "metadata key of `owner`, run `stripe-nrr sync --full`."
)


def parts(reports: AtRiskReports, locale: str) -> Iterator[Part]:
    """What may go, whom to call, what is scheduled, and the ratios that follow from it."""
    for outlook in reports.currencies:
        yield Title(title(outlook, reports, locale))
        yield risk_table(outlook) if outlook.risks else _("Nothing is at risk.")
        if outlook.customers:
            yield call_table(outlook, reports, locale)
            if reports.has_owners and not any(x.owner for x in outlook.customers):
                yield _(NO_OWNERS)
        yield from and_more(outlook.every.customers - LISTED)
        if outlook.scheduled:
            yield scheduled_table(outlook, reports.labels)
        yield Title(f"{_(COMMITTED)}, {outlook.currency.upper()}")
        yield committed_table(outlook)
    if reports.currencies:
        yield _(NOTE)
    else:
        yield _("There is no recurring revenue in this ledger.")


def to_csv(lines: Iterable[RiskLine]) -> CsvRows:
    """A row a customer and reason; amounts in whole units of the currency.

    Of the days one is told: when it ends, since when it is due, or when it shrank. What
    follows is the customer's: all that it pays, and the rest of the call list.
    """
    return CsvRows(_HEADS, map(_csv_row, lines))


DAYS = ("ends_on", "due_since", "shrank_on")
_HEADS = (
    *("currency", "reason", "customer", "label", "subscription", "mrr"),
    *DAYS,
    *("customer_mrr", "owner", "country", "paid_since", "renews_on"),
    *("last_movement_on", "last_movement", "last_change"),
)


def _csv_row(line: RiskLine) -> Sequence[object]:
    risk, each, last = line.risk, line.customer, line.customer.last
    return (
        code_of(line.currency, is_total=line.is_total),
        *(risk.reason, risk.customer, line.label, risk.subscription),
        *(Money(risk.mrr_minor, risk.currency), *_days(risk).values()),
        Money(each.mrr_minor, risk.currency),
        *(each.owner, each.country, each.paid_since, each.renews_on),
        *((None, None) if last is None else (last.day, last.kind)),
        None if last is None else Money(last.amount_minor, risk.currency),
    )


_DAY_OF = {
    RiskReason.PAST_DUE: "due_since",
    RiskReason.OPEN_INVOICE: "due_since",
    RiskReason.CONTRACTED: "shrank_on",
}


def _days(risk: Risk) -> dict[str, date | None]:
    """A risk's day under the name of what it is; a pause's and an update's is its end."""
    of = _DAY_OF.get(risk.reason, "ends_on")
    return {name: risk.day if name == of else None for name in DAYS}


def to_json(reports: AtRiskReports) -> dict[str, Any]:
    """Amounts in minor units a month; scheduled ones are signed."""
    return {
        "owner": reports.owner,
        "only": only_json(reports.only),
        "currencies": [_outlook_json(each, reports) for each in reports.currencies],
    }


def _outlook_json(outlook: AtRiskReport, reports: AtRiskReports) -> dict[str, Any]:
    worth = {each.reason: each.mrr_minor for each in outlook.reasons}
    return {
        **currency_json(outlook.currency, is_total=outlook.is_total),
        "today": outlook.today.isoformat(),
        "mrr_minor": outlook.mrr_minor,
        "at_risk_minor": outlook.at_risk_minor,
        "reasons": {reason.name.lower(): worth.get(reason, 0) for reason in RiskReason},
        "risks_count": outlook.risks_count,
        "risks": [
            {"customer": risk.customer, **_risk_json(risk)} for risk in outlook.risks
        ],
        "customers_count": outlook.every.customers,
        "customers": [_customer_json(each, reports) for each in outlook.customers],
        "scheduled": [
            {**asdict(each), "day": each.day.isoformat()} for each in outlook.scheduled
        ],
        "so_far": _window_json(outlook.so_far),
        "committed": [_window_json(each) for each in outlook.committed],
    }


def _risk_json(risk: Risk) -> dict[str, Any]:
    return {
        "reason": risk.reason.name.lower(),
        "subscription": risk.subscription or None,
        "mrr_minor": risk.mrr_minor,
        "day": risk.day and risk.day.isoformat(),
        **{k: day and day.isoformat() for k, day in _days(risk).items()},
    }


def _customer_json(each: CustomerAtRisk, reports: AtRiskReports) -> dict[str, Any]:
    last = each.last
    return {
        "customer": each.customer,
        "label": reports.labels.get(each.customer, each.customer),
        "owner": each.owner,
        "country": each.country,
        "mrr_minor": each.mrr_minor,
        "at_risk_minor": each.at_risk_minor,
        "reasons": [_risk_json(risk) for risk in each.risks],
        "paid_since": each.paid_since and each.paid_since.isoformat(),
        "last_movement": last
        and {
            "day": last.day.isoformat(),
            "kind": last.kind.value,
            "amount_minor": last.amount_minor,
            "cause": last.cause.value,
        },
        "renews_on": each.renews_on and each.renews_on.isoformat(),
        "ends_then": each.ends_then,
    }


def _window_json(measured: WindowFigures) -> dict[str, Any]:
    base = measured.retention
    return {
        "from": measured.window.start.isoformat(),
        "to": measured.window.end.isoformat(),
        "opening_minor": base.opening_minor,
        "closing_minor": base.closing_minor,
        **{name: ratio_number(ratio) for name, ratio in base.ratios.items()},
    }
