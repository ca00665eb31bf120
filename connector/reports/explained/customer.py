"""A customer's MRR taken apart, movement by movement."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from connector.core.model import CustomerName, Movement, Refusal
from connector.mrr.ended_otherwise import unbilled_quantities
from connector.reports.ledger import Ledger
from connector.reports.movements import find_counted
from connector.store.ledger import customers, queries, unvalued
from connector.store.ledger.queries import Wanted
from connector.store.mirror.catalogue import price_names, read_catalogue
from connector.store.mirror.companies import is_customer
from connector.store.mirror.histories import histories_of


class CustomerExplanation(NamedTuple):
    """A customer's movements to the end of a day, and what could not be valued.

    ``labels`` are what customers are called by id, ``prices`` what prices are. ``notes``
    are sentences on what contradicts itself. ``counted_as_one``: a company's customers.
    """

    customer: CustomerName
    on: date
    movements: list[Movement]
    refusals: list[Refusal]
    labels: Mapping[str, str]
    prices: Mapping[str, str]
    notes: Sequence[str] = ()
    counted_as_one: Sequence[CustomerName] = ()


def explain_customer(
    ledger: Ledger,
    customer: str,
    day: date | None = None,
    as_of: datetime | None = None,
) -> CustomerExplanation:
    """A customer by id or part of its name; without a day, on the last known one.

    Raises ``UsageFault`` for a day after it.
    """
    connection = ledger.connection
    found = find_counted(connection, customer)
    on = day or ledger.state(as_of).today
    ledger.require_known(on, f"--on {on}", as_of)
    of_it = {found.id, *ledger.companies.ids(found.id)}
    wanted = Wanted(customer=found.id, end=on + timedelta(days=1), as_of=as_of)
    return CustomerExplanation(
        customer=found,
        on=on,
        movements=list(queries.movements(connection, wanted)),
        refusals=[r for r in unvalued.known(connection) if r.customer in of_it],
        labels={found.id: found.shown},
        prices=price_names(connection),
        notes=_notes(ledger, found.id),
        counted_as_one=_counted_as_one(ledger, found.id),
    )


def _counted_as_one(ledger: Ledger, company: str) -> list[CustomerName]:
    """Whose movements these are, where that is not one customer alone."""
    ids = [own[0] for own in ledger.companies.parts(company)]
    if ids == [company]:
        return []
    if not is_customer(ledger.connection, company):
        ids.remove(company)
    named = customers.labels_of(ledger.connection, ids)
    return [CustomerName(each, named[each]) for each in ids if each in named]


def _notes(ledger: Ledger, customer: str) -> list[str]:
    """What its objects contradict each other in, without harm to the figures."""
    shared = read_catalogue(ledger.connection)
    parts = ledger.companies.parts(customer)
    known = histories_of(ledger.connection, customer, shared, parts)
    return [each.sentence for own in known for each in unbilled_quantities(own)]
