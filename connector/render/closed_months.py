"""A closed month, and what has changed in closed months, as text, JSON and CSV."""

from collections.abc import Iterator
from typing import Any

from connector.core.kept.months import Closing
from connector.core.language import _, day_text, month_text
from connector.core.windows import name_of
from connector.render.report.footnotes import despite_sentence, policy_sentence
from connector.render.report.json_form import (
    currency_json,
    despite_json,
    measured_json,
    span_json,
    utc,
)
from connector.render.table import (
    Column,
    Money,
    Part,
    Table,
    Title,
    figure,
    ratio_figures,
    table_of,
)
from connector.reports.closings.closed_months import ClosedMonth
from connector.reports.model import title_of


def closing_parts(closed: ClosedMonth) -> Iterator[Part]:
    closing, kept, was_closed, seal = closed
    name = month_text(closing.month)
    verb = _("was already closed, and stays as it is") if was_closed else _("is closed")
    if closing.withdrawn is not None:
        yield _(
            "{closing}\nIt is shown as reported no longer, and can be closed again; "
            "`stripe-nrr restatements` still tells of it.\nSealed: {seal}"
        ).format(closing=withdrawn_sentence(closing), seal=seal)
        return
    sealed = (
        _("Sealed: {seal}").format(seal=seal)
        if seal
        else _("Not sealed yet: the next closing does it")
    )
    despite = f"{despite_sentence(closing)}\n" if closing.despite else ""
    policy = policy_sentence(closing.policy)
    counted = _("What counted: {policy}.").format(policy=policy)
    again = _("The same again, whatever is corrected later:")
    yield Title(f"{name} {verb}.")
    if kept:
        yield _reported_table(closed)
    yield (
        f"{despite}"
        f"{counted}\n"
        f"{sealed}\n"
        f"{again}\n"
        f"  stripe-nrr report --from {closing.month:%Y-%m} --to {closing.month:%Y-%m} "
        f"--as-of {utc(closing.closed_at)}"
    )


def _reported_table(closed: ClosedMonth) -> Table:
    return table_of(
        closed.figures,
        Column(_("As reported"), lambda each: name_of(each.measured.window)),
        Column("", lambda each: title_of(each.currency, is_total=each.is_total)),
        figure(
            _("Opening"),
            lambda each: Money(each.measured.waterfall.opening_minor, each.currency),
        ),
        figure(
            _("Closing"),
            lambda each: Money(each.measured.waterfall.closing_minor, each.currency),
        ),
        *ratio_figures(lambda each: each.measured.retention),
    )


def closing_json(closed: ClosedMonth) -> dict[str, Any]:
    closing, kept, was_closed, seal = closed
    return {
        "month": f"{closing.month:%Y-%m}",
        "closed_at": utc(closing.closed_at),
        "was_closed": was_closed,
        **how_it_stands(closing),
        "code_version": closing.code_version,
        "policy": dict(closing.policy),
        "seal": seal,
        "figures": [
            {
                **currency_json(each.currency, is_total=each.is_total),
                **span_json(each.measured.window),
                **measured_json(each.measured),
            }
            for each in kept
        ],
    }


def how_it_stands(closing: Closing) -> dict[str, Any]:
    """Despite what it was closed, and why it was withdrawn; None where neither."""
    gone = closing.withdrawn
    return {
        "closed_despite": despite_json(closing) if closing.despite else None,
        "withdrawn": None
        if gone is None
        else {"at": utc(gone.at), "reason": gone.reason},
    }


def withdrawn_sentence(closing: Closing) -> str:
    gone = closing.withdrawn
    assert gone is not None
    return _("{month}, closed on {closed}, was withdrawn on {at}: {reason}").format(
        month=month_text(closing.month),
        closed=day_text(closing.closed_at),
        at=day_text(gone.at),
        reason=gone.reason,
    )
