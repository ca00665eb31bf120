"""Files as they are written: private from the first byte, and whole or not at all."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SQLITE = b"SQLite format 3\0"  # how each of its databases begins
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700
NAME_CHARACTERS = 60  # of the name of a draft: four bytes each, and a name has 255


def open_private(path: Path) -> int:
    """The file, made if need be, open to read and write; close it.

    Nobody but its owner may open it, whatever the umask, and whatever it was before.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, PRIVATE)
    if stat.S_IMODE(os.fstat(file).st_mode) != PRIVATE:
        with suppress(PermissionError):  # another's, who let us write it
            os.fchmod(file, PRIVATE)
    return file


def may(path: Path, what: int) -> bool:
    """Whether this process may do it: ``os.R_OK``, ``os.W_OK``, ``os.X_OK``."""
    effective = os.access in os.supports_effective_ids
    return os.access(path, what, effective_ids=effective)


def make_folder(folder: Path) -> None:
    """Make it, and those it lies in, where they are missing: for their owner alone."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(PRIVATE_FOLDER)
        folder.chmod(PRIVATE_FOLDER)


def is_same(file: int, path: Path) -> bool:
    """Whether the open file is the one that stands there now."""
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return False


@contextmanager
def held_draft(target: Path) -> Iterator[tuple[int, Path]]:
    """An empty file beside the target, open and ours alone; gone at the end.

    Its name is always the same, and who is killed leaves it to the next one: so two that
    write the same file do so one after the other.
    """
    draft = target.with_name(f".{target.name[:NAME_CHARACTERS]}.draft")
    file = _held(draft, target)
    try:
        os.ftruncate(file, 0)
        yield file, draft
    finally:
        if is_same(file, draft):  # else it was put in place, or is another's by now
            draft.unlink()
        os.close(file)


def _held(draft: Path, target: Path) -> int:
    while True:
        try:
            file = open_private(draft)
        except OSError as error:
            error.filename = str(target)  # which is what was named to us
            raise
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        found = os.fstat(file)
        is_ours = found.st_uid == os.geteuid() and found.st_nlink == 1
        if is_same(file, draft):
            if is_ours and stat.S_ISREG(found.st_mode):
                return file
            draft.unlink()  # laid out by somebody else, in a folder we share
        os.close(file)


def put_in_place(file: int, draft: Path, target: Path, mode: int = PRIVATE) -> None:
    """Let the draft become the target, once it would survive a loss of power.

    A target that is there keeps its mode and its owner; a new one gets ``mode``.
    """
    with suppress(FileNotFoundError):
        before = target.stat()
        mode = stat.S_IMODE(before.st_mode)
        with suppress(PermissionError):
            os.fchown(file, before.st_uid, before.st_gid)
    os.fchmod(file, mode)
    os.fsync(file)
    draft.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a loss of power, where a system can do that."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextmanager
def draft_of(target: Path, mode: int = PRIVATE) -> Iterator[Path]:
    """A file to write, which takes the target's place when it is whole.

    A symlink stays one, and leads to the new file.
    """
    target = target.resolve()
    with held_draft(target) as (file, draft):
        yield draft
        put_in_place(file, draft, target, mode)


def wider_than_private(path: Path) -> int | None:
    """Its mode, where others than its owner may open it; None where not, or not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    mode = stat.S_IMODE(found.st_mode)
    return mode if mode & 0o077 else None


def side_files(database: Path, *, with_lock: bool = True) -> list[Path]:
    """What SQLite and a sync keep beside the ledger's file, there or not."""
    real = database.resolve()
    beside = ("-wal", "-shm", "-journal", *((".lock",) if with_lock else ()))
    return [Path(f"{real}{ending}") for ending in beside]
