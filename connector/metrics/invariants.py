"""The invariants of the ledger, as a list of small functions → findings.

Comes in: the live movements by customer, and figures measured from them. An empty list of
findings is what every ledger should give.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from connector.core.figures import WindowFigures
from connector.core.invoiced import OutsideMrr
from connector.core.model import Movement, Refusal, classify
from connector.core.money import format_minor
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.retention import is_same


class Finding(NamedTuple):
    """``rule`` is broken by ``subject``: ``what`` is the case."""

    rule: str
    subject: str
    what: str


def each_goes_on_where_the_last_stopped(own: Sequence[Movement]) -> Iterator[Finding]:
    """A customer's movements add up to its MRR on every day."""
    balance_minor = 0
    for movement in own:
        if movement.before_minor != balance_minor:
            yield Finding(
                "movements add up",
                _subject(movement),
                f"starts from {movement.before_minor}, but the movements before "
                f"it add up to {balance_minor}",
            )
        balance_minor = movement.after_minor


def each_has_the_right_kind(own: Sequence[Movement]) -> Iterator[Finding]:
    """Only the first movement is new; the others are named by before and after."""
    for position, movement in enumerate(own):
        right = classify(
            movement.before_minor, movement.after_minor, has_paid=position > 0
        )
        if movement.kind is not right:
            what = f"is booked as {movement.kind}, but is {right}"
            yield Finding("kinds", _subject(movement), what)


def _subject(movement: Movement) -> str:
    return f"{movement.customer} {movement.day} {movement.currency}"


def each_is_explained(own: Sequence[Movement]) -> Iterator[Finding]:
    """Components add up to their movement, and each names its evidence."""
    for movement in own:
        subject = _subject(movement)
        explained_minor = sum(part.amount_minor for part in movement.components)
        if explained_minor != movement.amount_minor:
            what = (
                f"components add up to {explained_minor}, not {movement.amount_minor}"
            )
            yield Finding("components add up", subject, what)
        if not all(part.evidence for part in movement.components):
            yield Finding("evidence", subject, "a component names no evidence")


MOVEMENT_CHECKS: Sequence[Callable[[Sequence[Movement]], Iterator[Finding]]] = (
    each_goes_on_where_the_last_stopped,
    each_has_the_right_kind,
    each_is_explained,
)


def waterfall_closes(currency: str, measured: WindowFigures) -> Iterator[Finding]:
    """Opening + new + reactivation + expansion − contraction − churn = closing."""
    flow = measured.waterfall
    gained = flow.new_minor + flow.reactivation_minor + flow.expansion_minor
    lost = flow.contraction_minor + flow.churn_minor
    reached = flow.opening_minor + gained - lost + flow.fx_minor
    if reached != flow.closing_minor:
        what = f"adds up to {reached}, but closes at {flow.closing_minor}"
        yield Finding("waterfall", _named(currency, measured), what)


def ratios_are_in_order(currency: str, measured: WindowFigures) -> Iterator[Finding]:
    """0 ≤ GRR ≤ min(1, NRR), and no ratio where nobody paid at the opening."""
    kept = measured.retention
    if kept.nrr is None or kept.grr is None:
        if kept.opening_minor:
            yield Finding(
                "ratios", _named(currency, measured), "no ratio of an opening"
            )
    elif not 0 <= kept.grr <= min(kept.nrr, Fraction(1)):
        what = f"GRR {kept.grr}, NRR {kept.nrr}"
        yield Finding("ratios", _named(currency, measured), what)


def opening_is_the_customers(
    currency: str, measured: WindowFigures
) -> Iterator[Finding]:
    """The waterfall's opening is what its customers paid."""
    everybody = measured.waterfall.opening_minor
    customers = measured.retention.opening_minor
    if everybody != customers:
        what = f"the waterfall opens at {everybody}, its customers at {customers}"
        yield Finding("opening", _named(currency, measured), what)


WINDOW_CHECKS: Sequence[Callable[[str, WindowFigures], Iterator[Finding]]] = (
    waterfall_closes,
    ratios_are_in_order,
    opening_is_the_customers,
)


def _named(currency: str, measured: WindowFigures) -> str:
    window = measured.window
    return f"{currency} {window.kind} {window.start} to {window.end}"


def sums_are_kept(
    currency: str, counted: Sequence[WindowFigures], kept: Sequence[WindowFigures]
) -> list[Finding]:
    """What reports read is what the movements and terms add up to."""
    return [
        Finding(
            "sums", _named(currency, now), "is kept otherwise: recompute the ledger"
        )
        for now, then in zip(counted, kept, strict=True)
        if now != then
    ]


def columns_are_kept(stale: Iterable[Iterable[str]]) -> list[Finding]:
    """What wide reports read is what the tables say; each: some customers' ids."""
    return [
        Finding(
            "columns",
            f"{first} and others",
            "are packed otherwise than booked: recompute the ledger",
        )
        for first, *_ in stale
    ]


def refusal_findings(refusals: Sequence[Refusal]) -> list[Finding]:
    """What could not be valued is missing from every figure."""
    return [
        Finding(
            "not valued",
            f"{r.customer} {r.object_id}".strip(),
            f"{r.field} is {r.value}",
        )
        for r in refusals
    ]


def outside_findings(outside: Iterable[OutsideMrr]) -> list[Finding]:
    """What recurs and is in no figure, until it is counted or accepted."""
    return [
        Finding(
            "recurring, not counted",
            f"{each.customer} {each.currency}",
            f"is invoiced {format_minor(each.monthly_minor, each.currency)} a month "
            f"without a subscription ({each.reason.replace('_', ' ')}, "
            f"{each.last_invoice}); `stripe-nrr coverage` says what to do",
        )
        for each in outside
        if each.monthly_minor and not each.accepted
    ]


def coverage_is_kept(
    kept: Mapping[tuple[str, str, str], int],
    counted: Mapping[tuple[str, str, str], int],
) -> list[Finding]:
    """What `coverage` reads, by currency, month and class, is what customers add up to."""
    return [
        Finding("coverage", " ".join(key), "is kept otherwise: recompute the ledger")
        for key in sorted(kept.keys() | counted.keys())
        if kept.get(key, 0) != counted.get(key, 0)
    ]


def every_window(first: date | None, today: date) -> list[Window]:
    """The standard windows of all kinds, from the first movement's day to today."""
    since = first or today
    return [w for kind in WindowKind for w in windows(kind, since, today)]


def restated_findings(
    closed: Iterable[tuple[str, WindowFigures, WindowFigures]],
) -> list[Finding]:
    """The ledger as of a closing gives what was reported; each: currency, was, is."""
    return [
        Finding(
            "as reported", _named(currency, was), "is another one as of its closing"
        )
        for currency, was, now in closed
        if not is_same(was, now)
    ]


def movement_findings(movements: Iterable[Movement]) -> list[Finding]:
    """Of all movements, by customer, currency and day."""
    found: list[list[Finding]] = [[] for _ in MOVEMENT_CHECKS]
    for _, group in groupby(movements, key=attrgetter("customer", "currency")):
        own = list(group)
        for findings, check in zip(found, MOVEMENT_CHECKS, strict=True):
            findings.extend(check(own))
    return [finding for findings in found for finding in findings]


def window_findings(currency: str, measured: Iterable[WindowFigures]) -> list[Finding]:
    return [
        f for each in measured for check in WINDOW_CHECKS for f in check(currency, each)
    ]
