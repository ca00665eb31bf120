"""What a command says beside its result, to stderr: what failed, a warning, a note.

To a person as lines of text; under ``--log-format json`` each is one record of the log,
the last word of a command that failed too.
"""

from collections.abc import Container, Sequence
from datetime import UTC, datetime
from pathlib import Path

from connector.cli.output import echo, echo_record, with_accounts
from connector.core.language import _
from connector.core.messages import spoken
from connector.core.text import printable

TAKE_A_VALUE = ("--config", "--account", "--log-format")  # before the command


class Stderr:
    """How this process writes there; ``main`` sets it once for all threads."""

    form = "text"
    command = ""
    config: Path | None = None


STDERR = Stderr()


def prepare(words: Sequence[str], commands: Container[str]) -> None:
    """Take form and file from the command line: wrong usage is told by them, too."""
    STDERR.form, STDERR.command, STDERR.config = "text", "", None
    left = iter(words)
    for word in left:
        name, _, value = word.partition("=")
        if name in TAKE_A_VALUE:
            given = value if "=" in word else next(left, "")
            if name == "--log-format":
                STDERR.form = given
            elif name == "--config":
                STDERR.config = Path(given)
        elif not word.startswith("-"):
            STDERR.command = word.replace("-", "_") if word in commands else ""
            return


def fail(problem: str, fix: str, *, again: bool = False) -> None:
    """Say what went wrong; with the time where what runs goes on, and does it ``again``."""
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} " if again else ""
    error = _("error")
    _tell("ERROR", "failed", f"{at}{error}: ", problem, fix)


def warn(problem: str, fix: str = "") -> None:
    """Say what a reader of the result should know."""
    warning = _("warning")
    _tell("WARNING", "warning", f"{warning}: ", problem, fix)


def note(text: str) -> None:
    """Say what happens, or where something is."""
    _tell("INFO", "note", "", text)


def unforeseen(error: Exception) -> None:
    """A fault of this program under ``--log-format json``, with its traceback."""
    _record("ERROR", "failed", f"{type(error).__name__}: {error}", "report this", error)


def _tell(level: str, what: str, before: str, problem: str, fix: str = "") -> None:
    if STDERR.form == "json":
        _record(level, what, with_accounts(problem), with_accounts(fix))
        return
    lines, how = [f"{before}{printable(spoken(problem))}"], _("fix")
    if fix:
        lines.append(f"  {how}: {printable(spoken(fix))}")
    echo("\n".join(lines), err=True)


def _record(
    level: str, what: str, why: str, fix: str, error: Exception | None = None
) -> None:
    """Whatever --verbose asks for: what a person would be told is not left out."""
    import logging

    from connector.cli.logs import FieldFormatter

    template = f"{STDERR.command or 'stripe_nrr'}.{what}"
    if fix:
        template += " fix=%s"
    record = logging.LogRecord(
        __name__,
        logging.getLevelName(level),
        __file__,
        0,
        f"{template} %s",
        (*([fix] if fix else []), why),
        None if error is None else (type(error), error, error.__traceback__),
    )
    echo_record(FieldFormatter("json").format(record), err=True)
