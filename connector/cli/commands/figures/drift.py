"""`stripe-nrr drift`: what other published formulas make of the same windows."""

from datetime import date
from fractions import Fraction

import click

from connector.cli.forms import Output
from connector.cli.options import (
    FORMATS,
    currency_option,
    first_month_option,
    output_options,
)
from connector.cli.params import MONTH, RATIO, OneOf
from connector.core.windows import WindowKind
from connector.reports import formula_drift


@click.command()
@click.option(
    "--window",
    type=OneOf(WindowKind),
    default=WindowKind.TRAILING_12.value,
    show_default=True,
    help="Windows of this kind.",
)
@first_month_option
@click.option(
    "--to",
    "last",
    type=MONTH,
    help="The last month, included. Default: the last whole month.",
)
@currency_option
@click.option(
    "--against",
    type=RATIO,
    help="What somebody else says, 1.07 or 107%: names the formulas within 0.2 points.",
)
@output_options(*FORMATS)
def drift(
    out: Output,
    window: WindowKind,
    first: date | None,
    last: date | None,
    currency: str | None,
    against: Fraction | None,
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
    from connector.render import compare as forms

    with out.shell.reading() as ledger:
        found = formula_drift(ledger, window, first, last, currency)
    parts = forms.formulas_parts(found, against, out.locale)
    out.answer(
        text=lambda: out.plain([*parts, *forms.legend(found)]),
        json=lambda: forms.formulas_json(found, against),
        csv=lambda: forms.formulas_csv(found),
        markdown=lambda: out.markdown([*parts, *forms.legend_table(found)]),
    )
