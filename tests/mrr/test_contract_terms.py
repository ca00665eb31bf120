"""Terms that ended and main plans, from accounts as Stripe shows them."""

from collections.abc import Callable
from datetime import date

import pytest

from connector.core.model import ContractTerm, MainPrice
from connector.store.ledger import contract_terms
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.catalogue import Price
from tests.billing.state import Subscription
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.synced import settled_demo

BEGAN = instant("2024-01-10T09:00:00Z")
SEEN = instant("2024-06-20T12:00:00Z")
Life = Callable[[Account, Subscription, Price], None]


def agreed(
    life: Life, interval: str = "month", trial_days: int = 0
) -> tuple[list[ContractTerm], list[MainPrice]]:
    """What is known of a customer who took a plan of $10; the other one is $120 a year."""
    account = Account(BEGAN)
    product = account.add_product("Plan")
    price = account.add_price(product, 1_000, interval=interval)
    yearly = account.add_price(product, 12_000, interval="year")
    customer = account.add_customer("Ada")
    subscription = account.subscribe(customer, price, trial_days=trial_days)
    account.advance(BEGAN + 45 * DAY)
    life(account, subscription, yearly)
    account.advance(SEEN)
    with empty_ledger() as connection:
        look(connection, account.snapshot(), SEEN)
        settle(connection, SEEN)
        [key] = connection.execute("SELECT key FROM customers").fetchone()
        return (
            contract_terms.terms_of(connection, key),
            contract_terms.main_prices_of(connection, key),
        )


def drawn(terms: list[ContractTerm]) -> list[str]:
    return [f"{t.day:%m-%d} {t.before_minor}→{t.after_minor}" for t in terms]


def nothing(_account: Account, _subscription: Subscription, _price: Price) -> None:
    pass


def cancels(account: Account, subscription: Subscription, _price: Price) -> None:
    account.cancel_now(subscription)


def leaves(account: Account, subscription: Subscription, _price: Price) -> None:
    account.cancel_at_period_end(subscription)


def grows(account: Account, subscription: Subscription, _price: Price) -> None:
    account.change_quantity(subscription.items[0], 3)


def switches(account: Account, subscription: Subscription, price: Price) -> None:
    account.change_price(subscription.items[0], price)


RENEWED = ["02-10 1000→1000", "03-10 1000→1000", "04-10 1000→1000"]


@pytest.mark.parametrize(
    ("life", "interval", "trial_days", "expected"),
    [
        pytest.param(
            nothing, "month", 0, [*RENEWED, "05-10 1000→1000", "06-10 1000→1000"],
            id="each month that was paid has ended and was renewed",
        ),
        pytest.param(nothing, "year", 0, [], id="a year that is not over"),
        pytest.param(
            leaves, "month", 0, ["02-10 1000→1000", "03-10 1000→0"],
            id="cancelled for the period's end: not renewed",
        ),
        pytest.param(
            cancels, "month", 0, ["02-10 1000→1000", "02-24 1000→0"],
            id="cancelled at once: the term ends with the subscription",
        ),
        pytest.param(
            grows, "month", 0,
            ["02-10 1000→1000", "03-10 3000→3000", "04-10 3000→3000",
             "05-10 3000→3000", "06-10 3000→3000"],
            id="worth what it was worth just before",
        ),
        pytest.param(
            switches, "month", 0, ["02-10 1000→1000"],
            id="a month that was exchanged for a year has not ended",
        ),
        pytest.param(
            nothing, "month", 60, ["04-10 1000→1000", "05-10 1000→1000", "06-10 1000→1000"],
            id="a trial is no term",
        ),
    ],
)  # fmt: skip
def test_terms(life: Life, interval: str, trial_days: int, expected: list[str]) -> None:
    terms, _ = agreed(life, interval, trial_days)
    assert drawn(terms) == expected


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        pytest.param(nothing, ["01-10 month"], id="one plan"),
        pytest.param(switches, ["01-10 month", "02-24 year"], id="a change of plan"),
        pytest.param(cancels, ["01-10 month", "02-24 "], id="none any more"),
        pytest.param(grows, ["01-10 month"], id="more seats of the same plan"),
    ],
)
def test_plans(life: Life, expected: list[str]) -> None:
    _, plans = agreed(life)
    assert [f"{plan.day:%m-%d} {plan.interval}" for plan in plans] == expected
    assert all(bool(plan.price) == bool(plan.interval) for plan in plans)


def test_deriving_again_changes_nothing() -> None:
    with settled_demo() as connection:
        tables = [connection.execute(f"SELECT * FROM {t}").fetchall() for t in KEPT]  # noqa: S608
        connection.execute(
            "INSERT INTO dirty_customers SELECT id FROM stripe_customers"
        )
        settle(connection, instant("2026-11-02T06:00:00Z"), "Europe/Berlin")
        again = [connection.execute(f"SELECT * FROM {t}").fetchall() for t in KEPT]  # noqa: S608
    assert all(tables)
    assert again == tables


KEPT = ("terms", "plans")


def test_every_churned_subscription_of_the_demo_has_a_last_term() -> None:
    """A customer's churn is a term that was not renewed, on that very day."""
    with settled_demo() as connection:
        churned = connection.execute(
            "SELECT customer, day FROM live_movements WHERE kind = 'churn'"
        ).fetchall()
        assert churned
        for customer, day in churned:
            lost = [
                term
                for term in contract_terms.terms_of(connection, customer)
                if term.day == date.fromisoformat(day) and not term.after_minor
            ]
            assert lost, (customer, day)
