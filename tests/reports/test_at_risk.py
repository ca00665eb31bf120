"""What may go and what is committed, from accounts whose future is known."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import pytest

from connector.cli.app import stripe_nrr
from connector.config import Config
from connector.mrr.risks import Risk, RiskReason, at_risk_minor
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.catalogue import Price
from tests.billing.state import Subscription
from tests.support.commands import Workdir
from tests.support.ledgers import look, settle
from tests.support.simulator import SimulatedAccount
from tests.support.synced import Wire, walk

BEGAN = instant("2024-01-10T09:00:00Z")
SEEN = instant("2025-03-20T12:00:00Z")
Life = Callable[[Account, Subscription, Price], None]

CANCELS = RiskReason.CANCELS
CONTRACTED = RiskReason.CONTRACTED
PAST_DUE = RiskReason.PAST_DUE
PAUSED = RiskReason.PAUSED


class Shop:
    """A steady customer at $100 a month, and another one at $10 with a life of its own."""

    def __init__(self, life: Life, **terms: Any) -> None:
        self.account = Account(BEGAN)
        product = self.account.add_product("Plan")
        self.account.subscribe(
            self.account.add_customer("Steady"), self.account.add_price(product, 10_000)
        )
        price = self.account.add_price(product, 1_000)
        self.account.advance(BEGAN + DAY)
        ada = self.account.subscribe(self.account.add_customer("Ada"), price, **terms)
        self.account.advance(SEEN - 5 * DAY)
        life(self.account, ada, price)
        self.account.advance(SEEN)

    def seen(self, folder: Path) -> None:
        """One sync of everything, at the account's own moment."""
        path = folder / "stripe-nrr.db"
        with closing(open_database(path, create=True)) as connection:
            self._settle(connection)

    def _settle(self, connection: sqlite3.Connection) -> None:
        look(connection, self.account.snapshot(), self.account.now)
        assert not settle(connection, self.account.now).refusals


def asked(folder: Path, *words: str) -> Any:
    with chdir(folder):
        command = [*words, "--format", "json", "-o", "out.json"]
        stripe_nrr.main(command, prog_name="stripe-nrr", standalone_mode=False)
        return json.loads(Path("out.json").read_text(encoding="utf-8"))


def nothing(_account: Account, _subscription: Subscription, _price: Price) -> None:
    pass


def leaves(account: Account, subscription: Subscription, _price: Price) -> None:
    account.cancel_at_period_end(subscription)


def leaves_later(account: Account, subscription: Subscription, _price: Price) -> None:
    account.cancel_at(subscription, instant("2025-07-05T00:00:00Z"))


def stays(account: Account, subscription: Subscription, _price: Price) -> None:
    account.cancel_at_period_end(subscription)
    account.undo_cancel(subscription)


def pauses(account: Account, subscription: Subscription, _price: Price) -> None:
    account.pause_collection(subscription)


def fails(account: Account, subscription: Subscription, _price: Price) -> None:
    account.fail_payments(subscription.customer)
    account.advance(SEEN - 2 * DAY)


def shrinks(account: Account, subscription: Subscription, _price: Price) -> None:
    account.change_quantity(subscription.items[0], 2)


@pytest.mark.parametrize(
    ("life", "terms", "expected"),
    [
        pytest.param(nothing, {}, [], id="nothing"),
        pytest.param(
            leaves, {}, ["cancels 1000 2025-04-11"], id="set to cancel at the period's end"
        ),
        pytest.param(
            leaves_later, {}, ["cancels 1000 2025-07-05"], id="set to cancel on a day"
        ),
        pytest.param(stays, {}, [], id="a cancellation that was taken back"),
        pytest.param(pauses, {}, ["paused 1000 None"], id="collection paused"),
        pytest.param(
            shrinks, {"quantity": 3}, ["contracted 2000 2025-03-15"], id="contracted lately"
        ),
        pytest.param(
            leaves, {"trial_days": 450}, ["trial 0 2025-04-05"],
            id="a trial that is set to end without converting",
        ),
    ],
)  # fmt: skip
def test_risks(
    tmp_path: Path, life: Life, terms: dict[str, Any], expected: list[str]
) -> None:
    Shop(life, **terms).seen(tmp_path)
    [found] = asked(tmp_path, "at-risk")["currencies"]
    drawn = [f"{r['reason']} {r['mrr_minor']} {r['day']}" for r in found["risks"]]
    assert drawn == expected
    assert found["at_risk_minor"] == sum(r["mrr_minor"] for r in found["risks"])


def test_a_failed_payment_is_past_due_since_its_invoice(tmp_path: Path) -> None:
    """The renewal of 11 March fails before the look of the 20th."""
    shop = Shop(nothing)
    shop.account.fail_payments(shop.account.subscriptions[1].customer)
    shop.account.advance(instant("2025-04-13T12:00:00Z"))
    shop.seen(tmp_path)
    [found] = asked(tmp_path, "at-risk")["currencies"]
    [risk] = found["risks"]
    assert (risk["reason"], risk["mrr_minor"]) == ("past_due", 1_000)
    assert risk["day"] == "2025-04-11"


SCHEDULES: dict[str, tuple[Life, dict[str, Any]]] = {
    "nothing": (nothing, {}),
    "an end that is set": (leaves, {}),
    "an end that is set for later": (leaves_later, {}),
    "an end that was taken back": (stays, {}),
}


@pytest.mark.parametrize(("life", "terms"), SCHEDULES.values(), ids=SCHEDULES.keys())
def test_what_is_committed_is_what_comes(
    tmp_path: Path, life: Life, terms: dict[str, Any]
) -> None:
    """Nothing but what was scheduled happens for half a year: the reports say the same."""
    shop = Shop(life, **terms)
    shop.seen(tmp_path)
    [then] = asked(tmp_path, "at-risk")["currencies"]
    shop.account.advance(instant("2025-10-01T12:00:00Z"))
    shop.seen(tmp_path)
    words = "report --window trailing-12 --from 2025-03 --to 2025-09"
    [came] = asked(tmp_path, *words.split())["currencies"]
    committed = {each["to"]: each for each in then["committed"]}
    assert len(came["windows"]) == 7
    for window in came["windows"]:
        told = committed[window["to"]]
        for name in ("nrr", "grr", "crr", "opening_minor", "closing_minor"):
            assert told[name] == window["retention"][name], (window["to"], name)


def test_a_discount_that_runs_out_is_committed(tmp_path: Path) -> None:
    """Half price until August: the NRR of the year to September already says so."""

    def takes_coupon(account: Account, subscription: Subscription, _: Price) -> None:
        coupon = account.add_coupon(
            "HALF", percent_off=50, duration="repeating", months=5
        )
        account.add_discount(subscription, coupon)

    shop = Shop(takes_coupon)
    shop.seen(tmp_path)
    [then] = asked(tmp_path, "at-risk")["currencies"]
    [scheduled] = then["scheduled"]
    assert (scheduled["kind"], scheduled["amount_minor"]) == ("expansion", 500)
    [contracted] = then["risks"]
    assert contracted["reason"] == "contracted"
    shop.account.advance(instant("2025-10-01T12:00:00Z"))
    shop.seen(tmp_path)
    words = "report --window trailing-12 --from 2025-09 --to 2025-09"
    [came] = asked(tmp_path, *words.split())["currencies"]
    committed = {each["to"]: each["nrr"] for each in then["committed"]}
    assert committed["2025-10-01"] == came["windows"][0]["retention"]["nrr"] == 1.0


def risk(reason: RiskReason, customer: str, subscription: str, mrr_minor: int) -> Risk:
    return Risk(reason, customer, "usd", subscription, mrr_minor, None)


@pytest.mark.parametrize(
    ("risks", "worth"),
    [
        pytest.param([], 0, id="none"),
        pytest.param(
            [risk(CANCELS, "a", "s1", 5), risk(PAST_DUE, "a", "s1", 5)], 5,
            id="two reasons, once",
        ),
        pytest.param(
            [risk(CANCELS, "a", "s1", 5), risk(PAUSED, "a", "s2", 3)], 8,
            id="two subscriptions",
        ),
        pytest.param(
            [risk(CANCELS, "a", "s1", 5), risk(CONTRACTED, "a", "", 9)], 9,
            id="one of them, and all the customer pays",
        ),
        pytest.param(
            [risk(CANCELS, "a", "s1", 5), risk(CANCELS, "b", "s1", 5)], 10,
            id="two customers",
        ),
    ],
)  # fmt: skip
def test_what_may_go_counts_once(risks: list[Risk], worth: int) -> None:
    assert at_risk_minor(risks) == worth


def test_a_history_that_nobody_foresaw_holds_up_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor the page, which shows what is at risk too; both say who is left out."""
    shop = Shop(leaves)
    shop.seen(tmp_path)
    steady = shop.account.subscriptions[0].customer.id
    with closing(open_database(tmp_path / "stripe-nrr.db")) as connection:
        connection.execute(
            "UPDATE stripe_invoices SET body = x'5b5d' WHERE customer = ?", [steady]
        )
        connection.execute(
            "INSERT INTO due_customers VALUES (?, ?)", [steady, SEEN + DAY]
        )
    [found] = asked(tmp_path, "at-risk")["currencies"]
    assert [each["reason"] for each in found["risks"]] == ["cancels"]
    assert f"1 customer could not be derived: {steady}" in capsys.readouterr().err


def test_who_was_never_derived_is_in_no_figure_and_holds_up_none(
    tmp_path: Path,
) -> None:
    """A sync that was killed half way knows that Ada will leave, and not that she pays."""
    shop = Shop(leaves)
    steady = shop.account.subscriptions[0].customer.id
    path = tmp_path / "stripe-nrr.db"
    with closing(open_database(path, create=True)) as connection:
        look(connection, shop.account.snapshot(), SEEN)
        settle(connection, SEEN, only=[steady])
    told = asked(tmp_path, "at-risk")
    [found] = told["currencies"]
    assert (found["mrr_minor"], found["risks"], found["scheduled"]) == (10_000, [], [])
    assert {each["nrr"] for each in found["committed"]} == {1}
    assert not told["complete"]
    assert asked(tmp_path, "digest", "--peek")["at_risk"] == []


# --- the call list ---


def several(folder: Path, owners: dict[str, str]) -> Path:
    """Ada leaves and Bea is late, with one subscription each; Cleo pays for fewer seats.

    ``owners`` are by name; the account keeps them as metadata, the mirror as configured.
    """
    account = Account(BEGAN)
    product = account.add_product("Plan")
    monthly, yearly = (
        account.add_price(product, 1_000),
        account.add_price(product, 9_600, interval="year"),
    )
    account.advance(instant("2024-03-20T09:00:00Z"))
    own = {}
    for name in ("Ada", "Bea", "Cleo"):
        metadata = {"csm": owners[name]} if name in owners else {}
        own[name] = account.add_customer(name, metadata=metadata)
    ada = account.subscribe(own["Ada"], monthly, quantity=4)
    account.subscribe(own["Bea"], monthly, quantity=6)
    cleo = account.subscribe(own["Cleo"], yearly, quantity=2)
    account.advance(instant("2025-04-15T12:00:00Z"))
    account.change_quantity(cleo.items[0], 1)
    account.fail_payments(own["Bea"])
    account.advance(instant("2025-04-25T12:00:00Z"))
    account.change_quantity(ada.items[0], 5)
    account.cancel_at_period_end(ada)
    with closing(open_database(folder / "stripe-nrr.db", create=True)) as connection:
        wire = Wire(SimulatedAccount(account.snapshot()), account.now)
        walk(connection, wire, Config(owner="metadata:csm"))
        assert not settle(connection, account.now).refusals
    return folder


def test_the_call_list_has_who_pays_most_first(tmp_path: Path) -> None:
    [found] = asked(several(tmp_path, {}), "at-risk")["currencies"]
    told = [
        (
            each["label"],
            each["mrr_minor"],
            [f"{risk['reason']} {risk['day']}" for risk in each["reasons"]],
            each["paid_since"],
            each["last_movement"]["day"],
            each["last_movement"]["amount_minor"],
            (each["renews_on"], each["ends_then"]),
        )
        for each in found["customers"]
    ]
    assert told == [
        (
            *("Bea", 6_000, ["past_due 2025-04-20"], "2024-03-20"),
            *("2024-03-20", 6_000, ("2025-05-20", False)),
        ),
        (
            *("Ada", 5_000, ["cancels 2025-05-20"], "2024-03-20"),
            *("2025-04-25", 1_000, ("2025-05-20", True)),
        ),
        (
            *("Cleo", 800, ["contracted 2025-04-15"], "2024-03-20"),
            *("2025-04-15", -800, ("2026-03-20", False)),
        ),
    ]
    assert found["at_risk_minor"] == 11_800


OWNED = '[customers]\nowner = "metadata:csm"\n'


def test_an_owner_s_list_is_of_these_customers_alone(tmp_path: Path) -> None:
    several(tmp_path, {"Ada": "Grace Hopper", "Cleo": "Grace Hopper", "Bea": "Alan"})
    (tmp_path / "config.toml").write_text(OWNED)
    [every] = asked(tmp_path, "at-risk")["currencies"]
    assert [each["owner"] for each in every["customers"]] == [
        "Alan",
        "Grace Hopper",
        "Grace Hopper",
    ]
    [own] = asked(tmp_path, "at-risk", "--owner", "grace hopper")["currencies"]
    assert [each["label"] for each in own["customers"]] == ["Ada", "Cleo"]
    assert {each["customer"] for each in own["scheduled"]} == {
        own["customers"][0]["customer"]
    }
    assert (own["mrr_minor"], own["at_risk_minor"]) == (5_800, 5_800)
    assert own["so_far"]["closing_minor"] == 5_800  # of Ada and Cleo alone


@pytest.mark.parametrize(
    ("config", "owner", "said"),
    [
        pytest.param(
            "", "Alan", "nothing says whose a customer is", id="none configured"
        ),
        pytest.param(OWNED, "Bob", "nobody's owner is 'Bob'", id="nobody"),
    ],
)
def test_an_owner_that_is_not_there_is_said(
    tmp_path: Path, config: str, owner: str, said: str
) -> None:
    several(tmp_path, {"Ada": "Alan"})
    done = Workdir(tmp_path).configure(config).call("at-risk", "--owner", owner)
    assert done.code != 0
    assert said in done.err


def test_a_row_a_customer_and_reason_keeps_its_columns(tmp_path: Path) -> None:
    folder = Workdir(several(tmp_path, {"Bea": "Alan"})).configure(OWNED)
    rows = [*csv.reader(io.StringIO(folder.call("at-risk", "--format", "csv").out))]
    assert rows[0] == [
        *("currency", "reason", "customer", "label", "subscription", "mrr"),
        *("ends_on", "due_since", "shrank_on"),
        *("customer_mrr", "owner", "country", "paid_since", "renews_on"),
        *("last_movement_on", "last_movement", "last_change"),
    ]
    assert [row[1] for row in rows[1:]] == [
        "past due",
        "set to cancel",
        "contracted lately",
    ]
    assert rows[1][9:15] == [
        "60.00",
        "Alan",
        "",
        "2024-03-20",
        "2025-05-20",
        "2024-03-20",
    ]
