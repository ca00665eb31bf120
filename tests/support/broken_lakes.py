"""Folders of Parquet that cannot be used, and how each is refused."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from duckdb import OutOfMemoryException

from connector.core.dates import instant
from connector.core.policy import Policy, Rules
from connector.lake import duckdb, parquet
from connector.lake.derive import LakeTask, derived
from connector.lake.folders import folder_draft
from connector.lake.histories import LakeAccount
from connector.lake.objects import LakeRow
from connector.lake.run import RUN, newest, prepared, write_run
from connector.lake.source import COLUMNS, MANIFEST, NEEDED, sources_in
from connector.mrr.history import Catalogue

RULES = Rules(policy=Policy(), zone=ZoneInfo("UTC"), code_version="of the tests")
TASK = LakeTask(RULES, 0, {"0": LakeAccount("mirror", Catalogue())})
TOLD = '{"schema": 1, "shape": "mirror", "known_until": "2026-11-01T00:00:00Z"}'


def lay_out(told: str | None = TOLD, kinds: tuple[str, ...] = NEEDED) -> Path:
    """A folder with a manifest that says this, and empty files of these kinds."""
    folder = Path("mirror")
    folder.mkdir(exist_ok=True)
    if told is not None:
        (folder / MANIFEST).write_text(told, encoding="utf-8")
    for kind in kinds:
        (folder / kind).mkdir(exist_ok=True)
        parquet.write(folder / kind / "part-0.parquet", COLUMNS, [])
    return folder


def run(folder: Path, processes: int = 1) -> Path:
    given = prepared(sources_in(folder), RULES)
    fill = partial(duckdb.fill, given, processes)
    return write_run(Path("lake"), given, "duckdb", instant(0), fill)


def broken_file(kind: str) -> None:
    folder = lay_out()
    (folder / kind / "part-0.parquet").write_bytes(b"PAR1 Dear diary PAR1")
    run(folder)


def killed() -> None:
    """A process that derives ends as the kernel ends one that takes too much memory."""
    folder = lay_out()
    with killing(0):
        run(folder, processes=2)


@contextmanager
def killing(which: int) -> Iterator[None]:
    """Meanwhile this one of those that are started is killed, as soon as it is."""
    over = threading.Event()
    killer = threading.Thread(target=_kill, args=(which, over))
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


def _kill(which: int, over: threading.Event) -> None:
    started = Path(f"/proc/self/task/{threading.main_thread().native_id}/children")
    seen: dict[str, None] = {}
    while not over.is_set():
        seen |= dict.fromkeys(started.read_text().split())
        spawned = [pid for pid in seen if _is_spawned(pid)]
        if len(spawned) > which:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(int(spawned[which]), signal.SIGKILL)
            return


def _is_spawned(pid: str) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def unsorted() -> None:
    owners = ("cus_1", "cus_2", "cus_1")
    rows = [LakeRow(who, "0", "events", "", who, 0, b"{}") for who in owners]
    list(derived(rows, TASK))


def over_something_else() -> None:
    Path("mine").mkdir()
    Path("mine", "diary.txt").write_text("Dear diary")
    with folder_draft(Path("mine"), RUN):
        pass


def broken_run() -> None:
    folder = Path("lake", "run-20261101T000000Z")
    folder.mkdir(parents=True)
    (folder / RUN).write_text("{}")
    newest(Path("lake"))


def failing_in_spark() -> None:
    """As Spark hands on what one of its workers raised."""
    from pyspark.errors import PySparkException  # noqa: PLC0415

    from connector.lake.workers import in_words  # noqa: PLC0415

    said = "connector.core.errors.LakeUnusable: rows of 'cus_1' come after those of 'cus_2'"
    with in_words():
        raise PySparkException(f"Job aborted due to stage failure:\n{said}\n  at …")


def no_room() -> None:
    """As DuckDB says it of a full disk."""
    with duckdb.in_words():
        raise OutOfMemoryException("Out of Memory Error: failed to offload data block")


def lay_out_broken_history() -> None:
    """A customer whose subscription began before any calendar."""
    folder = lay_out(TOLD.replace("}", ', "timezone": "UTC"}'))
    body = """{"id": "sub_1", "customer": "cus_1", "status": "active",
        "currency": "usd", "start_date": -1000000000000000,
        "items": {"data": [{"id": "si_1", "quantity": 1, "price": {"id": "price_1",
            "currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}
        }}]}}"""
    place = folder / "subscriptions" / "part-0.parquet"
    parquet.write(place, COLUMNS, [("sub_1", "cus_1", 0, body)])


def lay_out_two(*told: str) -> Path:
    """A folder of two accounts, whose manifests say this, too."""
    for name, more in zip(("de", "us"), told, strict=True):
        folder = lay_out(TOLD.replace("}", f", {more}}}"))
        Path("both").mkdir(exist_ok=True)
        folder.rename(Path("both", name))
    return Path("both")


def of_whom(*told: str) -> list[str]:
    return [f'"account": {{{each}}}' for each in told]


EXHIBITS: Mapping[str, Callable[[], object]] = {
    "a folder without a manifest": lambda: sources_in(lay_out(None)),
    "a manifest that says too little": lambda: sources_in(lay_out("{}")),
    "a manifest of a zone that is none": lambda: sources_in(
        lay_out(TOLD.replace("}", ', "timezone": "Europe/Atlantis"}'))
    ),
    "a manifest of a later version": lambda: sources_in(
        lay_out(TOLD.replace("1", "9", 1))
    ),
    "two folders of one account": lambda: sources_in(
        lay_out_two(*of_whom('"id": "acct_1"', '"id": "acct_1"'))
    ),
    "folders of live and of test mode": lambda: sources_in(
        lay_out_two(*of_whom('"livemode": true', '"livemode": false'))
    ),
    "a source without invoices": lambda: sources_in(lay_out(kinds=NEEDED[:2])),
    "a file of the catalogue that is no Parquet": lambda: broken_file("prices"),
    "a file of invoices that is no Parquet": lambda: broken_file("invoices"),
    "a process that was killed": killed,
    "a worker of Spark that fails": failing_in_spark,
    "a disk without room to sort": no_room,
    "rows that are not sorted": unsorted,
    "a folder that is somebody else's": over_something_else,
    "no run": lambda: newest(Path("lake")),
    "a run that does not say what it is": broken_run,
}
