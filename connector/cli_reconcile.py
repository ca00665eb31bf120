"""`stripe-nrr check --stripe`: what Stripe's live objects imply, beside the ledger."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from connector import ledger, marks, mirror, refusals
from connector.checks import Finding
from connector.cli import Shell, rules_of
from connector.cli_figures import rules_in_force
from connector.cli_output import Progress, progress_shown
from connector.config import Config, stripe_key
from connector.database import setting, snapshot
from connector.implied import COUNTED
from connector.model import Refusal
from connector.money import format_minor
from connector.periods import local_day
from connector.reconcile import Booked, Reason, Row, Total, differing, reconcile, totals
from connector.stripe_objects import Subscription, ref

if TYPE_CHECKING:
    from connector.stripe_api import StripeApi


class Compared(NamedTuple):
    """``rows`` are of all customers, ``live`` counts subscriptions."""

    rows: list[Row]
    live: int
    requests: int


def beside_stripe(connection: sqlite3.Connection, shell: Shell) -> Compared:
    """Fetch the live subscriptions, and compare them with the ledger as it is then."""
    shell.log_to_stderr()
    with _stripe(connection, shell) as api, progress_shown() as progress:
        live = live_subscriptions(api, progress)
        now = shell.moment(connection)
        with snapshot(connection):
            rows = compare(connection, live, shell.config, now, progress)
        return Compared(rows, len(live), api.reads.requests)


def _stripe(connection: sqlite3.Connection, shell: Shell) -> "StripeApi":
    """The account that the ledger was fetched from."""
    from connector.stripe_api import StripeApi

    if setting(connection, "account") != "demo":
        return StripeApi(stripe_key(os.environ), shell.config.api_base)
    from connector.demo import AccountTransport, BundledAccount, bundled_folder

    now_us = int(shell.moment(connection).timestamp() * 1_000_000)
    bundled = AccountTransport(BundledAccount.load(bundled_folder()))
    return StripeApi("rk_test_demo", transport=bundled, now_us=lambda: now_us)


def live_subscriptions(
    api: "StripeApi", progress: Progress = lambda _what, _done, _all: None
) -> list[Subscription]:
    """The subscriptions that count, as Stripe shows them now.

    Asked for by status, because an account's ended ones would cost most of the requests.
    The past due, a page or two, are asked for before and after the active: who falls
    behind or catches up in between is met.
    """
    found: dict[str, Subscription] = {}
    active, past_due = COUNTED
    for status in (past_due, active, past_due):
        for page in api.pages("subscriptions", extra=[("status", status)]):
            found |= {each.id: each for each in page.data}
            progress("live subscriptions", len(found), None)
    return list(found.values())


def compare(
    connection: sqlite3.Connection,
    live: Iterable[Subscription],
    config: Config,
    now: datetime,
    progress: Progress = lambda _what, _done, _all: None,
) -> list[Row]:
    """A row for each customer and currency that counts at Stripe or in the ledger.

    Former ids are compared as the customer that they were merged into.
    """
    now_s = int(now.timestamp())
    rules = rules_of(config)
    by_customer: dict[str, list[Subscription]] = defaultdict(list)
    for each in live:
        customer = ref(each.customer)
        by_customer[rules.merge.get(customer, customer)].append(each)
    books = _books(connection, config, now_s)
    shared = mirror.catalogue(connection)
    customers = sorted(by_customer.keys() | books.keys())
    rows: list[Row] = []
    for done, customer in enumerate(customers, 1):
        former = rules.also(customer)
        profiles = {c: mirror.profile(connection, c) for c in (customer, *former)}
        rows += reconcile(
            mirror.history(connection, customer, shared, former),
            by_customer[customer],
            {c: p.discount for c, p in profiles.items() if p and p.discount},
            books[customer],
            config.policy,
            now_s,
        )
        progress("comparing customers", done, len(customers))
    return rows


def _books(
    connection: sqlite3.Connection, config: Config, now_s: int
) -> dict[str, Booked]:
    """What the ledger says of each customer that pays; of any other it says nothing."""
    rules = rules_of(config)
    refused: dict[str, list[Refusal]] = defaultdict(list)
    for refusal in refusals.known(connection):
        refused[refusal.customer].append(refusal)
    mrr = ledger.mrr_on(connection, local_day(now_s, config.zone))
    waiting = set(rules.affected(marks.waiting(connection, now_s)))
    everybody_waits = rules_in_force(connection, config) != rules.settings()
    books: dict[str, Booked] = {}
    for customer in mrr.keys() | refused.keys() | waiting:
        books[customer] = Booked(
            mrr_minor=mrr.get(customer, {}),
            is_waiting=everybody_waits or customer in waiting,
            refusals=refused[customer],
        )
    return defaultdict(lambda: Booked(is_waiting=everybody_waits), books)


def unexplained(compared: Compared) -> list[Finding]:
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


def as_json(compared: Compared) -> dict[str, Any]:
    return {
        "subscriptions": compared.live,
        "requests": compared.requests,
        "sums": [_total_json(each) for each in totals(compared.rows)],
        "rows": [
            {
                "customer": row.customer,
                "currency": row.currency,
                "stripe_minor": row.stripe_minor,
                "reasons": [part._asdict() for part in row.parts],
                "remainder_minor": row.remainder_minor,
                "ledger_minor": row.ledger_minor,
            }
            for row in differing(compared.rows)
        ],
    }


def _total_json(total: Total) -> dict[str, Any]:
    explained = {
        f"{reason.replace(' ', '_')}_minor": amount_minor
        for reason, amount_minor in total.explained.items()
    }
    return {
        "currency": total.currency,
        "stripe_minor": total.stripe_minor,
        **explained,
        "remainder_minor": total.remainder_minor,
        "ledger_minor": total.ledger_minor,
    }


def as_text(compared: Compared, labels: Mapping[str, str], locale: str) -> str:
    """The sums, then each customer that differs, the largest difference first."""
    return "\n".join(_lines(compared, labels, locale))


def _lines(compared: Compared, labels: Mapping[str, str], locale: str) -> Iterator[str]:
    counted = f"{compared.live:,} live subscriptions in {compared.requests:,} requests"
    yield f"MRR now, by Stripe's own definition and in the ledger ({counted}):"
    for total in totals(compared.rows):
        reasons = [(reason.value, minor) for reason, minor in total.explained.items()]
        sides = (total.stripe_minor, total.ledger_minor, total.remainder_minor)
        yield f"  {total.currency.upper()}: {_told(total.currency, sides, reasons, locale)}"
    for row in differing(compared.rows):
        name = labels.get(row.customer, row.customer)
        who = row.customer if name == row.customer else f"{name} ({row.customer})"
        reasons = [(f"{p.reason} {p.what}".strip(), p.amount_minor) for p in row.parts]
        sides = (row.stripe_minor, row.ledger_minor, row.remainder_minor)
        yield f"{who}: {_told(row.currency, sides, reasons, locale)}"
    found = {part.reason for row in compared.rows for part in row.parts}
    if Reason.WAITING in found:
        yield "Waiting: run `stripe-nrr recompute`."
    if Reason.NOT_SYNCED in found:
        yield "Not yet synced: run `stripe-nrr sync`; what stays, `sync --full` brings."


def _told(
    currency: str,
    sides: tuple[int, int, int],
    reasons: Iterable[tuple[str, int]],
    locale: str,
) -> str:
    """Both sides, and in between what makes the one of the other."""
    stripe_minor, ledger_minor, remainder_minor = sides
    steps = [
        f"{name} {format_minor(amount_minor, currency, locale, signed=True)}"
        for name, amount_minor in (*reasons, ("unexplained", remainder_minor))
        if amount_minor or name.startswith(f"{Reason.REFUSED} ")  # names what it is
    ]
    stripe = format_minor(stripe_minor, currency, locale)
    booked = format_minor(ledger_minor, currency, locale)
    return "; ".join((f"Stripe {stripe}", *steps, f"ledger {booked}"))
