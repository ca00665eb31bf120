"""One thread that makes events durable: many requests wait, one commit lets them go.

While it commits, the next ones gather; so a busy inbox costs few fsyncs, and a quiet one
no delay. After a failure it tries by itself, without an event, whether it would do again:
who sends none to a server that is not ready would else never see it ready.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Self

from msgspec import Struct

from connector.pipeline.thread_pool import taken
from connector.store import inbox
from connector.store.database import transaction
from connector.store.inbox import ReceivedEvent
from connector.store.opening import open_database

log = logging.getLogger(__name__)

MOST = 1_000  # events a commit
# SQLite's own waiting grows to 100 ms a look; another writer's pause is shorter than that.
LOOK_AGAIN_S = 0.001
TRY_AGAIN_S = 2.0
PATIENCE_S = 10.0  # Stripe gives up waiting for an answer not long after
CommitOutcome = list[bool] | sqlite3.Error


class _PendingEvent(Struct, frozen=True):
    """An event, and the request that waits for it to be durable."""

    arrived: ReceivedEvent
    answer: asyncio.Future[bool]


@dataclass(slots=True)
class GroupCommit:
    """The inbox, open. Use it as a context manager: leaving it commits what waits."""

    path: Path
    now_us: Callable[[], int]
    committed: Callable[[], None]  # told after each commit, from the thread
    try_again_s: float = TRY_AGAIN_S
    failure: str | None = None  # of the last commit
    _queue: SimpleQueue[_PendingEvent | None] = field(
        init=False, default_factory=SimpleQueue
    )
    _thread: Thread = field(init=False)

    def __enter__(self) -> Self:
        run = copy_context().run
        self._thread = Thread(
            target=run, args=[self._run], name="group commit", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._thread.join(PATIENCE_S)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    async def keep(self, arrived: ReceivedEvent) -> bool:
        """Return once the event is durable; False where it was before.

        Raises ``sqlite3.Error`` where it could not be made so.
        """
        asked = _PendingEvent(arrived, asyncio.get_running_loop().create_future())
        self._queue.put(asked)
        return await asked.answer

    def _run(self) -> None:
        with closing(open_database(self.path)) as connection:
            inbox.prepare_to_keep(connection)
            while True:
                # Without anybody to wait for, it is time to try again.
                timeout_s = self.try_again_s if self.failure else None
                batch = taken(self._queue, timeout_s, MOST)
                asked = [each for each in batch if each is not None]
                if asked:
                    outcome = self._commit(connection, [each.arrived for each in asked])
                    loop = asked[0].answer.get_loop()
                    loop.call_soon_threadsafe(_answer, asked, outcome)
                elif not batch:
                    self._commit(connection, [])
                if None in batch:
                    return

    def _commit(
        self, connection: sqlite3.Connection, arrived: Sequence[ReceivedEvent]
    ) -> CommitOutcome:
        """Make them durable; of none, only see whether it would do."""
        until_s = time.monotonic() + (PATIENCE_S if arrived else 0.0)
        while True:
            try:
                with transaction(connection):
                    if not arrived:
                        inbox.rehearse(connection, self.now_us())
                    kept = inbox.keep(connection, arrived, self.now_us())
            except sqlite3.Error as error:
                is_busy = "locked" in str(error) or "busy" in str(error)
                if is_busy and time.monotonic() < until_s:
                    time.sleep(LOOK_AGAIN_S)
                    continue
                if arrived:
                    log.exception("group_commit.failed events=%d", len(arrived))
                self.failure = str(error)
                return error
            self.failure = None
            self.committed()
            return kept


def _answer(batch: Sequence[_PendingEvent], outcome: CommitOutcome) -> None:
    for number, asked in enumerate(batch):
        if asked.answer.done():  # its client has left
            continue
        if isinstance(outcome, sqlite3.Error):
            asked.answer.set_exception(outcome)
        else:
            asked.answer.set_result(outcome[number])
