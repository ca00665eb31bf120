"""What was derived → the ledger, and what is kept beside it.

In the transaction in which the customers' rows were read. Whose objects are set aside is
not derived: those customers are held as they were.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import tzinfo

from connector.core.model import ContractTerm, Flow, Movement
from connector.metrics.rollups import (
    CustomerBooks,
    changes,
    differences,
    windows_touched,
)
from connector.mrr.companies import Companies
from connector.mrr.coverage import refused_sums
from connector.mrr.derive import Derived
from connector.mrr.history import Catalogue
from connector.store.database import put_setting, setting, transaction
from connector.store.ledger import (
    columns,
    contract_terms,
    coverage,
    posting,
    rollups,
    unvalued,
)
from connector.store.ledger.customers import CustomerDisplay, keys_among, keys_of
from connector.store.ledger.posting import LedgerRun, PostedCounts
from connector.store.mirror import dirty_customers, unfit_objects
from connector.store.mirror.histories import histories, profile, rows_of
from connector.stripe_api.invoices import Invoice


def not_yet_derived(
    connection: sqlite3.Connection, known: Companies, customers: Sequence[str]
) -> list[str]:
    """Those still marked, and any under whom others are counted.

    What marks the latter may be a mark on one of those, and already gone.
    """
    marked = dirty_customers.still_dirty(connection, customers)
    return [each for each in customers if each in marked or known.has_parts(each)]


def whole(
    connection: sqlite3.Connection, known: Companies, customers: Sequence[str]
) -> list[str]:
    """Those of whose objects none is set aside."""
    held = unfit_objects.held(connection)
    if not held:
        return list(customers)
    return [each for each in customers if held.isdisjoint(known.ids(each))]


def with_company(
    connection: sqlite3.Connection, known: Companies, customers: Sequence[str]
) -> list[str]:
    """Without those whose company waits: else what they pay would be in no figure.

    Of whom nothing is booked, nothing can be lost.
    """
    companies_of = {known.of(each) for each in customers if known.is_another(each)}
    waiting = dirty_customers.still_dirty(connection, companies_of - {*customers})
    if not waiting:
        return list(customers)
    keys = keys_among(connection, [c for c in customers if known.of(c) in waiting])
    live = posting.live_movements(connection, list(keys.values()))
    booked = {customer for customer, key in keys.items() if live[key]}
    return [each for each in customers if each not in booked]


def hold(
    connection: sqlite3.Connection,
    known: Companies,
    customers: Sequence[str],
    zone: tzinfo,
) -> None:
    """Leave these as they were until what is set aside of them fits, which marks them.

    Who is new is known by name from now on, so that it can be asked about; what was
    invoiced since is refused.
    """
    if not customers:
        return
    rows = rows_of(connection, {c: known.parts(c) for c in customers})
    shown = {
        c: CustomerDisplay(own.label, own.country) if own else CustomerDisplay()
        for c in customers
        for own in [profile(rows, c)]
    }
    keys = keys_of(connection, shown)
    billed: dict[str, list[Invoice]] = {customer: [] for customer in customers}
    for each in histories(rows, Catalogue()):
        billed[each.counted_as] += each.invoices
    ids = {c: known.ids(c) for c in customers}
    booked = keys_among(connection, [each for own in ids.values() for each in own])
    coverage.hold(
        connection,
        {keys[c]: refused_sums(invoices, zone) for c, invoices in billed.items()},
        {keys[c]: [booked[x] for x in own if x in booked] for c, own in ids.items()},
    )
    for customer in customers:
        dirty_customers.clear(connection, customer, None)


def settle(
    connection: sqlite3.Connection, run: LedgerRun, derived: Sequence[Derived]
) -> PostedCounts:
    """Make the ledger, and what is kept beside it, say what was derived."""
    named = {
        each.customer: CustomerDisplay(each.label, each.country) for each in derived
    }
    keys = keys_of(connection, named)
    live = posting.live_movements(connection, list(keys.values()))
    total = PostedCounts()
    changed = []
    for each in derived:
        key = keys[each.customer]
        terms = contract_terms.terms_of(connection, key)
        before = _books(key, [movement for _, movement in live[key]], terms)
        ended = [term._replace(customer=key) for term in each.contract_terms]
        after = _books(key, each.movements, ended)
        posted = posting.settle(connection, run, key, live[key], each.movements)
        total = total.plus(posted)
        if before.terms != after.terms:
            contract_terms.put_terms(connection, key, ended)
        contract_terms.put_main_prices(connection, key, each.main_prices)
        unvalued.put(connection, each.customer, each.refusals)
        dirty_customers.clear(connection, each.customer, each.next_s)
        if before != after:
            changed.append((before, after))
    coverage.put(connection, {keys[each.customer]: each.coverage for each in derived})
    rollups.add(
        connection, differences([b for b, _ in changed], [a for _, a in changed])
    )
    return total


def _books(
    key: int, movements: Iterable[Movement], terms: Iterable[ContractTerm]
) -> CustomerBooks:
    flows = [(m.currency, Flow(key, m.day, m.kind, m.amount_minor)) for m in movements]
    return CustomerBooks(tuple(sorted(flows)), tuple(terms))


def make_whole(connection: sqlite3.Connection) -> None:
    """Count the standard windows' sums, where they were not kept from the beginning.

    In a transaction of its own. From the tables: what is packed of them is no longer
    trusted either.
    """
    if setting(connection, rollups.WHOLE) == rollups.FORMAT:
        return
    with transaction(connection):
        rollups.clear(connection)
        columns.clear(connection)
        for currency, first, last in rollups.spans(connection):
            # They bring numpy, which a ledger that begins has no need of.
            from connector.metrics.wide.columns import columns_of
            from connector.metrics.wide.fold import measured

            own = columns.blocks(connection, currency, None, columns.TERMS)
            parts = map(columns_of, own)
            found = measured(parts, windows_touched(first, last))
            rollups.add(connection, {currency: changes(found)})
        put_setting(connection, rollups.WHOLE, rollups.FORMAT)
