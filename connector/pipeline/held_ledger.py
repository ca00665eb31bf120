"""The ledger of a real account, held for one sync alone, and by no other account's key.

Where both are known by the account's id, that decides; else the objects that the ledger
knows have to be there.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from connector.config import Config
from connector.core.account import NOBODY, USE_ITS_OWN, StripeIdentity, check_same
from connector.core.errors import LedgerUnusable, OtherAccount
from connector.pipeline.source import ObjectLookup
from connector.store.account import belong_to, ledger_account
from connector.store.database import setting, transaction
from connector.store.lock import exclusive_sync
from connector.store.mirror import freshness
from connector.store.opening import open_database
from connector.store.read_only import open_as_it_is


@contextmanager
def held_ledger(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, created if need be, held against other syncs."""
    check_folder(path)
    with exclusive_sync(path), closing(own_ledger(path)) as connection:
        yield connection


def check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise LedgerUnusable(
            f"the folder of the ledger, {path.parent}, does not exist",
            fix="create it, or set `database` in config.toml",
        )


def own_ledger(path: Path) -> sqlite3.Connection:
    """The ledger of a real account, created if need be; close it."""
    connection = open_database(path, create=True)
    if setting(connection, "account") != "demo":
        return connection
    connection.close()
    raise LedgerUnusable(
        f"{path} holds the demo's account",
        fix="set `database` in config.toml to a file of its own",
    )


def check_kept_once(config: Config, key: StripeIdentity) -> None:
    """``OtherAccount`` where another of the accounts has the same one's ledger already.

    It would be in every sum twice.
    """
    beside = ((n, path) for n, path in config.ledgers.items() if n != config.name)
    for name, path in beside:
        known = _account_of(path)
        if known is not None and None not in (known.id, key.id):
            if (known.id, known.livemode) != (key.id, key.livemode):
                continue
            raise OtherAccount(
                f"{key.shown} is kept already, as account {name} in {path}",
                fix="leave one of them out of config.toml, or give it its own key_file",
            )


def _account_of(path: Path) -> StripeIdentity | None:
    """As far as it can be read: what is wrong with it is for its own sync to tell."""
    if not path.is_file():
        return None
    with (
        suppress(LedgerUnusable, sqlite3.Error),
        closing(open_as_it_is(path)) as connection,
    ):
        return ledger_account(connection)
    return None


def claim(
    connection: sqlite3.Connection, source: ObjectLookup, key: StripeIdentity
) -> None:
    """Let the ledger belong to the key's account, from the first sync on.

    ``OtherAccount`` where it belongs to another, or knows objects that are not there: a
    ledger of a version that did not take its account down is adopted by its own alone.
    """
    known = ledger_account(connection) or NOBODY
    check_same(known, key)
    if known.id is None or key.id is None:
        check_objects(connection, source)
    with transaction(connection):
        belong_to(connection, key)


def check_objects(connection: sqlite3.Connection, source: ObjectLookup) -> None:
    """``OtherAccount`` where of what the ledger knows nothing is there."""
    known = freshness.known_subscriptions(connection)
    if known and not any(source.one("subscriptions", each) for each in known):
        raise OtherAccount(
            "the key is of another Stripe account, or of another mode, than this ledger: "
            f"{', '.join(known)}, which the ledger knows, are not there",
            fix=USE_ITS_OWN,
        )
