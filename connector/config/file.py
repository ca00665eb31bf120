"""config.toml and the environment → ``Config``, or every fault at once."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from connector.config.accounts import (
    account_choices,
    account_config,
    account_tables,
    collisions,
    own_files,
)
from connector.config.choices import (
    WITHOUT_RATES,
    choose,
    config_of,
    contradictions,
    unknown_key,
)
from connector.config.settings import FIELDS, KEYS, Config
from connector.config.toml_faults import toml_fault
from connector.core.errors import ConfigError, system_fault, why_unread
from connector.core.language import message


def load(path: Path | None, environ: Mapping[str, str], user_folder: Path) -> Config:
    """The file given, else ./config.toml, else the user's, else all defaults."""
    candidates = [Path("config.toml"), user_folder / "config.toml"]
    path = path or next((p for p in candidates if p.is_file()), None)
    if path is None:
        return parse("", environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"{path} cannot be read: {why_unread(error)}"
        raise ConfigError(
            [fault], source=str(path), fix=_to_read(path, error)
        ) from error
    return parse(text, environ, source=path)


def _to_read(path: Path, error: Exception) -> str | None:
    if isinstance(error, FileNotFoundError):
        return message(
            f"correct the path, or begin one: `stripe-nrr --config {path} config init`"
        )
    return system_fault(error).fix if isinstance(error, OSError) else None


def parse(
    text: str, environ: Mapping[str, str], *, source: Path | None = None
) -> Config:
    """Read the configuration, or raise one ``ConfigError`` that names every fault.

    ``database`` is relative to the folder of ``source``, or to the current one.
    """
    name = str(source or "config.toml")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fault = f"{name} is not TOML: {toml_fault(text, error)}"
        raise ConfigError([fault], source=name) from error
    faults: list[str] = []
    tables = account_tables(table, faults)
    given = flattened(table, faults)
    chosen = choose(FIELDS, given, faults)
    faults += [
        unknown_key(key, given[key]) for key in sorted(given.keys() - KEYS.keys())
    ]
    if chosen.get("reporting_currency") and not chosen.get("rates"):
        faults.append(WITHOUT_RATES)
    faults += contradictions(chosen)
    if base := environ.get("STRIPE_API_BASE"):
        chosen["api_base"] = base
    named = [
        account_choices(n, each, chosen, faults) for n, each in enumerate(tables, 1)
    ]
    if faults:
        raise ConfigError(faults, source=name)
    config = config_of(chosen, source)
    accounts = [account_config(each, chosen, source) for each in named]
    faults += own_files(config) if not accounts else collisions(accounts)
    if faults:
        raise ConfigError(faults, source=name)
    ledgers = {each.name: each.database for each in accounts}
    whole = tuple(replace(each, ledgers=ledgers) for each in accounts)
    return replace(config, accounts=whole)


def flattened(table: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """``[stripe] api_base`` as ``stripe.api_base``; a misplaced value is a fault."""
    sections = {key.partition(".")[0] for key in KEYS if "." in key}
    given: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and name in sections:
            given |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name in sections:
            faults.append(
                message(f"{name} is a section: write [{name}] and its keys below it")
            )
        else:
            given[name] = value
    return given
