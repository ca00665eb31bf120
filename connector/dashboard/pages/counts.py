"""What counts: the rules in force, and what could not be valued."""

from collections.abc import Sequence
from typing import NamedTuple

from connector.core.language import _
from connector.core.policy import POLICY_RULES
from connector.dashboard import frame
from connector.dashboard.answer import MOST_LINES, PageAnswer, PageRequest
from connector.render.csv_table import csv_text
from connector.store.ledger import unvalued

KNOWN = frozenset[str]()


class CountingRule(NamedTuple):
    key: str
    value: str
    sentence: str
    others: Sequence[str]


def answer(asked: PageRequest) -> PageAnswer:
    known = asked.state
    rules = [
        CountingRule(
            key=rule.key,
            value=rule.of(known.policy),
            sentence=rule.sentence(rule.of(known.policy)),
            others=[each for each in rule.values if each != rule.of(known.policy)],
        )
        for rule in POLICY_RULES.values()
    ]
    refusals = unvalued.known(asked.ledger.connection)
    return PageAnswer(
        template="counts.html.j2",
        title=_("What counts"),
        values={
            "rules": rules,
            "refusals": refusals,
            "most": MOST_LINES,
            "places": frame.places_in_stripe(
                asked.ledger, {each.object_id for each in refusals}
            ),
            "has_other_rules": asked.ledger.has_other_rules,
        },
        command=["report"],  # which has them beside its figures
        json=lambda: {
            "policy": dict(known.policy),
            "timezone": known.timezone,
            "refused": [
                {"customer": r.customer, "object_id": r.object_id}
                | {"field": r.field, "value": r.value}
                for r in refusals
            ],
        },
        csv=lambda: csv_text(
            ("setting", "in force"), ((rule.key, rule.value) for rule in rules)
        ),
    )
