"""`stripe-nrr digest`: what is new since the last time."""

from datetime import date

import click

from connector.cli.forms import Output
from connector.cli.options import output_options
from connector.cli.params import ReadParam
from connector.cli.shell import Shell
from connector.core.dates import parse_day
from connector.core.language import message
from connector.digest.news import Digest, make_digest

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
@output_options("text", "markdown", "slack", "html", "json")
def digest(out: Output, since: date | None, *, only_news: bool, peek: bool) -> None:
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

    shell, locale = out.shell, out.locale
    with shell.reading(tells_outside=False) as ledger:
        found = make_digest(ledger, since)
    if found.has_news or not only_news:
        tell = out.answer if out.form == "json" else out.write  # which says what lacks
        tell(
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
        with shell.of(account).writing() as connection:
            cursor.keep(connection)
