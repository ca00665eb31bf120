"""`stripe-nrr doctor`: gathers the facts, and tells what the doctor makes of them."""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from connector import horizon, marks, walks
from connector.cli import Shell
from connector.cli_output import format_option, json_text, write
from connector.config import SECRET, Config, stripe_key
from connector.database import (
    damage,
    open_as_it_is,
    pending_migrations,
    setting,
    sync_at_work,
)
from connector.doctor import Check, examine
from connector.errors import (
    ConnectorError,
    LedgerUnusable,
    StripeRefused,
    StripeUnavailable,
)
from connector.listings import LISTINGS
from connector.symptoms import (
    Contents,
    Disk,
    Facts,
    Key,
    Ledger,
    NotChecked,
    Settings,
    Stripe,
    Trouble,
    after,
    same_days,
)

if TYPE_CHECKING:
    from connector.stripe_api import StripeApi

# What this program, httpx and OpenSSL look at, the last ones also in lower case.
OURS = ("STRIPE_API_KEY", "STRIPE_API_KEY_FILE", "STRIPE_API_BASE")
NETWORK = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

OFFLINE = NotChecked("--offline was given", "run it without --offline")
# A list for each permission; some share one.
KINDS = {listing.needs: kind for kind, listing in LISTINGS.items()}


@click.command()
@click.option("--offline", is_flag=True, help="Leave out what only Stripe can tell.")
@format_option
@click.pass_context
def doctor(ctx: click.Context, form: str, *, offline: bool) -> None:
    """See whether all is in place for a sync, and what to do where it is not.

    Looks at the configuration, the key and each permission it needs (a read of one
    object a list), the clock, the API version, the account's time zone, the disk and
    the ledger, which is read as a whole for SQLite's own checks. Changes nothing.

    Each check ends in ok, in a hint (it works, but look at it) or in a FAULT, with what
    to do about it. Exit 3 where there is a fault. No secret is shown.
    """
    shell: Shell = ctx.obj
    shell.log_to_stderr()
    checks = examine(_gathered(shell, offline=offline))
    marks = [check.verdict.mark for check in checks]
    faults, hints = marks.count("fault"), marks.count("hint")
    if form == "json":
        rows = [{"check": name, **verdict._asdict()} for name, verdict in checks]
        figures = {"checks": rows, "faults": faults, "hints": hints}
        write(json_text(figures), None)
    else:
        count = f"{len(checks)} checks; faults: {faults}, hints: {hints}."
        write("\n".join([*_lines(checks), count]), None)
    if faults:
        ctx.exit(3)


def _lines(checks: Iterable[Check]) -> Iterable[str]:
    """A line a check, what to do below it, and that only once in a row."""
    told = ""
    for name, (mark, said, fix) in checks:
        yield f"{'FAULT' if mark == 'fault' else mark:<6} {name}: {said}"
        if fix and fix != told:
            yield f"       → {fix}"
        told = fix


# --- gathering ---


def _gathered(shell: Shell, *, offline: bool) -> Facts:
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
        settings=Settings(None if config.source is None else str(config.source)),
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


def _key(environ: Mapping[str, str]) -> tuple[Key | Trouble, str]:
    """What may be told of the key, and the key itself, "" where there is none."""
    from connector.stripe_http import shown

    try:
        key = stripe_key(environ)
    except ConnectorError as error:  # may repeat what somebody took for a path
        trouble = _trouble(error)
        return Trouble(SECRET.sub(r"\1_…", trouble.problem), trouble.fix), ""
    parts = re.match(r"(sk|rk|pk|whsec)_(?:(live|test)_)?", key)
    kind, mode = parts.groups("") if parts else ("", "")
    file_mode = None
    if not environ.get("STRIPE_API_KEY", "").strip():
        file = Path(environ["STRIPE_API_KEY_FILE"]).expanduser()
        file_mode = file.stat().st_mode & 0o777
    return Key(shown=shown(key), kind=kind, mode=mode, file_mode=file_mode), key


# --- Stripe ---


def _stripe(key: str, config: Config) -> Stripe | Trouble | NotChecked:
    """What Stripe's answers tell; a trouble where none came."""
    if not key:
        return after("key")
    from connector.stripe_api import StripeApi

    try:
        with StripeApi(key, config.api_base) as api:
            return _told(api, config.zone)
    except ConnectorError as error:
        return _trouble(error)


def _told(api: "StripeApi", zone: ZoneInfo) -> Stripe | Trouble:
    import stripe

    missing, trouble = _reads(api)
    if trouble is not None and api.answered_version is None:
        return trouble
    shown = _account_zone(api) if trouble is None else after("Stripe")
    return Stripe(
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

Found = Ledger | Trouble | NotChecked


def _place(
    shell: Shell, path: Path
) -> tuple[Disk | Trouble, Found, Contents | NotChecked]:
    try:
        return (_disk(path), *_ledger(shell, path))
    except OSError as error:  # a path that the system does not take, or hides from us
        trouble = Trouble(str(error), "set `database` in config.toml to another place")
        return trouble, after("folder"), after("folder")


def _disk(path: Path) -> Disk:
    """The folder that the ledger lies in, or will."""
    folder = path.parent
    there = [file for file in (path, Path(f"{path}-wal")) if file.is_file()]
    return Disk(
        folder=str(folder.resolve()),
        free_bytes=shutil.disk_usage(folder).free if folder.is_dir() else None,
        is_writable=all(os.access(each, os.W_OK) for each in (folder, *there)),
        ledger_bytes=sum(file.stat().st_size for file in there),
    )


def _ledger(shell: Shell, path: Path) -> tuple[Found, Contents | NotChecked]:
    if not path.exists():
        none = NotChecked(f"there is no ledger at {path} yet", "run `stripe-nrr sync`")
        return none, none
    try:
        with closing(open_as_it_is(path)) as connection:
            ledger = _file(connection, path)
            return ledger, _contents(connection, shell, ledger)
    except LedgerUnusable as error:
        return _trouble(error), after("ledger")


def _file(connection: sqlite3.Connection, path: Path) -> Ledger:
    found, pending = damage(connection), pending_migrations(connection)
    is_readable = not found and not pending
    return Ledger(
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
    connection: sqlite3.Connection, shell: Shell, ledger: Ledger
) -> Contents | NotChecked:
    if ledger.pending:
        return after("schema")
    if ledger.damage:
        return after("integrity")
    now_us = round(shell.moment(connection).timestamp() * 1_000_000)
    synced_us = horizon.last_synced_us(connection)
    walk = walks.unfinished_walk(connection)
    return Contents(
        synced_ago_us=None if synced_us is None else now_us - synced_us,
        walk_begun_ago_us=None if walk is None else now_us - walk.started_us,
        waiting=marks.behind(connection),
        is_syncing=isinstance(ledger.held_by, str),
    )
