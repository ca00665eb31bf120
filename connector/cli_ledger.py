"""What commands that bring Stripe's history in have in common: key, limits, ledger."""

import os
import platform
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connector.config import Config, stripe_key
from connector.database import exclusive_sync, open_database, setting
from connector.errors import LedgerUnusable
from connector.intake import Keeping

if TYPE_CHECKING:
    from connector.stripe_api import StripeApi


def connected(
    config: Config, sleep: Callable[[float], object], stopping: Callable[[], bool]
) -> "StripeApi":
    """Stripe at the configured pace; close it. ``sleep`` ends early to stop."""
    from connector.limiter import Limiter
    from connector.stripe_api import StripeApi

    limiter = Limiter(
        per_endpoint=config.requests_per_second,
        total=config.requests_per_second_in_all,
        sleep=sleep,
    )
    return StripeApi(
        stripe_key(os.environ),
        config.api_base,
        limiter=limiter,
        sleep=sleep,
        stopping=stopping,
    )


def keeping_of(config: Config) -> Keeping:
    return Keeping(label=config.label, metadata_keys=config.metadata_keys)


@contextmanager
def held_ledger(config: Config) -> Iterator[sqlite3.Connection]:
    """The ledger, created if need be, held against other syncs."""
    path = config.database
    check_folder(path)
    where = f"process {os.getpid()} on {platform.node()}"
    who = f"another sync ({where}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC)"
    with exclusive_sync(path, who), closing(own_ledger(path)) as connection:
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
