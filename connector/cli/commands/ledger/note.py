"""`stripe-nrr note`: what people say of a month, kept beside its figures."""

import re
import sqlite3
from datetime import date, datetime

import click

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.params import CUSTOMER, MONTH
from connector.core.errors import NothingFound, UsageFault
from connector.core.kept.months import Note
from connector.core.language import _, month_text
from connector.reports.movements import find_one
from connector.store.database import moment
from connector.store.mirror import forgotten
from connector.store.months import notes

MOST = 500  # characters of a note, and of its URL
URL = re.compile(r"https?://[^\s<>\"\\\\]+")


@click.command()
@click.argument("month", type=MONTH, required=False)
@click.argument("text", required=False)
@click.option("--customer", type=CUSTOMER, help="Of whom it is: cus_… or a name.")
@click.option("--url", metavar="URL", help="Where more of it stands: http or https.")
@click.option(
    "--withdraw",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take note N back: it stays in the ledger, and is shown no more.",
)
@output_option
def note(
    out: Output,
    month: date | None,
    text: str | None,
    customer: str | None,
    url: str | None,
    number: int | None,
) -> None:
    """Note TEXT at a MONTH, as 2026-03, or take a note back.

    Reports, page and dashboard show it wherever they show that month. It is appended to
    the ledger, and never edited. What is of one customer belongs under --customer, and
    its name not into the text: `forget` removes notes that are its own, but reads none.

    \b
    Examples:
      stripe-nrr note 2026-03 "price rise"
      stripe-nrr note 2026-03 "moved to the yearly plan" --customer cus_123
      stripe-nrr note --withdraw 2
    """  # noqa: D301
    from connector.render.report.json_form import note_json

    said = _checked(month, text, url, number)
    with out.shell.writing() as connection:
        now = moment(connection, out.shell.now())
        if number is not None:
            kept = notes.withdraw(connection, _numbered(connection, number), now)
        else:
            assert month is not None
            kept = _add(connection, month, said, now, customer, url)
    out.write(text=lambda: _as_text(kept), json=lambda: {"note": note_json(kept)})


def _checked(
    month: date | None, text: str | None, url: str | None, number: int | None
) -> str:
    """The text, in one line; "" where a note is withdrawn."""
    said = " ".join((text or "").split())
    if (number is None) == (month is None):
        raise UsageFault(
            "a note has a month and a text, or else a number to withdraw",
            fix='write `stripe-nrr note 2026-03 "price rise"`, or `stripe-nrr note '
            "--withdraw 2`",
        )
    if number is None and not 0 < len(said) <= MOST:
        raise UsageFault(
            f"the text of a note has 1 to {MOST} characters, and this one {len(said)}",
            fix='write it: "price rise"',
        )
    if url is not None and (len(url) > MOST or not URL.fullmatch(url)):
        raise UsageFault(
            f"{url[:MOST]!r} is no address of a page",
            fix="write it as https://example.com/decision",
        )
    return said


def _numbered(connection: sqlite3.Connection, number: int) -> Note:
    for each in notes.ever(connection):
        if each.id == number:
            return each
    raise NothingFound(
        f"there is no note {number}", fix="`stripe-nrr notes` lists them"
    )


def _add(
    connection: sqlite3.Connection,
    month: date,
    text: str,
    now: datetime,
    customer: str | None,
    url: str | None,
) -> Note:
    whose = "" if customer is None else find_one(connection, customer).id
    if whose and forgotten.among(connection, [whose]):
        raise UsageFault(
            f"{whose} was forgotten: nothing more is kept of it",
            fix="leave out --customer, and write nothing of it",
        )
    return notes.add(connection, month, text, now, customer=whose, url=url or "")


def _as_text(kept: Note) -> str:
    done = (
        _("Noted, as number {number}, at {month}: {text}")
        if kept.withdrawn_at is None
        else _("Withdrawn, as number {number}, at {month}: {text}")
    )
    return done.format(
        number=kept.id,
        month=month_text(kept.month),
        text=kept.text or _("erased with its customer"),
    )
