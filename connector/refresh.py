"""Objects that somebody named are fetched anew, in as few requests as will do.

An event is a hint: it names an object, which is fetched at the pinned version. What the
fetched objects name in turn (a new price, a coupon) is fetched too where it is missing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from connector import copies, mirror
from connector.database import transaction
from connector.intake import TABLES, Intake
from connector.listings import Named
from connector.ranges import Range
from connector.stripe_objects import (
    Discount,
    Event,
    Invoice,
    InvoiceItem,
    Line,
    Price,
    Subscription,
    ref,
)

# Which object an event of a type leaves out of date; the first that fits.
_KINDS = {
    "customer.subscription.": "subscriptions",
    "customer.": "customers",
    "invoice.": "invoices",
    "invoiceitem.": "invoice items",
    "price.": "prices",
    "product.": "products",
    "coupon.": "coupons",
}
# Lists that can be narrowed by creation.
_BY_CREATION = ("prices", "customers", "subscriptions", "invoices", "invoice items")
PAGE = 100
CLOCK_S = 2  # by so much our clock may be ahead of Stripe's
# From so many new objects on, a list of the newest is the cheaper way to fetch them.
WORTH_LISTING = 4
# Renewal invoices wait as drafts for about an hour before an event tells of them.
DRAFT_S = 2 * 3600


def named_by(event: Event) -> Iterator[Named]:
    """The objects that an event leaves out of date; none for one that tells nothing."""
    if event.type.startswith("customer.discount."):
        if event.customer is not None:
            yield Named("customers", ref(event.customer))
        if event.discount is not None and event.discount.subscription:
            yield Named("subscriptions", event.discount.subscription)
        return
    kind = next(
        (k for prefix, k in _KINDS.items() if event.type.startswith(prefix)), ""
    )
    if kind and event.touched:
        yield Named(kind, event.touched)


def follow_events(intake: Intake, since_s: int) -> None:
    """Fetch what events since then name, unless our copy is newer.

    Many objects of a kind are read from its list, page by page, where that costs less.
    """
    for kind, names in _by_kind(stale(intake, since_s)).items():
        new = copies.missing(intake.connection, TABLES[kind], [n.id for n in names])
        if len(new) >= WORTH_LISTING and kind in _BY_CREATION:
            intake.read([Range(kind, from_s=since_s - DRAFT_S)])
    for kind, names in _by_kind(stale(intake, since_s)).items():
        pages = copies.count(intake.connection, TABLES[kind]) // PAGE
        if len(names) >= WORTH_LISTING + pages:
            intake.read([Range(each) for each in _lists_of(kind)])
    _fetch(intake, stale(intake, since_s))
    events = copies.events_since(intake.connection, since_s)
    _read_pending(intake, {ref(event.customer): event.created for event in events})


def refresh(intake: Intake, names: Iterable[Named]) -> None:
    """Fetch these objects, whatever our copies are, and what depends on them."""
    there = _fetch(intake, names)
    customers = {ref(getattr(thing, "customer", None)) for thing in there}
    now_s = intake.now_us() // 1_000_000
    _read_pending(intake, dict.fromkeys(customers, now_s))


def stale(intake: Intake, since_s: int) -> list[Named]:
    """What events since then name that may be newer than our copy, each once, sorted."""
    newest: dict[Named, int] = {}
    for event in copies.events_since(intake.connection, since_s):
        for name in named_by(event):
            newest[name] = event.created
    return [
        name for name, at_s in sorted(newest.items()) if _asked_s(intake, name) <= at_s
    ]


def _asked_s(intake: Intake, name: Named) -> int:
    """The second up to which our copy knows all for sure, by Stripe's clock."""
    table = TABLES[name.kind]
    return _sure_s(copies.fetched_us(intake.connection, table, name.id))


def _sure_s(asked_us: int) -> int:
    return asked_us // 1_000_000 - CLOCK_S


def _by_kind(names: Iterable[Named]) -> dict[str, list[Named]]:
    kinds: dict[str, list[Named]] = {}
    for name in names:
        kinds.setdefault(name.kind, []).append(name)
    return kinds


def _lists_of(kind: str) -> Sequence[str]:
    return ("prices", "archived prices") if kind == "prices" else (kind,)


def _fetch(intake: Intake, names: Iterable[Named]) -> list[object]:
    """Fetch the named, and what they need that was never seen."""
    there = intake.fetch(names)
    needed = set(chain.from_iterable(map(_references, there)))
    for kind, own in _by_kind(sorted(needed)).items():
        ids = [name.id for name in own]
        new = copies.missing(intake.connection, TABLES[kind], ids)
        intake.fetch(Named(kind, key) for key in new)
    return there


def _references(thing: object) -> Iterator[Named]:
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
            yield Named("coupons", discount.named_coupon)


def _sold_by(line: Line | InvoiceItem) -> Iterator[Named]:
    if line.pricing is not None and line.pricing.price_details is not None:
        yield from _price(line.pricing.price_details.price)


def _price(price: str | Price | None) -> Iterator[Named]:
    if price is not None:
        yield Named("prices", ref(price))


def _read_pending(intake: Intake, events_s: Mapping[str, int]) -> None:
    """Read pending items anew of those to whom something has happened since.

    Stripe has no event for an item that an invoice took up.
    """
    pending = copies.pending_read_us(intake.connection)
    customers = [
        customer
        for customer, asked_us in pending.items()
        if _sure_s(asked_us) <= events_s.get(customer, -CLOCK_S)
    ]
    if len(customers) < WORTH_LISTING + len(pending) // PAGE:
        intake.read_pending_of(customers)
        return
    began_us = intake.read([Range("invoice items")])
    with transaction(intake.connection):
        mirror.drop_unseen(intake.connection, "invoice_items", began_us)
