"""The worker: copy the account once, from then on follow its events.

The first run walks every list; later ones read what Stripe's events name. Stopped
anywhere, the next run goes on, and all ways end in the same mirror.
"""

import logging

from connector import copies, horizon, mirror, walks
from connector.database import transaction
from connector.errors import LedgerUnusable
from connector.intake import Intake
from connector.listings import Named
from connector.ranges import Range
from connector.refresh import follow_events
from connector.walks import Walk

log = logging.getLogger(__name__)

# Objects were seen to become visible some time after their creation.
OVERLAP_S = 600
# Events this new are left for the next run: one may still be on its way.
UNSETTLED_S = 10
# Stripe keeps events for 30 days. Whoever comes later could not learn what has changed;
# a day is left for the run itself.
RESUMABLE_US = 29 * 86_400 * 1_000_000
# In the order of a walk: what others refer to comes first.
STAGES = (
    ("products", "prices", "archived prices", "coupons"),
    ("customers", "subscriptions", "invoices", "invoice items", "events"),
)
# What a walk that was taken up again reads once more; these can be asked by creation.
_EVENTS = ("events", "catalogue events")
_NEWEST = ("prices", "customers", "subscriptions", "invoices", "invoice items")


def sync(intake: Intake, *, full: bool = False) -> None:
    """Bring the mirror up to date, the cheapest way that leaves nothing out.

    ``full`` walks everything even where following the events would do. Raises
    ``Stopped``, and whatever Stripe refuses; what was fetched until then is kept.
    """
    _same_account(intake)
    walk = walks.unfinished_walk(intake.connection)
    if walk is not None and intake.now_us() - walk.started_us > RESUMABLE_US:
        log.warning("sync.walk_too_old started_us=%d", walk.started_us)
        with transaction(intake.connection):
            walks.abandon_walk(intake.connection, walk)
        walk = None
    read_until_us = horizon.events_read_until_us(intake.connection)
    if walk is not None:
        intake.met.resumed = True
        full_walk(intake, walk)
    elif full or read_until_us is None:
        full_walk(intake, _begin(intake))
    elif intake.now_us() - read_until_us > RESUMABLE_US:
        log.warning("sync.events_gone read_until_us=%d", read_until_us)
        intake.met.why = "the last sync was more than 29 days ago"
        full_walk(intake, _begin(intake))
    else:
        replay(intake, read_until_us)


def _begin(intake: Intake) -> Walk:
    with transaction(intake.connection):
        return walks.begin_walk(intake.connection, intake.now_us())


def full_walk(intake: Intake, walk: Walk) -> None:
    """Read every list to its end, then what has changed since the walk began."""
    connection = intake.connection
    since_s = walk.started_us // 1_000_000 - OVERLAP_S
    for stage in STAGES:
        intake.read(_ranges(intake, walk, stage), walk)
    if intake.met.resumed:
        # What was created after the walk began may stand before its cursors.
        intake.read([Range(kind, from_s=since_s) for kind in _NEWEST])
    read_until_us = intake.read([Range(kind, from_s=since_s) for kind in _EVENTS])
    follow_events(intake, since_s)
    # The list leaves out who was deleted; what told of it is older than these events.
    unseen = copies.unseen_customers(connection, since_s * 1_000_000)
    intake.fetch(Named("customers", each) for each in unseen)
    with transaction(connection):
        mirror.drop_unseen(connection, "invoice_items", since_s * 1_000_000)
        walks.finish_walk(connection, walk, intake.now_us())
        horizon.events_were_read(connection, read_until_us - UNSETTLED_S * 1_000_000)


def _ranges(intake: Intake, walk: Walk, stage: tuple[str, ...]) -> list[Range]:
    """What these kinds are cut into; those not begun yet begin whole."""
    known = [walks.ranges(intake.connection, walk, kind) for kind in stage]
    pairs = zip(stage, known, strict=True)
    return [each for kind, found in pairs for each in found or [Range(kind)]]


def replay(intake: Intake, read_until_us: int) -> None:
    """Read the events since the last run, and fetch what they name."""
    intake.met.mode = "events"
    since_s = read_until_us // 1_000_000 - OVERLAP_S
    until_us = intake.now_us() - UNSETTLED_S * 1_000_000
    to_s = until_us // 1_000_000
    intake.read([Range(kind, since_s, to_s) for kind in _EVENTS])
    follow_events(intake, since_s)
    with transaction(intake.connection):
        horizon.events_were_read(intake.connection, max(until_us, read_until_us))


def _same_account(intake: Intake) -> None:
    """Refuse a key of another account: its objects would be mixed into this ledger."""
    price = copies.sold_price(intake.connection)
    if price is None or intake.source.one("prices", price) is not None:
        return
    raise LedgerUnusable(
        f"the key is of another Stripe account, or of another mode, than this ledger: "
        f"{price}, which the ledger knows, is not there",
        fix="use that account's key, or set `database` in config.toml to a file of its own",
    )
