"""Who moved a window's ratio, chosen and in order, each with its bar and causes."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from connector.core.language import _
from connector.core.model import CustomerName, MovementKind
from connector.dashboard.answer import PageRequest
from connector.dashboard.query import is_called, ordered, sort_asked
from connector.metrics.contributions import Causes, Contribution
from connector.render.report.reasons import CAUSE_WORDS, cause_words
from connector.reports.explained.window import WindowContributions, WindowExplanation
from connector.store.ledger.customers import accounts_of

KINDS = (MovementKind.CHURN, MovementKind.CONTRACTION, MovementKind.EXPANSION)


SORTS = ("size", "change", "was", "is", "name")


Moved = tuple[CustomerName, Contribution]


class MovedCustomer(NamedTuple):
    """``why`` in words; ``x`` and ``width`` place its bar, in per cent."""

    name: CustomerName
    moved: Contribution
    why: str
    points: Fraction | None
    x: float
    width: float


class KindSum(NamedTuple):
    kind: MovementKind
    customers: int
    amount_minor: int
    largest_minor: int  # of one customer, either way


class CauseSum(NamedTuple):
    kind: str
    cause: str
    words: str
    customers: int
    amount_minor: int


def chosen(
    asked: PageRequest, taken: WindowContributions, why: Causes | None
) -> Sequence[Contribution]:
    """Those that kind, cause and name ask for, in the order asked for."""
    query, moved = asked.query, taken.contributions
    kind = query.choice("kind", [each.value for each in KINDS], "")
    cause, text = query.choice("cause", [*CAUSE_WORDS, ""], ""), query.text("q")
    sort = sort_asked(query, SORTS, "-size")
    if kind or cause:
        own = _caused_by(why, kind, cause) if cause else None
        moved = [
            each
            for each in moved
            if kind in ("", each.kind) and (own is None or each.customer in own)
        ]
    if text or sort.endswith("name"):
        names = _names(asked, taken)
        moved = [x for x in moved if not text or is_called(names[x.customer], text)]
    if sort == "-size":
        return moved
    return ordered(
        moved,
        sort,
        {
            "size": lambda each: abs(each.amount_minor),
            "change": lambda each: each.amount_minor,
            "was": lambda each: each.opening_minor,
            "is": lambda each: each.closing_minor,
            "name": lambda each: names[each.customer].shown.casefold(),
        },
    )


def _names(
    asked: PageRequest, taken: WindowContributions
) -> Mapping[int, CustomerName]:
    """Everybody's, who may be many: only where all are looked through."""
    keys = [each.customer for each in taken.contributions]
    return asked.reading.keep(
        ("names", *kept_as(asked, taken)),
        lambda: accounts_of(asked.ledger.connection, keys),
        len,
    )


def kept_as(asked: PageRequest, taken: WindowContributions) -> tuple[Any, ...]:
    return (taken.window, taken.ratio, taken.currency, asked.as_of, taken.only)


def _caused_by(why: Causes | None, kind: str, cause: str) -> set[int]:
    if why is None:
        return set()
    shares = [
        share
        for name, of_kind in why._asdict().items()
        for share in of_kind
        if share.cause == cause and kind in ("", name)
    ]
    return {key for share in shares for key, _minor in share.customers}


def moved_customer(
    pair: Moved,
    taken: WindowExplanation,
    reasons: Mapping[int, Sequence[str]],
    largest_minor: int,
) -> MovedCustomer:
    name, each = pair
    width = round(abs(each.amount_minor) * 50 / largest_minor, 2)
    share = taken.share(each)
    why = ", ".join(reasons.get(each.customer, ()))
    return MovedCustomer(
        name=name,
        moved=each,
        why=why or (_("left") if each.kind is MovementKind.CHURN else ""),
        points=None if share is None else share * 100,
        x=50 if each.amount_minor > 0 else 50 - width,
        width=width,
    )


def causes_of(why: Causes | None, customers: set[int]) -> dict[int, list[str]]:
    """Of each of these the causes in words, the largest of all first."""
    found: dict[int, list[str]] = {}
    for share in (*why.expansion, *why.contraction) if why is not None else ():
        for key, _minor in share.customers:
            if key in customers:
                found.setdefault(key, []).append(cause_words(share.cause))
    return found


def kind_sums(moved: Sequence[Contribution]) -> list[KindSum]:
    found = []
    for kind in KINDS:
        own = [each.amount_minor for each in moved if each.kind is kind]
        if own:
            found.append(KindSum(kind, len(own), sum(own), max(map(abs, own))))
    return found


def cause_sums(why: Causes | None) -> list[CauseSum]:
    return [
        CauseSum(
            kind=kind,
            cause=share.cause,
            words=cause_words(share.cause),
            customers=len(share.customers),
            amount_minor=share.amount_minor,
        )
        for kind, shares in (why._asdict().items() if why is not None else ())
        for share in shares
    ]
