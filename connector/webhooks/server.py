"""Two apps on two ports in one process, until it is told to end.

Small and quiet on purpose: no server header, no access log, no trust in forwarded
addresses, no more at once than memory holds. Whoever opens connections and says nothing
keeps nobody else out: who has been longest without a whole request makes room.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from math import inf
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from connector.core.errors import CannotListen
from connector.core.language import message

BACKLOG = 2_048
AT_ONCE = 256  # times 1 MiB of body is the most that strangers can make us hold
HEAD_BYTES = 32 * 1_024
REQUEST_S = 15.0  # for a whole one, from the first byte on or the connection's opening
ENDING_S = 3  # for requests in hand
WATCH_S = 0.25


class _Quiet(uvicorn.Server):
    """Leaves signals to us: there are two of it."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


class _ImpatientProtocol(H11Protocol):
    """A connection that is dropped where its request does not become whole in time."""

    _timer: asyncio.TimerHandle | None = None
    _waits_since_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > AT_ONCE:
            _make_room(self.connections)

    def data_received(self, data: bytes) -> None:
        if self._timer is None and not self.is_answering:
            self._wait()
        super().data_received(data)
        if self.is_answering:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def is_answering(self) -> bool:
        """Whether a whole request is here, and its answer is not yet given."""
        cycle: Any = self.cycle  # None before the first
        return cycle is not None and not (cycle.more_body or cycle.response_complete)

    @property
    def waits_since_s(self) -> float:
        """Since when, by the loop's clock, no whole request is here."""
        return inf if self.is_answering else self._waits_since_s

    def _wait(self) -> None:
        self._waits_since_s = self.loop.time()
        self._timer = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        self._waits_since_s = self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _make_room(connections: Iterable[Any]) -> None:
    """Drop who has been longest without a whole request; nobody where all have one."""
    longest = min(connections, key=lambda each: each.waits_since_s)
    if longest.waits_since_s < inf:
        longest.connections.discard(longest)
        longest.transport.abort()


FREE_ADDRESSES = message(
    "set `bind` and `admin_bind` under [serve] to addresses of this machine that are "
    "free"
)


def listen(host: str, port: int, fix: str = FREE_ADDRESSES) -> socket.socket:
    """A listening socket; ``CannotListen`` where somebody else has the address."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise CannotListen(
            f"cannot listen on {host} port {port}: {why}", fix=fix
        ) from error


def url_of(listening: socket.socket) -> str:
    """``http://127.0.0.1:8481``, ``http://[::1]:8481``."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run(
    apps: Sequence[tuple[ASGIApp, socket.socket]],
    *,
    is_alive: Callable[[], bool],
    ready: Callable[[], None],
) -> bool:
    """Serve until SIGTERM or SIGINT (True), or until something has died (False)."""
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    servers = [_Quiet(_settings(app)) for app, _ in apps]
    running = [
        asyncio.create_task(server.serve(sockets=[listening]))
        for server, (_, listening) in zip(servers, apps, strict=True)
    ]
    ready()
    while (
        not asked_to_end.is_set() and is_alive() and not any(t.done() for t in running)
    ):
        with suppress(TimeoutError):
            await asyncio.wait_for(asked_to_end.wait(), WATCH_S)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)
    return asked_to_end.is_set()


def _settings(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=_ImpatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=2 * AT_ONCE,  # where all have a whole request: 503
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=75,  # longer than proxies keep theirs
        timeout_graceful_shutdown=ENDING_S,
    )
