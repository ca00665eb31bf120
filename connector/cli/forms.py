"""A result in the form that was asked for, and what its ledger lacks."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from connector.cli.output import (
    account_lines,
    echo,
    terminal_columns,
    with_accounts,
    write,
    write_csv_text,
    write_json,
)
from connector.cli.progress import Progress, progress_shown
from connector.cli.stderr import warn
from connector.core.errors import MissingExtra
from connector.core.language import _
from connector.core.model import JSON_SCHEMA
from connector.core.text import cells

if TYPE_CHECKING:
    from connector.cli.shell import Shell
    from connector.render.table import Part
    from connector.reports.ledger_facts import LedgerFacts
    from connector.reports.model import Report

FINDINGS = 3  # the exit code of what is not as it should be


class Output(NamedTuple):
    """What a command answers with: the form asked for, a file or None, and its shell."""

    form: str
    path: Path | None
    shell: "Shell"

    @property
    def locale(self) -> str:
        return self.shell.config.locale

    def progress(self) -> AbstractContextManager[Progress]:
        """How far the work is; whoever asked for JSON reads the end alone."""
        return progress_shown(quiet=self.form == "json")

    def drawn(self, parts: "Iterable[Part]") -> Any:
        """A document as a terminal shows it."""
        from connector.render.terminal import view

        return view(map(_asked, parts), self.locale)

    def plain(self, parts: "Iterable[Part]") -> Any:
        """The same, but as plain text in a pipe, in a file, and of one in turn."""
        from connector.render.table import to_plain

        is_shown = terminal_columns() is not None and account_lines() is None
        if self.path is None and is_shown:
            return self.drawn(parts)
        return to_plain(map(_asked, parts), self.locale)

    def markdown(self, parts: "Iterable[Part]") -> str:
        from connector.render.table import to_markdown

        return to_markdown(parts, self.locale)

    def write(self, **forms: Callable[[], Any]) -> None:
        """Write it in the form asked for, see ``emit``."""
        emit(self.form, self.path, None, **forms)

    def answer(self, **forms: Callable[[], Any]) -> None:
        """The same of the ledger that was read, with what that lacks."""
        emit(self.form, self.path, self.shell.facts, **forms)

    def document(
        self, parts: "Callable[[], Iterable[Part]]", **forms: Callable[[], Any]
    ) -> None:
        """The same of what is one document as text and as Markdown."""
        self.answer(
            text=lambda: self.drawn(parts()),
            markdown=lambda: self.markdown(parts()),
            **forms,
        )

    def show_report(self, figures: "Report") -> None:
        """A report in any form that is one of tables."""
        self.write(**{self.form: lambda: _of_report(figures, self.form, self.locale)})
        if self.form == "csv" and (any(figures.missing) or figures.begins_at):
            warn_of_missing(figures.facts)
        if self.form == "text" and not figures.parts and figures.begins_at is None:
            echo(_("There is no recurring revenue in this ledger."))


def _asked(part: "Part") -> "Part":
    """What is said beside the figures, with the accounts that these are of."""
    return with_accounts(part) if isinstance(part, str) else part


def _of_report(figures: "Report", form: str, locale: str) -> Any:
    """What a form imports is imported with it."""
    if form == "json":
        from connector.render.report.json_form import to_json

        return to_json(figures)
    if form == "text":
        from connector.render.report.terminal import report_view

        return report_view(figures, locale)
    from connector.render.report.csv_form import to_csv
    from connector.render.report.tables import to_markdown

    return to_csv(figures) if form == "csv" else to_markdown(figures, locale)


def end_with_findings() -> NoReturn:
    """Once all is said: something is not as it should be."""
    raise click.exceptions.Exit(FINDINGS)


def rendered(view: Any, output: Path | None) -> None:
    """Print a rich renderable; into a file or a pipe as plain text."""
    from connector.render.terminal import PIPE_WIDTH, Harmless, console

    lines = account_lines()
    if output is None and lines is None:
        out = console()
        out.print(Harmless(view), soft_wrap=not out.is_terminal, crop=False)
        return
    columns = terminal_columns() if output is None else None
    if columns is None or lines is None:
        columns = PIPE_WIDTH
    else:
        columns -= cells(lines.of(""))
    fixed = console(width=columns)
    with fixed.capture() as captured:
        fixed.print(view, soft_wrap=True)
    write(captured.get(), output)


def emit(
    form: str,
    output: Path | None = None,
    facts: "LedgerFacts | None" = None,
    **forms: Callable[[], Any],
) -> None:
    """Write a result in the form asked for; only that one is made, and what it imports.

    ``json`` gives a dict of plain values, ``text`` a text or a rich renderable, ``csv`` a
    text or what writes one, any other a text. With the ``facts`` of the ledger that was
    read, every form says what is missing, a page by itself; a CSV has no room for it, so
    the command ends with 3.
    """
    made, lines = forms[form](), account_lines()
    told = _told(facts) if form not in ("html", "csv") else []
    if form == "json" and lines is not None and not lines.at_once:
        lines.kept |= {**_known(facts), **made}
    elif form == "json":
        whose = {} if lines is None else {"account": lines.account}
        value = {"schema": JSON_SCHEMA, **whose, **_known(facts), **made}
        write_json(value, output)
    elif form == "csv":
        write_csv_text(made, output)
        warn_of_missing(facts)
        if facts is not None and any(facts.missing):
            end_with_findings()
    elif isinstance(made, str):
        emphasis = "**" if form == "markdown" else ""
        text = "\n".join([*(f"{emphasis}{n}{emphasis}\n" for n in told), made])
        if form == "text" and output is None:
            echo(text, nl=not text.endswith("\n"))
        else:
            write(text, output)
    else:
        from rich.console import Group

        from connector.render.terminal import Lines

        rendered(Group(*(Lines(n, "bold yellow") for n in told), made), output)


def warn_of_missing(facts: "LedgerFacts | None") -> None:
    """What the figures lack, beside a table that has no room for it."""
    for line in _told(facts):
        warn(line)


def _told(facts: "LedgerFacts | None") -> list[str]:
    if facts is None:
        return []
    from connector.render.report.missing import banner

    return banner(facts)


def _known(facts: "LedgerFacts | None") -> dict[str, Any]:
    if facts is None:
        return {}
    from connector.render.report.json_form import facts_json

    return facts_json(facts)


@contextmanager
def parquet_needed(instead: str = "") -> Iterator[None]:
    """Where what is imported needs pyarrow."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            "Parquet needs pyarrow, which is not installed",
            fix=f"pip install 'stripe-nrr[parquet]'{instead}",
        ) from error
