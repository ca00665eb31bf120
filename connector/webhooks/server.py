"""Two apps on two ports in one process, until it is told to end.

Small and quiet on purpose: no server header, no access log, no trust in forwarded
addresses, no more at once than memory holds.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

import uvicorn
from starlette.types import ASGIApp

from connector.core.errors import CannotListen

BACKLOG = 2_048
AT_ONCE = 256  # times 1 MiB of body is the most that strangers can make us hold
HEAD_BYTES = 32 * 1_024
ENDING_S = 3  # for requests in hand
WATCH_S = 0.25


class _Quiet(uvicorn.Server):
    """Leaves signals to us: there are two of it."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


FREE_ADDRESSES = (
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
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=AT_ONCE,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=75,  # longer than proxies keep theirs
        timeout_graceful_shutdown=ENDING_S,
    )
