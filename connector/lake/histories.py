"""Rows of one account's objects → the histories of the customers whose they are."""

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from connector.core.model import Refusal
from connector.lake.flat import FLAT, put_together
from connector.lake.objects import READERS, AsideBody, LakeRow
from connector.mrr.history import Catalogue, History, SubscriptionVersion
from connector.stripe_api.decoding import created_at
from connector.stripe_api.unfit import UnfitObject


class LakeAccount(NamedTuple):
    """``shape`` is how much the bodies say.

    ``prices`` are those that are called otherwise than by their ids.
    """

    shape: str
    catalogue: Catalogue
    name: str = ""
    prices: Mapping[str, str] = {}


Things = Mapping[str, list[tuple[LakeRow, Any]]]  # by kind, each with its row


class LakeObjects(NamedTuple):
    """Those that fit, and those that do not."""

    things: Things
    aside: tuple[Refusal, ...]


def objects_of(rows: Iterable[LakeRow], shape: str) -> LakeObjects:
    things: dict[str, list[tuple[LakeRow, Any]]] = {}
    aside = []
    for row in put_together(rows) if shape == FLAT else rows:
        if row.kind == "set_aside":
            told = msgspec.json.decode(row.body, type=AsideBody)
            aside.append(refusal(row.customer, row.id, told.field, told.value))
            continue
        thing = READERS[shape](row.kind, row.body)
        if thing is None:
            continue
        if not isinstance(thing, UnfitObject):
            things.setdefault(row.kind, []).append((row, thing))
        elif row.kind != "events":  # what one shows is but evidence more
            aside.append(refusal(row.customer, thing.id, thing.field, thing.value))
    return LakeObjects(things, tuple(aside))


def refusal(customer: str, key: str, field: str, value: str) -> Refusal:
    return Refusal(customer=customer, object_id=key, field=field, value=value)


def histories(counted_as: str, things: Things, shared: Catalogue) -> list[History]:
    """That of each customer that is counted under this name, as the ledger has it."""
    by_member: dict[str, dict[str, list[tuple[LakeRow, Any]]]] = {}
    for kind, found in things.items():
        for row, thing in found:
            own = by_member.setdefault(row.member or row.owner, {})
            own.setdefault(kind, []).append((row, thing))
    return [
        _history(member, "" if member == counted_as else counted_as, own, shared)
        for member, own in sorted(by_member.items())
    ]


def _history(member: str, company: str, things: Things, shared: Catalogue) -> History:
    """All of a customer's, oldest first."""
    profiles = {row.customer: thing for row, thing in things.get("customers", ())}
    return History(
        customer=member,
        company=company,
        versions=_versions(member, things),
        invoices=_dated(things, "invoices"),
        pending=_dated(things, "invoice_items"),
        events=_dated(things, "events"),
        profile=profiles.get(member),
        former={key: own for key, own in profiles.items() if key != member},
        catalogue=shared,
    )


def _dated(things: Things, kind: str) -> tuple[Any, ...]:
    known = ((created_at(it), row.id, row.body, it) for row, it in things.get(kind, ()))
    return tuple(it for *_, it in sorted(known, key=itemgetter(0, 1, 2)))


def _versions(
    member: str, things: Things
) -> dict[str, tuple[SubscriptionVersion, ...]]:
    """By subscription, those of the customer's own id before those of former ids."""

    def place(found: tuple[LakeRow, Any]) -> tuple[Any, ...]:
        row, _ = found
        return row.customer != member, row.customer, row.id, row.at_s, row.body

    rows = sorted(
        [*things.get("versions", ()), *things.get("subscriptions", ())], key=place
    )
    found: dict[str, list[SubscriptionVersion]] = {}
    for row, thing in rows:
        found.setdefault(row.id, []).append(SubscriptionVersion(row.at_s, thing))
    return {key: tuple(versions) for key, versions in found.items()}
