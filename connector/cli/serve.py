"""`stripe-nrr serve`: webhooks in, the ledger live."""

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any

import click

from connector.cli.app import Shell
from connector.cli.connect import connected
from connector.config import rules_of
from connector.core.errors import ConnectorError, LedgerUnusable
from connector.credentials import webhook_secrets
from connector.pipeline.held_ledger import check_folder, own_ledger
from connector.pipeline.ingest import Ingest, customer_fields_of
from connector.pipeline.thread_pool import ThreadPool
from connector.webhooks.headlines import headline_gauges

if TYPE_CHECKING:
    from connector.webhooks.group_commit import GroupCommit
    from connector.webhooks.health import AdminSettings, Health
    from connector.webhooks.prometheus import HeadlineFigures, ServerMetrics
    from connector.webhooks.worker import Worker


log = logging.getLogger(__name__)

FIGURES_S = 5.0  # how long figures are good for
# Every request hands the interpreter over several times; each time a derivation may keep
# it for so long. Python's own 5 ms let acknowledgements wait for a tenth of a second.
SWITCH_S = 0.0001


@click.command()
@click.pass_obj
def serve(shell: Shell) -> None:
    """Receive Stripe's webhooks and keep the ledger up to date within seconds.

    Answers POST /webhooks/stripe on [serve] bind once an event is durable, then fetches
    what it names and derives the customers concerned. /healthz, /readyz and /metrics are
    on [serve] admin_bind. Needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET (or the same
    with _FILE; several secrets with commas in between).

    Run `stripe-nrr sync` on a schedule all the same: it finds what a lost webhook would
    have told. SIGTERM ends it, with exit code 0, after the batch in hand.

    config.toml is read at the start: restart it after a change. Only [policy], timezone
    and [customers] merge it takes over by itself, once a sync has applied them.
    """
    from connector.webhooks import endpoint, health, prometheus, server
    from connector.webhooks.apply_events import EventBatch
    from connector.webhooks.group_commit import GroupCommit
    from connector.webhooks.worker import Worker

    shell.log_to_stderr()
    config = shell.config
    secrets = webhook_secrets(os.environ)
    check_folder(config.database)
    own_ledger(config.database).close()
    counted = prometheus.ServerMetrics()
    worker = Worker(config.database, lambda: rules_of(shell.read_config()))
    with (
        server.listen(*config.bind) as public,
        server.listen(*config.admin_bind) as private,
        connected(config, worker.sleep, worker.stopping) as api,
        ThreadPool[Any](config.workers) as threads,
        GroupCommit(config.database, api.now_us, worker.wake) as commits,
        worker.start(
            EventBatch(
                ingest=lambda connection: Ingest(
                    connection=connection,
                    source=api,
                    threads=threads,
                    customer_fields=customer_fields_of(config),
                    now_us=api.stripe_us,
                    stopping=worker.stopping,
                ),
                now_us=api.now_us,
                count=counted.count,
                timed=counted.timed,
                spent=_since_last(lambda: api.reads.requests),
            )
        ),
    ):
        door = endpoint.EndpointSettings(
            secrets=secrets, keep=commits.keep, count=counted.count
        )
        desk = _desk(shell, counted, commits, worker)
        listening = [
            server.Listening(endpoint.app(door), public),
            server.Listening(health.admin_app(desk), private),
        ]

        def ready() -> None:
            at, admin_at = public.getsockname(), private.getsockname()
            click.echo(f"webhooks: http://{at[0]}:{at[1]}{endpoint.PATH}", err=True)
            click.echo(f"admin:    http://{admin_at[0]}:{admin_at[1]}/readyz", err=True)

        sys.setswitchinterval(SWITCH_S)
        told = server.run(listening, is_alive=desk.is_alive, ready=ready)
    if not told:
        sys.exit(1)


def _since_last(total: Callable[[], int]) -> Callable[[], int]:
    """What was added to a total since it was last asked for, by one thread."""
    before = total()

    def added() -> int:
        nonlocal before
        now = total()
        more, before = now - before, now
        return more

    return added


def _desk(
    shell: Shell, counted: "ServerMetrics", commits: "GroupCommit", worker: "Worker"
) -> "AdminSettings":
    from connector.webhooks import health, prometheus

    database = shell.config.database
    figures = _remembered(lambda: headline_gauges(shell.config, shell.now()))

    def hindrances() -> Iterator[str]:
        if not commits.is_alive or not worker.is_alive:
            yield "a thread of the server has died"
        if commits.failure is not None:
            yield f"the last event could not be kept: {commits.failure}"
        if worker.hindered is not None:
            yield worker.hindered

    def feel() -> "Health":
        try:
            return health.health(database, time.time_ns() // 1_000, hindrances)
        except (sqlite3.Error, LedgerUnusable) as error:
            return health.unreadable(error)

    return health.AdminSettings(
        is_alive=lambda: commits.is_alive and worker.is_alive,
        pulse=feel,
        exposition=lambda pulse: counted.exposition(
            pulse, figures() if worker.hindered is None else []
        ),
        content_type=prometheus.CONTENT_TYPE,
    )


def _remembered(
    ask: Callable[[], list["HeadlineFigures"]],
) -> Callable[[], list["HeadlineFigures"]]:
    """The same answer for some seconds; longer where it takes long to give."""
    lock = Lock()
    answer: list[HeadlineFigures] = []
    until_s = 0.0

    def remembered() -> list["HeadlineFigures"]:
        nonlocal answer, until_s
        with lock:
            began_s = time.monotonic()
            if began_s >= until_s:
                try:
                    answer = ask()
                except (ConnectorError, sqlite3.Error) as error:
                    log.warning("serve.figures %s", error)
                    answer = []
                took_s = time.monotonic() - began_s
                until_s = began_s + took_s + max(FIGURES_S, 10 * took_s)
            return answer

    return remembered
