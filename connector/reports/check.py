"""The ledger held against its own invariants, and against Stripe's live objects."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from connector.core.dates import local_day
from connector.core.errors import LedgerUnusable
from connector.core.language import marked, message
from connector.core.model import Refusal
from connector.core.policy import Policy
from connector.metrics.invariants import (
    Finding,
    columns_are_kept,
    coverage_is_kept,
    every_window,
    movement_findings,
    outside_findings,
    refusal_findings,
    restated_findings,
    sums_are_kept,
    window_findings,
)
from connector.metrics.rollups import figures_of
from connector.pipeline.ingest import Progress
from connector.pipeline.source import ObjectSource
from connector.reports.closings.closed_months import measured_again, totals_again
from connector.reports.figures.windows import counted
from connector.reports.ledger import Ledger
from connector.reports.model import code_of
from connector.store.ledger import (
    balances,
    columns,
    coverage,
    queries,
    rollups,
    unvalued,
)
from connector.store.ledger import customers as ledger_customers
from connector.store.mirror import checksums, dirty_customers, event_feed
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.checksums import ExaminedObjects
from connector.store.mirror.histories import histories, in_batches, profile
from connector.store.months import closings, seals
from connector.stripe_api.decoding import ref
from connector.stripe_api.faults import by_customer
from connector.stripe_api.objects import Subscription
from connector.stripe_api.unfit import UnfitObject
from connector.valuation.counting import counted_statuses
from connector.valuation.reconciliation import (
    CustomerComparison,
    CustomerInLedger,
    differing,
    reconcile,
)


class CheckedLedger(NamedTuple):
    """What breaks an invariant, and who waits to be derived.

    ``seal`` is the hash of the newest closing, "" of none; ``notes`` say what could not
    be checked.
    """

    movements: int
    findings: list[Finding]
    waiting: list[str]
    seal: str = ""
    notes: Sequence[str] = ()


def check_ledger(ledger: Ledger) -> CheckedLedger:
    """Every invariant, checked on all that the ledger holds."""
    connection = ledger.connection
    try:
        findings = movement_findings(queries.movements_by_customer(connection))
    except LedgerUnusable as error:  # then nothing else of it can be proved
        found_first = Finding("movements can be read", "the ledger", error.problem)
        changed = _changed_from_outside(connection, checksums.examined(connection))
        return CheckedLedger(0, [found_first, *changed], [])
    today = local_day(int(ledger.moment.timestamp()), ledger.zone)
    unkept = []
    for currency in queries.currencies(connection):
        asked = every_window(queries.first_day(connection, currency), today)
        again = counted(connection, currency, asked)
        findings += window_findings(currency, again)
        if ledger.is_whole:
            kept = figures_of(rollups.deltas(connection, currency, asked), asked)
            unkept += sums_are_kept(currency, again, kept)
    findings += unkept
    findings += columns_are_kept(columns.stale(connection))
    findings += restated_findings(measured_again(connection))
    findings += restated_findings(
        (code_of(was.currency, is_total=True), was.measured, now)
        for _, was, now in totals_again(ledger, closings.ever(connection))
    )
    stored = checksums.examined(connection)
    findings += _changed_from_outside(connection, stored)
    findings += refusal_findings(unvalued.known(connection))
    findings += coverage_is_kept(
        coverage.sums(connection), coverage.counted_again(connection)
    )
    findings += outside_findings(ledger.outside())
    if event_feed.is_first_sync_unfinished(connection):
        findings.append(UNFINISHED)
    return CheckedLedger(
        movements=queries.count(connection),
        findings=findings,
        waiting=dirty_customers.dirty(connection),
        seal=seals.newest_hash(connection),
        notes=list(_unchecked(connection, stored)),
    )


def _changed_from_outside(
    connection: sqlite3.Connection, stored: ExaminedObjects
) -> Iterator[Finding]:
    """What is not as this program wrote it."""
    for each in seals.broken(connection):
        yield Finding("as it was sealed", each.month, each.what)
    for kind, key in stored.changed:
        what = "is not what was stored; `stripe-nrr sync --full` brings it again"
        yield Finding("as it was stored", f"{kind} {key}", what)


def _unchecked(
    connection: sqlite3.Connection, stored: ExaminedObjects
) -> Iterator[str]:
    if count := seals.unsealed(connection):
        yield message(
            f"{count} months were closed before there were seals: the next closing "
            "seals them as they are"
        )
    if stored.unknown:
        yield message(
            f"{stored.unknown} objects were stored before there were checksums: "
            "`stripe-nrr sync --full` adds them"
        )


UNFINISHED = Finding(
    "everybody is there",
    "the ledger",
    "lacks customers, as the first sync has not finished; run `stripe-nrr sync`",
)
NOBODY_CALLED: Mapping[str, str] = {}


class StripeComparison(NamedTuple):
    """``rows`` are of all customers, ``live`` counts subscriptions.

    ``labels`` are what those are called, by id, who differ.
    """

    rows: list[CustomerComparison]
    live: int
    requests: int
    labels: Mapping[str, str] = NOBODY_CALLED


def live_subscriptions(
    source: ObjectSource,
    progress: Progress = lambda _what, _done, _all: None,
    policy: Policy | None = None,
) -> list[Subscription]:
    """The subscriptions that may count under the policy, as Stripe shows them now.

    Asked for by status, because an account's ended ones would cost most of the requests.
    The past due, a page or two, are asked for before and after the active: who falls
    behind or catches up in between is met. One that does not fit is left out: the sync
    names it.
    """
    found: dict[str, Subscription] = {}
    *before, past_due = counted_statuses(policy or Policy())
    for status in (past_due, *before, past_due):
        for page in source.pages("subscriptions", extra=[("status", status)]):
            shown = [
                by_customer(each)
                for each in page.data
                if not isinstance(each, UnfitObject)
            ]
            found |= {each.id: each for each in shown}
            progress(marked("live subscriptions"), len(found), None)
    return list(found.values())


def compare_with_stripe(
    ledger: Ledger,
    live: Iterable[Subscription],
    progress: Progress = lambda _what, _done, _all: None,
) -> list[CustomerComparison]:
    """A row for each customer and currency that counts at Stripe or in the ledger.

    Who is counted under another id is compared as that one.
    """
    connection, now_s = ledger.connection, int(ledger.moment.timestamp())
    rules, grouped = ledger.rules_asked_for, ledger.companies
    by_customer: dict[str, list[Subscription]] = defaultdict(list)
    for each in live:
        customer = ref(each.customer)
        by_customer[grouped.of(customer)].append(each)
    books = _books(ledger, now_s)
    shared = read_catalogue(connection)
    customers = sorted(by_customer.keys() | books.keys())
    rows: list[CustomerComparison] = []
    ids = {customer: grouped.ids(customer) for customer in customers}
    batches = in_batches(connection, {name: (own,) for name, own in ids.items()})
    known = ((stored, each) for stored in batches for each in histories(stored, shared))
    for done, (stored, history) in enumerate(known, 1):
        customer = history.customer
        profiles = {c: profile(stored, c) for c in ids[customer]}
        rows += reconcile(
            history,
            by_customer[customer],
            {c: p.discount for c, p in profiles.items() if p and p.discount},
            books[customer],
            rules.policy,
            now_s,
        )
        progress(marked("comparing customers"), done, len(customers))
    return rows


def labels_of(
    connection: sqlite3.Connection, rows: Iterable[CustomerComparison]
) -> Mapping[str, str]:
    """What those are called who differ."""
    names = {row.customer for row in differing(rows)}
    return ledger_customers.labels_of(connection, names)


def _books(ledger: Ledger, now_s: int) -> dict[str, CustomerInLedger]:
    """What the ledger says of each customer that pays; of any other it says nothing."""
    connection = ledger.connection
    rules = ledger.rules_asked_for
    refused: dict[str, list[Refusal]] = defaultdict(list)
    for refusal in unvalued.known(connection):
        refused[refusal.customer].append(refusal)
    today = local_day(now_s, ledger.zone)
    mrr = balances.mrr_on(connection, today)
    outside: Mapping[str, Mapping[str, int]] = {}
    if rules.policy.invoiced_by_period:
        outside = balances.invoiced_by_period(connection, today)
    waiting = set(ledger.companies.affected(dirty_customers.waiting(connection, now_s)))
    everybody_waits = ledger.has_other_rules
    books: dict[str, CustomerInLedger] = {}
    for customer in mrr.keys() | refused.keys() | waiting:
        books[customer] = CustomerInLedger(
            mrr_minor=mrr.get(customer, {}),
            outside_minor=outside.get(customer, {}),
            is_waiting=everybody_waits or customer in waiting,
            refusals=refused[customer],
        )
    return defaultdict(lambda: CustomerInLedger(is_waiting=everybody_waits), books)


def unexplained(compared: StripeComparison) -> list[Finding]:
    """What no reason explains: there the ledger, or this program, is wrong."""
    return [
        Finding(
            "as Stripe says",
            f"{row.customer} {row.currency}",
            f"is {row.ledger_minor}, and {row.stripe_minor} by Stripe's objects; "
            f"{row.remainder_minor:+} of that is unexplained",
        )
        for row in differing(compared.rows)
        if row.remainder_minor
    ]
