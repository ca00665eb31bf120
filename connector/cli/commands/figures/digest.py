"""`stripe-nrr digest`: what is new since the last time."""

from contextlib import closing
from datetime import date
from pathlib import Path

import click

from connector.cli.forms import emit
from connector.cli.options import formats_option, out_option
from connector.cli.params import ReadParam
from connector.cli.shell import Shell
from connector.core.dates import parse_day
from connector.core.language import message
from connector.digest.news import Digest, make_digest
from connector.store.database import make_durable, transaction

LAST = "last"


def _since(text: str) -> date | None:
    """None is the last digest."""
    return None if text == LAST else parse_day(text)


SINCE = ReadParam("last|YYYY-MM-DD", _since, "a day", message("2026-03-31, or last"))


@click.command()
@click.option(
    "--since",
    type=SINCE,
    default=LAST,
    show_default=True,
    help="Tell what is new since the last digest, or of this day and later; a day leaves "
    "open what the next digest tells.",
)
@click.option("--only-news", is_flag=True, help="Print nothing where nothing is new.")
@click.option(
    "--peek", is_flag=True, help="Tell the same again next time: nothing is written."
)
@formats_option("text", "markdown", "slack", "html", "json")
@out_option
@click.pass_obj
def digest(
    shell: Shell,
    since: date | None,
    form: str,
    output: Path | None,
    *,
    only_news: bool,
    peek: bool,
) -> None:
    """Tell what is new: the month that is over, movements, risks, restatements, trouble.

    Each is told once: the ledger keeps how far it was told, written after the digest is
    printed, so that one that is cut short is told again; of several accounts each
    ledger does. The first digest tells of the
    last seven days, and of all that is at risk or amiss. A month is told once it is over
    and nothing of it is missing.

    `slack` is the body that an incoming webhook of Slack's takes. This command opens no
    connection: pipe it to `mail` or `curl`.

    \b
    Examples:
      stripe-nrr digest
      stripe-nrr digest --only-news --format slack -o news.json
      stripe-nrr digest --since 2026-03-01 --format markdown
    """  # noqa: D301
    from connector.digest import forms

    with shell.reading(tells_outside=False) as ledger:
        found = make_digest(ledger, since)
    locale = shell.config.locale
    if found.has_news or not only_news:
        emit(
            form,
            output,
            facts=shell.facts if form == "json" else None,
            text=lambda: forms.to_text(found, locale),
            markdown=lambda: forms.to_markdown(found, locale),
            slack=lambda: forms.to_slack(found, locale),
            html=lambda: forms.to_html(found, locale),
            json=lambda: _as_json(found),
        )
    if since is None and not peek:
        _go_on(shell, found)


def _as_json(found: Digest) -> object:
    from connector.digest.json_form import to_json

    return to_json(found)


def _go_on(shell: Shell, found: Digest) -> None:
    """Only once it was printed: what is told twice is better than what is never told."""
    for account, cursor in zip(shell.accounts, found.cursors, strict=True):
        with closing(shell.of(account).ledger()) as connection:
            make_durable(connection)
            with transaction(connection):
                cursor.keep(connection)
