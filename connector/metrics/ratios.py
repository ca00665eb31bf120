"""One window's figures → every ratio that is printed beside NRR and GRR.

A ratio is a ``Fraction`` until it is printed, and None where it has no value: nothing
below the line, or not known.
"""

from fractions import Fraction

from msgspec import Struct

from connector.core.dates import months
from connector.core.figures import NO_RENEWALS, WindowFigures


class WindowMetrics(Struct, frozen=True, kw_only=True):
    """The metrics of one window; amounts are exact minor units a month.

    ``renewal_rate`` counts subscriptions, ``renewal_rate_mrr`` weighs them by their MRR.
    ``quick_ratio`` is None where nothing was lost. ``arpa_minor`` is the MRR of a paying
    customer, ``ltv_minor`` what one pays until it leaves, at the window's churn.
    """

    nrr: Fraction | None
    grr: Fraction | None
    crr: Fraction | None
    logo_churn: Fraction | None
    gross_churn: Fraction | None
    net_churn: Fraction | None
    renewal_rate: Fraction | None
    renewal_rate_mrr: Fraction | None
    quick_ratio: Fraction | None
    arpa_minor: Fraction | None
    ltv_minor: Fraction | None


def metrics(measured: WindowFigures) -> WindowMetrics:
    """Every metric of a window.

    LTV is what a paying customer pays over the window ÷ the window's logo churn, so that
    windows of a month and of a year mean the same.
    """
    flow, base = measured.waterfall, measured.retention
    gained = flow.new_minor + flow.reactivation_minor + flow.expansion_minor
    logo_churn = _rest(base.crr)
    arpa = _ratio(flow.closing_minor, measured.paying)
    length = sum(1 for _ in months(measured.window.start, measured.window.end))
    terms = measured.renewals or NO_RENEWALS
    return WindowMetrics(
        nrr=base.nrr,
        grr=base.grr,
        crr=base.crr,
        logo_churn=logo_churn,
        gross_churn=_rest(base.grr),
        net_churn=_rest(base.nrr),
        renewal_rate=_ratio(terms.renewed, terms.ended),
        renewal_rate_mrr=_ratio(terms.renewed_minor, terms.ended_minor),
        quick_ratio=_ratio(gained, flow.contraction_minor + flow.churn_minor),
        arpa_minor=arpa,
        ltv_minor=arpa * length / logo_churn if arpa and logo_churn else None,
    )


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def _rest(ratio: Fraction | None) -> Fraction | None:
    return None if ratio is None else 1 - ratio
