"""Which accounts a command takes, and the one place where it takes one after the other.

Every command is written for one: its shell's ``config``. Where the configuration names
several, ``takes_accounts`` calls it once for each, and says whose each line is.
"""

import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial, wraps
from threading import Event, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import click

from connector.cli.endings import ended
from connector.cli.forms import emit
from connector.cli.output import (
    AccountLines,
    name_accounts,
    telling_of,
    with_accounts,
)
from connector.cli.shell import Shell
from connector.cli.stderr import fail
from connector.config import Config
from connector.core.errors import ConfigError, UsageFault

if TYPE_CHECKING:
    from connector.dashboard.ledger_reader import LedgerReader

# ``each``: all, or those named, one after the other. ``named``: the same, but where there
# are several they have to be named. ``one``: one, which has to be named. ``all``: the
# command takes them at once itself, from ``Shell.accounts``. ``sum``: it reads one ledger,
# in which those named, or all, are added up. ``none``: it has no account.
Taking: TypeAlias = Literal["each", "named", "one", "sum", "all", "none"]

TAKEN: Mapping[Taking, str] = {
    "each": "sync recompute check doctor backup inbox",
    "named": "close note forget",
    "one": "compare reconcile notes restatements restore",
    "sum": "report cohorts at-risk churn coverage movements explain drift export digest"
    " dashboard mcp",
    "all": "serve",
    "none": "demo config lake webhook-setup",
}
TAKES: Mapping[str, Taking] = {
    command: taking for taking, names in TAKEN.items() for command in names.split()
}

# Options that name something of one account.
OF_ONE = ("customer", "event_ids")
# What a scheduler is told of several: of the first in this order that came up. That one
# could not begin (75) is no fault, and is seen to by the next run.
GRAVEST = (1, 2, 3, 75, 0)


def takes_accounts(command: click.Command, taking: Taking) -> click.Command:
    """The command, with --account, and called for each account where it takes several."""
    if taking == "none" or any(each.name == "asked" for each in command.params):
        return command
    command.params.append(_option(taking))
    if taking in ("sum", "all"):
        command.params.append(_mixed_option())
    if isinstance(command, click.Group):
        for each in command.commands.values():
            takes_accounts(each, taking)
    if taking in ("each", "named") and command.callback is not None:
        command.callback = _in_turn(command.callback, taking)
    return command


EVERY = "Of several accounts only this one; may be given again. Default: all."
HELP: Mapping[Taking, str] = {
    "each": EVERY,
    "all": EVERY,
    "named": "Which of several accounts; may be given again.",
    "one": "Which of several accounts.",
    "sum": "Of several accounts only this one; may be given again. Default: all, added up.",
}


def _option(taking: Taking) -> click.Option:
    def asked(
        ctx: click.Context, _param: click.Parameter, names: Sequence[str]
    ) -> None:
        shell: Shell = ctx.obj
        shell.adds_up |= taking == "sum"
        shell.asked += tuple(names)
        name_accounts(partial(asked_of, shell.asked))

    return click.Option(
        ["--account", "asked"],
        metavar="NAME",
        multiple=True,
        expose_value=False,
        is_eager=True,  # the values of others depend on whose they are
        callback=asked,
        help=HELP[taking],
    )


def _mixed_option() -> click.Option:
    def asked(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001
        ctx.obj.is_mixed |= value

    return click.Option(
        ["--mixed"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=asked,
        help="Add accounts up whose policy or time zone differ, and say so.",
    )


# One that is written somewhere, and does not say by itself of which accounts.
COMMAND = re.compile(r"\bstripe-nrr ([a-z]+(?:-[a-z]+)*)(?![\w-])(?![^`\n]*--account)")


def asked_of(accounts: Sequence[str], text: str) -> str:
    """A text whose commands are asked of these accounts; none is asked of too many."""

    def named(found: re.Match[str]) -> str:
        taking = TAKES.get(found[1], "none")
        if taking == "none" or (taking == "one" and len(accounts) > 1):
            return found[0]
        return " ".join([found[0], *(f"--account {name}" for name in accounts)])

    return COMMAND.sub(named, text) if accounts else text


@contextmanager
def telling_of_account(name: str, *, at_once: bool = False) -> Iterator[AccountLines]:
    """Each line says whose it is; ``at_once``: others speak meanwhile."""
    with telling_of(AccountLines(name, at_once)) as lines:
        name_accounts(partial(asked_of, [name]))
        yield lines


def _in_turn(callback: Callable[..., Any], taking: Taking) -> Callable[..., Any]:
    @wraps(callback)
    def called(**options: Any) -> Any:
        ctx = click.get_current_context()
        shell: Shell = ctx.obj
        if not _are_several(shell) or ctx.invoked_subcommand is not None:
            return callback(**options)
        if not shell.asked and taking == "named":
            raise _unnamed(shell.accounts)
        if not shell.asked and any(map(options.get, OF_ONE)):
            return shell.config  # which says that one has to be named
        code = _AccountsInTurn(ctx, shell, callback, options).run()
        return ctx.exit(code)

    return called


def _unnamed(accounts: Sequence[Config]) -> UsageFault:
    names = ", ".join(each.name for each in accounts)
    every = " ".join(f"--account {each.name}" for each in accounts)
    return UsageFault(
        f"there are several accounts, and none is named: {names}",
        fix=f"say which: {every}, or some of these",
    )


def _are_several(shell: Shell) -> bool:
    try:
        return len(shell.accounts) > 1
    except ConfigError:
        return False  # the command says so, each in its way


@dataclass(frozen=True, slots=True)
class _AccountsInTurn:
    """One command of several accounts: what keeps one of them keeps no other."""

    ctx: click.Context
    shell: Shell
    callback: Callable[..., Any]
    options: Mapping[str, Any]

    def run(self) -> int:
        """The gravest of the exit codes."""
        if self.options.get("every_s") is not None:
            return _gravest(self._at_once())
        told: list[dict[str, Any]] = []
        codes: list[int] = []
        for account in self.shell.accounts:
            with telling_of_account(account.name) as lines:
                codes.append(self._code(account, lines))
            told.append({"account": account.name, "exit_code": codes[-1], **lines.kept})
            if self.shell.stop.is_set():
                break
        if self.options.get("form") == "json":
            emit("json", json=lambda: {"accounts": told})
        return _gravest(codes)

    def _at_once(self) -> list[int]:
        """For a command that stays: each in a thread, until all are asked to end."""
        codes: list[int] = []

        def stay(account: Config) -> None:
            with telling_of_account(account.name, at_once=True) as lines:
                codes.append(self._code(account, lines))

        with stopped_by_signals(self.shell.stop):
            threads = [
                Thread(target=copy_context().run, args=(stay, each), daemon=True)
                for each in self.shell.accounts
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return codes

    def _code(self, account: Config, lines: AccountLines) -> int:
        """Call it for one; what it raises is said, and kept with what it told."""
        ctx = click.Context(
            self.ctx.command,
            parent=self.ctx.parent,
            info_name=self.ctx.info_name,
            obj=self.shell.of(account),
        )

        def call() -> None:
            with ctx.scope():
                self.callback(**self.options)

        def say(problem: str, fix: str) -> None:
            lines.kept |= {"error": problem, "fix": with_accounts(fix)}
            fail(problem, fix)

        try:
            return ended(call, say)
        except click.exceptions.Exit as asked:
            return asked.exit_code
        except Exception as error:
            import logging  # which takes a while, and is wanted here alone

            log = logging.getLogger(__name__)
            log.exception("accounts.unforeseen account=%s", account.name)
            say(f"{type(error).__name__}: {error}", "report this with the lines above")
            return 1


def _gravest(codes: Sequence[int]) -> int:
    return min(codes, key=lambda code: GRAVEST.index(code) if code in GRAVEST else -1)


def ledger_reader(shell: Shell) -> "LedgerReader":
    """Of the one account, or of several as one; close it."""
    from connector.dashboard.ledger_reader import LedgerReader

    accounts = shell.accounts
    return LedgerReader(
        shell.shared if len(accounts) > 1 else accounts[0],
        shell.now,
        accounts,
        shell.chosen,
        mixed=shell.is_mixed,
    )


@contextmanager
def stopped_by_signals(stop: Event) -> Iterator[None]:
    """SIGTERM and the first Ctrl-C ask to stop; a second Ctrl-C does not ask.

    Only the main thread hears signals; another one is told by it.
    """
    if current_thread() is not main_thread():
        yield
        return

    def ask(number: int, _frame: Any) -> None:
        stop.set()
        signal.signal(number, signal.default_int_handler)

    before = {it: signal.signal(it, ask) for it in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
