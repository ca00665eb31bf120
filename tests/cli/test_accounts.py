"""Several accounts in one configuration: what each is, and how commands take them."""

import re
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from connector.cli.accounts import TAKES, asked_of
from connector.cli.app import COMMANDS
from connector.config import Config, accounts_of, parse
from connector.core.errors import ConfigError, UsageFault
from tests.support.folders import ROOT

PAGE = (ROOT / "docs" / "accounts.md").read_text(encoding="utf-8")
TWO = """
    timezone = "Europe/Berlin"
    [policy]
    churn = "requested"
    [sync]
    status_file = "status.json"
    [[account]]
    name = "de"
    database = "de.db"
    key_file = "de.key"
    [[account]]
    name = "uk"
    database = "uk.db"
    timezone = "Europe/London"
    stripe_account = "acct_1Uk"
    webhook_secret_file = "uk.whsec"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, {})
    return raised.value.faults


# --- what each account is ---


def test_an_account_is_the_whole_configuration_with_its_own() -> None:
    source = Path("/etc/nrr/config.toml")
    config = parse(TWO, {"STRIPE_API_BASE": "https://stand-in.example"}, source=source)
    ledgers = {"de": Path("/etc/nrr/de.db"), "uk": Path("/etc/nrr/uk.db")}
    common = replace(config, accounts=(), ledgers=ledgers)
    assert accounts_of(config) == (
        replace(
            common,
            name="de",
            database=Path("/etc/nrr/de.db"),
            key_file=Path("/etc/nrr/de.key"),
            status_file=Path("/etc/nrr/status-de.json"),
        ),
        replace(
            common,
            name="uk",
            database=Path("/etc/nrr/uk.db"),
            zone=ZoneInfo("Europe/London"),
            stripe_account="acct_1Uk",
            webhook_secret_file=Path("/etc/nrr/uk.whsec"),
            status_file=Path("/etc/nrr/status-uk.json"),
        ),
    )


def test_a_file_without_accounts_is_of_one_without_a_name() -> None:
    config = parse('database = "x.db"', {})
    assert accounts_of(config) == (config,)
    assert config == Config(database=Path("x.db"))


def test_accounts_are_asked_for_by_name_in_the_file_s_order() -> None:
    config = parse(TWO, {})
    assert [each.name for each in accounts_of(config, ["uk"])] == ["uk"]
    assert [each.name for each in accounts_of(config, ["uk", "de"])] == ["de", "uk"]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        pytest.param(TWO, "give one of these: de, uk", id="of two"),
        pytest.param(
            "",
            "leave --account out: the configuration has no [[account]]",
            id="of none",
        ),
    ],
)
def test_an_account_that_nobody_named_is_refused(text: str, fix: str) -> None:
    with pytest.raises(UsageFault, match="no account is called 'fr'") as raised:
        accounts_of(parse(text, {}), ["fr"])
    assert raised.value.fix == fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            '[[account]]\ndatabase = "a.db"',
            ['[[account]] number 1: it has no name: give it one, such as name = "uk"'],
            id="no name",
        ),
        pytest.param(
            '[[account]]\nname = "../uk"',
            [
                (
                    "[[account]] number 1: name is '../uk': give up to 40 letters, "
                    "digits, dots and dashes, a letter or digit first"
                )
            ],
            id="a name that is no file's",
        ),
        pytest.param(
            '[[account]]\nname = "a"\nkey_file = "a.key"\ndatabase = "a.db"\n'
            '[[account]]\nname = "A"\nkey_file = "b.key"\ndatabase = "b.db"\n',
            ["two accounts are called A: give each a name of its own"],
            id="two of one name",
        ),
        pytest.param(
            '[[account]]\nname = "a"\nkey_file = "a.key"\n'
            '[[account]]\nname = "b"\nkey_file = "b.key"\ndatabase = "./stripe-nrr.db"',
            [
                (
                    "accounts a and b have one database, stripe-nrr.db: give each its own, "
                    'such as database = "b.db"'
                )
            ],
            id="one ledger of two",
        ),
        pytest.param(
            '[[account]]\nname = "a"\ndatabase = "a.db"\n'
            '[[account]]\nname = "b"\ndatabase = "b.db"',
            [
                (
                    "accounts a and b have one key, and nothing tells them apart: give "
                    'each its own key_file, or stripe_account = "acct_…"'
                )
            ],
            id="one key and no stripe_account",
        ),
        pytest.param(
            '[[account]]\nname = "a"\ndatabase = "a.db"\nstripe_account = "acct_1"\n'
            '[[account]]\nname = "b"\ndatabase = "b.db"\nstripe_account = "acct_1"\n'
            'key_file = "b.key"',
            ["accounts a and b are both acct_1: leave one of them out"],
            id="one account twice",
        ),
        pytest.param(
            '[[account]]\nname = "a"\ntimezone = "Europe"\nzone = 1\ncurrency = "eur"',
            [
                (
                    "[[account]] a: timezone is 'Europe': give a zone such as "
                    '"Europe/Berlin"'
                ),
                (
                    "[[account]] a: zone is not a setting of this program; did you mean "
                    "timezone?"
                ),
                (
                    "[[account]] a: reporting.currency needs reporting.rates, what other "
                    "currencies are worth: name the European Central Bank's historical "
                    "file (eurofxref-hist.csv) or lines of date,currency,rate"
                ),
            ],
            id="several at once",
        ),
        pytest.param(
            '[account]\nname = "a"',
            ["[account] is one of several: write [[account]]"],
            id="one bracket",
        ),
        pytest.param(
            '[[account]]\nname = "a"\nstripe_account = "uk"',
            ["[[account]] a: stripe_account is 'uk': give an id such as \"acct_1Uk\""],
            id="no id of Stripe's",
        ),
        pytest.param(
            '[sync]\nstatus_file = "x"\n[[account]]\nname = "a"\ndatabase = "x-a"',
            ["sync.status_file is the ledger: give it a file of its own"],
            id="a ledger where the status goes",
        ),
    ],
)
def test_a_fault_says_whose_it_is_and_what_to_do(text: str, said: list[str]) -> None:
    assert faults(text) == said


@pytest.mark.parametrize("key", ["key", "key_file", "webhook_secret_file", "name"])
def test_a_secret_in_an_account_is_refused_and_not_repeated(key: str) -> None:
    [fault] = faults(
        f'[[account]]\nname = "a"\n{key} = "rk_live_51Secret"'.replace(
            'name = "a"\nname', "name"
        )
    )
    assert "51Secret" not in fault


def test_a_thousand_accounts_are_read_at_once() -> None:
    text = "".join(
        f'[[account]]\nname = "a{n}"\ndatabase = "a{n}.db"\nstripe_account = "acct_{n}"\n'
        for n in range(1_000)
    )
    began_s = time.process_time()
    assert len(accounts_of(parse(text, {}))) == 1_000
    assert time.process_time() - began_s < 3


# --- how commands take them ---


def test_the_page_tells_how_each_command_takes_them() -> None:
    """In the order of the kinds of taking, each command once."""
    rows = re.findall(
        r"^\| [^`|]+(?:`--account(?: NAME)?`[^|]*)?\| (`.+`) \|$", PAGE, re.MULTILINE
    )
    kinds = ("each", "all", "named", "sum", "one", "none")
    found = [tuple(re.findall(r"`([a-z-]+)`", row)) for row in rows]
    told = dict(zip(kinds, found[-6:], strict=True))
    assert {each: kind for kind, names in told.items() for each in names} == dict(TAKES)


def test_every_command_says_which_accounts_it_takes() -> None:
    assert TAKES.keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    ("accounts", "text", "expected"),
    [
        ([], "run `stripe-nrr sync`", "run `stripe-nrr sync`"),
        (["uk"], "run `stripe-nrr sync`", "run `stripe-nrr sync --account uk`"),
        (
            ["uk"],
            "  stripe-nrr report --from 2026-01 --to 2026-01",
            "  stripe-nrr report --account uk --from 2026-01 --to 2026-01",
        ),
        (
            ["de", "uk"],
            "`stripe-nrr recompute`, or choose some with --account",
            (
                "`stripe-nrr recompute --account de --account uk`, or choose some with "
                "--account"
            ),
        ),
        (
            ["uk"],
            "Next: stripe-nrr check, then stripe-nrr sync; start serve anew.",
            (
                "Next: stripe-nrr check --account uk, then stripe-nrr sync --account uk; "
                "start serve anew."
            ),
        ),
        (["uk"], "`stripe-nrr at-risk`", "`stripe-nrr at-risk --account uk`"),
        (["uk"], "stripe-nrr inbox retry", "stripe-nrr inbox --account uk retry"),
        (["uk"], "`stripe-nrr notes` lists", "`stripe-nrr notes --account uk` lists"),
        (["de", "uk"], "`stripe-nrr notes` lists", "`stripe-nrr notes` lists"),
        (["uk"], "`stripe-nrr sync --account de`", "`stripe-nrr sync --account de`"),
        (["uk"], "`stripe-nrr demo` needs none", "`stripe-nrr demo` needs none"),
        (["uk"], "see `stripe-nrr --help`", "see `stripe-nrr --help`"),
        (["uk"], "/backups/stripe-nrr.db", "/backups/stripe-nrr.db"),
    ],
)
def test_a_command_that_is_told_is_asked_of_the_same_accounts(
    accounts: list[str], text: str, expected: str
) -> None:
    assert asked_of(accounts, text) == expected
