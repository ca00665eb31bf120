"""Several accounts in one file: each ``[[account]]`` → a whole ``Config`` of its own."""

from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from connector.config.choices import WITHOUT_RATES, choose, config_of, unknown_key
from connector.config.settings import ACCOUNT, ACCOUNT_FIELDS, Config
from connector.core.errors import UsageFault
from connector.core.language import message


def account_tables(table: dict[str, Any], faults: list[str]) -> list[dict[str, Any]]:
    """Take the tables of accounts out of the file's."""
    tables = table.get(ACCOUNT, [])
    if isinstance(tables, list) and all(isinstance(each, dict) for each in tables):
        table.pop(ACCOUNT, None)
        return tables
    if isinstance(tables, dict):
        table.pop(ACCOUNT)
        faults.append(message("[account] is one of several: write [[account]]"))
    return []


def account_choices(
    number: int, table: Mapping[str, Any], top: Mapping[str, Any], faults: list[str]
) -> dict[str, Any]:
    """What an account's table chooses; its faults say which account's they are."""
    known = {key.name: key for key in ACCOUNT_FIELDS.values()}
    found: list[str] = []
    chosen = choose(ACCOUNT_FIELDS, table, found)
    if "name" not in table:
        found.append(message('it has no name: give it one, such as name = "uk"'))
    unknown = sorted(table.keys() - known.keys())
    found += [unknown_key(key, table[key], known) for key in unknown]
    if chosen.get("reporting_currency") and not top.get("rates"):
        found.append(WITHOUT_RATES)
    whose = chosen.get("name") or message(f"number {number}")
    faults += [message(f"[[account]] {whose}: {fault}") for fault in found]
    return chosen


def account_config(
    own: Mapping[str, Any], top: Mapping[str, Any], source: Path | None
) -> Config:
    """The account's whole configuration; its status file is its own, too."""
    config = config_of({**top, **own}, source)
    if config.status_file is None:
        return config
    return replace(config, status_file=file_of(config.status_file, config))


def file_of(path: Path, account: Config) -> Path:
    """The account's own of a file that each has: ``status-uk.json``."""
    return path.with_stem(f"{path.stem}-{account.name}") if account.name else path


def own_files(config: Config) -> Iterator[str]:
    if config.status_file == config.database:
        yield message("sync.status_file is the ledger: give it a file of its own")


def collisions(accounts: Sequence[Config]) -> Iterator[str]:
    """What two accounts must not share: each has a ledger, and is one at Stripe."""
    for _, other in _alike(accounts, lambda each: each.name.casefold()):
        yield message(
            f"two accounts are called {other.name}: give each a name of its own"
        )
    for one, other in _alike(accounts, lambda each: each.database.resolve()):
        yield message(
            f"accounts {one.name} and {other.name} have one database, {one.database}: "
            f'give each its own, such as database = "{other.name}.db"'
        )
    connected = [each for each in accounts if each.stripe_account is not None]
    for one, other in _alike(connected, lambda each: each.stripe_account):
        yield message(
            f"accounts {one.name} and {other.name} are both {one.stripe_account}: leave "
            "one of them out"
        )
    own = [each for each in accounts if each.stripe_account is None]
    for one, other in _alike(own, lambda each: each.key_file):
        yield message(
            f"accounts {one.name} and {other.name} have one key, and nothing tells them "
            'apart: give each its own key_file, or stripe_account = "acct_…"'
        )
    for each in accounts:
        yield from own_files(each)


def _alike(
    accounts: Iterable[Config], of: Callable[[Config], Hashable]
) -> Iterator[tuple[Config, Config]]:
    """Each that has what one before it has, with the first of these."""
    first: dict[Hashable, Config] = {}
    for each in accounts:
        known = first.setdefault(of(each), each)
        if known is not each:
            yield known, each


def accounts_of(config: Config, names: Collection[str] = ()) -> tuple[Config, ...]:
    """The accounts of the file, or those of them that are asked for, in its order.

    Each is as a configuration of one account is. ``UsageFault`` where none is called so.
    """
    known = [each.name for each in config.accounts]
    for name in names:
        if name not in known:
            raise UsageFault(
                f"no account is called {name!r}",
                fix=f"give one of these: {', '.join(known)}"
                if known
                else "leave --account out: the configuration has no [[account]]",
            )
    if not config.accounts:
        return (config,)
    return tuple(each for each in config.accounts if not names or each.name in names)
