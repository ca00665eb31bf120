"""A Stripe account held in memory, which answers the read API as Stripe would.

In come Stripe-shaped objects with all that they hold; out go lists and single objects
as Stripe shows them (``simulator_rules``). ``AccountTransport`` asks it in process,
``loopback`` puts a real HTTP server before it.

An account never changes: a changed one is made of the changed objects.
"""

import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import unquote

import httpx
import msgspec

from connector.core.errors import ConnectorError
from tests.support import simulator_rules as rules
from tests.support.simulator_rules import (
    FIELDS,
    KINDS,
    Params,
    Query,
    Refused,
    Test,
    Thing,
)

SHAPED_AS = "2026-10-28.endive"  # the API version of the objects
STUBBED = ("customer", "product")  # shown as a stub once they are deleted
NOUN_KINDS = {kind.noun: name for name, kind in KINDS.items()}


class AccountFacts(msgspec.Struct, frozen=True):
    """``account.json``: what the objects do not say of their account."""

    now: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    timezone: str | None = "UTC"  # every account has one
    label: str | None = None
    id: str = "acct_simulated"

    def shown(self) -> Thing:
        """The account as Stripe shows it to its owner, the part that we read."""
        dashboard = {"display_name": self.label, "timezone": self.timezone}
        settings = {"dashboard": dashboard}
        return {"id": self.id, "object": "account", "settings": settings}


NO_FACTS = AccountFacts()


class Shelf:
    """Objects of one noun, in the order in which they are listed."""

    def __init__(self, noun: str, things: Sequence[Thing]) -> None:
        self.noun = noun
        self.things = things
        self.position = {thing["id"]: i for i, thing in enumerate(things)}

    def find(self, object_id: str) -> Thing | None:
        i = self.position.get(object_id)
        return None if i is None else self.things[i]

    def page(self, query: Query, tests: Sequence[Test]) -> tuple[list[Thing], bool]:
        """The objects asked for, in order, and whether more lie beyond them."""
        limit, end = query.limit(), len(self.things)
        after, before = query.one("starting_after"), query.one("ending_before")
        if after and before:
            raise Refused(400, "Pass either starting_after or ending_before, not both.")
        walk = range(end)
        if after:
            walk = range(self._cursor(after, "starting_after", tests) + 1, end)
        if before:
            walk = range(self._cursor(before, "ending_before", tests) - 1, -1, -1)
        things = (self.things[i] for i in walk)
        passing = (thing for thing in things if all(test(thing) for test in tests))
        found = list(itertools.islice(passing, limit + 1))
        shown = found[:limit]
        return shown[::-1] if before else shown, len(found) > limit

    def _cursor(self, object_id: str, param: str, tests: Sequence[Test]) -> int:
        """Where the object stands; one that has left the list is missing."""
        thing = self.find(object_id)
        if thing is None or not all(test(thing) for test in tests):
            raise rules.missing(self.noun, object_id, param)
        return self.position[object_id]


class SimulatedAccount:
    """Everything one account holds, by kind: ``customers``, ``invoices`` and so on.

    ``now`` is the moment the account is meant to be looked at; None: whenever it is.
    """

    def __init__(
        self, objects: Mapping[str, Sequence[Thing]], facts: AccountFacts = NO_FACTS
    ) -> None:
        if unknown := sorted(objects.keys() - KINDS.keys()):
            raise ConnectorError(
                f"no list of Stripe's that is known here is called {unknown[0]!r}",
                fix=f"use these: {', '.join(KINDS)}",
            )
        self.objects, self.facts = objects, facts
        self.now, self.timezone, self.label = facts.now, facts.timezone, facts.label
        self._shelves = {
            name: Shelf(kind.noun, newest_first(objects.get(name, ())))
            for name, kind in KINDS.items()
        }

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``stripe.json``, or the ``<kind>.jsonl.gz``, and ``account.json``."""
        try:
            objects, facts = read_objects(folder), read_facts(folder / "account.json")
        except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
            raise ConnectorError(
                f"the account in {folder} cannot be read: {error}",
                fix="restore the folder from where it came",
            ) from error
        if not objects:
            raise ConnectorError(
                f"there is no Stripe account in {folder}",
                fix="name a folder that holds stripe.json or customers.jsonl.gz",
            )
        return cls(objects, facts)

    def answer(
        self, path: str, params: Params, *, method: str = "GET"
    ) -> tuple[int, Thing]:
        """The status and body with which Stripe would answer; ``path`` is quoted."""
        try:
            match [method, *map(unquote, path.strip("/").split("/"))]:
                case ["GET", "v1", "account"]:
                    return 200, self.facts.shown()
                case ["GET", "v1", "subscription_items"]:
                    return 200, self._items(path, params)
                case ["GET", "v1", "invoices", invoice_id, "lines"]:
                    return 200, self._lines(path, invoice_id, params)
                case ["GET", "v1", kind] if kind in KINDS:
                    return 200, self._list(path, kind, params)
                case ["GET", "v1", kind, object_id] if kind in KINDS:
                    return 200, self._one(kind, object_id, params)
            raise rules.no_such_url(method, path)
        except Refused as no:
            return no.answer

    def _list(self, path: str, name: str, params: Params) -> Thing:
        query = KINDS[name].query(params)
        tests = [is_there, *KINDS[name].tests(query)]
        return self._page(path, self._shelves[name], query, tests)

    def _lines(self, path: str, invoice_id: str, params: Params) -> Thing:
        query = Query(params, known=rules.PAGING)
        lines = self._there("invoice", invoice_id)["lines"]["data"]
        return self._page(path, Shelf("line_item", lines), query)

    def _items(self, path: str, params: Params) -> Thing:
        query = Query(params, known=(*rules.PAGING, "subscription"))
        wanted_id = query.one("subscription") or ""
        items = self._there("subscription", wanted_id, "subscription")["items"]["data"]
        return self._page(path, Shelf("subscription_item", items), query)

    def _one(self, name: str, object_id: str, params: Params) -> Thing:
        noun = KINDS[name].noun
        wanted = Query(params, known=("expand",)).wanted(noun)
        return self._shown(self._there(noun, object_id), noun, wanted)

    def _page(
        self, path: str, shelf: Shelf, query: Query, tests: Sequence[Test] = ()
    ) -> Thing:
        noun = f"{shelf.noun} list"
        wanted = query.wanted(noun)
        data, has_more = shelf.page(query, tests)
        page = {"object": "list", "data": data, "has_more": has_more, "url": path}
        return self._shown(page, noun, wanted)

    def _there(self, noun: str, object_id: str, param: str = "id") -> Thing:
        """The object; of a deleted one Stripe still knows only customers."""
        thing = self._shelves[NOUN_KINDS[noun]].find(object_id)
        if thing is None or (thing.get("deleted") and noun != "customer"):
            raise rules.missing(noun, object_id, param)
        return thing

    def _shown(self, thing: Thing, noun: str, wanted: rules.Wanted) -> Thing:
        """A copy of the object as an answer shows it, with what it holds."""
        if thing.get("deleted") and noun in STUBBED:
            return {"id": thing["id"], "object": noun, "deleted": True}
        shown = dict(thing)
        for name, field in FIELDS.get(noun, {}).items():
            if field.shown is rules.Shown.EXTRA:
                if name not in wanted:
                    shown.pop(name, None)
                elif field.noun == rules.CURRENCIES and thing.get(name):
                    shown[name] = self._options(thing[name], wanted[name])
            elif thing.get(name):
                shown[name] = self._held(thing, name, field, wanted.get(name))
        return shown

    def _options(
        self, options: Mapping[str, Thing], wanted: rules.Wanted
    ) -> dict[str, Thing]:
        """By currency; the tiers of one only where they were asked for."""
        noun = rules.CURRENCIES.removesuffix("s")
        return {
            currency: self._shown(option, noun, wanted.get(currency, {}))
            for currency, option in options.items()
        }

    def _held(
        self, thing: Thing, name: str, field: rules.Field, wanted: rules.Wanted | None
    ) -> Any:
        """What the field holds; ``wanted`` is None where it is not expanded."""
        value = thing[name]
        if field.shown is rules.Shown.AS_ID and wanted is None:
            return each(value, rules.plain)
        if field.shown is rules.Shown.CUT:
            value = rules.beginning(value, name, thing["id"])
        return each(value, partial(self._expanded, field=field, wanted=wanted or {}))

    def _expanded(self, value: Any, *, field: rules.Field, wanted: rules.Wanted) -> Any:
        """The object that stands here, or behind the id; an unknown id stays one."""
        if isinstance(value, str) or field.shown is rules.Shown.AS_ID:
            value = self._known(field.noun, value)
        if isinstance(value, str):
            return value
        return self._shown(value, field.noun or value.get("object", ""), wanted)

    def _known(self, noun: str, value: Any) -> Any:
        """The account's own copy, else what was stored in its place."""
        if noun in NOUN_KINDS:
            return self._shelves[NOUN_KINDS[noun]].find(rules.plain(value)) or value
        return self._discounts.get(value, value) if isinstance(value, str) else value

    @cached_property
    def _discounts(self) -> dict[str, Thing]:
        """Discounts have no list: whoever holds one, a subscription's copy the last."""
        holders = ("invoices", "invoiceitems", "customers", "subscriptions")
        return {
            discount["id"]: discount
            for name in holders
            for thing in self._shelves[name].things
            for discount in discounts_in(thing, KINDS[name].noun)
        }


def is_there(thing: Thing) -> bool:
    return not thing.get("deleted")


def newest_first(things: Sequence[Thing]) -> list[Thing]:
    return sorted(things, key=lambda it: (rules.created_at(it), it["id"]), reverse=True)


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    return [change(one) for one in value] if isinstance(value, list) else change(value)


def discounts_in(thing: Thing, noun: str) -> Iterator[Thing]:
    """Every discount that the object holds as an object, however deep."""
    for name, field in FIELDS.get(noun, {}).items():
        value = thing.get(name)
        for held in value if isinstance(value, list) else [value]:
            if isinstance(held, dict):
                if field.noun == "discount":
                    yield held
                yield from discounts_in(held, field.noun)


def read_facts(file: Path) -> AccountFacts:
    text = file.read_bytes() if file.exists() else b"{}"
    return msgspec.json.decode(text, type=AccountFacts)


def read_objects(folder: Path) -> dict[str, list[Thing]]:
    """All objects by kind; empty where the folder holds none."""
    whole = folder / "stripe.json"
    if whole.exists():
        told = msgspec.json.decode(whole.read_bytes(), type=dict[str, Any])
        lists = {key: each for key, each in told.items() if isinstance(each, list)}
        return msgspec.convert(lists, dict[str, list[Thing]])
    lines = msgspec.json.Decoder(Thing)
    return {
        name: lines.decode_lines(gzip.decompress(file.read_bytes()))
        for name in KINDS
        if (file := folder / f"{name}.jsonl.gz").exists()
    }


class AccountTransport(httpx.BaseTransport):
    """Answers an ``httpx.Client`` from ``account``, as bytes, without a network.

    ``account`` may be set to another one between requests.
    """

    def __init__(self, account: SimulatedAccount) -> None:
        self.account = account
        self._number = itertools.count(1)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        status, body = self.account.answer(
            request.url.raw_path.decode().partition("?")[0],
            request.url.params.multi_items(),
            method=request.method,
        )
        headers = {
            "Content-Type": "application/json",
            "Date": format_datetime(self.account.now or datetime.now(UTC), usegmt=True),
            "Request-Id": f"req_simulated{next(self._number):08}",
            "Stripe-Version": request.headers.get("Stripe-Version", SHAPED_AS),
        }
        return httpx.Response(
            status, headers=headers, content=msgspec.json.encode(body), request=request
        )
