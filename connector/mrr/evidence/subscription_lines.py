"""A customer's invoices and pending items → each subscription's line items, in order.

Regular lines of drafts are left out (they can still be edited), but for those of a renewal
in its first hour; their prorations stay, being the pending items of a moment ago. Lines of
void and uncollectible invoices stay: nothing may have been owed, but the subscription was
what they say, but for changes that were never made (``without_unmade_changes``). Of tiers
with a line each, all lines of a period are one line item.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter

import msgspec

from connector.mrr.evidence.item_states import SAME_REQUEST_S, item_state_of
from connector.mrr.evidence.line_items import (
    InclusiveTax,
    LineItem,
    from_pending_item,
    lines_of,
)
from connector.mrr.history import History, SubscriptionVersion, versions_in
from connector.mrr.pricing import units_billed
from connector.mrr.tiers import TierLine
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Price

_BilledState = tuple[str, str, Decimal]  # item, price, quantity


def subscription_lines(history: History) -> dict[str, list[LineItem]]:
    """Each subscription's line items, ordered by the start of their period."""
    by_subscription: defaultdict[str, list[LineItem]] = defaultdict(list)
    every = _all_line_items(history)
    if history.pending:  # else they are in the order in which they were written down
        every.sort(key=attrgetter("known_s"))
    for line in every:
        by_subscription[line.subscription].append(line)
    for found in by_subscription.values():
        found.sort(key=attrgetter("start_s"))
    return dict(by_subscription)


def _all_line_items(history: History) -> list[LineItem]:
    prices = history.catalogue.prices
    found: list[LineItem] = []
    for invoice in history.invoices:
        if invoice.status != "draft":
            lines = lines_of(invoice)
        else:
            lines = _lines_of_draft(history, invoice)
        found += _with_tiers_merged(lines, prices) if lines[1:] else lines
    if pending := pending_lines(history):
        found += _with_tiers_merged(pending, prices)
    return _with_free_credits(history, found)


def pending_lines(history: History) -> list[LineItem]:
    """What waits for an invoice; of what is 0, too, whether it is a credit."""
    read = [from_pending_item(item) for item in history.pending]
    return _with_free_credits(history, [line for line in read if line is not None])


def _is_after_the_end(line: LineItem, ends_s: Mapping[str, int | None]) -> bool:
    """Nothing is billed for the time after its subscription's end, only taken back."""
    end_s = ends_s.get(line.subscription)
    return end_s is not None and line.start_s >= end_s - SAME_REQUEST_S


def _lines_of_draft(history: History, draft: Invoice) -> list[LineItem]:
    """One that is finalized within the hour is read as it will be then."""
    own = history.versions.get(draft.subscription)
    if own is not None and own[-1].finalizes(draft):
        return lines_of(msgspec.structs.replace(draft, status="open"))
    return [line for line in lines_of(draft) if not line.is_regular]


def _with_free_credits(history: History, lines: list[LineItem]) -> list[LineItem]:
    """With what is a credit of 0, which nothing says that waits for its first invoice."""
    if not [line for line in lines if line.proration and not line.amount_minor]:
        return lines
    shown = [own[-1].subscription for own in history.versions.values()]
    ends_s = {each.id: each.ended_at for each in shown}
    current = {item.id for each in shown for item in each.items.data}
    current -= {line.item for line in lines if _is_after_the_end(line, ends_s)}
    added_s = {
        item.id: item.created
        for _, each in versions_in(history.events)
        for item in each.items.data
    }
    debited = {
        n.id for n in lines if abs(n.start_s - added_s.get(n.item, 0)) <= SAME_REQUEST_S
    }
    return [*_free_credits_among(lines, current, debited, history.catalogue.prices)]


def _free_credits_among(
    lines: Sequence[LineItem],
    current: Container[str],
    debited: Container[str],
    prices: Mapping[str, Price],
) -> Iterator[LineItem]:
    """What was free, or less than half a cent is left of, is credited with 0.

    It is a credit where nothing else takes the item back, and it is billed from the same
    instant on, or is not ``current`` and nothing came later; not where an event says that
    the item was added with it (``debited``, by line).
    """
    prorated = [line for line in lines if line.proration]
    billed = {(n.item, n.start_s): n for n in prorated if n.amount_minor > 0}
    taken = {(n.item, n.start_s) for n in prorated if n.credit}
    last_s = {n.item: n.start_s for n in sorted(lines, key=attrgetter("start_s"))}
    for line in lines:
        if not line.proration:
            yield line
            continue
        debit = billed.get((line.item, line.start_s))
        if line.amount_minor or (line.item, line.start_s) in taken:
            is_credit = line.credit
        elif line.id in debited:
            is_credit = False
        elif debit is None:
            is_credit = line.item not in current and line.start_s == last_s[line.item]
        else:
            is_credit = not _is_tier_beside(line, debit, prices)
        yield msgspec.structs.replace(line, credit=True) if is_credit else line


def _is_tier_beside(
    line: LineItem, debit: LineItem, prices: Mapping[str, Price]
) -> bool:
    """Whether it may be a free tier of what the debit bills."""
    price = prices.get(line.price)
    is_tiered = price is not None and price.billing_scheme == "tiered"
    return is_tiered and debit.price == line.price


def _with_tiers_merged(
    line_items: Sequence[LineItem], prices: Mapping[str, Price]
) -> Iterable[LineItem]:
    """One line item for an item's period, where each tier has a line of its own.

    Only together do the lines say how many units were billed.
    """
    regular = {line.item for line in line_items if line.is_regular}
    if len(regular) == len(line_items):
        return line_items  # one of each item, as in nearly every invoice
    return _merged_by_period(line_items, prices)


def _merged_by_period(
    line_items: Iterable[LineItem], prices: Mapping[str, Price]
) -> Iterator[LineItem]:
    by_period: dict[tuple[object, ...], list[LineItem]] = {}
    for line in line_items:
        price = prices.get(line.price)
        is_tiered = price is not None and price.billing_scheme == "tiered"
        if not line.is_regular and not is_tiered:
            yield line
            continue
        period = (line.start_s, line.end_s)
        nature = (line.proration, line.credit)
        key = (line.item, line.price, *period, *nature)
        by_period.setdefault(key, []).append(line)
    for lines in by_period.values():
        yield _merged(lines, prices.get(lines[0].price)) if lines[1:] else lines[0]


def _merged(lines: list[LineItem], price: Price | None) -> LineItem:
    billed = [TierLine(line.quantity, line.amount_minor) for line in lines]
    first = lines[0]
    if price is None:
        quantity = sum((line.quantity for line in lines), Decimal(0))
    else:
        quantity = units_billed(price, first.currency, billed)
    return msgspec.structs.replace(
        first,
        quantity=quantity,
        unit_amount_minor=None,
        amount_minor=sum(line.amount_minor for line in lines),
        discounts=tuple(dict.fromkeys(d for line in lines for d in line.discounts)),
        discounted_minor=sum(line.discounted_minor for line in lines),
        inclusive_tax=_merged_tax(lines),
        discount_amounts=_added_up(lines),
    )


def _added_up(lines: Iterable[LineItem]) -> tuple[tuple[str, int], ...]:
    """What each discount took off all of them, in the order in which they applied."""
    taken_minor: dict[str, int] = {}
    for line in lines:
        for key, minor in line.discount_amounts:
            taken_minor[key] = taken_minor.get(key, 0) + minor
    return tuple(taken_minor.items())


def _merged_tax(lines: Sequence[LineItem]) -> InclusiveTax | None:
    taxes = [line.inclusive_tax for line in lines if line.inclusive_tax is not None]
    if not taxes:
        return None
    amount_minor = sum(tax.amount_minor for tax in taxes)
    return InclusiveTax(amount_minor, sum(tax.parts for tax in taxes))


def without_unmade_changes(
    line_items: Sequence[LineItem],
    versions: Sequence[SubscriptionVersion],
    events: Iterable[Event],
) -> list[LineItem]:
    """The line items without those of changes that were billed and never made.

    A revision voids its original. A pending update is billed at once, made when it is
    paid, and else void: it is left out where nothing else (another line, a version of the
    subscription) shows the state that it bills, and something the state before. What a
    later invoice bills had been made by then, whatever became of that invoice.
    """
    is_waiting = versions[-1].subscription.pending_update is not None
    in_doubt = ("void", "open") if is_waiting else ("void",)
    if {line.status for line in line_items}.isdisjoint(in_doubt):
        return list(line_items)
    kept = _without_revised(line_items)
    elsewhere = _StatesElsewhere(kept, [*versions, *versions_in(events)])
    changes: dict[tuple[str, int], list[LineItem]] = {}
    for line in kept:
        is_billed_at_once = line.known_s - line.start_s <= SAME_REQUEST_S
        if line.status in in_doubt and is_billed_at_once:
            changes.setdefault((line.invoice, line.start_s), []).append(line)
    dropped = {key for key, parts in changes.items() if elsewhere.show_unmade(parts)}
    return [line for line in kept if (line.invoice, line.start_s) not in dropped]


def _without_revised(line_items: Sequence[LineItem]) -> list[LineItem]:
    """Without void regular lines of a period that another line bills."""
    valid = {(line.item, line.start_s) for line in line_items if line.status != "void"}
    return [
        line
        for line in line_items
        if line.status != "void"
        or not line.is_regular
        or (line.item, line.start_s) not in valid
    ]


class _StatesElsewhere:
    """What versions show and lines bill, to ask of a line whether others agree."""

    def __init__(
        self, line_items: Iterable[LineItem], versions: Iterable[SubscriptionVersion]
    ) -> None:
        self._last_shown_s: dict[_BilledState, int] = {}
        self._last_billed_s: dict[_BilledState, int] = {}
        self._invoices: defaultdict[tuple[_BilledState, int], set[str]]
        self._invoices = defaultdict(set)
        for seen_s, subscription in versions:
            for item in subscription.items.data:
                if (state := item_state_of(item)) is not None:
                    key = (item.id, state.price, state.quantity)
                    shown_s = self._last_shown_s.get(key, seen_s)
                    self._last_shown_s[key] = max(seen_s, shown_s)
        for line in line_items:
            key, at_s = (line.item, line.price, line.quantity), line.start_s
            self._last_billed_s[key] = max(at_s, self._last_billed_s.get(key, at_s))
            self._invoices[key, at_s].add(line.invoice)

    def show_unmade(self, change: Sequence[LineItem]) -> bool:
        """Whether they show what all its credits take back, and not all that it bills."""
        return (
            not all(part.is_regular for part in change)
            and not all(self._show(part) for part in change if not part.credit)
            and all(self._show(part) for part in change if part.credit)
        )

    def _show(self, line: LineItem) -> bool:
        key, at_s = (line.item, line.price, line.quantity), line.start_s
        return (
            self._last_billed_s[key] > at_s
            or len(self._invoices[key, at_s]) > 1
            or self._last_shown_s.get(key, at_s - 1) >= at_s
        )
