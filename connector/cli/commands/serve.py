"""`stripe-nrr serve`: webhooks in, the ledger live."""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from connector.cli.account_lines import AccountLines, telling_of
from connector.cli.connect import connected
from connector.cli.shell import Shell
from connector.cli.stderr import fail, note
from connector.config import Config
from connector.core.account import NOBODY, StripeIdentity, check_same
from connector.core.errors import (
    ConfigError,
    ConnectorError,
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
from connector.webhooks.account_guard import AccountGuard, RefusedEvents
from connector.webhooks.headlines import (
    HeadlineFigures,
    headline_figures,
    remembered,
)

if TYPE_CHECKING:
    from connector.dashboard.access import Access
    from connector.store.inbox import ReceivedEvent
    from connector.stripe_api.client import StripeApi
    from connector.webhooks.apply_events import EventBatch
    from connector.webhooks.endpoint import EndpointSettings
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

    Of several accounts one server takes all: an event goes to the account that it names,
    or whose secret signed it, and what keeps one account keeps no other. Each has its
    inbox; /readyz, /metrics and the log say whose each line is.
    """
    from connector.webhooks import admin_access, prometheus, server

    shell.log_to_stderr()
    config = shell.shared
    counted = prometheus.ServerMetrics(several=len(shell.accounts) > 1)
    token = admin_access.admin_token(config.admin_token_file, config.admin_bind)
    with ExitStack() as stack:
        ports = _Ports(
            stack.enter_context(server.listen(*config.bind)),
            stack.enter_context(server.listen(*config.admin_bind)),
            token,
        )
        served = _each_opened(stack, shell, counted)
        was_asked = _run(stack, shell, served, counted, ports)
        for each in served:
            each.end()  # all at once: who leaves waits for each no longer than for one
    if not was_asked:
        sys.exit(1)


class _Ports(NamedTuple):
    """The internet's and the operator's, and the token that opens the latter."""

    public: socket
    private: socket
    token: str | None


class ServedAccount(NamedTuple):
    """One account, as the server's two ports see it; ``end`` begins its ending."""

    name: str
    receiving: "EndpointSettings"
    look: "Callable[[], Health]"
    figures: "Callable[[], list[HeadlineFigures]]"
    is_alive: Callable[[], bool]
    end: Callable[[], None]


def _each_opened(
    stack: ExitStack, shell: Shell, counted: "ServerMetrics"
) -> list[ServedAccount]:
    """All accounts. What keeps one of several keeps no other: it is told, and waits."""
    if len(shell.accounts) == 1:
        return [_opened(stack, shell.of(shell.accounts[0]), counted, 1)]
    served, faults = [], []
    for account in shell.accounts:
        with telling_of(AccountLines(account.name, at_once=True)):
            try:
                own = shell.of(account)
                served.append(_opened(stack, own, counted, len(shell.accounts)))
            except ConnectorError as error:
                fail(error.problem, error.fix)
                faults.append(error)
                served.append(_not_opened(account, error, counted))
    if len(faults) == len(served):
        raise faults[0]
    return served


def _opened(
    stack: ExitStack, shell: Shell, counted: "ServerMetrics", of: int
) -> ServedAccount:
    """One account with its threads, which all end with the stack; one ``of`` so many."""
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
        stack.enter_context(own.pop_all())
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
        end=worker.end,
    )


def _not_opened(
    account: Config, error: ConnectorError, counted: "ServerMetrics"
) -> ServedAccount:
    """Its events are answered with 503: Stripe keeps them until this is restarted."""
    from connector.webhooks.endpoint import EndpointSettings
    from connector.webhooks.health import Health

    async def refuse(_event: "ReceivedEvent") -> bool:
        raise sqlite3.OperationalError(error.problem)

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
        look=lambda: Health(problems=(f"{error.problem}: {error.fix}",)),
        figures=list,
        is_alive=lambda: True,
        end=lambda: None,
    )


def _run(
    stack: ExitStack,
    shell: Shell,
    served: Sequence[ServedAccount],
    counted: "ServerMetrics",
    ports: _Ports,
) -> bool:
    """Answer on both ports until asked to end (True), or until a thread has died."""
    from connector.dashboard.access import Access
    from connector.webhooks import admin_access, endpoint, health, prometheus, server

    config, strays = shell.shared, RefusedEvents()
    public, private, token = ports
    access = Access(config.admin_bind, token)

    def is_alive() -> bool:
        return all(each.is_alive() for each in served)

    def exposition(found: "Mapping[str, Health]") -> bytes:
        text = b""
        for each in served:
            if each.name in found:
                its = found[each.name]
                text = counted.exposition(its, each.figures(), each.name)
        return text

    admin = health.admin_app(
        is_alive=is_alive,
        look=lambda: {each.name: each.look() for each in served},
        exposition=exposition,
        content_type=prometheus.CONTENT_TYPE,
        strays=strays.warnings,
    )
    inner: Any = admin_access.guarded(admin, config.admin_bind, token)
    if len(served) == 1:
        inner = _beside_dashboard(stack, shell, access, inner)
    nobodys = endpoint.Unsigned(
        count=counted.count,
        stray=lambda event, origin: strays.tell(event, _of_nobody(origin, served)),
    )
    receiving = [each.receiving for each in served]
    outer: Any = endpoint.endpoint_app(*receiving, unsigned=nobodys)
    listening = [(outer, public), (inner, private)]

    def ready() -> None:
        at, admin_at = public.getsockname(), private.getsockname()
        note(f"webhooks: http://{at[0]}:{at[1]}{endpoint.PATH}")
        inside = f"http://{admin_at[0]}:{admin_at[1]}"
        note(f"admin:    {inside}/readyz")
        if len(served) == 1:
            entry = f"/enter/{access.entry_code}" if access.needs_token else "/"
            note(f"look at:  {inside}{entry}")

    sys.setswitchinterval(SWITCH_S)
    return asyncio.run(server.run(listening, is_alive=is_alive, ready=ready))


def _of_nobody(origin: StripeIdentity, served: Sequence[ServedAccount]) -> str:
    known = ", ".join(f"{it.name} ({it.receiving.account().id})" for it in served)
    whose = (
        f"of {origin.id}" if origin.id else "of a shared secret, and names no account"
    )
    return f"the accounts here are {known}, and the event is {whose}"


def _beside_dashboard(
    stack: ExitStack, shell: Shell, access: "Access", admin: Any
) -> Any:
    from connector.dashboard.app import beside, dashboard_app
    from connector.dashboard.ledger_reader import LedgerReader
    from connector.webhooks import health

    reader = stack.enter_context(closing(LedgerReader(shell.config, shell.now)))
    return beside(dashboard_app(reader, access), admin, health.PATHS)


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
