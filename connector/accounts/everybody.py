"""Who is who in several accounts: one company in some of them, or two of one id.

A ledger has already put together who is one in its own account. Here the same names are
looked for in the others, and a company's company may be of another account. An id that
two accounts have, and no company, is of two customers: each is named with its account.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from connector.mrr.companies import resolved_in_all
from connector.store.joined.database import Source
from connector.store.ledger import customers
from connector.store.mirror import companies, objects


class AccountKey(NamedTuple):
    """A customer of an account, by the key that its ledger has for it."""

    source: Source
    key: int


class Everybody:
    """All accounts' customers, by the names that they have together."""

    def __init__(self, sources: Sequence[Source], merge: Mapping[str, str]) -> None:
        self.sources, self._merge = sources, merge
        self._own = {each.account: companies.rows(each.connection) for each in sources}
        named = (
            {customer: company for customer, (company, _) in own.items()}
            for own in self._own.values()
        )
        self._last = resolved_in_all(named, merge)

    def company(self, source: Source, customer: str) -> str:
        """Under whom a customer of an account is counted in all of them."""
        _, own = self._own[source.account].get(customer, ("", customer))
        return self._last.get(own, own)

    @cached_property
    def spanning(self) -> dict[str, list[AccountKey]]:
        """Who is one in several accounts, and what it is in each."""
        asked = {last for own in self._own.values() for _, last in own.values()}
        asked |= {*self._last.values(), *self._merge.values()}
        found: dict[str, list[AccountKey]] = defaultdict(list)
        renamed = set()
        for source in self.sources if asked else ():
            own = self._own[source.account]
            for name, key in customers.keys_among(source.connection, asked).items():
                if name not in own:
                    company = self.company(source, name)
                    found[company].append(AccountKey(source, key))
                    if company != name:
                        renamed.add(company)
        return {
            name: sorted(keys, key=lambda each: each.source.account)
            for name, keys in sorted(found.items())
            if len(keys) > 1 or name in renamed
        }

    @cached_property
    def ever_spanning(self) -> dict[str, list[AccountKey]]:
        """The same, with the companies that nobody is of any more.

        Past moments still know them. Such a name is no customer of Stripe's in an
        account, and all that was ever booked of it there is taken back.
        """
        former: dict[str, list[AccountKey]] = defaultdict(list)
        named = set()
        for source in self.sources if self._twice else ():
            own = customers.keys_among(source.connection, self._twice)
            for name, key in own.items():
                former[name].append(AccountKey(source, key))
            gone = customers.taken_back(source.connection, own)
            named |= gone - objects.known_among(source.connection, gone)
        return {**self.spanning, **{name: former[name] for name in sorted(named)}}

    def keys_in(self, source: Source) -> set[int]:
        """The keys of those who are in other accounts, too, or ever were."""
        return _keys_in(source, self.ever_spanning)

    def names(self, source: Source, ids: Iterable[str] | None = None) -> dict[str, str]:
        """What its customers, or some, are called, where not by their ids."""
        twice = self._twice if ids is None else self._twice.intersection(ids)
        return {
            each: f"{source.account}/{each}"
            for each in twice
            if each not in self.ever_spanning
        }

    def renaming(
        self, source: Source
    ) -> tuple[Callable[[str], str], Callable[[str], str | None]]:
        """What a customer of an account is called, and who of it is called so."""
        ahead = f"{source.account}/"

        def called(customer: str) -> str:
            company = self.company(source, customer)
            return self.names(source, [company]).get(company, company)

        def own(name: str) -> str | None:
            found = self.ever_spanning.get(name)
            if found is None:
                return name.removeprefix(ahead)
            keys = [each.key for each in found if each.source == source]
            return customers.ids_of(source.connection, keys)[0] if keys else None

        return called, own

    @cached_property
    def _twice(self) -> set[str]:
        """The ids that several accounts have."""
        seen: Counter[str] = Counter()
        for source in self.sources:
            spanning = _keys_in(source, self.spanning)  # these have one name in all
            own = customers.ids(source.connection).items()
            seen.update(name for key, name in own if key not in spanning)
        return {each for each, times in seen.items() if times > 1}

    def companies_in(
        self, source: Source, names: Mapping[str, str]
    ) -> dict[str, tuple[str, str]]:
        """Whose company is named how, and under whom each is counted, by their names."""
        return {
            names.get(each, each): (company, self.company(source, each))
            for each, (company, _) in self._own[source.account].items()
        }


def _keys_in(source: Source, spanning: Mapping[str, Iterable[AccountKey]]) -> set[int]:
    return {
        each.key for keys in spanning.values() for each in keys if each.source is source
    }
