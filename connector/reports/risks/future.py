"""What Stripe's objects show of what is to come: risks, movements that are set."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from msgspec.structs import replace

from connector.core.model import Movement
from connector.mrr import timeline as histories
from connector.mrr.companies import movements_together, steps_together
from connector.mrr.movements import movements
from connector.mrr.risks import Risk, as_scheduled, risks
from connector.pipeline.quarantine import set_aside
from connector.reports.ledger import Ledger, LedgerPart
from connector.store.ledger import balances as ledger_balances
from connector.store.ledger import queries
from connector.store.ledger.customers import keys_among
from connector.store.ledger.queries import Wanted
from connector.store.mirror import objects
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.histories import histories_of

AHEAD = 12  # months: the openings of these windows are known
DAY_S = 86_400


class CustomerFuture(NamedTuple):
    """What Stripe's objects show of customers: risks, and movements to come."""

    risks: Sequence[Risk]
    movements: Sequence[Movement]
    failed: Mapping[str, str]


def customer_future(ledger: Ledger, customer: str) -> "CustomerFuture":
    """What Stripe's objects show of one customer's risks and movements to come."""
    known = ledger.state()
    now_s = int(known.at.timestamp())
    return _joined(
        ledger,
        [
            (part, _future(part.ledger, now_s, known.today, [own]))
            for part in ledger.parts
            if (own := part.own(customer)) is not None
        ],
        known.today,
    )


def _until_s(now_s: int) -> int:
    return now_s + (AHEAD + 1) * 31 * DAY_S


def future_of_all(
    ledger: Ledger, now_s: int, since_s: int, today: date
) -> CustomerFuture:
    """Of everybody whose objects may show anything, in each account.

    Who was never derived (a sync that ended half way) is in no figure, nor in these.
    """
    found = []
    for part in ledger.parts:
        own, until_s = part.ledger, _until_s(now_s)
        candidates = objects.at_risk_candidates(own.connection, since_s, until_s)
        waiting = own.companies.affected(candidates)
        found.append((part, _future(own, now_s, today, waiting)))
    future = _joined(ledger, found, today)
    named = {x.customer for x in future.risks} | {x.customer for x in future.movements}
    return future_among(future, keys_among(ledger.connection, named))


def _joined(
    ledger: Ledger, found: Sequence[tuple[LedgerPart, CustomerFuture]], today: date
) -> CustomerFuture:
    """What is ahead in several accounts; who is one in them moves as one."""
    if len(ledger.parts) == 1:
        [(_, alone)] = found
        return alone
    coming: dict[str, list[list[Movement]]] = defaultdict(list)
    for part, own in found:
        moving: dict[str, list[Movement]] = defaultdict(list)
        for movement in own.movements:
            moving[part.called(movement.customer)].append(movement)
        for name, moved in moving.items():
            coming[name].append([replace(m, customer=name) for m in moved])
    return CustomerFuture(
        risks=[
            risk._replace(customer=part.called(risk.customer))
            for part, own in found
            for risk in own.risks
        ],
        movements=[
            movement
            for name, parts in coming.items()
            for movement in _moved_as_one(ledger, name, parts, today)
        ],
        failed={
            part.called(name): why
            for part, own in found
            for name, why in own.failed.items()
        },
    )


def _moved_as_one(
    ledger: Ledger, name: str, parts: Sequence[Sequence[Movement]], today: date
) -> Iterator[Movement]:
    so_far = list(queries.movements(ledger.connection, Wanted(customer=name)))
    ahead = [movement for own in parts for movement in own]
    for movement in movements_together(name, [*so_far, *ahead]):
        if movement.day > today:
            yield movement


def _future(
    ledger: Ledger, now_s: int, today: date, waiting: Sequence[str]
) -> CustomerFuture:
    """Derive whoever has something ahead once more, as it will be in a year.

    Without those whose history cannot be derived.
    """
    connection, rules, grouped = ledger.connection, ledger.rules, ledger.companies
    until_s = _until_s(now_s)
    shared = read_catalogue(connection)
    found: list[Risk] = []
    coming: list[Movement] = []

    def look(names: Sequence[str]) -> None:
        [customer] = names
        worth = ledger_balances.worth(connection, customer)
        own: list[Risk] = []
        steps = {}
        parts = grouped.parts(customer)
        for history in histories_of(connection, customer, shared, parts):
            charged = histories.timeline(history, rules.policy, now_s).line_items
            scheduled = as_scheduled(history, charged, now_s)
            steps[history.customer] = histories.timeline(
                scheduled, rules.policy, until_s, goes_on_at_s=now_s
            ).steps
            own += risks(history, worth, charged, now_s, rules.zone)
        derived = movements(customer, steps_together(steps), rules.zone)
        found.extend(risk._replace(customer=customer) for risk in own)
        coming.extend(movement for movement in derived if movement.day > today)

    failed: dict[str, str] = {}
    for customer in waiting:
        if not grouped.is_another(customer):
            failed |= set_aside([customer], look)
    return CustomerFuture(found, coming, failed)


def future_among(future: CustomerFuture, names: Collection[str]) -> CustomerFuture:
    """Of these customers alone."""
    return future._replace(
        risks=[risk for risk in future.risks if risk.customer in names],
        movements=[moved for moved in future.movements if moved.customer in names],
    )
