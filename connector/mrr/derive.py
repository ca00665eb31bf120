"""Customers' billing histories → their movements, contract terms, main prices, coverage.

The derivation from end to end: the timeline, then all that follows from its steps. Pure,
so that it can be done anywhere and in any order.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from connector.core.errors import ConnectorError
from connector.core.invoiced import CustomerCoverage
from connector.core.model import ContractTerm, MainPrice, Movement, Refusal
from connector.core.policy import Rules
from connector.mrr.contract_terms import contract_terms, main_prices
from connector.mrr.coverage import coverage
from connector.mrr.history import History
from connector.mrr.movements import movements
from connector.mrr.timeline import timeline

# What an object or a history that nobody foresaw can raise: its customer's own, never
# a full disk's or another process's.
UNFORESEEN = (
    ConnectorError,
    msgspec.MsgspecError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class Derived(NamedTuple):
    """``label`` and ``country`` are as the mirror has them.

    ``contract_terms`` name no customer yet. ``next_s``: when to derive again, though
    nothing in Stripe will have changed.
    """

    customer: str
    label: str | None
    country: str | None
    movements: list[Movement]
    contract_terms: list[ContractTerm]
    main_prices: list[MainPrice]
    refusals: tuple[Refusal, ...]
    next_s: int | None
    coverage: CustomerCoverage


def derive(histories: Iterable[History], rules: Rules, until_s: int) -> list[Derived]:
    """Each customer's steps up to ``until_s``, and all that follows from them."""
    return [_derived(history, rules, until_s) for history in histories]


def _derived(history: History, rules: Rules, until_s: int) -> Derived:
    known = timeline(history, rules.policy, until_s)
    zone, profile = rules.zone, history.profile
    covered = coverage(history, known, rules.policy, zone, until_s)
    next_s = [at_s for at_s in (known.next_s, covered.next_s) if at_s is not None]
    return Derived(
        customer=history.customer,
        label=None if profile is None else profile.label,
        country=None if profile is None else profile.country,
        movements=movements(history.customer, known.steps, zone),
        contract_terms=contract_terms(known.line_items, known.steps, zone, until_s),
        main_prices=main_prices(known.steps, zone),
        refusals=known.refusals,
        next_s=min(next_s, default=None),
        coverage=covered,
    )
