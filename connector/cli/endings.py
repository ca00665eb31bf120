"""How a command ends: its exit code, and what is said where it fails."""

import os
import sqlite3
import sys
from collections.abc import Callable

import click

from connector.core.errors import ConnectorError


def ended(run: Callable[[], object], say: Callable[[str, str], None]) -> int:
    """The exit code; what failed, and what to do about it, is said without a traceback."""
    try:
        code = run()
    except ConnectorError as error:
        say(error.problem, error.fix)
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "stripe-nrr"
        say(error.format_message(), f"see `{command} --help`")
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
        say(str(error), "check the path and the disk")
    else:
        return code if isinstance(code, int) else 0
    return 1
