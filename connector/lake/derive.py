"""Rows of objects, sorted by owner → what is derived of each customer. No engine is here.

An owner is the customer whose an object is, or has become in the end. Rows of one stand
together; within them any order will do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Literal, NamedTuple

import msgspec

from connector.core.errors import ConnectorError, LakeUnusable
from connector.core.model import Refusal
from connector.core.policy import Rules
from connector.lake.flat import FLAT, put_together
from connector.lake.objects import READERS, AsideBody, LakeRow
from connector.mrr.derive import UNFORESEEN, Derived, derive
from connector.mrr.history import Catalogue, History, SubscriptionVersion
from connector.stripe_api.decoding import created_at
from connector.stripe_api.unfit import UnfitObject


class LakeAccount(NamedTuple):
    """``shape`` is how much the bodies say."""

    shape: str
    catalogue: Catalogue


class LakeTask(NamedTuple):
    """What is the same for every customer; accounts are by the name that rows have."""

    rules: Rules
    until_s: int
    accounts: Mapping[str, LakeAccount]


Why = Literal["not_valued", "set_aside", "not_derived"]


class LakeDerived(NamedTuple):
    """``derived`` None: an object of the customer's does not fit, or the history breaks.

    ``why`` is what the refusals are for.
    """

    derived: Derived | None
    refusals: tuple[Refusal, ...]
    why: Why


def derived(rows: Iterable[LakeRow], task: LakeTask) -> Iterator[LakeDerived]:
    """What is derived of each owner; ``LakeUnusable`` where rows are not sorted by it."""
    last = None
    for owner, own in groupby(rows, key=attrgetter("owner")):
        if last is not None and owner <= last:
            raise LakeUnusable(
                f"rows of {owner!r} come after those of {last!r}: they are not sorted "
                "by owner",
                fix="sort them by the bytes of the owner's id, each owner in one part",
            )
        last = owner
        yield _of_owner(owner, list(own), task)


def _of_owner(owner: str, rows: Sequence[LakeRow], task: LakeTask) -> LakeDerived:
    try:
        [name, *others] = sorted({row.account for row in rows})
        if others:
            return _broken(owner, f"objects of the accounts {name} and {others[0]}")
        shape, catalogue = task.accounts[name]
        things, aside = _read(rows, shape)
        if aside or not owner:
            return LakeDerived(None, tuple(aside), "set_aside")
        history = _history(owner, things, catalogue)
        [found] = derive([history], task.rules, task.until_s)
    except UNFORESEEN as error:
        return _broken(owner, _in_words(error))
    return LakeDerived(found, found.refusals, "not_valued")


def _broken(owner: str, why: str) -> LakeDerived:
    return LakeDerived(None, (_refusal(owner, owner, "history", why),), "not_derived")


Things = Mapping[str, list[tuple[LakeRow, Any]]]


def _read(rows: Iterable[LakeRow], shape: str) -> tuple[Things, list[Refusal]]:
    """The objects by kind, each with its row, and those that do not fit."""
    things: dict[str, list[tuple[LakeRow, Any]]] = {}
    aside = []
    shown = put_together(rows) if shape == FLAT else rows
    for row in shown:
        if row.kind == "set_aside":
            told = msgspec.json.decode(row.body, type=AsideBody)
            aside.append(_refusal(row.customer, row.id, told.field, told.value))
            continue
        thing = READERS[shape](row.kind, row.body)
        if thing is None:
            continue
        if not isinstance(thing, UnfitObject):
            things.setdefault(row.kind, []).append((row, thing))
        elif row.kind != "events":  # what one shows is but evidence more
            aside.append(_refusal(row.customer, thing.id, thing.field, thing.value))
    return things, aside


def _refusal(customer: str, key: str, field: str, value: str) -> Refusal:
    return Refusal(customer=customer, object_id=key, field=field, value=value)


def _history(owner: str, things: Things, catalogue: Catalogue) -> History:
    """All of an owner's, oldest first; versions are by subscription, its own ids first."""
    profiles = {row.customer: thing for row, thing in things.get("customers", ())}
    return History(
        customer=owner,
        versions=_versions(owner, things),
        invoices=_dated(things, "invoices"),
        pending=_dated(things, "invoice_items"),
        events=_dated(things, "events"),
        profile=profiles.get(owner),
        catalogue=catalogue,
    )


def _dated(things: Things, kind: str) -> tuple[Any, ...]:
    known = ((created_at(it), row.id, row.body, it) for row, it in things.get(kind, ()))
    return tuple(it for *_, it in sorted(known, key=itemgetter(0, 1, 2)))


def _versions(owner: str, things: Things) -> dict[str, tuple[SubscriptionVersion, ...]]:
    rows = [*things.get("versions", ()), *things.get("subscriptions", ())]
    own_first = sorted(
        rows,
        key=lambda it: (
            it[0].customer != owner,
            *(it[0].customer, it[0].id, it[0].at_s, it[0].body),
        ),
    )
    found: dict[str, list[SubscriptionVersion]] = {}
    for row, thing in own_first:
        found.setdefault(row.id, []).append(SubscriptionVersion(row.at_s, thing))
    return {key: tuple(versions) for key, versions in found.items()}


def _in_words(error: Exception) -> str:
    if isinstance(error, ConnectorError):
        return f"{error.problem}; {error.fix}"
    return f"{type(error).__name__}: {error}"
