"""At risk: MRR that may go, and the NRR that is already committed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from connector.core.errors import NothingFound, UsageFault
from connector.core.model import SegmentValue
from connector.core.windows import Window, WindowKind
from connector.metrics.currency_total import Conversion, in_minor
from connector.reports.figures.asked_books import books_of, nobody_in
from connector.reports.ledger import TOTAL, Ledger, is_total
from connector.reports.risks.currency import CurrencyRisks, currency_risks, risks_in_one
from connector.reports.risks.future import (
    DAY_S,
    CustomerFuture,
    future_among,
    future_of_all,
)
from connector.reports.risks.model import (
    LATELY_DAYS,
    AtRiskReport,
    AtRiskReports,
    RiskLine,
    ScheduledMovement,
)
from connector.reports.risks.named import (
    TOGETHER,
    call_list,
    ids_of,
    named_risks,
    risk_sums,
)
from connector.store.ledger import customers
from connector.store.mirror import companies


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
    ledger: Ledger, book: "CurrencyRisks", owners: Mapping[int, str]
) -> Iterator[RiskLine]:
    found = named_risks(ledger, book, None)
    for first in range(0, len(found.risks), TOGETHER):
        some = found.risks[first : first + TOGETHER]
        names = dict.fromkeys(risk.customer for risk in some)
        own = {name: found.by_customer[name] for name in names}
        called = {x.customer: x for x in call_list(ledger, book, found, own, owners)}
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
) -> "tuple[list[CurrencyRisks], CustomerFuture, dict[int, str] | None]":
    known, codes = ledger.state(), ledger.currencies(currency)
    connection, now_s = ledger.connection, int(known.at.timestamp())
    since_s = now_s - 2 * LATELY_DAYS * DAY_S
    owners = _owners(ledger)
    theirs = None if owner is None else _customers_of(owner, owners)
    future = future_of_all(ledger, now_s, since_s, known.today)
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
            else future_among(future, set(ids_of(connection, own).values()))
        )
        if is_total(code):
            books.append(risks_in_one(ledger, known.today, coming, own))
        else:
            books.append(currency_risks(ledger, code, known.today, coming, own))
    if only and not any(book.mrr for book in books):
        named = currency if owner is None else None  # others pay in another
        raise nobody_in(ledger, only, named, [_now(known.today)])
    return books, future, owners


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
    own = books_of(ledger, currency).members_at_opening(_now(today), only)
    return own if theirs is None else own & theirs


def _now(today: date) -> Window:
    """Who pays at its opening pays at the end of today."""
    tomorrow = today + timedelta(days=1)
    return Window(WindowKind.MONTH, tomorrow, tomorrow + timedelta(days=1))


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


def _at_risk_report(
    ledger: Ledger, book: CurrencyRisks, owners: Mapping[int, str], most: int | None
) -> AtRiskReport:
    found = named_risks(ledger, book, most)
    every, reasons = risk_sums(book, found)

    def size(name: str) -> tuple[int, str]:
        return -found.pays.get(found.keys.get(name, -1), 0), name

    largest = sorted(found.by_customer, key=size)[:most]
    own = {name: found.by_customer[name] for name in largest}
    minor = Conversion({}, book.scale).minor
    ids = ids_of(ledger.connection, {flow.customer for flow in book.ahead})
    ahead = sorted(book.ahead, key=lambda flow: (flow.day, ids[flow.customer]))
    return AtRiskReport(
        currency=book.currency,
        today=book.today,
        mrr_minor=minor(book.mrr),
        every=every,
        reasons=tuple(reasons),
        risks=tuple(found.risks[:most]),
        risks_count=len(book.risks) + len(found.lately.who),
        customers=tuple(call_list(ledger, book, found, own, owners)),
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
