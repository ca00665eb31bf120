"""``python -m tests.support.cases.everyday`` writes everyday billing, a folder each.

A case is a function that plays it on the billing engine. Its name is the folder's, its
docstring the README: a line for what happens and one for the rule that it shows. The
last instant played is the moment of the look at the account; what an earlier look saw
(``shop.look()``) is kept beside it, in the order of the looks.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.billing.catalogue import Coupon, Price, Tier
from tests.billing.state import Subscription
from tests.billing.truth import Step
from tests.support import folders

ALWAYS, NONE = "always_invoice", "none"
Look = dict[str, Any]


class Shop(Account):
    """An account with one product and, unless a case asks for more, one customer."""

    def __init__(self, opens: str) -> None:
        super().__init__(instant(opens))
        self.product = self.add_product("Plan", unit_label="seat")
        self.customer = self.add_customer("Customer")
        self.looks: list[Look] = []
        self.steps: list[Step] = []

    def on(self, day: str) -> None:
        """Let time pass until noon of ``day``."""
        self.advance(instant(f"{day}T12:00:00"))

    def plan(self, amount: int, per: str = "month", currency: str = "usd") -> Price:
        return self.add_price(self.product, amount, interval=per, currency=currency)

    def sells(
        self,
        amount: int,
        per: str = "month",
        seats: int = 1,
        *,
        coupon: Coupon | None = None,
        trial_days: int = 0,
        mode: str = "flexible",
    ) -> Subscription:
        return self.subscribe(
            self.customer,
            self.plan(amount, per),
            quantity=seats,
            coupon=coupon,
            trial_days=trial_days,
            mode=mode,
        )

    def look(self) -> None:
        """Somebody looks at the whole account now."""
        seen_at = datetime.fromtimestamp(self.now, UTC).isoformat()
        self.looks.append({"seen_at": seen_at, **self.snapshot()})
        known_until = self.steps[-1].at if self.steps else 0
        [steps] = self.evidenced_mrr().values() or [[]]
        self.steps += [step for step in steps if step.at > known_until]


# New


def new_monthly() -> Shop:
    """A customer starts to pay $10 a month.

    0 → x of one who never paid before is new, on the day the subscription starts.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(1_000)
    shop.on("2026-04-20")
    return shop


def new_yearly_with_seats() -> Shop:
    """A customer takes 4 seats at $500 a year, paid at once.

    A year counts for a twelfth a month: 166.67, rounded once for the whole item.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(50_000, "year", seats=4)
    shop.on("2026-04-20")
    return shop


def yen() -> Shop:
    """A customer pays ¥1,500 a month, later ¥30,000 a year.

    Yen have no decimals: 1500 minor units are ¥1,500, never ¥15.
    """
    shop = Shop("2026-01-15T12:00:00")
    monthly, yearly = shop.plan(1_500, currency="jpy"), shop.plan(30_000, "year", "jpy")
    sub = shop.subscribe(shop.customer, monthly)
    shop.on("2026-02-10")
    shop.change_price(sub.items[0], yearly, proration=ALWAYS)
    shop.on("2026-04-20")
    return shop


def graduated_tiers() -> Shop:
    """8 seats, five at $7 and the rest at $5, later 3: an invoice line for each tier.

    Only together do the lines of an item say how many seats there were.
    """
    shop = Shop("2026-01-15T12:00:00")
    tiers = (Tier(up_to=5, unit_amount=Decimal(700)), Tier(unit_amount=Decimal(500)))
    graduated = shop.add_price(shop.product, tiers=tiers, tiers_mode="graduated")
    sub = shop.subscribe(shop.customer, graduated, quantity=8)
    shop.on("2026-04-03")
    shop.change_quantity(sub.items[0], 3, proration=ALWAYS)
    shop.on("2026-07-20")
    return shop


# Changes of price and quantity


def upgrade_mid_month() -> Shop:
    """$10 becomes $20 half-way through a month; the next invoice says −5 and +10.

    A change takes effect where the proration's period starts; the invoice adds nothing.
    """
    shop = Shop("2026-04-01T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-04-16")
    shop.change_price(sub.items[0], shop.plan(2_000))
    shop.on("2026-07-10")
    return shop


def downgrade_at_renewal() -> Shop:
    """$50 becomes $20 without proration, ten days before the renewal.

    Without a line of its own a change shows with the first regular line of the new price.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(5_000)
    shop.on("2026-03-05")
    shop.change_price(sub.items[0], shop.plan(2_000), proration=NONE)
    shop.on("2026-06-20")
    return shop


def seats_added_with_prorations() -> Shop:
    """Two seats become five; the prorations wait for the next invoice.

    More seats are expansion on the day they were added, by cause: quantity.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000, seats=2)
    shop.on("2026-02-03")
    shop.change_quantity(sub.items[0], 5)
    shop.on("2026-05-20")
    return shop


def seats_added_without_proration() -> Shop:
    """Two seats become five and nobody is charged for the rest of the month.

    The renewal's line is the first to show the new seats.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000, seats=2)
    shop.on("2026-02-03")
    shop.change_quantity(sub.items[0], 5, proration=NONE)
    shop.on("2026-05-20")
    return shop


def seats_added_invoiced_at_once() -> Shop:
    """Two seats become five, with an invoice of its own on the same day.

    The pair of credit and debit is one change, not two.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000, seats=2)
    shop.on("2026-02-03")
    shop.change_quantity(sub.items[0], 5, proration=ALWAYS)
    shop.on("2026-05-20")
    return shop


def several_changes_one_invoice() -> Shop:
    """Three changes on three days; one invoice shows them all, with seven lines.

    Each pair of lines has its own day: nothing is dated by the invoice.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    for day, seats in (("2026-01-20", 3), ("2026-01-25", 2), ("2026-02-01", 6)):
        shop.on(day)
        shop.change_quantity(sub.items[0], seats)
    shop.on("2026-05-20")
    return shop


def up_and_down_same_day() -> Shop:
    """One seat becomes nine by mistake, and one again an hour later.

    Only the day's first and last state count: no movement.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-02-03")
    shop.change_quantity(sub.items[0], 9)
    shop.advance(shop.now + 3_600)
    shop.change_quantity(sub.items[0], 1)
    shop.on("2026-05-20")
    return shop


def yearly_change_pending() -> Shop:
    """A yearly customer adds seats; no invoice will show it for ten months.

    The pending invoice items show it today, with its day.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(12_000, "year", seats=2)
    shop.on("2026-03-10")
    shop.change_quantity(sub.items[0], 5)
    shop.on("2026-06-20")
    return shop


def prorations_on_a_draft() -> Shop:
    """A yearly customer added seats in June; we look in the hour of the renewal's draft.

    Prorations that have just left the pending items for a draft still say when.
    """
    shop = Shop("2025-01-15T12:00:00")
    sub = shop.sells(12_000, "year", seats=2)
    shop.on("2025-06-10")
    shop.change_quantity(sub.items[0], 5)
    shop.advance(instant("2026-01-15T12:30:00"))
    return shop


def monthly_to_yearly() -> Shop:
    """$25 a month becomes $250 a year, in classic mode: the year starts at once.

    250 a year are 20.83 a month: a contraction of 4.17, however large the invoice.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(2_500, mode="classic")
    shop.on("2026-03-05")
    shop.change_price(sub.items[0], shop.plan(25_000, "year"))
    shop.on("2026-06-20")
    return shop


# Items


def two_items_one_subscription() -> Shop:
    """A subscription starts with a plan of $30 and two seats of $5.

    One movement a customer and day, explained by a component for each item.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.subscribe(shop.customer, [(shop.plan(3_000), 1), (shop.plan(500), 2)])
    shop.on("2026-04-20")
    return shop


def item_added_and_removed() -> Shop:
    """An add-on of $6 comes in February and goes in April, prorated both times.

    A debit alone is an add-on, a credit alone a removal.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-02-03")
    extra = shop.add_item(sub, shop.plan(600))
    shop.on("2026-04-07")
    shop.remove_item(extra)
    shop.on("2026-07-20")
    return shop


def delete_and_re_add() -> Shop:
    """The item of $10 is deleted and one of $25 added at once.

    An upgrade by another item id is a change of plan, neither churn nor new.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-03-05")
    shop.swap_item(sub.items[0], shop.plan(2_500))
    shop.on("2026-06-20")
    return shop


def delete_and_re_add_without_proration() -> Shop:
    """The item of $10 is deleted and one of $25 added, and no line says so.

    A new item without proration takes the place of the one that is missing since.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-03-05")
    shop.swap_item(sub.items[0], shop.plan(2_500), proration=NONE)
    shop.on("2026-06-20")
    return shop


def item_removed_after_another_came() -> Shop:
    """An add-on comes without a line; weeks later the plan it joined is credited away.

    The credit says how long the plan was there: the add-on had not replaced it.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(24_000, "year")
    old = sub.items[0]
    shop.on("2026-02-03")
    shop.add_item(sub, shop.plan(600, "year"), proration=NONE)
    shop.on("2026-04-07")
    shop.remove_item(old)
    shop.on("2026-07-20")
    return shop


# Ends


def cancel_now() -> Shop:
    """A customer cancels with immediate effect, in the middle of a paid month.

    Churn on the day the subscription ended; what was paid ahead does not matter.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-03-05")
    shop.cancel_now(sub)
    shop.on("2026-06-20")
    return shop


def cancel_at_period_end() -> Shop:
    """$10 from 15 April; on 8 June the customer cancels to the end of the period.

    Churn on 15 June, when the subscription ends, not when that was asked for.
    """
    shop = Shop("2026-04-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-06-08")
    shop.cancel_at_period_end(sub)
    shop.on("2026-08-20")
    return shop


def cancel_undone() -> Shop:
    """A customer cancels to the end of the period and thinks better of it.

    A cancellation that did not come to pass is no movement.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-03-05")
    shop.cancel_at_period_end(sub)
    shop.on("2026-03-09")
    shop.undo_cancel(sub)
    shop.on("2026-06-20")
    return shop


def return_after_months() -> Shop:
    """A customer leaves in February and takes a dearer plan in June.

    0 → x of one who paid before is reactivation.
    """
    shop = Shop("2026-01-15T12:00:00")
    first = shop.sells(1_000)
    shop.on("2026-02-20")
    shop.cancel_now(first)
    shop.on("2026-06-01")
    shop.sells(1_500)
    shop.on("2026-08-20")
    return shop


def cancel_and_resubscribe_same_day() -> Shop:
    """A customer cancels in the morning and takes another plan an hour later.

    Leaving and coming back on one day is one net change.
    """
    shop = Shop("2026-01-15T12:00:00")
    first = shop.sells(1_000)
    shop.on("2026-03-05")
    shop.cancel_now(first)
    shop.advance(shop.now + 3_600)
    shop.sells(1_500)
    shop.on("2026-06-20")
    return shop


# Trials


def trial_converts() -> Shop:
    """Two weeks on trial, then $10 a month.

    A trial counts for nothing; the customer is new on the day it ends.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(1_000, trial_days=14)
    shop.on("2026-05-20")
    return shop


def trial_gone() -> Shop:
    """Two weeks on trial, cancelled in the first.

    Who never paid was never a customer: no new, no churn.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000, trial_days=14)
    shop.on("2026-01-20")
    shop.cancel_now(sub)
    shop.on("2026-05-20")
    return shop


# Coupons


def forever_coupon() -> Shop:
    """$10 a month with 50 % off, for ever.

    A forever coupon is subtracted: 5.00.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(1_000, coupon=shop.add_coupon("HALF", percent_off=50))
    shop.on("2026-04-20")
    return shop


def repeating_coupon_ends() -> Shop:
    """$20 a month with $5 off for three months.

    A repeating coupon is subtracted while it runs; its end is expansion by discount.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(
        2_000,
        coupon=shop.add_coupon(
            "START", amount_off=500, currency="usd", duration="repeating", months=3
        ),
    )
    shop.on("2026-07-20")
    return shop


def once_coupon() -> Shop:
    """$1,200 a year with 20 % off the first invoice.

    A once coupon is no change of what recurs: 100.00.
    """
    shop = Shop("2026-01-15T12:00:00")
    once = shop.add_coupon("WELCOME", percent_off=20, duration="once")
    shop.sells(120_000, "year", coupon=once)
    shop.on("2026-04-20")
    return shop


def coupon_added_mid_life() -> Shop:
    """A customer of three months gets 30 % off, to stay.

    Nothing is invoiced when a coupon is added; the discount says when it began.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-04-02")
    shop.add_discount(sub, shop.add_coupon("STAY", percent_off=30))
    shop.on("2026-07-20")
    return shop


def coupon_removed() -> Shop:
    """A discount of 30 % is taken away in April.

    Nothing says when; the first regular line without it does.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000, coupon=shop.add_coupon("EARLY", percent_off=30))
    shop.on("2026-04-02")
    shop.remove_discount(sub, sub.discounts[0])
    shop.on("2026-07-20")
    return shop


def discount_of_a_removed_item() -> Shop:
    """An add-on comes, gets $3 off, and is removed with its discount.

    The discount counted while it was there, though only events still show it.
    """
    shop = Shop("2026-05-01T12:00:00")
    sub = shop.sells(1_000)
    off = shop.add_coupon("OFF3", amount_off=300, currency="usd")
    shop.on("2026-06-01")
    extra = shop.add_item(sub, shop.plan(2_500), proration=ALWAYS)
    shop.on("2026-06-05")
    shop.add_discount(sub, off, item=extra)
    shop.on("2026-06-12")
    shop.remove_item(extra, proration=ALWAYS)
    shop.on("2026-06-22")
    return shop


# Several subscriptions, whole lives


def two_subscriptions_one_ends() -> Shop:
    """A customer with two subscriptions gives one of them up.

    Movements are a customer's: the end of one of two is contraction, not churn.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(2_000)
    shop.on("2026-02-03")
    second = shop.sells(700)
    shop.on("2026-04-07")
    shop.cancel_now(second)
    shop.on("2026-07-20")
    return shop


def metrics_worked_example() -> Shop:
    """4 × $500 yearly; 2 × $30 monthly come and go; the year ends; 3 × $50 return.

    New 166.67, expansion 60, contraction 60, churn at the year's end, reactivation 150.
    """
    shop = Shop("2025-01-15T12:00:00")
    yearly = shop.sells(50_000, "year", seats=4)
    shop.on("2025-03-03")
    extra = shop.sells(3_000, seats=2)
    shop.on("2025-06-10")
    shop.cancel_now(extra)
    shop.on("2025-10-20")
    shop.cancel_at_period_end(yearly)
    shop.on("2026-04-01")
    shop.sells(5_000, seats=3)
    shop.on("2026-07-20")
    return shop


# Payments


def incomplete_expired() -> Shop:
    """The first payment fails and is not made up for within 23 hours.

    A subscription that never began is no customer.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.fail_payments(shop.customer)
    shop.sells(1_000)
    shop.on("2026-04-20")
    return shop


def first_payment_a_day_late() -> Shop:
    """The first payment fails at night and is made in the morning.

    Paid within 23 hours, a subscription counts from its start.
    """
    shop = Shop("2026-01-15T22:00:00")
    shop.fail_payments(shop.customer)
    shop.sells(1_000)
    shop.on("2026-01-16")
    shop.recover(shop.customer)
    shop.on("2026-04-20")
    return shop


def past_due_recovers() -> Shop:
    """A renewal is declined, and paid nine days later.

    Past due counts: a late payment is no churn.
    """
    shop = Shop("2026-01-15T12:00:00")
    shop.sells(1_000)
    shop.on("2026-02-10")
    shop.fail_payments(shop.customer)
    shop.on("2026-02-24")
    shop.recover(shop.customer)
    shop.on("2026-05-20")
    return shop


def unpaid_then_canceled() -> Shop:
    """Every retry fails; the subscription is unpaid, and cancelled two weeks later.

    Unpaid counts for nothing, from the event that shows it.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(1_000)
    shop.on("2026-02-10")
    shop.fail_payments(shop.customer)
    shop.on("2026-03-08")
    shop.give_up(sub, into="unpaid")
    shop.on("2026-03-22")
    shop.give_up(sub)
    shop.on("2026-04-03")
    return shop


# What no invoice shows


def events_only_change() -> Shop:
    """A yearly customer adds seats without proration, three weeks before the look.

    Where no line shows a change, the event does, at the moment it was created.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(12_000, "year", seats=2)
    shop.on("2026-06-01")
    shop.change_quantity(sub.items[0], 5, proration=NONE)
    shop.on("2026-06-22")
    return shop


def observed_only_change() -> Shop:
    """A yearly customer adds seats without proration, and the event is forgotten.

    Where only a later look shows it, the moment of the look counts, marked observed.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(12_000, "year", seats=2)
    shop.on("2026-03-10")
    shop.change_quantity(sub.items[0], 5, proration=NONE)
    shop.on("2026-06-20")
    return shop


def observed_between_looks() -> Shop:
    """Seats are added twice without a trace; somebody looked in between.

    What an earlier look saw is evidence that stays: each change has a day of its own.
    """
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(12_000, "year", seats=2)
    shop.on("2026-03-10")
    shop.change_quantity(sub.items[0], 3, proration=NONE)
    shop.on("2026-05-01")
    shop.look()
    shop.on("2026-06-01")
    shop.change_quantity(sub.items[0], 7, proration=NONE)
    shop.on("2026-08-20")
    return shop


CASES: Sequence[Callable[[], Shop]] = (
    new_monthly,
    new_yearly_with_seats,
    yen,
    graduated_tiers,
    upgrade_mid_month,
    downgrade_at_renewal,
    seats_added_with_prorations,
    seats_added_without_proration,
    seats_added_invoiced_at_once,
    several_changes_one_invoice,
    up_and_down_same_day,
    yearly_change_pending,
    prorations_on_a_draft,
    monthly_to_yearly,
    two_items_one_subscription,
    item_added_and_removed,
    delete_and_re_add,
    delete_and_re_add_without_proration,
    item_removed_after_another_came,
    cancel_now,
    cancel_at_period_end,
    cancel_undone,
    return_after_months,
    cancel_and_resubscribe_same_day,
    trial_converts,
    trial_gone,
    forever_coupon,
    repeating_coupon_ends,
    once_coupon,
    coupon_added_mid_life,
    coupon_removed,
    discount_of_a_removed_item,
    two_subscriptions_one_ends,
    metrics_worked_example,
    incomplete_expired,
    first_payment_a_day_late,
    past_due_recovers,
    unpaid_then_canceled,
    events_only_change,
    observed_only_change,
    observed_between_looks,
)


@cache
def played(case: Callable[[], Shop]) -> Shop:
    """The case from its first day to the last look."""
    shop = case()
    shop.look()
    return shop


def main() -> None:
    for case in CASES:
        folders.write(case, [*played(case).looks])


if __name__ == "__main__":
    main()
