"""One account of a server: its threads, and how it is seen from both ports.

An account that cannot begin stands in its place without any, and is tried again.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from connector.cli.connect import connected
from connector.cli.shell import Shell
from connector.config import Config
from connector.core.account import NOBODY, StripeIdentity, check_same
from connector.core.errors import (
    ConfigError,
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
from connector.stripe_api.credentials import stripe_key, webhook_secrets
from connector.webhooks.account_guard import AccountGuard
from connector.webhooks.headlines import HeadlineFigures, headline_figures, remembered

if TYPE_CHECKING:
    from connector.store.inbox import ReceivedEvent
    from connector.stripe_api.client import StripeApi
    from connector.webhooks.apply_events import EventBatch
    from connector.webhooks.endpoint import EndpointSettings
    from connector.webhooks.group_commit import GroupCommit
    from connector.webhooks.health import Health
    from connector.webhooks.prometheus import ServerMetrics
    from connector.webhooks.worker import Worker


AT_ONCE_S = 2.0  # within which Stripe says whose the key is, or it is asked later


class ServedAccount(NamedTuple):
    """One account, as the server's two ports see it; ``end`` begins its ending.

    ``close`` waits for its end. ``waits``: it can begin anew, and may do better then.
    """

    name: str
    receiving: "EndpointSettings"
    look: "Callable[[], Health]"
    figures: "Callable[[], list[HeadlineFigures]]"
    is_alive: Callable[[], bool]
    waits: Callable[[], bool]
    end: Callable[[], None]
    close: Callable[[], None]
    has_begun: bool = True


def opened(shell: Shell, counted: "ServerMetrics", of: int) -> ServedAccount:
    """One account with its threads, one ``of`` so many; close it."""
    from connector.webhooks.endpoint import EndpointSettings
    from connector.webhooks.group_commit import GroupCommit
    from connector.webhooks.worker import Worker

    config = shell.config
    secrets = webhook_secrets(os.environ, config.webhook_secret_file)
    check_folder(config.database)
    with closing(own_ledger(config.database)) as ledger:
        whose = ledger_account(ledger) or NOBODY
    guard = AccountGuard(ledger=whose, key=_identified(config))
    if guard.key is not None:
        check_same(whose, guard.key)
    worker = Worker(
        config.database,
        lambda ledger: configured_rules(ledger, shell.read_config()),
        guard,
    )
    with ExitStack() as own:
        api = own.enter_context(connected(config, worker.sleep, worker.stopping))
        threads = ThreadPool[Any](max(1, config.workers // of))
        own.enter_context(threads)
        commits = GroupCommit(config.database, api.now_us, worker.wake)
        own.enter_context(commits)
        work = _batch(config, api, threads, worker, counted)
        own.enter_context(worker.start(work))
        threaded = own.pop_all()
    figures = remembered(lambda: headline_figures(config, shell.now()))
    named = StripeIdentity(id=api.account_id)
    return ServedAccount(
        name=config.name,
        receiving=EndpointSettings(
            secrets=secrets,
            keep=commits.keep,
            count=partial(counted.count, account=config.name),
            foreign=guard.refusal,
            account=lambda: named.completed(guard.account),
            is_named=config.stripe_account is not None,
        ),
        look=_health(config.database, commits, worker),
        figures=lambda: figures() if worker.hindered is None else [],
        is_alive=lambda: commits.is_alive and worker.is_alive,
        waits=lambda: worker.hindered is not None and _has_other_key(config, api.key),
        end=worker.end,
        close=threaded.close,
    )


def _has_other_key(config: Config, key: str) -> bool:
    """Whether another one was written where it is read from."""
    try:
        return stripe_key(os.environ, config.key_file) != key
    except ConfigError:
        return False


def not_opened(
    account: Config, problem: str, fix: str, counted: "ServerMetrics"
) -> ServedAccount:
    """Its events are answered with 503: Stripe keeps them until it has begun."""
    from connector.webhooks.endpoint import EndpointSettings
    from connector.webhooks.health import Health

    async def refuse(_event: "ReceivedEvent") -> bool:
        raise sqlite3.OperationalError(problem)

    secrets: tuple[str, ...] = ()
    with suppress(ConfigError):
        secrets = webhook_secrets(os.environ, account.webhook_secret_file)
    id_named = (account.stripe_account or "").rpartition("/")[2] or None
    return ServedAccount(
        name=account.name,
        receiving=EndpointSettings(
            secrets=secrets,
            keep=refuse,
            count=partial(counted.count, account=account.name),
            account=lambda: StripeIdentity(id=id_named),
            is_named=account.stripe_account is not None,
        ),
        look=lambda: Health(problems=(f"{problem}: {fix}",)),
        figures=list,
        is_alive=lambda: True,
        waits=lambda: True,
        end=lambda: None,
        close=lambda: None,
        has_begun=False,
    )


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
        count=partial(counted.count, account=config.name),
        timed=partial(counted.timed, account=config.name),
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
            warnings = worker.guard.refused.warnings
            return health.read_health(database, now_us, hindrances, warnings)
        except (sqlite3.Error, LedgerUnusable) as error:
            return health.unreadable(error)

    return read_health
