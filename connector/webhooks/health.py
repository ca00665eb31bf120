"""How a running server is, and the operator port that tells it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from connector.store import inbox
from connector.store.database import is_writable
from connector.store.inbox import InboxDepth
from connector.store.mirror import event_feed
from connector.store.opening import open_database

PATHS = ("/healthz", "/readyz", "/metrics")
# A daily sync, and two hours for it.
SYNC_AGE_S = 26 * 3_600
# An event that nobody has tried for so long means that nothing gets through.
LAG_S = 300


class Health(Struct, frozen=True, kw_only=True):
    """``problems`` are in words; without any, the server is ready.

    ``warnings`` are no reason to send events elsewhere. Until ``synced_us`` the last
    sync knew all that Stripe told, ``sync_age_s`` ago.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    depth: InboxDepth = InboxDepth(0, 0, 0, None)
    lag_s: int = 0  # how long the oldest untried event has waited
    synced_us: int | None = None
    sync_age_s: int | None = None


def read_health(
    path: Path,
    now_us: int,
    hindrances: Callable[[], Iterator[str]],
    warnings: Callable[[], Iterable[str]] = tuple,
) -> Health:
    """Look at the ledger. The others are what the server's threads report."""
    with closing(open_database(path)) as connection:
        depth = inbox.depth(connection)
        synced_us = event_feed.last_synced_us(connection)
        writable = is_writable(connection)
    oldest_us = depth.oldest_us if depth.oldest_us is not None else now_us
    lag_s = max(now_us - oldest_us, 0) // 1_000_000
    age_s = None if synced_us is None else (now_us - synced_us) // 1_000_000
    problems = list(hindrances())
    if not writable:
        problems.append(f"{path} cannot be written")
    if age_s is not None and age_s > SYNC_AGE_S:
        hours = age_s // 3_600
        problems.append(f"the last sync knew what Stripe told until {hours} hours ago")
    if lag_s > LAG_S:
        problems.append(f"an event has waited for {lag_s // 60} minutes")
    return Health(
        problems=tuple(problems),
        warnings=tuple(warnings()),
        depth=depth,
        lag_s=lag_s,
        synced_us=synced_us,
        sync_age_s=age_s,
    )


def unreadable(error: Exception) -> Health:
    """The health of a server whose ledger cannot even be read."""
    return Health(problems=(f"the ledger cannot be read: {error}",))


def _state(health: Health) -> dict[str, Any]:
    return {
        "ready": not health.problems,
        "problems": health.problems,
        "warnings": health.warnings,
        "last_sync_age_s": health.sync_age_s,
        "inbox": {
            "waiting": health.depth.waiting,
            "failing": health.depth.failing,
            "dead": health.depth.dead,
            "oldest_s": health.lag_s,
        },
    }


def in_all(found: Mapping[str, Health], warnings: Iterable[str]) -> Health:
    """Of a server of several accounts: every problem by whose it is, the sums, the worst.

    ``warnings`` are of no account.
    """
    depths = [each.depth for each in found.values()]
    oldest = [each.oldest_us for each in depths if each.oldest_us is not None]
    ages = [each.sync_age_s for each in found.values() if each.sync_age_s is not None]
    return Health(
        problems=tuple(
            f"{k}: {it}" for k, each in found.items() for it in each.problems
        ),
        warnings=(
            *(f"{k}: {it}" for k, each in found.items() for it in each.warnings),
            *warnings,
        ),
        depth=InboxDepth(
            waiting=sum(each.waiting for each in depths),
            failing=sum(each.failing for each in depths),
            dead=sum(each.dead for each in depths),
            oldest_us=min(oldest, default=None),
        ),
        lag_s=max((each.lag_s for each in found.values()), default=0),
        sync_age_s=max(ages, default=None),
    )


def admin_app(
    is_alive: Callable[[], bool],
    look: Callable[[], Mapping[str, Health]],
    exposition: Callable[[Mapping[str, Health]], bytes],
    content_type: str,
    strays: Callable[[], Iterable[str]] = tuple,
) -> Router:
    """``/healthz``, ``/readyz`` and ``/metrics``; read in a thread, not in the loop.

    ``look`` is at each account by its name; ``exposition`` gives Prometheus' text, of that
    type. ``strays`` warn of events that were no account's. `/readyz?account=NAME` is of
    one of several.
    """

    def healthz(_: Request) -> Response:
        alive = is_alive()
        return JSONResponse({"alive": alive}, 200 if alive else 503)

    def readyz(request: Request) -> Response:
        found, name = look(), request.query_params.get("account")
        if name is not None:
            found = {key: each for key, each in found.items() if key == name}
        if not found:
            return JSONResponse({"ready": False, "problems": ["no such account"]}, 404)
        if len(found) == 1:
            [health] = found.values()
            return JSONResponse(_state(health), 503 if health.problems else 200)
        health = in_all(found, strays())
        each = [{"account": key, **_state(its)} for key, its in found.items()]
        state = {**_state(health), "accounts": each}
        return JSONResponse(state, 503 if health.problems else 200)

    def metrics(_: Request) -> Response:
        return Response(exposition(look()), media_type=content_type)

    return Router(
        [
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        redirect_slashes=False,
    )
