"""What the doctor looks at: facts of a key, an account, a disk and a ledger, gathered.

    Facts
      settings     the file they come from                 | Trouble
      variables    names of environment variables
      key          Key                                     | Trouble
      stripe       Stripe, what it answered                | Trouble | NotChecked
      disk         Disk, where the ledger lies             | Trouble | NotChecked
      ledger       Ledger, the file                        | Trouble | NotChecked
      contents     Contents, how far syncs have come       | NotChecked

No fact holds a secret: a key is its kind and its last characters.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from connector.cli.app import Shell
from connector.config import Config
from connector.core.errors import (
    ConnectorError,
    LedgerUnusable,
    StripeRefused,
    StripeUnavailable,
)
from connector.credentials import masked, stripe_key
from connector.store.database import damage, open_as_it_is, pending_migrations, setting
from connector.store.lock import sync_at_work
from connector.store.mirror import dirty_customers, sync_state
from connector.stripe_api.lists import LISTINGS

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi


FIRST_DAY = datetime(2011, 1, 1, 12, tzinfo=UTC)  # Stripe's first year
LAST_YEAR = 2037  # as far as zones are written out
MB = 1_000_000


class Trouble(NamedTuple):
    """An error met while looking, in the words in which a command would tell it."""

    problem: str
    fix: str


class NotChecked(NamedTuple):
    """Why something was not looked at, and what would change that."""

    why: str
    fix: str


def after(name: str) -> NotChecked:
    """Another check must end well first."""
    return NotChecked(f"see “{name}”", f"put “{name}” right first")


class ConfigFacts(NamedTuple):
    """``source`` None: there is no file, all is default."""

    source: str | None


class KeyFacts(Struct, frozen=True, kw_only=True):
    """``kind`` is sk, rk, pk or whsec, ``mode`` live or test; "" where it is neither.

    ``file_mode`` are the permission bits of its file, None where a variable holds it.
    """

    shown: str
    kind: str
    mode: str
    file_mode: int | None = None


class StripeFacts(Struct, frozen=True, kw_only=True):
    """What answers told. ``trouble`` is a no for another reason than a permission.

    ``needed`` is how many permissions there are, ``missing`` the names of those it lacks.
    ``pinned`` is the API version asked for, ``answered`` the one that came. ``zone`` is
    the configuration's; ``account_zone`` is None where Stripe shows none.
    """

    trouble: Trouble | None
    needed: int
    missing: tuple[str, ...]
    skew_us: int | None
    pinned: str
    answered: str | None
    zone: str
    account_zone: str | NotChecked | None
    zones_agree: bool


class DiskFacts(Struct, frozen=True, kw_only=True):
    """``folder`` is the ledger's; ``free_bytes`` None: it does not exist."""

    folder: str
    free_bytes: int | None
    is_writable: bool
    ledger_bytes: int


class LedgerFacts(Struct, frozen=True, kw_only=True):
    """``account`` is "demo" in the demo's; the next two name what is amiss.

    ``held_by`` is the sync that is at work, a trouble where the lock cannot be tried.
    """

    path: str
    account: str | None
    pending: tuple[str, ...]
    damage: tuple[str, ...]
    held_by: str | Trouble | None


class LedgerContents(Struct, frozen=True, kw_only=True):
    """How long ago, in µs, by this machine's clock; None where there was none."""

    synced_ago_us: int | None
    walk_begun_ago_us: int | None
    waiting: int
    is_syncing: bool


class Facts(Struct, frozen=True, kw_only=True):
    settings: ConfigFacts | Trouble
    variables: tuple[str, ...]
    key: KeyFacts | Trouble
    stripe: StripeFacts | Trouble | NotChecked
    disk: DiskFacts | Trouble | NotChecked
    ledger: LedgerFacts | Trouble | NotChecked
    contents: LedgerContents | NotChecked


def same_days(one: tzinfo, other: tzinfo) -> bool:
    """Whether two zones share all their days, as one zone by two names does."""
    noon = FIRST_DAY
    while noon.year <= LAST_YEAR:
        if noon.astimezone(one).utcoffset() != noon.astimezone(other).utcoffset():
            return False
        noon += timedelta(days=1)
    return True


# --- facts in words ---


def lasting(span_us: int) -> str:
    """A time in the unit that fits: ``40 seconds``, ``3 hours``, ``12 days``."""
    seconds = max(span_us, 0) // 1_000_000
    for name, length_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s:,} {name}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def sized(count_bytes: int) -> str:
    """``12 MB`` or ``3.4 GB``, rounded down."""
    if count_bytes < 1_000 * MB:
        return f"{count_bytes // MB} MB"
    return f"{count_bytes // (100 * MB) / 10:,} GB"


# What this program, httpx and OpenSSL look at, the last ones also in lower case.
OURS = ("STRIPE_API_KEY", "STRIPE_API_KEY_FILE", "STRIPE_API_BASE")
NETWORK = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

OFFLINE = NotChecked("--offline was given", "run it without --offline")
# A list for each permission; some share one.
KINDS = {listing.needs: kind for kind, listing in LISTINGS.items()}


# --- gathering ---


def gather(shell: Shell, *, offline: bool) -> Facts:
    key, config = _key(os.environ), _config(shell)
    variables = _variables(os.environ)
    if isinstance(config, Trouble):
        return Facts(
            settings=config,
            variables=variables,
            key=key[0],
            stripe=OFFLINE if offline else after("configuration"),
            disk=after("configuration"),
            ledger=after("configuration"),
            contents=after("configuration"),
        )
    disk, ledger, contents = _place(shell, config.database)
    return Facts(
        settings=ConfigFacts(None if config.source is None else str(config.source)),
        variables=variables,
        key=key[0],
        stripe=OFFLINE if offline else _stripe(key[1], config),
        disk=disk,
        ledger=ledger,
        contents=contents,
    )


def _config(shell: Shell) -> Config | Trouble:
    try:
        return shell.config
    except ConnectorError as error:
        return _trouble(error)


def _trouble(error: ConnectorError) -> Trouble:
    return Trouble(error.problem, error.fix)


def _variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of those that are set; never what is in them."""
    matter = (*OURS, *NETWORK, *map(str.lower, NETWORK), *CERTIFICATES)
    return tuple(name for name in matter if environ.get(name))


def _key(environ: Mapping[str, str]) -> tuple[KeyFacts | Trouble, str]:
    """What may be told of the key, and the key itself, "" where there is none."""
    from connector.stripe_api.http import shown

    try:
        key = stripe_key(environ)
    except ConnectorError as error:  # may repeat what somebody took for a path
        trouble = _trouble(error)
        return Trouble(masked(trouble.problem), trouble.fix), ""
    parts = re.match(r"(sk|rk|pk|whsec)_(?:(live|test)_)?", key)
    kind, mode = parts.groups("") if parts else ("", "")
    file_mode = None
    if not environ.get("STRIPE_API_KEY", "").strip():
        file = Path(environ["STRIPE_API_KEY_FILE"]).expanduser()
        file_mode = file.stat().st_mode & 0o777
    return KeyFacts(shown=shown(key), kind=kind, mode=mode, file_mode=file_mode), key


# --- Stripe ---


def _stripe(key: str, config: Config) -> StripeFacts | Trouble | NotChecked:
    """What Stripe's answers tell; a trouble where none came."""
    if not key:
        return after("key")
    from connector.stripe_api.client import StripeApi

    try:
        with StripeApi(key, config.api_base) as api:
            return _told(api, config.zone)
    except ConnectorError as error:
        return _trouble(error)


def _told(api: "StripeApi", zone: ZoneInfo) -> StripeFacts | Trouble:
    import stripe

    missing, trouble = _reads(api)
    if trouble is not None and api.answered_version is None:
        return trouble
    shown = _account_zone(api) if trouble is None else after("Stripe")
    return StripeFacts(
        trouble=trouble,
        needed=len(KINDS),
        missing=tuple(missing),
        skew_us=api.skew_us,
        pinned=stripe.api_version,
        answered=api.answered_version,
        zone=zone.key,
        account_zone=shown,
        zones_agree=isinstance(shown, str) and _agree(shown, zone),
    )


def _reads(api: "StripeApi") -> tuple[list[str], Trouble | None]:
    """One read of each list: which permissions lack, and what else was said no to."""
    missing: list[str] = []
    trouble: Trouble | None = None
    for needs, kind in KINDS.items():
        try:
            api.probe(kind)
        except ConnectorError as error:
            status = error.status if isinstance(error, StripeRefused) else None
            if status == 403:
                missing.append(needs)
                continue
            trouble = trouble or _trouble(error)
            if status == 401 or isinstance(error, StripeUnavailable):
                break
    return missing, trouble


def _account_zone(api: "StripeApi") -> str | NotChecked | None:
    try:
        return api.account_timezone()
    except ConnectorError as error:
        if isinstance(error, StripeRefused) and error.status == 403:
            return NotChecked("the key may not read the account, and need not", "")
        return NotChecked(error.problem, error.fix)


def _agree(shown: str, zone: ZoneInfo) -> bool:
    try:
        return same_days(ZoneInfo(shown), zone)
    except (ValueError, KeyError, OSError):  # what ZoneInfo does not know
        return shown == zone.key


# --- the disk, and the ledger on it ---

Found = LedgerFacts | Trouble | NotChecked


def _place(
    shell: Shell, path: Path
) -> tuple[DiskFacts | Trouble, Found, LedgerContents | NotChecked]:
    try:
        return (_disk(path), *_ledger(shell, path))
    except OSError as error:  # a path that the system does not take, or hides from us
        trouble = Trouble(str(error), "set `database` in config.toml to another place")
        return trouble, after("folder"), after("folder")


def _disk(path: Path) -> DiskFacts:
    """The folder that the ledger lies in, or will."""
    folder = path.parent
    there = [file for file in (path, Path(f"{path}-wal")) if file.is_file()]
    return DiskFacts(
        folder=str(folder.resolve()),
        free_bytes=shutil.disk_usage(folder).free if folder.is_dir() else None,
        is_writable=all(os.access(each, os.W_OK) for each in (folder, *there)),
        ledger_bytes=sum(file.stat().st_size for file in there),
    )


def _ledger(shell: Shell, path: Path) -> tuple[Found, LedgerContents | NotChecked]:
    if not path.exists():
        none = NotChecked(f"there is no ledger at {path} yet", "run `stripe-nrr sync`")
        return none, none
    try:
        with closing(open_as_it_is(path)) as connection:
            ledger = _file(connection, path)
            return ledger, _contents(connection, shell, ledger)
    except LedgerUnusable as error:
        return _trouble(error), after("ledger")


def _file(connection: sqlite3.Connection, path: Path) -> LedgerFacts:
    found, pending = damage(connection), pending_migrations(connection)
    is_readable = not found and not pending
    return LedgerFacts(
        path=str(path),
        account=setting(connection, "account") if is_readable else None,
        pending=tuple(pending),
        damage=tuple(found),
        held_by=_holder(path),
    )


def _holder(path: Path) -> str | Trouble | None:
    try:
        return sync_at_work(path)
    except LedgerUnusable as error:
        return _trouble(error)


def _contents(
    connection: sqlite3.Connection, shell: Shell, ledger: LedgerFacts
) -> LedgerContents | NotChecked:
    if ledger.pending:
        return after("schema")
    if ledger.damage:
        return after("integrity")
    now_us = round(shell.moment(connection).timestamp() * 1_000_000)
    synced_us = sync_state.last_synced_us(connection)
    walk = sync_state.unfinished_walk(connection)
    return LedgerContents(
        synced_ago_us=None if synced_us is None else now_us - synced_us,
        walk_begun_ago_us=None if walk is None else now_us - walk.started_us,
        waiting=dirty_customers.behind(connection),
        is_syncing=isinstance(ledger.held_by, str),
    )
