"""Why MRR was lost, from accounts whose lives are known."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connector.config import parse
from connector.core.losses import Loss
from connector.core.windows import Window, WindowKind
from connector.reports.ledger import Ledger
from connector.reports.losses import found_in, loss_table
from connector.reports.losses import losses as read_losses
from connector.store.ledger import queries
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.catalogue import Price
from tests.billing.state import Subscription
from tests.support import folders
from tests.support.books import NOON
from tests.support.commands import Workdir
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.losses import added_up
from tests.support.shapes import event, invoice, line, months, price, subscription
from tests.support.shapes import subscription_item as item
from tests.support.synced import settled_demo
from tests.support.told import Told

BEGAN = instant("2024-01-10T09:00:00Z")
LEAVES = instant("2024-05-20T12:00:00Z")
SEEN = instant("2024-09-20T12:00:00Z")
Life = Callable[[Account, Subscription, Price], None]
SPAN = ("--from", "2024-01", "--to", "2024-08")


CONFIG = parse("", {})


def losses(db: sqlite3.Connection, currency: str, start: date, end: date) -> list[Loss]:
    """All of them, also those whose reason needs no look."""
    ledger = Ledger(db, CONFIG, NOON)
    window = Window(WindowKind.YEAR, start, end)
    found = found_in(ledger, currency, window, is_all=True)
    return [loss for loss, _ in read_losses(db, found, found.latest())]


def cancels_now(account: Account, one: Subscription, _: Price) -> None:
    account.cancel_now(one, feedback="too_expensive")


def cancels_later(account: Account, one: Subscription, _: Price) -> None:
    account.cancel_at_period_end(one, feedback="switched_service")


def stops_paying(account: Account, one: Subscription, _: Price) -> None:
    account.fail_payments(one.customer)
    account.advance(account.now + 40 * DAY)
    account.give_up(one)


def stops_paying_for_now(account: Account, one: Subscription) -> None:
    account.fail_payments(one.customer)
    account.advance(account.now + 40 * DAY)
    account.give_up(one, into="unpaid")


def shrinks(account: Account, one: Subscription, _: Price) -> None:
    account.change_quantity(one.items[0], 1)


def takes_discount(account: Account, one: Subscription, _: Price) -> None:
    off = account.add_coupon("OFF", percent_off=25, duration="forever")
    account.add_discount(one, off)


def wavers(account: Account, one: Subscription, _: Price) -> None:
    account.cancel_at_period_end(one, feedback="other")
    account.advance(account.now + DAY)
    account.undo_cancel(one)


def leaves_and_returns(account: Account, one: Subscription, of: Price) -> None:
    account.cancel_now(one)
    account.advance(account.now + 30 * DAY)
    account.subscribe(one.customer, of)


def seen(folder: Path, life: Life) -> Workdir:
    """Ada pays for three seats, $30.00, until her life happens; Steady pays $100.00."""
    account = Account(BEGAN)
    product = account.add_product("Plan")
    account.subscribe(
        account.add_customer("Steady"), account.add_price(product, 10_000)
    )
    of = account.add_price(product, 1_000)
    ada = account.subscribe(account.add_customer("Ada"), of, quantity=3)
    account.advance(LEAVES)
    life(account, ada, of)
    account.advance(SEEN)
    path = folder / "stripe-nrr.db"
    with closing(open_database(path, create=True)) as connection:
        look(connection, account.snapshot(), account.now)
        assert not settle(connection, account.now).refusals
    return Workdir(folder).configure("")


def told(row: Mapping[str, str]) -> str:
    shown = [row["day"], row["kind"], row["amount"], row["reason"], row["stated"]]
    shown += [row["feedback"], row["shown_as"], row["returned_on"], row["returned"]]
    return " | ".join(text for text in shown if text)


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        pytest.param(
            cancels_now,
            [("2024-05-20 | churn | -30.00 | voluntary | cancellation_requested"
              " | too_expensive | cancelled at once")],
            id="cancelled at once",
        ),
        pytest.param(
            cancels_later,
            [("2024-06-10 | churn | -30.00 | voluntary | cancellation_requested"
              " | switched_service | cancelled on 20 May 2024, 21 days before")],
            id="cancelled at the period's end",
        ),
        pytest.param(
            stops_paying,
            [("2024-06-29 | churn | -30.00 | failed_payment | payment_failed"
              " | ended, as payments failed")],
            id="given up collecting",
        ),
        pytest.param(wavers, [], id="a cancellation that was taken back"),
        pytest.param(
            shrinks, ["2024-05-20 | contraction | -20.00 | reduced | a lower quantity"],
            id="a lower quantity",
        ),
        pytest.param(
            takes_discount, ["2024-05-20 | contraction | -7.50 | discount | a discount"],
            id="a discount",
        ),
        pytest.param(
            leaves_and_returns,
            [("2024-05-20 | churn | -30.00 | voluntary | cancellation_requested"
              " | cancelled at once | 2024-06-19 | 10.00")],
            id="back after a month",
        ),
    ],
)  # fmt: skip
def test_losses(tmp_path: Path, life: Life, expected: list[str]) -> None:
    done = seen(tmp_path, life).call("churn", *SPAN, "--format", "csv")
    rows = [*csv.DictReader(io.StringIO(done.out))]
    assert [told(row) for row in rows] == expected
    assert all(row["paid_since"] == "2024-01-10" for row in rows)


def test_who_was_unpaid_left_then_whatever_was_said_later() -> None:
    account = Account(BEGAN)
    of = account.add_price(account.add_product("Plan"), 1_000)
    one = account.subscribe(account.add_customer("Ada"), of)
    account.advance(LEAVES)
    stops_paying_for_now(account, one)
    with empty_ledger() as connection:
        look(connection, account.snapshot(), account.now)
        account.advance(account.now + 20 * DAY)
        account.cancel_now(one, feedback="unused")
        look(connection, account.snapshot(), account.now)
        settle(connection, account.now)
        [lost] = losses(connection, "usd", date(2024, 1, 1), date(2024, 9, 1))
    assert lost.reason.value == "failed_payment"
    assert lost.part.cancellation is None


BASIC = price("price_basic", 1_000)
STARTS = months("2025-01-01T10:00", 4)


def paused(details: dict[str, Any] | None, was: str = "active") -> Told:
    """Billed until April, then paused on the 1st, as an event tells too."""
    before = subscription(STARTS[0], [item("si_1", BASIC, 1)])
    shown = before | {"status": "paused"}
    if details is not None:
        shown["status_details"] = {"paused": details}
    bills = [
        invoice(start, [line(BASIC, start, end)]) for start, end in pairwise(STARTS)
    ]
    changed = event("customer.subscription.updated", STARTS[3], shown, {"status": was})
    return Told(
        seen_at="2025-04-20",
        prices=[BASIC],
        subscriptions=[shown],
        invoices=bills,
        events=[changed],
    )


def kind_of_pause(kind: str) -> dict[str, Any]:
    return {
        "transitioned_at": STARTS[3],
        "type": "subscription",
        "subscription": {"type": kind},
    }


@pytest.mark.parametrize(
    ("life", "reason"),
    [
        pytest.param(paused(kind_of_pause("pause_requested")), "paused", id="asked for"),
        pytest.param(
            paused(kind_of_pause("final_payment_failure")), "failed_payment",
            id="by the last failed payment",
        ),
        pytest.param(
            paused(kind_of_pause("first_payment_failure")), "failed_payment",
            id="by the first failed payment",
        ),
        pytest.param(
            paused({"transitioned_at": STARTS[3]}, "past_due"), "failed_payment",
            id="past due before, as an event tells",
        ),
        pytest.param(paused(None), "paused", id="nothing told"),
    ],
)  # fmt: skip
def test_a_pause_is_a_failed_payment_where_that_made_it(
    life: Told, reason: str
) -> None:
    with empty_ledger() as connection:
        for each in life.looks():
            look(connection, each, STARTS[3] + 19 * DAY)
        settle(connection, STARTS[3] + 19 * DAY)
        [lost] = losses(connection, "usd", date(2025, 1, 1), date(2025, 6, 1))
    assert lost.reason.value == reason


# Laws

MONTHS = [date(year, month, 1) for year in range(2023, 2027) for month in range(1, 13)]


def test_the_reasons_of_every_case_add_up_to_its_movements() -> None:
    """Whatever happens in fixtures/cases, and under whichever policy."""
    for path in folders.CASES.glob("*/*/stripe.json"):
        with empty_ledger() as connection:
            moved = []
            for shown in folders.looks(path.parent):
                at_s = int(datetime.fromisoformat(shown["seen_at"]).timestamp())
                rules = folders.settings(shown)
                look(connection, shown, at_s)
                zone, merge = folders.zone_of(shown), rules.merge
                moved = settle(connection, at_s, zone, rules.policy, merge).movements
            for currency in queries.currencies(connection):
                lost = {
                    (x.day, x.amount_minor, sum(minor for _, minor in x.shares))
                    for x in losses(connection, currency, date.min, date.max)
                }
                assert lost == {
                    (x.day, x.amount_minor, x.amount_minor)
                    for x in moved
                    if x.currency == currency and x.amount_minor < 0
                }, path


def test_the_reasons_add_up_to_the_waterfall_of_every_month() -> None:
    with settled_demo() as connection:
        for currency in ("usd", "eur"):
            span = (date(2023, 11, 1), date(2026, 12, 1))
            found = losses(connection, currency, *span)
            ledger = Ledger(connection, CONFIG, NOON)
            summed = found_in(ledger, currency, Window(WindowKind.YEAR, *span))
            table = loss_table(connection, summed)
            assert table.sums == added_up((x, "all") for x in found).sums
            flows = list(queries.flows(connection, currency))
            for start in MONTHS:
                own = [x for x in found if x.day.replace(day=1) == start]
                moved = [f for f in flows if f.day.replace(day=1) == start]
                sums = added_up((x, "") for x in own).everyone()
                for kind in ("churn", "contraction"):
                    lost = -sum(f.amount_minor for f in moved if f.kind == kind)
                    assert getattr(sums, f"{kind}_minor") == lost, (currency, start)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    folder = tmp_path_factory.mktemp("churn")
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    return Workdir(folder).configure('timezone = "Europe/Berlin"')


@pytest.mark.parametrize(
    ("span", "window"),
    [
        pytest.param((), WindowKind.TRAILING_12, id="the headline's twelve months"),
        pytest.param(
            ("--from", "2026-09", "--to", "2026-09"), WindowKind.MONTH, id="one"
        ),
        pytest.param(
            ("--from", "2026-07", "--to", "2026-09"), WindowKind.QUARTER, id="a quarter"
        ),
    ],
)
def test_a_report_of_the_same_window_says_the_same(
    demo: Workdir, span: tuple[str, ...], window: WindowKind
) -> None:
    told = demo.call("churn", *span, "--format", "json").json["currencies"]
    words = ["report", "--causes", "--window", window.value, "--format", "json"]
    to = span[-1] if span else "2026-10"
    came = demo.call(*words, "--from", to, "--to", to).json["currencies"]
    for lost, report in zip(told, came, strict=True):
        [figures] = report["windows"]
        assert (lost["from"], lost["to"]) == (figures["from"], figures["to"])
        for kind in ("churn_minor", "contraction_minor"):
            assert lost[kind] == figures["waterfall"][kind]
            assert lost["nrr"][kind] == figures["retention"][kind]
            assert sum(month[kind] for month in lost["months"]) == lost[kind]
        assert lost["reasons"] == figures["losses"]


def test_segments_add_up_to_all(demo: Workdir) -> None:
    for by in ("plan", "country", "band", "cohort"):
        told = demo.call("churn", "--by", by, "--format", "json").json["currencies"]
        for lost in told:
            for kind in ("churn_minor", "contraction_minor", "departures"):
                assert sum(each[kind] for each in lost["segments"]) == lost[kind]


def test_months_that_are_no_window_are_measured(demo: Workdir) -> None:
    [usd, _] = demo.call(
        "churn", "--from", "2026-02", "--to", "2026-05", "--format", "json"
    ).json["currencies"]
    window = Window(WindowKind.TRAILING_12, date(2026, 2, 1), date(2026, 6, 1))
    assert (usd["from"], usd["to"]) == (str(window.start), str(window.end))
    assert usd["churn_minor"] == sum(m["churn_minor"] for m in usd["months"]) == 107_880
    assert len(usd["months"]) == 4


def test_the_running_month_is_marked_in_csv(demo: Workdir) -> None:
    words = ("--by", "month", "--from", "2026-10", "--to", "2026-11")
    found = csv.DictReader(
        demo.call("churn", *words, "--format", "csv").out.splitlines()
    )
    assert {(row["month"], row["complete"]) for row in found} == {
        ("2026-10", "true"),
        ("2026-11", "false"),
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ("--from", "2026-05", "--to", "2026-04"), "is after --to", id="order"
        ),
        pytest.param(
            ("--to", "2027-01"), "after 2026-11-02, the last day", id="to come"
        ),
        pytest.param(
            ("--by", "metadata:tier"), "metadata 'tier' is not kept", id="metadata"
        ),
        pytest.param(("--by", "colour"), "'colour' is none of reason, month", id="by"),
        pytest.param(
            ("--currency", "total"), "reasons are told of each currency", id="all"
        ),
    ],
)
def test_what_cannot_be_told_is_said(
    demo: Workdir, words: tuple[str, ...], said: str
) -> None:
    done = demo.call("churn", *words)
    assert (done.code, said in done.err) == (2, True)


# What the mirror keeps


def test_the_comment_is_never_kept(tmp_path: Path) -> None:
    said = "She said that Bob was rude"
    account = Account(BEGAN)
    of = account.add_price(account.add_product("Plan"), 1_000)
    one = account.subscribe(account.add_customer("Ada"), of)
    account.advance(LEAVES)
    account.cancel_now(one, feedback="customer_service")
    snapshot = account.snapshot()
    for each in snapshot["subscriptions"]:
        each["cancellation_details"]["comment"] = said
    path = tmp_path / "stripe-nrr.db"
    with closing(open_database(path, create=True)) as connection:
        look(connection, snapshot, account.now)
        [body] = connection.execute("SELECT body FROM stripe_subscriptions").fetchone()
    kept = json.loads(body)["cancellation_details"]
    assert kept == {"reason": "cancellation_requested", "feedback": "customer_service"}
    assert said.encode() not in path.read_bytes()


def test_a_mirror_from_before_says_that_it_never_read_the_reason(
    tmp_path: Path,
) -> None:
    folder = seen(tmp_path, cancels_now)
    assert "was not read yet" not in folder.call("churn", *SPAN).out
    with closing(open_database(folder.ledger)) as connection:
        connection.execute(
            "UPDATE stripe_subscriptions SET body = CAST(json_remove(CAST(body AS TEXT),"
            " '$.cancellation_details') AS BLOB)"
        )
    done = folder.call("churn", *SPAN)
    assert "Of 1 end the reason was not read yet" in done.out
    assert "stripe-nrr sync --full" in done.out
    words = ("report", "--causes", "--window", "month", *SPAN)
    assert "Of 1 end the reason was not read yet" in folder.call(*words).out
    [found] = folder.call("churn", *SPAN, "--format", "json").json["currencies"]
    assert [each["reason"] for each in found["left"]] == ["unknown"]
    assert found["not_read"] == 1
