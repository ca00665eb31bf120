"""config.toml and the environment: defaults, every fault at once, and no secrets."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.config import KEYS, Config, ListenAddress, load, parse
from connector.core.errors import ConfigError
from connector.core.policy import Policy
from connector.core.presets import PRESETS
from connector.stripe_api.credentials import stripe_key, webhook_secrets
from tests.support.folders import ROOT
from tests.support.policies import OTHERWISE, preset_of

KEY = "rk_live_51AbCdEfGhIjKlMnOpQrStUv"


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, {})
    return raised.value.faults


# --- what is read ---


def test_no_file_at_all_is_a_configuration() -> None:
    assert parse("", {}) == Config(
        database=Path("stripe-nrr.db"),
        zone=None,
        api_base="https://api.stripe.com",
        workers=8,
        requests_per_second=20.0,
        requests_per_second_in_all=80.0,
        policy=Policy(),
        label="name",
        metadata_keys=(),
        locale="en_US",
    )


def test_every_key_is_read() -> None:
    text = """
        database = "books/ledger.db"
        timezone = "Europe/Berlin"
        [stripe]
        api_base = "http://127.0.0.1:12111"
        [sync]
        workers = 32
        requests_per_second = 12.5
        requests_per_second_in_all = 25
        status_file = "status.json"
        [policy]
        past_due = "after_days:30"
        pause_collection = "excluded"
        repeating_coupon = "ignored"
        once_coupon = "subtracted"
        metered = "invoiced"
        churn = "requested"
        active_from = "first_payment"
        trial_after_paying = "counts"
        invoiced_recurring = "by_period"
        [customers]
        label = "metadata:company"
        metadata = ["segment", "region"]
        owner = "metadata:csm"
        merge = { cus_old = "cus_new" }
        [reporting]
        locale = "de_DE"
        currency = "EUR"
        rates = "rates.csv"
        [serve]
        bind = "[::1]:8490"
        admin_bind = "localhost:0"
    """
    assert parse(text, {}) == Config(
        database=Path("books/ledger.db"),
        zone=ZoneInfo("Europe/Berlin"),
        api_base="http://127.0.0.1:12111",
        workers=32,
        requests_per_second=12.5,
        requests_per_second_in_all=25.0,
        status_file=Path("status.json"),
        policy=OTHERWISE,
        label="metadata:company",
        metadata_keys=("segment", "region"),
        owner="metadata:csm",
        merge={"cus_old": "cus_new"},
        locale="de_DE",
        reporting_currency="eur",
        rates=Path("rates.csv"),
        bind=ListenAddress("::1", 8490),
        admin_bind=ListenAddress("localhost", 0),
    )


@pytest.mark.parametrize(
    ("reporting", "locale"),
    [
        pytest.param("", "en_US", id="neither is said"),
        pytest.param('language = "de"', "de_DE", id="as the language does"),
        pytest.param('language = "de"\nlocale = ""', "de_DE", id="said so"),
        pytest.param('locale = ""', "en_US", id="said so of the default"),
        pytest.param('language = "de"\nlocale = "en_GB"', "en_GB", id="another"),
    ],
)
def test_amounts_are_written_as_the_language_does(reporting: str, locale: str) -> None:
    assert parse(f"[reporting]\n{reporting}", {}).locale == locale


def test_in_what_config_init_writes_the_language_alone_is_changed() -> None:
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    german = text.replace('language = "en"', 'language = "de"')
    assert parse(text, {}).locale == "en_US"
    assert parse(german, {}).locale == "de_DE"


def test_a_chain_of_merged_customers_ends_where_the_last_is() -> None:
    text = '[customers.merge]\na = "b"\nb = "c"\nx = "y"'
    assert parse(text, {}).merge == {"a": "c", "b": "c", "x": "y"}


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        pytest.param("ledger.db", "/etc/nrr/ledger.db", id="beside the file"),
        pytest.param("../ledger.db", "/etc/nrr/../ledger.db", id="above it"),
        pytest.param("/var/ledger.db", "/var/ledger.db", id="absolute"),
        pytest.param("~/ledger.db", "/home/ada/ledger.db", id="in the user's home"),
    ],
)
def test_where_the_ledger_lies(
    monkeypatch: pytest.MonkeyPatch, database: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    source = Path("/etc/nrr/config.toml")
    found = parse(f'database = "{database}"', {}, source=source)
    assert found.database == Path(expected)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, "https://file.example", id="the file's"),
        pytest.param(
            {"STRIPE_API_BASE": "https://env.example"},
            "https://env.example",
            id="the environment's, which wins",
        ),
        pytest.param(
            {"STRIPE_API_BASE": ""}, "https://file.example", id="not an empty one"
        ),
    ],
)
def test_the_api_base(environ: dict[str, str], expected: str) -> None:
    text = '[stripe]\napi_base = "https://file.example"'
    assert parse(text, environ).api_base == expected


# --- what is refused ---


def test_every_fault_is_named_at_once() -> None:
    text = """
        timezone = "Europe/Atlantis"
        time_zone = "UTC"
        [policy]
        churn = "whenever"
        past_due = "after_days:soon"
        [customers]
        label = "email"
        metadata = "segment"
        lable = "name"
        [reporting]
        locale = "Klingon"
    """
    assert faults(text) == [
        "timezone is 'Europe/Atlantis': give a zone such as \"Europe/Berlin\"",
        'policy.past_due is \'after_days:soon\': give "counts" or "after_days:N"',
        'policy.churn is \'whenever\': give "ended" or "requested"',
        'customers.label is \'email\': give "name", "metadata:KEY" or "id"',
        "customers.metadata is 'segment': give a list of metadata keys",
        'reporting.locale is \'Klingon\': give a locale such as "en_US" or "de_DE"',
        "customers.lable is not a setting of this program; did you mean customers.label?",
        "time_zone is not a setting of this program; did you mean timezone?",
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_the_switches_that_stripe_has(name: str) -> None:
    policy = parse(f'[policy]\nlike = "{name}"\npast_due = "after_days:3"', {}).policy
    assert preset_of(policy) == name
    assert policy == Policy(past_due_days=3, **PRESETS[name])


def test_words_of_a_preset_may_stand_in_any_order() -> None:
    words = [*max(PRESETS, key=len).removeprefix("stripe:").split("+")][::-1]
    policy = parse(f'[policy]\nlike = "stripe:{"+".join(words)}"', {}).policy
    assert preset_of(policy) == max(PRESETS, key=len)


def test_a_preset_and_a_switch_that_contradicts_it_are_refused() -> None:
    text = '[policy]\nlike = "stripe:default"\nrepeating_coupon = "subtracted"'
    said = (
        'policy.like means repeating_coupon = "ignored", and policy.repeating_coupon '
    )
    assert faults(text) == [f'{said}is "subtracted": leave one of them out']
    assert faults('[policy]\nlike = "stripe:churn"') == [
        'policy.like is \'stripe:churn\': give a preset such as "stripe:default", or ""'
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            '[reporting]\nlocale = "xx"',
            'reporting.locale is \'xx\': give a locale such as "en_US" or "de_DE"',
            id="a locale nobody speaks",
        ),
        pytest.param("database = 5", "database is 5: give a path", id="a number"),
        pytest.param('database = " "', "database is ' ': give a path", id="a blank"),
        pytest.param(
            'database = "a\\u0000b"',
            "database is 'a\\x00b': give a path",
            id="a path that no system takes",
        ),
        pytest.param(
            'database = "~nobody-is-called-so/x.db"',
            "database is '~nobody-is-called-so/x.db': give a path",
            id="the home of nobody",
        ),
        pytest.param(
            "[sync]\nworkers = 0",
            "sync.workers is 0: give a whole number from 1 to 64",
            id="nobody to work",
        ),
        pytest.param(
            "[sync]\nworkers = true",
            "sync.workers is True: give a whole number from 1 to 64",
            id="a yes for a number",
        ),
        pytest.param(
            "[sync]\nrequests_per_second = -1",
            "sync.requests_per_second is -1: give a number from 1 to 1000",
            id="a pace that goes backwards",
        ),
        pytest.param(
            'timezone = "../../etc/passwd"',
            "timezone is '../../etc/passwd': give a zone such as \"Europe/Berlin\"",
            id="a path instead of a zone",
        ),
        pytest.param(
            'timezone = "Europe"',
            "timezone is 'Europe': give a zone such as \"Europe/Berlin\"",
            id="half a zone",
        ),
        pytest.param(
            "[policy]\nmetered = true",
            'policy.metered is True: give "excluded" or "invoiced"',
            id="a switch instead of a word",
        ),
        pytest.param(
            '[customers.merge]\na = "b"\nb = "a"',
            "customers.merge is {'a': 'b', 'b': 'a'}: "
            'give a table {cus_old = "cus_new"} without circles',
            id="customers merged in a circle",
        ),
        pytest.param(
            "[reporting]\nbands = [100, 100]",
            "reporting.bands is [100, 100]: give whole amounts above 0, the smallest first",
            id="bands that are not in order",
        ),
        pytest.param(
            '[reporting]\nbands = [10, "20"]',
            "reporting.bands is [10, '20']: give whole amounts above 0, the smallest first",
            id="a band that is no amount",
        ),
        pytest.param(
            '[reporting]\ncurrency = "euros"',
            "reporting.currency is 'euros': "
            'give a currency such as "usd", or "" for none',
            id="no currency code",
        ),
        pytest.param(
            '[reporting]\nrates = "~nobody-is-called-so/rates.csv"',
            "reporting.rates is '~nobody-is-called-so/rates.csv': "
            'give the path of a file of rates, or ""',
            id="rates in the home of nobody",
        ),
        pytest.param(
            "[customers]\nmetadata = [1]",
            "customers.metadata is [1]: give a list of metadata keys",
            id="a list of something else",
        ),
        pytest.param(
            'policy = "counts"',
            "policy is a section: write [policy] and its keys below it",
            id="a section written as a key",
        ),
        pytest.param(
            "[colours]\nnrr = 1",
            "colours is not a setting of this program",
            id="a section nobody knows",
        ),
    ],
)
def test_a_fault(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "\ufefftimezone = 'UTC'",
            "line 1 begins with a byte order mark (BOM)",
            id="a BOM",
        ),
        pytest.param(
            "\ntimezone = Europe/Berlin  # ours",
            'line 2 needs quotes: write `timezone = "Europe/Berlin"`',
            id="no quotes",
        ),
        pytest.param(
            'timezone = "Europe/Berlin\n[policy]\nchurn = "ended"',
            'line 1 lacks a quote: write `timezone = "Europe/Berlin"`',
            id="no quote at the end",
        ),
        pytest.param(
            '[policy]\r\nchurn = "ended"\r\nmetered = excluded"\r\n',
            'line 3 lacks a quote: write `metered = "excluded"`',
            id="no quote at the beginning",
        ),
        pytest.param(
            "[policy]\nchurn = 'ended\nmetered = 'excluded'",
            'line 2 lacks a quote: write `churn = "ended"`',
            id="no single quote",
        ),
        pytest.param(
            "timezone = “Europe/Berlin”",
            "line 1 has quotes that are not straight ones",
            id="quotes of a word processor",
        ),
        pytest.param(
            "key = sk_live_51Secret",
            'write `key = "sk_…"`',
            id="a secret is not repeated",
        ),
        pytest.param("[policy", "(at end of document)", id="anything else"),
        pytest.param("timezone =", "(at end of document)", id="nothing at all"),
        pytest.param(
            "[customers]\nmetadata = [size, 'x']",
            "(at line 2, column 13)",
            id="within a list",
        ),
    ],
)
def test_what_editors_do_to_a_file_is_named_with_line_and_fix(
    text: str, said: str
) -> None:
    (fault,) = faults(text)
    assert fault.startswith("config.toml is not TOML: ")
    assert said in fault
    assert "51Secret" not in fault


def test_what_is_not_toml_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("database = nowhere")
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 1") as raised:
        load(path, {}, tmp_path)
    assert str(path) in raised.value.fix


@given(st.text(max_size=40), st.sampled_from(sorted(KEYS)))
def test_any_text_is_read_or_refused_by_name(value: str, key: str) -> None:
    section, _, name = key.rpartition(".")
    quoted = "".join(f"\\U{ord(c):08X}" for c in value if not "\ud800" <= c <= "\udfff")
    text = f'{name} = "{quoted}"'
    named: list[str] = []
    try:
        parse(f"[{section}]\n{text}" if section else text, {})
    except ConfigError as error:
        named = [fault.partition(" is ")[0] for fault in error.faults]
    assert named in ([], [key])


# --- secrets ---


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'[stripe]\napi_key = "{KEY}"', id="stripe.api_key"),
        pytest.param(f'[stripe]\nsecret_key = "{KEY}"', id="stripe.secret_key"),
        pytest.param(f'stripe_api_key = "{KEY}"', id="stripe_api_key"),
        pytest.param(f'api_key = "{KEY}"', id="api_key on its own"),
        pytest.param('[stripe]\nwebhook_secret = "x"', id="stripe.webhook_secret"),
        pytest.param(f'[secrets]\nstripe = "{KEY}"', id="in a section of its own"),
        pytest.param(f'account = "{KEY}"', id="a key under a harmless name"),
    ],
)
def test_a_key_in_the_file_is_refused_with_the_reason(text: str) -> None:
    [fault] = faults(text)
    assert "does not belong in a file" in fault
    assert "STRIPE_API_KEY_FILE" in fault
    assert KEY not in fault


@pytest.mark.parametrize("key", sorted(KEYS))
@pytest.mark.parametrize("secret", ["sk_test_4eC39Hq", "rk_live_4eC39Hq", "whsec_4eC3"])
def test_a_key_in_the_wrong_place_is_never_echoed(key: str, secret: str) -> None:
    section, _, name = key.rpartition(".")
    text = f'{name} = ["{secret}", 1]'
    told = faults(f"[{section}]\n{text}" if section else text)
    assert "4eC3" not in "".join(told)


def test_the_key_comes_from_the_environment() -> None:
    assert stripe_key({"STRIPE_API_KEY": f" {KEY}\n"}) == KEY


def test_the_key_comes_from_the_file_the_environment_names(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    environ = {"STRIPE_API_KEY_FILE": str(path)}
    assert stripe_key(environ) == KEY
    assert stripe_key({**environ, "STRIPE_API_KEY": "rk_live_other"}) == "rk_live_other"


def test_without_a_key_it_says_which_to_make() -> None:
    with pytest.raises(ConfigError, match="a restricted key that may only read"):
        stripe_key({})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{KEY}\n{KEY}", id="two lines"),
        pytest.param(f"{KEY[:9]} {KEY[9:]}", id="a space inside"),
        pytest.param(f"“{KEY}”", id="typographic quotes"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="copy it again") as raised:
        stripe_key({"STRIPE_API_KEY_FILE": str(path)})
    assert KEY[8:] not in f"{raised.value} {raised.value.fix}"


@pytest.mark.parametrize("name", ["missing", "~nobody-is-called-so/key", "."])
def test_a_key_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    named = name if name.startswith("~") else str(tmp_path / name)
    with pytest.raises(ConfigError, match=r"STRIPE_API_KEY_FILE .* cannot be read"):
        stripe_key({"STRIPE_API_KEY_FILE": named})


# --- which file ---


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The current folder and the user's."""
    here, users = tmp_path / "here", tmp_path / "users"
    here.mkdir()
    users.mkdir()
    monkeypatch.chdir(here)
    return here, users


def test_the_file_given_then_the_one_here_then_the_user_s(
    folders: tuple[Path, Path],
) -> None:
    here, users = folders
    given_path = here / "given.toml"
    assert load(None, {}, users).source is None
    (users / "config.toml").write_text('timezone = "Asia/Tokyo"')
    assert load(None, {}, users).zone == ZoneInfo("Asia/Tokyo")
    assert load(None, {}, users).database == users / "stripe-nrr.db"
    (here / "config.toml").write_text('timezone = "Europe/Paris"')
    assert load(None, {}, users).zone == ZoneInfo("Europe/Paris")
    given_path.write_text('timezone = "Africa/Lagos"')
    assert load(given_path, {}, users).zone == ZoneInfo("Africa/Lagos")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: None, id="one that is not there"),
        pytest.param(Path.mkdir, id="a folder"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), id="one that is not text"),
    ],
)
def test_a_given_file_that_cannot_be_read(
    folders: tuple[Path, Path], make: object
) -> None:
    here, users = folders
    path = here / "given.toml"
    assert callable(make)
    make(path)
    with pytest.raises(ConfigError, match=r"given\.toml cannot be read"):
        load(path, {}, users)


# --- webhook secrets ---

NEW, OLD = "whsec_of_this_year", "whsec_of_last_year"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(NEW, (NEW,), id="one"),
        pytest.param(f"{NEW},{OLD}", (NEW, OLD), id="two, while one takes over"),
        pytest.param(f" {NEW} ,\n{OLD},\n", (NEW, OLD), id="with space around"),
    ],
)
def test_webhook_secrets_are_read_from_the_variable_or_a_file(
    given: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    assert webhook_secrets({"STRIPE_WEBHOOK_SECRET": given}) == expected
    path = tmp_path / "secret"
    path.write_text(given, encoding="utf-8")
    assert webhook_secrets({"STRIPE_WEBHOOK_SECRET_FILE": str(path)}) == expected


@pytest.mark.parametrize("given", ["", " , ", KEY, f"{NEW} {OLD}", "whsec_", "we_123"])
def test_what_is_no_secret_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(ConfigError) as raised:
        webhook_secrets({"STRIPE_WEBHOOK_SECRET": given})
    assert "webhook secret" in raised.value.problem
    told = raised.value.problem + raised.value.fix
    assert not any(secret in told for secret in (KEY, NEW, OLD, "we_123"))


@pytest.mark.parametrize("key", ["serve.bind", "serve.admin_bind"])
@pytest.mark.parametrize(
    "value", ["8480", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "a b:1"]
)
def test_an_address_is_a_host_and_a_port(key: str, value: str) -> None:
    section, _, name = key.partition(".")
    [fault] = faults(f'[{section}]\n{name} = "{value}"')
    assert fault.startswith(f"{key} is '{value}': give an address")


def test_a_file_says_which_customers_are_one_company(tmp_path: Path) -> None:
    """With a heading or without one; a byte order mark and empty lines are no harm."""
    file = tmp_path / "config.toml"
    text = '[customers]\naccount = "metadata:parent"\naccount_file = "pairs.csv"'
    for pairs in ("\ufeffCustomer,Account\n a , Acme \n\nb,Acme\n", "a,Acme\nb,Acme"):
        (tmp_path / "pairs.csv").write_text(pairs, encoding="utf-8")
        found = parse(text, {}, source=file)
        assert found.company_rule.key == "parent"
        assert found.company_rule.pairs == {"a": "Acme", "b": "Acme"}
        assert found.kept_metadata == ("parent",)
