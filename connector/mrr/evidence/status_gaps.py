"""Dated versions, and what was billed → the pauses and unpaid time of a subscription.

As versions and events show it. After the last attempt to collect, Stripe leaves the
renewals of an unpaid subscription as drafts: where nobody watched, it is unpaid from the
first of them, until a bill is paid (docs/definitions.md, How it dates a change). The
pauses that nobody watched, ``unbilled`` finds.
"""

from collections.abc import Iterable, Iterator, Sequence

from connector.core.model import Evidence
from connector.mrr.evidence.dated_versions import (
    COUNTED,
    DAY_S,
    DatedVersion,
    gaps_while,
    is_seen_late,
    last_counted_s,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.intervals import Interval
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Subscription

# A draft is finalized after an hour; after three days, where a webhook does not answer.
LEFT_DRAFT_S = 3 * 86_400


# Pauses


def seen_pauses(
    dated: Sequence[DatedVersion], line_items: Sequence[LineItem]
) -> list[Interval]:
    """The pauses that versions and events show."""
    found = gaps_while(dated, _pause_of)
    return [
        _until_billed(_since_billed(gap, dated, line_items), line_items)
        for gap in found
    ]


def _pause_of(subscription: Subscription) -> object:
    """Which pause it is in: the one that began then; False where it is not paused."""
    return subscription.status == "paused" and (subscription.paused_since or True)


def _since_billed(
    gap: Interval, dated: Sequence[DatedVersion], line_items: Iterable[LineItem]
) -> Interval:
    """A pause that does not say since when it is one began with the unbilled time."""
    if any(proof.kind != "observed" for proof in gap.began):
        return gap
    billed = [n for n in line_items if not n.credit and n.start_s < gap.start_s]
    last = max(billed, key=lambda line: line.end_s, default=None)
    if last is None or last.end_s + DAY_S >= gap.start_s:
        return gap
    if last.end_s < last_counted_s(dated, gap.start_s):
        return gap
    return gap._replace(start_s=last.end_s, began=last.evidence())


def _until_billed(gap: Interval, line_items: Iterable[LineItem]) -> Interval:
    """A pause that only a version shows to be over ends with the first line since.

    While a subscription is paused nothing new is billed to it.
    """
    if not is_seen_late(gap):
        return gap
    for line in line_items:
        is_paid = line.status == "paid" and line.amount_minor > 0
        if is_paid and gap.holds(line.start_s):
            return gap._replace(end_s=line.start_s, ended=line.evidence())
    return gap


def stopped_collections(dated: Sequence[DatedVersion]) -> list[Interval]:
    """The time of ``pause_collection``: it ends at the last ``resumes_at`` shown."""
    found = gaps_while(dated, lambda s: s.pause_collection is not None)
    return [_until_resumed(gap, dated) for gap in found]


def _until_resumed(gap: Interval, dated: Iterable[DatedVersion]) -> Interval:
    inside = [each.subscription for each in dated if gap.covers(each.at_s)]
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
    found = [_until_paid(_since_draft(gap, dated, drafts), invoices) for gap in gaps]
    left = _between_bills(drafts, invoices)
    return found + [gap for gap in left if not _is_otherwise(gap, dated)]


def _is_otherwise(gap: Interval, dated: Sequence[DatedVersion]) -> bool:
    """Seen to count, or to have its drafts left by ``pause_collection``."""
    before = [each.subscription for each in dated if each.at_s <= gap.start_s]
    paused = before[-1].pause_collection if before else None
    return paused is not None or any(
        gap.covers(each.at_s) and each.subscription.status in COUNTED for each in dated
    )


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
    gap: Interval, dated: Sequence[DatedVersion], drafts: Sequence[Invoice]
) -> Interval:
    """Unless an event tells when it became unpaid, or it was seen to count since."""
    is_told = any(v.at_s == gap.start_s and v.is_change for v in dated)
    before = [each for each in drafts if each.created < gap.start_s]
    if is_told or not before:
        return gap
    first = before[-1]
    if first.created < last_counted_s(dated, gap.start_s):
        return gap
    return gap._replace(start_s=first.created, began=_left_draft(first))


def _left_draft(bill: Invoice) -> tuple[Evidence, ...]:
    return (Evidence("invoice", bill.id, bill.created, "left a draft"),)


def _until_paid(gap: Interval, bills: Sequence[Invoice]) -> Interval:
    """Where only a version shows it to be over, it ended with the next payment."""
    paid = [(at_s, b) for b in bills if (at_s := b.paid_at) and gap.holds(at_s)]
    if not is_seen_late(gap) or not paid:
        return gap
    return _ended_by(gap, *min(paid, key=lambda each: each[0]))


def _ended_by(gap: Interval, paid_s: int, bill: Invoice) -> Interval:
    proof = Evidence("invoice", bill.id, paid_s, "paid")
    return gap._replace(end_s=paid_s, ended=(proof,))


def _between_bills(
    drafts: Iterable[Invoice], invoices: Sequence[Invoice]
) -> Iterator[Interval]:
    """From the first draft after what was due and not paid, to a payment."""
    for first in drafts:
        sent = [i for i in invoices if i.created < first.created]
        sent = [i for i in sent if not _is_left_draft(i)]
        if not sent or not _is_unpaid_at(sent[-1], first.created):
            continue
        gap = Interval(first.created, None, _left_draft(first), ())
        later = [i for i in invoices if i.created >= sent[-1].created]
        paid = [(at_s, i) for i in later if (at_s := i.paid_at) and gap.holds(at_s)]
        yield _ended_by(gap, *min(paid, key=lambda each: each[0])) if paid else gap


def _is_unpaid_at(bill: Invoice, at_s: int) -> bool:
    if bill.status not in ("open", "paid", "uncollectible"):
        return False
    moments = bill.status_transitions
    due_s = bill.due_date or (moments.finalized_at if moments is not None else None)
    paid_s = bill.paid_at
    is_paid = bill.status == "paid" and (paid_s is None or paid_s <= at_s)
    return due_s is not None and due_s <= at_s and not is_paid
