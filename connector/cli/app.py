"""The command: its options, its commands, and the one place where errors are printed."""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

import click
from click.shell_completion import (
    CompletionItem,
    FishComplete,
    add_completion_class,
    split_arg_string,
)

from connector import __version__
from connector.cli.endings import ended, language_of
from connector.cli.help_texts import in_language
from connector.cli.out_files import NamedFile
from connector.cli.shell import Shell, user_folder
from connector.cli.stderr import STDERR, fail, prepare, unforeseen
from connector.core.errors import ConnectorError
from connector.core.language import _, speak

# A command is the function of its name in the module of its name, imported when asked for.
COMMANDS = {
    "demo": "See it all on a bundled account: no key, no network.",
    "config": "Begin a configuration file, with every key explained.",
    "sync": "Copy the Stripe account's history and bring the ledger up to date.",
    "report": "NRR, GRR and what moved MRR, by month, quarter, year or trailing 12.",
    "dashboard": "Look at it all in a browser, down to the invoice line; read-only.",
    "mcp": "Let an assistant ask the ledger, read-only (MCP over stdio).",
    "cohorts": "How the customers who first paid in each month stayed and grew.",
    "at-risk": "MRR that may go, and the NRR that is already committed.",
    "digest": "What is new since the last time, for a mail or a message.",
    "churn": "Why MRR was lost: churn and contraction by reason, and who left.",
    "coverage": "Where every invoiced amount belongs, and what recurs and is not counted.",
    "movements": "List what changed each customer's MRR, and when.",
    "explain": "Take a window's NRR apart by customer, or a customer's MRR by line.",
    "drift": "What other published formulas would say of the same windows.",
    "compare": "Find the policy that explains another tool's MRR.",
    "reconcile": "Why MRR is not what Stripe shows: every cell's causes.",
    "close": "Record a month's figures as reported, for ever.",
    "note": "Note something at a month: shown beside its figures.",
    "notes": "List all notes, also those that were withdrawn.",
    "restatements": "What has changed in closed months since, by customer and cause.",
    "recompute": "Derive the ledger anew from what was fetched; no network.",
    "backup": "Copy the ledger while it is in use, whole and checked.",
    "restore": "Put a backup in the ledger's place; what was there is kept.",
    "forget": "Remove a customer's name and metadata for ever; figures stay.",
    "check": "Prove the ledger's invariants; exit 3 with what breaks them.",
    "export": "Write the ledger as a CSV or Parquet file for other tools.",
    "lake": "Derive a larger account over Parquet, on DuckDB or Spark.",
    "doctor": "See whether all is in place for a sync, and what to do where not.",
    "serve": "Receive Stripe's webhooks: the ledger is live within seconds.",
    "inbox": "Show the webhook events that wait or have failed; try them again.",
    "webhook-setup": "Print how to make Stripe send webhooks here.",
}
# The folder of each that is not in ``ledger``.
FOLDERS = {
    **dict.fromkeys(("report", "cohorts", "at-risk", "digest", "churn"), "figures"),
    **dict.fromkeys(("coverage", "movements", "explain", "drift"), "figures"),
    **dict.fromkeys(("compare", "reconcile", "restatements", "export"), "figures"),
    **dict.fromkeys(("dashboard", "mcp", "serve", "inbox", "webhook-setup"), "serving"),
}


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        from connector.cli.accounts import TAKES, takes_accounts

        name = cmd_name.replace("-", "_")
        folder = FOLDERS.get(cmd_name, "ledger")
        module = import_module(f"connector.cli.commands.{folder}.{name}")
        command = getattr(module, name)
        assert isinstance(command, click.Command)
        return in_language(takes_accounts(command, TAKES[cmd_name]))

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _(said)) for name, said in COMMANDS.items()])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Their names, and this group's options, without importing any of them."""
        named = [
            CompletionItem(name, help=_(said))
            for name, said in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "auto_envvar_prefix": None,
    },
)
@click.option(
    "--config",
    "config_path",
    type=NamedFile(),
    metavar="PATH",
    help="The configuration. Default: ./config.toml, else the one in your user's "
    "configuration folder, else all defaults.",
)
@click.option(
    "--account",
    "asked",
    metavar="NAME",
    multiple=True,
    help="Of several accounts ([[account]] in the configuration) only this one; may be "
    "given again, and after the command, too.",
)
@click.option(
    "--mixed",
    is_flag=True,
    help="Add accounts up whose policy or time zone differ, and say so.",
)
@click.option(
    "-v", "--verbose", count=True, help="Log what happens to stderr; twice: each page."
)
@click.option(
    "--log-format",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="How each line of the log is written: key=value fields, or a JSON object; as "
    "JSON all that is said to stderr is, errors too.",
)
@click.version_option(
    __version__, message="%(prog)s %(version)s", help="Show the version and exit."
)
@click.pass_context
def stripe_nrr(
    ctx: click.Context,
    config_path: Path | None,
    asked: tuple[str, ...],
    verbose: int,
    log_format: str,
    *,
    mixed: bool,
) -> None:
    """Net and gross revenue retention from your Stripe history, explained to the line.

    `stripe-nrr demo` shows it on bundled data. On your own account: set STRIPE_API_KEY
    to a restricted key that may only read, then `stripe-nrr sync` and `stripe-nrr
    report`.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 findings, 75 another sync holds the
    ledger (try later).
    """
    ctx.obj = Shell(config_path, verbose, log_format, asked)
    ctx.obj.is_mixed = mixed


class Fish(FishComplete):
    """What an option does is told to its end, not to its first comma."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


# ``main`` says what to do about these; any other is a fault of this program.
EXPECTED = (ConnectorError, click.ClickException, click.Abort, sqlite3.Error, OSError)


def main() -> None:
    """Run a command; the language that it speaks is its own."""
    copy_context().run(_main)


def _main() -> None:
    """Run a command; say what failed and what to do about it, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no "–"
    prepare(_words(), COMMANDS)
    speak(language_of(STDERR.config, user_folder()))
    # Nothing here multiplies matrices: numpy need not start threads for that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with _ended_by_sigterm():
        code = ended(_run, fail)
    sys.exit(code)


def _words() -> list[str]:
    """Those of the command line; of one that a shell completes, those typed so far."""
    if "_STRIPE_NRR_COMPLETE" in os.environ:
        add_completion_class(Fish)
        return split_arg_string(os.environ.get("COMP_WORDS", ""))[1:]
    return sys.argv[1:]


def _run() -> object:
    try:
        command = in_language(stripe_nrr)
        return command.main(prog_name="stripe-nrr", standalone_mode=False)
    except EXPECTED:
        raise
    except Exception as error:
        if STDERR.form == "json":
            unforeseen(error)
            sys.exit(1)
        raise


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End as the signal would have it, but leave no draft behind."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # of a program that runs commands itself
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
