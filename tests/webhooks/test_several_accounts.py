"""One server of several accounts: each event to its ledger, and none another's care."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.account import StripeIdentity
from connector.webhooks.endpoint import EndpointSettings, receiver
from connector.webhooks.payload import read_payload
from tests.laws.test_one_account import business
from tests.support.loopback import Request, Served, failing, serving
from tests.support.served import PORTS, SECRET, ServingWorkdir, serve, until, webhook
from tests.support.simulator import SimulatedAccount

PLATFORM = "rk_live_51OfThePlatform"
DE = business("acct_1de", "Acme GmbH", 1, 2)
UK = business("acct_1uk", "Acme Ltd", 2, 3)
CONNECTED = PORTS + "".join(
    f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\n'
    f'stripe_account = "acct_1{name}"\n'
    for name in ("de", "uk")
)
OF_THEIR_OWN = PORTS + "".join(
    f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\nkey_file = "{name}.key"\n'
    f'webhook_secret_file = "{name}.whsec"\n'
    for name in ("de", "uk")
)
ACCOUNTS = {"de": DE, "uk": UK}


class Group(NamedTuple):
    workdir: ServingWorkdir
    stripe: Served

    def inbox(self, name: str) -> list[tuple[str, str]]:
        path = self.workdir.folder / f"{name}.db"
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT event, state FROM inbox ORDER BY number"
            return connection.execute(query).fetchall()

    def mrr(self, name: str) -> int:
        path = self.workdir.folder / f"{name}.db"
        with closing(sqlite3.connect(path)) as connection:
            query = (
                "SELECT total(amount_minor) FROM movements WHERE id NOT IN"
                " (SELECT movement FROM retractions)"
            )
            return int(connection.execute(query).fetchone()[0])


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[Group]:
    """One key, one endpoint, one secret: a platform's connected accounts."""
    with serving(business("acct_1own", "Own", 4, 1), key=PLATFORM) as stripe:
        stripe.others = {each.facts.id: each for each in ACCOUNTS.values()}
        workdir = ServingWorkdir(tmp_path, stripe.url, PLATFORM)
        workdir.configure(CONNECTED)
        assert workdir.call("sync", "-q").code == 0
        yield Group(workdir, stripe)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Group]:
    """Each account with its key, its endpoint and its secret."""
    with serving(DE, key=PLATFORM) as stripe:
        for name, account in ACCOUNTS.items():
            stripe.keys[f"rk_live_51Of{name}000001"] = account
            (tmp_path / f"{name}.key").write_text(f"rk_live_51Of{name}000001")
            (tmp_path / f"{name}.whsec").write_text(f"whsec_of_{name}")
        workdir = ServingWorkdir(tmp_path, stripe.url, None, secrets="")
        workdir.configure(OF_THEIR_OWN)
        assert workdir.call("sync", "-q").code == 0
        yield Group(workdir, stripe)


def changed(of: SimulatedAccount, event: str, **told: Any) -> dict[str, Any]:
    """An event of the first subscription of the account."""
    sub = of.objects["subscriptions"][0]
    return {
        **webhook("customer.subscription.updated", sub, event),
        "livemode": True,
        **told,
    }


def test_an_event_goes_to_the_account_that_it_names(connected: Group) -> None:
    with serve(connected.workdir) as server:
        sent = [
            changed(DE, "evt_de", account="acct_1de"),
            changed(UK, "evt_uk", account="acct_1uk", context="acct_1own/acct_1uk"),
            changed(UK, "evt_within", context="acct_1own/acct_1uk"),
        ]
        assert [server.send(each) for each in sent] == [200, 200, 200]
        for stranger in ({"account": "acct_1us"}, {}):
            assert server.send(changed(DE, "evt_no", **stranger)) == 403
        assert (
            server.send(changed(DE, "evt_test", account="acct_1de", livemode=False))
            == 403
        )
        server.settle()
        ready = server.ready()
        assert ready["ready"]
        assert [each["account"] for each in ready["accounts"]] == ["de", "uk"]
        told = " ".join(ready["warnings"])
        assert (
            "de (acct_1de), uk (acct_1uk), and the event is of a shared secret" in told
        )
        assert "de: an event was refused: the ledger is of Acme GmbH" in told
        found = server.metrics()
        kept = 'type="customer.subscription.updated"'
        for name, count in (("de", 1), ("uk", 2)):
            labels = f'account="{name}",outcome="kept",{kept}'
            assert found[f"stripe_nrr_events_total{{{labels}}}"] == count
            assert found[f'stripe_nrr_ready{{account="{name}"}}'] == 1
        assert (
            found['stripe_nrr_events_total{account="",outcome="foreign",type=""}'] == 2
        )
    assert connected.inbox("de") == [("evt_de", "done")]
    assert connected.inbox("uk") == [("evt_uk", "done"), ("evt_within", "done")]


def test_what_changed_at_one_changes_its_ledger_alone(connected: Group) -> None:
    before = {name: connected.mrr(name) for name in ACCOUNTS}
    [sub, *_] = UK.objects["subscriptions"]
    item = {**sub["items"]["data"][0], "quantity": 3}
    more = {**sub, "items": {**sub["items"], "data": [item]}}
    uk = {**UK.objects, "subscriptions": [more, *UK.objects["subscriptions"][1:]]}
    connected.stripe.others["acct_1uk"] = SimulatedAccount(uk, UK.facts)
    asked = len(connected.stripe.requests)
    with serve(connected.workdir) as server:
        assert server.send(changed(UK, "evt_more", account="acct_1uk")) == 200
        server.settle()
        until(lambda: connected.mrr("uk") != before["uk"])
    assert connected.mrr("uk") == before["uk"] + 2_000
    assert connected.mrr("de") == before["de"]
    fetched = [r for r in connected.stripe.requests[asked:] if r.path != "/v1/account"]
    assert {r.headers["stripe-account"] for r in fetched} == {"acct_1uk"}


def test_an_event_goes_to_whose_secret_signed_it(own: Group) -> None:
    with serve(own.workdir) as server:
        for name, account in ACCOUNTS.items():
            event = changed(account, f"evt_{name}")
            assert server.send(event, secret=f"whsec_of_{name}") == 200
            assert server.send(event, secret=SECRET) == 400
        stolen = changed(UK, "evt_x", account="acct_1uk")
        assert server.send(stolen, secret="whsec_of_de") == 403  # noqa: S106
        server.settle()
    assert own.inbox("de") == [("evt_de", "done")]
    assert own.inbox("uk") == [("evt_uk", "done")]


def test_one_account_s_trouble_stops_no_other(own: Group) -> None:
    """Stripe refuses the one's key: its events wait, the other's are applied at once."""

    def german(request: Request) -> bool:
        return request.headers["authorization"].endswith("de000001")

    with serve(own.workdir) as server:
        own.stripe.spoil(lambda r: failing(503) if german(r) else None)
        for number in range(20):
            event = changed(DE, f"evt_de{number}")
            assert server.send(event, secret="whsec_of_de") == 200  # noqa: S106
        event = changed(UK, "evt_uk")
        assert server.send(event, secret="whsec_of_uk") == 200  # noqa: S106
        until(lambda: own.inbox("uk") == [("evt_uk", "done")])
        assert {state for _, state in own.inbox("de")} == {"waiting"}
        one = server.client.get(f"{server.admin}/readyz?account=uk")
        assert (one.status_code, one.json()["inbox"]["waiting"]) == (200, 0)
        assert server.ready()["inbox"]["waiting"] == 20
        assert server.client.get(f"{server.admin}/readyz?account=fr").status_code == 404
        own.stripe.spoil(())
        assert server.stop() == 0
    with serve(own.workdir) as server:
        server.settle()
    assert {state for _, state in own.inbox("de")} == {"done"}


@pytest.mark.parametrize("trouble", ["secret", "ledger", "key"])
def test_an_account_that_cannot_begin_keeps_no_other(own: Group, trouble: str) -> None:
    folder = own.workdir.folder
    if trouble == "secret":
        (folder / "de.whsec").unlink()
    elif trouble == "key":
        (folder / "de.key").write_text("rk_live_51Ofuk000001")  # the other's
    else:
        (folder / "de.db").write_text("no ledger at all, whatever it is called")
    with serve(own.workdir) as server:
        event = changed(UK, "evt_uk")
        assert server.send(event, secret="whsec_of_uk") == 200  # noqa: S106
        until(lambda: own.inbox("uk") == [("evt_uk", "done")])
        status = server.send(changed(DE, "evt_de"), secret="whsec_of_de")  # noqa: S106
        assert status == (400 if trouble == "secret" else 503)
        ready = server.ready()
        assert not ready["ready"]
        assert all(each.startswith("de: ") for each in ready["problems"])
        assert [each["ready"] for each in ready["accounts"]] == [False, True]
        assert server.stop() == 0
        said = server.process.stderr.read() if server.process.stderr else ""
    assert SECRET not in said


@pytest.mark.parametrize("trouble", ["secret", "ledger", "no key", "key", "refused"])
def test_what_could_not_begin_begins_once_it_can(own: Group, trouble: str) -> None:
    """Its files are mended while the server runs; what Stripe sent before comes again."""
    folder = own.workdir.folder
    path = {"secret": "de.whsec", "ledger": "de.db"}.get(trouble, "de.key")
    whole = (folder / path).read_bytes()
    if trouble == "secret":
        (folder / path).unlink()
    else:
        broken = {
            "ledger": "no ledger at all, whatever it is called",
            "no key": "",
            "key": "rk_live_51Ofuk000001",
            "refused": "rk_live_51OfNobody01",
        }
        (folder / path).write_text(broken[trouble])
    event = changed(DE, "evt_de")
    with serve(own.workdir) as server:
        assert server.client.get(f"{server.admin}/").status_code == (
            503 if trouble == "ledger" else 200
        )
        early = server.send(event, secret="whsec_of_de")  # noqa: S106
        assert early == {"secret": 400, "refused": 200}.get(trouble, 503)
        assert not server.ready()["ready"]
        (folder / path).write_bytes(whole)
        until(lambda: server.ready()["ready"])
        assert server.send(event, secret="whsec_of_de") == 200  # noqa: S106
        until(lambda: own.inbox("de") == [("evt_de", "done")])
        assert server.client.get(f"{server.admin}/").status_code == 200
        assert server.stop() == 0


def test_the_dashboard_of_several_is_beside_their_webhooks(connected: Group) -> None:
    with serve(connected.workdir) as server:
        page = server.client.get(f"{server.admin}/").text
        assert "de, uk" in page
        assert "live mode" in page


def test_none_that_can_begin_is_an_end(own: Group) -> None:
    for name in ACCOUNTS:
        (own.workdir.folder / f"{name}.whsec").unlink()
    ran = own.workdir.run("serve")
    assert ran.code == 1
    assert "de: error: webhook_secret_file" in ran.err


def test_killed_in_the_middle_nothing_is_lost(connected: Group) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serve(connected.workdir))
        for number in range(12):
            name, account = ("de", DE) if number % 2 else ("uk", UK)
            event = changed(account, f"evt_{number}", account=f"acct_1{name}")
            assert server.send(event) == 200
        server.kill()
    with serve(connected.workdir) as server:
        server.settle()
    for name in ACCOUNTS:
        assert [state for _, state in connected.inbox(name)] == ["done"] * 6


# --- whose an event is, as a rule ---


async def _keep(_event: Any) -> bool:
    return True


def settings(name: str | None, secret: str, *, is_named: bool) -> EndpointSettings:
    return EndpointSettings(
        secrets=[secret],
        keep=_keep,
        count=lambda *_: None,
        account=lambda: StripeIdentity(id=name),
        is_named=is_named,
    )


KNOWN = st.lists(st.sampled_from("abcd"), min_size=2, max_size=4, unique=True)


@given(
    KNOWN,
    st.sampled_from(["one", "two"]),
    st.sampled_from([None, *"abcdx"]),
    st.data(),
)
def test_no_event_goes_to_an_account_that_it_does_not_name(
    names: list[str], secret: str, origin: str | None, data: st.DataObject
) -> None:
    """Nor to one whose secret did not sign it; and to no other where its own is here."""
    accounts = [
        settings(
            name,
            data.draw(st.sampled_from(["one", "two"])),
            is_named=data.draw(st.booleans()),
        )
        for name in names
    ]
    signed = [each for each in accounts if secret in each.secrets]
    found = receiver(StripeIdentity(id=origin), signed, accounts)
    if found is not None:
        assert found in signed
        assert origin in (None, found.account().id)
    if origin is not None and any(each.account().id == origin for each in signed):
        assert found is not None


@pytest.mark.parametrize(
    ("told", "whose"),
    [
        ({}, None),
        ({"account": "acct_1"}, "acct_1"),
        ({"context": "acct_1"}, "acct_1"),
        ({"context": "acct_1/acct_2"}, "acct_2"),
        ({"account": "acct_2", "context": "acct_1/acct_2"}, "acct_2"),
        ({"context": "org_1"}, None),
        ({"context": None, "account": None}, None),
    ],
)
def test_whom_an_event_names(told: dict[str, Any], whose: str | None) -> None:
    body = {"id": "evt_1", "object": "event", "type": "customer.updated", **told}
    event = read_payload(json.dumps(body).encode())
    assert event is not None
    assert event.origin.id == whose
