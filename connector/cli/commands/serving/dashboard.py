"""`stripe-nrr dashboard`: the reports in a browser, read-only."""

import asyncio
import gc
import webbrowser
from collections.abc import Callable
from typing import Any

import click

from connector.cli.accounts import ledger_reader
from connector.cli.output import echo
from connector.cli.params import ReadParam
from connector.cli.shell import Shell
from connector.config import ListenAddress, listen_address
from connector.core.language import _
from connector.store.read_only import open_to_read

# A wide answer is some hundred thousand tuples without a cycle among them: to look
# through them every 700 takes longer than to read them.
GARBAGE_AFTER = 50_000


def _address(text: str) -> ListenAddress:
    try:
        return listen_address(text)
    except (TypeError, ValueError) as error:
        raise ValueError(text) from error


BIND = ReadParam("HOST:PORT", _address, "an address", "127.0.0.1:8481")


@click.command()
@click.option(
    "--bind",
    type=BIND,
    help="Where to listen; port 0 is any that is free. Default: [dashboard] bind.",
)
@click.option("--open", "opens", is_flag=True, help="Open it in your browser.")
@click.pass_obj
def dashboard(shell: Shell, bind: ListenAddress | None, *, opens: bool) -> None:
    """Look at the reports in a browser, down to the invoice line; nothing is written.

    Every figure leads to the customers, movements, sums and Stripe objects that it is
    made of, and every page has an address that can be mailed, offers CSV and JSON, and
    tells the command that gives the same. It shows the newest state of the ledger
    without a restart.

    By default only this machine may look. On another address it needs [dashboard]
    token_file: it then prints an address that lets a browser in once, for a month.
    SIGTERM or Ctrl-C ends it.

    \b
    Examples:
      stripe-nrr dashboard --open
      stripe-nrr dashboard --bind 127.0.0.1:0
    """  # noqa: D301
    serve_dashboard(shell, bind or shell.config.dashboard_bind, opens=opens)


def serve_dashboard(shell: Shell, bind: ListenAddress, *, opens: bool) -> None:
    """Until a signal ends it; its address is printed once it answers."""
    from connector.dashboard.access import BOUND_BY, KEY, Access
    from connector.dashboard.app import DashboardApp
    from connector.webhooks import admin_access, server

    config = shell.config
    access = Access(
        bind, admin_access.read_token(config.token_file, bind, KEY, BOUND_BY)
    )
    for each in shell.accounts:  # as every command, brings it up to date
        if each.database.is_file():
            open_to_read(each.database).close()
    reader = ledger_reader(shell)
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)
    app: Any = DashboardApp(reader, access)
    with server.listen(*bind, fix="give another --bind") as listening:
        ready = _ready(server.url_of(listening), access.entry_code, opens=opens)
        asyncio.run(server.run([(app, listening)], is_alive=lambda: True, ready=ready))
    reader.close()


def _ready(address: str, code: str, *, opens: bool) -> Callable[[], None]:
    def ready() -> None:
        echo(address)
        if code:
            once = _("lets one browser in, once")
            echo(f"{address}/enter/{code}  {once}")
        if opens:
            webbrowser.open(f"{address}/enter/{code}" if code else address)

    return ready
