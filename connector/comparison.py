"""The mirror → everybody's MRR on one day, under each policy another tool may have.

Derived in memory by the same pure functions as the ledger; nothing is written.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

from connector import marks, mirror
from connector.history import History
from connector.model import Policy, Step
from connector.rules import Rules
from connector.switches import Choice, Switch, policies
from connector.timeline import timeline

Steps = Sequence[Step]


def mrr_under(
    connection: sqlite3.Connection,
    rules: Rules,
    wanted: Sequence[Choice],
    ends_s: Mapping[str, int],
    *,
    currency: str,
    now_s: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[Choice, int]:
    """MRR in minor units under ``rules``, as the choice ``()``, and each wanted choice.

    ``ends_s`` is the first second after the day, in each time zone.
    """
    in_force = rules.settings()
    different = dict(policies(in_force, wanted))
    total = dict.fromkeys([(), *wanted], 0)
    everybody = [c for c in marks.everybody(connection) if c not in rules.merge]
    shared = mirror.catalogue(connection)
    for done, customer in enumerate(everybody, 1):
        former = rules.also(customer)
        history = mirror.history(connection, customer, shared, former)
        steps = _steps(history, rules.policy, different, now_s)
        for choice in total:
            zones = [s.value for s in choice if s.rule == "timezone"]
            end_s = ends_s[zones[0] if zones else in_force["timezone"]]
            policy = tuple(s for s in choice if s.rule != "timezone")
            total[choice] += _mrr_minor(steps[policy], end_s, currency)
        progress(done, len(everybody))
    return total


def _steps(
    history: History, policy: Policy, different: Mapping[Choice, Policy], now_s: int
) -> dict[Choice, Steps]:
    """One customer's steps under each policy.

    A switch that changes no step of a customer's has nothing to work on in its history,
    neither alone nor beside another one: so most customers are derived a few times only.
    """
    found: dict[Choice, Steps] = {(): timeline(history, policy, now_s).steps}
    idle: set[Switch] = set()
    for choice, other in sorted(different.items(), key=lambda pair: len(pair[0])):
        acting = tuple(switch for switch in choice if switch not in idle)
        if len(acting) < len(choice):
            found[choice] = found[acting]
            continue
        found[choice] = timeline(history, other, now_s).steps
        if len(choice) == 1 and found[choice] == found[()]:
            idle.add(choice[0])
    return found


def _mrr_minor(steps: Iterable[Step], end_s: int, currency: str) -> int:
    """What the items are worth at the end of the day."""
    worth: dict[tuple[str, str], int] = {}
    for step in steps:
        if step.at_s < end_s and step.currency == currency:
            worth[step.subscription, step.item] = step.mrr_minor
    return sum(worth.values())
