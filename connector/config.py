"""config.toml and the environment → ``Config``, or every fault at once.

Each field of ``Config`` that can be set says its key, and has a default: no file at all
is a configuration. A key that nobody knows is a fault: a typo must not become a default.
"""

import csv
import re
import tomllib
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from connector import __version__
from connector.core.dates import parse_duration_s
from connector.core.errors import (
    SECRET,
    ConfigError,
    NothingFound,
    UsageFault,
    masked,
    toml_fault,
)
from connector.core.language import DEFAULT as DEFAULT_LANGUAGE
from connector.core.language import LANGUAGES, message
from connector.core.money import is_locale
from connector.core.numbers import ratio_of, written_number
from connector.core.policy import POLICY_RULES, CompanyRule, Policy, Rules
from connector.core.presets import DEFAULT, preset_fields


class ListenAddress(NamedTuple):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int


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


def _file(value: Any) -> Path | None:
    return None if value == "" else _path(value)


def _account_name(value: Any) -> str:
    """What users type, and what ends the names of its files."""
    if SECRET.search(_text(value)):
        raise ValueError
    return _like(value, r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def _secret_file(value: Any) -> Path:
    """Where a secret is; never the secret itself."""
    if SECRET.search(_text(value)):
        raise ValueError
    return _path(value)


def _zone(value: Any) -> ZoneInfo:
    return ZoneInfo(_text(value))


def _number(value: Any, kinds: tuple[type, ...], most: int) -> Any:
    if type(value) not in kinds or not 1 <= value <= most:
        raise ValueError
    return kinds[0](value)


_count = partial(_number, kinds=(int,), most=64)
_rate = partial(_number, kinds=(float, int), most=1000)


def _like(value: Any, pattern: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError
    return str(value)


DEFAULT_LOCALE = "en_US"
_label = partial(_like, pattern=r"name|id|metadata:.+")
_stripe_account = partial(_like, pattern=r"acct_\w+(/acct_\w+)*")
_owner = partial(_like, pattern=r"(metadata:.+)?")


def _locale(value: Any) -> str:
    """One that numbers can be written in."""
    text = _like(value, r"[a-z]{2,3}(_[A-Z][A-Za-z]{3})?(_[A-Z]{2})?")
    if text != DEFAULT_LOCALE and not is_locale(text):
        raise ValueError
    return text


def _currency(value: Any) -> str | None:
    return _like(value, r"([A-Za-z]{3})?").lower() or None


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


def listen_address(value: Any) -> ListenAddress:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})", value)
    if match is None or int(match[3]) > 65_535:
        raise ValueError
    return ListenAddress(match[1] or match[2], int(match[3]))


def _language(value: Any) -> str:
    if value not in LANGUAGES:
        raise ValueError
    return str(value)


def _duration(value: Any) -> float:
    return parse_duration_s(_text(value))


_GOAL = 'a ratio above 0, such as 1.10 or "110%", or "" for none'


def _ratio(value: Any) -> Fraction | None:
    if value == "":
        return None
    if type(value) not in (int, float, str):
        raise TypeError
    ratio = ratio_of(written_number(str(value), DEFAULT_LOCALE))
    if ratio <= 0:
        raise ValueError
    return ratio


class Key(NamedTuple):
    """A key of the file, how its value is read, and what to give (shown in a fault).

    ``read`` raises ``ValueError``, ``TypeError`` or ``KeyError`` for a wrong value.
    """

    name: str
    read: Callable[[Any], Any]
    wanted: str


class Config(Struct, frozen=True, kw_only=True):
    """Everything that can be set. ``source`` is the file it came from, or None.

    ``accounts`` are those that the file names, each whole: what its table does not say is
    the file's. Without any the file is of one account, and ``name`` is "". ``ledgers``
    are those of all accounts, by their names.
    """

    database: Annotated[Path, Key("database", _path, "a path")] = Path("stripe-nrr.db")
    zone: Annotated[
        ZoneInfo | None, Key("timezone", _zone, 'a zone such as "Europe/Berlin"')
    ] = None  # the ledger's own, which its first sync takes from the account
    api_base: Annotated[str, Key("stripe.api_base", _text, "an https URL")] = (
        "https://api.stripe.com"
    )
    workers: Annotated[
        int, Key("sync.workers", _count, "a whole number from 1 to 64")
    ] = 8
    requests_per_second: Annotated[
        float, Key("sync.requests_per_second", _rate, "a number from 1 to 1000")
    ] = 20.0
    requests_per_second_in_all: Annotated[
        float, Key("sync.requests_per_second_in_all", _rate, "a number from 1 to 1000")
    ] = 80.0
    status_file: Annotated[
        Path | None,
        Key("sync.status_file", _file, 'the path of a file, or "" for none'),
    ] = None
    policy: Policy = Policy()  # its rules are the keys of [policy]
    label: Annotated[
        str, Key("customers.label", _label, '"name", "metadata:KEY" or "id"')
    ] = "name"
    metadata_keys: Annotated[
        tuple[str, ...], Key("customers.metadata", _texts, "a list of metadata keys")
    ] = ()
    owner: Annotated[
        str, Key("customers.owner", _owner, '"metadata:KEY", or "" for none')
    ] = ""
    merge: Annotated[
        Mapping[str, str],
        Key("customers.merge", _merge, 'a table {cus_old = "cus_new"} without circles'),
    ] = {}
    company: Annotated[
        str, Key("customers.account", _owner, '"metadata:KEY", or "" for none')
    ] = ""
    company_file: Annotated[
        Path | None,
        Key("customers.account_file", _file, 'the path of a file of pairs, or ""'),
    ] = None
    accepted: Annotated[
        tuple[str, ...],
        Key("coverage.accepted", _texts, "a list of ids of customers and products"),
    ] = ()
    reporting_currency: Annotated[
        str | None,
        Key(
            "reporting.currency", _currency, 'a currency such as "usd", or "" for none'
        ),
    ] = None
    rates: Annotated[
        Path | None, Key("reporting.rates", _file, 'the path of a file of rates, or ""')
    ] = None
    bands: Annotated[
        tuple[int, ...],
        Key("reporting.bands", _edges, "whole amounts above 0, the smallest first"),
    ] = (10_000, 100_000)
    benchmarks: Annotated[
        Path | None,
        Key("reporting.benchmarks", _file, 'the path of a file of benchmarks, or ""'),
    ] = None
    locale: Annotated[
        str, Key("reporting.locale", _locale, 'a locale such as "en_US" or "de_DE"')
    ] = DEFAULT_LOCALE
    language: Annotated[
        str, Key("reporting.language", _language, 'a language: "en" or "de"')
    ] = DEFAULT_LANGUAGE
    close_after_s: Annotated[
        float,
        Key("reporting.close_after", _duration, 'a duration such as "24h"'),
    ] = 86_400.0
    goal_nrr: Annotated[Fraction | None, Key("goals.nrr", _ratio, _GOAL)] = None
    goal_grr: Annotated[Fraction | None, Key("goals.grr", _ratio, _GOAL)] = None
    goal_crr: Annotated[Fraction | None, Key("goals.crr", _ratio, _GOAL)] = None
    bind: Annotated[
        ListenAddress,
        Key("serve.bind", listen_address, 'an address such as "127.0.0.1:8480"'),
    ] = ListenAddress("127.0.0.1", 8480)
    admin_bind: Annotated[
        ListenAddress,
        Key("serve.admin_bind", listen_address, 'an address such as "127.0.0.1:8481"'),
    ] = ListenAddress("127.0.0.1", 8481)
    admin_token_file: Annotated[
        Path | None,
        Key("serve.admin_token_file", _file, 'the path of a file, or "" for none'),
    ] = None
    dashboard_bind: Annotated[
        ListenAddress,
        Key("dashboard.bind", listen_address, 'an address such as "127.0.0.1:8481"'),
    ] = ListenAddress("127.0.0.1", 8481)
    token_file: Annotated[
        Path | None,
        Key("dashboard.token_file", _file, 'the path of a file, or "" for none'),
    ] = None
    pairs: Mapping[str, str] = {}  # customers with their companies, as the file says
    name: str = ""
    key_file: Path | None = None
    stripe_account: str | None = None
    webhook_secret_file: Path | None = None
    accounts: tuple["Config", ...] = ()
    ledgers: Mapping[str, Path] = {}
    source: Path | None = None

    @property
    def goals(self) -> dict[str, Fraction]:
        """What NRR, GRR and CRR of twelve months are to reach, where that is said."""
        set_ones = (
            ("nrr", self.goal_nrr),
            ("grr", self.goal_grr),
            ("crr", self.goal_crr),
        )
        return {name: goal for name, goal in set_ones if goal is not None}

    @property
    def owner_key(self) -> str | None:
        """The key of customers' metadata that says whose they are."""
        return self.owner.partition(":")[2] or None

    @property
    def company_rule(self) -> CompanyRule:
        """Which customers are one company."""
        return CompanyRule(key=self.company.partition(":")[2], pairs=self.pairs)

    @property
    def kept_metadata(self) -> tuple[str, ...]:
        """The keys of customers' metadata that the mirror keeps."""
        named = (self.owner_key, self.company_rule.key)
        return tuple(dict.fromkeys([*self.metadata_keys, *filter(None, named)]))


LIKE = "like"  # what stands for several switches of the policy at once


def _preset(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, str):
        raise TypeError
    return preset_fields(value) if value else {}


def _keys() -> Iterator[tuple[str, Key]]:
    """Each field, of ``Config`` or of its ``policy``, with how it is set."""
    for name, kind in get_type_hints(Config, include_extras=True).items():
        if name == "policy":
            yield (
                LIKE,
                Key("policy.like", _preset, f'a preset such as "{DEFAULT}", or ""'),
            )
            for field, rule in POLICY_RULES.items():
                yield field, Key(f"policy.{rule.key}", rule.read, rule.wanted)
        elif hasattr(kind, "__metadata__"):
            yield name, kind.__metadata__[0]


_FIELDS = dict(_keys())
KEYS: Mapping[str, Key] = {key.name: key for key in _FIELDS.values()}
ACCOUNT = "account"
# What an [[account]] says of itself: the fields of its ``Config`` that it sets.
ACCOUNT_FIELDS: Mapping[str, Key] = {
    "name": Key("name", _account_name, "letters, digits, dots and dashes"),
    "key_file": Key("key_file", _secret_file, "the path of a file that holds the key"),
    "database": KEYS["database"],
    "zone": KEYS["timezone"],
    "reporting_currency": KEYS["reporting.currency"]._replace(name="currency"),
    "stripe_account": Key(
        "stripe_account", _stripe_account, 'an id such as "acct_1Uk"'
    ),
    "webhook_secret_file": Key(
        "webhook_secret_file", _secret_file, "the path of a file that holds the secret"
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
        fault = f"{name} is not TOML: {toml_fault(text, error)}"
        raise ConfigError([fault], source=name) from error
    faults: list[str] = []
    tables = _account_tables(table, faults)
    given = _flat(table, faults)
    chosen = _chosen(_FIELDS, given, faults)
    faults += [_unknown(key, given[key]) for key in sorted(given.keys() - KEYS.keys())]
    if chosen.get("reporting_currency") and not chosen.get("rates"):
        faults.append(_WITHOUT_RATES)
    faults += _contradictions(chosen)
    if base := environ.get("STRIPE_API_BASE"):
        chosen["api_base"] = base
    named = [_named(n, each, chosen, faults) for n, each in enumerate(tables, 1)]
    if faults:
        raise ConfigError(faults, source=name)
    config = _config(chosen, source)
    accounts = [_of_account(each, chosen, source) for each in named]
    faults += _own_files(config) if not accounts else _collisions(accounts)
    if faults:
        raise ConfigError(faults, source=name)
    ledgers = {each.name: each.database for each in accounts}
    whole = tuple(replace(each, ledgers=ledgers) for each in accounts)
    return replace(config, accounts=whole)


def _own_files(config: Config) -> Iterator[str]:
    if config.status_file == config.database:
        yield message("sync.status_file is the ledger: give it a file of its own")


def _chosen(
    fields: Mapping[str, Key], given: Mapping[str, Any], faults: list[str]
) -> dict[str, Any]:
    """What was given, read, by the field that it sets."""
    return {
        field: _read(key, given[key.name], faults)
        for field, key in fields.items()
        if key.name in given
    }


# Several accounts


def _account_tables(table: dict[str, Any], faults: list[str]) -> list[dict[str, Any]]:
    """Take the tables of accounts out of the file's."""
    tables = table.get(ACCOUNT, [])
    if isinstance(tables, list) and all(isinstance(each, dict) for each in tables):
        table.pop(ACCOUNT, None)
        return tables
    if isinstance(tables, dict):
        table.pop(ACCOUNT)
        faults.append(message("[account] is one of several: write [[account]]"))
    return []


def _named(
    number: int, table: Mapping[str, Any], top: Mapping[str, Any], faults: list[str]
) -> dict[str, Any]:
    """What an account's table chooses; its faults say which account's they are."""
    known = {key.name: key for key in ACCOUNT_FIELDS.values()}
    found: list[str] = []
    chosen = _chosen(ACCOUNT_FIELDS, table, found)
    if "name" not in table:
        found.append(message('it has no name: give it one, such as name = "uk"'))
    unknown = sorted(table.keys() - known.keys())
    found += [_unknown(key, table[key], known) for key in unknown]
    if chosen.get("reporting_currency") and not top.get("rates"):
        found.append(_WITHOUT_RATES)
    whose = chosen.get("name") or message(f"number {number}")
    faults += [message(f"[[account]] {whose}: {fault}") for fault in found]
    return chosen


def _of_account(
    own: Mapping[str, Any], top: Mapping[str, Any], source: Path | None
) -> Config:
    """The account's whole configuration; its status file is its own, too."""
    config = _config({**top, **own}, source)
    if config.status_file is None:
        return config
    return replace(config, status_file=file_of(config.status_file, config))


def file_of(path: Path, account: Config) -> Path:
    """The account's own of a file that each has: ``status-uk.json``."""
    return path.with_stem(f"{path.stem}-{account.name}") if account.name else path


def _collisions(accounts: Sequence[Config]) -> Iterator[str]:
    """What two accounts must not share: each has a ledger, and is one at Stripe."""
    for _, other in _alike(accounts, lambda each: each.name.casefold()):
        yield message(f"two accounts are called {other.name}: give each its own name")
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
        yield from _own_files(each)


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


# Faults of any key


_WITHOUT_RATES = message(
    "reporting.currency needs reporting.rates, what other currencies are worth: name "
    "the European Central Bank's historical file (eurofxref-hist.csv) or lines of "
    "date,currency,rate"
)


def _contradictions(chosen: Mapping[str, Any]) -> Iterator[str]:
    """Switches that a preset sets, and the file sets otherwise beside it."""
    for field, value in (chosen.get(LIKE) or {}).items():
        rule = POLICY_RULES[field]
        if chosen.get(field, value) != value:
            own = rule.written(chosen[field])
            yield message(
                f'policy.like means {rule.key} = "{rule.written(value)}", and '
                f'policy.{rule.key} is "{own}": leave one of them out'
            )


def _config(chosen: Mapping[str, Any], source: Path | None) -> Config:
    """What was chosen, and the defaults; paths are relative to the file's folder."""
    own = {name: chosen[name] for name in Config.__struct_fields__ if name in chosen}
    named = {name: chosen[name] for name in POLICY_RULES if name in chosen}
    policy = {**(chosen.get(LIKE) or {}), **named}
    if "language" in own:  # whose amounts it writes, unless told otherwise
        own.setdefault("locale", LANGUAGES[own["language"]].locale)
    config = Config(**own, policy=Policy(**policy))
    folder = source.parent if source is not None else Path()
    values = ((name, getattr(config, name)) for name in Config.__struct_fields__)
    paths = {name: folder / value for name, value in values if isinstance(value, Path)}
    config = replace(config, **paths, source=source)
    if config.company_file is None:
        return config
    return replace(config, pairs=read_pairs(config.company_file))


HEADING = ["customer", "account"]


def read_pairs(path: Path) -> dict[str, str]:
    """Lines of customer,account → customers with the company of each; a heading may be.

    Raises ``ConfigError`` with every fault.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"customers.account_file is {path}: it cannot be read: {error}"
        raise ConfigError([fault], source="customers.account_file") from error
    faults: list[str] = []
    found: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        told = [each.strip() for each in row]
        if not any(told) or (number == 1 and [x.lower() for x in told] == HEADING):
            continue
        if len(told) != len(HEADING) or not all(told):
            faults.append(
                message(f"line {number} of {path} is no pair of customer,account")
            )
        elif found.setdefault(told[0], told[1]) != told[1]:
            faults.append(
                message(
                    f"line {number} of {path} says that {told[0]} belongs to {told[1]}, "
                    f"and an earlier one says {found[told[0]]}"
                )
            )
    if faults:
        raise ConfigError(faults, source=str(path))
    return found


def _flat(table: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
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


def _read(key: Key, value: Any, faults: list[str]) -> Any:
    try:
        return key.read(value)
    except (ValueError, TypeError, KeyError, OSError):  # ZoneInfo raises all four
        faults.append(
            message(f"{key.name} is {masked(repr(value))}: give {key.wanted}")
        )
        return None


def _unknown(key: str, value: Any, known: Mapping[str, Key] = KEYS) -> str:
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


def load(path: Path | None, environ: Mapping[str, str], user_folder: Path) -> Config:
    """The file given, else ./config.toml, else the user's, else all defaults."""
    candidates = [Path("config.toml"), user_folder / "config.toml"]
    path = path or next((p for p in candidates if p.is_file()), None)
    if path is None:
        return parse("", environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"{path} cannot be read: {error}"
        raise ConfigError([fault], source=str(path)) from error
    return parse(text, environ, source=path)


def rules_of(config: Config, kept: ZoneInfo | None) -> Rules:
    """The rules that the configuration asks for, under this version.

    Where it names no zone the ledger's own is ``kept``; ``NothingFound`` where that has
    none either: then nothing is derived yet.
    """
    zone = config.zone or kept
    if zone is None:
        raise NothingFound(
            "the ledger is empty: no sync has finished yet", fix="run `stripe-nrr sync`"
        )
    return Rules(
        policy=config.policy,
        zone=zone,
        code_version=__version__,
        merge=config.merge,
        company=config.company_rule,
    )
