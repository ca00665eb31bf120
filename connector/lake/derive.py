"""Rows of objects, sorted by owner → what is derived of each customer. No engine is here.

An owner is under whom the customer is counted whose an object is, or has become in the
end. Rows of one stand together; within them any order will do. What accounts have of one
id are two customers, unless a company or a merge makes them one.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Literal, NamedTuple

from msgspec.structs import replace

from connector.core.errors import ConnectorError, LakeUnusable
from connector.core.model import Refusal
from connector.core.policy import Rules
from connector.lake.histories import LakeAccount, histories, objects_of, refusal
from connector.lake.objects import LakeRow
from connector.mrr.derive import UNFORESEEN, Derived, derive
from connector.mrr.several_accounts import derived_together, with_prices_named


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
    why: Why = "not_valued"


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
        yield from _of_owner(owner, list(own), task)


def _of_owner(owner: str, rows: list[LakeRow], task: LakeTask) -> Iterator[LakeDerived]:
    in_accounts: dict[str, list[LakeRow]] = {}
    for row in rows:
        in_accounts.setdefault(row.account, []).append(row)
    is_alone = len(in_accounts) == 1 or not owner
    is_joined = any(row.member for row in rows) or owner in task.rules.merge.values()
    parts: dict[str, Derived] = {}
    for key, own in in_accounts.items():
        account = task.accounts[key]
        name = owner if is_alone or is_joined else f"{account.name}/{owner}"
        found = _in_account(name, own, task, account)
        if found.derived is not None and is_joined and not is_alone:
            parts[account.name] = found.derived
            found = found._replace(derived=None)
        yield found
    if parts:
        yield LakeDerived(derived_together(owner, parts), ())


def _in_account(
    name: str, rows: list[LakeRow], task: LakeTask, account: LakeAccount
) -> LakeDerived:
    """What an account has of a customer that is called so among all of them."""
    try:
        things, aside = objects_of(rows, account.shape)
        found = LakeDerived(None, aside, "set_aside")
        if name and not aside:
            own = histories(name, things, account.catalogue)
            [known] = derive(own, task.rules, task.until_s)
            renamed = with_prices_named(known, account.prices)
            found = LakeDerived(renamed, known.refusals)
    except UNFORESEEN as error:
        broken = refusal(name, name, "history", _in_words(error))
        found = LakeDerived(None, (broken,), "not_derived")
    if len(task.accounts) == 1:
        return found
    told = (replace(each, customer=name) for each in found.refusals)
    return found._replace(refusals=tuple(told))


def _in_words(error: Exception) -> str:
    if isinstance(error, ConnectorError):
        return f"{error.problem}; {error.fix}"
    return f"{type(error).__name__}: {error}"
