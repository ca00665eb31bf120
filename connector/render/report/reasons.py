"""Why MRR changed: causes and reasons in words, and the tables of what each came to."""

from collections.abc import Iterator, Mapping, Sequence

from connector.core.language import _, marked
from connector.core.losses import LossReason
from connector.core.model import Cause
from connector.core.windows import name_of
from connector.metrics.churn import LossSums, ReasonSum
from connector.metrics.contributions import RETURN, Share
from connector.render.table import Column, Money, Table, amount, figure, table_of
from connector.reports.model import CurrencyReport, Report, WindowRow

CAUSE_WORDS = {
    Cause.PLAN.value: marked("another plan"),
    Cause.QUANTITY.value: marked("quantity"),
    Cause.ADD_ON.value: marked("add-ons"),
    Cause.REMOVAL.value: marked("items removed"),
    Cause.PRICE.value: marked("price changes"),
    Cause.DISCOUNT.value: marked("discounts"),
    Cause.USAGE.value: marked("usage"),
    Cause.PAUSE.value: marked("paused"),
    Cause.RESUME.value: marked("resumed after a pause"),
    RETURN: marked("left and came back"),
}


def cause_words(cause: str) -> str:
    return _(CAUSE_WORDS[cause])


LOST = marked("Churn and contraction by reason, of all customers")
LOST_OF_SOME = marked("Churn and contraction by reason, also of who came later")
MOST = 3  # customers named beside a cause


def cause_tables(
    row: WindowRow, part: CurrencyReport, report: Report
) -> Iterator[tuple[str, Table]]:
    """Expansion and contraction of a row by cause, and all losses by reason, with titles.

    What a cause came to, of how many customers, and the largest of them by name.
    """
    for name, shares in () if row.causes is None else row.causes._asdict().items():
        title = _("{kind} by cause, {window}").format(
            kind=_(name.capitalize()), window=name_of(row.measured.window)
        )
        yield title, _cause_table(shares, part.currency, report)
    if row.losses is not None:
        lost = LOST_OF_SOME if report.only else LOST
        title = f"{_(lost)}, {name_of(row.measured.window)}"
        yield title, reason_table(row.losses, part.currency)


def _cause_table(shares: Sequence[Share], currency: str, report: Report) -> Table:
    def named(share: Share) -> str:
        return ", ".join(report.names[key][1] for key, _ in share.customers[:MOST])

    return table_of(
        shares,
        Column("", lambda share: cause_words(share.cause)),
        figure(_("Change"), lambda x: Money(x.amount_minor, currency, signed=True)),
        figure(_("Customers"), lambda share: share.number),
        Column(_("Mostly"), named),
    )


REASON_WORDS: Mapping[LossReason, str] = {
    LossReason.VOLUNTARY: marked("voluntary"),
    LossReason.FAILED_PAYMENT: marked("failed payment"),
    LossReason.PAUSED: marked("paused"),
    LossReason.REDUCED: marked("price or quantity reduced"),
    LossReason.DISCOUNT: marked("discount"),
    LossReason.UNKNOWN: marked("unknown"),
}


def reason_words(reason: LossReason) -> str:
    return _(REASON_WORDS[reason])


def reason_table(everyone: LossSums, currency: str) -> Table:
    """A row a reason that took something, then all of them."""
    reasons = [
        (reason_words(each.reason), each)
        for each in everyone.reasons
        if each.lost_minor
    ]
    rows: list[tuple[str, ReasonSum | LossSums]] = [*reasons, (_("all"), everyone)]
    return table_of(
        rows,
        Column("", lambda row: row[0]),
        figure(_("Churn"), lambda row: amount(-row[1].churn_minor, currency)),
        figure(_("Left"), lambda row: row[1].departures or "–"),
        figure(
            _("Contraction"), lambda row: amount(-row[1].contraction_minor, currency)
        ),
        figure(_("Paid less"), lambda row: row[1].contractions or "–"),
    )
