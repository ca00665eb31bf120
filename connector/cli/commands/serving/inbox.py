"""`stripe-nrr inbox`: which webhook events wait, which have failed; try them again."""

import click

from connector.cli.forms import Output, end_with_findings
from connector.cli.options import output_option
from connector.cli.output import echo
from connector.cli.shell import Shell
from connector.core.dates import instant, iso
from connector.core.errors import NothingFound
from connector.core.language import _, grouped, instant_text, ngettext
from connector.core.messages import spoken
from connector.core.money import format_count
from connector.core.text import printable
from connector.store import inbox as events
from connector.store.database import transaction
from connector.store.inbox import InboxDepth, TroubledEvent


@click.group(invoke_without_command=True)
@output_option
def inbox(out: Output) -> None:
    """Show the webhook events that `serve` could not bring into the ledger, and why.

    An event that fails is tried eight times within two hours and then set aside as dead;
    nothing is lost, as the next sync sees the same change. Once the reason is gone,
    `stripe-nrr inbox retry` has the running server try again. Exit code 3 where there
    are dead events.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    with out.shell.reading() as ledger:
        depth = events.depth(ledger.connection)
        troubled = events.troubled(ledger.connection)
    out.write(
        text=lambda: _as_text(depth, troubled),
        json=lambda: {
            "waiting": depth.waiting,
            "failing": depth.failing,
            "dead": depth.dead,
            "events": [_as_json(each) for each in troubled],
        },
    )
    if depth.dead:
        end_with_findings()


@inbox.command("retry", short_help="Have dead events tried again.")
@click.argument("event_ids", metavar="[ID…]", nargs=-1)
@click.pass_obj
def retry(shell: Shell, event_ids: tuple[str, ...]) -> None:
    """Have dead events tried again: all of them, or those with these ids (evt_…).

    A running server takes them within a second; else they wait for the next one.
    """
    now_us = int(shell.now().timestamp() * 1_000_000)
    with shell.ledger() as connection, transaction(connection):
        chosen = events.retry(connection, now_us, event_ids)
        unknown = [each for each in event_ids if each not in chosen]
        if unknown:
            raise NothingFound(
                f"there is no dead event {unknown[0]!r} in the inbox",
                fix=(
                    "see `stripe-nrr inbox`; without ids, all dead events are tried again"
                ),
            )
    echo(
        _("{chosen} will be tried again.").format(
            chosen=format_count(len(chosen), "event")
        )
    )


def _due_s(event: TroubledEvent) -> int:
    return event.due_us // 1_000_000


def _as_json(event: TroubledEvent) -> dict[str, object]:
    return {
        "event": event.event,
        "type": event.type,
        "state": event.state,
        "names": [{"kind": kind, "id": key} for kind, key in event.names],
        "tries": event.tries,
        "received_at": iso(event.received_us // 1_000_000),
        "next_try_at": iso(_due_s(event)) if event.state == "waiting" else None,
        "error": event.error,
    }


def _as_text(depth: InboxDepth, troubled: list[TroubledEvent]) -> str:
    failing, dead = depth.failing, depth.dead
    waiting = format_count(depth.waiting, "event")
    lines = [
        _("Waiting: {waiting}, {failing} of them failing. Dead: {dead}.").format(
            waiting=waiting, failing=grouped(failing), dead=grouped(dead)
        )
    ]
    for each in troubled:
        names = ", ".join(key for _kind, key in each.names)
        again = (
            _("again at {next}").format(next=instant_text(instant(_due_s(each))))
            if each.state == "waiting"
            else _("dead")
        )
        tries = ngettext("{number} try", "{number} tries", each.tries)
        tried = tries.format(number=grouped(each.tries))
        lines += [
            printable(f"{each.event}  {each.type}  {names}"),
            printable(f"  {tried}, {again}: {spoken(each.error or '')}"),
        ]
    if dead:
        lines.append(_("Once the reason is gone: stripe-nrr inbox retry"))
    return "\n".join(lines)
