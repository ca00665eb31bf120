"""The server as a process of its own, and a Stripe that signs what it sends there."""

import hashlib
import hmac
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.commands import Workdir

SECRET = "whsec_of_the_tests"  # noqa: S105
# What is waited for comes within a moment, but on a machine that does other things, too:
# no test measures how long. ``FOREVER_S`` is what nobody may wait for.
PATIENCE_S = 120
FOREVER_S = 600
PORTS = '[serve]\nbind = "127.0.0.1:0"\nadmin_bind = "127.0.0.1:0"\n'
JSON = "application/json; charset=utf-8"


def signature(body: bytes, secret: str = SECRET, at_s: float | None = None) -> str:
    """As Stripe writes it; worked out here, not by the code that checks it."""
    stamp = int(time.time() if at_s is None else at_s)
    signed = f"{stamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def headers(body: bytes, **signed: Any) -> dict[str, str]:
    return {"Content-Type": JSON, "Stripe-Signature": signature(body, **signed)}


def webhook(kind: str, thing: dict[str, Any], event: str = "evt_1") -> dict[str, Any]:
    """An event about ``thing``, as an endpoint gets it."""
    return {
        "id": event,
        "object": "event",
        "type": kind,
        "created": int(time.time()),
        "data": {"object": thing},
    }


def thin(related: str, key: str, event: str = "evt_thin") -> dict[str, Any]:
    return {
        "id": event,
        "object": "v2.core.event",
        "type": f"v1.customer.{related}.updated",
        "related_object": {"id": key, "type": related, "url": f"/v1/x/{key}"},
    }


@dataclass(frozen=True)
class ServingWorkdir(Workdir):
    """One whose commands also know the webhook's secrets."""

    secrets: str = SECRET

    def environment(self) -> dict[str, str]:
        given = {"STRIPE_WEBHOOK_SECRET": self.secrets}
        return {**super().environment(), **given}


@dataclass
class Server:
    """A running ``stripe-nrr serve``."""

    process: "subprocess.Popen[str]"
    url: str
    admin: str
    client: httpx.Client = field(
        default_factory=lambda: httpx.Client(timeout=PATIENCE_S)
    )

    def send(self, event: dict[str, Any], **signed: Any) -> int:
        body = json.dumps(event).encode()
        return self.post(body, headers(body, **signed))

    def post(self, body: Any, head: dict[str, str]) -> int:
        return self.client.post(self.url, content=body, headers=head).status_code

    def ready(self) -> Any:
        return self.client.get(f"{self.admin}/readyz").json()

    def metrics(self) -> dict[str, float]:
        text = self.client.get(f"{self.admin}/metrics").text
        lines = [x for x in text.splitlines() if not x.startswith("#")]
        return {name: float(v) for name, v in (x.rsplit(" ", 1) for x in lines)}

    def is_idle(self) -> bool:
        return bool(self.ready()["inbox"]["waiting"] == 0)

    def settle(self) -> None:
        until(self.is_idle)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.client.close()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def until(true: Callable[[], bool]) -> None:
    """Wait until it is so; fail where it never is."""
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.01)


def start(workdir: Workdir) -> Server:
    """Start the server; it listens when this returns."""
    process = workdir.start("serve")
    assert process.stderr is not None
    told = ""
    while len(urls := re.findall(r"http://\S+", told)) < 2:
        line = process.stderr.readline()
        assert line, told
        told += line
    return Server(process, urls[0], urls[1].removesuffix("/readyz"))


@contextmanager
def serve(workdir: Workdir) -> Iterator[Server]:
    server = start(workdir)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
        server.close()
