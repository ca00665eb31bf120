"""Why another tool differs: other formulas of the same window, other policies of a day."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from connector.core.dates import add_months
from connector.core.language import _
from connector.core.numbers import Unreadable, WrittenNumber, ratio_of, written_number
from connector.core.windows import WindowKind
from connector.dashboard.answer import (
    ACCOUNT,
    NothingPaid,
    PageAnswer,
    PageRequest,
    words,
)
from connector.dashboard.query import WrongParameter
from connector.metrics.published_formulas import FORMULAS, near
from connector.metrics.what_if import ExplainedGap, closes
from connector.render import compare as forms
from connector.reports.compare import (
    PolicyComparison,
    WindowFormulas,
    compare_policies,
    formula_drift,
)

KNOWN = frozenset(("currency", "window", "to", "against", "mrr", "on"))
NOTHING = NothingPaid(lambda _: {"windows": []}, lambda _: forms.formulas_csv([]))
CLOSEST = 12


def answer(asked: PageRequest) -> PageAnswer:
    currency = asked.currency()
    kind = asked.query.choice("window", [k.value for k in WindowKind], "trailing-12")
    last = asked.query.month("to")
    against = asked.query.read("against", _ratio(asked), "a ratio such as 107%", None)
    found = _drift(asked, WindowKind(kind), last, currency)
    compared = _compared(asked, currency)
    return PageAnswer(
        template="differences.html.j2",
        title=_("Why another tool differs"),
        values={
            "drift": found,
            "against": against,
            "against_text": asked.query.text("against"),
            "near": [_near(each, against) for each in found],
            "formulas": [each for each in FORMULAS if each.why],
            "compared": compared,
            "explained": _closest(compared),
            "closes": closes,
            "mrr_text": asked.query.text("mrr"),
            "on": asked.query.day("on") or _month_end(asked),
            **asked.pickers(currency),
            "window_kind": kind,
            "to": last or add_months(asked.state.today, -1),
        },
        json=lambda: _json(found, against, compared),
        csv=lambda: forms.formulas_csv(found),
        command=_command(asked, kind, last, currency),
    )


def _drift(
    asked: PageRequest, kind: WindowKind, last: date | None, currency: str
) -> list[WindowFormulas]:
    """Of one window: the one that is over by the month asked for."""
    end = last or add_months(asked.state.today, -1)
    return asked.reading.keep(
        ("drift", kind, end, currency),
        lambda: formula_drift(asked.ledger, kind, end, end, currency),
    )


def _ratio(asked: PageRequest) -> Any:
    def read(text: str) -> Fraction:
        try:
            return ratio_of(written_number(text, asked.config.locale))
        except Unreadable as error:
            raise ValueError(text) from error

    return read


def _near(each: WindowFormulas, against: Fraction | None) -> Sequence[str]:
    if against is None:
        return ()
    return [result.formula.name for result in near(each.results, against)]


def _amount(asked: PageRequest) -> WrittenNumber | None:
    text = asked.query.text("mrr")
    if not text:
        return None
    try:
        return written_number(text, asked.config.locale)
    except Unreadable:
        wanted = "an amount; write it as 47002.50"
        raise WrongParameter("mrr", text, wanted) from None


def _month_end(asked: PageRequest) -> date:
    return asked.state.today.replace(day=1) - timedelta(days=1)


def _compared(asked: PageRequest, currency: str) -> PolicyComparison | None:
    amount = _amount(asked)
    if amount is None:
        return None
    if asked.ledger.is_of_several:
        wanted = f"asked of several accounts: start the dashboard with {ACCOUNT} NAME"
        raise WrongParameter("mrr", amount.text, wanted)
    day = asked.query.day("on") or _month_end(asked)
    return asked.reading.keep(
        ("compare", amount.text, day, currency),
        lambda: compare_policies(asked.ledger, amount, day, currency),
    )


def _closest(compared: PolicyComparison | None) -> Sequence[ExplainedGap]:
    if compared is None or not compared.gap_minor:
        return ()
    return sorted(compared.found, key=lambda each: abs(each.left_minor))[:CLOSEST]


def _json(
    found: list[WindowFormulas],
    against: Fraction | None,
    compared: PolicyComparison | None,
) -> Any:
    told: Any = forms.formulas_json(found, against)
    if compared is None:
        return told
    return {"drift": told, "compare": forms.to_json(compared)}


def _command(
    asked: PageRequest, kind: str, last: date | None, currency: str
) -> Sequence[str]:
    query = asked.query
    if query.text("mrr"):
        day = query.day("on") or _month_end(asked)
        return ["compare", *words(mrr=query.text("mrr"), on=day, currency=currency)]
    end = last or add_months(asked.state.today, -1)
    month = f"{end:%Y-%m}"
    return [
        "drift",
        *words(window=kind, **{"from": month, "to": month}, currency=currency),
        *words(against=query.text("against") or None),
    ]
