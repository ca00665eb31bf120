"""`stripe-nrr serve`: webhooks in, the ledger live."""

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from connector.cli import Shell, rules_of
from connector.cli_figures import Asked, make_report
from connector.cli_ledger import check_folder, connected, keeping_of, own_ledger
from connector.config import webhook_secrets
from connector.crew import Crew
from connector.database import open_database
from connector.errors import ConnectorError, LedgerUnusable
from connector.intake import Intake
from connector.model import WindowKind
from connector.report import Report

if TYPE_CHECKING:
    from connector import admin
    from connector.group_commit import GroupCommit
    from connector.prometheus import Figure, Metrics
    from connector.pulse import Pulse
    from connector.worker import Worker

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
    from connector import admin, prometheus, server, webhook
    from connector.arrivals import Work
    from connector.group_commit import GroupCommit
    from connector.worker import Worker

    shell.log_to_stderr()
    config = shell.config
    secrets = webhook_secrets(os.environ)
    check_folder(config.database)
    own_ledger(config.database).close()
    counted = prometheus.Metrics()
    worker = Worker(config.database, lambda: rules_of(shell.read_config()))
    with (
        server.listen(*config.bind) as public,
        server.listen(*config.admin_bind) as private,
        connected(config, worker.sleep, worker.stopping) as api,
        Crew[Any](config.workers) as crew,
        GroupCommit(config.database, api.now_us, worker.wake) as commits,
        worker.start(
            Work(
                intake=lambda connection: Intake(
                    connection=connection,
                    source=api,
                    crew=crew,
                    keeping=keeping_of(config),
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
        door = webhook.Door(secrets=secrets, keep=commits.keep, count=counted.count)
        desk = _desk(shell, counted, commits, worker)
        listening = [
            server.Listening(webhook.app(door), public),
            server.Listening(admin.app(desk), private),
        ]

        def ready() -> None:
            at, admin_at = public.getsockname(), private.getsockname()
            click.echo(f"webhooks: http://{at[0]}:{at[1]}{webhook.PATH}", err=True)
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
    shell: Shell, counted: "Metrics", commits: "GroupCommit", worker: "Worker"
) -> "admin.Desk":
    from connector import admin, prometheus, pulse

    database = shell.config.database
    figures = _remembered(lambda: _figures(shell))

    def hindrances() -> Iterator[str]:
        if not commits.is_alive or not worker.is_alive:
            yield "a thread of the server has died"
        if commits.failure is not None:
            yield f"the last event could not be kept: {commits.failure}"
        if worker.hindered is not None:
            yield worker.hindered

    def feel() -> "Pulse":
        try:
            return pulse.feel(database, time.time_ns() // 1_000, hindrances)
        except (sqlite3.Error, LedgerUnusable) as error:
            return pulse.unreadable(error)

    return admin.Desk(
        is_alive=lambda: commits.is_alive and worker.is_alive,
        pulse=feel,
        exposition=lambda pulse: counted.exposition(
            pulse, figures() if worker.hindered is None else []
        ),
        content_type=prometheus.CONTENT_TYPE,
    )


def _figures(shell: Shell) -> list["Figure"]:
    with closing(open_database(shell.config.database)) as connection:
        asked = Asked(kind=WindowKind.TRAILING_12)
        each = replace(shell.config, reporting_currency=None)  # no rates needed
        return headlines(make_report(connection, each, shell.now(), asked))


def headlines(report: Report) -> list["Figure"]:
    """The last window of each currency, as `report` shows it."""
    from connector.prometheus import Figure

    last = [(part.currency, part.lines[-1].measured) for part in report.currencies]
    return [
        Figure(
            currency=currency,
            mrr_minor=measured.waterfall.closing_minor,
            nrr=measured.retention.nrr,
            grr=measured.retention.grr,
        )
        for currency, measured in last
    ]


def _remembered(
    ask: Callable[[], list["Figure"]],
) -> Callable[[], list["Figure"]]:
    """The same answer for some seconds; longer where it takes long to give."""
    lock = Lock()
    answer: list[Figure] = []
    until_s = 0.0

    def remembered() -> list["Figure"]:
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
