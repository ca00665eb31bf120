"""What a table of the file chooses, or every fault of it, and the whole that this makes."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from connector.config.company_pairs import read_pairs
from connector.config.settings import KEYS, LIKE, Config, Key
from connector.core.errors import SECRET, masked
from connector.core.language import DEFAULT, LANGUAGES, message
from connector.core.policy import POLICY_RULES, Policy


def choose(
    fields: Mapping[str, Key], given: Mapping[str, Any], faults: list[str]
) -> dict[str, Any]:
    """What was given, read, by the field that it sets."""
    return {
        field: _read(key, given[key.name], faults)
        for field, key in fields.items()
        if key.name in given
    }


def _read(key: Key, value: Any, faults: list[str]) -> Any:
    try:
        return key.read(value)
    except (ValueError, TypeError, KeyError, OSError):  # ZoneInfo raises all four
        faults.append(
            message(f"{key.name} is {masked(repr(value))}: give {key.wanted}")
        )
        return None


def unknown_key(key: str, value: Any, known: Mapping[str, Key] = KEYS) -> str:
    is_named_so = key.startswith("stripe") and re.search(r"key|secret|token", key)
    if is_named_so or SECRET.search(repr(value)):
        return message(
            f"{key} does not belong in a file, which is copied, mailed and committed: "
            "set STRIPE_API_KEY, or STRIPE_API_KEY_FILE to a file only you can read"
        )
    from difflib import get_close_matches  # noqa: PLC0415 - only a fault needs it

    near = get_close_matches(key, known, n=1)
    if near:
        return message(
            f"{key} is not a setting of this program; did you mean {near[0]}?"
        )
    return message(f"{key} is not a setting of this program")


WITHOUT_RATES = message(
    "reporting.currency needs reporting.rates, what other currencies are worth: name "
    "the European Central Bank's historical file (eurofxref-hist.csv) or lines of "
    "date,currency,rate"
)


def contradictions(chosen: Mapping[str, Any]) -> Iterator[str]:
    """Switches that a preset sets, and the file sets otherwise beside it."""
    for field, value in (chosen.get(LIKE) or {}).items():
        rule = POLICY_RULES[field]
        if chosen.get(field, value) != value:
            own = rule.written(chosen[field])
            yield message(
                f'policy.like means {rule.key} = "{rule.written(value)}", and '
                f'policy.{rule.key} is "{own}": leave one of them out'
            )


def config_of(chosen: Mapping[str, Any], source: Path | None) -> Config:
    """What was chosen, and the defaults; paths are relative to the file's folder."""
    own = {name: chosen[name] for name in Config.__struct_fields__ if name in chosen}
    named = {name: chosen[name] for name in POLICY_RULES if name in chosen}
    policy = {**(chosen.get(LIKE) or {}), **named}
    language = LANGUAGES[own.get("language", DEFAULT)]
    own["locale"] = own.get("locale") or language.locale
    config = Config(**own, policy=Policy(**policy))
    folder = source.parent if source is not None else Path()
    values = ((name, getattr(config, name)) for name in Config.__struct_fields__)
    paths = {name: folder / value for name, value in values if isinstance(value, Path)}
    config = replace(config, **paths, source=source)
    if config.company_file is None:
        return config
    return replace(config, pairs=read_pairs(config.company_file))
