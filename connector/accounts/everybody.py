"""Who is who in several accounts: one company in some of them, or two of one id.

A ledger has already put together who is one in its own account. Here the same names are
looked for in the others, and a company's company may be of another account. An id that
two accounts have, and no company, is of two customers: each is named with its account.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from connector.mrr.companies import resolved
from connector.store.joined import Source
from connector.store.ledger import customers
from connector.store.mirror import companies


class AccountKey(NamedTuple):
    """A customer of an account, by the key that its ledger has for it."""

    source: Source
    key: int


class Everybody:
    """All accounts' customers, by the names that they have together."""

    def __init__(self, sources: Sequence[Source], merge: Mapping[str, str]) -> None:
        self.sources, self._merge = sources, merge
        self._own = {each.account: companies.rows(each.connection) for each in sources}
        named: dict[str, str] = {}
        for own in self._own.values():
            for customer, (company, _) in own.items():
                named[customer] = min(company, named.get(customer, company))
        self._last = resolved(named, merge)

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

    def keys_in(self, source: Source) -> set[int]:
        """The keys of those who are in other accounts, too."""
        return self._keys.get(source.account, set())

    @cached_property
    def _keys(self) -> dict[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for keys in self.spanning.values():
            for source, key in keys:
                found[source.account].add(key)
        return found

    def names(self, source: Source, ids: Iterable[str] | None = None) -> dict[str, str]:
        """What its customers, or some, are called, where not by their ids."""
        twice = self._twice if ids is None else self._twice.intersection(ids)
        return {
            each: f"{source.account}/{each}"
            for each in twice
            if each not in self.spanning
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
            found = self.spanning.get(name)
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
            spanning = self.keys_in(source)  # these have one name in all
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
