"""`stripe-nrr config init`: a configuration to begin with, and nothing overwritten."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.config import parse
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.commands import Workdir
from tests.support.folders import ROOT
from tests.support.loopback import Served, serving
from tests.support.simulator import AccountFacts, SimulatedAccount

EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")


@pytest.fixture
def stripe() -> Iterator[Served]:
    empty = Account(instant("2026-01-31T20:00:00Z"), seed=3).snapshot()
    with serving(SimulatedAccount(empty, AccountFacts(timezone="Asia/Tokyo"))) as it:
        yield it


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served) -> Workdir:
    return Workdir(tmp_path, stripe.url)


def written(workdir: Workdir) -> str:
    return (workdir.folder / "config.toml").read_text(encoding="utf-8")


def zone(text: str) -> object:
    return tomllib.loads(text).get("timezone")


def test_it_is_the_example_in_the_account_s_own_zone(
    workdir: Workdir, stripe: Served
) -> None:
    ran = workdir.call("config", "init")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "Wrote config.toml: months are those of Asia/Tokyo, the account's own.\n"
    )
    text = written(workdir)
    assert text == EXAMPLE.replace(
        '# timezone = "Europe/Berlin"', 'timezone = "Asia/Tokyo"'
    )
    assert parse(text, {}) == parse('timezone = "Asia/Tokyo"', {})
    assert [it.path for it in stripe.requests] == ["/v1/account"]
    assert workdir.call("report").code != 2, "what it wrote is a configuration"


@pytest.mark.parametrize(
    ("key", "forbidden", "why"),
    [
        pytest.param(None, [], "no Stripe key is set", id="no key"),
        pytest.param(
            "rk_test_loopback",
            ["account"],
            "the key may not read the account's own",
            id="hidden",
        ),
    ],
)
def test_where_the_zone_is_not_known_it_says_so(
    tmp_path: Path, stripe: Served, key: str | None, forbidden: list[str], why: str
) -> None:
    stripe.forbidden = forbidden
    workdir = Workdir(tmp_path, stripe.url, key)
    ran = workdir.call("config", "init", "--format", "json")
    assert ran.code == 0
    assert ran.json["timezone"] is None
    assert why in ran.json["why"]
    assert written(workdir) == EXAMPLE


def test_a_zone_can_be_named_and_nothing_is_asked(
    workdir: Workdir, stripe: Served
) -> None:
    assert workdir.call("config", "init", "--timezone", "Europe/Vienna").code == 0
    assert zone(written(workdir)) == "Europe/Vienna"
    assert not stripe.requests


@pytest.mark.parametrize("name", ["Europe/Wien", "", "../etc/passwd", "x\0y"])
def test_a_zone_that_does_not_exist_is_refused(workdir: Workdir, name: str) -> None:
    ran = workdir.call("config", "init", "--timezone", name)
    assert ran.code == 2
    assert "fix: write it as Europe/Berlin" in ran.err
    assert not (workdir.folder / "config.toml").exists()


@pytest.mark.parametrize("words", [[], ["--timezone", "Europe/Berlin"]])
def test_a_file_that_is_there_stays(
    workdir: Workdir, stripe: Served, words: list[str]
) -> None:
    workdir.configure('timezone = "UTC"')
    ran = workdir.call("config", "init", *words)
    assert ran.code == 2
    assert "config.toml is there already, and stays as it is" in ran.err
    assert written(workdir) == 'timezone = "UTC"'
    assert not stripe.requests


def test_another_place_is_named_before_the_command(workdir: Workdir) -> None:
    (workdir.folder / "etc").mkdir()
    ran = workdir.call("--config", "etc/ours.toml", "config", "init")
    assert ran.code == 0, ran.err
    assert zone((workdir.folder / "etc" / "ours.toml").read_text("utf-8"))
    missing = workdir.call("--config", "nowhere/ours.toml", "config", "init")
    assert missing.code == 1
    assert "nowhere" in missing.err
