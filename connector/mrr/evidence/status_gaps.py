"""Dated versions, and what was billed → the pauses and unpaid time of a subscription.

As versions and events show it. After the last attempt to collect, Stripe leaves the
renewals of an unpaid subscription as drafts: where nobody watched, it is unpaid from the
first of them, until a bill is paid (docs/definitions.md, How it dates a change). The
pauses that nobody watched, ``unbilled`` finds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf
from operator import attrgetter, itemgetter

from connector.core.model import Evidence
from connector.mrr.evidence.dated_versions import (
    DAY_S,
    DatedVersion,
    gaps_while,
    is_seen_late,
    seen_to_count,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.intervals import Instants, Interval
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Subscription

# A draft is finalized after an hour; after three days, where a webhook does not answer.
LEFT_DRAFT_S = 3 * 86_400
_AT, _START, _CREATED = map(attrgetter, ("at_s", "start_s", "created"))
_Paid = Sequence[tuple[int, Invoice]]  # when each was paid, in order of that
_PAID = itemgetter(0)


# Pauses


def seen_pauses(
    dated: Sequence[DatedVersion], line_items: Sequence[LineItem]
) -> list[Interval]:
    """The pauses that versions and events show."""
    found = gaps_while(dated, _pause_of)
    if not found:
        return []
    counted = seen_to_count(dated)
    billed = [line for line in line_items if not line.credit]
    longest = list(accumulate(billed, _longer))
    paid = [n for n in line_items if n.status == "paid" and n.amount_minor > 0]
    for number, gap in enumerate(found):
        place = bisect_left(billed, gap.start_s, key=_START)
        last = longest[place - 1] if place else None
        found[number] = _until_billed(_since_billed(gap, last, counted), paid)
    return found


def _longer(one: LineItem, other: LineItem) -> LineItem:
    return other if other.end_s > one.end_s else one


def _pause_of(subscription: Subscription) -> object:
    """Which pause it is in: the one that began then; False where it is not paused."""
    return subscription.status == "paused" and (subscription.paused_since or True)


def _since_billed(gap: Interval, last: LineItem | None, counted: Instants) -> Interval:
    """A pause that does not say since when it is one began with the unbilled time.

    ``last`` is, of what was billed before, what lasts longest.
    """
    if any(proof.kind != "observed" for proof in gap.began):
        return gap
    if last is None or last.end_s + DAY_S >= gap.start_s:
        return gap
    if last.end_s < counted.last_before(gap.start_s):
        return gap
    return gap._replace(start_s=last.end_s, began=last.evidence())


def _until_billed(gap: Interval, paid: Sequence[LineItem]) -> Interval:
    """A pause that only a version shows to be over ends with the first paid line since.

    While a subscription is paused nothing new is billed to it.
    """
    if not is_seen_late(gap):
        return gap
    place = bisect_right(paid, gap.start_s, key=_START)
    if place == len(paid) or not gap.holds(paid[place].start_s):
        return gap
    return gap._replace(end_s=paid[place].start_s, ended=paid[place].evidence())


def stopped_collections(dated: Sequence[DatedVersion]) -> list[Interval]:
    """The time of ``pause_collection``: it ends at the last ``resumes_at`` shown."""
    found = gaps_while(dated, lambda s: s.pause_collection is not None)
    return [_until_resumed(gap, dated) for gap in found]


def _until_resumed(gap: Interval, dated: Sequence[DatedVersion]) -> Interval:
    since, end = (
        bisect_left(dated, at_s, key=_AT)
        for at_s in (gap.start_s, inf if gap.end_s is None else gap.end_s)
    )
    inside = [each.subscription for each in dated[since:end]]
    resumes = [s.pause_collection.resumes_at for s in inside if s.pause_collection]
    at_s = resumes[-1] if resumes else None
    if at_s is None or not is_seen_late(gap) or not gap.holds(at_s):
        return gap
    proof = Evidence("subscription", inside[-1].id, at_s, "collection resumes")
    return gap._replace(end_s=at_s, ended=(proof,))


# Unpaid


def bills_a_period(invoice: Invoice) -> bool:
    """Not only one-off items, or a change: those do not make its subscription past due."""
    parents = [line.parent for line in invoice.lines.data if line.parent is not None]
    details = [parent.subscription_item_details for parent in parents]
    return any(each is not None and not each.proration for each in details)


def unpaid_times(
    dated: Sequence[DatedVersion], invoices: Sequence[Invoice]
) -> list[Interval]:
    """As versions and events show it, and as drafts do; ``invoices`` oldest first."""
    gaps = gaps_while(dated, lambda s: s.status == "unpaid")
    drafts = list(_first_drafts(invoices))
    if not gaps and not drafts:
        return []
    counted = seen_to_count(dated)
    paid = [(at_s, invoice) for invoice in invoices if (at_s := invoice.paid_at)]
    paid.sort(key=_PAID)
    found = [_until_paid(_since_draft(g, dated, drafts, counted), paid) for g in gaps]
    left = _between_bills(drafts, invoices, paid)
    return found + [gap for gap in left if not _is_otherwise(gap, dated, counted)]


def _is_otherwise(
    gap: Interval, dated: Sequence[DatedVersion], counted: Instants
) -> bool:
    """Seen to count, or to have its drafts left by ``pause_collection``."""
    before = bisect_right(dated, gap.start_s, key=_AT)
    paused = dated[before - 1].subscription.pause_collection if before else None
    return paused is not None or counted.any_in(gap.start_s, gap.end_s)


def _is_left_draft(bill: Invoice) -> bool:
    """Also one that was finalized in the end."""
    if bill.status == "draft":
        return True
    moments = bill.status_transitions
    finalized_s = moments.finalized_at if moments is not None else None
    return finalized_s is not None and finalized_s - bill.created > LEFT_DRAFT_S


def _first_drafts(invoices: Sequence[Invoice]) -> Iterator[Invoice]:
    """Of each run of renewals that were left drafts the first."""
    if not any(_is_left_draft(invoice) for invoice in invoices):
        return  # as of nearly every subscription
    is_run = False
    for bill in filter(bills_a_period, invoices):
        is_draft = _is_left_draft(bill)
        if is_draft and not is_run:
            yield bill
        is_run = is_draft


def _since_draft(
    gap: Interval,
    dated: Sequence[DatedVersion],
    drafts: Sequence[Invoice],
    counted: Instants,
) -> Interval:
    """Unless an event tells when it became unpaid, or it was seen to count since."""
    since, end = (
        cut(dated, gap.start_s, key=_AT) for cut in (bisect_left, bisect_right)
    )
    before = bisect_left(drafts, gap.start_s, key=_CREATED)
    if not before or any(version.is_change for version in dated[since:end]):
        return gap
    first = drafts[before - 1]
    if first.created < counted.last_before(gap.start_s):
        return gap
    return gap._replace(start_s=first.created, began=_left_draft(first))


def _left_draft(bill: Invoice) -> tuple[Evidence, ...]:
    return (Evidence("invoice", bill.id, bill.created, "left a draft"),)


def _until_paid(gap: Interval, paid: _Paid) -> Interval:
    """Where only a version shows it to be over, it ended with the next payment."""
    return _ended_by_payment(gap, paid) if is_seen_late(gap) else gap


def _ended_by_payment(gap: Interval, paid: _Paid, sent_s: int = 0) -> Interval:
    """By the first in it, of what was sent from ``sent_s`` on; else as it is."""
    for place in range(bisect_right(paid, gap.start_s, key=_PAID), len(paid)):
        at_s, bill = paid[place]
        if not gap.holds(at_s):
            break
        if bill.created >= sent_s:
            return _ended_by(gap, at_s, bill)
    return gap


def _ended_by(gap: Interval, paid_s: int, bill: Invoice) -> Interval:
    proof = Evidence("invoice", bill.id, paid_s, "paid")
    return gap._replace(end_s=paid_s, ended=(proof,))


def _between_bills(
    drafts: Iterable[Invoice], invoices: Iterable[Invoice], paid: _Paid
) -> Iterator[Interval]:
    """From the first draft after what was due and not paid, to a payment."""
    sent = [invoice for invoice in invoices if not _is_left_draft(invoice)]
    for first in drafts:
        before = bisect_left(sent, first.created, key=_CREATED)
        if before and _is_unpaid_at(sent[before - 1], first.created):
            gap = Interval(first.created, None, _left_draft(first), ())
            yield _ended_by_payment(gap, paid, sent[before - 1].created)


def _is_unpaid_at(bill: Invoice, at_s: int) -> bool:
    if bill.status not in ("open", "paid", "uncollectible"):
        return False
    moments = bill.status_transitions
    due_s = bill.due_date or (moments.finalized_at if moments is not None else None)
    paid_s = bill.paid_at
    is_paid = bill.status == "paid" and (paid_s is None or paid_s <= at_s)
    return due_s is not None and due_s <= at_s and not is_paid
