"""`stripe-nrr recompute`: the ledger derived anew from what was fetched."""

import sqlite3

import click
from msgspec.structs import asdict

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.params import CUSTOMER
from connector.cli.stderr import note
from connector.core.errors import NothingFound
from connector.core.language import _, grouped, marked
from connector.core.money import format_count
from connector.pipeline.policy_change import adopt, configured_rules
from connector.pipeline.quarantine import failed_lines, underivable
from connector.pipeline.recompute import Recomputed
from connector.pipeline.recompute import recompute as derive
from connector.store.database import moment, put_setting, transaction
from connector.store.ledger import rollups, unvalued
from connector.store.mirror import dirty_customers


@click.command()
@click.option("--customer", type=CUSTOMER, help="Only this customer.")
@output_option
def recompute(out: Output, customer: str | None) -> None:
    """Derive the ledger anew from what was fetched, without asking Stripe.

    For a changed [policy] or timezone (recorded as its own run, so that figures reported
    before can still be read with --as-of), or to see that nothing changes. A customer
    whose history breaks the derivation is named and stays as it was; all others are
    derived, and the exit code is 1.
    """
    shell = out.shell
    shell.log_to_stderr()
    with shell.ledger() as connection:
        rules = configured_rules(connection, shell.config)
        changed = adopt(connection, rules)
        is_policy = changed is not None and changed.startswith("policy")
        if changed is not None:
            note(changed)
        _mark(connection, customer)
        with out.progress() as progress:
            derived = derive(
                connection,
                rules,
                cause="policy change" if is_policy else "manual",
                now=moment(connection, shell.now()),
                progress=lambda done, whole: progress(marked("deriving"), done, whole),
                workers=None,
            )
        refused = unvalued.known(connection)
    out.write(
        text=lambda: _as_text(derived, len(refused)),
        json=lambda: {
            "customers": derived.customers,
            "movements": derived.movements,
            "retractions": derived.retractions,
            "refused": [asdict(refusal) for refusal in refused],
            "failed": dict(derived.failed),
        },
    )
    if (error := underivable(derived.failed)) is not None:
        raise error


def _mark(connection: sqlite3.Connection, customer: str | None) -> None:
    """Who is to be derived: one, or everybody."""
    with transaction(connection):
        if customer is None:
            dirty_customers.mark_all(connection)
            put_setting(connection, rollups.WHOLE, "")  # count them anew, too
        elif not dirty_customers.mark_one(connection, customer):
            raise NothingFound(
                f"nothing was ever fetched of customer {customer!r}",
                fix="give an id as Stripe shows it (cus_…), or run `stripe-nrr sync`",
            )


def _as_text(derived: Recomputed, refused: int) -> str:
    said = _(
        "{customers} derived, {movements} posted, {retractions} retracted, "
        "{refused} not valued."
    ).format(
        customers=format_count(derived.customers, "customer"),
        movements=format_count(derived.movements, "movement"),
        retractions=grouped(derived.retractions),
        refused=format_count(refused, "object"),
    )
    return "\n".join([said, *failed_lines(derived.failed)])
