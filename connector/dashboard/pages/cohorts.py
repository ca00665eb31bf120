"""Cohorts: how those who first paid in a month or quarter stayed and grew."""

from connector.core.figures import RATIOS
from connector.core.language import _, percent_sign
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest, words
from connector.metrics.cohorts import CohortPeriod
from connector.render import cohorts as forms
from connector.reports.cohorts import cohort_reports

KNOWN = frozenset(("currency", "metric", "by", "as-of"))


NOTHING = NothingPaid(lambda _: forms.to_json([]), lambda _: forms.to_csv([]))


MOST_COHORTS = 60


def answer(asked: PageRequest) -> PageAnswer:
    currency = asked.currency()
    metric = asked.query.choice("metric", RATIOS, "nrr")
    by = asked.query.choice("by", [each.value for each in CohortPeriod], "")
    size = CohortPeriod(by) if by else None
    known = asked.reading.keep(
        ("cohorts", currency, size, asked.as_of),
        lambda: cohort_reports(asked.ledger, size, currency, asked.as_of),
        lambda made: sum(len(c.ages) for each in made for c in each.cohorts),
    )
    found = known[0] if known else None
    return PageAnswer(
        template="cohorts.html.j2",
        title=_("Cohorts"),
        values={
            "found": found,
            "shown": found.cohorts[-MOST_COHORTS:] if found is not None else (),
            "metric": metric,
            "percent": percent_sign(),
            **asked.pickers(currency),
        },
        json=lambda: forms.to_json(known),
        csv=lambda: forms.to_csv(known),
        command=[
            "cohorts",
            *words(by=found.period if found is not None else None, currency=currency),
        ],
    )
