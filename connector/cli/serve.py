"""`stripe-nrr serve`: webhooks in, the ledger live."""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector.cli.app import Shell
from connector.cli.connect import connected
from connector.cli.stderr import note
from connector.config import Config
from connector.core.account import NOBODY, StripeIdentity, check_same
from connector.core.errors import (
    LedgerUnusable,
    Stopped,
    StripeRefused,
    StripeUnavailable,
)
from connector.pipeline.held_ledger import check_folder, own_ledger
from connector.pipeline.ingest import Ingest, since_last
from connector.pipeline.policy_change import configured_rules
from connector.pipeline.thread_pool import ThreadPool
from connector.store.account import ledger_account
from connector.stripe_api.credentials import webhook_secrets
from connector.webhooks.account_guard import AccountGuard
from connector.webhooks.headlines import headline_figures, remembered

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi
    from connector.webhooks.apply_events import EventBatch
    from connector.webhooks.group_commit import GroupCommit
    from connector.webhooks.health import Health
    from connector.webhooks.prometheus import ServerMetrics
    from connector.webhooks.worker import Worker


# Every request hands the interpreter over several times; each time a derivation may keep
# it for so long. Python's own 5 ms let acknowledgements wait for a tenth of a second.
SWITCH_S = 0.0001
AT_ONCE_S = 2.0


@click.command()
@click.pass_obj
def serve(shell: Shell) -> None:
    """Receive Stripe's webhooks and keep the ledger up to date within seconds.

    Answers POST /webhooks/stripe on [serve] bind once an event is durable, then fetches
    what it names and derives the customers concerned. /healthz, /readyz, /metrics and the
    dashboard are on [serve] admin_bind. Needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET (or
    the same with _FILE; several secrets with commas in between).

    Run `stripe-nrr sync` on a schedule all the same: it finds what a lost webhook would
    have told. SIGTERM ends it, with exit code 0, after the batch in hand.

    config.toml is read at the start: restart it after a change. Only [policy], timezone
    and [customers] merge it takes over by itself, once a sync has applied them.
    """
    from connector.dashboard.access import Access
    from connector.dashboard.app import beside, dashboard_app
    from connector.dashboard.ledger_reader import LedgerReader
    from connector.webhooks import admin_access, endpoint, health, prometheus, server
    from connector.webhooks.group_commit import GroupCommit
    from connector.webhooks.worker import Worker

    shell.log_to_stderr()
    config = shell.config
    secrets = webhook_secrets(os.environ)
    token = admin_access.admin_token(config.admin_token_file, config.admin_bind)
    check_folder(config.database)
    with closing(own_ledger(config.database)) as ledger:
        whose = ledger_account(ledger) or NOBODY
    guard = AccountGuard(ledger=whose, key=_identified(config))
    if guard.key is not None:
        check_same(whose, guard.key)
    counted = prometheus.ServerMetrics()
    worker = Worker(
        config.database,
        lambda ledger: configured_rules(ledger, shell.read_config()),
        guard,
    )
    with (
        server.listen(*config.bind) as public,
        server.listen(*config.admin_bind) as private,
        connected(config, worker.sleep, worker.stopping) as api,
        ThreadPool[Any](config.workers) as threads,
        GroupCommit(config.database, api.now_us, worker.wake) as commits,
        worker.start(_batch(config, api, threads, worker, counted)),
        closing(LedgerReader(config, shell.now)) as reader,
    ):
        receiving = endpoint.EndpointSettings(
            secrets=secrets,
            keep=commits.keep,
            count=counted.count,
            foreign=guard.refusal,
        )

        def is_alive() -> bool:
            return commits.is_alive and worker.is_alive

        figures = remembered(lambda: headline_figures(config, shell.now()))
        admin = health.admin_app(
            is_alive=is_alive,
            look=_health(config.database, commits, worker),
            exposition=lambda found: counted.exposition(
                found, figures() if worker.hindered is None else []
            ),
            content_type=prometheus.CONTENT_TYPE,
        )
        access = Access(config.admin_bind, token)
        inner = beside(
            dashboard_app(reader, access),
            admin_access.guarded(admin, config.admin_bind, token),
            health.PATHS,
        )
        outer: Any = endpoint.endpoint_app(receiving)
        listening = [(outer, public), (inner, private)]

        def ready() -> None:
            at, admin_at = public.getsockname(), private.getsockname()
            note(f"webhooks: http://{at[0]}:{at[1]}{endpoint.PATH}")
            inside = f"http://{admin_at[0]}:{admin_at[1]}"
            note(f"admin:    {inside}/readyz")
            entry = f"/enter/{access.entry_code}" if access.needs_token else "/"
            note(f"look at:  {inside}{entry}")

        sys.setswitchinterval(SWITCH_S)
        was_asked = asyncio.run(server.run(listening, is_alive=is_alive, ready=ready))
    if not was_asked:
        sys.exit(1)


def _identified(config: Config) -> StripeIdentity | None:
    """Whose the key is; None where Stripe does not tell at once: events must not wait."""
    until_s = time.monotonic() + AT_ONCE_S
    try:
        with connected(
            config,
            lambda s: time.sleep(min(s, 0.1)),
            lambda: time.monotonic() > until_s,
        ) as api:
            return api.identity()
    except (StripeUnavailable, StripeRefused, Stopped):
        return None


def _batch(
    config: Config,
    api: "StripeApi",
    threads: ThreadPool[Any],
    worker: "Worker",
    counted: "ServerMetrics",
) -> "EventBatch":
    """What the worker takes its events off the inbox with."""
    from connector.webhooks.apply_events import EventBatch

    worker.guard.identify = api.identity
    return EventBatch(
        ingest=lambda connection: Ingest(
            connection=connection,
            source=api,
            threads=threads,
            config=config,
            now_us=api.stripe_us,
            stopping=worker.stopping,
        ),
        now_us=api.now_us,
        count=counted.count,
        timed=counted.timed,
        spent=since_last(lambda: api.reads.requests),
    )


def _health(
    database: Path, commits: "GroupCommit", worker: "Worker"
) -> "Callable[[], Health]":
    """How the server is, asked for again and again."""
    from connector.webhooks import health

    def hindrances() -> Iterator[str]:
        if not commits.is_alive or not worker.is_alive:
            yield "a thread of the server has died"
        if commits.failure is not None:
            yield f"the last event could not be kept: {commits.failure}"
        if worker.failure is not None:
            yield f"events cannot be applied: {worker.failure}"
        if worker.hindered is not None:
            yield worker.hindered

    def read_health() -> "Health":
        try:
            now_us = time.time_ns() // 1_000
            warnings = worker.guard.warnings
            return health.read_health(database, now_us, hindrances, warnings)
        except (sqlite3.Error, LedgerUnusable) as error:
            return health.unreadable(error)

    return read_health
