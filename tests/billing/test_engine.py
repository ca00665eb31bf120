"""The billing engine against Stripe's rules and worked examples."""

import gzip
from decimal import Decimal

import pytest

from tests.billing import demo
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, add_months, instant
from tests.billing.catalogue import Price, Tier
from tests.billing.state import Subscription

START = instant("2024-01-15")


def account(start: int = START) -> Account:
    return Account(start)


def price(
    acc: Account, amount: int, interval: str = "month", *, count: int = 1
) -> Price:
    product = acc.add_product("Plan")
    return acc.add_price(product, amount, interval=interval, interval_count=count)


def steps(acc: Account) -> list[tuple[int, int]]:
    """The only customer's true MRR, checked to be what can be seen as well."""
    [true] = acc.true_mrr().values()
    [seen] = acc.evidenced_mrr().values()
    assert true == seen
    return [(step.at, step.mrr_minor) for step in true]


def lines(acc: Account, reason: str) -> list[list[int]]:
    """Line amounts of the invoices written for ``reason``, oldest first."""
    return [
        [line["amount"] for line in invoice["lines"]["data"]]
        for invoice in acc.snapshot()["invoices"][::-1]
        if invoice["billing_reason"] == reason
    ]


@pytest.mark.parametrize(
    ("amount", "interval", "count", "quantity", "mrr_minor"),
    [
        pytest.param(50_000, "year", 1, 4, 16_667, id="4 × $500 yearly"),
        pytest.param(5_000, "month", 2, 1, 2_500, id="$50 every two months"),
        pytest.param(22_800, "year", 1, 1, 1_900, id="$228 yearly"),
        pytest.param(1_000, "week", 1, 1, 4_333, id="$10 weekly"),
    ],
)
def test_an_item_is_made_monthly(
    amount: int, interval: str, count: int, quantity: int, mrr_minor: int
) -> None:
    acc = account()
    acc.subscribe(
        acc.add_customer(), price(acc, amount, interval, count=count), quantity=quantity
    )
    assert steps(acc) == [(START, mrr_minor)]


def upgraded(proration: str) -> tuple[Account, int]:
    """$10 → $20 half-way through a period of 30 days."""
    acc = account(instant("2024-04-01"))
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    half = instant("2024-04-16")
    acc.advance(half)
    acc.change_price(sub.items[0], price(acc, 2_000), proration=proration)
    acc.advance(instant("2024-05-02"))
    return acc, half


def test_an_upgrade_half_way_is_a_credit_of_5_and_a_debit_of_10() -> None:
    acc, half = upgraded("create_prorations")
    assert steps(acc) == [(instant("2024-04-01"), 1_000), (half, 2_000)]
    assert lines(acc, "subscription_cycle") == [[-500, 1_000, 2_000]]
    credit, debit, _ = acc.snapshot()["invoices"][0]["lines"]["data"]
    assert debit["period"]["start"] == credit["period"]["start"] == half
    first = acc.snapshot()["invoices"][1]
    details = credit["parent"]["subscription_item_details"]["proration_details"]
    assert details["credited_items"] == {
        "invoice": first["id"],
        "invoice_line_items": [first["lines"]["data"][0]["id"]],
    }
    assert credit["pricing"]["unit_amount_decimal"] is None


def test_an_upgrade_invoiced_at_once_has_its_own_invoice() -> None:
    acc, _ = upgraded("always_invoice")
    assert lines(acc, "subscription_update") == [[-500, 1_000]]
    assert lines(acc, "subscription_cycle") == [[2_000]]


def test_an_upgrade_without_proration_shows_at_the_renewal() -> None:
    acc, half = upgraded("none")
    acc.advance(instant("2024-07-02"))  # by now the event is gone
    [true] = acc.true_mrr().values()
    [seen] = acc.evidenced_mrr().values()
    assert [s.at for s in true] == [instant("2024-04-01"), half]
    assert [s.at for s in seen] == [instant("2024-04-01"), instant("2024-05-01")]


def test_an_upgrade_that_nothing_shows_is_observed() -> None:
    acc = account()
    sub = acc.subscribe(acc.add_customer(), price(acc, 12_000, "year"))
    acc.advance(START + 10 * DAY)
    acc.change_quantity(sub.items[0], 2, proration="none")
    acc.advance(START + 90 * DAY)
    [seen] = acc.evidenced_mrr().values()
    assert [(s.at, s.mrr_minor, s.observed) for s in seen] == [
        (START, 1_000, False),
        (START + 90 * DAY, 2_000, True),
    ]


def test_the_life_of_the_yearly_customer() -> None:
    acc = account()
    customer = acc.add_customer()
    yearly = acc.subscribe(customer, price(acc, 50_000, "year"), quantity=4)
    acc.advance(START + 40 * DAY)
    extra = acc.subscribe(customer, price(acc, 3_000), quantity=2)
    acc.advance(START + 80 * DAY)
    acc.cancel_now(extra)
    acc.cancel_at_period_end(yearly)
    acc.advance(START + 500 * DAY)
    acc.subscribe(customer, price(acc, 5_000), quantity=3)
    assert steps(acc) == [
        (START, 16_667),
        (START + 40 * DAY, 22_667),
        (START + 80 * DAY, 16_667),
        (instant("2025-01-15"), 0),
        (START + 500 * DAY, 15_000),
    ]


def test_cancelled_on_8_june_ends_on_15_june() -> None:
    acc = account(instant("2024-04-15"))
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    acc.advance(instant("2024-06-08"))
    acc.cancel_at_period_end(sub)
    acc.advance(instant("2024-08-01"))
    end = instant("2024-06-15")
    assert steps(acc) == [(instant("2024-04-15"), 1_000), (end, 0)]
    [drawn] = acc.snapshot()["subscriptions"]
    assert (drawn["status"], drawn["ended_at"]) == ("canceled", end)
    assert drawn["canceled_at"] == instant("2024-06-08")
    assert len(lines(acc, "subscription_cycle")) == 1


def test_monthly_to_yearly_resets_the_anchor_of_a_classic_subscription() -> None:
    acc = account(instant("2024-04-01"))
    sub = acc.subscribe(acc.add_customer(), price(acc, 2_500), mode="classic")
    half = instant("2024-04-16")
    acc.advance(half)
    acc.change_price(sub.items[0], price(acc, 25_000, "year"))
    assert lines(acc, "subscription_update") == [[-1_250, 25_000]]
    assert steps(acc)[-1] == (half, 2_083)
    acc.advance(instant("2025-04-17"))
    assert lines(acc, "subscription_cycle") == [[25_000]]


def test_monthly_to_yearly_keeps_the_anchor_of_a_flexible_subscription() -> None:
    acc = account(instant("2024-04-01"))
    sub = acc.subscribe(acc.add_customer(), price(acc, 2_500))
    acc.advance(instant("2024-04-16"))
    yearly = price(acc, 25_000, "year")
    acc.change_price(sub.items[0], yearly, proration="always_invoice")
    [[credit, debit]] = lines(acc, "subscription_update")
    assert (credit, debit) == (-1_250, round(25_000 * 350 / 365))
    [item] = acc.snapshot()["subscriptions"][0]["items"]["data"]
    assert item["current_period_end"] == instant("2025-04-01")


@pytest.mark.parametrize(
    ("options", "mrr_minor"),
    [
        pytest.param({"percent_off": 50}, 500, id="forever is subtracted"),
        pytest.param({"percent_off": 20, "duration": "once"}, 1_000, id="once is not"),
        pytest.param({"amount_off": 300, "currency": "usd"}, 700, id="an amount"),
        pytest.param({"percent_off": 100}, 0, id="a free plan pays nothing"),
    ],
)
def test_coupons(options: dict[str, object], mrr_minor: int) -> None:
    acc = account()
    coupon = acc.add_coupon("NICE", **options)  # type: ignore[arg-type]
    acc.subscribe(acc.add_customer(), price(acc, 1_000), coupon=coupon)
    assert steps(acc) == ([(START, mrr_minor)] if mrr_minor else [])


def test_a_repeating_coupon_ends_by_itself() -> None:
    acc = account()
    coupon = acc.add_coupon("HALF", percent_off=50, duration="repeating", months=3)
    acc.subscribe(acc.add_customer(), price(acc, 1_000), coupon=coupon)
    acc.advance(START + 200 * DAY)
    assert steps(acc) == [(START, 500), (add_months(START, 3), 1_000)]
    totals = [invoice["total"] for invoice in acc.snapshot()["invoices"][::-1]]
    assert totals == [500, 500, 500, 1_000, 1_000, 1_000, 1_000]


def test_a_trial_pays_nothing_until_it_ends() -> None:
    acc = account()
    acc.subscribe(acc.add_customer(), price(acc, 1_000), trial_days=14)
    acc.advance(START + 20 * DAY)
    assert steps(acc) == [(START + 14 * DAY, 1_000)]
    first = acc.snapshot()["invoices"][-1]["lines"]["data"][0]
    assert first["pricing"]["unit_amount_decimal"] == "0"


def test_a_late_payment_is_no_churn_and_a_failed_one_is() -> None:
    acc = account()
    customer = acc.add_customer()
    sub = acc.subscribe(customer, price(acc, 1_000))
    acc.fail_payments(customer)
    acc.advance(add_months(START, 1) + DAY)
    assert sub.status == "past_due"
    acc.recover(customer)
    assert (sub.status, steps(acc)) == ("active", [(START, 1_000)])
    acc.fail_payments(customer)
    acc.advance(add_months(START, 2) + DAY)
    acc.give_up(sub, into="unpaid")
    acc.advance(add_months(START, 2) + 2 * DAY)
    acc.give_up(sub)
    assert steps(acc)[-1] == (add_months(START, 2) + DAY, 0)  # the event shows it
    acc.advance(START + 300 * DAY)
    [seen] = acc.evidenced_mrr().values()
    assert seen[-1].at == add_months(START, 2) + 2 * DAY  # only ended_at is left


def test_a_change_of_mind_leaves_no_trace_in_the_mrr() -> None:
    acc = account()
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    acc.advance(START + DAY)
    acc.cancel_at_period_end(sub)
    acc.advance(START + 2 * DAY)
    acc.undo_cancel(sub)
    acc.advance(START + 100 * DAY)
    assert steps(acc) == [(START, 1_000)]
    assert acc.snapshot()["subscriptions"][0]["cancel_at"] is None


def test_events_carry_the_old_items_whole() -> None:
    acc = account()
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000), quantity=2)
    acc.advance(START + DAY)
    acc.change_quantity(sub.items[0], 5)
    newest, oldest = acc.snapshot()["events"]
    assert oldest["type"] == "customer.subscription.created"
    before = newest["data"]["previous_attributes"]
    assert before["quantity"] == 2
    assert before["items"]["data"][0]["quantity"] == 2
    assert newest["data"]["object"]["items"]["data"][0]["quantity"] == 5


def test_an_anchor_on_the_31st_comes_back_to_it() -> None:
    acc = account(instant("2024-01-31"))
    acc.subscribe(acc.add_customer(), price(acc, 1_000))
    acc.advance(instant("2024-05-01"))
    starts = [
        invoice["lines"]["data"][0]["period"]["start"]
        for invoice in acc.snapshot()["invoices"][::-1]
    ]
    days = ("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30")
    assert starts == [instant(day) for day in days]


def busy() -> tuple[Account, list[Subscription]]:
    """A few lives at once, with every way to prorate."""
    acc = account()
    team, pro, extra = price(acc, 1_900), price(acc, 3_500), price(acc, 600)
    subs = [
        acc.subscribe(acc.add_customer(), team, quantity=n, mode=mode)
        for n, mode in ((3, "classic"), (5, "flexible"), (8, "flexible"))
    ]
    kinds = ("create_prorations", "always_invoice", "none")
    lives = list(zip(subs, kinds, strict=True))
    acc.advance(START + 3 * DAY)
    for sub, kind in lives:
        acc.change_quantity(sub.items[0], 9, proration=kind)
    acc.advance(START + 40 * DAY)
    for sub, kind in lives:
        acc.add_item(sub, extra, 4, proration=kind)
    acc.advance(START + 80 * DAY)
    for sub, kind in lives:
        acc.change_price(sub.items[0], pro, quantity=9, proration=kind)
    acc.advance(START + 120 * DAY)
    for sub, kind in lives:
        acc.remove_item(sub.items[1], proration=kind)
    acc.advance(START + 300 * DAY)
    return acc, subs


def test_a_customers_items_add_up_and_the_end_is_what_stripe_shows() -> None:
    acc, _ = busy()
    snapshot = acc.snapshot()
    for (customer, _), found in acc.evidenced_mrr().items():
        items = [
            item
            for sub in snapshot["subscriptions"]
            if sub["customer"] == customer
            for item in sub["items"]["data"]
        ]
        now = sum(item["quantity"] * item["price"]["unit_amount"] for item in items)
        assert found[-1].mrr_minor == now


def test_every_invoice_adds_up() -> None:
    acc, _ = busy()
    for invoice in acc.snapshot()["invoices"]:
        amounts = [line["amount"] for line in invoice["lines"]["data"]]
        assert invoice["subtotal"] == invoice["total"] == sum(amounts)
        due = max(0, invoice["total"] + invoice["starting_balance"])
        assert invoice["amount_due"] == due


def test_the_same_seed_gives_the_same_objects() -> None:
    assert busy()[0].snapshot() == busy()[0].snapshot()


def test_graduated_tiers_are_a_line_each_and_count_together() -> None:
    acc = account()
    tiers = (Tier(up_to=5, unit_amount=Decimal(700)), Tier(unit_amount=Decimal(500)))
    graduated = acc.add_price(
        acc.add_product("Plan"), tiers=tiers, tiers_mode="graduated"
    )
    acc.subscribe(acc.add_customer(), graduated, quantity=8)
    assert lines(acc, "subscription_create") == [[3_500, 1_500]]
    assert steps(acc) == [(START, 5_000)]


def test_usage_is_billed_after_the_period_and_is_no_mrr() -> None:
    acc = account()
    product = acc.add_product("Calls")
    metered = acc.add_price(product, "0.5", metered=True)
    sub = acc.subscribe(acc.add_customer(), [(price(acc, 1_000), 1), (metered, 1)])
    acc.report_usage(sub.items[1], 900)
    acc.advance(START + 40 * DAY)
    assert lines(acc, "subscription_cycle") == [[1_000, 450]]
    assert steps(acc) == [(START, 1_000)]


def test_a_renewal_into_the_last_period_is_shortened() -> None:
    acc = account(instant("2024-04-01"))
    sub = acc.subscribe(acc.add_customer(), price(acc, 3_000))
    acc.cancel_at(sub, instant("2024-05-02"))
    acc.advance(instant("2024-06-02"))
    assert lines(acc, "subscription_cycle") == [[97]]  # one day of 31
    assert steps(acc)[1:] == [(instant("2024-05-02"), 0)]


def test_paused_collection_voids_invoices_and_counts() -> None:
    acc = account()
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    acc.pause_collection(sub)
    acc.advance(START + 40 * DAY)
    assert acc.snapshot()["invoices"][0]["status"] == "void"
    assert (sub.status, steps(acc)) == ("active", [(START, 1_000)])


def test_cancelling_now_takes_the_pending_prorations_along() -> None:
    acc = account()
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    acc.change_quantity(sub.items[0], 3)
    assert len(acc.snapshot()["invoiceitems"]) == 2
    acc.cancel_now(sub)
    assert acc.snapshot()["invoiceitems"] == []


def test_a_year_that_was_never_billed_was_never_reduced() -> None:
    """10% off for three months; a move to a yearly price, which no invoice ever bills."""
    acc = account()
    off = acc.add_coupon("TENTH", percent_off=10, duration="repeating", months=3)
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    acc.add_discount(sub, off)
    acc.change_price(sub.items[0], price(acc, 12_000, "year"))
    over = add_months(START, 3)
    acc.advance(over + 10 * DAY)
    acc.cancel_now(sub)
    ended = over + 10 * DAY
    [true] = acc.true_mrr().values()
    known = [(step.at, step.mrr_minor) for step in true]
    assert known == [(START, 900), (over, 1_000), (ended, 0)]


def test_a_first_invoice_that_nobody_pays_is_no_customer() -> None:
    acc = account()
    customer = acc.add_customer()
    acc.fail_payments(customer)
    sub = acc.subscribe(customer, price(acc, 1_000))
    assert sub.status == "incomplete"
    acc.advance(START + DAY)
    assert (sub.status, steps(acc)) == ("incomplete_expired", [])


def test_a_setup_fee_is_billed_and_is_no_mrr() -> None:
    acc = account()
    sub = acc.subscribe(acc.add_customer(), price(acc, 1_000))
    fee = acc.add_price(acc.add_product("Setup"), 9_900, interval=None)
    acc.charge_once(sub, fee)
    acc.advance(START + 40 * DAY)
    assert lines(acc, "subscription_cycle") == [[9_900, 1_000]]
    assert steps(acc) == [(START, 1_000)]


def unpacked(name: str, content: bytes) -> bytes:
    return gzip.decompress(content) if name.endswith(".gz") else content


def test_the_demo_business_comes_out_the_same() -> None:
    """Compared unpacked: another zlib may pack the same bytes otherwise."""
    made = demo.files(demo.played())
    kept = {path.name: path.read_bytes() for path in demo.FOLDER.iterdir()}
    assert set(made) == set(kept)
    for name, content in made.items():
        assert unpacked(name, kept[name]) == content, f"{name}: run {demo.__name__}"
