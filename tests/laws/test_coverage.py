"""Every invoiced amount of random accounts has its place, and the places add up.

The engine's lives, and beside them licence fees, retainers, usage, credits, voids and
drafts. ``--lives N`` tries N new accounts for each law.
"""

from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.dates import local_day
from connector.core.invoiced import InvoiceClass
from connector.core.policy import Policy
from connector.store.ledger import coverage as kept
from tests.billing.account import Account
from tests.billing.calendar_ import DAY
from tests.billing.outside import PREVIEW, Outside
from tests.billing.state import Invoice, Item, Line
from tests.laws.test_lives import lived
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.lives import BORN, Life, lives

T = TypeVar("T")
USUAL_ACCOUNTS = 250
ADDED_UP = 1_000  # that classes add up is cheap to try
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
KINDS = (
    *("retainer", "licence", "parentless", "given_up"),
    *("usage", "once", "credit", "draft"),
)


class Beside(NamedTuple):
    """What is invoiced beside subscriptions from a day of the account's life on."""

    kind: str
    day: int
    every: str
    amount: int
    lasts: int  # days
    number: int


besides = st.builds(
    Beside,
    st.sampled_from(KINDS),
    st.integers(0, 500),
    st.sampled_from(["week", "month", "quarter", "year"]),
    st.integers(1, 99_999),
    st.integers(0, 900),
    st.integers(0, 11),
)


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_ACCOUNTS, derandomize=not wanted, deadline=None
    )


def billed_beside(account: Account, found: list[Beside]) -> Outside:
    """All of it for one customer, whose lines must not be taken for each other."""
    outside = Outside(account)
    customer = account.customers[0]
    began = BORN + 2 * DAY  # no day of a month after the 28th
    for kind, day, every, amount, lasts, number in found:
        since = began + day * DAY
        since -= max(0, local_day(since, ZoneInfo("UTC")).day - 28) * DAY
        until = since + lasts * DAY
        if since > account.now:
            continue
        if kind == "retainer":
            outside.again(
                customer,
                amount,
                since,
                with_period=number % 3 > 0,
                every=every,
                until=until,
            )
        elif kind == "usage":  # by another program: its amounts and voids vary
            outside.again(
                customer, amount, since, void_every=number % 4, every=every, until=until
            )
        elif kind in ("licence", "parentless", "given_up"):
            parent = None if kind == "parentless" else PREVIEW[number % len(PREVIEW)]
            made = outside.again(
                customer,
                amount,
                since,
                manual=False,
                parent=parent,
                every=every,
                until=until,
            )
            if kind == "given_up":
                outside.take_back(made)
        elif kind == "once":
            outside.once(customer, amount, since, taken=amount // 3, tax=amount // 7)
        elif kind == "credit":
            outside.once(customer, -amount, since, manual=number % 2 > 0)
        else:
            outside.once(customer, amount, since, status="draft")
    return outside


def invoiced(lists: dict[str, list[Any]], zone: str) -> Counter[tuple[str, str]]:
    """What the invoices say that they bill without tax, by currency and month."""
    sums: Counter[tuple[str, str]] = Counter()
    for invoice in lists["invoices"]:
        at_s = invoice["status_transitions"]["finalized_at"] or invoice["created"]
        month = f"{local_day(at_s, ZoneInfo(zone)):%Y-%m}"
        sums[invoice["currency"], month] += invoice["total_excluding_tax"]
    return sums


def without_zeros(sums: Counter[T]) -> dict[T, int]:
    return {key: minor for key, minor in sums.items() if minor}


def covered(
    lists: dict[str, list[Any]], now: int, zone: str, policy: Policy | None = None
) -> Counter[tuple[str, str, str]]:
    """The ledger's sums by currency, month and class; they are the customers' own."""
    with empty_ledger() as connection:
        look(connection, lists, now)
        settle(connection, now, zone, policy)
        found = kept.sums(connection)
        again = kept.counted_again(connection)
    assert found == without_zeros(again)
    return Counter(found)


def test_classes_add_up_to_the_invoices(trial: settings) -> None:
    """To the cent, by currency and month; nothing is left without a class.

    Also where a price has no value, so that lines are refused.
    """

    @settings(trial, max_examples=max(trial.max_examples, ADDED_UP))
    @given(
        life=lives,
        beside=st.lists(besides, max_size=5),
        zone=ZONES,
        broken=st.booleans(),
        by_period=st.booleans(),
    )
    def holds(
        life: Life, beside: list[Beside], zone: str, *, broken: bool, by_period: bool
    ) -> None:
        account = lived(life).account
        lists = billed_beside(account, beside).snapshot()
        if broken:
            lists["prices"][-1]["billing_scheme"] = "by the phase of the moon"
        policy = Policy(invoiced_by_period=by_period)
        sums: Counter[tuple[str, str]] = Counter()
        for key, minor in covered(lists, account.now, zone, policy).items():
            code, month, name = key
            assert name in list(InvoiceClass)
            sums[code, month] += minor
        assert without_zeros(sums) == without_zeros(invoiced(lists, zone))

    holds()


def counts(item: Item, line: Line) -> bool:
    """Whether the item counted while the line's period ran, be it for 0.

    So do all licensed items of a subscription that is worth anything: an amount off is
    all on those of the shortest interval, but a bill shares it with a year that is due at
    the same time, and leaves something of what is worth 0.
    """
    if line.price.metered:
        return False
    return any(
        step is not None
        and step.mrr_minor > 0
        and step.at < line.end
        and (later is None or later.at > line.start)
        for each in item.subscription.all_items
        for step, later in pairwise([*each.changes, None])
    )


def truth(line: Line, invoice: Invoice) -> str:
    """The class of a line that the engine wrote for a subscription."""
    assert line.item is not None
    if invoice.status in ("draft", "void"):
        return "not_due"
    if line.proration or line.amount < 0:
        return "adjustment"
    return "counted" if counts(line.item, line) else "by_policy"


def test_each_class_is_what_the_engine_knows(trial: settings) -> None:
    @trial
    @given(life=lives, beside=st.lists(besides, max_size=5))
    def holds(life: Life, beside: list[Beside]) -> None:
        account = lived(life, is_watched=True).account
        outside = billed_beside(account, beside)
        kept_events: dict[str, Any] = {"events": [event for _, event in account.events]}
        lists = outside.snapshot() | kept_events
        wanted: Counter[str] = Counter()
        for invoice in account.invoices.values():
            for line in invoice.lines:
                wanted[truth(line, invoice)] += line.net
        for bill in outside.invoices:
            wanted[outside.truth(bill)] += bill.net
        found: Counter[str] = Counter()
        for (_, _, name), minor in covered(lists, account.now, "UTC").items():
            found[name] += minor
        assert without_zeros(found) == without_zeros(wanted)

    holds()


def test_by_period_a_customer_pays_what_its_series_bill(trial: settings) -> None:
    """Retainers, usage and licence fees that have a period, at the last look."""

    @trial
    @given(beside=st.lists(besides, min_size=1, max_size=5))
    def holds(beside: list[Beside]) -> None:
        account = Account(BORN)
        account.add_customer()
        account.advance(BORN + 900 * DAY)
        with_period = [each._replace(number=1) for each in beside]
        outside = billed_beside(account, with_period)
        manual = {bill.series for bill in outside.invoices if bill.manual}
        wanted = sum(
            round(own.monthly())
            for number, own in outside.series.items()
            if own.pays(account.now) and (own.times >= 3 or number not in manual)
        )
        with empty_ledger() as connection:
            look(connection, outside.snapshot(), account.now)
            known = settle(
                connection, account.now, policy=Policy(invoiced_by_period=True)
            )
        assert not known.refusals
        paid = known.movements[-1].after_minor if known.movements else 0
        assert paid == wanted

    holds()
