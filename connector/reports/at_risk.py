"""At risk: MRR that may go, and the NRR that is already committed."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from connector.core.dates import add_months, local_day
from connector.core.errors import NothingFound, UsageFault
from connector.core.figures import WindowFigures
from connector.core.model import Flow, Movement, MovementKind
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.currency_total import Conversion, in_minor
from connector.metrics.retention import measure, standing
from connector.metrics.rollups import exchanged
from connector.mrr import timeline as histories
from connector.mrr.companies import movements_together, steps_together
from connector.mrr.movements import movements
from connector.mrr.risks import (
    Risk,
    RiskReason,
    as_scheduled,
    at_risk_minor,
    by_customer,
    contracted,
    risks,
)
from connector.pipeline.quarantine import set_aside
from connector.reports.figures import figures
from connector.reports.ledger import Ledger, LedgerPart, is_total
from connector.store.ledger import balances as ledger_balances
from connector.store.ledger import customers, queries
from connector.store.ledger import losses as ledger_losses
from connector.store.ledger.losses import LastMovement
from connector.store.ledger.queries import Wanted
from connector.store.mirror import objects
from connector.store.mirror.renewals import next_renewals


class ScheduledMovement(Struct, frozen=True, kw_only=True):
    """A movement that is to come: an end that is set, a discount that runs out."""

    day: date
    customer: str
    kind: MovementKind
    amount_minor: int


class CustomerAtRisk(Struct, frozen=True, kw_only=True):
    """Whom to call: all that a customer pays, and why it may go.

    ``risks`` are the surest reason first. ``paid_since`` is the first day on which it
    paid, None of a trial. ``last`` is what moved last, None in the total of all
    currencies. ``renews_on`` is when it is billed next, as far as an invoice tells;
    ``ends_then`` where an end is set for that day. ``owner`` is what the configured key
    of its metadata says.
    """

    customer: str
    mrr_minor: int
    at_risk_minor: int
    risks: tuple[Risk, ...]
    country: str | None = None
    owner: str | None = None
    paid_since: date | None = None
    last: LastMovement | None = None
    renews_on: date | None = None

    @property
    def ends_then(self) -> bool:
        ends = (risk.day for risk in self.risks if risk.reason in ENDS)
        return self.renews_on is not None and self.renews_on in ends


class AtRiskReport(Struct, frozen=True, kw_only=True):
    """``so_far`` is the running trailing-12 window with nothing more happening.

    ``customers`` are those at risk, who pays most first.
    """

    currency: str
    today: date
    mrr_minor: int
    risks: tuple[Risk, ...]
    customers: tuple[CustomerAtRisk, ...]
    scheduled: tuple[ScheduledMovement, ...]
    so_far: WindowFigures
    committed: tuple[WindowFigures, ...]
    is_total: bool = False

    @property
    def at_risk_minor(self) -> int:
        return at_risk_minor(self.risks)


class AtRiskReports(Struct, frozen=True, kw_only=True):
    """One a currency. ``labels`` are what customers are called, by id.

    ``failed`` are those whose history cannot be derived, and why: they are left out.
    ``has_owners``: the configuration says what tells a customer's owner. ``owner``: whose
    customers alone all of it is about.
    """

    currencies: tuple[AtRiskReport, ...]
    labels: Mapping[str, str]
    failed: Mapping[str, str]
    has_owners: bool = False
    owner: str | None = None


ENDS = (RiskReason.CANCELS, RiskReason.TRIAL)


LATELY_DAYS = 90
AHEAD = 12  # months: the openings of these windows are known
DAY_S = 86_400


def at_risk_reports(
    ledger: Ledger,
    currency: str | None = None,
    *,
    with_total: bool = False,
    owner: str | None = None,
) -> AtRiskReports:
    """What is at risk and what is set in each currency, as far as the ledger knows.

    ``with_total``: first of all in one, as where that alone is asked for. ``owner``: of
    whose customers alone; raises ``UsageFault`` where no owners are configured, and
    ``NothingFound`` for one who has none.
    """
    known, codes = ledger.state(), ledger.currencies(currency)
    connection, now_s = ledger.connection, int(known.at.timestamp())
    since_s = now_s - 2 * LATELY_DAYS * DAY_S
    owners = _owners(ledger)
    own = None if owner is None else _customers_of(owner, owners)
    future = _future_of_all(ledger, now_s, since_s, known.today)
    if own is not None:
        future = _only(future, {customers.ids(connection)[key] for key in own})
    books = []
    if with_total or is_total(currency):
        books.append(_in_one(ledger, known.today, future, own))
    if not is_total(currency):
        books += [_book(ledger, code, known.today, future, own) for code in codes]
    found = tuple(
        _at_risk_report(ledger, book, known.today, owners or {}) for book in books
    )
    named = {each.customer for one in found for each in one.customers}
    named |= {each.customer for one in found for each in one.scheduled}
    return AtRiskReports(
        currencies=found,
        labels=customers.labels_of(connection, named),
        failed=future.failed,
        has_owners=owners is not None,
        owner=owner,
    )


def _owners(ledger: Ledger) -> dict[int, str] | None:
    """Each customer's owner by the ledger's key; None where none are configured."""
    key = ledger.config.owner_key
    return None if key is None else objects.metadata(ledger.connection, key)


def _customers_of(owner: str, owners: Mapping[int, str] | None) -> set[int]:
    if owners is None:
        raise UsageFault(
            f"--owner {owner}: nothing says whose a customer is",
            fix='set owner = "metadata:KEY" under [customers], then `stripe-nrr sync '
            "--full`",
        )
    found = {key for key, name in owners.items() if name.casefold() == owner.casefold()}
    if not found:
        known = ", ".join(sorted(set(owners.values()))) or "none was read yet"
        raise NothingFound(f"nobody's owner is {owner!r}", fix=f"known are: {known}")
    return found


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


class CustomerFuture(NamedTuple):
    """What Stripe's objects show of customers: risks, and movements to come."""

    risks: Sequence[Risk]
    movements: Sequence[Movement]
    failed: Mapping[str, str]


def _future_of_all(
    ledger: Ledger, now_s: int, since_s: int, today: date
) -> CustomerFuture:
    """Of everybody whose objects may show anything, in each account."""
    found = []
    for part in ledger.parts:
        own, until_s = part.ledger, _until_s(now_s)
        candidates = objects.at_risk_candidates(own.connection, since_s, until_s)
        waiting = own.companies.affected(candidates)
        found.append((part, _future(own, now_s, today, waiting)))
    return _joined(ledger, found, today)


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
    shared = objects.catalogue(connection)
    found: list[Risk] = []
    coming: list[Movement] = []

    def look(names: Sequence[str]) -> None:
        [customer] = names
        worth = ledger_balances.worth(connection, customer)
        own: list[Risk] = []
        steps = {}
        members = grouped.members(customer)
        for history in objects.histories_of(connection, customer, shared, members):
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


def _only(future: CustomerFuture, names: Collection[str]) -> CustomerFuture:
    """Of these customers alone."""
    return future._replace(
        risks=[risk for risk in future.risks if risk.customer in names],
        movements=[moved for moved in future.movements if moved.customer in names],
    )


class _Book(NamedTuple):
    """A currency's ledger, in units of ``scale``, and what is ahead of it.

    ``pays`` are those who are named by a risk, ``contracted`` are who did so lately and
    on which day. ``so_far`` is measured without what is ``ahead``, ``committed`` with it.
    """

    currency: str
    mrr: int
    pays: Mapping[str, int]
    contracted: Mapping[str, date]
    ahead: Sequence[Flow]
    risks: Sequence[Risk]
    so_far: WindowFigures
    committed: Sequence[WindowFigures]
    scale: int = 1
    is_total: bool = False


def _book(
    ledger: Ledger,
    currency: str,
    today: date,
    future: CustomerFuture,
    own: Collection[int] | None,
) -> _Book:
    """From the sums that are kept, with what is ahead; of ``own`` customers, of theirs."""
    connection, wanted = ledger.connection, _wanted(today)
    coming = [m for m in future.movements if m.currency == currency]
    keys = customers.keys_among(connection, {m.customer for m in coming})
    ahead = _flows(coming, keys)
    risks = [risk for risk in future.risks if risk.currency == currency]
    lately = ledger_losses.contracted_since(connection, currency, _lately(today))
    found = figures(ledger, currency, wanted)
    if own is not None:
        flows = _flows_of(connection, currency, own)
        names = {customers.ids(connection)[key] for key in own}
        lately = {name: day for name, day in lately.items() if name in names}
        found = measure(flows, wanted)
    now = _flows_of(connection, currency, keys.values())
    without, with_it = measure(now, wanted), measure([*now, *ahead], wanted)
    named = {*lately, *(risk.customer for risk in risks)}
    return _Book(
        currency=currency,
        mrr=found[0].waterfall.closing_minor,
        pays=ledger_balances.paid_now(connection, currency, named),
        contracted=lately,
        ahead=ahead,
        risks=risks,
        so_far=found[0],
        committed=[
            exchanged(*each) for each in zip(found, without, with_it, strict=True)
        ],
    )


def _flows_of(
    connection: sqlite3.Connection, currency: str, keys: Collection[int]
) -> list[Flow]:
    found = ledger_balances.flows_of_some(connection, keys)
    return [flow for own in found for code, flow in own if code == currency]


def _in_one(
    ledger: Ledger,
    today: date,
    future: CustomerFuture,
    own: Collection[int] | None,
) -> _Book:
    """All currencies, at the rates of the last known day: none later are known."""
    from connector.reports.currency_total import CurrencyTotal

    total, wanted = CurrencyTotal(ledger), _wanted(today)
    ids = customers.ids(ledger.connection)
    keys = {customer: key for key, customer in ids.items()}
    codes = dict.fromkeys(m.currency for m in future.movements)
    coming = {
        code: _flows([m for m in future.movements if m.currency == code], keys)
        for code in codes
    }
    span = Window(WindowKind.TRAILING_12, wanted[0].start, wanted[-1].end)
    everyone, found = total.flows(span, coming)
    flows = [flow for flow in everyone if own is None or flow.customer in own]
    now = [flow for flow in flows if flow.day <= today]
    balances, since = standing({}, now), _lately(today)
    return _Book(
        currency=total.currency,
        mrr=sum(balances.values()),
        pays={ids[key]: units for key, units in balances.items()},
        contracted={
            ids[flow.customer]: flow.day
            for flow in now
            if flow.kind is MovementKind.CONTRACTION and flow.day > since
        },
        ahead=[flow for flow in flows if flow.day > today],
        risks=[
            risk._replace(
                currency=total.currency,
                mrr_minor=found.minor(
                    risk.mrr_minor * found.units.get(risk.currency, 0)
                ),
            )
            for risk in future.risks
        ],
        so_far=measure(now, wanted[:1])[0],
        committed=measure(flows, wanted),
        scale=found.scale,
        is_total=True,
    )


def _lately(today: date) -> date:
    return today - timedelta(days=LATELY_DAYS)


def _wanted(today: date) -> list[Window]:
    """The running trailing-12 window, and those to come."""
    this_month = today.replace(day=1)
    last = add_months(this_month, AHEAD - 1)
    return windows(WindowKind.TRAILING_12, this_month, last)


def _at_risk_report(
    ledger: Ledger, book: _Book, today: date, owners: Mapping[int, str]
) -> AtRiskReport:
    minor = Conversion({}, book.scale).minor
    pays = {name: minor(units) for name, units in book.pays.items()}
    lately_contracted = (
        risk._replace(mrr_minor=minor(risk.mrr_minor))
        for risk in contracted(book.contracted, book.pays, book.currency)
    )
    found = [*book.risks, *lately_contracted]
    found.sort(key=lambda r: (-r.mrr_minor, r.customer, r.reason))
    ids = customers.ids(ledger.connection) if book.ahead else {}
    ahead = sorted(book.ahead, key=lambda flow: (flow.day, ids[flow.customer]))
    return AtRiskReport(
        currency=book.currency,
        today=today,
        mrr_minor=minor(book.mrr),
        risks=tuple(found),
        customers=tuple(_call_list(ledger, book, found, pays, owners)),
        scheduled=tuple(
            ScheduledMovement(
                day=flow.day,
                customer=ids[flow.customer],
                kind=flow.kind,
                amount_minor=minor(flow.amount_minor),
            )
            for flow in ahead
        ),
        so_far=in_minor(book.so_far, book.scale),
        committed=tuple(in_minor(each, book.scale) for each in book.committed),
        is_total=book.is_total,
    )


def _call_list(
    ledger: Ledger,
    book: _Book,
    found: Sequence[Risk],
    pays: Mapping[str, int],
    owners: Mapping[int, str],
) -> list[CustomerAtRisk]:
    """Everybody who is named by a risk, who pays most first."""
    connection = ledger.connection
    own = by_customer(found)
    keys = customers.keys_among(connection, own)
    codes = [book.currency] if not book.is_total else ledger.currencies()
    since: dict[int, date] = {}
    last: dict[int, LastMovement] = {}
    for code in codes:
        for key, day in ledger_losses.first_days(
            connection, code, keys.values()
        ).items():
            since[key] = min(since.get(key, day), day)
    if not book.is_total:
        last = ledger_losses.last_movements(connection, book.currency, keys.values())
    countries = ledger_balances.countries(connection)
    now_s = int(ledger.state().at.timestamp())
    renewals = _renewals(ledger, own, now_s)
    listed = []
    for name, risks_of in own.items():
        key = keys.get(name, -1)
        due = renewals.get(name, {})
        bills = [at_s for code, at_s in due.items() if code in codes]
        listed.append(
            CustomerAtRisk(
                customer=name,
                mrr_minor=pays.get(name, 0),
                at_risk_minor=at_risk_minor(risks_of),
                risks=tuple(risks_of),
                country=countries.get(key),
                owner=owners.get(key),
                paid_since=since.get(key),
                last=last.get(key),
                renews_on=local_day(min(bills), ledger.zone) if bills else None,
            )
        )
    return sorted(listed, key=lambda each: (-each.mrr_minor, each.customer))


def _renewals(
    ledger: Ledger, names: Iterable[str], now_s: int
) -> dict[str, dict[str, int]]:
    """When each is billed next in any of its accounts, by currency."""
    found: dict[str, dict[str, int]] = {}
    for part in ledger.parts:
        own = {name: key for name in names if (key := part.own(name)) is not None}
        ids = part.ledger.companies.ids
        every = {each: name for name, key in own.items() for each in ids(key)}
        for name, due in next_renewals(part.ledger.connection, every, now_s).items():
            known = found.setdefault(name, {})
            for code, at_s in due.items():
                known[code] = min(known.get(code, at_s), at_s)
    return found


def _flows(coming: Sequence[Movement], keys: Mapping[str, int]) -> list[Flow]:
    """By customer, then day."""
    return sorted(Flow(keys[m.customer], m.day, m.kind, m.amount_minor) for m in coming)
