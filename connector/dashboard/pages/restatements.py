"""Restatements: what was booked in closed months since, a run at a time."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from connector.core.language import _
from connector.core.policy import differences
from connector.dashboard.answer import MOST_LINES, PageAnswer, PageRequest, words
from connector.render import restatements as forms
from connector.render.report.json_form import facts_json
from connector.reports.closings.restatements import (
    RestatementLine,
    Restatements,
    restated_windows,
)

KNOWN = frozenset(("since", "account"))


class BookedRun(NamedTuple):
    """What one run changed of closed months; ``changed`` are the rules it changed."""

    lines: Sequence[RestatementLine]
    changed: Sequence[str]

    @property
    def run(self) -> Any:
        return self.lines[0].run


def answer(asked: PageRequest) -> PageAnswer:
    """Months are closed account by account: of several one is shown at a time."""
    day = asked.query.day("since")
    names = asked.ledger.added().names
    account = asked.query.choice("account", names, names[0]) if names else ""
    part = asked.ledger.parts[names.index(account) if names else 0]
    found = asked.reading.keep(
        ("restatements", account, day),
        lambda: restated_windows(part.ledger, day),
        lambda made: len(made.labels),
    )
    return PageAnswer(
        template="restatements.html.j2",
        title=_("Restatements"),
        values={
            "found": found,
            "runs": _runs(found),
            "since": day,
            "most": MOST_LINES,
            "accounts": names,
            **({"account": account} if names else {}),
            "called": part.called,
        },
        json=lambda: {
            **facts_json(part.ledger.facts()),
            **forms.restated_json(found),
        },
        csv=lambda: forms.restated_csv(found),
        command=["restatements", *words(since=day, account=account or None)],
        tells_facts=False,
    )


def _runs(found: Restatements) -> list[BookedRun]:
    """Each line once, though several windows hold it; the newest run first."""
    booked = {id(line): line for each in found.windows for line in each.lines}
    lines = sorted(booked.values(), key=lambda x: (-x.run.id, x.customer, x.day))
    runs = (list(of_run) for _, of_run in groupby(lines, key=lambda x: x.run.id))
    return [
        BookedRun(own, differences(own[0].run.policy_before, own[0].run.policy))
        for own in runs
    ]
