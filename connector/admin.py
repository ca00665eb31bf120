"""The operator's side, on a port of its own: is it alive, is it ready, what does it say."""

from collections.abc import Callable

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from connector.pulse import Pulse


class Desk(Struct, frozen=True, kw_only=True):
    """What answering needs; ``exposition`` gives Prometheus' text."""

    is_alive: Callable[[], bool]
    pulse: Callable[[], Pulse]
    exposition: Callable[[Pulse], bytes]
    content_type: str


def app(desk: Desk) -> Router:
    """``/healthz``, ``/readyz`` and ``/metrics``; read in a thread, not in the loop."""

    def healthz(_: Request) -> Response:
        alive = desk.is_alive()
        return JSONResponse({"alive": alive}, 200 if alive else 503)

    def readyz(_: Request) -> Response:
        pulse = desk.pulse()
        told = {
            "ready": not pulse.problems,
            "problems": pulse.problems,
            "last_sync_age_s": pulse.sync_age_s,
            "inbox": {
                "waiting": pulse.depth.waiting,
                "failing": pulse.depth.failing,
                "dead": pulse.depth.dead,
                "oldest_s": pulse.lag_s,
            },
        }
        return JSONResponse(told, 503 if pulse.problems else 200)

    def metrics(_: Request) -> Response:
        return Response(desk.exposition(desk.pulse()), media_type=desk.content_type)

    return Router(
        [
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        redirect_slashes=False,
    )
