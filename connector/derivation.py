"""One customer's history → what is known of it: the derivation, from end to end.

Timeline, then movements, terms and plans; pure, so that it can be done anywhere and in
any order.
"""

from collections.abc import Iterable
from typing import NamedTuple

from connector.history import History
from connector.model import Movement, Plan, Refusal, Term
from connector.movements import movements
from connector.rules import Rules
from connector.terms import plans, terms
from connector.timeline import timeline

NO_KEY = 0  # the ledger's keys are known to the ledger


class Derived(NamedTuple):
    """``label`` and ``country`` are as the mirror has them. ``terms``: no customer yet.

    ``next_s``: when to look again, though nothing in Stripe will have changed.
    """

    customer: str
    label: str | None
    country: str | None
    movements: list[Movement]
    terms: list[Term]
    plans: list[Plan]
    refusals: tuple[Refusal, ...]
    next_s: int | None


def derive(histories: Iterable[History], rules: Rules, until_s: int) -> list[Derived]:
    """Each customer's steps up to ``until_s``, and all that follows from them."""
    return [_derived(history, rules, until_s) for history in histories]


def _derived(history: History, rules: Rules, until_s: int) -> Derived:
    found = timeline(history, rules.policy, until_s)
    zone, profile = rules.zone, history.profile
    return Derived(
        customer=history.customer,
        label=None if profile is None else profile.label,
        country=None if profile is None else profile.country,
        movements=movements(history.customer, found.steps, zone),
        terms=terms(NO_KEY, found.charges, found.steps, zone, until_s),
        plans=plans(found.steps, zone),
        refusals=found.refusals,
        next_s=found.next_s,
    )
