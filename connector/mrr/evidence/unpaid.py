"""Dated versions and bills → the time in which a subscription was unpaid.

After the last attempt to collect, Stripe leaves the renewals of an unpaid subscription
as drafts. So where nobody watched it is unpaid from the first of them, until a bill is
paid (docs/definitions.md, How it dates a change).
"""

from collections.abc import Iterator, Sequence

from connector.core.model import Evidence
from connector.mrr.evidence.dated_versions import (
    DatedVersion,
    gaps_while,
    is_contradicted,
    is_seen_late,
    last_counted_s,
)
from connector.mrr.evidence.intervals import Interval
from connector.stripe_api.invoices import Invoice

# A draft is finalized after an hour; after three days, where a webhook does not answer.
LEFT_DRAFT_S = 3 * 86_400


def unpaid_times(
    dated: Sequence[DatedVersion], bills: Sequence[Invoice]
) -> list[Interval]:
    """As versions and events show it, and as the bills do; ``bills`` as they came."""
    seen = gaps_while(dated, lambda s: s.status == "unpaid")
    found = [_until_paid(_since_first_draft(gap, dated, bills), bills) for gap in seen]
    if any(_is_left_draft(bill) for bill in bills):
        left = _between_bills(bills)
        found += [gap for gap in left if not is_contradicted(gap, dated)]
    return found


def _is_left_draft(bill: Invoice) -> bool:
    """Also one that was finalized in the end."""
    moments = bill.status_transitions
    finalized_s = moments.finalized_at if moments is not None else None
    if bill.status == "draft":
        return True
    return finalized_s is not None and finalized_s - bill.created > LEFT_DRAFT_S


def _runs_of_drafts(
    bills: Sequence[Invoice],
) -> Iterator[tuple[Invoice | None, Invoice]]:
    """The first of each run of drafts, and the bill before it."""
    before: Invoice | None = None
    for bill in bills:
        is_first = before is None or not _is_left_draft(before)
        if is_first and _is_left_draft(bill):
            yield before, bill
        before = bill


def _since_first_draft(
    gap: Interval, dated: Sequence[DatedVersion], bills: Sequence[Invoice]
) -> Interval:
    """Unless an event tells when it became unpaid, or it was seen to count since."""
    is_told = any(v.at_s == gap.start_s and v.is_change for v in dated)
    drafts = [b for _, b in _runs_of_drafts(bills) if b.created < gap.start_s]
    if is_told or not drafts:
        return gap
    first = drafts[-1]
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


def _between_bills(bills: Sequence[Invoice]) -> Iterator[Interval]:
    """From the first draft after a bill that was due and not paid, to a payment."""
    for before, first in _runs_of_drafts(bills):
        if before is None or not _is_unpaid_at(before, first.created):
            continue
        gap = Interval(first.created, None, _left_draft(first), ())
        later = [b for b in bills if b.created >= before.created]
        paid = [(at_s, b) for b in later if (at_s := b.paid_at) and gap.holds(at_s)]
        yield _ended_by(gap, *min(paid, key=lambda each: each[0])) if paid else gap


def _is_unpaid_at(bill: Invoice, at_s: int) -> bool:
    if bill.status not in ("open", "paid", "uncollectible"):
        return False
    moments = bill.status_transitions
    due_s = bill.due_date or (moments.finalized_at if moments is not None else None)
    paid_s = bill.paid_at
    is_paid = bill.status == "paid" and (paid_s is None or paid_s <= at_s)
    return due_s is not None and due_s <= at_s and not is_paid
