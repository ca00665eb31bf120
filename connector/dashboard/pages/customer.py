"""One customer's MRR over time, each step with its sum and evidence."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from connector.core.account import NOBODY, StripeIdentity
from connector.core.dates import add_months
from connector.core.errors import NothingFound
from connector.core.model import Component, Evidence, Movement
from connector.dashboard import frame
from connector.dashboard.answer import PageAnswer, PageRequest, words
from connector.dashboard.frame import NoteMark, ShownNote, notes_in
from connector.mrr.risks import Risk, RiskReason
from connector.render import movements as forms
from connector.render.page.levels import StepChart, step_chart
from connector.reports.explained.customer import CustomerExplanation, explain_customer
from connector.reports.risks.future import customer_future
from connector.reports.risks.model import LATELY_DAYS
from connector.store.ledger import customers

KNOWN = frozenset(("currency", "on", "as-of"))
CHART_HEIGHT = 220


class ShownEvidence(NamedTuple):
    """``invoice`` is the one that a line is on, where the component names it."""

    proof: Evidence
    invoice: str | None


class ShownComponent(NamedTuple):
    part: Component
    name: str
    evidence: Sequence[ShownEvidence]
    whose: StripeIdentity


class ShownMovement(NamedTuple):
    movement: Movement
    parts: Sequence[ShownComponent]


def answer(asked: PageRequest) -> PageAnswer:
    _require(asked)
    day = asked.query.day("on")
    explained = explain_customer(asked.ledger, asked.key, day, asked.as_of)
    codes = list(dict.fromkeys(m.currency for m in reversed(explained.movements)))
    return PageAnswer(
        template="customer.html.j2",
        title=explained.customer.shown,
        values=_values(asked, explained, codes),
        json=lambda: forms.explanation_json(explained),
        csv=lambda: forms.movements_csv(explained.movements, explained.labels).text(),
        command=[
            "explain",
            explained.customer.id,
            *words(on=day),
            *words(as_of=asked.given_as_of),
        ],
    )


def _require(asked: PageRequest) -> None:
    """Only whole ids lead to a customer; who has a part of one is shown whom it fits."""
    found = customers.find_customer(asked.ledger.connection, asked.key)
    if [each.id for each in found] == [asked.key]:
        return
    fix = "ids begin with cus_, as Stripe shows them"
    if found:
        several = ", ".join(each.with_id for each in found)
        fix = f"called like that are: {several}"
    raise NothingFound(f"no customer {asked.key[:80]} in this ledger", fix=fix)


def _values(
    asked: PageRequest, explained: CustomerExplanation, codes: Sequence[str]
) -> dict[str, Any]:
    code = asked.query.text("currency").lower() or (codes[0] if codes else "")
    if code == "total":
        code = codes[0] if codes else ""
    if codes and code not in codes:
        code = codes[0]  # links carry on what the page before was of
    own = [each for each in explained.movements if each.currency == code]
    is_now = asked.as_of is None and asked.query.day("on") is None
    risks, ahead = _future(asked, code, own) if is_now else ([], [])
    chart = _chart(own, ahead, explained.on) if own else None
    places = frame.places_in_stripe(asked.ledger, _objects(own, risks))
    shown = [_shown(each, explained.prices, places) for each in reversed(own)]
    whom = [each.id for each in explained.counted_as_one] or [explained.customer.id]
    noted = _noted(asked, own, explained)
    return {
        "explained": explained,
        "code": code,
        "codes": codes,
        "shown": shown,
        "timeline": sorted([*noted, *shown], key=_told_on, reverse=True),
        "note_marks": [] if chart is None else _marks(noted, chart),
        "own": own,
        "mrr_minor": own[-1].after_minor if own else 0,
        "highest_minor": max((each.after_minor for each in own), default=0),
        "risks": risks,
        "ahead": ahead,
        "chart": chart,
        "plans": _plans(own, explained.prices),
        "places": places,
        "in_stripe": frame.customers_in_stripe(asked.ledger, whom),
        "today": explained.on,
    }


def _noted(
    asked: PageRequest, own: Sequence[Movement], explained: CustomerExplanation
) -> list[ShownNote]:
    """What was noted of it, and of nobody in particular, since it first paid."""
    start = own[0].day if own else date.min
    end = explained.on + timedelta(days=1)
    found = notes_in(asked, start, end, explained.customer.id)
    return found if own else [each for each in found if each.note.customer]


def _told_on(each: ShownNote | ShownMovement) -> date:
    """A note stands at the end of its month."""
    if isinstance(each, ShownNote):
        return add_months(each.note.month, 1) - timedelta(days=1)
    return each.movement.day


def _marks(noted: Sequence[ShownNote], chart: StepChart) -> list[NoteMark]:
    """Notes of one month together, at its beginning."""
    months: dict[date, list[int]] = {}
    for each in noted:
        months.setdefault(max(each.note.month, chart.start), []).append(each.number)
    return [NoteMark(chart.x(day), numbers) for day, numbers in months.items()]


def _future(
    asked: PageRequest, code: str, own: Sequence[Movement]
) -> tuple[list[Risk], list[Movement]]:
    """What may go, and what is scheduled, in the currency shown."""
    future = customer_future(asked.ledger, asked.key)
    risks = [risk for risk in future.risks if risk.currency == code]
    since = asked.state.today - timedelta(days=LATELY_DAYS)
    shrunk = [m for m in own if m.kind == "contraction" and m.day > since]
    if shrunk and own[-1].after_minor:
        worth_minor = own[-1].after_minor
        last = shrunk[-1]
        risks.append(
            Risk(RiskReason.CONTRACTED, last.customer, code, "", worth_minor, last.day)
        )
    return risks, [each for each in future.movements if each.currency == code]


def _objects(own: Iterable[Movement], risks: Iterable[Risk]) -> set[str]:
    """The ids by which it is known in whose Stripe Dashboard their evidence is."""
    found = {risk.subscription for risk in risks}
    for part in (part for movement in own for part in movement.components):
        found |= {part.subscription, *(proof.id for proof in part.evidence)}
    return found


def _shown(
    movement: Movement,
    prices: Mapping[str, str],
    places: Mapping[str, StripeIdentity],
) -> ShownMovement:
    parts = []
    for part in movement.components:
        invoice = next((p.id for p in part.evidence if p.kind == "invoice"), None)
        evidence = [
            ShownEvidence(p, invoice if p.kind == "invoice_line" else None)
            for p in part.evidence
        ]
        name = prices.get(part.price, part.price)
        keys = (part.subscription, *(p.id for p in part.evidence))
        known = (places[key] for key in keys)
        whose = next((each for each in known if each != NOBODY), NOBODY)
        parts.append(ShownComponent(part, name, evidence, whose))
    return ShownMovement(movement, parts)


def _chart(
    own: Sequence[Movement], ahead: Sequence[Movement], today: date
) -> StepChart:
    return step_chart(
        [(each.day, each.after_minor) for each in own],
        [(each.day, each.after_minor) for each in ahead],
        today,
        CHART_HEIGHT,
    )


def _plans(own: Sequence[Movement], prices: Mapping[str, str]) -> str:
    """What it pays for by now, as far as the movements show: the last of each item."""
    items: dict[str, str] = {}
    for movement in own:
        for part in movement.components:
            name = prices.get(part.price, part.price)
            items[part.item] = name if part.after else ""
    return ", ".join(dict.fromkeys(name for name in items.values() if name))
