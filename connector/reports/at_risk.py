"""At risk: MRR that may go, and the NRR that is already committed."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from connector.core.dates import add_months, local_day
from connector.core.errors import NothingFound, UsageFault
from connector.core.figures import WindowFigures
from connector.core.model import Flow, Movement, MovementKind, SegmentValue
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.currency_total import Conversion, flows_in_one, in_minor
from connector.metrics.retention import measure
from connector.metrics.rollups import exchanged
from connector.mrr import timeline as histories
from connector.mrr.companies import movements_together, steps_together
from connector.mrr.movements import movements
from connector.mrr.risks import (
    Risk,
    RiskReason,
    RiskSum,
    as_scheduled,
    at_risk_minor,
    by_customer,
    risk_sum,
    risks,
)
from connector.pipeline.quarantine import set_aside
from connector.reports.figures import cut_in, figures, members, nobody_in
from connector.reports.figures import standing as standing_of_all
from connector.reports.ledger import TOTAL, Ledger, LedgerPart, is_total
from connector.store.ledger import balances as ledger_balances
from connector.store.ledger import columns, customers, queries
from connector.store.ledger import losses as ledger_losses
from connector.store.ledger.losses import LastMovement
from connector.store.ledger.queries import Wanted
from connector.store.mirror import companies, objects
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.histories import histories_of
from connector.store.mirror.renewals import next_renewals

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns
    from connector.metrics.wide.paying import Paying


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

    ``every`` and ``reasons`` add up all that is at risk, the surest reason first.
    ``risks`` and ``customers`` name it, the largest first: all, or as many as were asked
    for; ``risks_count`` is of all.
    """

    currency: str
    today: date
    mrr_minor: int
    every: RiskSum
    reasons: tuple[RiskSum, ...]
    risks: tuple[Risk, ...]
    risks_count: int
    customers: tuple[CustomerAtRisk, ...]
    scheduled: tuple[ScheduledMovement, ...]
    so_far: WindowFigures
    committed: tuple[WindowFigures, ...]
    is_total: bool = False

    @property
    def at_risk_minor(self) -> int:
        return self.every.mrr_minor


class AtRiskReports(Struct, frozen=True, kw_only=True):
    """One a currency. ``labels`` are what customers are called, by id.

    ``failed`` are those whose history cannot be derived, and why: they are left out.
    ``has_owners``: the configuration says what tells a customer's owner. ``owner``: whose
    customers alone all of it is about, ``only``: with which segments now.
    """

    currencies: tuple[AtRiskReport, ...]
    labels: Mapping[str, str]
    failed: Mapping[str, str]
    has_owners: bool = False
    owner: str | None = None
    only: tuple[SegmentValue, ...] = ()


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
    only: tuple[SegmentValue, ...] = (),
    most: int | None = None,
) -> AtRiskReports:
    """What is at risk and what is set in each currency, as far as the ledger knows.

    ``with_total``: first of all in one, as where that alone is asked for. ``owner``: of
    whose customers alone; raises ``UsageFault`` where no owners are configured, and
    ``NothingFound`` for one who has none. ``only``: of those alone who pay now and have
    all of these segments now; ``NothingFound`` where nobody has. ``most``: no more than
    so many by name.
    """
    books, future, owners = _books(ledger, currency, owner, only, with_total=with_total)
    found = tuple(_at_risk_report(ledger, book, owners or {}, most) for book in books)
    named = {each.customer for one in found for each in one.customers}
    named |= {each.customer for one in found for each in one.scheduled}
    return AtRiskReports(
        currencies=found,
        labels=customers.labels_of(ledger.connection, named),
        failed=future.failed,
        has_owners=owners is not None,
        owner=owner,
        only=only,
    )


class RiskLine(NamedTuple):
    """A risk with the customer whom it is of, and what that is called."""

    currency: str
    risk: Risk
    customer: CustomerAtRisk
    label: str
    is_total: bool


def at_risk_lines(
    ledger: Ledger,
    currency: str | None = None,
    owner: str | None = None,
    only: tuple[SegmentValue, ...] = (),
) -> tuple[Mapping[str, str], Iterator[RiskLine]]:
    """Who could not be derived, and every risk, the largest first, read as it is told."""
    books, future, owners = _books(ledger, currency, owner, only)
    return future.failed, (
        line for book in books for line in _lines(ledger, book, owners or {})
    )


def _lines(
    ledger: Ledger, book: "_Book", owners: Mapping[int, str]
) -> Iterator[RiskLine]:
    found = _found(ledger, book, None)
    for first in range(0, len(found.risks), TOGETHER):
        some = found.risks[first : first + TOGETHER]
        names = dict.fromkeys(risk.customer for risk in some)
        own = {name: found.by_customer[name] for name in names}
        called = {x.customer: x for x in _call_list(ledger, book, found, own, owners)}
        labels = customers.labels_of(ledger.connection, own)
        for risk in some:
            name = risk.customer
            label = labels.get(name, "")
            yield RiskLine(book.currency, risk, called[name], label, book.is_total)


def _books(
    ledger: Ledger,
    currency: str | None,
    owner: str | None,
    only: tuple[SegmentValue, ...] = (),
    *,
    with_total: bool = False,
) -> "tuple[list[_Book], CustomerFuture, dict[int, str] | None]":
    known, codes = ledger.state(), ledger.currencies(currency)
    connection, now_s = ledger.connection, int(known.at.timestamp())
    since_s = now_s - 2 * LATELY_DAYS * DAY_S
    owners = _owners(ledger)
    theirs = None if owner is None else _customers_of(owner, owners)
    future = _future_of_all(ledger, now_s, since_s, known.today)
    has_total = with_total or is_total(currency)
    books = []
    for code in [
        *([TOTAL] if has_total else []),
        *([] if is_total(currency) else codes),
    ]:
        own = _own(ledger, code, known.today, theirs, only)
        coming = (
            future
            if own is None
            else _only(future, set(_names(connection, own).values()))
        )
        if is_total(code):
            books.append(_in_one(ledger, known.today, coming, own))
        else:
            books.append(_book(ledger, code, known.today, coming, own))
    if only and not any(book.mrr for book in books):
        raise nobody_in(only)
    return books, future, owners


def _names(connection: sqlite3.Connection, keys: Collection[int]) -> dict[int, str]:
    """What Stripe calls these customers."""
    found = customers.accounts_of(connection, keys)
    return {key: each.id for key, each in found.items()}


def _own(
    ledger: Ledger,
    currency: str,
    today: date,
    theirs: set[int] | None,
    only: Sequence[SegmentValue],
) -> set[int] | None:
    """The customers of an owner and of segments alone; None: everybody."""
    if not only:
        return theirs
    tomorrow = today + timedelta(days=1)
    if is_total(currency):
        from connector.reports.currency_total import CurrencyTotal

        now = Window(WindowKind.MONTH, tomorrow, tomorrow + timedelta(days=1))
        own = CurrencyTotal(ledger).members(now, only)
    else:
        [paid] = standing_of_all(ledger.connection, currency, [tomorrow])
        own = set(members(paid, tomorrow, cut_in(ledger, currency, None, only)))
    return own if theirs is None else own & theirs


def _owners(ledger: Ledger) -> dict[int, str] | None:
    """Each customer's owner by the ledger's key; None where none are configured."""
    key = ledger.config.owner_key
    return None if key is None else companies.metadata(ledger.connection, key)


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
    shared = read_catalogue(connection)
    found: list[Risk] = []
    coming: list[Movement] = []

    def look(names: Sequence[str]) -> None:
        [customer] = names
        worth = ledger_balances.worth(connection, customer)
        own: list[Risk] = []
        steps = {}
        members = grouped.members(customer)
        for history in histories_of(connection, customer, shared, members):
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
    """A currency's ledger on a day, in units of ``scale``, and what is ``ahead`` of it.

    ``so_far`` is measured without what is ahead, ``committed`` with it.
    """

    currency: str
    today: date
    mrr: int
    pays: "Paying"
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
    from connector.metrics.wide.columns import columns_of, in_units
    from connector.metrics.wide.fold import measured
    from connector.metrics.wide.paying import paying

    connection, wanted = ledger.connection, _wanted(today)

    def parts() -> "Iterator[Columns]":
        for block in columns.blocks(connection, currency):
            found = columns_of(block)
            yield found if own is None else in_units(found, 1, own, are_in=True)

    coming = [m for m in future.movements if m.currency == currency]
    ahead = _flows(
        coming, customers.keys_among(connection, {m.customer for m in coming})
    )
    now = _flows_of(connection, {flow.customer for flow in ahead}).get(currency, [])
    found = (
        figures(ledger, currency, wanted)
        if own is None
        else measured(parts(), wanted, has_terms=False)
    )
    return _Book(
        currency=currency,
        today=today,
        mrr=found[0].waterfall.closing_minor,
        pays=paying(parts(), date.max, _lately(today)),
        ahead=ahead,
        risks=[risk for risk in future.risks if risk.currency == currency],
        so_far=found[0],
        committed=_with_ahead(found, now, [*now, *ahead]),
    )


def _with_ahead(
    found: Sequence[WindowFigures], now: Sequence[Flow], later: Sequence[Flow]
) -> list[WindowFigures]:
    """Figures of everybody as they will be: of some these are the movements."""
    wanted = [each.window for each in found]
    both = measure(now, wanted), measure(later, wanted)
    return [exchanged(*each) for each in zip(found, *both, strict=True)]


def _flows_of(
    connection: sqlite3.Connection, keys: Collection[int]
) -> dict[str, list[Flow]]:
    """All of these customers', by currency."""
    found: dict[str, list[Flow]] = {}
    for own in ledger_balances.flows_of_some(connection, keys):
        for code, flow in own:
            found.setdefault(code, []).append(flow)
    return found


def _in_one(
    ledger: Ledger,
    today: date,
    future: CustomerFuture,
    own: Collection[int] | None,
) -> _Book:
    """All currencies, at the rates of the last known day: none later are known."""
    from connector.metrics.wide.columns import in_units
    from connector.metrics.wide.fold import measured
    from connector.metrics.wide.paying import paying
    from connector.reports.currency_total import CurrencyTotal

    connection, total, wanted = ledger.connection, CurrencyTotal(ledger), _wanted(today)
    keys = customers.keys_among(connection, {m.customer for m in future.movements})
    coming: dict[str, list[Flow]] = {}
    for code in dict.fromkeys(m.currency for m in future.movements):
        coming[code] = _flows([m for m in future.movements if m.currency == code], keys)
    span = Window(WindowKind.TRAILING_12, wanted[0].start, wanted[-1].end)
    found = total.conversion(span, coming)

    def parts() -> "Iterator[Columns]":
        for each in total.columns(span, found):
            yield each if own is None else in_units(each, 1, own, are_in=True)

    books = _flows_of(connection, keys.values())
    joined = {
        code: sorted([*books.get(code, ()), *coming.get(code, ())])
        for code in (*books, *coming)
    }
    now, later = (list(flows_in_one(each, found.units)) for each in (books, joined))
    everybody = measured(parts(), wanted, has_terms=False)
    return _Book(
        currency=total.currency,
        today=today,
        mrr=everybody[0].waterfall.closing_minor,
        pays=paying(parts(), today, _lately(today)),
        ahead=[flow for flow in later if flow.day > today],
        risks=[
            risk._replace(
                currency=total.currency,
                mrr_minor=found.minor(
                    risk.mrr_minor * found.units.get(risk.currency, 0)
                ),
            )
            for risk in future.risks
        ],
        so_far=everybody[0],
        committed=_with_ahead(everybody, now, later),
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


class _Found(NamedTuple):
    """Risks by name, the largest first, and what those whom they name pay."""

    risks: Sequence[Risk]
    by_customer: Mapping[str, Sequence[Risk]]
    keys: Mapping[str, int]
    pays: Mapping[int, int]
    lately: "Paying"
    twice: Collection[int]  # who contracted lately, and is at risk for another reason


def _found(ledger: Ledger, book: _Book, most: int | None) -> _Found:
    """Who has only contracted lately is named if it is among so many who pay most."""
    connection, paying = ledger.connection, book.pays.in_minor(book.scale)
    keys = customers.keys_among(connection, {x.customer for x in book.risks})
    lately, own = paying.lately(), list(keys.values())
    twice = lately.of(own)
    named = lately.largest(most)
    named = lately.of({*named.who.tolist(), *twice.who.tolist()})
    ids = _names(connection, named.who.tolist())
    shrank = [
        Risk(CONTRACTED, ids[key], book.currency, "", minor, date.fromordinal(day))
        for key, minor, day in zip(*(x.tolist() for x in named), strict=True)
    ]
    found = sorted(
        [*book.risks, *shrank], key=lambda r: (-r.mrr_minor, r.customer, r.reason)
    )
    keys |= {name: key for key, name in ids.items()}
    paid = paying.of(keys.values())
    pays = dict(zip(paid.who.tolist(), paid.minor.tolist(), strict=True))
    return _Found(
        found, by_customer(found), keys, pays, lately, set(twice.who.tolist())
    )


CONTRACTED = RiskReason.CONTRACTED


def _sums(book: _Book, found: _Found) -> tuple[RiskSum, list[RiskSum]]:
    """All that is at risk, and by reason."""
    lately = found.lately
    sums = [risk_sum(each, book.risks) for each in RiskReason if each != CONTRACTED]
    shrank = RiskSum(CONTRACTED, int(lately.minor.sum()), 0, len(lately.who))
    once = [x for x in book.risks if found.keys.get(x.customer) not in found.twice]
    apart = risk_sum(None, once)
    every = apart._replace(
        mrr_minor=apart.mrr_minor + shrank.mrr_minor,
        subscriptions=risk_sum(None, book.risks).subscriptions,
        customers=apart.customers + shrank.customers,
    )
    return every, [each for each in (*sums, shrank) if each.customers]


def _at_risk_report(
    ledger: Ledger, book: _Book, owners: Mapping[int, str], most: int | None
) -> AtRiskReport:
    found = _found(ledger, book, most)
    every, reasons = _sums(book, found)

    def size(name: str) -> tuple[int, str]:
        return -found.pays.get(found.keys.get(name, -1), 0), name

    largest = sorted(found.by_customer, key=size)[:most]
    own = {name: found.by_customer[name] for name in largest}
    minor = Conversion({}, book.scale).minor
    ids = _names(ledger.connection, {flow.customer for flow in book.ahead})
    ahead = sorted(book.ahead, key=lambda flow: (flow.day, ids[flow.customer]))
    return AtRiskReport(
        currency=book.currency,
        today=book.today,
        mrr_minor=minor(book.mrr),
        every=every,
        reasons=tuple(reasons),
        risks=tuple(found.risks[:most]),
        risks_count=len(book.risks) + len(found.lately.who),
        customers=tuple(_call_list(ledger, book, found, own, owners)),
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
    found: _Found,
    own: Mapping[str, Sequence[Risk]],
    owners: Mapping[int, str],
) -> Iterator[CustomerAtRisk]:
    """These customers, each with all that it is at risk for."""
    connection = ledger.connection
    keys = {found.keys[name] for name in own if name in found.keys}
    codes = [book.currency] if not book.is_total else ledger.currencies()
    since: dict[int, date] = {}
    last: dict[int, LastMovement] = {}
    for code in codes:
        for key, day in ledger_losses.first_days(connection, code, keys).items():
            since[key] = min(since.get(key, day), day)
    if not book.is_total:
        last = ledger_losses.last_movements(connection, book.currency, keys)
    countries = ledger_balances.countries(connection, keys)
    now_s = int(ledger.state().at.timestamp())
    renewals = _renewals(ledger, own, now_s)
    for name, risks_of in own.items():
        key = found.keys.get(name, -1)
        due = renewals.get(name, {})
        bills = [at_s for code, at_s in due.items() if code in codes]
        yield CustomerAtRisk(
            customer=name,
            mrr_minor=found.pays.get(key, 0),
            at_risk_minor=at_risk_minor(risks_of),
            risks=tuple(risks_of),
            country=countries.get(key),
            owner=owners.get(key),
            paid_since=since.get(key),
            last=last.get(key),
            renews_on=local_day(min(bills), ledger.zone) if bills else None,
        )


TOGETHER = 1_000  # customers that are read with one query


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
