"""The ledger of a real account, held for one sync alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from connector.core.errors import LedgerUnusable
from connector.store.database import open_database, setting
from connector.store.lock import exclusive_sync


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
