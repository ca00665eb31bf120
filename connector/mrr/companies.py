"""Customers that are one company: whose figures are whose, and one derivation of several.

Each customer of a company is derived by itself, as if there were no other: its discounts,
its invoices and what it is refused are its own. Their steps are put together before
movements are told from them, so that who moves from one to the other neither leaves nor
comes. Ids that a customer moved away from (``merge``) are another thing: these share one
history.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from operator import attrgetter

from msgspec.structs import replace

from connector.core.invoiced import CustomerCoverage, invoiced_together
from connector.core.model import Cause, Component, Movement, MrrStep, classify
from connector.mrr.history import History

# The ids of each customer that is counted as one, first the one that it has now.
CompanyParts = tuple[tuple[str, ...], ...]


class Companies:
    """Under which id each customer is counted: its own, another's, or a company's.

    ``company_of`` has those who are counted under another than their own.
    """

    def __init__(
        self, merge: Mapping[str, str], company_of: Mapping[str, str] | None = None
    ) -> None:
        self._merge, self._company_of = merge, company_of or {}
        self._former: dict[str, list[str]] = defaultdict(list)
        for old, new in sorted(merge.items()):
            self._former[new].append(old)
        self._parts: dict[str, list[str]] = defaultdict(list)
        for customer, company in sorted(self._company_of.items()):
            if customer not in merge:
                self._parts[company].append(customer)

    def of(self, customer: str) -> str:
        now = self._merge.get(customer, customer)
        return self._company_of.get(now, now)

    def is_another(self, customer: str) -> bool:
        """Whether it has nothing of its own."""
        return self.of(customer) != customer

    def has_parts(self, name: str) -> bool:
        """Whether other ids are counted under this one."""
        return name in self._former or name in self._parts

    def parts(self, name: str) -> CompanyParts:
        """Whose histories are counted under an id; none where it is another's itself."""
        if self.is_another(name):
            return ()
        own = [name, *self._parts.get(name, ())]
        return tuple((each, *self._former.get(each, ())) for each in own)

    def ids(self, name: str) -> list[str]:
        """Every id that is counted under one, itself first."""
        return [each for own in self.parts(name) for each in own]

    def affected(self, customers: Iterable[str]) -> list[str]:
        """These, and those under whom they are counted, in order of their ids."""
        named = set(customers)
        return sorted(named | {self.of(each) for each in named})


def resolved(named: Mapping[str, str], merge: Mapping[str, str]) -> dict[str, str]:
    """Under which id each customer is counted whose company is ``named``.

    A company's company is meant; of a circle it is the smallest id. Who comes out as
    itself is left out.
    """
    found = {each: _last(each, named, merge) for each in named if each not in merge}
    return {each: last for each, last in found.items() if each != last}


def resolved_in_all(
    own: Iterable[Mapping[str, str]], merge: Mapping[str, str]
) -> dict[str, str]:
    """The same of customers of several accounts, each with what its own one ``named``.

    Should two accounts name two companies for one id, it is the smaller name.
    """
    named: dict[str, str] = {}
    for each in own:
        for customer, company in each.items():
            named[customer] = min(company, named.get(customer, company))
    return resolved(named, merge)


def _last(customer: str, named: Mapping[str, str], merge: Mapping[str, str]) -> str:
    way: list[str] = []
    while customer not in way:
        way.append(customer)
        company = named.get(customer)
        if company is None:
            return customer
        customer = merge.get(company, company)
    return min(way[way.index(customer) :])


def oldest_first(histories: Sequence[History]) -> list[History]:
    """The company's own one, if it is a customer, then as they were made at Stripe."""

    def age(history: History) -> tuple[bool, bool, int, str]:
        profile = history.profile
        is_another = history.customer != history.counted_as
        made_s = 0 if profile is None else profile.created
        return is_another, profile is None, made_s, history.customer

    return sorted(histories, key=age)


def steps_together(
    steps: Mapping[str, Iterable[MrrStep]],
) -> Sequence[MrrStep]:
    """Steps by customer → those of all of them, in order of time.

    Items without a subscription are told apart by their customer: their names are no ids.
    """
    if len(steps) == 1:
        [alone] = steps.values()
        return list(alone)
    every = (
        step if step.subscription else replace(step, item=f"{step.item} ({customer})")
        for customer, own in steps.items()
        for step in own
    )
    return sorted(every, key=attrgetter("at_s"))


def coverage_together(parts: Mapping[str, CustomerCoverage]) -> CustomerCoverage:
    """Every class's sums; what is not counted keeps its customer in its item."""
    if len(parts) == 1:
        [alone] = parts.values()
        return alone
    outside = [
        each._replace(item=f"{each.item} ({customer})")
        for customer, part in parts.items()
        for each in part.not_counted
    ]
    coming = [each.next_s for each in parts.values() if each.next_s is not None]
    return CustomerCoverage(
        sums=invoiced_together(part.sums for part in parts.values()),
        not_counted=tuple(outside),
        next_s=min(coming, default=None),
    )


def movements_together(company: str, booked: Iterable[Movement]) -> list[Movement]:
    """Customers' movements → those of all of them as one, by day, then currency.

    For customers whose steps are not at hand, as those of several ledgers: what they say
    of items that begin or end is told by what the company pays beside them.
    """
    by_currency: dict[str, dict[date, list[Movement]]] = {}
    for each in booked:
        days = by_currency.setdefault(each.currency, {})
        days.setdefault(each.day, []).append(each)
    found = [
        movement
        for days in by_currency.values()
        for movement in _in_currency(company, days)
    ]
    return sorted(found, key=attrgetter("day", "currency"))


def _in_currency(
    company: str, days: Mapping[date, Sequence[Movement]]
) -> Iterator[Movement]:
    before_minor, has_paid = 0, False
    for day, own in sorted(days.items()):
        after_minor = before_minor + sum(each.amount_minor for each in own)
        kind = classify(before_minor, after_minor, has_paid=has_paid)
        if kind is not None:
            has_paid = True
            yield Movement(
                customer=company,
                currency=own[0].currency,
                day=day,
                kind=kind,
                amount_minor=after_minor - before_minor,
                before_minor=before_minor,
                after_minor=after_minor,
                components=_components(own, before_minor, after_minor),
            )
        before_minor = after_minor


def _components(
    booked: Sequence[Movement], before_minor: int, after_minor: int
) -> tuple[Component, ...]:
    parts = [part for each in booked for part in each.components]
    causes = {part.cause for part in parts}
    named: dict[Cause, Cause] = {}
    if before_minor:
        named[Cause.START] = Cause.PLAN if causes & _ENDS else Cause.ADD_ON
    if after_minor:
        named[Cause.END] = Cause.PLAN if causes & _STARTS else Cause.REMOVAL
    return tuple(
        replace(part, cause=named.get(part.cause, part.cause)) for part in parts
    )


_STARTS = {Cause.START, Cause.ADD_ON}
_ENDS = {Cause.END, Cause.REMOVAL}
