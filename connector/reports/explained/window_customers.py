"""Everybody who paid in a window: what they paid at its ends, and what moved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from connector.core.model import CustomerName, Flow, MovementKind
from connector.core.windows import Window
from connector.reports.figures.asked_books import books_of
from connector.reports.ledger import Ledger
from connector.store.ledger import customers


class CustomerInWindow(NamedTuple):
    """A customer who paid at some time of a window; ``key`` is the ledger's.

    Amounts in minor units, exact: of a total they need not be whole. ``moved_minor`` adds
    up the window's movements by kind, signed. ``since`` is the day it first paid on.
    """

    key: int
    name: CustomerName
    since: date
    opening_minor: Fraction
    closing_minor: Fraction
    moved_minor: Mapping[MovementKind, Fraction]


def window_customers(
    ledger: Ledger, window: Window, currency: str, as_of: datetime | None = None
) -> list[CustomerInWindow]:
    """Everybody who paid at a window's opening or inside it, in the ledger's order.

    Their openings, closings and movements add up to the window's figures.
    """
    flows, at = books_of(ledger, currency, as_of).flows(window)
    names = customers.accounts(ledger.connection)
    found = []
    for key, moved in groupby(flows, attrgetter("customer")):
        own = [flow for flow in moved if flow.day < window.end]
        if each := _in_window(key, names[key], own, window, at.scale):
            found.append(each)
    return found


def _in_window(
    key: int, name: CustomerName, moved: Sequence[Flow], window: Window, scale: int
) -> CustomerInWindow | None:
    """None of who paid neither at the opening nor later."""
    inside = [flow for flow in moved if flow.day >= window.start]
    closing = sum(flow.amount_minor for flow in moved)
    opening = closing - sum(flow.amount_minor for flow in inside)
    if not (opening or inside):
        return None
    by_kind: Counter[MovementKind] = Counter()
    for flow in inside:
        by_kind[flow.kind] += flow.amount_minor
    return CustomerInWindow(
        key=key,
        name=name,
        since=moved[0].day,
        opening_minor=Fraction(opening, scale),
        closing_minor=Fraction(closing, scale),
        moved_minor={kind: Fraction(n, scale) for kind, n in by_kind.items()},
    )
