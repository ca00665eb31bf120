"""`stripe-nrr serve`: webhooks in, the ledger live."""

import asyncio
import logging
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from socket import socket
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from connector.cli.accounts import ledger_reader, telling_of_account
from connector.cli.served_account import ServedAccount, not_opened, opened
from connector.cli.shell import Shell
from connector.cli.stderr import fail, note
from connector.config import Config
from connector.core.account import StripeIdentity
from connector.core.errors import ConnectorError, system_fault
from connector.core.language import _
from connector.webhooks.account_guard import RefusedEvents

if TYPE_CHECKING:
    from connector.dashboard.access import Access
    from connector.webhooks.endpoint import EndpointSettings
    from connector.webhooks.health import Health
    from connector.webhooks.prometheus import ServerMetrics

log = logging.getLogger(__name__)

# Every request hands the interpreter over several times; each time a derivation may keep
# it for so long. Python's own 5 ms let acknowledgements wait for a tenth of a second.
SWITCH_S = 0.0001
AGAIN_S = 5.0  # between two attempts of an account to begin
LEFT_S = 0.2  # in which a request is handed over
BEGINS = ("it begins", "wait for a moment")


@click.command()
@click.pass_obj
def serve(shell: Shell) -> None:
    """Receive Stripe's webhooks and keep the ledger up to date within seconds.

    Answers POST /webhooks/stripe on [serve] bind once an event is durable, then fetches
    what it names and derives the customers concerned. /healthz, /readyz, /metrics and the
    dashboard are on [serve] admin_bind. Needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET (or
    the same with _FILE; several secrets with commas in between).

    Run `stripe-nrr sync` on a schedule all the same: it finds what a lost webhook would
    have told. SIGTERM ends it, with exit code 0, after the batch in hand.

    config.toml is read at the start: restart it after a change. Only [policy], timezone
    and [customers] merge it takes over by itself, once a sync has applied them.

    Of several accounts one server takes all: an event goes to the account that it names,
    or whose secret signed it, and what keeps one account keeps no other. Each has its
    inbox; /readyz, /metrics and the log say whose each line is. One that cannot begin is
    tried again every 5 seconds.
    """
    from connector.webhooks import admin_access, prometheus, server

    shell.log_to_stderr()
    config = shell.shared
    counted = prometheus.ServerMetrics(several=len(shell.accounts) > 1)
    token = admin_access.admin_token(config.admin_token_file, config.admin_bind)
    with ExitStack() as stack:
        ports = _Ports(
            stack.enter_context(server.listen(*config.bind)),
            stack.enter_context(server.listen(*config.admin_bind)),
            token,
        )
        served = stack.enter_context(closing(_ServedAccounts(shell, counted)))
        served.begin()
        was_asked = _run(stack, shell, served, counted, ports)
    if not was_asked:
        sys.exit(1)


class _Ports(NamedTuple):
    """The internet's and the operator's, and the token that opens the latter."""

    public: socket
    private: socket
    token: str | None


class _ServedAccounts:
    """All accounts. What keeps one of several keeps no other: it is told, and waits.

    ``receiving`` is what the internet's port looks at with each request: whoever could
    not begin is tried again in a thread, and then takes its place in it.
    """

    def __init__(self, shell: Shell, counted: "ServerMetrics") -> None:
        self._shell, self._counted = shell, counted
        self._ended = Event()
        self._thread = Thread(target=self._begin_again, name="begin again", daemon=True)
        self.each: list[ServedAccount] = []
        self.receiving: list[EndpointSettings] = []

    def begin(self) -> None:
        """Raise what keeps all of them."""
        faults = []
        for account in self._shell.accounts:
            with self._telling(account):
                try:
                    begun = self._opened(account)
                except ConnectorError as error:
                    faults.append(error)
                    begun = self._waiting(account, error)
            self.each.append(begun)
            self.receiving.append(begun.receiving)
        if len(faults) == len(self.each):
            raise faults[0]
        self._thread.start()

    @contextmanager
    def _telling(self, account: Config) -> Iterator[None]:
        if len(self._shell.accounts) == 1:
            yield
            return
        with telling_of_account(account.name, at_once=True):
            yield

    def _opened(self, account: Config) -> ServedAccount:
        own = self._shell.of(account)
        return opened(own, self._counted, len(self._shell.accounts))

    def _waiting(self, account: Config, error: ConnectorError) -> ServedAccount:
        if len(self._shell.accounts) > 1:  # else it ends, and says so
            fail(error.problem, error.fix)
        return not_opened(account, error.problem, error.fix, self._counted)

    def _begin_again(self) -> None:
        while not self._ended.wait(AGAIN_S):
            for place, account in enumerate(self._shell.accounts):
                if not self._ended.is_set() and self.each[place].waits():
                    with self._telling(account):
                        self._begin_anew(place, account)

    def _begin_anew(self, place: int, account: Config) -> None:
        """Without its threads of before, if any: no request may be left with them."""
        before = self.each[place]
        if before.has_begun:
            self._put(place, not_opened(account, *BEGINS, self._counted))
            self._ended.wait(LEFT_S)
            before.end()
            before.close()
        try:
            begun = self._opened(account)
        except (ConnectorError, sqlite3.Error, OSError) as error:
            told = system_fault(error) if isinstance(error, OSError) else error
            said = getattr(told, "problem", str(error)), getattr(told, "fix", "")
            log.warning("serve.waits account=%s %s", account.name, said[0])
            begun = not_opened(account, *said, self._counted)
        else:
            log.info("serve.begun account=%s", account.name)
        self._put(place, begun)

    def _put(self, place: int, account: ServedAccount) -> None:
        self.each[place] = account
        self.receiving[place] = account.receiving

    def close(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        for each in self.each:
            each.end()  # all at once: who leaves waits for each no longer than for one
        with ExitStack() as stack:
            for each in self.each:
                stack.callback(each.close)


def _run(
    stack: ExitStack,
    shell: Shell,
    served: "_ServedAccounts",
    counted: "ServerMetrics",
    ports: _Ports,
) -> bool:
    """Answer on both ports until asked to end (True), or until a thread has died."""
    from connector.dashboard.access import Access
    from connector.webhooks import admin_access, endpoint, health, prometheus, server

    config, strays = shell.shared, RefusedEvents()
    public, private, token = ports
    access = Access(config.admin_bind, token)

    def is_alive() -> bool:
        return all(each.is_alive() for each in served.each)

    def exposition(found: "Mapping[str, Health]") -> bytes:
        text = b""
        for each in served.each:
            if each.name in found:
                its = found[each.name]
                text = counted.exposition(its, each.figures(), each.name)
        return text

    admin = health.admin_app(
        is_alive=is_alive,
        look=lambda: {each.name: each.look() for each in served.each},
        exposition=exposition,
        content_type=prometheus.CONTENT_TYPE,
        strays=strays.warnings,
    )
    inner: Any = admin_access.guarded(admin, config.admin_bind, token)
    inner = _beside_dashboard(stack, shell, access, inner)
    nobodys = endpoint.Unsigned(
        count=counted.count,
        stray=lambda event, origin: strays.tell(event, _of_nobody(origin, served.each)),
    )
    outer: Any = endpoint.endpoint_app(served.receiving, unsigned=nobodys)
    listening = [(outer, public), (inner, private)]

    def ready() -> None:
        outside, inside = map(server.url_of, (public, private))
        note(_("webhooks: {url}").format(url=f"{outside}{endpoint.PATH}"))
        note(_("admin:    {url}").format(url=f"{inside}/readyz"))
        entry = f"/enter/{access.entry_code}" if access.needs_token else "/"
        note(_("look at:  {url}").format(url=f"{inside}{entry}"))

    sys.setswitchinterval(SWITCH_S)
    return asyncio.run(server.run(listening, is_alive=is_alive, ready=ready))


def _of_nobody(origin: StripeIdentity, served: Sequence[ServedAccount]) -> str:
    known = ", ".join(f"{it.name} ({it.receiving.account().id})" for it in served)
    whose = (
        f"of {origin.id}" if origin.id else "of a shared secret, and names no account"
    )
    return f"the accounts here are {known}, and the event is {whose}"


def _beside_dashboard(
    stack: ExitStack, shell: Shell, access: "Access", admin: Any
) -> Any:
    from connector.dashboard.app import DashboardApp, beside
    from connector.webhooks import health

    reader = stack.enter_context(closing(ledger_reader(shell)))
    return beside(DashboardApp(reader, access), admin, health.PATHS)
