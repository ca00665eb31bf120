"""`stripe-nrr report`: windows asked for → figures → text, JSON, CSV, HTML, a workbook."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from connector import reports
from connector.cli.forms import parquet_needed, show_report
from connector.cli.options import (
    FORMATS,
    by_option,
    currency_option,
    formats_option,
    only_option,
    out_option,
)
from connector.cli.output import THROUGH, write, write_bytes
from connector.cli.params import MONTH, PRESET, moment_asked
from connector.cli.progress import progress_shown
from connector.cli.shell import Shell
from connector.cli.stderr import warn
from connector.core.errors import UsageFault
from connector.core.model import ACCOUNT, METADATA, SegmentValue
from connector.core.windows import WindowKind
from connector.reports.ledger import is_total

if TYPE_CHECKING:
    from connector.reports.page import PageContents, WorkbookContents


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    help="Only windows of this kind. Default: the trailing-12 headline, then months.",
)
@click.option("--from", "first", type=MONTH, help="The first month.")
@click.option("--to", "last", type=MONTH, help="The last month, included.")
@currency_option
@click.option(
    "--as-of",
    metavar="TIMESTAMP",
    help="Read the ledger as it was at this moment: 2026-04-02T09:00:00Z, local time "
    "without an offset, or a day (its end).",
)
@by_option
@only_option
@click.option(
    "--causes", is_flag=True, help="Why the opening customers pay more or less."
)
@click.option(
    "--policy",
    "preset",
    type=PRESET,
    help="As it would be under a preset, such as stripe:default: in memory, the ledger "
    "stays as it is.",
)
@click.option(
    "--lake",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="OUT",
    help="Read a run of `lake` instead of the ledger: its standard windows; with --by, "
    "--segment or --currency total everybody's movements.",
)
@click.option("--arr", is_flag=True, help="Amounts a year (ARR) instead of a month.")
@formats_option(*FORMATS, "html", "xlsx")
@out_option
@click.pass_obj
def report(
    shell: Shell,
    window: str | None,
    first: date | None,
    last: date | None,
    currency: str | None,
    as_of: str | None,
    by: str | None,
    only: tuple[SegmentValue, ...],
    preset: str | None,
    lake: Path | None,
    form: str,
    output: Path | None,
    *,
    causes: bool,
    arr: bool,
) -> None:
    """NRR, GRR, CRR and the waterfall of MRR, from the ledger alone.

    --from and --to are months, both included; a quarter or year is shown if any of its
    months is, a trailing-12 window belongs to the month it ends with. Without them: the
    twelve months up to the last sync. Contraction and churn are what they took away.

    --by tells customers apart by what they had at a window's opening (or came with), so
    that segments add up to the total; --causes tells how much of expansion and
    contraction came from quantity, plans, add-ons, prices, discounts and usage. Both show
    the trailing twelve months, unless told another --window or --from. --segment leaves
    out all other customers; a closing keeps the figures of all of them only, so nothing of
    some is marked as reported, and goals and cohorts are told of all.

    --policy shows what NRR and GRR would be if MRR counted as Stripe's billing overview
    does, under any of its settings: everybody is derived anew, beside the ledger.

    HTML is one page with charts, cohorts, the largest movements and what is at risk: a
    file that needs nothing else. Without --from it covers 24 months; with --by it can
    show each segment by itself.

    xlsx is a workbook for Excel and LibreOffice, with a row a customer of the headline's
    twelve months (of another --window: of the last that is over), over which NRR, GRR, CRR
    and the waterfall are live formulas: change a cell, and they follow. It needs XlsxWriter
    (pip install 'stripe-nrr[xlsx]') and a file to be written to.

    \b
    Examples:
      stripe-nrr report
      stripe-nrr report --format html -o report.html
      stripe-nrr report --format xlsx -o nrr.xlsx
      stripe-nrr report --window quarter --from 2025-01 --to 2026-03
      stripe-nrr report --by plan --causes
      stripe-nrr report --segment country=DE --segment interval=year --by plan
      stripe-nrr report --to 2026-03 --as-of 2026-04-02 --format csv -o march.csv
    """  # noqa: D301
    if lake is not None:
        kinds = [by or "", *(each.by for each in only)]
        is_of_objects = any(
            kind.startswith(METADATA) or kind == ACCOUNT for kind in kinds
        )
        wide = (form == "html", form == "xlsx")
        _refuse_with_lake(is_of_objects, causes, bool(as_of), bool(preset), *wide)
    _check_form(form, output)
    is_wide = bool(by or only) or is_total(currency)
    with _ledger(shell, preset, lake, is_wide=is_wide) as ledger:
        asked = reports.ReportRequest(
            kind=WindowKind(window) if window else None,
            first=first,
            last=last,
            currency=currency,
            as_of=moment_asked(as_of, ledger.zone),
            by=by,
            causes=causes,
            arr=arr,
            trend=form == "html",
            only=only,
        )
        show: Callable[[Path | None], None]
        if form == "xlsx":
            command = _command(asked, as_of, preset)
            _write_workbook(reports.make_workbook(ledger, asked), command, output)
            return
        show = _shown(ledger, asked, form, shell.config.locale)
    show(output)


def _check_form(form: str, output: Path | None) -> None:
    is_terminal = output in THROUGH and sys.stdout.isatty()
    if form == "xlsx" and (output is None or is_terminal):
        raise UsageFault("a workbook cannot be printed", fix="name a file: -o nrr.xlsx")


def _command(
    asked: reports.ReportRequest, as_of: str | None, preset: str | None
) -> str:
    """What gives the same workbook."""
    given = {
        "window": asked.kind,
        "from": asked.first and f"{asked.first:%Y-%m}",
        "to": asked.last and f"{asked.last:%Y-%m}",
        "currency": asked.currency,
        "as-of": as_of,
        "by": asked.by,
        "policy": preset,
    }
    told = [
        word
        for name, value in given.items()
        if value is not None
        for word in (f"--{name}", str(value))
    ]
    told += [word for each in asked.only for word in ("--segment", str(each))]
    flags = ["--arr"] if asked.arr else []
    words = [
        "stripe-nrr",
        "report",
        *told,
        *flags,
        "--format",
        "xlsx",
        "-o",
        "nrr.xlsx",
    ]
    return shlex.join(words)


def _write_workbook(
    found: "WorkbookContents", command: str, output: Path | None
) -> None:
    from connector.pipeline.quarantine import underivable
    from connector.render.workbook.workbook import to_xlsx

    failed = found.at_risk.failed if found.at_risk is not None else {}
    if (error := underivable(failed)) is not None:
        warn(error.problem, error.fix)
    assert output is not None
    with TemporaryDirectory() as folder:
        write_bytes(to_xlsx(found, command, folder), output)


@contextmanager
def _ledger(
    shell: Shell, preset: str | None, lake: Path | None, *, is_wide: bool
) -> Iterator[reports.Ledger]:
    """The ledger, or what it would be under a preset, or a run's sums as one."""
    if lake is not None:
        with _ledger_of_run(shell, lake, is_wide=is_wide) as ledger:
            yield ledger
        return
    with shell.reading() as ledger:
        if preset is None:
            yield ledger
            return
        with (
            progress_shown() as progress,
            reports.under_preset(ledger, preset, partial(progress, preset)) as other,
        ):
            yield other


@contextmanager
def _ledger_of_run(
    shell: Shell, out: Path, *, is_wide: bool
) -> Iterator[reports.Ledger]:
    with parquet_needed():
        from connector.lake.reading import read_books, read_sums
    from connector.store.ledger_of_sums import ledger_of_sums

    config = shell.config
    if not is_wide:  # a total takes the movements
        config = replace(config, reporting_currency=None)
    books = read_books(out) if is_wide else None
    with ledger_of_sums(read_sums(out), books) as connection:
        yield reports.Ledger(connection, config, shell.now())


OF_OBJECTS = (
    "what metadata or account say",
    "--causes",
    "--as-of",
    "--policy",
    "HTML",
    "a workbook",
)


def _refuse_with_lake(*asked: bool) -> None:
    wrong = [name for name, is_asked in zip(OF_OBJECTS, asked, strict=True) if is_asked]
    if wrong:
        raise UsageFault(
            f"{', '.join(wrong)} needs Stripe's objects or the past, and a run holds "
            "what was derived, once",
            fix="leave it out, or ask the engine that holds the run and its source",
        )


def _shown(
    ledger: reports.Ledger, asked: reports.ReportRequest, form: str, locale: str
) -> Callable[[Path | None], None]:
    """What writes the report down, once the ledger is no longer needed."""
    if form == "html":
        return partial(_write_page, reports.make_page(ledger, asked))
    return partial(show_report, reports.make_report(ledger, asked), form, locale)


def _write_page(page: "PageContents", output: Path | None) -> None:
    from connector.pipeline.quarantine import underivable
    from connector.render.page.page import to_html

    if (error := underivable(page.failed)) is not None:
        warn(error.problem, error.fix)
    write(to_html(page), output)
