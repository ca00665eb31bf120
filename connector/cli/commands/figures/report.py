"""`stripe-nrr report`: windows asked for → figures → text, JSON, CSV, HTML, a workbook."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from connector import reports
from connector.cli.forms import Output, parquet_needed
from connector.cli.options import (
    FORMATS,
    by_option,
    currency_option,
    first_month_option,
    last_month_option,
    only_option,
    output_options,
)
from connector.cli.out_files import NamedFolder, refuse_inside
from connector.cli.output import THROUGH, write_bytes
from connector.cli.params import PRESET, OneOf, moment_asked
from connector.cli.progress import progress_shown
from connector.cli.shell import Shell, warn_of_underived
from connector.core.errors import UsageFault
from connector.core.model import ACCOUNT, METADATA
from connector.core.windows import WindowKind
from connector.reports.ledger import is_total

if TYPE_CHECKING:
    from connector.reports.page import PageContents


@click.command()
@click.option(
    "--window",
    "kind",
    type=OneOf(WindowKind),
    help="Only windows of this kind. Default: the trailing-12 headline, then months.",
)
@first_month_option
@last_month_option
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
    type=NamedFolder(),
    metavar="OUT",
    help="Read a run of `lake` instead of the ledger: its standard windows; with --by, "
    "--segment or --currency total everybody's movements; with --as-of the newest run of "
    "before.",
)
@click.option("--arr", is_flag=True, help="Amounts a year (ARR) instead of a month.")
@output_options(*FORMATS, "html", "xlsx")
def report(
    out: Output,
    as_of: str | None,
    preset: str | None,
    lake: Path | None,
    **wanted: Any,
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
    asked = reports.ReportRequest(**wanted, trend=out.form == "html")
    if lake is not None:
        _refuse_with_lake(asked, preset, out.form)
        if out.path is not None:
            refuse_inside(out.path, lake)
    if out.form == "xlsx":
        _check_file(out.path)
    with _ledger(out.shell, asked, preset, lake, as_of) as ledger:
        if lake is None:  # else the run is that of the moment
            moment = moment_asked(as_of, ledger.zone, ledger.newest)
            asked = asked._replace(as_of=moment)
        if out.form == "xlsx":
            _write_workbook(ledger, asked, _command(asked, as_of, preset), out)
            return
        if out.form == "html":
            show = partial(_write_page, reports.make_page(ledger, asked), out)
        else:
            show = partial(out.show_report, reports.make_report(ledger, asked))
    show()  # once the ledger is no longer needed


def _refuse_with_lake(
    asked: reports.ReportRequest, preset: str | None, form: str
) -> None:
    """Why a run does not hold what these need, and what to do instead."""
    kinds = [asked.by or "", *(each.by for each in asked.only)]
    if any(kind.startswith(METADATA) or kind == ACCOUNT for kind in kinds):
        raise UsageFault(
            "--lake has no segments of metadata and accounts: they are told by Stripe's "
            "objects, and a run holds what was derived",
            fix="join the run's movements/ with your customers, by their ids",
        )
    if asked.causes:
        raise UsageFault(
            "--lake has no --causes: why customers left is told by Stripe's objects, and "
            "a run holds what was derived",
            fix="sum the run's components/ by cause, or ask a ledger",
        )
    if form in ("html", "xlsx"):
        raise UsageFault(
            "--lake has no page and no workbook: who is at risk is told by Stripe's "
            "objects, and a run holds what was derived",
            fix="take --format json or csv, or ask a ledger",
        )
    if preset is not None:
        raise UsageFault(
            "--lake has no --policy: a run holds what was derived, under its own",
            fix="make a run under that one: `stripe-nrr lake`, with like under [policy]",
        )


def _check_file(path: Path | None) -> None:
    if path is None or (path in THROUGH and sys.stdout.isatty()):
        raise UsageFault("a workbook cannot be printed", fix="name a file: -o nrr.xlsx")


@contextmanager
def _ledger(
    shell: Shell,
    asked: reports.ReportRequest,
    preset: str | None,
    lake: Path | None,
    as_of: str | None,
) -> Iterator[reports.Ledger]:
    """The ledger, or what it would be under a preset, or a run's sums as one."""
    if lake is not None:
        is_wide = bool(asked.by or asked.only) or is_total(asked.currency)
        with _ledger_of_run(shell, lake, as_of, is_wide=is_wide) as ledger:
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
    shell: Shell, place: Path, as_of: str | None, *, is_wide: bool
) -> Iterator[reports.Ledger]:
    with parquet_needed():
        from connector.lake.reading import read_books, read_sums
        from connector.lake.run import newest
    from connector.store.ledger_of_sums import ledger_of_sums

    config, run = shell.config, newest(place)
    if as_of is not None:
        now = max(shell.now(), run.told.started_at)
        run = newest(place, moment_asked(as_of, run.zone, now))
    if not is_wide:  # a total takes the movements
        config = replace(config, reporting_currency=None)
    books = read_books(run) if is_wide else None
    with ledger_of_sums(read_sums(run), books) as connection:
        yield reports.Ledger(connection, config, shell.now())


def _command(
    asked: reports.ReportRequest, as_of: str | None, preset: str | None
) -> str:
    """What gives the same workbook."""
    from connector.dashboard.answer import month_words, words

    told = [
        *words(window=asked.kind),
        *month_words(asked.first, asked.last),
        *words(currency=asked.currency, as_of=as_of, by=asked.by, policy=preset),
        *words(segment=list(asked.only)),
        *(["--arr"] if asked.arr else []),
    ]
    file = ["--format", "xlsx", "-o", "nrr.xlsx"]
    return shlex.join(["stripe-nrr", "report", *told, *file])


def _write_workbook(
    ledger: reports.Ledger, asked: reports.ReportRequest, command: str, out: Output
) -> None:
    """While the ledger is open: long sheets are written as it is read."""
    from connector.render.workbook.workbook import to_xlsx

    found = reports.make_workbook(ledger, asked)
    if found.at_risk is not None:
        warn_of_underived(found.at_risk.failed)
    assert out.path is not None
    with TemporaryDirectory() as folder:
        write_bytes(to_xlsx(found, command, folder), out.path)


def _write_page(page: "PageContents", out: Output) -> None:
    from connector.render.page.page import to_html

    warn_of_underived(page.failed)
    out.write(html=lambda: to_html(page))
