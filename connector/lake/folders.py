"""Folders as they are written: beside their place, and there as a whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from connector.core.errors import LakeUnusable


@contextmanager
def folder_draft(target: Path, marker: str) -> Iterator[Path]:
    """A folder to fill, which takes the target's place when it is whole.

    A target that holds the ``marker`` is an older one of ours, and replaced. Raises
    ``LakeUnusable`` where something else stands there. Whoever is killed leaves a folder
    whose name begins with a dot, which nobody reads.
    """
    if target.exists() and not _is_replaceable(target, marker):
        raise LakeUnusable(
            f"{target} is there, and was not written by this command",
            fix="name a folder that is empty, or not there yet",
        )
    place = target.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.{token_hex(4)}.draft")
    draft.mkdir()
    try:
        yield draft
        _put_in_place(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_replaceable(target: Path, marker: str) -> bool:
    is_empty = target.is_dir() and not any(target.iterdir())
    return is_empty or (target / marker).is_file()


def _put_in_place(draft: Path, target: Path) -> None:
    """No system exchanges two folders in one step: for a moment there is none."""
    if target.exists():
        former = draft.with_suffix(".former")
        target.rename(former)
        draft.rename(target)
        shutil.rmtree(former)
    else:
        draft.rename(target)
