"""Folders as they are written: beside their place, and there as a whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from connector.core.errors import LakeUnusable


@contextmanager
def folder_draft(target: Path, marker: str) -> Iterator[Path]:
    """A folder to fill, which takes the target's place when it is whole.

    A target that holds the ``marker`` is an older one of ours, and replaced. Raises
    ``LakeUnusable`` where something else stands there. Whoever is killed leaves folders
    whose names begin with a dot: the next one takes them away, and puts back a target
    that was about to be replaced. Two that write the same one do so one after the other.
    """
    place = target.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    draft, former = (
        place.with_name(f".{place.name}.{it}") for it in ("draft", "former")
    )
    with _held(draft):
        try:
            _clear(draft)
            _settle(former, place)
            if place.exists() and not _is_replaceable(place, marker):
                raise LakeUnusable(
                    f"{target} is there, and was not written by this command",
                    fix="name a folder that is empty, or not there yet",
                )
            yield draft
            _put_in_place(draft, former, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _held(draft: Path) -> Iterator[None]:
    """Ours alone, as long as it has this name; the system frees it however we end."""
    while True:
        draft.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # the one before has put it in place
            folder = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(folder, fcntl.LOCK_EX)
            if _is_same(folder, draft):
                break
            os.close(folder)
    try:
        yield
    finally:
        os.close(folder)


def take_away(drafts: Iterable[Path]) -> None:
    """Those of them that nobody fills any more: who began them was killed."""
    for draft in drafts:
        folder = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # it is held, or nobody can tell
        else:
            shutil.rmtree(draft, ignore_errors=True)
        finally:
            os.close(folder)


def _is_same(folder: int, draft: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(folder), draft.lstat())
    except OSError:
        return False


def _clear(draft: Path) -> None:
    """What somebody who was killed had begun."""
    for each in draft.iterdir():
        shutil.rmtree(
            each
        ) if each.is_dir() and not each.is_symlink() else each.unlink()


def _settle(former: Path, place: Path) -> None:
    """The folder that was about to be replaced is back, or else gone."""
    if not former.exists():
        return
    if place.exists():
        shutil.rmtree(former)
    else:
        former.rename(place)


def _is_replaceable(target: Path, marker: str) -> bool:
    is_empty = target.is_dir() and not any(target.iterdir())
    return is_empty or (target / marker).is_file()


def _put_in_place(draft: Path, former: Path, target: Path) -> None:
    """No system exchanges two folders in one step: for a moment there is none."""
    if target.exists():
        target.rename(former)
        draft.rename(target)
        shutil.rmtree(former)
    else:
        draft.rename(target)
