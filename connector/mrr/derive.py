"""One customer's history → what is known of it: the derivation, from end to end.

Timeline, then movements, terms and plans; pure, so that it can be done anywhere and in
any order.
"""

from collections.abc import Iterable
from typing import NamedTuple

from connector.core.model import ContractTerm, MainPrice, Movement, Refusal
from connector.core.policy import Rules
from connector.mrr.contract_terms import contract_terms, main_prices
from connector.mrr.history import History
from connector.mrr.movements import movements
from connector.mrr.timeline import timeline

NO_KEY = 0  # the ledger's keys are known to the ledger


class Derived(NamedTuple):
    """``label`` and ``country`` are as the mirror has them.

    ``contract_terms`` name no customer yet.
    ``next_s``: when to look again, though nothing in Stripe will have changed.
    """

    customer: str
    label: str | None
    country: str | None
    movements: list[Movement]
    contract_terms: list[ContractTerm]
    main_prices: list[MainPrice]
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
        contract_terms=contract_terms(
            NO_KEY, found.line_items, found.steps, zone, until_s
        ),
        main_prices=main_prices(found.steps, zone),
        refusals=found.refusals,
        next_s=found.next_s,
    )
