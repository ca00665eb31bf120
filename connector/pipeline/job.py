"""The scheduled job: one sync after the other, the ledger settled after each."""

import dataclasses
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from connector.config import Config, rules_of
from connector.core.dates import instant
from connector.core.errors import Stopped
from connector.core.policy import Rules
from connector.pipeline.held_ledger import claim, held_ledger
from connector.pipeline.ingest import Ingest, Progress
from connector.pipeline.policy_change import adopt
from connector.pipeline.quarantine import underivable
from connector.pipeline.recompute import Recomputed, recompute
from connector.pipeline.status import SyncSummary, read_status, write_status
from connector.pipeline.sync import sync
from connector.pipeline.thread_pool import ThreadPool
from connector.store.database import transaction
from connector.store.ledger import unvalued
from connector.store.mirror import event_feed, freshness

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi


LONGEST_BACK_OFF = 8  # times the usual pause
SPREAD = 0.1  # either way, so that many installations do not ask in the same second


def pause_s(every_s: float, failures: int, chance: float) -> float:
    """Seconds to wait after a run; twice as long with each of ``failures`` in a row.

    The first failure waits no longer than usual. ``chance`` lies in [0, 1).
    """
    back_off = min(2.0 ** max(failures - 1, 0), LONGEST_BACK_OFF)
    return every_s * back_off * (1 + SPREAD * (2 * chance - 1))


def bring_up_to_date(
    ingest: Ingest,
    rules: Rules,
    *,
    full: bool = False,
    announce: Callable[[str], None] = lambda _text: None,
) -> Recomputed:
    """What was derived; what was met is in ``ingest.met``.

    Rules other than before are applied first, as a run of their own, so that no figure
    changes for two reasons at once; ``announce`` is told in words. Raises ``Stopped``.
    """

    def now() -> datetime:
        return datetime.fromtimestamp(ingest.now_us() / 1_000_000, tz=UTC)

    def derived(done: int, whole: int) -> None:
        ingest.progress("customers derived", done, whole)
        if ingest.stopping() and done < whole:
            raise Stopped

    settle = partial(
        recompute, ingest.connection, rules, progress=derived, workers=None
    )
    changed = adopt(ingest.connection, rules)
    if changed is not None:
        announce(f"{changed}: deriving every customer anew")
        cause = "policy change" if changed.startswith("policy") else "manual"
        settle(cause=cause, now=now())
    sync(ingest, full=full)
    return settle(cause="sync", now=now())


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncJob:
    """One sync after the other, over one connection to Stripe.

    ``progress`` shows how far one has come, ``announce`` is told in words why everything
    is derived anew. Each sync is left in the status file, if there is to be one.
    """

    config: Config
    api: "StripeApi"
    stopping: Callable[[], bool]
    now: Callable[[], datetime]
    progress: Callable[[], AbstractContextManager[Progress]]
    announce: Callable[[str], None]

    def run(self, *, full: bool) -> SyncSummary:
        """What one sync did; customers who could not be derived are in ``failed``."""
        began_at = self.now()
        try:
            done = self._synced(began_at, full=full)
        except Stopped:
            raise
        except Exception as error:
            self._leave(began_at, None, str(error))
            raise
        left = underivable(done.failed)
        self._leave(began_at, done, None if left is None else left.problem)
        return done

    def _leave(
        self, began_at: datetime, done: SyncSummary | None, error: str | None
    ) -> None:
        """Bring the status file up to date, if there is to be one."""
        path = self.config.status_file
        if path is not None:
            status = read_status(path).after(began_at, self.now(), done, error)
            write_status(path, status)

    def _synced(self, began_at: datetime, *, full: bool) -> SyncSummary:
        if not self.config.database.exists():
            self.api.probe()  # a wrong key leaves no ledger behind
        with (
            held_ledger(self.config.database) as connection,
            self.progress() as progress,
            ThreadPool[Any](self.config.workers) as threads,
        ):
            ingest = Ingest(
                connection=connection,
                source=self.api,
                threads=threads,
                config=self.config,
                now_us=self.api.stripe_us,
                progress=progress,
                stopping=self.stopping,
            )
            return self._summed_up(ingest, began_at, full=full)

    def _summed_up(
        self, ingest: Ingest, began_at: datetime, *, full: bool
    ) -> SyncSummary:
        connection, rules = ingest.connection, rules_of(self.config)
        began_s, before = time.monotonic(), dataclasses.replace(self.api.reads)
        is_first = not freshness.known_subscriptions(connection)
        try:
            claim(connection, self.api, self.api.identity())
            if is_first and self.api.clock.skew_us is None:
                self.api.probe()  # else the first moments kept would be by our clock
            derived = bring_up_to_date(ingest, rules, full=full, announce=self.announce)
        finally:
            spent = self.api.reads.since(before)
            day = began_at.date()
            if ingest.met.seen:  # else the key was refused, and nothing was read
                with transaction(connection):
                    event_feed.count_reads(connection, day, spent.requests)
        month = event_feed.reads_since(connection, day - timedelta(days=29))
        known_us = event_feed.last_synced_us(connection)
        return SyncSummary(
            **asdict(ingest.met),
            **derived._asdict() | {"failed": dict(derived.failed)},
            refused=unvalued.known(connection),
            **dataclasses.asdict(spent),
            requests_in_30_days=month,
            known_until=None if known_us is None else instant(known_us // 1_000_000),
            seconds=round(time.monotonic() - began_s, 1),
        )
