"""The command: its options, its commands, and the one place where errors are printed."""

import gc
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from connector import __version__
from connector.cli.exits import EXPECTED, ended, language_of
from connector.cli.stderr import STDERR, fail, prepare, unforeseen, warn
from connector.core.errors import UsageFault
from connector.core.language import DEFAULT, speak

if TYPE_CHECKING:
    from connector.config import Config
    from connector.reports.ledger import Ledger, LedgerFacts


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
        command = getattr(import_module(f"connector.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return takes_accounts(command, TAKES[cmd_name])

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The list of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """Their names, and this group's options, without importing any of them."""
        named = [
            CompletionItem(name, help=said)
            for name, said in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]


class Shell:
    """What every command shares: the configuration, the clock, the ledger's file.

    ``asked`` are the accounts that --account names, all where it names none. ``of`` is
    the same shell for one of them; ``stop`` is set where the process is asked to end.
    """

    def __init__(
        self,
        config_path: Path | None,
        verbosity: int,
        log_format: str = "text",
        asked: Sequence[str] = (),
    ) -> None:
        self.is_for_programs = False  # what is asked for: then it is in English
        self.facts: LedgerFacts | None = None  # of the ledger that was read last
        self.config_path = config_path
        self._verbosity = verbosity
        self.log_format = log_format
        self.asked = tuple(asked)
        self.adds_up = False  # several accounts as one, where not told otherwise
        self.is_mixed = False  # also where their rules differ
        self.stop = threading.Event()
        self.is_alone = True  # else this is one of several that are taken in turn

    @cached_property
    def config(self) -> "Config":
        """The configuration of the one account that there is, or that is asked for.

        As it was at the start; ``read_config`` reads it anew.
        """
        return self.read_config()

    @cached_property
    def accounts(self) -> "tuple[Config, ...]":
        """The configuration of each account that is asked for."""
        from connector.config import accounts_of

        return accounts_of(self.shared, self.asked)

    @cached_property
    def shared(self) -> "Config":
        """What the file says of all accounts: no one's ledger, key or zone."""
        from connector.config import load

        config = load(self.config_path, os.environ, user_folder())
        speak(DEFAULT if self.is_for_programs else config.language)
        return config

    def read_config(self) -> "Config":
        """The account's configuration as it is now."""
        self.__dict__.pop("shared", None)
        self.__dict__.pop("accounts", None)
        if len(self.accounts) == 1:
            return self.accounts[0]
        if self.adds_up:
            return self.shared
        names = ", ".join(each.name for each in self.accounts)
        raise UsageFault(
            f"this is of one account, and there are {len(self.accounts)}: {names}",
            fix=f"say which: --account {self.accounts[0].name}",
        )

    def of(self, account: "Config") -> "Shell":
        """This shell, for one account."""
        one = copy(self)
        one.asked = (account.name,) if account.name else ()
        one.is_alone = len(self.accounts) == 1
        one.__dict__ |= {"config": account, "accounts": (account,)}
        return one

    def log_to_stderr(self) -> None:
        """For commands that do something worth following; reading ones say it all."""
        from connector.cli.logs import log_to_stderr

        log_to_stderr(self._verbosity, self.log_format)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def ledger(self) -> sqlite3.Connection:
        """The existing ledger's file; close it."""
        from connector.store.database import open_database

        return open_database(self.config.database)

    @contextmanager
    def reading(self, *, tells_outside: bool = True) -> "Iterator[Ledger]":
        """The existing ledger as it is now; says where it was derived otherwise.

        And, unless the command tells of it itself, what recurs and is in no figure.
        Without looking for cycles, of which a million rows have none: a tenth faster.
        """
        with self._opened() as ledger, _uncollected():
            warn_of_other_rules(ledger)
            self.facts = ledger.facts()
            if tells_outside:
                _warn_of_outside(ledger)
            yield ledger

    def _opened(self) -> AbstractContextManager["Ledger"]:
        if self.adds_up and len(self.accounts) > 1:
            from connector.accounts.ledger import open_accounts

            of = self.shared, self.accounts
            return open_accounts(*of, self.now(), mixed=self.is_mixed)
        from connector.reports.ledger import open_ledger

        return open_ledger(self.config, self.now())


def user_folder() -> Path:
    """Where a user's own configuration lies."""
    return Path(click.get_app_dir("stripe-nrr"))


@contextmanager
def _uncollected() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def warn_of_other_rules(ledger: "Ledger") -> None:
    """Say where the configuration asks for others than the ledger is derived by."""
    if ledger.has_other_rules:
        warn(
            "the configuration asks for another policy or time zone than the ledger has",
            "run `stripe-nrr recompute`; until then the ledger's own are shown",
        )


def _warn_of_outside(ledger: "Ledger") -> None:
    outside = ledger.outside()
    if outside:
        from connector.render.footnotes import outside_sentence

        sentence = outside_sentence(outside, ledger.config.locale)
        if sentence is not None:
            warn(sentence, "`stripe-nrr coverage` names it, and says what can be done")


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
    type=click.Path(dir_okay=False, path_type=Path),
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
@click.version_option(__version__, message="%(prog)s %(version)s")
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


def main() -> None:
    """Run a command; the language that it speaks is its own."""
    copy_context().run(_main)


def _main() -> None:
    """Run a command; say what failed and what to do about it, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no "–"
    prepare(sys.argv[1:], COMMANDS)
    speak(language_of(STDERR.config, user_folder()))
    # Nothing here multiplies matrices: numpy need not start threads for that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with _ended_by_sigterm():
        code = ended(_run, fail)
    sys.exit(code)


def _run() -> object:
    try:
        return stripe_nrr.main(prog_name="stripe-nrr", standalone_mode=False)
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
