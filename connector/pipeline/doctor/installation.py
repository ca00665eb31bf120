"""What a sync would use here, opened as far as it can be, and the words for a verdict.

What could not be opened stands as the error that was met, or as ``NotChecked`` where
nobody tried. Nothing is written.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

from connector.config import Config
from connector.core.errors import ConnectorError, StripeRefused, StripeUnavailable
from connector.core.language import grouped, point
from connector.core.money import format_count
from connector.store import opening, read_only
from connector.store.files import may
from connector.store.lock import LockState, lock_state
from connector.stripe_api.credentials import stripe_key
from connector.stripe_api.lists import LISTINGS

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi
    from connector.stripe_api.decoding import StripeAccount

T = TypeVar("T")

MB = 1_000_000
# A list for each permission; some share one.
KINDS = {listing.needs: kind for kind, listing in LISTINGS.items()}


class Verdict(NamedTuple):
    """``fix`` is empty where all is well, and only there; ``later`` counts as nothing."""

    mark: Literal["ok", "hint", "fault", "later"]
    said: str
    fix: str = ""


ok = partial(Verdict, "ok", fix="")
hint = partial(Verdict, "hint")
fault = partial(Verdict, "fault")


def lasting(span_us: int) -> str:
    """A time in the unit that fits: ``40 seconds``, ``3 hours``, ``12 days``."""
    seconds = max(span_us, 0) // 1_000_000
    if seconds >= 2 * 86_400:
        return format_count(seconds // 86_400, "day")
    if seconds >= 2 * 3_600:
        return format_count(seconds // 3_600, "hour")
    if seconds >= 2 * 60:
        return format_count(seconds // 60, "minute")
    return format_count(seconds, "second")


def sized(count_bytes: int) -> str:
    """``12 MB`` or ``3.4 GB``, rounded down."""
    if count_bytes < 1_000 * MB:
        return f"{count_bytes // MB} MB"
    whole, tenth = divmod(count_bytes // (100 * MB), 10)
    return f"{grouped(whole)}{point()}{tenth} GB"


class NotChecked(Exception):
    """Why something is not to be looked at yet, and what would change that."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


def after(name: str) -> NotChecked:
    """Another check must end well first."""
    return NotChecked(f"see “{name}”", f"put “{name}” right first")


Opened: TypeAlias = T | ConnectorError | OSError | NotChecked


def tried(read: Callable[[], T]) -> Opened[T]:
    try:
        return read()
    except (ConnectorError, OSError, NotChecked) as error:
        return error


def value_of(thing: Opened[T], told_by: str = "") -> T:
    """What was opened. Where it could not be, one check tells of it, all others skip."""
    if isinstance(thing, ConnectorError | OSError) and told_by:
        raise after(told_by) from thing
    if isinstance(thing, ConnectorError | OSError | NotChecked):
        raise thing
    return thing


class StripeReads(NamedTuple):
    """A connection over which each list was read once.

    ``missing`` are the permissions the key lacks, ``refusal`` a no for another reason,
    ``account`` what Stripe shows of the account, where the key may read it.
    """

    api: "StripeApi"
    missing: tuple[str, ...]
    refusal: ConnectorError | None
    account: "Opened[StripeAccount]"


class DiskSpace(NamedTuple):
    """``folder`` is the ledger's; ``free_bytes`` None: it does not exist."""

    folder: Path
    free_bytes: int | None
    is_writable: bool
    ledger_bytes: int


class LedgerFile(NamedTuple):
    """An open ledger: the migrations it lacks, what is damaged, and whose it is."""

    connection: sqlite3.Connection
    pending: list[str]
    damage: list[str]
    lock: Opened[LockState]


class Installation(NamedTuple):
    environ: Mapping[str, str]
    now: datetime
    config: Opened[Config]
    key: Opened[str]
    stripe: Opened[StripeReads]
    disk: Opened[DiskSpace]
    ledger: Opened[LedgerFile]


@contextmanager
def opened(
    load_config: Callable[[], Config],
    environ: Mapping[str, str],
    now: datetime,
    *,
    offline: bool,
) -> Iterator[Installation]:
    """Open all there is; where Stripe may be asked, each list is read once."""
    with ExitStack() as stack:
        config = tried(load_config)
        # Also where the configuration cannot be read the key is looked at.
        file = config.key_file if isinstance(config, Config) else None
        key = tried(lambda: stripe_key(environ, file))
        disk = tried(lambda: _disk(value_of(config, "configuration").database))
        ledger = tried(lambda: _ledger(stack, config, disk))
        stripe = tried(lambda: _stripe(stack, config, key, offline=offline))
        yield Installation(environ, now, config, key, stripe, disk, ledger)


def _stripe(
    stack: ExitStack, config: Opened[Config], key: Opened[str], *, offline: bool
) -> StripeReads:
    if offline:
        raise NotChecked("--offline was given", "run it without --offline")
    configured = value_of(config, "configuration")
    secret = value_of(key, "key")
    from connector.stripe_api.client import StripeApi

    api = stack.enter_context(
        StripeApi(secret, configured.api_base, stripe_account=configured.stripe_account)
    )
    reads = _reads(api)
    if reads.refusal is not None and api.answered_version is None:
        raise reads.refusal  # nothing else to tell
    return reads


def _reads(api: "StripeApi") -> StripeReads:
    """One read of each list: which permissions lack, and what else was said no to."""
    missing: list[str] = []
    refusal: ConnectorError | None = None
    for needs, kind in KINDS.items():
        try:
            api.probe(kind)
        except ConnectorError as error:
            status = error.status if isinstance(error, StripeRefused) else None
            if status == 403 and not _is_none_of_the_key(error):
                missing.append(needs)
                continue
            refusal = refusal or error
            if status in (401, 403) or isinstance(error, StripeUnavailable):
                break
    account = after("Stripe") if refusal is not None else tried(api.account)
    return StripeReads(api, tuple(missing), refusal, account)


def _is_none_of_the_key(error: ConnectorError) -> bool:
    """It may read, but not of this account."""
    from connector.stripe_api.http import NO_ACCESS

    return isinstance(error, StripeRefused) and error.code == NO_ACCESS


def _disk(path: Path) -> DiskSpace:
    """``OSError`` where the system does not take the path, or hides it from us."""
    folder = path.parent
    there = [file for file in (path, Path(f"{path}-wal")) if file.is_file()]
    return DiskSpace(
        folder=folder.resolve(),
        free_bytes=shutil.disk_usage(folder).free if folder.is_dir() else None,
        is_writable=all(may(each, os.W_OK) for each in (folder, *there)),
        ledger_bytes=sum(file.stat().st_size for file in there),
    )


def _ledger(
    stack: ExitStack, config: Opened[Config], disk: Opened[DiskSpace]
) -> LedgerFile:
    value_of(disk, "folder")
    path = value_of(config, "configuration").database
    if not path.exists():
        why = f"after the first sync; there is no ledger at {path} yet"
        raise NotChecked(why, "run `stripe-nrr sync`")
    value_of(tried(opening.check_sqlite), "SQLite")
    connection = stack.enter_context(closing(read_only.open_as_it_is(path)))
    return LedgerFile(
        connection,
        damage=read_only.damage(connection),
        pending=read_only.pending_migrations(connection),
        lock=tried(lambda: lock_state(path)),
    )
