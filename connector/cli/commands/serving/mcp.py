"""`stripe-nrr mcp`: the reports as tools of an assistant."""

import sys
from contextlib import closing, redirect_stdout

import click

from connector.cli.accounts import ledger_reader
from connector.cli.shell import Shell
from connector.core.errors import MissingExtra


@click.command()
@click.option(
    "--no-names",
    "nameless",
    is_flag=True,
    help="Leave out what customers and their owners are called; ids stay.",
)
@click.pass_obj
def mcp(shell: Shell, *, nameless: bool) -> None:
    """Let an assistant ask the ledger, read-only, over stdin and stdout (MCP).

    An assistant's program starts it; it ends when that one closes stdin. Eight tools
    give the JSON of report, explain, movements, at-risk, cohorts and coverage, and beside
    it until when all is known, which windows are final, what was left out, and the
    command that gives the same. No key is read, no network opened, nothing written.

    It needs `pip install 'stripe-nrr[mcp]'`.

    \b
    Examples:
      stripe-nrr mcp
      stripe-nrr --config /etc/stripe-nrr/config.toml mcp --no-names
    """  # noqa: D301
    try:
        from connector.assistants.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        raise MissingExtra(
            "assistants are served with the MCP SDK, which is not installed",
            fix="pip install 'stripe-nrr[mcp]'",
        ) from None

    shell.is_for_programs = True  # sentences in English, as JSON's
    wire = sys.stdout.buffer
    with (
        closing(ledger_reader(shell)) as reader,
        redirect_stdout(sys.stderr),  # what is no message would break the session
    ):
        serve(reader, sys.stdin.buffer, wire, names=not nameless)
