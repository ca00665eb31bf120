"""docs/deploy/ by the programs that read it: nginx, Caddy, Prometheus.

Each is run as it would be, but for names and ports: a certificate of this test's own,
and a ``serve`` on loopback behind it.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, NamedTuple

import httpx
import pytest

from tests.support.folders import ROOT
from tests.support.served import (
    PORTS,
    Server,
    ServingWorkdir,
    headers,
    serve,
    until,
    webhook,
)

DEPLOY = ROOT / "docs" / "deploy"
PROXIES = {"nginx": "nginx.conf", "caddy": "Caddyfile"}
PATH = "/webhooks/stripe"
MOST_BYTES = 1 << 20
ADMIN_PATHS = ["/", "/readyz", "/healthz", "/metrics", f"{PATH}/", f"{PATH}/x"]


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def checked(*words: str, cwd: Path | None = None) -> str:
    """What a program says of a file with which it finds nothing wrong."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=60, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- Prometheus ---


def test_prometheus_takes_the_rules() -> None:
    path = DEPLOY / "alerts.yaml"
    said = checked(program("promtool"), "check", "rules", str(path))
    count = path.read_text(encoding="utf-8").count("- alert:")
    assert f"SUCCESS: {count} rules found" in said


CASES = """
rule_files: [alerts.yaml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: stripe_nrr_ready, values: "0x10"}
      - {series: stripe_nrr_inbox_dead, values: "0x5 1x5"}
      - {series: 'stripe_nrr_events_total{outcome="foreign"}', values: "0x5 1x5"}
    alert_rule_test:
      - {eval_time: 4m, alertname: StripeNrrNotReady}
      - {eval_time: 6m, alertname: StripeNrrGone}
      - {eval_time: 4m, alertname: StripeNrrEventsGivenUp}
      - {eval_time: 4m, alertname: StripeNrrForeign}
      - eval_time: 6m
        alertname: StripeNrrNotReady
        exp_alerts: [{exp_labels: {severity: page}, exp_annotations: {summary: READY}}]
  - interval: 1m
    input_series: []
    alert_rule_test:
      - {eval_time: 4m, alertname: StripeNrrGone}
      - eval_time: 6m
        alertname: StripeNrrGone
        exp_alerts: [{exp_labels: {severity: page}, exp_annotations: {summary: GONE}}]
"""


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    rules = (DEPLOY / "alerts.yaml").read_text(encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text(rules)
    summaries = [
        line.partition("summary: ")[2]
        for line in rules.splitlines()
        if "summary: " in line
    ]
    cases = CASES.replace("GONE", json.dumps(summaries[0]))
    cases = cases.replace("READY", json.dumps(summaries[1]))
    (tmp_path / "cases.yaml").write_text(cases)
    checked(program("promtool"), "test", "rules", "cases.yaml", cwd=tmp_path)


# --- the proxies ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of localhost, by nobody; and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    made, key = folder / "fullchain.pem", folder / "privkey.pem"
    words = [
        *(program("openssl"), "req", "-x509", "-nodes", "-days", "1"),
        *("-newkey", "rsa:2048", "-keyout", str(key), "-out", str(made)),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
    ]
    checked(*words)
    return made, key


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as asked:
        return int(asked.getsockname()[1])


def as_nginx(folder: Path, text: str, at: int, certificate: tuple[Path, Path]) -> Path:
    """The file included as by Debian's nginx.conf, on a port of its own."""
    text = text.replace("listen 443", f"listen 127.0.0.1:{at}")
    text = text.replace("nrr.example.com;", "localhost;")
    text = re.sub(
        r"/etc/ssl/nrr\.example\.com/([^;]+)", rf'"{certificate[0].parent}/\1"', text
    )
    (folder / "site.conf").write_text(text)
    temporary = "".join(
        f'{kind}_temp_path "{folder}/{kind}";'
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # the folder is ours alone
    main.write_text(
        f'{user} daemon off; pid "{folder}/pid"; error_log "{folder}/error.log";'
        f" events {{}} http {{ access_log off; {temporary} include site.conf; }}"
    )
    return main


def as_caddy(folder: Path, text: str, at: int, certificate: tuple[Path, Path]) -> Path:
    options = "{\n\tadmin off\n\tauto_https off\n"
    text = text.replace("{\n", options, 1)
    tls = f'\ttls "{certificate[0]}" "{certificate[1]}"\n'
    text = text.replace("nrr.example.com {\n", f"https://localhost:{at} {{\n{tls}")
    main = folder / "Caddyfile"
    main.write_text(text)
    return main


class Proxy:
    """A proxy that runs, for who trusts its certificate."""

    def __init__(self, at: int, trusted: Path) -> None:
        self.port = at
        self.url = f"https://localhost:{at}"
        context = ssl.create_default_context(cafile=str(trusted))
        self.client = httpx.Client(verify=context, trust_env=False, timeout=20)

    def is_up(self) -> bool:
        with suppress(httpx.TransportError):
            self.client.get(self.url)
            return True
        return False

    @contextmanager
    def connected(self) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as open_,
        ):
            yield open_


def command(name: str, main: Path) -> list[str]:
    if name == "nginx":
        return [program(name), "-p", str(main.parent), "-c", str(main)]
    return [program(name), "run", "--adapter", "caddyfile", "--config", str(main)]


@contextmanager
def proxy(
    name: str, folder: Path, server: str, made: tuple[Path, Path], waits: str = "15s"
) -> Iterator[Proxy]:
    """The one of docs/deploy before a server; ``waits`` in place of its patience."""
    program(name)
    folder.parent.chmod(0o755)  # for nginx's own user, whose temporary files lie in it
    folder.chmod(0o755)
    at = free_port()
    text = (DEPLOY / PROXIES[name]).read_text(encoding="utf-8")
    assert text.count(" 15s") == 2, "for the head and for the body"
    text = text.replace("127.0.0.1:8480", server).replace(" 15s", f" {waits}")
    main = {"nginx": as_nginx, "caddy": as_caddy}[name](folder, text, at, made)
    with subprocess.Popen(
        command(name, main),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HOME": str(folder), "XDG_DATA_HOME": str(folder)},
    ) as process:
        running = Proxy(at, made[0])
        try:
            until(running.is_up)
            yield running
        finally:
            running.client.close()
            process.send_signal(signal.SIGTERM)


class Behind(NamedTuple):
    """A proxy, and the ``serve`` behind it."""

    server: Server
    proxy: Proxy

    @property
    def url(self) -> str:
        return self.proxy.url

    @property
    def client(self) -> httpx.Client:
        return self.proxy.client


@pytest.fixture(scope="module", params=PROXIES)
def behind(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[Path, Path],
) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp(request.param)
    workdir = ServingWorkdir(tmp_path_factory.mktemp("served"))
    workdir.configure(f'timezone = "UTC"\n{PORTS}')
    with serve(workdir) as server:
        address = server.url.removeprefix("http://").removesuffix(PATH)
        with proxy(request.param, folder, address, certificate) as before:
            yield Behind(server, before)
        assert server.stop() == 0


def test_nginx_finds_nothing_to_say(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    text = (DEPLOY / PROXIES["nginx"]).read_text(encoding="utf-8")
    main = as_nginx(tmp_path, text, 8443, certificate)
    said = checked(program("nginx"), "-t", "-p", str(tmp_path), "-c", str(main))
    assert "test is successful" in said
    assert "[warn]" not in said


def test_caddy_finds_nothing_to_say(tmp_path: Path) -> None:
    """As it stands, and written as its own formatter writes it."""
    path = DEPLOY / PROXIES["caddy"]
    caddy = program("caddy")
    copy = tmp_path / "Caddyfile"
    copy.write_bytes(path.read_bytes())
    run = partial(checked, cwd=tmp_path)
    said = run(caddy, "validate", "--adapter", "caddyfile", "--config", str(copy))
    assert "Valid configuration" in said
    assert '"level":"warn"' not in said
    run(caddy, "fmt", "--overwrite", str(copy))
    assert copy.read_bytes() == path.read_bytes()


def event(number: str) -> bytes:
    thing = {"id": "sub_1", "object": "subscription", "padding": "x" * 6_000}
    told = webhook("customer.subscription.updated", thing, f"evt_{number}")
    return json.dumps(told).encode()


def kept(behind: Behind) -> float:
    told = behind.server.metrics()
    return sum(v for name, v in told.items() if 'outcome="kept"' in name)


def test_a_signed_event_passes_through(behind: Behind) -> None:
    before = kept(behind)
    body = event("whole")
    answer = behind.client.post(behind.url + PATH, content=body, headers=headers(body))
    assert answer.status_code == 200
    chunks = event("in chunks")
    pieces = iter([chunks[:100], chunks[100:]])
    head = headers(chunks)
    answer = behind.client.post(behind.url + PATH, content=pieces, headers=head)
    assert answer.status_code == 200
    assert kept(behind) == before + 2


def test_an_unsigned_event_does_not(behind: Behind) -> None:
    body = event("forged")
    head = headers(body, secret="whsec_another")  # noqa: S106
    answer = behind.client.post(behind.url + PATH, content=body, headers=head)
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_nothing_else_is_reached(behind: Behind, path: str) -> None:
    assert behind.client.get(behind.url + path).status_code == 404
    assert behind.client.post(behind.url + path).status_code == 404


def test_only_post_is_allowed(behind: Behind) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = behind.client.request(method, behind.url + PATH)
        assert answer.status_code in (403, 405), method


def test_a_body_has_its_bounds(behind: Behind) -> None:
    """Of the one and of the other together: the largest passes both."""
    before = kept(behind)
    rest = MOST_BYTES - len(padded(0))
    for more, is_kept in ((0, True), (1, False)):
        body = padded(rest + more)
        send = behind.client.post
        answer = send(behind.url + PATH, content=body, headers=headers(body))
        assert (answer.status_code == 200) == is_kept
    assert kept(behind) == before + 1


def padded(size: int) -> bytes:
    told = webhook("product.updated", {"id": "prod_1", "padding": "x" * size}, "evt_p")
    return json.dumps(told).encode()


# --- the proxies' own bounds, before a server that has none ---


class Taker(BaseHTTPRequestHandler):
    """Takes whatever it is sent, and says how much that was."""

    taken: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) == length:
            self.taken.append(length)
            self.send_response(200)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def taker() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=PROXIES)
def bounded(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificate: tuple[Path, Path],
    taker: str,
) -> Iterator[tuple[str, Proxy]]:
    folder = tmp_path_factory.mktemp(request.param)
    with proxy(request.param, folder, taker, certificate, waits="1s") as running:
        yield request.param, running


def too_large(name: str) -> int:
    """Caddy before 2.7 took a body that is too large for a failure of the server's."""
    if name == "nginx":
        return 413
    found = re.search(r"(\d+)\.(\d+)", checked(program(name), "version"))
    assert found is not None
    return 502 if (int(found[1]), int(found[2])) < (2, 7) else 413


def test_a_proxy_lets_1_mib_of_body_pass(bounded: tuple[str, Proxy]) -> None:
    name, before = bounded
    statuses = []
    Taker.taken.clear()
    for size in (MOST_BYTES, MOST_BYTES + 1, 4 * MOST_BYTES):
        answer = before.client.post(before.url + PATH, content=b"x" * size)
        statuses.append(answer.status_code)
    assert statuses == [200, too_large(name), too_large(name)]
    assert Taker.taken == [MOST_BYTES]


KIB = 1_024
# Lines, and how long each: what passes, and what no more does. nginx counts lines, each in
# a buffer of its own; Caddy what comes in all, by 4 KiB, and lets two of these pass
# beyond what is set: Go's own slack, and what it reads ahead of a second request.
HEADS = {
    "nginx": {200: (3, 8 * KIB - 100), 400: (1, 8 * KIB + 1)},
    "caddy": {200: (1, 32 * KIB), 431: (1, 40 * KIB)},
}
MANY_LINES = {"nginx": (5, 8 * KIB - 100, 400), "caddy": (5, 8 * KIB - 100, 431)}


def test_a_proxy_lets_32_kib_of_head_pass(bounded: tuple[str, Proxy]) -> None:
    name, before = bounded
    many, size, refused = MANY_LINES[name]
    tried = [(*head, status) for status, head in HEADS[name].items()]
    for lines, length, status in [*tried, (many, size, refused)]:
        Taker.taken.clear()
        head = {f"X-Long-{n}": "x" * (length - len("X-Long-1: ")) for n in range(lines)}
        answer = before.client.post(before.url + PATH, content=b"{}", headers=head)
        assert answer.status_code == status, (lines, length)
        assert bool(Taker.taken) == (status == 200)


@pytest.mark.parametrize("said", [b"", b"POST ", b"HALF A HEAD", b"HALF A BODY"])
def test_a_proxy_waits_no_longer(bounded: tuple[str, Proxy], said: bytes) -> None:
    """Tried with a second in place of what is set: the connection ends."""
    _, before = bounded
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n".encode()
    spoken = {
        b"HALF A HEAD": head,
        b"HALF A BODY": b"%sContent-Length: 9\r\n\r\n{" % head,
    }
    Taker.taken.clear()
    with before.connected() as open_:
        open_.sendall(spoken.get(said, said))
        began_s = time.monotonic()
        while open_.recv(65_536):
            pass
    assert time.monotonic() - began_s < 14, "not with 15 seconds"
    assert Taker.taken == []


def said_to(behind: Behind, lines: Sequence[bytes]) -> bytes:
    """What comes back for these bytes, as far as it comes at once."""
    with behind.proxy.connected() as open_:
        open_.sendall(b"\r\n".join(lines))
        with suppress(TimeoutError):
            return open_.recv(65_536)
    return b""


def test_two_lengths_are_no_way_past_it(behind: Behind) -> None:
    """A request that a proxy and a server could end at different places."""
    before = kept(behind)
    body = event("smuggled")
    signed = [f"{k}: {v}".encode() for k, v in headers(body).items()]
    inner = [b"POST /webhooks/stripe HTTP/1.1", b"Host: localhost", *signed]
    inner += [b"Content-Length: %d" % len(body), b"", body]
    smuggled = b"\r\n".join(inner)
    outer = [b"POST /x HTTP/1.1", b"Host: localhost"]
    outer += [b"Content-Length: %d" % (len(smuggled) + 5)]
    outer += [b"Transfer-Encoding: chunked", b"", b"0", b"", smuggled]
    assert not said_to(behind, outer).startswith(b"HTTP/1.1 200")
    assert kept(behind) - before <= 1, "at the most as the request that it is, signed"
