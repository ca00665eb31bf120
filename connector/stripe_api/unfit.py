"""Objects that do not fit: each by itself, by name, field and value, beside its page.

Comes in: an answer that does not decode as a whole, or a decoded object that says too
little to be counted. Goes out: the objects that fit, and an ``UnfitObject`` for each
that does not. A value is shown short, and never where it may be personal or secret.
"""

import json
import re
from hashlib import sha256
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from connector.core.errors import UnknownStripeShape
from connector.core.language import marked, message
from connector.core.money import is_known_currency
from connector.stripe_api.decoding import (
    UNREADABLE,
    Base,
    Instant,
    ListAnswer,
    Minor,
    ObjectHead,
    created_at,
    decode,
    id_in,
    read_as,
    ref,
)
from connector.stripe_api.events import StripeEvent
from connector.stripe_api.invoices import (
    NOT_DUE,
    Invoice,
    InvoiceHead,
    InvoiceItem,
    InvoiceLine,
    InvoiceParent,
    StatusTransitions,
)
from connector.stripe_api.objects import (
    Coupon,
    Customer,
    Price,
    Product,
    Subscription,
    SubscriptionItem,
)
from connector.stripe_api.shown_values import shown

T = TypeVar("T", bound=Base)

WHOLE = "the object"  # in place of a field's name
NAMELESS = "without an id"  # part of the name of an object that has no id of its own


class UnfitInvoiced(msgspec.Struct, frozen=True, kw_only=True):
    """What an invoice that does not fit says it bills, without tax; at ``billed_s``."""

    currency: str
    amount_minor: int
    billed_s: int


class UnfitObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object whose ``field`` is ``value``; ``customer`` is whose it is, or "".

    ``created`` is 0 and ``subscription`` "" where they cannot be read. ``value`` is fit
    to be shown. ``invoiced`` is None where it is no invoice that is due, or unreadable.
    """

    id: str
    created: int = 0
    customer: str = ""
    subscription: str = ""
    field: str
    value: str
    invoiced: UnfitInvoiced | None = None


def in_no_url(key: str) -> UnfitObject:
    """An object that only its list shows, as no URL can hold its id."""
    value = (
        f"{shown(key, '')}, which no URL can hold: `stripe-nrr sync --full` reads it"
    )
    return UnfitObject(id=key, field="id", value=value)


class PartDoesNotFit(Exception):
    """A part of an object, from a further page of its nested list, does not fit."""

    def __init__(self, part: UnfitObject) -> None:
        super().__init__(part.id)
        self.part = part


# An answer, object by object

# What is read by itself; any other answer fits as a whole or not at all.
_OBJECTS: frozenset[type] = frozenset(
    {*(Product, Price, Coupon, Customer), *(Subscription, Invoice, InvoiceItem)}
    | {StripeEvent, InvoiceLine, SubscriptionItem}
)


def read_answer(raw: bytes, shape: type[Any]) -> Any:
    """An answer as ``shape``; an ``UnfitObject`` in the place of each that does not fit.

    Raises ``UnknownStripeShape`` where a list is none.
    """
    if get_origin(shape) is ListAnswer:
        return _list_in(raw, shape)
    return one_of(raw, shape) if shape in _OBJECTS else decode(raw, shape)


def _list_in(raw: bytes, shape: type[ListAnswer[Any]]) -> ListAnswer[Any]:
    """Read at once, and one by one where that fails or leaves a question."""
    try:
        answer = decode(raw, shape)
    except UnknownStripeShape as error:
        try:
            each = decode(raw, ListAnswer[msgspec.Raw])
        except UnknownStripeShape:
            raise error from None
    else:
        if not any(map(is_hollow, answer.data)):
            return answer
        each = decode(raw, ListAnswer[msgspec.Raw])
    [inner] = get_args(shape)
    data: list[Any] = [one_of(one, inner) for one in each.data]
    return ListAnswer(data=data, has_more=each.has_more)


def one_of(raw: bytes | msgspec.Raw, shape: type[T]) -> T | UnfitObject:
    """An object read by itself."""
    try:
        thing: T | UnfitObject = _with_its_list(raw, decode(raw, shape))
    except UnknownStripeShape as error:
        thing = unfit_object(json_of(raw), *_what(error), shape)
    if isinstance(thing, UnfitObject) and shape is Invoice:
        return msgspec.structs.replace(thing, invoiced=_invoiced(json_of(raw)))
    return thing


def _invoiced(tree: object) -> UnfitInvoiced | None:
    return invoiced_by(
        msgspec.convert(tree if isinstance(tree, dict) else {}, InvoiceHead)
    )


def invoiced_by(head: InvoiceHead) -> UnfitInvoiced | None:
    """What an invoice bills as a whole, which can be read though its lines cannot."""
    moments = read_as(StatusTransitions, head.status_transitions)
    finalized_s = None if moments is None else moments.finalized_at
    billed_s = finalized_s or _time_of(head.created)
    amount_minor = read_as(Minor, head.total_excluding_tax)
    currency = read_as(str, head.currency) or ""
    is_known = is_known_currency(currency)  # else it may be anybody's name
    if head.status in NOT_DUE or not (billed_s and amount_minor and is_known):
        return None
    return UnfitInvoiced(
        currency=currency, amount_minor=amount_minor, billed_s=billed_s
    )


def unfit_by(thing: Base, part: UnfitObject) -> UnfitObject:
    """An object that would fit, but for a part of it."""
    return UnfitObject(
        id=str(getattr(thing, "id", "")),
        created=created_at(thing),
        customer=ref(getattr(thing, "customer", None)),
        subscription=_billed_by(thing),
        field=f"{part.id} {part.field}".strip(),
        value=part.value,
        invoiced=_billed_in(thing) if isinstance(thing, Invoice) else None,
    )


def _billed_in(invoice: Invoice) -> UnfitInvoiced | None:
    """What its lines bill, where all of them are at hand."""
    amount_minor = sum(line.net_minor for line in invoice.lines.data)
    is_told = invoice.is_due and amount_minor and is_known_currency(invoice.currency)
    if not is_told or invoice.lines.has_more:
        return None
    return UnfitInvoiced(
        currency=invoice.currency, amount_minor=amount_minor, billed_s=invoice.billed_s
    )


def _billed_by(thing: Base) -> str:
    """The subscription that it says to be of; "" for none."""
    if isinstance(thing, InvoiceItem):
        return _subscription(msgspec.to_builtins(thing.parent))
    return thing.subscription if isinstance(thing, Invoice) else ""


def is_hollow(thing: Base) -> bool:
    """Whether its nested list is empty, or was left out: only the JSON can tell."""
    if isinstance(thing, Invoice):
        return not thing.lines.data
    return isinstance(thing, Subscription) and not thing.items.data


def _with_its_list(raw: bytes | msgspec.Raw, thing: T) -> T | UnfitObject:
    if not is_hollow(thing):
        return thing
    head = decode(raw, ObjectHead)
    name = "lines" if isinstance(thing, Invoice) else "items"
    try:
        msgspec.convert(getattr(head, name), ListAnswer[Any])
    except msgspec.ValidationError:
        return unfit_by(
            thing, UnfitObject(id="", field=f"{name}.data", value="missing")
        )
    return thing


def json_of(raw: bytes | msgspec.Raw) -> object:
    """The object as plain JSON, however long its numbers are."""
    try:
        return json.loads(bytes(raw), parse_int=lambda digits: int(digits[:64]))
    except UNREADABLE as error:
        raise msgspec.DecodeError(type(error).__name__) from None


def unfit_object(
    tree: object, field: str, value: str | None, shape: type[Base]
) -> UnfitObject:
    """What can be told of an object that does not fit; ``value`` None: as it shows it."""
    fields = tree if isinstance(tree, dict) else {}
    head = msgspec.convert(fields, ObjectHead)
    is_customer = shape is Customer
    owner = id_in(head.customer) or id_in(head.customer_account)
    return UnfitObject(
        id=id_in(head.id) or _nameless(tree, shape),
        created=_time_of(head.created) or _time_of(head.date),
        customer=id_in(head.id) if is_customer else owner,
        subscription=_subscription(head.parent),
        field=field,
        value=shown(_at(tree, field), field) if value is None else value,
    )


def _nameless(tree: object, shape: type[Base]) -> str:
    """A name for an object without one, the same whenever it is met again."""
    text = json.dumps(tree, sort_keys=True).encode()
    noun = shape.__name__.removeprefix("Stripe").lower()
    return f"{noun} {NAMELESS} ({sha256(text).hexdigest()[:8]})"


def _time_of(moment: object) -> int:
    return read_as(Instant, moment) or 0


def _subscription(parent: object) -> str:
    """The one that an invoice says to be of."""
    read = read_as(InvoiceParent | None, parent)
    details = None if read is None else read.subscription_details
    return "" if details is None else ref(details.subscription)


# What msgspec says: "… - at `$.items.data[0].status`", a missing field by its name, and
# what an object's own check says of one of its fields.
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_NAMED = re.compile(r"required field `(\w+)`|^`(\w+)`")


def _what(error: UnknownStripeShape) -> tuple[str, str | None]:
    """The field that does not fit, and its value where it is not there to be read."""
    said = error.what
    place = _PLACE.search(said)
    where = "" if place is None else place[1]
    named = _NAMED.search(said)
    if named is None:
        return where or WHOLE, None
    field = named[1] or named[2]
    return f"{where}.{field}".strip("."), marked("missing") if named[1] else None


def _at(tree: object, path: str) -> object:
    """What stands there; an ellipsis where the path does not say."""
    if path == WHOLE:
        return tree
    for name, number in re.findall(r"(\w+)|\[(\d+)\]", path):
        if isinstance(tree, dict) and name:
            tree = tree.get(name)
        elif isinstance(tree, list) and number and int(number) < len(tree):
            tree = tree[int(number)]
        else:
            return ...
    return ... if "[...]" in path else tree


def why_not(raw: bytes | msgspec.Raw, error: Exception) -> str:
    """What an event shows that does not fit, in words."""
    if not isinstance(error, UnknownStripeShape):
        return message("it is not JSON")
    field, value = _what(error)
    said = shown(_at(json_of(raw), field), field) if value is None else value
    return message(f"{field} is {said}")
