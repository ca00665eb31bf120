"""`stripe-nrr at-risk`: MRR that may go, and the NRR that is already committed."""

from pathlib import Path

import click

from connector.cli.app import Shell
from connector.cli.options import FORMATS, currency_option, formats_option, out_option
from connector.cli.output import json_text, rendered, write
from connector.config import rules_of
from connector.render.at_risk import to_csv, to_json, to_markdown
from connector.reports.at_risk import at_risk_reports
from connector.reports.ledger_state import currencies_asked, ledger_state
from connector.reports.report import uncollected
from connector.store.ledger import customers


@click.command("at-risk")
@currency_option
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def at_risk(shell: Shell, currency: str | None, form: str, output: Path | None) -> None:
    """MRR that may go, and what NRR and GRR will be when what is scheduled happens.

    From what was synced, without asking Stripe: subscriptions that are set to cancel,
    past due, with an unpaid invoice, a change that awaits its payment or a paused
    collection, trials that will not convert, and customers who contracted in the last 90
    days. Committed are the twelve trailing-12 windows from the running one on, with
    ends that are set and discounts that run out, and nothing else.

    CSV lists the risks alone; JSON carries everything.

    \b
    Examples:
      stripe-nrr at-risk
      stripe-nrr at-risk --currency usd --format csv -o at-risk.csv
    """  # noqa: D301
    with shell.reading() as connection:
        known = ledger_state(connection, shell.config, shell.now())
        codes = currencies_asked(connection, currency, None, known.synced_at)
        with uncollected():
            found = at_risk_reports(connection, rules_of(shell.config), known, codes)
        labels = customers.labels(connection)
    locale = shell.config.locale
    if form == "json":
        write(json_text(to_json(found)), output)
    elif form == "csv":
        write(to_csv(found), output)
    elif form == "markdown":
        write(to_markdown(found, labels, locale), output)
    else:
        from connector.render.at_risk import outlook_view

        rendered(outlook_view(found, labels, locale), output)
