"""The ledger for one request at a time, and what was made of it while it is unchanged.

Each request reads one moment of the file through a connection of its own that cannot
write. What a wide query gave is kept until another connection commits, or another file
stands there; at most so many rows of it.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from connector.accounts.ledger import added_up, check_adding_up, check_there
from connector.config import Config
from connector.core.errors import LedgerUnusable
from connector.reports.ledger import Ledger
from connector.store.database import commits_of_others, setting, snapshot
from connector.store.joined.database import room_for
from connector.store.read_only import check_unchanged, open_as_it_is, pending_migrations

T = TypeVar("T")

MOST_ROWS = 300_000  # that are kept, of all results together
TRIES = 4  # to begin reading while nobody commits


class KeptResults:
    """Results by what was asked, of one state of the ledger; the oldest give way.

    Two who ask for the same at once wait for one answer.
    """

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        self._most_rows = most_rows
        self._lock = threading.Lock()
        self._state: Hashable = None
        self._found: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}

    def of(self, state: Hashable) -> "KeptResults":
        """Forget what was made of another state."""
        with self._lock:
            if state != self._state:
                self._state = state
                self._found.clear()
        return self

    def get(
        self,
        state: Hashable,
        asked: Hashable,
        make: Callable[[], T],
        rows_of: Callable[[T], int],
    ) -> T:
        place = (state, asked)
        with self._lock:
            if place in self._found:
                self._found.move_to_end(place)
                return cast("T", self._found[place][0])
            making = self._making.setdefault(place, threading.Lock())
        with making:
            with self._lock:
                if place in self._found:
                    return cast("T", self._found[place][0])
            try:
                made = make()
                self._keep(place, made, rows_of(made))
            finally:
                with self._lock:
                    self._making.pop(place, None)
        return made

    def _keep(self, place: tuple[Hashable, Hashable], made: object, rows: int) -> None:
        with self._lock:
            if place[0] != self._state:
                return
            self._found[place] = (made, rows)
            while (
                len(self._found) > 1
                and sum(n for _, n in self._found.values()) > self._most_rows
            ):
                self._found.popitem(last=False)


class LedgerReading:
    """A ledger at one moment, and the results that are kept of it.

    ``options`` say which accounts it is of, as a command is told them.
    """

    def __init__(
        self,
        ledger: Ledger,
        state: Hashable,
        kept: KeptResults,
        options: Sequence[str] = (),
    ) -> None:
        self.ledger, self.options = ledger, options
        self._state, self._kept = state, kept

    def keep(
        self,
        asked: Hashable,
        make: Callable[[], T],
        rows_of: Callable[[T], int] = lambda _made: 100,
    ) -> T:
        """What ``make`` gives, or gave before; ``rows_of`` is about how large that is."""
        if self._state is None:
            return make()
        return self._kept.get(self._state, asked, make, rows_of)


class WatchedLedger:
    """One account's ledger, and whether anything was committed to it."""

    def __init__(self, config: Config, watch: ThreadPoolExecutor) -> None:
        self._config = config
        self._watch = watch  # a connection has one thread
        self._watched: tuple[tuple[int, int], sqlite3.Connection] | None = None
        self._opened = 0

    @contextmanager
    def reading(self, now: datetime) -> Iterator[tuple[Ledger, Hashable]]:
        """It, and which commit is read; None where somebody commits all the time.

        Raises ``LedgerUnusable`` where there is none to read.
        """
        path = self._config.database
        check_there(self._config)
        if not path.is_file():
            raise LedgerUnusable(
                f"there is no ledger at {path}", fix="run `stripe-nrr sync` to make one"
            )
        with closing(open_as_it_is(path)) as connection:
            if pending_migrations(connection):
                raise LedgerUnusable(
                    f"the ledger {path} was written by an older version",
                    fix="run any other command once, such as `stripe-nrr report`",
                )
            with self._snapshot(connection) as commit:
                yield Ledger(connection, self._config, now), commit
                check_unchanged(connection)

    @contextmanager
    def _snapshot(
        self, connection: sqlite3.Connection
    ) -> Iterator[tuple[int, ...] | None]:
        """Which commit is read; None where somebody commits all the time."""
        for left in reversed(range(TRIES)):
            before = self.commit()
            with snapshot(connection):
                setting(connection, "rules")  # with the first row the moment is chosen
                is_it = before == self.commit()
                if is_it or not left:
                    yield before if is_it else None
                    return

    def commit(self) -> tuple[int, ...]:
        """The file that stands there, and its newest commit; ``OSError`` for none."""
        return self._watch.submit(self._commit).result()

    def _commit(self) -> tuple[int, ...]:
        """On the watching thread."""
        path: Path = self._config.database
        found = path.stat()
        file = (found.st_dev, found.st_ino)
        if self._watched is None or self._watched[0] != file:
            self.close()
            self._watched = (file, open_as_it_is(path))
            self._opened += 1
        return (self._opened, commits_of_others(self._watched[1]))

    def close(self) -> None:
        """On the watching thread."""
        if self._watched is not None:
            self._watched[1].close()
            self._watched = None


class LedgerReader:
    """Opens the ledger for each request; ``now`` tells the time.

    It is the configured one; of several ``accounts``, one in which theirs add up, also
    where they are ``mixed``.
    """

    def __init__(
        self,
        config: Config,
        now: Callable[[], datetime],
        accounts: Sequence[Config] = (),
        options: Sequence[str] = (),
        *,
        mixed: bool = False,
    ) -> None:
        self.config, self._now, self._mixed = config, now, mixed
        self._options = options
        self._kept = KeptResults()
        self._told: tuple[Hashable, str] | None = None
        self._watch = ThreadPoolExecutor(1, "ledger-watch")
        self._ledgers = [
            WatchedLedger(each, self._watch) for each in accounts or [config]
        ]
        room_for(2 * len(self._ledgers))  # each is watched, too

    @contextmanager
    def reading(self) -> Iterator[LedgerReading]:
        """Raises ``LedgerUnusable`` where there is none to read."""
        now = self._now()
        with ExitStack() as stack:
            parts, commits = self._apart(stack, now)
            key = None if None in commits else (commits, f"{now:%Y-%m-%d %H}")
            ledger = stack.enter_context(
                added_up(self.config, parts, mixed=self._mixed)
            )
            yield LedgerReading(ledger, key, self._kept.of(key), self._options)

    def _apart(
        self, stack: ExitStack, now: datetime
    ) -> tuple[Sequence[Ledger], Sequence[Hashable]]:
        read = [stack.enter_context(each.reading(now)) for each in self._ledgers]
        parts, commits = zip(*read, strict=True)
        return parts, commits

    def told(self, of: Callable[[Sequence[Ledger]], str]) -> str:
        """What ``of`` says of the accounts' ledgers, none of which is joined for it.

        It is asked again once anything is committed to one. Raises as ``reading`` does.
        """
        now = self._now()
        hour = f"{now:%Y-%m-%d %H}"
        newest = tuple(each.commit() for each in self._ledgers)
        kept = self._told
        if kept is None or kept[0] != (newest, hour):
            with ExitStack() as stack:
                parts, commits = self._apart(stack, now)
                if len(parts) > 1:
                    named = {each.config.name: each for each in parts}
                    check_adding_up(named, mixed=self._mixed)
                self._told = kept = ((tuple(commits), hour), of(parts))
        return kept[1]

    def close(self) -> None:
        for each in self._ledgers:
            self._watch.submit(each.close).result()
        self._watch.shutdown()
