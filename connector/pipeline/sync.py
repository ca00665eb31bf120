"""One sync: copy the account once, from then on follow its events.

The first run walks every list; later ones read what Stripe's events name. Stopped
anywhere, the next run goes on, and all ways end in the same mirror.
"""

import logging

from connector.core.language import message
from connector.pipeline.held_ledger import check_objects
from connector.pipeline.ingest import Ingest
from connector.pipeline.refresh import follow_events, refresh
from connector.store.account import ledger_account
from connector.store.database import transaction
from connector.store.mirror import event_feed, freshness, objects, unfit_objects, walks
from connector.store.mirror.objects import TABLES
from connector.store.mirror.walks import Walk
from connector.store.schema import MIRRORED
from connector.stripe_api.events import NamedObject
from connector.stripe_api.paging import Partition

log = logging.getLogger(__name__)

# Objects were seen to become visible some time after their creation.
OVERLAP_S = 600
# Events this new are left for the next run: one may still be on its way.
UNSETTLED_S = 10
# Stripe keeps events for 30 days. Whoever comes later could not learn what has changed;
# a day is left for the run itself.
RESUMABLE_US = 29 * 86_400 * 1_000_000
ASKED_AGAIN = 50  # objects that did not fit, in each replay
# In the order of a walk: what others refer to comes first.
STAGES = (
    ("products", "prices", "archived prices", "coupons"),
    ("customers", "subscriptions", "invoices", "invoice items", "events"),
)
# What a walk that was taken up again reads once more; these can be asked by creation.
_EVENTS = ("events", "catalogue events")
_NEWEST = ("prices", "customers", "subscriptions", "invoices", "invoice items")


def sync(ingest: Ingest, *, full: bool = False) -> None:
    """Bring the mirror up to date, the cheapest way that leaves nothing out.

    ``full`` walks everything even where following the events would do. Raises
    ``Stopped``, and whatever Stripe refuses; what was fetched until then is kept.
    """
    if ledger_account(ingest.connection) is None:  # else whoever connected compared it
        check_objects(ingest.connection, ingest.source)
    walk = walks.unfinished_walk(ingest.connection)
    if walk is not None and ingest.now_us() - walk.started_us > RESUMABLE_US:
        log.warning("sync.walk_too_old started_us=%d", walk.started_us)
        with transaction(ingest.connection):
            walks.abandon_walk(ingest.connection, walk)
        walk = None
    read_until_us = event_feed.events_read_until_us(ingest.connection)
    if walk is not None:
        ingest.met.resumed = True
        full_walk(ingest, walk)
    elif full or read_until_us is None:
        full_walk(ingest, _begin(ingest))
    elif ingest.now_us() - read_until_us > RESUMABLE_US:
        log.warning("sync.events_gone read_until_us=%d", read_until_us)
        ingest.met.why = message("the last sync was more than 29 days ago")
        full_walk(ingest, _begin(ingest))
    else:
        replay(ingest, read_until_us)


def _begin(ingest: Ingest) -> Walk:
    with transaction(ingest.connection):
        return walks.begin_walk(ingest.connection, ingest.now_us())


def full_walk(ingest: Ingest, walk: Walk) -> None:
    """Read every list to its end, then what has changed since the walk began."""
    connection = ingest.connection
    since_s = walk.started_us // 1_000_000 - OVERLAP_S
    for stage in STAGES:
        ingest.read(_ranges(ingest, walk, stage), walk)
    if ingest.met.resumed:
        # What was created after the walk began may stand before its cursors.
        ingest.read([Partition(kind, from_s=since_s) for kind in _NEWEST])
    read_until_us = ingest.read([Partition(kind, from_s=since_s) for kind in _EVENTS])
    follow_events(ingest, since_s)
    # The list leaves out who was deleted; what told of it is older than these events.
    unseen = freshness.unseen_customers(connection, since_s * 1_000_000)
    ingest.fetch(NamedObject("customers", each) for each in unseen)
    with transaction(connection):
        objects.drop_unseen_pending(connection, since_s * 1_000_000)
        unfit_objects.forget_unseen(connection, since_s * 1_000_000, MIRRORED)
        walks.finish_walk(connection, walk, ingest.now_us())
        event_feed.events_were_read(connection, read_until_us - UNSETTLED_S * 1_000_000)


def _ranges(ingest: Ingest, walk: Walk, stage: tuple[str, ...]) -> list[Partition]:
    """What these kinds are cut into; those not begun yet begin whole."""
    known = [walks.ranges(ingest.connection, walk, kind) for kind in stage]
    pairs = zip(stage, known, strict=True)
    return [each for kind, found in pairs for each in found or [Partition(kind)]]


def replay(ingest: Ingest, read_until_us: int) -> None:
    """Read the events since the last run, and fetch what they name."""
    ingest.met.mode = "events"
    since_s = read_until_us // 1_000_000 - OVERLAP_S
    until_us = ingest.now_us() - UNSETTLED_S * 1_000_000
    to_s = until_us // 1_000_000
    ingest.read([Partition(kind, since_s, to_s) for kind in _EVENTS])
    follow_events(ingest, since_s)
    refresh(ingest, _set_aside(ingest))
    with transaction(ingest.connection):
        event_feed.events_were_read(ingest.connection, max(until_us, read_until_us))


def _set_aside(ingest: Ingest) -> list[NamedObject]:
    """What did not fit when it was last seen: Stripe need not tell that it does now."""
    kinds = {table: kind for kind, table in reversed([*TABLES.items()])}
    again = unfit_objects.to_ask_again(ingest.connection, ASKED_AGAIN)
    return [NamedObject(kinds[table], key) for table, key in again]
