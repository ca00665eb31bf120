"""The rules by which Stripe's read API answers: what may be asked, what is shown.

In come the parameters of a request; out go a ``Query`` that reads them, the tests that
an object must pass to be listed, and, in ``FIELDS``, how an answer shows what an
object holds. Whatever Stripe would refuse is ``Refused`` in Stripe's words. ``simulator``
keeps the objects and applies the rules.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from functools import partial
from math import inf
from typing import Any, NamedTuple

EXPAND_LEVELS = 4  # counting `data`
INNER_OBJECTS = 10  # that Stripe puts into a list inside an object
INNER_URLS = {
    "items": "/v1/subscription_items?subscription={id}",
    "lines": "/v1/invoices/{id}/lines",
}

Params = Sequence[tuple[str, str]]
Thing = dict[str, Any]  # one object of Stripe's
Wanted = dict[str, "Wanted"]  # expand paths as a tree: {"discounts": {"source": {}}}


class Shown(Enum):
    """How an answer shows what a field holds."""

    WHOLE = "as an object"
    AS_ID = "as an object if expanded, else as its id"
    EXTRA = "if expanded, else not at all"
    CUT = "its first ten, and where the others are"


class Field(NamedTuple):
    shown: Shown
    noun: str  # what it holds, a key of FIELDS; "": what its own `object` says


def fields(shown: Shown, **nouns: str) -> dict[str, Field]:
    return {name: Field(shown, noun) for name, noun in nouns.items()}


_whole = partial(fields, Shown.WHOLE)
_as_id = partial(fields, Shown.AS_ID)
_extra = partial(fields, Shown.EXTRA)
_cut = partial(fields, Shown.CUT)
_buyer = _as_id(customer="customer", discounts="discount")

CURRENCIES = "currency options"  # by currency, each a noun without its last letter

# By noun, the fields that can be shown in more than one way, or that lead to some.
OBJECTS: dict[str, dict[str, Field]] = {
    "customer": _whole(discount="discount"),
    "product": _as_id(default_price="price"),
    "price": _as_id(product="product") | _extra(tiers="", currency_options=CURRENCIES),
    "currency option": _extra(tiers=""),
    "coupon": _extra(applies_to="", currency_options=""),
    "discount": _as_id(customer="customer") | _whole(source="source"),
    "source": _as_id(coupon="coupon"),
    "subscription": _buyer
    | _as_id(latest_invoice="invoice")
    | _cut(items="subscription_item list"),
    "subscription_item": _as_id(discounts="discount") | _whole(price="price"),
    "invoice": _buyer
    | _cut(lines="line_item list")
    | _whole(total_discount_amounts="discount amount"),
    "line_item": _as_id(discounts="discount")
    | _whole(discount_amounts="discount amount", pricing="pricing"),
    "discount amount": _as_id(discount="discount"),
    "pricing": _whole(price_details="price details"),
    "price details": _as_id(price="price"),
    "invoiceitem": _buyer | _as_id(invoice="invoice") | _whole(pricing="pricing"),
    "event": _whole(data="event data"),
    "event data": _whole(object=""),
}
FIELDS = OBJECTS | {f"{noun} list": _whole(data=noun) for noun in OBJECTS}


def beginning(inner: Thing, name: str, owner_id: str) -> Thing:
    """The list as it stands inside its owner: a few objects, and where all of it is."""
    data, url = inner["data"], INNER_URLS[name].format(id=owner_id)
    more = {"has_more": len(data) > INNER_OBJECTS, "total_count": len(data), "url": url}
    return {"object": "list", "data": data[:INNER_OBJECTS], **more}


# --- saying no ---


def refusal(status: int, message: str, **details: str) -> tuple[int, Thing]:
    """The status and the body with which Stripe says no.

    ``details`` are Stripe's: ``code``, ``param``, and ``type`` where it is not an
    ``invalid_request_error``.
    """
    if code := details.get("code"):
        page = code.replace("_", "-")
        details["doc_url"] = f"https://stripe.com/docs/error-codes/{page}"
    error = {"type": "invalid_request_error", "message": message, **details}
    return status, {"error": error}


class Refused(Exception):
    """Stripe's no on its way to becoming the answer; it never leaves the account."""

    def __init__(self, status: int, message: str, **details: str) -> None:
        super().__init__(message)
        self.answer = refusal(status, message, **details)


def missing(noun: str, object_id: str, param: str = "id") -> Refused:
    """An object that is not there: 404 where the path names it, else 400."""
    status = 404 if param == "id" else 400
    message = f"No such {noun}: '{object_id}'"
    return Refused(status, message, code="resource_missing", param=param)


def no_such_url(method: str, path: str) -> Refused:
    return Refused(404, f"Unrecognized request URL ({method}: {path}).")


# --- asking ---


class Query:
    """The parameters of one request; ``expand[]`` and ``expand[0]`` are the same."""

    def __init__(self, params: Params, known: Sequence[str]) -> None:
        self.given: dict[str, list[str]] = {}
        for name, value in params:
            if name.partition("[")[0] not in known:
                message = f"Received unknown parameter: {name}"
                raise Refused(400, message, code="parameter_unknown", param=name)
            self.given.setdefault(re.sub(r"\[\d*\]$", "[]", name), []).append(value)

    def one(self, name: str) -> str | None:
        return self.given[name][-1] if name in self.given else None

    def many(self, name: str) -> list[str]:
        return self.given.get(f"{name}[]", [])

    def number(self, name: str, *, default: int = 0) -> int:
        text = self.one(name) or str(default)
        if not re.fullmatch(r"-?\d+", text):
            raise _no_integer(f"Invalid integer: {text}", name)
        return int(text)

    def limit(self) -> int:
        limit = self.number("limit", default=10)
        if 1 <= limit <= 100:
            return limit
        bound = (
            "greater than or equal to 1" if limit < 1 else "less than or equal to 100"
        )
        raise _no_integer(f"This value must be {bound} (it is {limit}).", "limit")

    def wanted(self, noun: str) -> Wanted:
        """What an answer that shows a ``noun`` is to expand."""
        tree: Wanted = {}
        for path in self.many("expand"):
            _check_expandable(noun, path)
            branch = tree
            for name in path.split("."):
                branch = branch.setdefault(name, {})
        return tree


def _no_integer(message: str, param: str) -> Refused:
    return Refused(400, message, code="parameter_invalid_integer", param=param)


def _check_expandable(noun: str, path: str) -> None:
    names = path.split(".")
    if len(names) > EXPAND_LEVELS:
        limit = f"You cannot expand more than {EXPAND_LEVELS} levels of a property."
        raise Refused(400, f"{limit} Property: {path}", param="expand")
    message = f"This property cannot be expanded ({path})."
    if noun.endswith(" list") and names[0] != "data":
        message += f" You may want to try expanding 'data.{path}' instead."
    for name in names:
        if noun == CURRENCIES:
            noun = CURRENCIES.removesuffix("s")
            continue
        if name not in FIELDS.get(noun, {}):
            raise Refused(400, message, param="expand")
        noun = FIELDS[noun][name].noun


# --- being listed ---

Test = Callable[[Thing], bool]
Filter = Callable[[Query], Test | None]  # None: every object passes

_ENDED = ("canceled", "incomplete_expired")
_FROM = {"created": 0, "created[gte]": 0, "created[gt]": 1}  # added to what is given
_TO = {"created": 0, "created[lte]": 0, "created[lt]": -1}


def plain(value: Any) -> Any:
    """A value as a parameter says it: an object by its id, True as ``true``."""
    if isinstance(value, dict):
        return value["id"]
    return str(value).lower() if isinstance(value, bool) else value


def created_at(thing: Thing) -> int:
    """In seconds; an invoice item calls it ``date``, a deleted object has none."""
    seconds: int = thing.get("created") or thing.get("date") or 0
    return seconds


def _by(param: str, read: Callable[[Thing], Any] | None = None) -> Filter:
    """By the field of the parameter's name, or by what ``read`` finds in the object."""
    found = read or operator.methodcaller("get", param)

    def filtered(query: Query) -> Test | None:
        if (asked := query.one(param)) is None:
            return None
        return lambda thing: plain(found(thing)) == asked

    return filtered


def _by_created(query: Query) -> Test | None:
    starts = [query.number(it) + n for it, n in _FROM.items() if it in query.given]
    ends = [query.number(it) + n for it, n in _TO.items() if it in query.given]
    if not starts and not ends:
        return None
    first, last = max(starts, default=0), min(ends, default=inf)
    return lambda thing: first <= created_at(thing) <= last


def _by_status(query: Query) -> Test | None:
    """Subscriptions that ended are listed only for those who ask for them."""
    match query.one("status"):
        case "all":
            return None
        case None:
            return lambda thing: thing["status"] not in _ENDED
        case "ended":
            return lambda thing: thing["status"] in _ENDED
        case asked:
            return lambda thing: bool(thing["status"] == asked)


def _by_test_clock(query: Query) -> Test | None:
    """Objects on a test clock are listed for that clock or for their customer only."""
    asked = query.one("test_clock")
    if asked is None and query.one("customer"):
        return None
    return lambda thing: plain(thing.get("test_clock")) == asked


def _by_type(query: Query) -> Test | None:
    patterns = query.many("types") or query.given.get("type")
    if patterns is None:
        return None
    return lambda thing: any(fnmatchcase(thing["type"], each) for each in patterns)


def _subscription(invoice: Thing) -> Any:
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return details.get("subscription")


class ListRules(NamedTuple):
    """One of Stripe's lists: what it holds, and by which parameters it is narrowed."""

    noun: str
    filters: Mapping[str, Filter]

    def query(self, params: Params) -> Query:
        return Query(params, known=(*PAGING, *self.filters))

    def tests(self, query: Query) -> list[Test]:
        return [test for made in self.filters.values() if (test := made(query))]


PAGING = ("limit", "starting_after", "ending_before", "expand")
_created = {"created": _by_created}
_customer = _created | {"customer": _by("customer")}
_clock = {"test_clock": _by_test_clock}
_sold = _created | {"active": _by("active"), "type": _by("type")}
_priced = {"product": _by("product"), "currency": _by("currency")}
_paid = {"status": _by("status"), "subscription": _by("subscription", _subscription)}
_pending = _by("pending", lambda item: item.get("invoice") is None)

KINDS = {
    "customers": ListRules("customer", _created | _clock | {"email": _by("email")}),
    "products": ListRules("product", _sold),
    "prices": ListRules("price", _sold | _priced),
    "coupons": ListRules("coupon", _created),
    "subscriptions": ListRules(
        "subscription", _customer | _clock | {"status": _by_status}
    ),
    "invoices": ListRules("invoice", _customer | _paid),
    "invoiceitems": ListRules(
        "invoiceitem", _customer | {"invoice": _by("invoice"), "pending": _pending}
    ),
    "events": ListRules("event", _created | {"type": _by_type, "types": _by_type}),
}
