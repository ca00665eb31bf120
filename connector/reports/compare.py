"""Everybody's MRR on one day under each policy another tool may have.

Derived in memory by the same pure functions as the ledger; nothing is written.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connector import __version__
from connector.config import rules_of
from connector.core.dates import day_end_s
from connector.core.errors import UsageFault
from connector.core.model import MrrStep
from connector.core.money import exponent
from connector.core.policy import Policy, PolicySwitch, Rules, policy_of
from connector.metrics.what_if import Choice, ExplainedGap, choices, explained, policies
from connector.mrr.history import History
from connector.mrr.timeline import timeline
from connector.reports.ledger import Ledger
from connector.store.ledger import queries
from connector.store.mirror import dirty_customers, objects
from connector.store.mirror.histories import histories, in_batches

Steps = Sequence[MrrStep]


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
    everybody = [
        c for c in dirty_customers.everybody(connection) if c not in rules.merge
    ]
    shared = objects.catalogue(connection)
    batches = in_batches(connection, {c: (c, *rules.also(c)) for c in everybody})
    known = (each for rows in batches for each in histories(rows, shared))
    for done, history in enumerate(known, 1):
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
    idle: set[PolicySwitch] = set()
    for choice, other in sorted(different.items(), key=lambda pair: len(pair[0])):
        acting = tuple(switch for switch in choice if switch not in idle)
        if len(acting) < len(choice):
            found[choice] = found[acting]
            continue
        found[choice] = timeline(history, other, now_s).steps
        if len(choice) == 1 and found[choice] == found[()]:
            idle.add(choice[0])
    return found


def _mrr_minor(steps: Iterable[MrrStep], end_s: int, currency: str) -> int:
    """What the items are worth at the end of the day."""
    worth: dict[tuple[str, str], int] = {}
    for step in steps:
        if step.at_s < end_s and step.currency == currency:
            worth[step.subscription, step.item] = step.mrr_minor
    return sum(worth.values())


class PolicyComparison(NamedTuple):
    """Two figures of one day, and what each choice makes of ours, the closest first."""

    currency: str
    on: date
    timezone: str
    ours_minor: int
    theirs_minor: int
    booked_minor: int
    found: list[ExplainedGap]

    @property
    def gap_minor(self) -> int:
        return self.theirs_minor - self.ours_minor


def compare_policies(
    ledger: Ledger,
    amount: Decimal,
    day: date,
    asked: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> PolicyComparison:
    """Our MRR of a day and another tool's ``amount``, in whole units of the currency.

    Without a currency it is the ledger's main one. ``progress`` is told customers.
    """
    connection, known = ledger.connection, ledger.state()
    ledger.require_known(day, f"--on {day}")
    found = ledger.currencies(asked)
    currency = found[0] if found else (asked or "usd").lower()
    theirs_minor = _minor(amount, currency)
    rules = Rules(
        policy=policy_of(known.rules),
        zone=ZoneInfo(known.timezone),
        code_version=__version__,
        merge=rules_of(ledger.config).merge,
    )
    wanted = choices(known.rules)
    zones = {s.value for choice in wanted for s in choice if s.rule == "timezone"}
    mrr_minor = mrr_under(
        connection,
        rules,
        wanted,
        {key: day_end_s(day, ZoneInfo(key)) for key in {*zones, known.timezone}},
        currency=currency,
        now_s=int(ledger.moment.timestamp()),
        progress=progress,
    )
    ours_minor = mrr_minor.pop(())
    flows = queries.flows(connection, currency)
    return PolicyComparison(
        currency=currency,
        on=day,
        timezone=known.timezone,
        ours_minor=ours_minor,
        theirs_minor=theirs_minor,
        booked_minor=sum(flow.amount_minor for flow in flows if flow.day <= day),
        found=explained(ours_minor, theirs_minor, mrr_minor),
    )


def _minor(amount: Decimal, currency: str) -> int:
    minor = amount.scaleb(exponent(currency))
    if minor != int(minor):
        raise UsageFault(
            f"--mrr {amount} has more decimals than {currency.upper()}",
            fix=f"give at most {exponent(currency)}",
        )
    return int(minor)
