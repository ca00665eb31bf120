"""`stripe-nrr sync`: Stripe's history into the ledger, once or again and again."""

import logging
import random
import sqlite3
from collections.abc import Iterator
from functools import partial

import click
import msgspec

from connector.cli.accounts import stopped_by_signals
from connector.cli.connect import connected
from connector.cli.forms import FINDINGS, Output
from connector.cli.options import output_option
from connector.cli.params import DURATION
from connector.cli.progress import progress_shown
from connector.cli.stderr import fail, note
from connector.core.errors import (
    ConnectorError,
    NoTimeZone,
    Stopped,
    Underivable,
    system_fault,
)
from connector.core.language import _, decimal_text, grouped
from connector.core.messages import spoken
from connector.core.money import format_count
from connector.core.text import printable
from connector.pipeline.job import SyncJob, pause_s
from connector.pipeline.quarantine import failed_lines, underivable
from connector.pipeline.status import SyncSummary

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
    type=DURATION,
    metavar="DURATION",
    help="Stay, and sync again and again, for example every 15m. SIGTERM ends it.",
)
@output_option
@click.option("-q", "--quiet", is_flag=True, help="No progress, only the summary.")
def sync(out: Output, every_s: float | None, *, full: bool, quiet: bool) -> None:
    """Copy the Stripe account's history and bring the ledger up to date.

    The first run reads customers, prices, coupons, subscriptions, invoices, pending
    invoice items and the last 30 days' events, 100 a request, and never writes to
    Stripe. Later runs read the events since then and fetch what they name; with --full,
    or after more than 29 days, everything is read again. Stopped at any point, the next
    run goes on from there. Needs STRIPE_API_KEY (or STRIPE_API_KEY_FILE): a restricted
    key with read permissions is enough; `stripe-nrr doctor` checks it.

    What cannot be valued is named in the summary and left out of the figures. An object
    that does not fit (an unknown status, a field that is null or of another type) is
    named and set aside; its customer stays as it was, or is left out where it is new,
    until Stripe shows the object well-formed. All others are brought up to date, and the
    exit code is 3. A customer whose history breaks the derivation is named and stays as
    it was; the exit code is 1. Exit 75: another sync holds the ledger, or this one was
    asked to stop.
    """
    shell = out.shell
    shell.log_to_stderr()
    stop = shell.stop
    with (
        stopped_by_signals(stop),
        connected(shell.config, stop.wait, stop.is_set) as api,
    ):
        job = SyncJob(
            config=shell.config,
            api=api,
            stopping=stop.is_set,
            now=shell.now,
            progress=partial(progress_shown, quiet=quiet),
            announce=note,
        )
        if every_s is None:
            done = _run(job, out, full=full)
            raise click.exceptions.Exit(0 if done.is_all_there else FINDINGS)
        failures = 0
        while not stop.is_set():
            is_well = _survives(job, out, full=full)
            failures = 0 if is_well else failures + 1
            full = full and failures > 0
            stop.wait(pause_s(every_s, failures, random.random()))  # noqa: S311


def _run(job: SyncJob, out: Output, *, full: bool) -> SyncSummary:
    """One sync: what it did is printed, then who was left behind raised."""
    done = job.run(full=full)
    out.write(text=lambda: summary_text(done), json=lambda: msgspec.to_builtins(done))
    if (error := underivable(done.failed)) is not None:
        raise error
    return done


def _survives(job: SyncJob, out: Output, *, full: bool) -> bool:
    """Sync; say what failed, and whether nothing did."""
    try:
        _run(job, out, full=full)
    except Stopped:
        return True
    except NoTimeZone:
        raise  # which only the file that was read at the start could tell
    except Underivable as error:
        fail(error.problem, error.fix, again=True)
        return True  # for all others: nobody waits for a longer pause
    except ConnectorError as error:
        fail(error.problem, error.fix, again=True)
    except OSError as error:
        fail(*system_fault(error), again=True)
    except sqlite3.Error as error:
        fail(str(error), "check the disk and the ledger's file", again=True)
    except Exception as error:
        log.exception("sync.unforeseen")
        said = f"{type(error).__name__}: {error}"
        fail(said, "report this with the lines above; sync goes on", again=True)
    else:
        return True
    return False


def summary_text(done: SyncSummary) -> str:
    """What a sync did, in a few lines."""
    return "\n".join([*_why_so(done), *_what_was_done(done), *_what_is_missing(done)])


def _why_so(done: SyncSummary) -> Iterator[str]:
    if done.why:
        yield _("Everything was read again: {why}.").format(why=spoken(done.why))
    if done.resumed:
        yield _("Went on where the last sync had stopped.")


def _what_was_done(done: SyncSummary) -> Iterator[str]:
    seen = ", ".join(
        format_count(number, kind.removesuffix("s"))
        for kind, number in done.seen.items()
        if number
    )
    yield _("Seen: {what}.").format(what=seen or _("nothing new"))
    moved = _("{posted} posted, {retractions} retracted").format(
        posted=format_count(done.movements, "movement"),
        retractions=grouped(done.retractions),
    )
    yield _("Ledger: {customers} changed, {moved}.").format(
        customers=format_count(done.customers, "customer"), moved=moved
    )
    cost = _(
        "{requests} ({retries} tried again, {limited} refused as too fast) in "
        "{seconds} s"
    ).format(
        requests=format_count(done.requests, "request"),
        retries=grouped(done.retries),
        limited=grouped(done.limited),
        seconds=decimal_text(str(done.seconds)),
    )
    month = _("{number} of the {granted} or more that Stripe grants").format(
        number=grouped(done.requests_in_30_days), granted=grouped(GRANTED)
    )
    yield _("Cost: {cost}; in 30 days {month}.").format(cost=cost, month=month)
    if done.zone_taken:
        yield _(
            "Days are those of {zone_taken}, the account's own time zone, and the "
            "ledger keeps to it; `timezone` in config.toml can name another."
        ).format(zone_taken=done.zone_taken)


def _what_is_missing(done: SyncSummary) -> Iterator[str]:
    if unreadable := done.unreadable_events:
        yield _("Could not read {unreadable}:").format(
            unreadable=format_count(len(unreadable), "event")
        )
        for event in unreadable[:5]:
            yield f"  {event}: {spoken(done.unreadable.get(event, ''))}"
    if done.refused:
        yield _(
            "Not valued: missing from every figure, or there as before ({refused}):"
        ).format(refused=len(done.refused))
        for refusal in done.refused:
            yield printable(f"  {spoken(refusal.sentence)}")
    yield from failed_lines(done.failed)
