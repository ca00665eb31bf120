"""What is put into a joined ledger: sums at once, everybody when that is asked for.

Who is one customer in several accounts has its movements told anew from those of all of
them, for every moment at which one of their ledgers was changed: so the past can be read
as of any of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property, partial
from itertools import chain

from connector.accounts.everybody import AccountKey, Everybody
from connector.core.dates import local_day
from connector.core.model import ContractTerm, Flow, MainPrice, Movement
from connector.core.policy import zone_in
from connector.metrics.rollups import CustomerBooks, differences
from connector.mrr.companies import movements_together
from connector.mrr.several_accounts import (
    main_prices_together,
    paying_most,
    renamed_prices,
    terms_together,
    with_main_price,
    with_prices,
)
from connector.store.database import setting
from connector.store.joined import rows, spanning
from connector.store.joined.database import EXPLAINED, MOVED, JoinedConnection, Source
from connector.store.joined.spanning import KnownRun, PostedMovement
from connector.store.ledger import contract_terms, coverage, posting, rollups
from connector.store.mirror import companies, unfit_objects


class Joining:
    """The ledgers of several accounts, and the one into which they are put."""

    def __init__(self, target: JoinedConnection, everybody: Everybody) -> None:
        self.target, self.everybody = target, everybody
        self.sources = everybody.sources

    def put_sums(self) -> None:
        """What a report of the standard windows reads; all else waits to be asked for."""
        for source in self.sources:
            rollups.add_all(self.target, source.connection)
            rows.put_notes(self.target, source, partial(self.everybody.names, source))
            coverage.add_all(self.target, source.connection)
            coverage.add_refused(self.target, _set_aside(source))
        rollups.add(self.target, differences(self._apart(), self._together()))
        self.target.waiting = (
            (MOVED, self._put_everybody),
            (EXPLAINED, self._put_components),
        )

    def _apart(self) -> Iterator[CustomerBooks]:
        """Who is one in several accounts, as each account has it."""
        every = chain.from_iterable(self.everybody.spanning.values())
        for number, each in enumerate(every):
            yield _books(number, _live_of([each]), [each])

    def _together(self) -> Iterator[CustomerBooks]:
        for number, (name, keys) in enumerate(self.everybody.spanning.items()):
            yield _books(number, movements_together(name, _live_of(keys)), keys)

    # Everybody

    def _put_everybody(self) -> None:
        grouped: dict[str, tuple[str, str]] = {}
        for source in self.sources:
            but = self.everybody.keys_in(source)
            names, prices = self.everybody.names(source), self._prices[source.account]
            rows.put_customers(self.target, source, names, but=but)
            rows.put_movements(self.target, source, but=but)
            rows.put_plans(self.target, source, prices, but=but)
            spanning.put_accounts_of_all(self.target, source, but=but)
            grouped |= self.everybody.companies_in(source, names)
            sold = self._sold[source.account].items()
            rows.put_prices(self.target, {prices.get(k, k): name for k, name in sold})
        companies.put(self.target, grouped)
        for name, keys in self.everybody.ever_spanning.items():
            self._put_one(name, keys)

    def _put_components(self) -> None:
        for source in self.sources:
            but, prices = self.everybody.keys_in(source), self._prices[source.account]
            rows.put_components(self.target, source, prices, but=but)

    @cached_property
    def _sold(self) -> dict[str, dict[str, str]]:
        """By account, what each of its prices sells."""
        return {each.account: rows.price_names(each) for each in self.sources}

    @cached_property
    def _prices(self) -> dict[str, dict[str, str]]:
        return renamed_prices(self._sold)

    # One customer of several accounts

    def _put_one(self, name: str, keys: Sequence[AccountKey]) -> None:
        posted = {each: spanning.posted(*each) for each in keys}
        key = spanning.put_customer(self.target, name, _shown(keys, posted))
        for number, live in self._moments(posted):
            run = KnownRun(self.target, number)
            booked = posting.live_movements(self.target, [key])[key]
            wanted = movements_together(name, live)
            posting.settle(self.target, run, key, booked, wanted)
        accounts = paying_most(
            (each.source.account, it) for each in keys for it in _live_of([each])
        )
        for code, days in accounts.items():
            told = [(key, code, day, account) for day, account in days]
            spanning.put_accounts(self.target, told)
        own = {each.source.account: self._main_prices(each) for each in keys}
        prices = main_prices_together(own, accounts)
        contract_terms.put_main_prices(self.target, key, prices)
        contract_terms.put_terms(self.target, key, _terms(keys, key))
        coverage.put_added(self.target, key, map(_invoiced, keys))

    def _moments(
        self, posted: Mapping[AccountKey, Sequence[PostedMovement]]
    ) -> Iterator[tuple[int, list[Movement]]]:
        """Each run that changed anything, and what was live after it."""
        told = [
            it._replace(movement=self._named(each.source, it.movement))
            for each, own in posted.items()
            for it in own
        ]
        runs = sorted({run for it in told for run in it.runs})
        for at, number in dict(runs).items():  # the last one of each moment
            yield number, [it.movement for it in told if it.is_live(at)]

    def _named(self, source: Source, movement: Movement) -> Movement:
        return with_prices(movement, self._prices[source.account])

    def _main_prices(self, each: AccountKey) -> list[MainPrice]:
        names = self._prices[each.source.account]
        own = contract_terms.main_prices_of(each.source.connection, each.key)
        return [with_main_price(it, names) for it in own]


def _live_of(keys: Iterable[AccountKey]) -> list[Movement]:
    posted = (it for each in keys for it in spanning.posted(*each))
    return [it.movement for it in posted if it.is_live()]


def _books(
    number: int, movements: Iterable[Movement], keys: Iterable[AccountKey]
) -> CustomerBooks:
    flows = sorted(
        (m.currency, Flow(number, m.day, m.kind, m.amount_minor)) for m in movements
    )
    return CustomerBooks(tuple(flows), tuple(_terms(keys, number)))


def _terms(keys: Iterable[AccountKey], key: int) -> list[ContractTerm]:
    found = (
        (each.source.account, term._replace(customer=key))
        for each in keys
        for term in contract_terms.terms_of(each.source.connection, each.key)
    )
    return terms_together(found)


def _invoiced(each: AccountKey) -> bytes:
    kept = coverage.kept(each.source.connection, [each.key])
    return kept[each.key][0] if each.key in kept else b"{}"


def _shown(
    keys: Sequence[AccountKey], posted: Mapping[AccountKey, Sequence[PostedMovement]]
) -> tuple[str | None, str | None]:
    """The label, and the country that it has in the account where it first paid."""

    def began(each: AccountKey) -> tuple[date, str]:
        days = (it.movement.day for it in posted[each])
        return min(days, default=date.max), each.source.account

    shown = [spanning.shown_as(*each) for each in sorted(keys, key=began)]
    labels, countries = (filter(None, each) for each in zip(*shown, strict=True))
    return next(labels, None), next(countries, None)


def _set_aside(source: Source) -> Iterator[tuple[str, str, int]]:
    """What its invoices that do not fit bill: currency, month and minor units."""
    zone = zone_in(setting(source.connection, "rules"))
    if zone is None:  # before its first sync
        return
    for code, billed_s, minor in unfit_objects.invoiced(source.connection):
        yield code, f"{local_day(billed_s, zone):%Y-%m}", minor
