"""`stripe-nrr sync`: Stripe's history into the ledger, once or again and again."""

import logging
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from connector import copies, horizon, refusals
from connector.cli import Shell, rules_of
from connector.cli_ledger import connected, held_ledger, keeping_of
from connector.cli_output import DurationParam, format_option, progress_shown, write
from connector.crew import Crew
from connector.database import transaction
from connector.errors import ConnectorError, Stopped, Underivable
from connector.intake import Intake, Progress
from connector.poison import failed_lines, underivable
from connector.schedule import pause_s
from connector.status import Status, Summary, as_json, read_status, write_status
from connector.upkeep import bring_up_to_date

if TYPE_CHECKING:
    from connector.stripe_api import StripeApi

log = logging.getLogger(__name__)

GRANTED = 10_000  # reads in 30 days that everybody has; more come with each sale


@click.command()
@click.option(
    "--full",
    is_flag=True,
    help="Read every list again, not only the events; an unfinished reading goes on.",
)
@click.option(
    "--every",
    "every_s",
    type=DurationParam(),
    metavar="DURATION",
    help="Stay, and sync again and again, for example every 15m. SIGTERM ends it.",
)
@format_option
@click.option("-q", "--quiet", is_flag=True, help="No progress, only the summary.")
@click.pass_obj
def sync(
    shell: Shell, every_s: float | None, form: str, *, full: bool, quiet: bool
) -> None:
    """Copy the Stripe account's history and bring the ledger up to date.

    The first run reads customers, prices, coupons, subscriptions, invoices, pending
    invoice items and the last 30 days' events, 100 a request, and never writes to
    Stripe. Later runs read the events since then and fetch what they name; with --full,
    or after more than 29 days, everything is read again. Stopped at any point, the next
    run goes on from there. Needs STRIPE_API_KEY (or STRIPE_API_KEY_FILE): a restricted
    key with read permissions is enough; `stripe-nrr doctor` checks it.

    What cannot be valued is named in the summary and left out of the figures. A customer
    whose history breaks the derivation is named and stays as it was; all others are
    brought up to date, and the exit code is 1. Exit 75: another sync holds the ledger, or
    this one was asked to stop.
    """
    shell.log_to_stderr()
    stop = threading.Event()
    with (
        _stopped_by_signals(stop),
        connected(shell.config, stop.wait, stop.is_set) as api,
    ):
        job = _Job(shell, api, stop, form=form, quiet=quiet)
        if every_s is None:
            job.run(full=full)
            return
        failures = 0
        while not stop.is_set():
            failures = 0 if job.survives(full=full) else failures + 1
            full = full and failures > 0
            stop.wait(pause_s(every_s, failures, random.random()))  # noqa: S311


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C ask to stop; a second Ctrl-C does not ask."""

    def ask(number: int, _frame: Any) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    before = {it: signal.signal(it, ask) for it in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


class _Job:
    """One sync after the other, over one connection to Stripe."""

    def __init__(
        self,
        shell: Shell,
        api: "StripeApi",
        stop: threading.Event,
        *,
        form: str,
        quiet: bool,
    ) -> None:
        self.shell, self.config = shell, shell.config
        self.api, self.stop = api, stop
        self.form, self.quiet = form, quiet

    def survives(self, *, full: bool) -> bool:
        """Sync; say what failed, and whether nothing did."""
        try:
            self.run(full=full)
        except Stopped:
            return True
        except Underivable as error:
            self._failed(error.problem, error.fix)
            return True  # for all others: nobody waits for a longer pause
        except ConnectorError as error:
            return self._failed(error.problem, error.fix)
        except (sqlite3.Error, OSError) as error:
            return self._failed(str(error), "check the disk and the ledger's file")
        except Exception as error:
            log.exception("sync.unforeseen")
            said = f"{type(error).__name__}: {error}"
            return self._failed(said, "report this with the lines above; sync goes on")
        return True

    def _failed(self, problem: str, fix: str) -> bool:
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        click.echo(f"{at} error: {problem}\n  fix: {fix}", err=True)
        return False

    def run(self, *, full: bool) -> None:
        """One sync: what it did is printed, and left for monitoring either way."""
        began_at = self.shell.now()
        try:
            done = self._synced(began_at, full=full)
        except Stopped:
            raise
        except Exception as error:
            said = str(error)
            self._leave(lambda was, now: was.failed(began_at, now, said))
            raise
        left = underivable(done.failed)
        if left is None:
            self._leave(lambda was, now: was.succeeded(began_at, now, done))
        else:
            said = left.problem
            self._leave(lambda was, now: was.left_behind(began_at, now, done, said))
        write(summary_text(done) if self.form == "text" else as_json(done).decode())
        if left is not None:
            raise left

    def _leave(self, change: Callable[[Status, datetime], Status]) -> None:
        """Bring the status file up to date, if there is to be one."""
        path = self.config.status_file
        if path is not None:
            write_status(path, change(read_status(path), self.shell.now()))

    def _synced(self, began_at: datetime, *, full: bool) -> Summary:
        if not self.config.database.exists():
            self.api.probe()  # a wrong key leaves no ledger behind
        with (
            held_ledger(self.config) as connection,
            progress_shown(quiet=self.quiet) as progress,
            Crew[Any](self.config.workers) as crew,
        ):
            return self._summed_up(connection, crew, progress, began_at, full=full)

    def _summed_up(
        self,
        connection: sqlite3.Connection,
        crew: Crew[Any],
        progress: Progress,
        began_at: datetime,
        *,
        full: bool,
    ) -> Summary:
        began_s, before = time.monotonic(), replace(self.api.reads)
        if self.api.skew_us is None and copies.sold_price(connection) is None:
            self.api.probe()  # else the first moments kept would be by our clock
        intake = Intake(
            connection=connection,
            source=self.api,
            crew=crew,
            keeping=keeping_of(self.config),
            now_us=self.api.stripe_us,
            progress=progress,
            stopping=self.stop.is_set,
        )
        try:
            derived = bring_up_to_date(
                intake,
                rules_of(self.config),
                full=full,
                announce=partial(click.echo, err=True),
            )
        finally:
            spent = self.api.reads.since(before)
            day = began_at.date()
            if intake.met.seen:  # else the key was refused, and nothing was read
                with transaction(connection):
                    horizon.count_reads(connection, day, spent.requests)
        return Summary(
            mode=intake.met.mode,
            why=intake.met.why,
            resumed=intake.met.resumed,
            seen=intake.met.seen,
            changed=intake.met.changed,
            unreadable_events=intake.met.unreadable,
            customers=derived.customers,
            movements=derived.movements,
            retractions=derived.retractions,
            refused=refusals.known(connection),
            requests=spent.requests,
            retries=spent.retries,
            limited=spent.limited,
            requests_in_30_days=horizon.reads_since(
                connection, day - timedelta(days=29)
            ),
            known_until=_moment(horizon.last_synced_us(connection)),
            seconds=round(time.monotonic() - began_s, 1),
            failed=dict(derived.failed),
        )


def _moment(moment_us: int | None) -> datetime | None:
    if moment_us is None:
        return None
    return datetime.fromtimestamp(moment_us // 1_000_000, tz=UTC)


def summary_text(done: Summary) -> str:
    """What a sync did, in a few lines."""
    seen = ", ".join(f"{n:,} {kind}" for kind, n in done.seen.items() if n)
    moved = f"{done.movements:,} movements posted, {done.retractions:,} retracted"
    cost = (
        f"{done.requests:,} requests ({done.retries:,} tried again, {done.limited:,} "
        f"refused as too fast) in {done.seconds:,} s"
    )
    month = (
        f"{done.requests_in_30_days:,} of the {GRANTED:,} or more that Stripe grants"
    )
    lines = [
        f"Seen: {seen or 'nothing new'}.",
        f"Ledger: {done.customers:,} customers changed, {moved}.",
        f"Cost: {cost}; in 30 days {month}.",
    ]
    if done.resumed:
        lines.insert(0, "Went on where the last sync had stopped.")
    if done.why:
        lines.insert(0, f"Everything was read again: {done.why}.")
    if unreadable := done.unreadable_events:
        names = ", ".join(unreadable[:5])
        lines.append(
            f"Could not read {len(unreadable)} events of another API version: {names}."
        )
    if done.refused:
        lines.append(
            f"Not valued, and missing from every figure ({len(done.refused)}):"
        )
        lines += [
            f"  {r.object_id} of {r.customer}: {r.field} is {r.value}"
            for r in done.refused
        ]
    if done.failed:
        lines += failed_lines(done.failed)
    return "\n".join(lines)
