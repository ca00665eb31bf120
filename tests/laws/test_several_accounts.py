"""Several accounts of one configuration end as each alone does, whatever befalls one."""

import json
import shlex
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs

from connector.store.lock import exclusive_sync
from tests.laws.test_one_account import business, content
from tests.support.commands import Workdir
from tests.support.documents import code_blocks
from tests.support.loopback import Served, delayed, failing, held_until, serving
from tests.support.schemas import FOLDER as SCHEMAS
from tests.support.served import PATIENCE_S, until
from tests.support.simulator import SimulatedAccount

PLATFORM, ORGANIZATION = "rk_live_51OfThePlatform", "sk_org_live_51OfTheGroup"
DE = business("acct_1de", "Acme GmbH", 1, 2)
UK = business("acct_1uk", "Acme Ltd", 2, 3)
US = business("acct_1us", "Acme Inc", 3, 1)
ALL = {"de": DE, "uk": UK, "us": US}

ONE_KEY = "".join(
    f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\n'
    f'stripe_account = "{account.facts.id}"\n'
    for name, account in ALL.items()
)
TWO_KEYS = "".join(
    f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\nkey_file = "{name}.key"\n'
    for name in ("de", "uk")
)
KEYS = {"de": "rk_live_51OfGermany0001", "uk": "rk_live_51OfBritain0001"}


def told(path: Path) -> list[str]:
    """All that a ledger says, but for when, and at what cost, it came to know it."""
    with closing(sqlite3.connect(path)) as connection:
        found = []
        for table in ("movements", "components"):
            names = [r[1] for r in connection.execute(f"PRAGMA table_info({table})")]
            kept = [name for name in names if name not in ("run", "evidence_version")]
            rows = connection.execute(f"SELECT {', '.join(kept)} FROM {table}")  # noqa: S608
            found += sorted(map(repr, rows))
        return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each account's ledger says when it is synced by itself."""
    found = {}
    for name, account in ALL.items():
        folder = tmp_path_factory.mktemp(name)
        with serving(account, key=PLATFORM) as stripe:
            assert Workdir(folder, stripe.url, PLATFORM).call("sync", "-q").code == 0
        found[name] = told(folder / "stripe-nrr.db")
        assert found[name]
    return found


@pytest.fixture(params=[PLATFORM, ORGANIZATION])
def stripe(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A key with which three accounts are reached; its own is none of the file's."""
    with serving(business("acct_1own", "Own", 4, 1), key=request.param) as served:
        served.others = {each.facts.id: each for each in ALL.values()}
        yield served


@pytest.fixture
def one_key(tmp_path: Path, stripe: Served) -> Workdir:
    return Workdir(tmp_path, stripe.url, stripe.key).configure(ONE_KEY)


@pytest.fixture
def two_keys(tmp_path: Path) -> Iterator[tuple[Workdir, Served]]:
    with serving(US, key=PLATFORM) as served:
        for name, key in KEYS.items():
            (tmp_path / f"{name}.key").write_text(f"{key}\n")
            served.keys[key] = ALL[name]
        yield Workdir(tmp_path, served.url, None).configure(TWO_KEYS), served


# --- as each alone ---


def test_one_key_reads_each_account_by_its_header(
    one_key: Workdir, stripe: Served, alone: dict[str, list[str]]
) -> None:
    ran = one_key.run("sync", "-q")
    assert ran.code == 0, ran.err
    assert {name: told(one_key.folder / f"{name}.db") for name in ALL} == alone
    header = "stripe-context" if stripe.key == ORGANIZATION else "stripe-account"
    asked = [request.headers.get(header) for request in stripe.requests]
    assert set(asked) == {each.facts.id for each in ALL.values()}
    assert not {"stripe-context", "stripe-account"} - {header} & {
        name for request in stripe.requests for name in request.headers
    }
    lines = ran.out.splitlines()
    assert {line.partition(": ")[0] for line in lines} == set(ALL)
    assert "uk: Seen: 1 product, 1 price, 3 customers" in ran.out


def test_each_key_reads_its_own(
    two_keys: tuple[Workdir, Served], alone: dict[str, list[str]]
) -> None:
    workdir, stripe = two_keys
    done = workdir.call("sync", "-q", "--format", "json")
    assert done.code == 0, done.err
    for name in KEYS:
        assert told(workdir.folder / f"{name}.db") == alone[name]
    assert [each["account"] for each in done.json["accounts"]] == ["de", "uk"]
    assert [each["seen"]["customers"] for each in done.json["accounts"]] == [2, 3]
    assert {r.headers.get("stripe-account") for r in stripe.requests} == {None}
    only = workdir.call("sync", "-q", "--format", "json", "--account", "uk")
    assert "accounts" not in only.json
    assert only.json["mode"] == "events"
    named = workdir.call("--account", "uk", "sync", "-q")
    assert named.out.startswith("Seen: ")


# --- an answer that is another's ---


def test_an_answer_of_another_account_is_refused(
    one_key: Workdir, stripe: Served
) -> None:
    """Something on the way drops the header: nothing is stored, before or after."""
    stripe.mixes_up = True
    ran = one_key.call("sync", "-q")
    assert ran.code == 1
    for name, account in ALL.items():
        said = f"{name}: error: {account.facts.id} was asked for by stripe_account"
        assert said in ran.err
        assert not (one_key.folder / f"{name}.db").exists()
    stripe.mixes_up = False
    assert one_key.call("sync", "-q").code == 0
    before = {name: content(one_key.folder / f"{name}.db") for name in ALL}
    stripe.mixes_up = True
    for words in (["sync", "-q"], ["check", "--stripe"]):
        assert one_key.call(*words).code == 1
        after = {name: content(one_key.folder / f"{name}.db") for name in ALL}
        assert after == before, words
    assert one_key.call("doctor").code == 3


def test_an_account_that_says_whose_it_is_in_its_headers_is_believed(
    one_key: Workdir, stripe: Served
) -> None:
    """A cache that answers with another's page, though the account was right."""
    assert one_key.call("sync", "-q").code == 0
    before = {name: content(one_key.folder / f"{name}.db") for name in ALL}

    def cached(true: Any, _: Any) -> Any:
        return replace(true, headers={"Stripe-Account": "acct_1own"})

    stripe.spoil(lambda request: cached if request.path == "/v1/events" else None)
    ran = one_key.call("sync", "-q")
    assert ran.code == 1
    assert "uk: error: acct_1uk was asked for, and acct_1own answered" in ran.err
    after = {name: content(one_key.folder / f"{name}.db") for name in ALL}
    assert changed(before, after) <= {"settings", "reads"}


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> set[str]:
    lines = {line for name in before for line in {*before[name]} ^ {*after[name]}}
    return {line.split('"')[1] for line in lines}


# --- one account's trouble ---


def test_what_keeps_one_account_keeps_no_other(
    two_keys: tuple[Workdir, Served], alone: dict[str, list[str]]
) -> None:
    """No key, an unknown key, a ledger that is held, Stripe that refuses one alone."""
    workdir, stripe = two_keys
    key = workdir.folder / "de.key"
    for spoiled, code, said in (
        ("", 1, "de: error: no Stripe key: "),
        ("rk_live_51Unknown00000000", 1, "de: error: Stripe does not know the key"),
    ):
        key.write_text(spoiled)
        done = workdir.call("sync", "-q", "--format", "json")
        assert done.code == code
        assert said in done.err
        assert told(workdir.folder / "uk.db") == alone["uk"]
        listed = json.loads((SCHEMAS / "accounts.json").read_text())
        assert [*Draft202012Validator(listed).iter_errors(done.json)] == []
        german, british = done.json["accounts"]
        assert (german["exit_code"], british["exit_code"]) == (1, 0)
        assert german["error"] in done.err
    key.unlink()
    done = workdir.call("sync", "-q")
    assert done.code == 1
    assert "key_file" in done.err
    key.write_text(KEYS["de"])
    with exclusive_sync(workdir.folder / "de.db"):
        done = workdir.call("sync", "-q", "--format", "json")
    assert done.code == 75
    assert [each["exit_code"] for each in done.json["accounts"]] == [75, 0]
    stripe.spoil(
        lambda r: failing(400) if r.headers["authorization"].endswith("y0001") else None
    )
    done = workdir.call("sync", "-q", "--format", "json")
    assert [each["exit_code"] for each in done.json["accounts"]] == [1, 0]
    stripe.spoil(())
    assert workdir.call("sync", "-q").code == 0
    assert told(workdir.folder / "de.db") == alone["de"]


def test_an_account_that_is_none_of_the_key_s_is_named(
    one_key: Workdir, stripe: Served
) -> None:
    del stripe.others["acct_1uk"]
    ran = one_key.call("sync", "-q")
    assert ran.code == 1
    assert "uk: error: the key" in ran.err
    assert "has no access to acct_1uk" in ran.err
    assert "stripe_account" in ran.err
    assert not (one_key.folder / "uk.db").exists()
    assert (one_key.folder / "us.db").exists()
    told = one_key.call("doctor", "--format", "json")
    assert told.code == 3
    marks = {
        each["account"]: {it["check"]: it["mark"] for it in each["checks"]}
        for each in told.json["accounts"]
    }
    assert marks["uk"]["Stripe"] == "fault"
    assert marks["de"]["account"] == marks["us"]["account"] == "ok"


def test_one_account_is_kept_once(two_keys: tuple[Workdir, Served]) -> None:
    """By two keys that are both its own: it would be in every sum twice."""
    workdir, stripe = two_keys
    stripe.keys[KEYS["uk"]] = DE
    ran = workdir.call("sync", "-q")
    assert ran.code == 1
    assert (
        "uk: error: Acme GmbH (acct_1de), live mode is kept already, as account de"
        in (ran.err)
    )
    assert not (workdir.folder / "uk.db").exists()
    assert workdir.call("sync", "-q", "--account", "de").code == 0
    stripe.keys[KEYS["uk"]] = UK
    assert workdir.call("sync", "-q").code == 0


def test_an_organization_s_key_alone_asks_for_an_account(tmp_path: Path) -> None:
    with serving(DE, key=ORGANIZATION) as stripe:
        ran = Workdir(tmp_path, stripe.url, ORGANIZATION).call("sync", "-q")
        assert ran.code == 1
        assert "organization's, and says no account" in ran.err
        assert stripe.requests == []


# --- in the middle ---


@pytest.mark.parametrize("stripe", [PLATFORM], indirect=True)
@pytest.mark.parametrize("moment", [3, 9, 14, 20, 26])
def test_killed_at_any_moment_it_goes_on(
    one_key: Workdir, stripe: Served, alone: dict[str, list[str]], moment: int
) -> None:
    stripe.spoil(lambda _: delayed(0.05))
    process = one_key.start("sync", "-q")
    until(lambda: len(stripe.requests) >= moment)
    process.kill()
    process.communicate()
    stripe.spoil(())
    assert one_key.run("sync", "-q").code == 0
    assert {name: told(one_key.folder / f"{name}.db") for name in ALL} == alone


@pytest.mark.parametrize("stripe", [PLATFORM], indirect=True)
def test_asked_to_end_it_begins_with_no_other(one_key: Workdir, stripe: Served) -> None:
    goes_on = threading.Event()
    stripe.spoil([None, None, *[held_until(goes_on)] * 99])
    process = one_key.start("sync", "-q")
    until(lambda: len(stripe.requests) >= 3)
    process.send_signal(signal.SIGTERM)
    goes_on.set()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 75
    assert {r.headers["stripe-account"] for r in stripe.requests} == {"acct_1de"}


def test_who_stays_serves_each_by_itself(
    two_keys: tuple[Workdir, Served], alone: dict[str, list[str]]
) -> None:
    """The one's key is wrong all the time; the other is synced again and again."""
    workdir, stripe = two_keys
    workdir.configure(TWO_KEYS + '[sync]\nstatus_file = "status.json"\n')
    (workdir.folder / "de.key").write_text("rk_live_51Unknown00000000")
    process = workdir.start("sync", "-q", "--every", "1s", "--format", "json")
    status = {name: workdir.folder / f"status-{name}.json" for name in KEYS}
    until(lambda: all(each.exists() for each in status.values()))
    until(lambda: sum(r.path == "/v1/events" for r in stripe.requests) >= 4)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert told(workdir.folder / "uk.db") == alone["uk"]
    found = {name: json.loads(path.read_text()) for name, path in status.items()}
    assert (found["de"]["ok"], found["uk"]["ok"]) == (False, True)
    assert '"account": "uk"' in out
    assert '"account": "de"' not in out
    assert "de: " in err
    assert not (workdir.folder / "de.db").exists()


# --- other commands ---


def test_every_line_says_whose_it_is(two_keys: tuple[Workdir, Served]) -> None:
    workdir, _ = two_keys
    assert workdir.call("sync", "-q").code == 0
    for words in (
        ["check"],
        ["check", "--stripe"],
        ["doctor"],
        ["recompute"],
        ["inbox"],
        ["backup", "copy.db"],
    ):
        ran = workdir.call(*words)
        assert ran.code == 0, (words, ran.err)
        names = [line.partition(": ")[0] for line in ran.out.splitlines()]
        assert set(names) == {"de", "uk"}, words
        told = workdir.call(*words, "--format", "json")
        assert [each["account"] for each in told.json["accounts"]] == ["de", "uk"]
        assert told.json["schema"] == 1
    assert {path.name for path in workdir.folder.glob("copy*")} == {
        "copy-de.db",
        "copy-uk.db",
    }


def test_the_walk_of_the_page_is_walked(two_keys: tuple[Workdir, Served]) -> None:
    """Its configuration and its commands, as they stand there."""
    workdir, stripe = two_keys
    for name, zone in (("de", "Europe/Berlin"), ("uk", "Europe/London")):
        facts = structs.replace(ALL[name].facts, timezone=zone)
        stripe.keys[KEYS[name]] = SimulatedAccount(ALL[name].objects, facts)
    blocks = code_blocks("docs/accounts.md")
    [config, *_] = [each.text for each in blocks if each.language == "toml"]
    [walk] = [each.text for each in blocks if each.language == "sh"]
    workdir.configure(config)
    for name in KEYS:
        (workdir.folder / f"{name}.key").chmod(0o600)
    lines = [shlex.split(line, comments=True) for line in walk.splitlines()]
    for program, *words in lines:
        assert program == "stripe-nrr"
        ran = workdir.call(*words)
        assert ran.code == 0, (words, ran.out, ran.err)
    assert {path.name for path in workdir.folder.glob("*.json")} == {
        "status-de.json",
        "status-uk.json",
    }
    assert {path.name for path in workdir.folder.glob("copy*")} == {
        "copy-de.db",
        "copy-uk.db",
    }


def test_what_a_command_says_of_one_of_several_is_what_it_says_of_one(
    two_keys: tuple[Workdir, Served],
) -> None:
    """So the schemas of docs/schema hold for each of the list."""
    workdir, _ = two_keys
    assert workdir.call("sync", "-q").code == 0
    for name, words in (
        ("check", ["check"]),
        ("doctor", ["doctor", "--offline"]),
        ("inbox", ["inbox"]),
        ("recompute", ["recompute"]),
    ):
        told = workdir.call(*words, "--format", "json").json
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
        listed = json.loads((SCHEMAS / "accounts.json").read_text())
        assert [*Draft202012Validator(listed).iter_errors(told)] == [], name
        for each in told["accounts"]:
            value = {"schema": told["schema"], **each}
            assert [*Draft202012Validator(schema).iter_errors(value)] == [], name
            alone = workdir.call(
                *words, "--format", "json", "--account", each["account"]
            )
            assert alone.json.keys() <= value.keys()


def test_what_is_of_one_account_asks_which(two_keys: tuple[Workdir, Served]) -> None:
    workdir, _ = two_keys
    assert workdir.call("sync", "-q").code == 0
    for words in (
        ["close", "2024-01"],
        ["note", "2024-01", "so"],
        ["forget", "cus_1"],
        ["recompute", "--customer", "cus_1"],
        ["inbox", "retry", "evt_1"],
    ):
        ran = workdir.call(*words)
        assert ran.code == 2, words
        assert "say which: --account de" in ran.err
    assert workdir.call("close", "2024-01", "--account", "uk").code == 0
    retried = workdir.call("inbox", "retry")
    assert (retried.code, retried.out.split(": ")[0]) == (0, "de")
    both = ["--account", "uk", "--account", "de"]
    ran = workdir.call("close", "2024-01", *both, "--format", "json")
    assert [each["account"] for each in ran.json["accounts"]] == ["de", "uk"]
