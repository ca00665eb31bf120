"""A window's NRR, GRR or CRR by customer: who moved it, why, and how it adds up."""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from msgspec.structs import replace

from connector.core.dates import add_months
from connector.core.figures import Retention
from connector.core.language import _
from connector.core.model import CustomerName, MovementKind
from connector.core.windows import (
    Window,
    WindowKind,
    name_of,
    trailing_prefix,
    windows,
    written,
)
from connector.dashboard.answer import (
    NothingPaid,
    PageAnswer,
    PageRequest,
    words,
    workbook,
)
from connector.dashboard.frame import notes_in
from connector.dashboard.query import (
    is_called,
    one_page,
    ordered,
    sort_asked,
)
from connector.metrics.contributions import Causes, Contribution, Ratio
from connector.render import contributions as forms
from connector.render.page.levels import retention_steps
from connector.render.report_tables import CAUSE_WORDS, cause_words, only_words
from connector.reports.explain import (
    WindowContributions,
    WindowExplanation,
    named,
    window_contributions,
)
from connector.reports.ledger import is_total
from connector.reports.report import ReportRequest, causes_in
from connector.store.ledger.customers import accounts_of

KNOWN = frozenset(
    ("currency", "window", "metric", "kind", "cause", "by", "segment", "q", "sort")
) | {"page", "as-of"}
KINDS = (MovementKind.CHURN, MovementKind.CONTRACTION, MovementKind.EXPANSION)
SORTS = ("size", "change", "was", "is", "name")

NOTHING = NothingPaid(lambda _: {"windows": []}, lambda _: forms.to_csv([]))

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


def answer(asked: PageRequest) -> PageAnswer:
    query = asked.query
    window = query.window("window") or _last_over(asked)
    metric = Ratio(query.choice("metric", [r.value for r in Ratio], "nrr"))
    currency, as_of = asked.currency(), asked.as_of
    only = asked.only
    found = asked.reading.keep(
        ("explain", window, metric, currency, as_of, only),
        lambda: window_contributions(
            asked.ledger, window, metric, currency, as_of, only
        ),
        lambda made: sum(len(each.contributions) for each in made),
    )
    [taken] = found
    why = None if is_total(currency) else _causes(asked, window, currency)
    shown = _chosen(asked, taken, why)
    command = [
        "explain",
        *words(window=written(window), metric=metric, currency=currency),
        *words(segment=list(only), as_of=asked.given_as_of),
    ]
    return PageAnswer(
        template="window.html.j2",
        title=_("{metric} by customer").format(metric=metric.upper()),
        values=_values(asked, taken, shown, why),
        json=lambda: {"windows": [forms.to_json(named(asked.ledger, taken))]},
        csv=lambda: forms.to_csv(
            [named(asked.ledger, replace(taken, contributions=shown))]
        ),
        command=command,
        xlsx=lambda: _workbook(asked, window, currency),
    )


def _workbook(asked: PageRequest, window: Window, currency: str) -> bytes:
    """The report that ends with the window, which it has by customer."""
    last = add_months(window.end, -1)
    request = ReportRequest(
        kind=window.kind,
        last=last,
        currency=currency,
        as_of=asked.as_of,
        only=asked.only,
    )
    given = words(
        window=window.kind,
        to=f"{last:%Y-%m}",
        currency=currency,
        segment=list(asked.only),
        as_of=asked.given_as_of,
    )
    return workbook(asked, request, ["report", *given], window)


def _last_over(asked: PageRequest) -> Window:
    """The last trailing-12 window that is over."""
    month = add_months(asked.state.today, -1)
    return windows(WindowKind.TRAILING_12, month, month)[0]


def _causes(asked: PageRequest, window: Window, currency: str) -> Causes | None:
    last = add_months(window.end, -1)
    asked.ledger.require_known(last, f"window={written(window)}", asked.as_of)
    return asked.reading.keep(
        ("causes", window, currency, asked.as_of, asked.only),
        lambda: causes_in(asked.ledger, currency, window, asked.as_of, asked.only),
        lambda made: sum(len(x.customers) for own in made for x in own),
    )


def _chosen(
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
        ("names", *_place(asked, taken)),
        lambda: accounts_of(asked.ledger.connection, keys),
        len,
    )


def _place(asked: PageRequest, taken: WindowContributions) -> tuple[Any, ...]:
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


def _values(
    asked: PageRequest,
    taken: WindowContributions,
    shown: Sequence[Contribution],
    why: Causes | None,
) -> dict[str, Any]:
    moved, kept = taken.contributions, taken.kept
    page = one_page(shown, asked.query)
    sums = asked.reading.keep(
        ("sums", *_place(asked, taken)), lambda: _kind_sums(moved)
    )
    largest = max((each.largest_minor for each in sums), default=1)
    reasons = _reasons(why, {each.customer for each in page.rows})
    seen = named(asked.ledger, replace(taken, contributions=page.rows))
    gained_minor = sum(each.amount_minor for each in sums)
    return {
        "taken": taken,
        "kept": kept,
        "ratio": kept.ratios[taken.ratio],
        "numerator_minor": kept.opening_minor + gained_minor,
        "rows": [_row(pair, seen, reasons, largest) for pair in seen.moved],
        "page": page,
        "chosen_minor": gained_minor
        if len(shown) == len(moved)
        else sum(each.amount_minor for each in shown),
        "moved_minor": gained_minor,
        "kinds": sums,
        "causes": _cause_sums(why),
        "moved_count": len(moved),
        "bridge": retention_steps(kept),
        "kept_x": round(kept.kept * 100 / max(kept.customers, 1), 2),
        "base_x": _base_x(kept),
        "sort": sort_asked(asked.query, SORTS, "-size"),
        "own_currency": "total" if taken.is_total else taken.currency,
        "currencies": asked.currencies(),
        "trailing_prefix": trailing_prefix(),
        "neighbours": _neighbours(asked, taken.window),
        "kind": asked.query.text("kind"),
        "cause": asked.query.text("cause"),
        "q": asked.query.text("q"),
        "noted": notes_in(asked, taken.window.start, taken.window.end),
        "only": taken.only,
        "only_words": only_words(taken.only) if taken.only else "",
    }


def _row(
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


def _reasons(why: Causes | None, customers: set[int]) -> dict[int, list[str]]:
    """Of each of these the causes in words, the largest of all first."""
    found: dict[int, list[str]] = {}
    for share in (*why.expansion, *why.contraction) if why is not None else ():
        for key, _minor in share.customers:
            if key in customers:
                found.setdefault(key, []).append(cause_words(share.cause))
    return found


def _kind_sums(moved: Sequence[Contribution]) -> list[KindSum]:
    found = []
    for kind in KINDS:
        own = [each.amount_minor for each in moved if each.kind is kind]
        if own:
            found.append(KindSum(kind, len(own), sum(own), max(map(abs, own))))
    return found


def _cause_sums(why: Causes | None) -> list[CauseSum]:
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


def _base_x(kept: Retention) -> float:
    """Where 100 % is, in per cent of the bars' width."""
    highest = max(kept.opening_minor, kept.closing_minor) or 1
    return round(kept.opening_minor * 100 / highest, 2)


def _neighbours(asked: PageRequest, window: Window) -> list[tuple[str, str, bool]]:
    """The window before and the one after, as far as the ledger knows any.

    What each is called, how a URL has it, and whether it is running.
    """
    step = {WindowKind.QUARTER: 3, WindowKind.YEAR: 12}.get(window.kind, 1)
    last, today = add_months(window.end, -1), asked.state.today
    months: list[date] = [add_months(last, -step), last, add_months(last, step)]
    found = [windows(window.kind, month, month)[0] for month in months]
    return [
        (name_of(each), written(each), each.end > today)
        for each in found
        if add_months(each.end, -1) <= today or each.start <= today
    ]
