"""The server as a real process, against Stripe on loopback: live, and hard to kill."""

import json
import random
import resource
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest

from connector.config import Config, parse, rules_of
from connector.core.model import Movement
from connector.pipeline.ingest import Ingest
from connector.pipeline.job import bring_up_to_date
from connector.pipeline.thread_pool import ThreadPool
from connector.store.ledger import queries
from connector.store.opening import open_database
from connector.stripe_api.client import StripeApi
from connector.stripe_api.rate_limit import Limiter
from connector.webhooks.endpoint import MOST_BYTES, PATH
from connector.webhooks.server import REQUEST_S, listen, url_of
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, HOUR
from tests.billing.state import Json
from tests.support.commands import Workdir
from tests.support.loopback import Served, delayed, failing, serving
from tests.support.served import (
    FOREVER_S,
    PATIENCE_S,
    PORTS,
    SECRET,
    Server,
    ServingWorkdir,
    headers,
    serve,
    start,
    thin,
    until,
    webhook,
)
from tests.support.simulator import SimulatedAccount


def ago_s(days: int) -> int:
    """So long ago, at another hour of the day: nothing renews within a test's minutes."""
    return int(time.time()) - days * DAY - 12 * HOUR


@dataclass
class Company:
    """A business of three customers, the Stripe that it uses, and our workdir."""

    acc: Account
    stripe: Served
    workdir: ServingWorkdir

    def __post_init__(self) -> None:
        plan = self.acc.add_product("Plan")
        self.small = self.acc.add_price(plan, 1_000)
        self.large = self.acc.add_price(plan, 2_500)
        self.subs = [
            self.acc.subscribe(self.acc.add_customer(name), self.small)
            for name in ("Ada", "Bob", "Cyd")
        ]
        self.acc.advance(int(time.time()) - 60)
        self.show()

    def show(self) -> None:
        self.stripe.account = SimulatedAccount(self.acc.snapshot())

    def go_on(self) -> None:
        """To now, and to another second than what happened before."""
        while int(time.time()) <= self.acc.now:
            time.sleep(0.02)
        self.acc.advance(int(time.time()))

    def grow(self, customer: int, quantity: int) -> list[Json]:
        """Change a quantity at Stripe; the events about it."""
        before = {it["id"] for it in self.acc.snapshot()["events"]}
        self.go_on()
        item = self.subs[customer].items[0]
        self.acc.change_quantity(item, quantity, proration="none")
        self.show()
        return [it for it in self.acc.snapshot()["events"] if it["id"] not in before]

    def mrr(self, customer: int) -> int:
        name = self.subs[customer].customer.id
        own = [m for m in movements(self.workdir.ledger) if m.customer == name]
        return own[-1].after_minor


def movements(path: Path) -> list[Movement]:
    with closing(open_database(path)) as connection:
        return list(queries.movements(connection))


def shown(path: Path) -> list[tuple[object, ...]]:
    return [
        (m.customer, m.day, m.kind, m.before_minor, m.after_minor)
        for m in movements(path)
    ]


def quiet(company: Company, path: Path) -> list[tuple[object, ...]]:
    """What one sync into a new ledger ends in."""
    sync_into(path, company)
    return shown(path)


def sync_into(path: Path, company: Company) -> None:
    """As the command does it, without the time that a process takes to start."""
    with (
        closing(open_database(path, create=True)) as connection,
        StripeApi(
            company.stripe.key, company.stripe.url, limiter=Limiter.free()
        ) as api,
        ThreadPool[Any](1) as threads,
    ):
        ingest = Ingest(
            connection=connection,
            source=api,
            threads=threads,
            config=Config(),
            now_us=api.stripe_us,
        )
        bring_up_to_date(ingest, rules_of(parse("", {}), ZoneInfo("UTC")), full=True)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    acc = Account(ago_s(60))
    with serving(SimulatedAccount(acc.snapshot())) as stripe:
        workdir = ServingWorkdir(tmp_path, stripe.url)
        workdir.configure(PORTS)
        yield Company(acc, stripe, workdir)


@pytest.fixture
def synced(company: Company) -> Company:
    sync_into(company.workdir.ledger, company)
    return company


@pytest.fixture
def server(synced: Company) -> Iterator[Server]:
    with serve(synced.workdir) as running:
        yield running


# --- the whole way ---


def test_a_change_at_stripe_is_in_the_movements(
    synced: Company, server: Server
) -> None:
    synced.go_on()
    synced.acc.change_price(synced.subs[0].items[0], synced.large)
    synced.show()
    told = synced.acc.snapshot()["events"]
    before = len(synced.stripe.requests)
    changes = [it for it in told if it["type"] == "customer.subscription.updated"]
    event = max(changes, key=lambda it: it["created"])
    assert server.send(event) == 200
    server.settle()
    ran = synced.workdir.call("movements", "--customer", "Ada", "--format", "json")
    last = ran.json["movements"][-1]
    assert (last["kind"], last["before_minor"], last["after_minor"]) == (
        "expansion",
        1_000,
        2_500,
    )
    assert last["components"][0]["evidence"][0]["id"].startswith(("il_", "evt_", "ii_"))
    gauges = server.metrics()
    assert gauges['stripe_nrr_mrr_minor{currency="usd"}'] == 2_500 + 2 * 1_000
    kind = 'type="customer.subscription.updated"'
    for outcome in ("kept", "done"):
        assert gauges[f'stripe_nrr_events_total{{outcome="{outcome}",{kind}}}'] == 1
    assert gauges["stripe_nrr_recompute_seconds_count"] == 1
    assert gauges["stripe_nrr_inbox_waiting"] == 0
    assert gauges["stripe_nrr_ready"] == 1
    with closing(sqlite3.connect(synced.workdir.ledger)) as connection:
        [(reads,)] = connection.execute("SELECT requests FROM reads")
    assert reads == len(synced.stripe.requests) - before > 0
    assert server.stop() == 0


def test_a_server_before_the_first_sync_keeps_what_comes(company: Company) -> None:
    with serve(company.workdir) as server:
        [event] = company.grow(0, 3)
        assert server.send(event) == 200
        until(lambda: bool(server.ready()["problems"]))
        assert "no sync has finished yet" in server.ready()["problems"][0]
        assert company.workdir.call("sync", "-q").code == 0
        server.settle()
        assert server.ready()["ready"]
        assert company.mrr(0) == 3_000


def test_thin_and_other_events_side_by_side(synced: Company, server: Server) -> None:
    synced.grow(1, 4)
    assert server.send(thin("subscription", synced.subs[1].id)) == 200
    assert server.send(webhook("charge.failed", {"id": "ch_1"}, "evt_2")) == 200
    server.settle()
    assert synced.mrr(1) == 4_000


# --- two doors ---


def test_only_the_webhook_is_behind_the_public_door(server: Server) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        assert server.client.get(server.url.replace(PATH, path)).status_code == 404
    assert server.client.post(server.admin + PATH).status_code == 404
    for path in ("/healthz", "/readyz", "/metrics"):
        assert server.client.get(server.admin + path).status_code == 200
    assert "Read from the ledger alone" in server.client.get(f"{server.admin}/").text
    answer = server.client.get(server.url)
    assert answer.status_code == 405
    assert "server" not in answer.headers


def test_readiness_follows_the_age_of_the_last_sync(
    synced: Company, server: Server
) -> None:
    with closing(sqlite3.connect(synced.workdir.ledger)) as connection:
        connection.execute(
            "UPDATE walks SET started_us = started_us - 27 * 3600 * 1000000"
        )
        connection.execute(
            "UPDATE event_feed SET read_until_us = read_until_us - 27 * 3600 * 1000000"
        )
        connection.commit()
    answer = server.client.get(f"{server.admin}/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == [
        "the last sync knew what Stripe told until 27 hours ago"
    ]
    assert server.metrics()["stripe_nrr_ready"] == 0


@pytest.mark.parametrize("secrets", ["", " ", ",", "whsec_a b"])
def test_without_a_secret_nothing_is_served(company: Company, secrets: str) -> None:
    ran = ServingWorkdir(
        company.workdir.folder, company.stripe.url, secrets=secrets
    ).call("serve")
    assert ran.code == 1
    assert "webhook secret" in ran.err
    assert "whsec_a" not in ran.err


# --- bad company ---


def test_strangers_do_no_harm(synced: Company, server: Server) -> None:
    """Raw bytes, as no client would send them; afterwards all is well."""
    place = urlsplit(server.url)
    start_line = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()
    json_type = b"Content-Type: application/json\r\n"
    body = json.dumps(webhook("invoice.paid", {"id": "in_1", "object": "invoice"}))
    signed = f"Stripe-Signature: {headers(body.encode())['Stripe-Signature']}\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    attacks = {
        b"header bomb": start_line + b"A: " + b"x" * 200_000 + b"\r\n\r\n",
        b"many headers": start_line + b"A: x\r\n" * 50_000 + b"\r\n",
        b"no HTTP": b"\x16\x03\x01\x02\x00" * 100,
        b"a length too much": start_line
        + json_type
        + signed.encode()
        + f"Content-Length: {MOST_BYTES + 1}\r\n\r\n".encode(),
        b"a negative length": start_line + b"Content-Length: -1\r\n\r\n",
        b"two lengths": start_line + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"endless chunks": start_line
        + json_type
        + signed.encode()
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + chunk * 40,
        b"a body cut off": start_line
        + json_type
        + signed.encode()
        + f"Content-Length: {len(body) + 9}\r\n\r\n{body}".encode(),
    }
    for sent in attacks.values():
        line = socket.create_connection(
            (place.hostname, place.port or 0), timeout=PATIENCE_S
        )
        with line, suppress(OSError):  # it may hang up in the middle
            line.sendall(sent)
            line.shutdown(socket.SHUT_WR)
            assert not line.recv(64).startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert server.ready()["ready"]
    assert server.ready()["inbox"]["waiting"] == 0
    [event] = synced.grow(0, 2)
    assert server.send(event) == 200


def opened(server: Server, sent: bytes = b"") -> socket.socket:
    place = urlsplit(server.url)
    line = socket.create_connection(
        (place.hostname, place.port or 0), timeout=PATIENCE_S
    )
    line.sendall(sent)
    return line


def is_open(line: socket.socket) -> bool:
    """Whether the other side has not hung up by now."""
    line.setblocking(False)  # noqa: FBT003 - its only argument
    try:
        return line.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nA: ".encode(), id="half a head"
        ),
        pytest.param(b"body", id="half a body"),
    ],
)
def test_who_is_silent_keeps_nobody_out(
    synced: Company, server: Server, sent: bytes
) -> None:
    """Four hundred who never say a whole request; no newcomer waits for their time."""
    if sent == b"body":  # whoever reads the clock gets so far
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        stamp = f"Stripe-Signature: t={int(time.time())},v1=0\r\n"
        sent = f"{head}{stamp}Content-Length: 999\r\n\r\n{{".encode()
    with ExitStack() as silent:
        for number in range(400):
            silent.enter_context(opened(server, sent))
            if number % 100 == 99:
                [event] = synced.grow(0, 2 + number)
                began_s = time.monotonic()
                with httpx.Client(timeout=PATIENCE_S) as stripe:
                    body = json.dumps(event).encode()
                    posted = stripe.post(
                        server.url, content=body, headers=headers(body)
                    )
                assert posted.status_code == 200
                assert time.monotonic() - began_s < REQUEST_S / 2
    server.settle()
    assert synced.mrr(0) == 401_000


def test_a_request_has_its_time(server: Server) -> None:
    """Byte by byte is no way to stay; who has said a whole request may stay idle."""
    began_s = time.monotonic()
    whole = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with opened(server, whole) as idle:
        assert idle.recv(64).startswith(b"HTTP/1.1 405")
        with opened(server) as silent, opened(server, b"POST ") as slow:

            def is_over() -> bool:
                time.sleep(0.5)
                try:
                    slow.sendall(b"x")
                except OSError:
                    return True
                return False

            until(is_over)
            assert time.monotonic() - began_s > REQUEST_S - 1
            until(lambda: not is_open(silent))
        assert is_open(idle)


@pytest.mark.parametrize(
    "object_id", ["sub_\n", "sub_\0", "sub_" + "x" * 100_000, "../../v1/prices", "🙈"]
)
def test_an_event_that_cannot_be_applied_is_told_and_holds_up_nobody(
    synced: Company, object_id: str
) -> None:
    """Nor does it end the server, now or at the next start."""
    thing = {"id": object_id, "object": "subscription", "customer": "cus_1"}
    poison = webhook("customer.subscription.updated", thing, "evt_poison")
    with serve(synced.workdir) as server:
        assert server.send(poison) == 200
        [event] = synced.grow(0, 3)
        assert server.send(event) == 200
        until(lambda: synced.mrr(0) == 3_000)
        assert server.stop() == 0
    with closing(sqlite3.connect(synced.workdir.ledger)) as connection:
        connection.execute("UPDATE inbox SET tries = 7, due_us = 0")  # two hours later
        connection.commit()
    with serve(synced.workdir) as again:
        again.settle()
        [event] = synced.grow(1, 4)
        assert again.send(event) == 200
        until(lambda: synced.mrr(1) == 4_000)
        assert again.ready()["ready"]
        assert again.process.poll() is None
        for each in synced.workdir.call("inbox", "--format", "json").json["events"]:
            assert (each["event"], each["state"]) == ("evt_poison", "dead")
            assert each["error"]


# --- the operator's port ---


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8481", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("127.0.0.1.evil.example", 403),
        ("evil.example:8481", 403),
        ("192.0.2.1", 403),
        ("", 403),
    ],
)
def test_the_operator_s_port_answers_to_its_own_name(
    server: Server, host: str, status: int
) -> None:
    """A web page of elsewhere whose name leads here reads nothing."""
    for path in ("/healthz", "/readyz", "/metrics"):
        url = f"{server.admin}{path}"
        assert server.client.get(url, headers={"Host": host}).status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_that_it_tells_is_one_that_a_browser_opens(host: str) -> None:
    with listen(host, 0) as listening:
        told = httpx.URL(url_of(listening))
        assert told.host == host
        assert told.port == listening.getsockname()[1]


def test_beyond_this_machine_it_needs_a_token(synced: Company) -> None:
    token, file = "of-the-tests", synced.workdir.folder / "admin-token"
    ports = '[serve]\nbind = "127.0.0.1:0"\nadmin_bind = "0.0.0.0:0"\n'
    ran = synced.workdir.configure(ports).run("serve")
    assert ran.code == 1
    assert "admin_token_file" in ran.err
    synced.workdir.configure(f'{ports}admin_token_file = "admin-token"\n')
    for content, mode, said in (
        (None, 0, "it is not there"),
        (token, 0o644, "chmod 600"),
        (" \n", 0o600, "is empty"),
        ("two words", 0o600, "has characters"),
    ):
        if content is not None:
            file.write_text(content)
            file.chmod(mode)
        ran = synced.workdir.run("serve")
        assert ran.code == 1
        assert said in ran.err
        assert token not in ran.err
    file.write_text(f"{token}\n")
    with serve(synced.workdir) as server:
        at = server.admin.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        for given, status in (
            (None, 401),
            (f"Basic {token}", 401),
            (f"Bearer {token}x", 401),
            ("Bearer \xe4", 401),
            (f"Bearer {token}", 200),
        ):
            head = {} if given is None else {b"Authorization": given.encode("latin-1")}
            for path in ("/healthz", "/readyz", "/metrics", "/counts"):
                assert server.client.get(at + path, headers=head).status_code == status


def test_two_secrets_are_both_good(synced: Company) -> None:
    workdir = ServingWorkdir(
        synced.workdir.folder, synced.stripe.url, secrets=f"whsec_new, {SECRET}"
    )
    with serve(workdir) as server:
        [event] = synced.grow(0, 2)
        assert server.send(event, secret=SECRET) == 200
        assert server.send({**event, "id": "evt_2"}, secret="whsec_new") == 200  # noqa: S106
        assert server.send({**event, "id": "evt_3"}, secret="whsec_") == 400  # noqa: S106


# --- the disk full, and not ---


def test_a_disk_that_was_full_makes_it_unready_only_while_it_is(
    synced: Company, server: Server
) -> None:
    """No process may write beyond the first byte of a file: as if there were no room."""
    [event] = synced.grow(0, 3)
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
    assert server.send(event) == 503
    [problem] = server.ready()["problems"]
    assert problem.startswith("the last event could not be kept: ")
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
    until(lambda: bool(server.ready()["ready"]))
    assert server.is_idle()
    assert server.send(event) == 200
    server.settle()
    assert synced.mrr(0) == 3_000


# --- Stripe away, and back ---


def test_stripe_away_and_back(synced: Company, server: Server) -> None:
    synced.stripe.spoil(lambda _: failing(401))
    [event] = synced.grow(0, 3)
    assert server.send(event) == 200
    ran = partial(synced.workdir.run, "inbox", "--format", "json")
    until(lambda: bool(ran().json["events"]))
    [trouble] = ran().json["events"]
    assert (trouble["state"], trouble["tries"]) == ("waiting", 0)
    synced.stripe.spoil(())
    server.settle()
    assert synced.mrr(0) == 3_000
    assert ran().code == 0


def test_the_dead_are_shown_and_tried_again(synced: Company, server: Server) -> None:
    [event] = synced.grow(0, 3)
    synced.stripe.spoil(lambda _: failing(400))
    server.send(event)
    until(lambda: server.ready()["inbox"]["failing"] == 1)

    def is_dead() -> bool:
        """Two hours later; said again, as a try that is under way says otherwise."""
        with closing(sqlite3.connect(synced.workdir.ledger)) as connection:
            connection.execute(
                "UPDATE inbox SET tries = 7, due_us = 0 WHERE state = 'waiting'"
            )
            connection.commit()
        return bool(server.ready()["inbox"]["dead"] == 1)

    until(is_dead)
    told = synced.workdir.call("inbox")
    assert told.code == 3
    assert "8 tries, dead" in told.out
    assert "HTTP 400" in told.out
    assert "stripe-nrr inbox retry" in told.out
    [shown_event] = synced.workdir.call("inbox", "--format", "json").json["events"]
    assert shown_event["state"] == "dead"
    assert {"kind": "subscriptions", "id": synced.subs[0].id} in shown_event["names"]
    synced.stripe.spoil(())
    assert synced.workdir.call("inbox", "retry", event["id"]).code == 0
    server.settle()
    until(lambda: server.ready()["inbox"]["dead"] == 0)
    assert synced.mrr(0) == 3_000


# --- the end ---


def test_sigterm_ends_it_though_stripe_hangs(synced: Company, server: Server) -> None:
    synced.stripe.spoil(lambda _: delayed(FOREVER_S))
    [event] = synced.grow(0, 3)
    server.send(event)
    until(lambda: f"/v1/subscriptions/{synced.subs[0].id}" in asked(synced))
    assert server.stop() == 0
    assert server.process.stderr is not None
    assert "Traceback" not in server.process.stderr.read()
    synced.stripe.spoil(())
    with serve(synced.workdir) as again:
        again.settle()
        assert synced.mrr(0) == 3_000


def asked(company: Company) -> list[str]:
    return [request.path for request in company.stripe.requests]


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_instant_nothing_acknowledged_is_lost(
    synced: Company, seed: int, tmp_path: Path
) -> None:
    """Killed again and again, without warning; what was answered with 200 is done."""
    dice = random.Random(seed)
    acknowledged: list[str] = []
    quantity = 1
    for _ in range(3):
        server = start(synced.workdir)
        fuse_s = time.monotonic() + dice.uniform(0.05, 0.5)
        while time.monotonic() < fuse_s:
            quantity += 1
            for event in synced.grow(dice.randrange(3), quantity):
                with suppress(httpx.HTTPError):
                    if server.send(event) == 200:
                        acknowledged.append(event["id"])
        server.kill()
        server.close()
    with serve(synced.workdir) as last:
        last.settle()
        with closing(sqlite3.connect(synced.workdir.ledger)) as connection:
            rows = connection.execute("SELECT event FROM inbox WHERE state = 'done'")
            done = {event for (event,) in rows}
        assert set(acknowledged) <= done
        assert acknowledged
        assert synced.workdir.call("check").code == 0
        # In full: the newest events are left to a later sync.
        assert synced.workdir.call("sync", "--full", "-q").code == 0
    assert shown(synced.workdir.ledger) == quiet(synced, tmp_path / "quiet.db")


# --- beside a sync ---


def test_a_sync_and_the_server_side_by_side(
    synced: Company, server: Server, tmp_path: Path
) -> None:
    """Webhooks come while a scheduled sync walks the account and derives."""
    walking = synced.workdir.start("sync", "-q")
    quantity = 1
    while walking.poll() is None:
        quantity += 1
        for event in synced.grow(quantity % 3, quantity):
            assert server.send(event) == 200
    out, err = walking.communicate()
    assert walking.returncode == 0, out + err
    server.settle()
    assert shown(synced.workdir.ledger) == quiet(synced, tmp_path / "quiet.db")
    assert synced.workdir.call("check").code == 0


def test_a_policy_that_a_sync_applies_is_taken_over(
    synced: Company, server: Server
) -> None:
    synced.workdir.configure(PORTS + '[policy]\nchurn = "requested"\n')
    assert synced.workdir.call("sync", "-q").code == 0
    [event] = synced.grow(0, 3)
    server.send(event)
    server.settle()
    assert server.ready()["ready"]
    assert synced.mrr(0) == 3_000
    with closing(sqlite3.connect(synced.workdir.ledger)) as connection:
        [(policy,)] = connection.execute(
            "SELECT policy FROM runs WHERE cause = 'webhook' ORDER BY id DESC LIMIT 1"
        )
    assert '"churn": "requested"' in policy


def test_another_configuration_than_the_ledger_s_waits(
    synced: Company, server: Server, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Workdir(elsewhere, synced.stripe.url)
    other.configure(
        f'database = "{synced.workdir.ledger}"\n[policy]\nchurn = "requested"\n'
    )
    assert other.call("sync", "-q").code == 0
    [event] = synced.grow(0, 3)
    assert server.send(event) == 200
    until(lambda: bool(server.ready()["problems"]))
    [problem] = server.ready()["problems"]
    assert "other rules" in problem
    assert other.call("sync", "-q").code == 0  # which undoes nothing of ours
    assert not server.is_idle()
    assert synced.workdir.call("recompute").code == 0
    server.settle()
    assert server.ready()["ready"]
