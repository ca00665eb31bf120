"""`stripe-nrr sync`: Stripe's history into the ledger, once or again and again."""

import logging
import random
import sqlite3
from functools import partial

import click
import msgspec

from connector.cli.accounts import stopped_by_signals
from connector.cli.connect import connected
from connector.cli.forms import emit
from connector.cli.options import format_option
from connector.cli.params import DURATION
from connector.cli.progress import progress_shown
from connector.cli.shell import Shell
from connector.cli.stderr import fail, note
from connector.core.errors import ConnectorError, NoTimeZone, Stopped, Underivable
from connector.core.language import _, grouped, point
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
@format_option
@click.option("-q", "--quiet", is_flag=True, help="No progress, only the summary.")
@click.pass_context
def sync(
    ctx: click.Context, every_s: float | None, form: str, *, full: bool, quiet: bool
) -> None:
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
    shell: Shell = ctx.obj
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
            done = _run(job, form, full=full)
            ctx.exit(0 if done.is_all_there else 3)
        failures = 0
        while not stop.is_set():
            is_well = _survives(job, form, full=full)
            failures = 0 if is_well else failures + 1
            full = full and failures > 0
            stop.wait(pause_s(every_s, failures, random.random()))  # noqa: S311


def _run(job: SyncJob, form: str, *, full: bool) -> SyncSummary:
    """One sync: what it did is printed, then who was left behind raised."""
    done = job.run(full=full)
    emit(form, text=lambda: summary_text(done), json=lambda: msgspec.to_builtins(done))
    left = underivable(done.failed)
    if left is not None:
        raise left
    return done


def _survives(job: SyncJob, form: str, *, full: bool) -> bool:
    """Sync; say what failed, and whether nothing did."""
    try:
        _run(job, form, full=full)
    except Stopped:
        return True
    except NoTimeZone:
        raise  # which only the file that was read at the start could tell
    except Underivable as error:
        fail(error.problem, error.fix, again=True)
        return True  # for all others: nobody waits for a longer pause
    except ConnectorError as error:
        fail(error.problem, error.fix, again=True)
    except (sqlite3.Error, OSError) as error:
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
    seen = ", ".join(
        format_count(number, kind.removesuffix("s"))
        for kind, number in done.seen.items()
        if number
    )
    posted = format_count(done.movements, "movement")
    moved = _("{posted} posted, {retractions} retracted").format(
        posted=posted, retractions=grouped(done.retractions)
    )
    cost = _(
        "{requests} ({retries} tried again, {limited} refused as too fast) in "
        "{seconds} s"
    ).format(
        requests=format_count(done.requests, "request"),
        retries=grouped(done.retries),
        limited=grouped(done.limited),
        seconds=str(done.seconds).replace(".", point()),
    )
    month = _("{number} of the {granted} or more that Stripe grants").format(
        number=grouped(done.requests_in_30_days), granted=grouped(GRANTED)
    )
    lines = [
        _("Seen: {what}.").format(what=seen or _("nothing new")),
        _("Ledger: {customers} changed, {moved}.").format(
            customers=format_count(done.customers, "customer"), moved=moved
        ),
        _("Cost: {cost}; in 30 days {month}.").format(cost=cost, month=month),
    ]
    if done.zone_taken:
        lines.append(
            _(
                "Days are those of {zone_taken}, the account's own time zone, and the "
                "ledger keeps to it; `timezone` in config.toml can name another."
            ).format(zone_taken=done.zone_taken)
        )
    if done.resumed:
        lines.insert(0, _("Went on where the last sync had stopped."))
    if done.why:
        lines.insert(
            0, _("Everything was read again: {why}.").format(why=spoken(done.why))
        )
    if unreadable := done.unreadable_events:
        lines.append(
            _("Could not read {unreadable}:").format(
                unreadable=format_count(len(unreadable), "event")
            )
        )
        lines += [
            f"  {it}: {spoken(done.unreadable.get(it, ''))}" for it in unreadable[:5]
        ]
    if done.refused:
        lines.append(
            _(
                "Not valued: missing from every figure, or there as before ({refused}):"
            ).format(refused=len(done.refused))
        )
        lines += [
            printable(f"  {spoken(refusal.sentence)}") for refusal in done.refused
        ]
    if done.failed:
        lines += failed_lines(done.failed)
    return "\n".join(lines)
