"""config.toml and the environment → ``Config``, or every fault at once.

Every key has a default, so no file at all is a valid configuration. A key that nobody
knows is a fault: a typo must not become a default. Secrets come from the environment
only.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from connector import __version__
from connector.core.errors import ConfigError
from connector.core.policy import Policy, Rules

DEFAULT_BASE = "https://api.stripe.com"
SECRET = re.compile(r"\b(sk|rk|whsec)_\w+")


class ListenAddress(NamedTuple):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int


BIND, ADMIN_BIND = ListenAddress("127.0.0.1", 8480), ListenAddress("127.0.0.1", 8481)


class Config(Struct, frozen=True, kw_only=True):
    """Everything that can be set. ``source`` is the file it came from, or None."""

    database: Path
    zone: ZoneInfo
    api_base: str
    workers: int
    requests_per_second: float
    requests_per_second_in_all: float
    policy: Policy
    label: str
    metadata_keys: tuple[str, ...]
    locale: str
    merge: Mapping[str, str] = field(default_factory=dict)
    reporting_currency: str | None = None
    rates: Path | None = None
    bands: tuple[int, ...] = (10_000, 100_000)
    benchmarks: Path | None = None
    status_file: Path | None = None
    bind: ListenAddress = BIND
    admin_bind: ListenAddress = ADMIN_BIND
    source: Path | None = None


class _Setting(Struct, frozen=True):
    """A setting: its default, how it is read, and what to give (shown in a fault).

    ``read`` raises ``ValueError``, ``TypeError`` or ``KeyError`` for a wrong value.
    """

    default: Any
    read: Callable[[Any], Any]
    wanted: str


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def _path(value: Any) -> Path:
    try:
        path = Path(_text(value)).expanduser()
    except RuntimeError as error:  # "~nobody/ledger.db"
        raise ValueError from error
    if "\0" in value:
        raise ValueError
    return path


def _path_or_none(value: Any) -> Path | None:
    return None if value == "" else _path(value)


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 64:
        raise ValueError
    return value


def _rate(value: Any) -> float:
    if type(value) not in (int, float) or not 1 <= value <= 1000:
        raise ValueError
    return float(value)


def _choice(*options: str) -> _Setting:
    def read(value: Any) -> str:
        if value not in options:
            raise ValueError
        return str(value)

    return _Setting(options[0], read, " or ".join(f'"{option}"' for option in options))


def _past_due(value: Any) -> int | None:
    if value == "counts":
        return None
    match = re.fullmatch(r"after_days:(\d{1,4})", _text(value))
    if match is None:
        raise ValueError
    return int(match[1])


def _label(value: Any) -> str:
    if value not in ("name", "id") and not re.fullmatch(r"metadata:.+", _text(value)):
        raise ValueError
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(each) for each in value)


def _edges(value: Any) -> tuple[int, ...]:
    edges = tuple(value)
    if not edges or list(edges) != sorted({0, *edges} - {0}):
        raise ValueError
    if not all(type(edge) is int and edge > 0 for edge in edges):
        raise TypeError
    return edges


def _locale(value: Any) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(_[A-Z][A-Za-z]{3})?(_[A-Z]{2})?", _text(value)):
        raise ValueError
    return str(value)


def _merge(value: Any) -> dict[str, str]:
    """Old customer → the one it has become in the end."""
    if not isinstance(value, dict):
        raise TypeError
    merged = {}
    for old in value:
        last, steps = old, 0
        while last in value:
            last, steps = _text(value[last]), steps + 1
            if steps > len(value):
                raise ValueError
        merged[old] = last
    return merged


def _currency(value: Any) -> str:
    if value != "" and not re.fullmatch(r"[A-Za-z]{3}", _string(value)):
        raise ValueError
    return str(value).lower()


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _address(value: Any) -> ListenAddress:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})", _text(value))
    if match is None or int(match[3]) > 65_535:
        raise ValueError
    return ListenAddress(match[1] or match[2], int(match[3]))


KEYS: Mapping[str, _Setting] = {
    "database": _Setting("stripe-nrr.db", _path, "a path"),
    "timezone": _Setting(
        "UTC", lambda value: ZoneInfo(_text(value)), 'a zone such as "Europe/Berlin"'
    ),
    "stripe.api_base": _Setting(DEFAULT_BASE, _text, "an https URL"),
    "sync.workers": _Setting(8, _count, "a whole number from 1 to 64"),
    "sync.requests_per_second": _Setting(20, _rate, "a number from 1 to 1000"),
    "sync.requests_per_second_in_all": _Setting(80, _rate, "a number from 1 to 1000"),
    "sync.status_file": _Setting(
        "", _path_or_none, 'the path of a file, or "" for none'
    ),
    "policy.past_due": _Setting("counts", _past_due, '"counts" or "after_days:N"'),
    "policy.pause_collection": _choice("counts", "excluded"),
    "policy.repeating_coupon": _choice("subtracted", "ignored"),
    "policy.once_coupon": _choice("ignored", "subtracted"),
    "policy.metered": _choice("excluded", "invoiced"),
    "policy.churn": _choice("ended", "requested"),
    "customers.label": _Setting("name", _label, '"name", "metadata:KEY" or "id"'),
    "customers.metadata": _Setting([], _texts, "a list of metadata keys"),
    "customers.merge": _Setting(
        {}, _merge, 'a table {cus_old = "cus_new"} without circles'
    ),
    "reporting.currency": _Setting(
        "", _currency, 'a currency such as "usd", or "" for none'
    ),
    "reporting.rates": _Setting(
        "", _path_or_none, 'the path of a file of rates, or ""'
    ),
    "reporting.bands": _Setting(
        [10_000, 100_000], _edges, "whole amounts above 0, the smallest first"
    ),
    "reporting.benchmarks": _Setting(
        "", _path_or_none, 'the path of a file of benchmarks, or ""'
    ),
    "reporting.locale": _Setting(
        "en_US", _locale, 'a locale such as "en_US" or "de_DE"'
    ),
    "serve.bind": _Setting(
        "127.0.0.1:8480", _address, 'an address such as "127.0.0.1:8480"'
    ),
    "serve.admin_bind": _Setting(
        "127.0.0.1:8481", _address, 'an address such as "127.0.0.1:8481"'
    ),
}


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
        raise ConfigError([f"{name} is not TOML: {error}"], source=name) from error
    faults: list[str] = []
    given = _flat(table, faults)
    chosen = {key: _take(key, given, faults) for key in KEYS}
    faults += [_unknown(key, given[key]) for key in sorted(given.keys() - KEYS.keys())]
    if faults:
        raise ConfigError(faults, source=name)
    folder = source.parent if source is not None else Path()
    return Config(
        database=folder / chosen["database"],
        zone=chosen["timezone"],
        api_base=environ.get("STRIPE_API_BASE") or chosen["stripe.api_base"],
        workers=chosen["sync.workers"],
        requests_per_second=chosen["sync.requests_per_second"],
        requests_per_second_in_all=chosen["sync.requests_per_second_in_all"],
        status_file=folder / status if (status := chosen["sync.status_file"]) else None,
        policy=Policy(
            past_due_days=chosen["policy.past_due"],
            pause_collection_counts=chosen["policy.pause_collection"] == "counts",
            repeating_subtracted=chosen["policy.repeating_coupon"] == "subtracted",
            once_subtracted=chosen["policy.once_coupon"] == "subtracted",
            metered_invoiced=chosen["policy.metered"] == "invoiced",
            churn_when_requested=chosen["policy.churn"] == "requested",
        ),
        label=chosen["customers.label"],
        metadata_keys=chosen["customers.metadata"],
        merge=chosen["customers.merge"],
        locale=chosen["reporting.locale"],
        reporting_currency=chosen["reporting.currency"] or None,
        rates=folder / rates if (rates := chosen["reporting.rates"]) else None,
        bind=chosen["serve.bind"],
        admin_bind=chosen["serve.admin_bind"],
        bands=chosen["reporting.bands"],
        benchmarks=folder / file if (file := chosen["reporting.benchmarks"]) else None,
        source=source,
    )


def _flat(table: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """``[stripe] api_base`` as ``stripe.api_base``; a misplaced value is a fault."""
    sections = {key.partition(".")[0] for key in KEYS if "." in key}
    given: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and name in sections:
            given |= {f"{name}.{key}": inner for key, inner in value.items()}
        elif name in sections:
            faults.append(f"{name} is a section: write [{name}] and its keys below it")
        else:
            given[name] = value
    return given


def _take(key: str, given: Mapping[str, Any], faults: list[str]) -> Any:
    setting = KEYS[key]
    value = given.get(key, setting.default)
    try:
        return setting.read(value)
    except (ValueError, TypeError, KeyError, OSError):  # ZoneInfo raises all four
        faults.append(f"{key} is {_safe(value)}: give {setting.wanted}")
        return None


def _safe(value: Any) -> str:
    """The value as a message may show it: what looks like a key is not repeated."""
    return SECRET.sub(r"\1_…", repr(value))


def _unknown(key: str, value: Any) -> str:
    is_named_so = key.startswith("stripe") and re.search(r"key|secret|token", key)
    if is_named_so or SECRET.search(repr(value)):
        return (
            f"{key} does not belong in a file, which is copied, mailed and committed: "
            "set STRIPE_API_KEY, or STRIPE_API_KEY_FILE to a file only you can read"
        )
    from difflib import get_close_matches  # noqa: PLC0415 - only a fault needs it

    near = get_close_matches(key, KEYS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{key} is not a setting of this program{hint}"


def load(path: Path | None, environ: Mapping[str, str], user_folder: Path) -> Config:
    """The file given, else ./config.toml, else the user's, else all defaults."""
    candidates = [Path("config.toml"), user_folder / "config.toml"]
    if path is None:
        path = next((p for p in candidates if p.is_file()), None)
    if path is None:
        return parse("", environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"{path} cannot be read: {error}"
        raise ConfigError([fault], source=str(path)) from error
    return parse(text, environ, source=path)


MAKE_A_KEY = (
    "make a restricted key in Stripe's Dashboard, under Developers, API keys, and "
    "export it; `stripe-nrr demo` needs none"
)


def stripe_key(environ: Mapping[str, str]) -> str:
    """The API key from STRIPE_API_KEY or the file that STRIPE_API_KEY_FILE names."""
    key = _secret(environ, "STRIPE_API_KEY")
    if not key:
        fault = "no Stripe key: set STRIPE_API_KEY to a restricted key that may only "
        fault += "read, or STRIPE_API_KEY_FILE to a file that holds it"
        raise ConfigError([fault], fix=MAKE_A_KEY)
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        fault = "the Stripe key has spaces or characters no key has: copy it again"
        raise ConfigError([fault], source="STRIPE_API_KEY")
    return key


def webhook_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The signing secrets from STRIPE_WEBHOOK_SECRET or STRIPE_WEBHOOK_SECRET_FILE.

    Several, with commas in between, while one takes over from another.
    """
    given = _secret(environ, "STRIPE_WEBHOOK_SECRET")
    secrets = tuple(each for part in given.split(",") if (each := part.strip()))
    if not secrets:
        fault = "no webhook secret: without it anybody could send events. Set "
        fault += "STRIPE_WEBHOOK_SECRET, or STRIPE_WEBHOOK_SECRET_FILE to a file's path"
        fix = "copy the endpoint's signing secret (whsec_…) from Stripe's Dashboard; "
        fix += "`stripe-nrr webhook-setup URL` says how to make an endpoint"
        raise ConfigError([fault], fix=fix)
    if not all(re.fullmatch(r"whsec_[\x21-\x7e]+", each) for each in secrets):
        fault = (
            "a webhook secret does not look like one: it begins with whsec_ and has "
        )
        fault += "no spaces; several have commas in between"
        raise ConfigError([fault], source="STRIPE_WEBHOOK_SECRET")
    return secrets


def _secret(environ: Mapping[str, str], name: str) -> str:
    """What the variable holds, else the file that ``name``_FILE names; else nothing."""
    given = environ.get(name, "").strip()
    path = environ.get(f"{name}_FILE")
    if given or not path:
        return given
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        fault = f"{name}_FILE {_safe(path)} cannot be read: {why}"
        raise ConfigError([fault], source=f"{name}_FILE") from error


def rules_of(config: Config) -> Rules:
    """The rules that the configuration asks for, under this version."""
    return Rules(
        policy=config.policy,
        zone=config.zone,
        code_version=__version__,
        merge=config.merge,
    )
