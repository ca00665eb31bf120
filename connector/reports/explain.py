"""A figure taken apart: a window's ratio by customer, a customer's MRR by movement."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from connector.core.figures import Retention
from connector.core.model import (
    CustomerName,
    Flow,
    Movement,
    MovementKind,
    Refusal,
    SegmentValue,
)
from connector.core.windows import Window
from connector.metrics.contributions import Contribution, Ratio, between, in_minor_of
from connector.metrics.currency_total import retention_in_minor
from connector.metrics.retention import retention
from connector.mrr.ended_otherwise import unbilled_quantities
from connector.reports.figures import (
    cut_in,
    figures_by_segment,
    members,
    nobody_in,
    standing,
)
from connector.reports.ledger import Ledger, is_total
from connector.reports.movements import find_counted
from connector.store.ledger import customers, queries, unvalued
from connector.store.ledger.queries import Wanted
from connector.store.mirror.catalogue import price_names, read_catalogue
from connector.store.mirror.companies import is_customer
from connector.store.mirror.histories import histories_of


class WindowContributions(Struct, frozen=True, kw_only=True):
    """One currency's ratio and what each customer did to it, the largest first.

    Customers by the ledger's key. ``is_over`` is False while the ledger has not seen the
    window's end.
    """

    currency: str
    window: Window
    ratio: Ratio
    kept: Retention
    contributions: Sequence[Contribution]
    is_over: bool
    is_total: bool = False
    only: tuple[SegmentValue, ...] = ()

    @property
    def counts_customers(self) -> bool:
        """Whether it is a ratio of customers, not of what they pay."""
        return self.ratio is Ratio.CRR

    def share(self, each: Contribution) -> Fraction | None:
        """By how much of the ratio it moved it; None where there is none."""
        if not self.counts_customers:
            return self.kept.of_opening(each.amount_minor)
        return Fraction(each.customers, self.kept.customers)

    @property
    def numerator_minor(self) -> int:
        """Of NRR or GRR; of what CRR counts, what those pay who stayed."""
        return self.kept.opening_minor + sum(
            each.amount_minor for each in self.contributions
        )


class WindowExplanation(WindowContributions, frozen=True, kw_only=True):
    """The same with what customers are called; ``names`` go with ``contributions``."""

    names: Sequence[CustomerName]

    @property
    def moved(self) -> list[tuple[CustomerName, Contribution]]:
        return list(zip(self.names, self.contributions, strict=True))


def explain_window(
    ledger: Ledger,
    window: Window,
    ratio: Ratio = Ratio.NRR,
    currency: str | None = None,
    as_of: datetime | None = None,
    only: tuple[SegmentValue, ...] = (),
) -> list[WindowExplanation]:
    """Of each currency: its opening's customers, and everyone who moved the ratio."""
    found = window_contributions(ledger, window, ratio, currency, as_of, only)
    return [named(ledger, each) for each in found]


def named(ledger: Ledger, taken: WindowContributions) -> WindowExplanation:
    """With everybody's name, who may be many."""
    names = customers.accounts_of(
        ledger.connection, [each.customer for each in taken.contributions]
    )
    own = [names[each.customer] for each in taken.contributions]
    return WindowExplanation(**asdict(taken), names=own)


def window_contributions(
    ledger: Ledger,
    window: Window,
    ratio: Ratio = Ratio.NRR,
    currency: str | None = None,
    as_of: datetime | None = None,
    only: tuple[SegmentValue, ...] = (),
) -> list[WindowContributions]:
    """What is behind ``explain_window``, in which nobody has a name yet.

    With ``only``, of those alone whom all of these segments had at the opening. Raises
    ``UsageFault`` for a window that begins after the last day that is known.
    """
    ledger.require_known(window.start, f"--window from {window.start}", as_of)
    if is_total(currency):
        return [_explained_total(ledger, window, ratio, as_of, only)]
    found = _explained(ledger, window, ratio, currency, as_of, only)
    if only and not any(each.kept.customers for each in found):
        _require_anybody(ledger, window, [each.currency for each in found], as_of, only)
    return found


def _require_anybody(
    ledger: Ledger,
    window: Window,
    codes: Sequence[str],
    as_of: datetime | None,
    only: Sequence[SegmentValue],
) -> None:
    """``NothingFound`` where nobody had these segments, or came with them."""
    for code in codes:
        if any(figures_by_segment(ledger, code, [window], None, as_of, only)):
            return
    raise nobody_in(only)


def _explained(
    ledger: Ledger,
    window: Window,
    ratio: Ratio,
    currency: str | None,
    as_of: datetime | None,
    only: tuple[SegmentValue, ...],
) -> list[WindowContributions]:
    is_over = window.end <= ledger.state(as_of).today
    found = []
    for code in ledger.currencies(currency, as_of):
        ends = (window.start, window.end)
        opening, closing = standing(ledger.connection, code, ends, as_of)
        if only:
            of = cut_in(ledger, code, None, only)
            opening = members(opening, window.start, of)
        kept = retention(opening, closing)
        found.append(
            WindowContributions(
                currency=code,
                window=window,
                ratio=ratio,
                kept=kept,
                contributions=between(opening, closing, ratio),
                is_over=is_over,
                only=only,
            )
        )
    return found


def _explained_total(
    ledger: Ledger,
    window: Window,
    ratio: Ratio,
    as_of: datetime | None,
    only: tuple[SegmentValue, ...],
) -> WindowContributions:
    """All currencies in one: a customer is one, whatever it pays in."""
    from connector.reports.currency_total import CurrencyTotal

    total = CurrencyTotal(ledger, as_of)
    at = total.conversion(window)
    opening, closing = total.standing(window, at)
    if only:
        own = total.members(window, only)
        if not own and not total.segments(window, None, only):
            raise nobody_in(only)
        opening = {key: units for key, units in opening.items() if key in own}
    kept = retention(opening, closing)
    found = between(opening, closing, ratio)
    return WindowContributions(
        currency=total.currency,
        window=window,
        ratio=ratio,
        kept=retention_in_minor(kept, at.scale),
        contributions=in_minor_of(found, kept.opening_minor, at.scale, ratio),
        is_over=window.end <= total.today,
        is_total=True,
        only=only,
    )


class CustomerInWindow(NamedTuple):
    """A customer who paid at some time of a window; ``key`` is the ledger's.

    Amounts in minor units, exact: of a total they need not be whole. ``moved_minor`` adds
    up the window's movements by kind, signed. ``since`` is the day it first paid on.
    """

    key: int
    name: CustomerName
    since: date
    opening_minor: Fraction
    closing_minor: Fraction
    moved_minor: Mapping[MovementKind, Fraction]


def window_customers(
    ledger: Ledger, window: Window, currency: str, as_of: datetime | None = None
) -> list[CustomerInWindow]:
    """Everybody who paid at a window's opening or inside it, in the ledger's order.

    Their openings, closings and movements add up to the window's figures.
    """
    if is_total(currency):
        from connector.reports.currency_total import CurrencyTotal

        converted = CurrencyTotal(ledger, as_of).flows(window)
        flows: Iterable[Flow] = converted.flows
        scale = converted.conversion.scale
    else:
        flows, scale = queries.flows(ledger.connection, currency, as_of), 1
    names = customers.accounts(ledger.connection)
    found = []
    for key, moved in groupby(flows, attrgetter("customer")):
        own = [flow for flow in moved if flow.day < window.end]
        if each := _in_window(key, names[key], own, window, scale):
            found.append(each)
    return found


def _in_window(
    key: int, name: CustomerName, moved: Sequence[Flow], window: Window, scale: int
) -> CustomerInWindow | None:
    """None of who paid neither at the opening nor later."""
    inside = [flow for flow in moved if flow.day >= window.start]
    closing = sum(flow.amount_minor for flow in moved)
    opening = closing - sum(flow.amount_minor for flow in inside)
    if not (opening or inside):
        return None
    by_kind: Counter[MovementKind] = Counter()
    for flow in inside:
        by_kind[flow.kind] += flow.amount_minor
    return CustomerInWindow(
        key=key,
        name=name,
        since=moved[0].day,
        opening_minor=Fraction(opening, scale),
        closing_minor=Fraction(closing, scale),
        moved_minor={kind: Fraction(n, scale) for kind, n in by_kind.items()},
    )


class CustomerExplanation(NamedTuple):
    """A customer's movements to the end of a day, and what could not be valued.

    ``labels`` are what customers are called by id, ``prices`` what prices are. ``notes``
    are sentences on what contradicts itself. ``members`` are the customers of a company.
    """

    customer: CustomerName
    on: date
    movements: list[Movement]
    refusals: list[Refusal]
    labels: Mapping[str, str]
    prices: Mapping[str, str]
    notes: Sequence[str] = ()
    members: Sequence[CustomerName] = ()


def explain_customer(
    ledger: Ledger,
    customer: str,
    day: date | None = None,
    as_of: datetime | None = None,
) -> CustomerExplanation:
    """A customer by id or part of its name; without a day, on the last known one.

    Raises ``UsageFault`` for a day after it.
    """
    connection = ledger.connection
    found = find_counted(connection, customer)
    on = day or ledger.state(as_of).today
    ledger.require_known(on, f"--on {on}", as_of)
    of_it = {found.id, *ledger.companies.ids(found.id)}
    wanted = Wanted(customer=found.id, end=on + timedelta(days=1), as_of=as_of)
    return CustomerExplanation(
        customer=found,
        on=on,
        movements=list(queries.movements(connection, wanted)),
        refusals=[r for r in unvalued.known(connection) if r.customer in of_it],
        labels={found.id: found.shown},
        prices=price_names(connection),
        notes=_notes(ledger, found.id),
        members=_members(ledger, found.id),
    )


def _members(ledger: Ledger, company: str) -> list[CustomerName]:
    """Whose movements these are, where that is not one customer alone."""
    ids = [own[0] for own in ledger.companies.members(company)]
    if ids == [company]:
        return []
    if not is_customer(ledger.connection, company):
        ids.remove(company)
    named = customers.labels_of(ledger.connection, ids)
    return [CustomerName(each, named[each]) for each in ids if each in named]


def _notes(ledger: Ledger, customer: str) -> list[str]:
    """What its objects contradict each other in, without harm to the figures."""
    shared = read_catalogue(ledger.connection)
    members = ledger.companies.members(customer)
    known = histories_of(ledger.connection, customer, shared, members)
    return [each.sentence for own in known for each in unbilled_quantities(own)]
