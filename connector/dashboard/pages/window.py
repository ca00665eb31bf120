"""A window's NRR, GRR or CRR by customer: who moved it, why, and how it adds up."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from connector.core.dates import add_months
from connector.core.figures import Retention
from connector.core.language import _
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
from connector.dashboard.pages.moved_customers import (
    SORTS,
    cause_sums,
    causes_of,
    chosen,
    kept_as,
    kind_sums,
    moved_customer,
)
from connector.dashboard.query import one_page, sort_asked
from connector.metrics.contributions import Causes, Contribution, Ratio
from connector.render import contributions as forms
from connector.render.page.levels import retention_steps
from connector.render.report.segment_names import only_words
from connector.reports.explained.window import (
    WindowContributions,
    WindowRequest,
    named,
    window_contributions,
)
from connector.reports.ledger import is_total
from connector.reports.report import ReportRequest, causes_in

KNOWN = frozenset(
    ("currency", "window", "metric", "kind", "cause", "by", "segment", "q", "sort")
) | {"page", "as-of"}

NOTHING = NothingPaid(lambda _: {"windows": []}, lambda _: forms.to_csv([]))


def answer(asked: PageRequest) -> PageAnswer:
    query = asked.query
    window = query.window("window") or _last_over(asked)
    metric = Ratio(query.choice("metric", [r.value for r in Ratio], "nrr"))
    currency, only = asked.currency(), asked.only
    wanted = WindowRequest(window, metric, currency, asked.as_of, only)
    found = asked.reading.keep(
        ("explain", wanted),
        lambda: window_contributions(asked.ledger, wanted),
        lambda made: sum(len(each.contributions) for each in made),
    )
    [taken] = found
    why = None if is_total(currency) else _causes(asked, window, currency)
    shown = chosen(asked, taken, why)
    command = [
        "explain",
        *words(window=written(window), metric=metric, currency=currency),
        *words(segment=list(only), as_of=asked.given_as_of),
    ]
    return PageAnswer(
        template="window.html.j2",
        title=_("{metric} by customer").format(metric=metric.upper()),
        is_empty=bool(query.text("q")) and not shown,
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


def _values(
    asked: PageRequest,
    taken: WindowContributions,
    shown: Sequence[Contribution],
    why: Causes | None,
) -> dict[str, Any]:
    moved, kept = taken.contributions, taken.kept
    page = one_page(shown, asked.query)
    sums = asked.reading.keep(
        ("sums", *kept_as(asked, taken)), lambda: kind_sums(moved)
    )
    largest = max((each.largest_minor for each in sums), default=1)
    reasons = causes_of(why, {each.customer for each in page.rows})
    seen = named(asked.ledger, replace(taken, contributions=page.rows))
    gained_minor = sum(each.amount_minor for each in sums)
    return {
        "taken": taken,
        "kept": kept,
        "ratio": kept.ratios[taken.ratio],
        "numerator_minor": kept.opening_minor + gained_minor,
        "rows": [moved_customer(pair, seen, reasons, largest) for pair in seen.moved],
        "page": page,
        "chosen_minor": gained_minor
        if len(shown) == len(moved)
        else sum(each.amount_minor for each in shown),
        "moved_minor": gained_minor,
        "kinds": sums,
        "causes": cause_sums(why),
        "moved_count": len(moved),
        "bridge": retention_steps(kept),
        "kept_x": round(kept.kept * 100 / max(kept.customers, 1), 2),
        "base_x": _base_x(kept),
        "sort": sort_asked(asked.query, SORTS, "-size"),
        **asked.pickers("total" if taken.is_total else taken.currency),
        "trailing_prefix": trailing_prefix(),
        "neighbours": _neighbours(asked, taken.window),
        "kind": asked.query.text("kind"),
        "cause": asked.query.text("cause"),
        "q": asked.query.text("q"),
        "noted": notes_in(asked, taken.window.start, taken.window.end),
        "only_words": only_words(taken.only) if taken.only else "",
    }


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
