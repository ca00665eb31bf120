"""One customer at risk in words: why, what moved last, when it renews."""

from connector.core.language import _, marked, table_day
from connector.core.money import format_minor
from connector.mrr.risks import Risk, RiskReason
from connector.reports.risks.model import CustomerAtRisk

_ON = {
    RiskReason.CANCELS: marked("set to cancel on {day}"),
    RiskReason.PAST_DUE: marked("past due since {day}"),
    RiskReason.OPEN_INVOICE: marked("unpaid invoice due since {day}"),
    RiskReason.PENDING_UPDATE: marked("change awaits payment until {day}"),
    RiskReason.PAUSED: marked("collection paused until {day}"),
    RiskReason.TRIAL: marked("trial will not convert on {day}"),
    RiskReason.CONTRACTED: marked("contracted lately on {day}"),
}


def why(risk: Risk) -> str:
    """The reason, and since or when; ``past due since 2026-10-28``."""
    if risk.day is None:
        return _(str(risk.reason))
    return _(_ON[risk.reason]).format(day=table_day(risk.day))


def last_moved(each: CustomerAtRisk, currency: str, locale: str) -> str:
    if each.last is None:
        return "–"
    change = format_minor(each.last.amount_minor, currency, locale, signed=True)
    return f"{change} {_(each.last.kind.value)}, {table_day(each.last.day)}"


def renewal(each: CustomerAtRisk) -> str:
    """The day on which it is billed next, or ends."""
    if each.renews_on is None:
        return "–"
    day = table_day(each.renews_on)
    return _("{day}, ends").format(day=day) if each.ends_then else day
