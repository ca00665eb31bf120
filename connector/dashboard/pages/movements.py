"""Movements: what changed each customer's MRR, the newest first."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from connector.core.dates import add_months
from connector.core.errors import ConnectorError
from connector.core.language import _
from connector.core.model import Movement, MovementKind
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest, words
from connector.dashboard.query import (
    ROWS,
    ShownPage,
    WrongParameter,
    one_page,
    page_asked,
    page_count_of,
)
from connector.render import movements as forms
from connector.reports.ledger import is_total
from connector.reports.movements import list_movements, wanted_members
from connector.store.ledger import customers, queries
from connector.store.ledger.queries import Slice, Wanted

KNOWN = frozenset(("currency", "from", "to", "kind", "customer", "segment", "page"))
NOTHING = NothingPaid(
    lambda _: {"movements": []}, lambda _: forms.movements_csv([], {}).text()
)
MOST_EXPORTED = 50_000


class TooMany(ConnectorError):
    """More rows than a browser should be sent."""


class ShownKind(NamedTuple):
    kind: MovementKind
    number: int
    amount_minor: int


def answer(asked: PageRequest) -> PageAnswer:
    wanted = _wanted(asked)
    sums = asked.reading.keep(("counted", wanted), lambda: _sums(asked, wanted))
    page = _page(asked, wanted, sums)
    named = customers.labels_of(
        asked.ledger.connection, {each.customer for each in page.rows}
    )
    first, last = wanted.start, wanted.end and wanted.end - timedelta(days=1)
    is_all = is_total(wanted.currency)
    return PageAnswer(
        template="movements.html.j2",
        title=_("Movements"),
        is_empty=wanted.customer is not None and not sums,
        values={
            "page": page,
            "named": named,
            "sums": sums,
            "kind": wanted.kind or "",
            "first": first,
            "last": last,
            "customer": wanted.customer,
            **asked.pickers(asked.currency()),
            "code": asked.config.reporting_currency if is_all else wanted.currency,
            "count": sum(each.number for each in _of_kind(sums, wanted.kind)),
            "amount_minor": sum(e.amount_minor for e in _of_kind(sums, wanted.kind)),
        },
        json=lambda: {
            "movements": [forms.as_json(m) for m in _all(asked, wanted, sums)]
        },
        csv=lambda: _csv(asked, wanted, sums),
        command=[
            "movements",
            *words(**{"from": first, "to": last}, kind=wanted.kind),
            *words(customer=wanted.customer, currency=wanted.currency),
            *words(segment=list(asked.only)),
        ],
    )


def _wanted(asked: PageRequest) -> Wanted:
    """Without days the last whole month; of one customer all that there are."""
    query = asked.query
    first, last = query.day("from"), query.day("to")
    customer = query.text("customer") or None
    today = asked.state.today
    if first is None and last is None and customer is None:
        first = add_months(today, -1)
        last = today.replace(day=1) - timedelta(days=1)
    if first is not None and last is not None and first > last:
        raise WrongParameter("from", str(first), f"a day before to={last}")
    if first is not None:
        asked.ledger.require_known(first, f"from={first}")
    kind = query.choice("kind", [each.value for each in MovementKind], "")
    every = Wanted(
        customer=customer,
        start=first,
        end=None if last is None else last + timedelta(days=1),
        currency=asked.currency(),
    )
    wanted = every._replace(kind=MovementKind(kind) if kind else None)
    if not asked.only:
        return wanted
    members = asked.reading.keep(
        ("members", every, asked.only),
        lambda: wanted_members(asked.ledger, every, asked.only),
        len,
    )
    return wanted._replace(members=members)


def _sums(asked: PageRequest, wanted: Wanted) -> list[ShownKind]:
    """Of every kind, also of those that are not shown."""
    every = wanted._replace(kind=None)
    if is_total(wanted.currency):
        found: dict[MovementKind, tuple[int, int]] = {}
        for each in _listed(asked, every):
            number, minor = found.get(each.kind, (0, 0))
            found[each.kind] = (number + 1, minor + each.amount_minor)
    else:
        found = queries.counted(asked.ledger.connection, every)
    return [ShownKind(kind, *found[kind]) for kind in MovementKind if kind in found]


def _of_kind(sums: Sequence[ShownKind], kind: MovementKind | None) -> list[ShownKind]:
    return [each for each in sums if kind in (None, each.kind)]


def _listed(asked: PageRequest, wanted: Wanted) -> list[Movement]:
    return asked.reading.keep(
        ("movements", wanted),
        lambda: list_movements(asked.ledger, wanted).movements,
        len,
    )


def _page(asked: PageRequest, wanted: Wanted, sums: Sequence[ShownKind]) -> Any:
    if is_total(wanted.currency):
        return one_page(_listed(asked, wanted)[::-1], asked.query)
    count = sum(each.number for each in _of_kind(sums, wanted.kind))
    page = page_asked(asked.query, count)
    which = Slice((page - 1) * ROWS, ROWS)
    rows = queries.newest_movements(asked.ledger.connection, wanted, which)
    return ShownPage(rows, count, page, page_count_of(count))


def _all(
    asked: PageRequest, wanted: Wanted, sums: Sequence[ShownKind]
) -> Sequence[Movement]:
    count = sum(each.number for each in _of_kind(sums, wanted.kind))
    if count > MOST_EXPORTED:
        raise TooMany(
            f"{count:,} movements are more than a page hands out",
            fix="ask for fewer days, or run the command that the page shows",
        )
    return list_movements(asked.ledger, wanted).movements


def _csv(asked: PageRequest, wanted: Wanted, sums: Sequence[ShownKind]) -> str:
    found = _all(asked, wanted, sums)
    named = {each.customer for each in found}
    labels = customers.labels_of(asked.ledger.connection, named)
    return forms.movements_csv(found, labels).text()
