"""The standard windows' figures as sums, kept as what changes from window to window.

A window's figures are sums over customers, so those of some customers can be taken out
and put back when their movements change. Kept are only differences between neighbouring
windows of a kind: after the last movement nothing changes, so every later window is known
too, and a ledger needs some rows a month, however many customers it has.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import add, sub
from typing import NamedTuple

from connector.model import (
    Flow,
    Renewals,
    Retention,
    Term,
    Waterfall,
    Window,
    WindowKind,
)
from connector.periods import add_months
from connector.retention import Measured, measure, windows

# One window's figures as plain numbers, in this order.
FIGURES = (
    *("opening_minor", "new_minor", "reactivation_minor", "expansion_minor"),
    *("contraction_minor", "churn_minor", "closing_minor", "paying"),
    *("base_customers", "base_kept", "base_expansion_minor"),
    *("base_contraction_minor", "base_churn_minor"),
    *("terms_ended", "terms_renewed", "terms_ended_minor", "terms_renewed_minor"),
)
Figures = tuple[int, ...]
NOTHING: Figures = (0,) * len(FIGURES)

# The longest time after a movement in which a window still changes because of it.
REACH_MONTHS = 13


class Account(NamedTuple):
    """All movements and terms of a customer, or of several, in whatever currency."""

    flows: tuple[tuple[str, Flow], ...] = ()  # each with its currency
    terms: tuple[Term, ...] = ()


def by_currency(accounts: Iterable[Account]) -> dict[str, list["Change"]]:
    """Each currency's ``changes`` for these customers together."""
    flows: dict[str, list[Flow]] = {}
    terms: dict[str, list[Term]] = {}
    for account in accounts:
        for currency, flow in account.flows:
            flows.setdefault(currency, []).append(flow)
        for term in account.terms:
            terms.setdefault(term.currency, []).append(term)
    for own in flows.values():
        own.sort(key=lambda flow: flow.day)
    return {
        currency: changes(flows.get(currency, []), sorted(terms.get(currency, [])))
        for currency in sorted(flows.keys() | terms.keys())
    }


class Change(NamedTuple):
    """By how much a window's figures differ from those of the window before it."""

    window: Window
    figures: Figures


def changes(flows: Sequence[Flow], terms: Sequence[Term]) -> list[Change]:
    """Every standard window at which the figures of these customers change.

    ``flows`` and ``terms`` are in order of days, all of one currency, and all there are
    of their customers.
    """
    days = [each[0].day for each in (flows, terms) if each]
    ends = [each[-1].day for each in (flows, terms) if each]
    if not days:
        return []
    last = add_months(max(ends), REACH_MONTHS)
    found = []
    for kind in WindowKind:
        before = NOTHING
        for measured in measure(flows, windows(kind, min(days), last), terms=terms):
            now = flat(measured)
            if now != before:
                difference = tuple(map(sub, now, before))
                found.append(Change(measured.window, difference))
            before = now
    return found


def figures_of(changes: Iterable[Change], wanted: Sequence[Window]) -> list[Measured]:
    """The figures of the windows wanted, from all changes up to them, by start."""
    reached: dict[WindowKind, list[Change]] = {}
    for change in changes:
        reached.setdefault(change.window.kind, []).append(change)
    sums = {kind: _summed(own) for kind, own in reached.items()}
    return [
        _measured(window, _at(sums.get(window.kind, []), window)) for window in wanted
    ]


def _summed(changes: Iterable[Change]) -> list[Change]:
    def reach(before: Change, change: Change) -> Change:
        return Change(change.window, tuple(map(add, before.figures, change.figures)))

    return list(accumulate(changes, reach))


def _at(sums: Sequence[Change], window: Window) -> Figures:
    figures = NOTHING
    for each in sums:
        if each.window.start > window.start:
            break
        figures = each.figures
    return figures


def flat(measured: Measured) -> Figures:
    """A window's figures as numbers, in the order of ``FIGURES``; terms must be known."""
    flow, base, terms = measured.waterfall, measured.retention, measured.renewals
    assert terms is not None, "measure with the terms"
    return (
        *(flow.opening_minor, flow.new_minor, flow.reactivation_minor),
        *(flow.expansion_minor, flow.contraction_minor, flow.churn_minor),
        *(flow.closing_minor, measured.paying),
        *(base.customers, base.kept, base.expansion_minor),
        *(base.contraction_minor, base.churn_minor),
        *(terms.ended, terms.renewed, terms.ended_minor, terms.renewed_minor),
    )


def _measured(window: Window, figures: Figures) -> Measured:
    told: Mapping[str, int] = dict(zip(FIGURES, figures, strict=True))
    opening_minor = told["opening_minor"]
    grown_minor = told["base_expansion_minor"]
    lost_minor = told["base_contraction_minor"] + told["base_churn_minor"]
    return Measured(
        window,
        Waterfall(
            opening_minor=opening_minor,
            new_minor=told["new_minor"],
            reactivation_minor=told["reactivation_minor"],
            expansion_minor=told["expansion_minor"],
            contraction_minor=told["contraction_minor"],
            churn_minor=told["churn_minor"],
            fx_minor=0,
            closing_minor=told["closing_minor"],
        ),
        Retention(
            customers=told["base_customers"],
            kept=told["base_kept"],
            opening_minor=opening_minor,
            expansion_minor=grown_minor,
            contraction_minor=told["base_contraction_minor"],
            churn_minor=told["base_churn_minor"],
            closing_minor=opening_minor + grown_minor - lost_minor,
        ),
        told["paying"],
        Renewals(
            ended=told["terms_ended"],
            renewed=told["terms_renewed"],
            ended_minor=told["terms_ended_minor"],
            renewed_minor=told["terms_renewed_minor"],
        ),
    )
