"""`stripe-nrr drift`: what other published formulas make of the same windows."""

from datetime import date
from fractions import Fraction
from pathlib import Path

import click

from connector.cli.app import Shell
from connector.cli.options import (
    FORMATS,
    MonthParam,
    RatioParam,
    currency_option,
    formats_option,
    out_option,
)
from connector.cli.output import json_text, write
from connector.core.dates import add_months
from connector.core.windows import WindowKind
from connector.metrics.formulas import side_by_side, window_inputs
from connector.render.drift import to_csv, to_json, to_text
from connector.reports.drift import WindowFormulas
from connector.reports.ledger_state import ledger_state
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import queries


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    default=WindowKind.TRAILING_12.value,
    show_default=True,
    help="Windows of this kind.",
)
@click.option("--from", "first", type=MonthParam(), help="The first month.")
@click.option(
    "--to",
    "last",
    type=MonthParam(),
    help="The last month, included. Default: the last whole month.",
)
@currency_option
@click.option(
    "--against",
    type=RatioParam(),
    help="What somebody else says, 1.07 or 107%: names the formulas within 0.2 points.",
)
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def drift(
    shell: Shell,
    window: str,
    first: date | None,
    last: date | None,
    currency: str | None,
    against: Fraction | None,
    form: str,
    output: Path | None,
) -> None:
    """Show what other published formulas would make of the same movements.

    The first line of each ratio is the start-MRR formula, as `stripe-nrr report` gives
    it; below it, the formulas that stand in articles, documentation and other tools, each
    with its difference in percentage points. Without --from and --to: the twelve months
    that end with the last whole month.

    \b
    Examples:
      stripe-nrr drift
      stripe-nrr drift --to 2026-03 --against 107%
      stripe-nrr drift --window quarter --from 2026-01 --to 2026-06 --format csv
    """  # noqa: D301
    with shell.reading() as connection:
        today = ledger_state(connection, shell.config, shell.now()).today
        end = last or add_months(today, -1)
        kind = WindowKind(window)
        start = first or (end if kind is WindowKind.TRAILING_12 else None)
        asked = ReportRequest(kind, start, end, currency)
        figures = make_report(connection, shell.config, shell.now(), asked)
        found = []
        for part in figures.currencies:
            flows = list(queries.flows(connection, part.currency))
            for line in part.lines:
                on = window_inputs(part.currency, flows, line.measured.window)
                found.append(
                    WindowFormulas(
                        part.currency, line.measured.window, on.kept, side_by_side(on)
                    )
                )
    locale = shell.config.locale
    if form == "json":
        write(json_text(to_json(found, against)), output)
    elif form == "csv":
        write(to_csv(found), output)
    else:
        write(to_text(found, against, locale, is_markdown=form == "markdown"), output)
