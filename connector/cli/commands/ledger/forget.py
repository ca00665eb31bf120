"""`stripe-nrr forget`: a customer's name and metadata removed, its figures kept."""

import click

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.params import CUSTOMER
from connector.core.language import _, grouped
from connector.core.money import format_count
from connector.pipeline.policy_change import configured_rules
from connector.store.database import moment
from connector.store.erasure import Erased, erase, overwrite
from connector.store.ledger.posting import LedgerRun
from connector.store.mirror.customer_accounts import all_ids


@click.command()
@click.argument("customers", type=CUSTOMER, metavar="ID…", nargs=-1, required=True)
@output_option
def forget(out: Output, customers: tuple[str, ...]) -> None:
    """Remove name and metadata of customers (cus_…) from the ledger, for ever.

    For who asked to be erased. What it paid stays, under its id and country, so that no
    figure changes, and it is recorded as a run of its own. No later sync or webhook
    stores its name or metadata again, whatever Stripe shows, nor does a backup that is
    restored bring them back. Ids that were merged with it and its Account (acct_…) are
    forgotten too, and what was noted of it (`note --customer`); a name that stands in
    another note stays there.

    The file is written anew, so that no unused page of it holds them: that needs as much
    room again, and waits for who writes. Copies are not touched: backups, exports, pages
    and reports that were made before.
    """
    shell = out.shell
    shell.log_to_stderr()
    with shell.ledger() as connection:
        rules = configured_rules(connection, shell.config)
        run = LedgerRun(
            connection,
            moment(connection, shell.now()),
            "manual",
            rules.code_version,
            rules.as_json(),
        )
        erased = erase(connection, all_ids(connection, rules.merge, customers), run)
        overwrite(connection)
    out.write(text=lambda: _as_text(erased), json=erased._asdict)


def _as_text(erased: Erased) -> str:
    gone = format_count(len(erased.customers), "customer")
    return _(
        "{gone} forgotten, {named} of them had a name or metadata here; run "
        "{run}. Copies made before may still hold them: backups, exports, "
        "pages."
    ).format(gone=gone, named=grouped(erased.named), run=erased.run)
