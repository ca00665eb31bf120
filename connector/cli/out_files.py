"""Where a command may write: a file of its own, and never over what is in use here."""

import errno
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from connector.config import Config
from connector.core.errors import UsageFault
from connector.store.files import SQLITE, side_files


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
    folder = output.resolve().parent
    if not (output.exists() or folder.is_dir()):
        raise UsageFault(
            f"{output} cannot be written: there is no folder {folder}",
            fix="make the folder, or write elsewhere",
        )


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


STDOUT = Path("/dev/stdout")


AS_BYTES = {"parquet", "xlsx"}  # forms that no terminal shows


class NamedFile(click.Path):
    """A path with a name that can be one: a file's, or a folder's if that may be meant.

    ``dash`` is what ``-`` stands for, if for anything; a file of that name is ``./-``.
    """

    def __init__(
        self, *, may_be_folder: bool = False, dash: Path | None = None
    ) -> None:
        super().__init__(dir_okay=may_be_folder, path_type=Path)
        self.dash = dash

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        if not str(value).strip() or "\0" in str(value):
            self.fail("the name of a file is missing", param, ctx)
        if str(value) == "-":
            if self.dash is not None:
                return self.dash
            self.fail("a file is needed here; one called - is ./-", param, ctx)
        try:
            Path(value).stat()
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
                self.fail(f"{str(value)!r}: {error.strerror}", param, ctx)
        return super().convert(value, param, ctx)
