"""One customer of several accounts: what each account says of it, put together.

Each account has derived it by itself, from its own catalogue.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, TypeVar

from msgspec.structs import replace

from connector.core.model import ContractTerm, MainPrice, Movement
from connector.mrr.companies import coverage_together, movements_together
from connector.mrr.derive import Derived

T = TypeVar("T", bound=tuple[Any, ...])
Days = Sequence[tuple[date, str]]  # from which day on which account counts


def derived_together(name: str, parts: Mapping[str, Derived]) -> Derived:
    """What accounts, by their names, have derived of one customer."""
    by_account = sorted(parts.items())
    moved = [(account, it) for account, own in by_account for it in own.movements]

    def began(account: str) -> tuple[date, str]:
        return min(
            (it.day for it in parts[account].movements), default=date.max
        ), account

    countries = (parts[account].country for account in sorted(parts, key=began))
    terms = ((account, it) for account, own in by_account for it in own.contract_terms)
    prices = {account: own.main_prices for account, own in by_account}
    return Derived(
        customer=name,
        label=None,
        country=next(filter(None, countries), None),
        movements=movements_together(name, (it for _, it in moved)),
        contract_terms=terms_together(terms),
        main_prices=main_prices_together(prices, paying_most(moved)),
        refusals=(),
        next_s=None,
        coverage=coverage_together(
            {account: own.coverage for account, own in by_account}
        ),
    )


def paying_most(moved: Iterable[tuple[str, Movement]]) -> dict[str, Days]:
    """By currency, the account in which it pays most, and since when."""
    moves: dict[str, list[tuple[date, str, int]]] = defaultdict(list)
    for account, it in moved:
        moves[it.currency].append((it.day, account, it.amount_minor))
    return {code: list(_largest(sorted(own))) for code, own in moves.items()}


def _largest(moves: Sequence[tuple[date, str, int]]) -> Iterator[tuple[date, str]]:
    """Who pays nothing any more has the last one that it had."""
    paid: Counter[str] = Counter()
    last = None
    for day, of_day in groupby(moves, key=itemgetter(0)):
        for _, account, change in of_day:
            paid[account] += change
        most = max(sorted(paid), key=paid.__getitem__)
        if paid[most] and most != last:
            last = most
            yield day, most


def main_prices_together(
    own: Mapping[str, Iterable[MainPrice]], accounts: Mapping[str, Days]
) -> list[MainPrice]:
    """Those of the account in which it pays most at the time, in each currency."""
    return [
        price
        for code, days in accounts.items()
        for price in _in_currency(
            {
                account: [it for it in prices if it.currency == code]
                for account, prices in own.items()
            },
            days,
        )
    ]


def _in_currency(
    own: Mapping[str, Sequence[MainPrice]], accounts: Days
) -> Iterator[MainPrice]:
    changed = {day for day, _ in accounts}
    changed |= {it.day for it in chain.from_iterable(own.values())}
    last = None
    for day in sorted(changed):
        account = _at(day, accounts)
        found = account and _at(day, own[account[1]])
        if found and found[1:] != last:
            last = found[1:]
            yield found._replace(day=day)


def _at(day: date, dated: Sequence[T]) -> T | None:
    """What holds on a day: the last that begins by then, of what begins with its day."""
    place = bisect_right(dated, day, key=itemgetter(0))
    return dated[place - 1] if place else None


def terms_together(terms: Iterable[tuple[str, ContractTerm]]) -> list[ContractTerm]:
    """What is of no subscription, or of an id that others have, names its account."""
    told = list(terms)
    times = Counter(key for key, _ in {(it.subscription, a) for a, it in told})

    def named(account: str, key: str) -> str:
        if not key:
            return account
        return key if times[key] == 1 else f"{account}/{key}"

    return sorted(
        term._replace(subscription=named(account, term.subscription))
        for account, term in told
    )


def renamed_prices(sold: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """By account, what its prices are called where not by their ids.

    ``sold`` is what each account's prices sell: a price's id that sells one thing here and
    another there is two prices.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for own in sold.values():
        for key, name in own.items():
            names[key].add(name)
    return {
        account: {key: f"{account}/{key}" for key in own if len(names[key]) > 1}
        for account, own in sold.items()
    }


def with_prices(movement: Movement, names: Mapping[str, str]) -> Movement:
    """Its components' prices called as ``names`` says."""
    if not names:
        return movement
    parts = (
        replace(part, price=names.get(part.price, part.price))
        for part in movement.components
    )
    return replace(movement, components=tuple(parts))


def with_prices_named(found: Derived, names: Mapping[str, str]) -> Derived:
    """The same of all that a derivation says of a customer."""
    return (
        found._replace(
            movements=[with_prices(each, names) for each in found.movements],
            main_prices=[with_main_price(each, names) for each in found.main_prices],
        )
        if names
        else found
    )


def with_main_price(price: MainPrice, names: Mapping[str, str]) -> MainPrice:
    return price._replace(price=names.get(price.price, price.price))
