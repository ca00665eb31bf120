"""Objects that somebody named are fetched anew, in as few requests as will do.

An event is a hint: it names an object, which is fetched at the pinned version. What the
fetched objects name in turn (a new price, a coupon) is fetched too where it is missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from connector.pipeline.ingest import Ingest
from connector.store.database import transaction
from connector.store.mirror import freshness, objects
from connector.store.mirror.objects import TABLES
from connector.stripe_api.decoding import ref
from connector.stripe_api.events import NamedObject, named_by
from connector.stripe_api.invoices import Invoice, InvoiceItem, InvoiceLine
from connector.stripe_api.objects import Discount, Price, Subscription
from connector.stripe_api.paging import PAGE, WORTH_LISTING, Lookup, Partition

# Lists that can be narrowed by creation.
_BY_CREATION = ("prices", "customers", "subscriptions", "invoices", "invoice items")
CLOCK_S = 2  # by so much our clock may be ahead of Stripe's
# Renewal invoices wait as drafts for about an hour before an event tells of them.
DRAFT_S = 2 * 3600


def follow_events(ingest: Ingest, since_s: int) -> None:
    """Fetch what events since then name, unless our copy is newer.

    Many objects of a kind are read from its list, page by page, where that costs less.
    """
    for kind, names in _by_kind(stale(ingest, since_s)).items():
        new = freshness.missing(ingest.connection, TABLES[kind], [n.id for n in names])
        if len(new) >= WORTH_LISTING and kind in _BY_CREATION:
            ingest.read([Partition(kind, from_s=since_s - DRAFT_S)])
    for kind, names in _by_kind(stale(ingest, since_s)).items():
        pages = freshness.count(ingest.connection, TABLES[kind]) // PAGE
        if len(names) >= WORTH_LISTING + pages:
            lists = ("prices", "archived prices") if kind == "prices" else (kind,)
            ingest.read([Partition(each) for each in lists])
    _fetch(ingest, stale(ingest, since_s))
    events = freshness.events_since(ingest.connection, since_s)
    _read_pending(ingest, {ref(event.customer): event.created for event in events})


def refresh(
    ingest: Ingest, names: Iterable[NamedObject], until_s: int | None = None
) -> None:
    """Fetch these objects, whatever our copies are, and what depends on them.

    None was created after ``until_s``, by Stripe's clock; None: now.
    """
    there = _fetch(ingest, names, until_s)
    customers = {ref(getattr(thing, "customer", None)) for thing in there}
    now_s = ingest.now_us() // 1_000_000
    _read_pending(ingest, dict.fromkeys(customers, now_s))


def stale(ingest: Ingest, since_s: int) -> list[NamedObject]:
    """What events since then name that may be newer than our copy, each once, sorted."""
    newest: dict[NamedObject, int] = {}
    for event in freshness.events_since(ingest.connection, since_s):
        for name in named_by(event):
            newest[name] = event.created
    return [
        name
        for name, at_s in sorted(newest.items())
        if _sure_s(freshness.fetched_us(ingest.connection, TABLES[name.kind], name.id))
        <= at_s
    ]


def _sure_s(asked_us: int) -> int:
    """The second up to which a copy knows all for sure, by Stripe's clock."""
    return asked_us // 1_000_000 - CLOCK_S


def _by_kind(names: Iterable[NamedObject]) -> dict[str, list[NamedObject]]:
    kinds: dict[str, list[NamedObject]] = {}
    for name in names:
        kinds.setdefault(name.kind, []).append(name)
    return kinds


def _fetch(
    ingest: Ingest, names: Iterable[NamedObject], until_s: int | None = None
) -> list[object]:
    """Fetch the named, and what they need that was never seen."""
    wanted = list(names)
    there = ingest.fetch(wanted, _lookups(ingest, wanted, until_s))
    needed = set(chain.from_iterable(map(_references, there)))
    for kind, own in _by_kind(sorted(needed)).items():
        ids = [name.id for name in own]
        new = freshness.missing(ingest.connection, TABLES[kind], ids)
        ingest.fetch(NamedObject(kind, key) for key in new)
    return there


def _lookups(
    ingest: Ingest, names: Iterable[NamedObject], until_s: int | None
) -> Iterator[Lookup]:
    """What is looked for in lists first, by kind, as there is so much of it."""
    latest_s = ingest.now_us() // 1_000_000 if until_s is None else until_s
    for kind, own in _by_kind(names).items():
        ids = [name.id for name in own]
        if len(ids) >= WORTH_LISTING and kind in (*_BY_CREATION, "events"):
            known = freshness.created_s(ingest.connection, TABLES[kind], ids)
            yield Lookup(kind, {key: known.get(key) for key in ids}, latest_s)


def _references(thing: object) -> Iterator[NamedObject]:
    """The prices and coupons that an object names, and may not show whole."""
    discounts: list[str | Discount] = []
    if isinstance(thing, Subscription):
        discounts += thing.all_discounts
        for item in thing.items.data:
            discounts += item.discounts or ()
            yield from _price(item.price)
    elif isinstance(thing, Invoice):
        discounts += thing.discounts or ()
        for line in thing.lines.data:
            yield from _sold_by(line)
    elif isinstance(thing, InvoiceItem):
        yield from _sold_by(thing)
    for discount in discounts:
        if isinstance(discount, Discount) and isinstance(discount.named_coupon, str):
            yield NamedObject("coupons", discount.named_coupon)


def _sold_by(line: InvoiceLine | InvoiceItem) -> Iterator[NamedObject]:
    if line.pricing is not None and line.pricing.price_details is not None:
        yield from _price(line.pricing.price_details.price)


def _price(price: str | Price | None) -> Iterator[NamedObject]:
    if price is not None:
        yield NamedObject("prices", ref(price))


def _read_pending(ingest: Ingest, events_s: Mapping[str, int]) -> None:
    """Read pending items anew of those to whom something has happened since.

    Stripe has no event for an item that an invoice took up.
    """
    pending = freshness.pending_read_us(ingest.connection)
    customers = [
        customer
        for customer, asked_us in pending.items()
        if _sure_s(asked_us) <= events_s.get(customer, -CLOCK_S)
    ]
    if len(customers) < WORTH_LISTING + len(pending) // PAGE:
        ingest.read_pending_of(customers)
        return
    began_us = ingest.read([Partition("invoice items")])
    with transaction(ingest.connection):
        objects.drop_unseen_pending(ingest.connection, began_us)
