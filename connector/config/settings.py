"""Everything that can be set: each field with its key, its default and how it is read."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints
from zoneinfo import ZoneInfo

from msgspec import Struct

from connector import __version__
from connector.config import values
from connector.config.values import DEFAULT_LOCALE, ListenAddress
from connector.core.errors import NothingFound
from connector.core.language import DEFAULT as DEFAULT_LANGUAGE
from connector.core.policy import POLICY_RULES, CompanyRule, Policy, Rules
from connector.core.presets import DEFAULT, preset_fields

# What to give, where it is said of several keys, or has no room beside one.
_ADDRESS = 'an address such as "127.0.0.1:8481"'
_BENCHMARKS = 'the path of a file of benchmarks, or ""'
_CURRENCY = 'a currency such as "usd", or "" for none'
_FILE = 'the path of a file, or "" for none'
_MERGED = 'a table {cus_old = "cus_new"} without circles'
_METADATA = '"metadata:KEY", or "" for none'
_PAIRS = 'the path of a file of pairs, or ""'
_RATE = "a number from 1 to 1000"
_RATES = 'the path of a file of rates, or ""'
_GOAL = 'a ratio above 0, such as 1.10 or "110%", or "" for none'


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

    database: Annotated[Path, Key("database", values.path, "a path")] = Path(
        "stripe-nrr.db"
    )
    zone: Annotated[
        ZoneInfo | None, Key("timezone", values.zone, 'a zone such as "Europe/Berlin"')
    ] = None  # the ledger's own, which its first sync takes from the account
    api_base: Annotated[str, Key("stripe.api_base", values.text, "an https URL")] = (
        "https://api.stripe.com"
    )
    workers: Annotated[
        int, Key("sync.workers", values.count, "a whole number from 1 to 64")
    ] = 8
    requests_per_second: Annotated[
        float, Key("sync.requests_per_second", values.rate, _RATE)
    ] = 20.0
    requests_per_second_in_all: Annotated[
        float, Key("sync.requests_per_second_in_all", values.rate, _RATE)
    ] = 80.0
    status_file: Annotated[
        Path | None, Key("sync.status_file", values.optional_path, _FILE)
    ] = None
    policy: Policy = Policy()  # its rules are the keys of [policy]
    label: Annotated[
        str, Key("customers.label", values.label, '"name", "metadata:KEY" or "id"')
    ] = "name"
    metadata_keys: Annotated[
        tuple[str, ...],
        Key("customers.metadata", values.texts, "a list of metadata keys"),
    ] = ()
    owner: Annotated[str, Key("customers.owner", values.owner, _METADATA)] = ""
    merge: Annotated[
        Mapping[str, str], Key("customers.merge", values.merge, _MERGED)
    ] = {}
    company: Annotated[str, Key("customers.account", values.owner, _METADATA)] = ""
    company_file: Annotated[
        Path | None, Key("customers.account_file", values.optional_path, _PAIRS)
    ] = None
    accepted: Annotated[
        tuple[str, ...],
        Key(
            "coverage.accepted", values.texts, "a list of ids of customers and products"
        ),
    ] = ()
    reporting_currency: Annotated[
        str | None, Key("reporting.currency", values.currency, _CURRENCY)
    ] = None
    rates: Annotated[
        Path | None, Key("reporting.rates", values.optional_path, _RATES)
    ] = None
    bands: Annotated[
        tuple[int, ...],
        Key(
            "reporting.bands", values.edges, "whole amounts above 0, the smallest first"
        ),
    ] = (10_000, 100_000)
    benchmarks: Annotated[
        Path | None, Key("reporting.benchmarks", values.optional_path, _BENCHMARKS)
    ] = None
    locale: Annotated[
        str,
        Key("reporting.locale", values.locale, 'a locale such as "en_US" or "de_DE"'),
    ] = DEFAULT_LOCALE
    language: Annotated[
        str, Key("reporting.language", values.language, 'a language: "en" or "de"')
    ] = DEFAULT_LANGUAGE
    close_after_s: Annotated[
        float,
        Key("reporting.close_after", values.duration_s, 'a duration such as "24h"'),
    ] = 86_400.0
    goal_nrr: Annotated[Fraction | None, Key("goals.nrr", values.ratio, _GOAL)] = None
    goal_grr: Annotated[Fraction | None, Key("goals.grr", values.ratio, _GOAL)] = None
    goal_crr: Annotated[Fraction | None, Key("goals.crr", values.ratio, _GOAL)] = None
    bind: Annotated[
        ListenAddress,
        Key("serve.bind", values.listen_address, 'an address such as "127.0.0.1:8480"'),
    ] = ListenAddress("127.0.0.1", 8480)
    admin_bind: Annotated[
        ListenAddress, Key("serve.admin_bind", values.listen_address, _ADDRESS)
    ] = ListenAddress("127.0.0.1", 8481)
    admin_token_file: Annotated[
        Path | None, Key("serve.admin_token_file", values.optional_path, _FILE)
    ] = None
    dashboard_bind: Annotated[
        ListenAddress, Key("dashboard.bind", values.listen_address, _ADDRESS)
    ] = ListenAddress("127.0.0.1", 8481)
    token_file: Annotated[
        Path | None, Key("dashboard.token_file", values.optional_path, _FILE)
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


FIELDS = dict(_keys())
KEYS: Mapping[str, Key] = {key.name: key for key in FIELDS.values()}
ACCOUNT = "account"
# What an [[account]] says of itself: the fields of its ``Config`` that it sets.
ACCOUNT_FIELDS: Mapping[str, Key] = {
    "name": Key(
        "name",
        values.account_name,
        "up to 40 letters, digits, dots and dashes, a letter or digit first",
    ),
    "key_file": Key(
        "key_file", values.secret_file, "the path of a file that holds the key"
    ),
    "database": KEYS["database"],
    "zone": KEYS["timezone"],
    "reporting_currency": KEYS["reporting.currency"]._replace(name="currency"),
    "stripe_account": Key(
        "stripe_account", values.stripe_account, 'an id such as "acct_1Uk"'
    ),
    "webhook_secret_file": Key(
        "webhook_secret_file",
        values.secret_file,
        "the path of a file that holds the secret",
    ),
}


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
