"""A ledger belongs to one Stripe account in one mode, whoever comes with which key."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from connector.core.account import NOBODY, StripeIdentity
from connector.store.account import belong_to, ledger_account
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import DAY
from tests.support.loopback import Served, failing, serving
from tests.support.served import (
    PATIENCE_S,
    PORTS,
    SECRET,
    ServingWorkdir,
    serve,
    thin,
    until,
)
from tests.support.served import webhook as told
from tests.support.simulator import AccountFacts, SimulatedAccount
from tests.support.synced import OPENED

LIVE, TEST = "rk_live_51OfTheTests0001", "rk_test_51OfTheTests0001"
EVENT = told("customer.subscription.updated", {"id": "sub_1", "object": "subscription"})


def business(
    account: str, name: str | None, seed: int, customers: int
) -> SimulatedAccount:
    """One that sells the plan ``gold`` to so many, as do others."""
    acc = Account(OPENED, seed=seed)
    price = acc.add_price(acc.add_product("Gold"), 1_000)
    for _ in range(customers):
        acc.subscribe(acc.add_customer(), price)
    acc.advance(OPENED + 40 * DAY)
    text = json.dumps(acc.snapshot()).replace(price.id, "gold")
    return SimulatedAccount(json.loads(text), AccountFacts(id=account, label=name))


ACME = business("acct_1acme", "Acme", 1, 1)
OTHER = business("acct_1other", "Other [/red] \x1b]0;x\x07", 2, 7)
SHOWN = {"Acme (acct_1acme)", "Other [/red] \\x1b]0;x\\x07 (acct_1other)"}


class Two(NamedTuple):
    """A synced workdir of the one's live mode, and another's Stripe."""

    acme: ServingWorkdir
    stripe: Served
    other: Served

    @property
    def stranger(self) -> ServingWorkdir:
        return replace(self.acme, stripe=self.other.url, key=self.other.key)


def opened(stack: ExitStack, path: Path, stranger: str, key: str) -> Two:
    account = OTHER if stranger == "other" else ACME
    stripe = stack.enter_context(serving(ACME, key=LIVE))
    other = stack.enter_context(serving(account, key=key))
    acme = ServingWorkdir(path, stripe.url, LIVE)
    acme.configure(PORTS)
    assert acme.run("sync", "-q").code == 0
    return Two(acme, stripe, other)


@pytest.fixture(params=[("other", LIVE), ("other", TEST), ("same", TEST)])
def two(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Two]:
    with ExitStack() as stack:
        yield opened(stack, tmp_path, *request.param)


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def refused(said: str, two: Two) -> None:
    """Both are named, each with its mode."""
    key = two.other.account.facts
    assert "Acme (acct_1acme), live mode" in said
    assert (key.id or "") in said
    assert ("test mode" in said) == (two.other.key == TEST)
    assert "\x1b" not in said


def test_another_s_key_changes_nothing(two: Two) -> None:
    """Though the plan that both sell has the same id."""
    before = content(two.acme.ledger)
    for words in (["sync", "-q"], ["sync", "--full"], ["check", "--stripe"], ["serve"]):
        ran = two.stranger.call(*words)
        assert ran.code == 1, words
        refused(ran.err, two)
        assert content(two.acme.ledger) == before, words
    ran = two.stranger.call("doctor", "--format", "json")
    assert ran.code == 3
    [verdict] = [it for it in ran.json["checks"] if it["check"] == "account"]
    assert verdict["mark"] == "fault"
    refused(verdict["said"], two)
    assert content(two.acme.ledger) == before
    for words in (["sync", "-q"], ["check", "--stripe"], ["doctor", "--offline"]):
        assert two.acme.call(*words).code == 0, words


def test_a_policy_is_not_even_adopted_for_another(tmp_path: Path) -> None:
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "other", LIVE)
        before = content(two.acme.ledger)
        two.acme.configure(PORTS + '[policy]\nchurn = "requested"\n')
        assert two.stranger.call("sync", "-q").code == 1
        assert content(two.acme.ledger) == before


# --- where it is shown ---


def test_whose_it_is_stands_in_every_report(tmp_path: Path) -> None:
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "other", LIVE)
        acme = two.acme
        whose = {"id": "acct_1acme", "name": "Acme", "livemode": True}
        asked = ["report", "--to", "2024-02"]
        assert acme.run(*asked, "--format", "json").json["account"] == whose
        for form in ("text", "markdown", "html"):
            words = ["-o", "page.html"] if form == "html" else []
            ran = acme.run(*asked, "--format", form, *words)
            page = tmp_path / "page.html"
            said = page.read_text() if form == "html" else ran.out
            assert "Acme (acct_1acme), live mode" in said, form
        said = acme.run("doctor").out
        assert (
            "ok     account: the key is of Acme (acct_1acme), live mode, and so" in said
        )
        assert "is of Acme (acct_1acme), live mode\n" in said


def test_a_business_s_name_is_text(tmp_path: Path) -> None:
    with serving(OTHER, key=TEST) as stripe:
        workdir = ServingWorkdir(tmp_path, stripe.url, TEST)
        assert workdir.call("sync", "-q").code == 0
        shown = "Other [/red] \\x1b]0;x\\x07 (acct_1other), test mode"
        for words in (["report"], ["report", "--format", "markdown"], ["doctor"]):
            said = workdir.call(*words).out
            assert shown in said, words
            assert "\x1b" not in said


# --- as far as is known ---


def test_a_key_that_may_not_read_the_account_is_known_by_its_mode(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "same", TEST)
        for each in (two.stripe, two.other):
            each.forbidden = ["account"]
        assert two.acme.call("sync", "-q").code == 0
        assert "the mode alone is compared" in two.acme.call("doctor").out
        ran = two.stranger.call("sync", "-q")
        assert ran.code == 1
        assert "an account that the key may not read, test mode" in ran.err


def test_another_s_objects_tell_where_the_account_may_not(tmp_path: Path) -> None:
    """Of the same mode, with the same plan."""
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "other", LIVE)
        two.other.forbidden = ["account"]
        before = content(two.acme.ledger)
        ran = two.stranger.call("sync", "-q")
        assert (ran.code, content(two.acme.ledger)) == (1, before)
        assert "which the ledger knows, are not there" in ran.err


def test_a_ledger_from_before_is_adopted_by_its_own_account(tmp_path: Path) -> None:
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "other", LIVE)
        with closing(open_database(two.acme.ledger)) as connection:
            connection.execute("DELETE FROM settings WHERE name = 'stripe_account'")
            connection.commit()
        before = content(two.acme.ledger)
        assert two.stranger.call("sync", "-q").code == 1
        assert content(two.acme.ledger) == before
        assert two.acme.call("sync", "-q").code == 0
        assert owner(two.acme.ledger) == StripeIdentity(
            id="acct_1acme", name="Acme", livemode=True
        )


def test_a_key_without_a_mode_takes_that_of_its_objects(tmp_path: Path) -> None:
    with serving(ACME, key="rk_of_another_kind") as stripe:
        workdir = ServingWorkdir(tmp_path, stripe.url, "rk_of_another_kind")
        assert workdir.call("sync", "-q").code == 0
        assert owner(workdir.ledger).livemode is False  # as the objects say


def owner(path: Path) -> StripeIdentity:
    with closing(open_database(path)) as connection:
        return ledger_account(connection) or NOBODY


# --- what comes in ---


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(EVENT | {"livemode": False}, id="of test mode"),
        pytest.param(
            EVENT | {"livemode": True, "account": "acct_2"}, id="of a connected"
        ),
        pytest.param(
            thin("subscription", "sub_1") | {"context": "acct_2"}, id="thin, of another"
        ),
        pytest.param(
            told("charge.failed", {"id": "ch_1"}) | {"livemode": False}, id="of no use"
        ),
    ],
)
def test_an_event_of_another_account_or_mode_is_refused_and_told(
    tmp_path: Path, event: dict[str, Any]
) -> None:
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "same", TEST)
        server = stack.enter_context(serve(two.acme))
        assert server.send(event) == 403
        ready = server.ready()
        assert ready["inbox"]["waiting"] == 0
        [warning] = ready["warnings"]
        assert "the ledger is of Acme (acct_1acme), live mode" in warning
        assert ("acct_2" in warning) or ("test mode" in warning)
        assert (
            server.metrics()['stripe_nrr_events_total{outcome="foreign",type=""}'] == 1
        )
        own = EVENT | {"livemode": True, "account": "acct_1acme"}
        assert server.send(own) == 200
        server.settle()
        with closing(sqlite3.connect(two.acme.ledger)) as connection:
            [(kept,)] = connection.execute("SELECT event FROM inbox").fetchall()
        assert kept == own["id"]
        server.process.terminate()
        _, err = server.process.communicate(timeout=PATIENCE_S)
        assert "account_guard.refused" in err
        assert SECRET not in err


def test_a_server_whose_key_is_known_late_applies_nothing_of_another(
    tmp_path: Path,
) -> None:
    """Stripe is away at the start; events are kept, and stay."""
    with ExitStack() as stack:
        two = opened(stack, tmp_path, "other", LIVE)
        two.other.spoil(lambda _: failing(503))
        server = stack.enter_context(serve(two.stranger))
        [sub] = ACME.objects["subscriptions"]
        assert server.send(told("customer.subscription.updated", sub)) == 200
        two.other.spoil(())
        until(lambda: "Other" in str(server.ready()["problems"]))
        assert "the ledger is of Acme" in str(server.ready()["problems"])
        assert server.ready()["inbox"]["waiting"] == 1
        assert {it.path for it in two.other.requests} == {"/v1/account"}


@pytest.mark.parametrize("known", [NOBODY, StripeIdentity(livemode=True)])
def test_what_is_known_is_completed_and_never_changed(known: StripeIdentity) -> None:
    with closing(open_database(":memory:")) as connection:
        for each in (known, StripeIdentity(id="acct_1", name="Acme", livemode=True)):
            belong_to(connection, each)
        belong_to(connection, StripeIdentity(id="acct_1", name="Acme Ltd"))
        assert ledger_account(connection) == StripeIdentity(
            id="acct_1", name="Acme Ltd", livemode=True
        )
