"""The zone of the books: the account's own, taken once and kept; or one that is named."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connector.cli.params import moment_asked
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.commands import Ran, Workdir
from tests.support.loopback import Served, serving
from tests.support.simulator import AccountFacts, SimulatedAccount

TOKYO, BERLIN = "Asia/Tokyo", "Europe/Berlin"
# 20:00 on 31 January in UTC and 21:00 in Berlin: in Tokyo it is February.
BEGAN = "2026-01-31T20:00:00Z"


def shop(zone: str | None) -> SimulatedAccount:
    account = Account(instant(BEGAN), seed=3)
    team = account.add_price(account.add_product("Team"), 1500)
    account.subscribe(account.add_customer("Night Owls"), [(team, 4)])
    account.advance(instant("2026-03-05T12:00:00Z"))
    return SimulatedAccount(account.snapshot(), AccountFacts(timezone=zone))


@pytest.fixture
def stripe() -> Iterator[Served]:
    with serving(shop(TOKYO)) as served:
        yield served


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served) -> Workdir:
    return Workdir(tmp_path, stripe.url)


def done(ran: Ran) -> Ran:
    assert ran.code == 0, ran.err
    return ran


def zone_and_first_day(workdir: Workdir) -> tuple[str, str]:
    """As the report names the zone, and the ledger the day of the first movement."""
    report = done(workdir.call("report", "--format", "json")).json
    first, *_ = done(workdir.call("movements", "--format", "json")).json["movements"]
    return report["timezone"], first["day"]


def test_the_first_sync_takes_the_account_s_own_and_says_so(workdir: Workdir) -> None:
    ran = done(workdir.call("sync"))
    assert f"Days are those of {TOKYO}, the account's own time zone" in ran.out
    assert zone_and_first_day(workdir) == (TOKYO, "2026-02-01")


def test_a_ledger_keeps_its_zone(workdir: Workdir, stripe: Served) -> None:
    done(workdir.call("sync"))
    stripe.account = shop(BERLIN)
    again = done(workdir.call("sync", "--format", "json"))
    assert again.json["zone_taken"] == ""
    assert again.json["movements"] == again.json["retractions"] == 0
    stripe.forbidden = ["account"]
    done(workdir.call("sync"))
    assert zone_and_first_day(workdir) == (TOKYO, "2026-02-01")


def test_another_zone_is_a_change_of_policy_and_stays_when_no_longer_named(
    workdir: Workdir,
) -> None:
    done(workdir.call("sync"))
    workdir.configure(f'timezone = "{BERLIN}"')
    ran = done(workdir.call("sync"))
    assert f"policy change: timezone {TOKYO} → {BERLIN}" in ran.err
    workdir.configure("")
    assert "timezone" not in done(workdir.call("sync")).err
    assert "timezone" not in done(workdir.call("recompute")).err
    assert zone_and_first_day(workdir) == (BERLIN, "2026-01-31")


def test_one_that_is_named_wins_from_the_first_sync_on(workdir: Workdir) -> None:
    ran = done(workdir.configure(f'timezone = "{BERLIN}"').run("sync"))
    assert "time zone" not in ran.out
    assert zone_and_first_day(workdir) == (BERLIN, "2026-01-31")


@pytest.mark.parametrize("words", [["sync"], ["sync", "--every", "15m"]])
@pytest.mark.parametrize("is_shown", [True, False])
def test_without_any_zone_it_stops_and_asks(
    workdir: Workdir, stripe: Served, words: list[str], *, is_shown: bool
) -> None:
    if is_shown:
        stripe.account = shop(None)
    else:
        stripe.forbidden = ["account"]
    ran = workdir.call(*words)
    assert ran.code == 2
    assert "no time zone is configured" in ran.err
    assert 'write timezone = "…" into config.toml' in ran.err
    assert not workdir.ledger.exists()
    done(workdir.configure(f'timezone = "{BERLIN}"').run("sync"))


def test_an_empty_ledger_is_in_no_zone(workdir: Workdir) -> None:
    open_database(workdir.ledger, create=True).close()
    for words in (["report"], ["at-risk"], ["check"], ["movements"]):
        ran = workdir.call(*words)
        assert (ran.code, "no sync has finished yet" in ran.err) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ["report", "--as-of", "2099-01-01"],
        ["report", "--format", "html"],
        ["explain", "--window", "2026-02"],
        ["at-risk"],
        ["compare", "--mrr", "60", "--on", "2026-02-28"],
        ["check"],
        ["check", "--stripe"],
        ["drift"],
        ["cohorts"],
        ["close", "2026-02"],
        ["restatements"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_every_command_works_from_the_stored_zone(
    workdir: Workdir, words: list[str]
) -> None:
    done(workdir.call("sync"))
    assert "another policy or time zone" not in done(workdir.call(*words)).err


def test_a_day_that_is_asked_for_is_one_of_the_ledger_s_zone() -> None:
    """It ends in Tokyo nine hours before it ends in UTC."""
    asked = moment_asked("2026-04-02", ZoneInfo(TOKYO))
    assert asked == datetime(2026, 4, 2, 14, 59, 59, 999_999, tzinfo=UTC)
