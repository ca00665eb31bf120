"""What stands in the way of figures that can be relied on, one by one."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from connector.core.language import _, moment_text, ngettext
from connector.core.messages import spoken
from connector.pipeline.status import read_status
from connector.render.report.missing import STALE, what_is_missing
from connector.reports.ledger import Ledger
from connector.store import inbox

MISSING = "missing "  # begins the key of what all figures lack


class Trouble(NamedTuple):
    """``key`` tells it from others, and is another one once it has begun anew."""

    key: str
    sentence: str


def troubles(ledger: Ledger) -> Iterator[Trouble]:
    """Each account's, with its name before them where there are several."""
    for part in ledger.parts:
        name = part.ledger.config.name
        for each in _of_one(part.ledger, ledger.moment):
            if ledger.is_of_several:
                yield Trouble(f"{each.key} {name}", f"{name}: {each.sentence}")
            else:
                yield each


def _of_one(ledger: Ledger, now: datetime) -> Iterator[Trouble]:
    """The sync's, then what figures lack, then events that have failed for good."""
    synced_at = ledger.state().synced_at
    if synced_at is not None and now - synced_at > STALE:
        days = (now - synced_at).days
        yield Trouble(
            f"stale {synced_at:%Y-%m-%dT%H:%M}",
            _(
                "The last sync was {days} days ago, on {moment}. Run `stripe-nrr sync`."
            ).format(days=days, moment=moment_text(synced_at)),
        )
    yield from _failed_job(ledger)
    missing = ledger.missing()
    for name, of_kind in missing._asdict().items():
        if of_kind and not name.startswith("refused"):  # these are told by name
            only = type(missing)(**{name: of_kind})
            yield Trouble(f"{MISSING}{name}", what_is_missing(only)[0])
    for event in inbox.troubled(ledger.connection):
        if event.state == "dead":
            yield Trouble(
                f"event {event.event} {event.received_us}",
                _(
                    "The event {event} ({kind}) failed {tries} times: {error}. See "
                    "`stripe-nrr inbox`."
                ).format(
                    event=event.event,
                    kind=event.type,
                    tries=event.tries,
                    error=spoken(event.error or ""),
                ),
            )


def _failed_job(ledger: Ledger) -> Iterator[Trouble]:
    """As the status file has it, where one is configured."""
    path = ledger.config.status_file
    status = None if path is None else read_status(path)
    if status is not None and status.failures:
        yield Trouble(
            f"failed {status.error}",
            ngettext(
                "The last sync failed: {error}",
                "The last {number} syncs failed: {error}",
                status.failures,
            ).format(number=status.failures, error=spoken(status.error or "")),
        )
