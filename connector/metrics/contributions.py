"""A window's NRR, GRR or CRR taken apart: by customer, and by cause.

Who moved the ratio, largest first; their amounts (for CRR their number) add up exactly to
its numerator less its denominator. And why the opening customers pay more, or less: of
each who still pays at the closing, the net change of every cause over the window. So the
causes of expansion add up to the expansion behind NRR, and those of contraction to the
contraction; inside one of them a cause may have worked the other way (a customer who got
a higher quantity and a discount expands by the difference).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from connector.core.model import MovementKind, classify
from connector.metrics.currency_total import Conversion, levels_in_minor
from connector.metrics.retention import Balances


class Ratio(StrEnum):
    NRR = "nrr"
    GRR = "grr"
    CRR = "crr"


class Contribution(NamedTuple):
    """``amount_minor`` is signed and never 0; for GRR it is never above 0.

    For CRR each is one who left, and its amount what it paid. ``customer`` is the
    ledger's key; ``kind`` is the net change over the window.
    """

    customer: int
    opening_minor: int
    closing_minor: int
    amount_minor: int
    kind: MovementKind

    @property
    def customers(self) -> int:
        """What it takes from the customers who stayed: -1, or 0."""
        return -1 if self.kind is MovementKind.CHURN else 0


def between(opening: Balances, closing: Balances, ratio: Ratio) -> list[Contribution]:
    """Every customer of the opening who moved the ratio, the largest amount first.

    Σ amounts = Σe − Σs for NRR and Σ min(s, e) − Σs for GRR; the number of those for CRR
    is that of the customers who stayed less that of the opening's, without the minus.
    """
    found = []
    for customer, start_minor in opening.items():
        end_minor = closing.get(customer, 0)
        kind = classify(start_minor, end_minor, has_paid=True)
        if ratio is Ratio.CRR and end_minor:
            continue
        counted_minor = end_minor if ratio is Ratio.NRR else min(start_minor, end_minor)
        amount_minor = counted_minor - start_minor
        if kind is not None and amount_minor:
            found.append(
                Contribution(customer, start_minor, end_minor, amount_minor, kind)
            )
    return sorted(found, key=lambda each: (-abs(each.amount_minor), each.customer))


def in_minor_of(
    found: Sequence[Contribution], opening_units: int, scale: int, ratio: Ratio
) -> list[Contribution]:
    """Those of the total, measured in units of ``scale``, in whole minor units.

    Rounded so that they add up to the ratio's numerator less its denominator; who rounds
    to nothing moved no amount, but is a customer.
    """
    minor = Conversion({}, scale).minor
    amounts = (each.amount_minor for each in found)
    rounded = zip(found, levels_in_minor(opening_units, amounts, scale), strict=True)
    return [
        each._replace(
            opening_minor=minor(each.opening_minor),
            closing_minor=minor(each.closing_minor),
            amount_minor=amount_minor,
        )
        for each, amount_minor in rounded
        if amount_minor or ratio is Ratio.CRR
    ]


# Causes

RETURN = "return"  # left and came back in the window


class Share(NamedTuple):
    """What one cause came to: signed, and of how many customers.

    ``customers`` are they and their amounts, the largest first; all, or some of them.
    """

    cause: str
    amount_minor: int
    customers: tuple[tuple[int, int], ...]
    number: int


class Causes(NamedTuple):
    """``expansion`` adds up to the window's, ``contraction`` to minus the window's.

    The largest share first.
    """

    expansion: tuple[Share, ...]
    contraction: tuple[Share, ...]
