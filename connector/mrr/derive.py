"""Customers' billing histories → their movements, contract terms, main prices, coverage.

The derivation from end to end: the timeline, then all that follows from its steps. Pure,
so that it can be done anywhere and in any order.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec

from connector.core.errors import ConnectorError
from connector.core.invoiced import CustomerCoverage
from connector.core.model import ContractTerm, MainPrice, Movement, Refusal
from connector.core.policy import Rules
from connector.mrr.companies import coverage_together, oldest_first, steps_together
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
    """Each customer's steps up to ``until_s``, and all that follows from them.

    Those of one company stand together, and are derived as one.
    """
    return [
        _derived(company, oldest_first(list(own)), rules, until_s)
        for company, own in groupby(histories, key=attrgetter("counted_as"))
    ]


def _derived(
    company: str, histories: Sequence[History], rules: Rules, until_s: int
) -> Derived:
    """Of one customer, or of all that are one; label and country are the first's."""
    zone, policy = rules.zone, rules.policy
    known = {each.customer: timeline(each, policy, until_s) for each in histories}
    steps = steps_together({name: own.steps for name, own in known.items()})
    covered = coverage_together(
        {
            each.customer: coverage(each, known[each.customer], policy, zone, until_s)
            for each in histories
        }
    )
    lines = {key: it for own in known.values() for key, it in own.line_items.items()}
    coming = [covered.next_s, *(own.next_s for own in known.values())]
    profiles = [each.profile for each in histories if each.profile is not None]
    named = [each.label for each in profiles if each.id == company]
    return Derived(
        customer=company,
        label=next(iter(named), None),
        country=next((each.country for each in profiles if each.country), None),
        movements=movements(company, steps, zone),
        contract_terms=contract_terms(lines, steps, zone, until_s),
        main_prices=main_prices(steps, zone),
        refusals=tuple(refusal for own in known.values() for refusal in own.refusals),
        next_s=min((at_s for at_s in coming if at_s is not None), default=None),
        coverage=covered,
    )
