"""`stripe-nrr drift`: what other published formulas make of the same windows."""

from datetime import date
from fractions import Fraction
from pathlib import Path

import click

from connector.cli.forms import emit, plain
from connector.cli.options import FORMATS, currency_option, formats_option, out_option
from connector.cli.params import MONTH, RATIO
from connector.cli.shell import Shell
from connector.core.windows import WindowKind
from connector.reports import formula_drift


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    default=WindowKind.TRAILING_12.value,
    show_default=True,
    help="Windows of this kind.",
)
@click.option("--from", "first", type=MONTH, help="The first month.")
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
    from connector.render import compare as forms
    from connector.render.table import to_markdown

    with shell.reading() as ledger:
        found = formula_drift(ledger, WindowKind(window), first, last, currency)
    locale = shell.config.locale
    parts = forms.formulas_parts(found, against, locale)
    emit(
        form,
        output,
        facts=shell.facts,
        text=lambda: plain([*parts, *forms.legend(found)], locale, output),
        json=lambda: forms.formulas_json(found, against),
        csv=lambda: forms.formulas_csv(found),
        markdown=lambda: to_markdown([*parts, *forms.legend_table(found)], locale),
    )
