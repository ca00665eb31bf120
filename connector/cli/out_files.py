"""Where a command may write: a file of its own, and never over what is in use here."""

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from connector.cli.output import is_written_through
from connector.config import Config
from connector.core.errors import UsageFault, why_unread
from connector.store.files import SQLITE, may, side_files


def harmless(ctx: Any, _param: Any, output: Path | None) -> Path | None:
    """An output that is none of the ledger's own files, in a folder that is there."""
    if output == STDOUT and ctx.params.get("form") not in AS_BYTES:
        return None
    if output is not None:
        for account in ctx.obj.accounts:
            refuse_own_files(output, account)
        check_folder(output)
        if _is_database(output):
            raise UsageFault(
                f"writing to {output} would destroy it: it is a database, such as a "
                "ledger or a backup of one",
                fix="write to a file of its own",
            )
    return output


def _is_database(path: Path) -> bool:
    """Whether SQLite wrote it; what cannot be read is left to who writes there."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(len(SQLITE)) == SQLITE
    return False


def check_folder(output: Path) -> None:
    """``UsageFault`` where nothing can be put beside it, to take its place when whole."""
    folder = output.resolve().parent
    if not (output.exists() or folder.is_dir()):
        raise UsageFault(
            f"{output} cannot be written: there is no folder {folder}",
            fix="make the folder, or write elsewhere",
        )
    if is_written_through(output) or _is_read_only(folder):
        return  # a disk that only reads says so itself, when it is written to
    if not may(folder, os.W_OK | os.X_OK):
        raise UsageFault(
            f"{output} cannot be written: this user may not write in {folder}",
            fix="let this user write there, or write elsewhere",
        )


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def refuse_own_files(output: Path, config: Config) -> None:
    """``UsageFault`` where writing there would destroy what it keeps, or is told by."""
    own = [
        config.database,
        *side_files(config.database),
        *(
            each
            for each in (
                *(config.status_file, config.source, config.rates, config.benchmarks),
                *(config.key_file, config.webhook_secret_file),
                *(config.admin_token_file, config.token_file),
            )
            if each is not None
        ),
    ]
    refuse_to_replace(output, own)


def refuse_to_replace(output: Path, kept: Iterable[Path]) -> None:
    for each in kept:
        is_there = output.exists() and each.exists()
        if output.resolve() == each.resolve() or (is_there and output.samefile(each)):
            raise UsageFault(
                f"writing to {output} would destroy {each.name}, which is in use here",
                fix="write to a file of its own",
            )


def refuse_inside(output: Path, source: Path) -> None:
    """``UsageFault`` where what is read from would be written into."""
    place, kept = output.resolve(), source.resolve()
    if place == kept or kept in place.parents:
        raise UsageFault(
            f"{output} lies in {source}, which is only read from",
            fix="write to a place of its own, outside of it",
        )


def folder_for_file(path: Path | str) -> UsageFault:
    return UsageFault(
        f"{path} is a folder, and a file is meant",
        fix="name a file, such as one in it",
    )


STDOUT = Path("/dev/stdout")


AS_BYTES = {"parquet", "xlsx"}  # forms that no terminal shows


class NamedFile(click.Path):
    """A path with a name that can be one: a file's, or a folder's if that may be meant.

    ``dash`` is what ``-`` stands for, if for anything; a file of that name is ``./-``.
    Whether it can be read is found out where it is.
    """

    def __init__(
        self, *, may_be_folder: bool = False, dash: Path | None = None
    ) -> None:
        super().__init__(readable=False, path_type=Path)
        self.may_be_folder, self.dash = may_be_folder, dash

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        if not str(value).strip() or "\0" in str(value):
            self.fail("the name of a file is missing", param, ctx)
        if str(value) == "-":
            if self.dash is not None:
                return self.dash
            self.fail("a file is needed here; one called - is ./-", param, ctx)
        if _is_folder(value, self, param, ctx) and not self.may_be_folder:
            raise folder_for_file(value)
        return super().convert(value, param, ctx)


class NamedFolder(click.Path):
    """A folder's path, which need not be there."""

    name = "directory"

    def __init__(self) -> None:
        super().__init__(readable=False, path_type=Path)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        if not str(value).strip() or "\0" in str(value):
            self.fail("the name of a folder is missing", param, ctx)
        if _is_folder(value, self, param, ctx) is False:
            raise UsageFault(
                f"{value} is a file, and a folder is meant",
                fix="name a folder, such as the one it lies in",
            )
        return super().convert(value, param, ctx)


def _is_folder(
    value: Any,
    kind: click.Path,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> bool | None:
    """None where nothing is there, or nobody lets us see it."""
    try:
        return stat.S_ISDIR(Path(value).stat().st_mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            kind.fail(f"{str(value)!r}: {why_unread(error)}", param, ctx)
        return None
