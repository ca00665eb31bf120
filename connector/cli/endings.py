"""How a command ends: its exit code, and what is said where it fails."""

import os
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import click

from connector.cli.stderr import STDERR
from connector.core.errors import ConnectorError, system_fault
from connector.core.language import DEFAULT, LANGUAGES, message

# What click says of wrong usage.
CLICK = (
    message("Invalid value for {param_hint}: {message}"),
    message("Invalid value: {message}"),
    message("Missing argument {param_hint}."),
    message("Missing option {param_hint}."),
    message("Missing parameter: {param_name}"),
    message("Missing command."),
    message("No such option {name!r}."),
    message("No such command {name!r}."),
    message("{said} Did you mean {possibility!r}?"),
    message("{said} (Did you mean one of: {possibilities}?)"),
    message("Option {name!r} does not take a value."),
    message("Option {name!r} requires an argument."),
    message("Option {name!r} requires {nargs} arguments."),
    message("Got unexpected extra argument ({args})"),
    message("Got unexpected extra arguments ({args})"),
    message("{value!r} is not one of {choices}."),
    message("{value!r} is not a valid {number_type}."),
    message("{value} is not in the range {range}."),
    message("{name} {filename!r} does not exist."),
    message("{name} {filename!r} is a file."),
    message("{name} {filename!r} is a directory."),
    message("{name} {filename!r} is not readable."),
    message("{name} {filename!r} is not writable."),
    message("Could not open file {filename!r}: {message}"),
    message("File"),
    message("Directory"),
    message("Path"),
    message("integer"),
    message("integer range"),
    message("float"),
)

# ``language = "de"`` below its section, with its section before it, or in one line.
NAMED = re.compile(
    r"""^\s*(?:reporting\s*\.\s*|reporting\s*=\s*\{.*?)?language\s*=\s*["'](\w+)["']""",
    re.MULTILINE,
)


def language_of(path: Path | None, user_folder: Path) -> str:
    """The one that the configuration names, also where that is wrong otherwise."""
    places = [path] if path else [Path("config.toml"), user_folder / "config.toml"]
    try:
        found = next((each for each in places if each.is_file()), None)
        text = "" if found is None else found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return DEFAULT
    named = NAMED.search(text)
    return named[1] if named is not None and named[1] in LANGUAGES else DEFAULT


def ended(run: Callable[[], object], say: Callable[[str, str], None]) -> int:
    """The exit code; what failed, and what to do about it, is said without a traceback."""
    try:
        code = run()
    except ConnectorError as error:
        say(error.problem, error.fix)
        return error.exit_code
    except click.UsageError as error:
        _say_usage(error, say)
        return 2
    except click.ClickException as error:
        say(error.format_message(), "see `stripe-nrr --help`")
    except (click.Abort, KeyboardInterrupt):
        say("interrupted", "run it again: what was done is kept")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except sqlite3.Error as error:
        fix = "check the disk and the file; what was committed is kept"
        say(f"the ledger cannot be used: {error}", fix)
    except OSError as error:
        say(*system_fault(error))
    else:
        return code if isinstance(code, int) else 0
    return 1


def _say_usage(error: click.UsageError, say: Callable[[str, str], None]) -> None:
    """What is wrong with the words given; of a group alone, how it is used."""
    named = f"stripe-nrr {STDERR.command.replace('_', '-')}".rstrip()
    command = error.ctx.command_path if error.ctx is not None else named
    what = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        if STDERR.form != "json":
            error.show()
            return
        what = "Missing command."
    say(what, f"see `{command} --help`")
