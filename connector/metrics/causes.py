"""Why the opening customers pay more, or less: a window's net change, cut by cause.

Of each customer who still pays at the closing, the net change of every cause over the
window. So the causes of expansion add up to the expansion behind NRR, and those of
contraction to the contraction; inside one of them a cause may have worked the other way
(a customer who got a higher quantity and a discount expands by the difference).
"""

from collections.abc import Iterable
from typing import NamedTuple

from connector.core.model import Cause, CauseAmount
from connector.metrics.retention import Balances

# One that left and came back in the window has ended and started again: that is one
# cause. So is a pause with its end; it is called by what is left of the two.
RETURN = "return"
_BY_CAUSE = {
    Cause.START: RETURN,
    Cause.END: RETURN,
    Cause.RESUME: Cause.PAUSE.value,
}


class Share(NamedTuple):
    """What one cause came to: signed, and by customer, the largest first."""

    cause: str
    amount_minor: int
    customers: tuple[tuple[int, int], ...]


class Causes(NamedTuple):
    """``expansion`` adds up to the window's, ``contraction`` to minus the window's.

    The largest share first.
    """

    expansion: tuple[Share, ...]
    contraction: tuple[Share, ...]


def causes(opening: Balances, parts: Iterable[CauseAmount]) -> Causes:
    """``parts`` are those of the window; of customers who came later they do not count."""
    own: dict[int, dict[str, int]] = {}
    for part in parts:
        if part.customer in opening:
            name = _BY_CAUSE.get(part.cause, part.cause.value)
            amounts = own.setdefault(part.customer, {})
            amounts[name] = amounts.get(name, 0) + part.amount_minor
    grown: dict[str, list[tuple[int, int]]] = {}
    shrunk: dict[str, list[tuple[int, int]]] = {}
    for customer, amounts in own.items():
        net_minor = sum(amounts.values())
        if not net_minor or opening[customer] + net_minor == 0:
            continue
        shares = grown if net_minor > 0 else shrunk
        for name, amount_minor in amounts.items():
            if amount_minor:
                told = _name(name, amount_minor)
                shares.setdefault(told, []).append((customer, amount_minor))
    return Causes(_shares(grown), _shares(shrunk))


def _name(name: str, amount_minor: int) -> str:
    is_resumed = name == Cause.PAUSE and amount_minor > 0
    return Cause.RESUME.value if is_resumed else name


def _shares(by_cause: dict[str, list[tuple[int, int]]]) -> tuple[Share, ...]:
    shares = [
        Share(
            name,
            sum(amount for _, amount in customers),
            tuple(sorted(customers, key=lambda each: (-abs(each[1]), each[0]))),
        )
        for name, customers in by_cause.items()
    ]
    return tuple(sorted(shares, key=lambda s: (-abs(s.amount_minor), s.cause)))
