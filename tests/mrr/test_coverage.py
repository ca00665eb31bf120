"""Which class an invoiced amount is in, and what recurs without a subscription."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from connector.core.invoiced import CustomerCoverage
from connector.core.policy import Policy
from connector.mrr.coverage import coverage
from connector.mrr.history import History
from connector.mrr.outside.series import interval_of
from connector.mrr.timeline import timeline
from connector.stripe_api.decoding import body, decode
from connector.stripe_api.invoices import Invoice

Json = dict[str, Any]
BY_PERIOD = Policy(invoiced_by_period=True)
MANUAL = {
    "type": "invoice_item_details",
    "invoice_item_details": {"invoice_item": "ii"},
}
PREVIEW = {"type": "pricing_plan_subscription_details"}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def line(
    start: str,
    end: str | None = None,
    amount: int = 49_000,
    *,
    parent: Json | None = MANUAL,
    **more: Any,
) -> Json:
    product = more.pop("product", None)
    details = {"type": "price_details", "price_details": {"product": product}}
    return {
        "id": "",
        "amount": amount,
        "currency": "usd",
        "description": "Retainer",
        "period": {"start": at(start), "end": at(end or start)},
        "parent": parent,
        "pricing": more.pop("pricing", details),
        **more,
    }


def bill(day: str, *lines: Json, status: str = "paid", **more: Any) -> Json:
    key = f"in_{day}"
    named = [{**each, "id": f"il_{day}_{n}"} for n, each in enumerate(lines)]
    return {
        "id": key,
        "customer": "cus_1",
        "created": at(day),
        "currency": "usd",
        "status": status,
        "lines": {"data": named, "has_more": False},
        **more,
    }


def monthly(*months: str, **more: Any) -> list[Json]:
    """A bill on the first of each month (2026-01), for that month."""
    found = []
    for month in months:
        year, number = int(month[:4]), int(month[5:])
        after = f"{year + number // 12}-{number % 12 + 1:02}-01"
        found.append(bill(f"{month}-01", line(f"{month}-01", after, **more)))
    return found


def history(bills: Iterable[Json]) -> History:
    """As the mirror keeps them: what is not stored is gone."""
    read = (decode(msgspec.json.encode(each), Invoice) for each in bills)
    stored = (decode(body(each), Invoice) for each in read)
    return History(customer="cus_1", invoices=tuple(stored))


def covered(
    bills: Iterable[Json], today: str, policy: Policy | None = None, zone: str = "UTC"
) -> CustomerCoverage:
    known, rules, now_s = history(bills), policy or Policy(), at(today)
    found = timeline(known, rules, now_s)
    return coverage(known, found, rules, ZoneInfo(zone), now_s)


def classes(found: CustomerCoverage) -> dict[str, int]:
    sums: dict[str, int] = {}
    for months in found.sums.values():
        for own in months.values():
            for name, minor in own.items():
                sums[name] = sums.get(name, 0) + minor
    return sums


def named(found: CustomerCoverage) -> list[tuple[str, int, str, str]]:
    return [
        (each.reason.value, each.monthly_minor, str(each.since), each.last_invoice)
        for each in found.not_counted
    ]


def mrr(bills: Iterable[Json], today: str) -> str:
    """``2026-01-01 49000, 2026-02-06 0``: by period, as it was known ``today``."""
    steps = timeline(history(bills), BY_PERIOD, at(today)).steps
    told = [
        f"{datetime.fromtimestamp(each.at_s, UTC):%Y-%m-%d} {each.mrr_minor}"
        for each in steps
    ]
    return ", ".join(told)


# --- classes ---

ONCE = [bill("2026-01-10", line("2026-01-10"))]
THRICE = monthly("2026-01", "2026-02", "2026-03")


@pytest.mark.parametrize(
    ("bills", "today", "expected"),
    [
        pytest.param(ONCE, "2026-02-01", "one_off", id="one-off work"),
        pytest.param(THRICE[:2], "2026-02-20", "one_off", id="twice is not thrice"),
        pytest.param(THRICE, "2026-03-20", "recurring_not_counted", id="thrice"),
        pytest.param(THRICE, "2026-04-16", "recurring_not_counted", id="1.5 periods"),
        pytest.param(THRICE, "2026-04-18", "one_off", id="older than 1.5 periods"),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", parent=None))],
            "2026-02-01",
            "recurring_not_counted",
            id="no parent",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", parent={"type": "new_details"}))],
            "2026-02-01",
            "recurring_not_counted",
            id="a parent of no known type",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", pricing={"type": "new_details"}))],
            "2026-02-01",
            "recurring_not_counted",
            id="a pricing of no known type",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10"), status="draft")],
            "2026-02-01",
            "not_due",
            id="a draft",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", parent=None), status="void")],
            "2026-02-01",
            "not_due",
            id="a void invoice, whatever is on it",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", amount=-500))],
            "2026-02-01",
            "one_off",
            id="a manual credit",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", amount=-500, parent=PREVIEW))],
            "2026-02-01",
            "adjustment",
            id="a credit of a licence fee",
        ),
    ],
)
def test_each_line_is_in_one_class(
    bills: list[Json], today: str, expected: str
) -> None:
    whole = sum(each["amount"] for one in bills for each in one["lines"]["data"])
    assert classes(covered(bills, today)) == {expected: whole}


def test_lines_of_a_subscription_nobody_knows_are_refused() -> None:
    details = {"subscription": "sub_1", "subscription_item": "si_1"}
    parent = {
        "type": "subscription_item_details",
        "subscription_item_details": details,
    }
    found = covered(
        [bill("2026-01-10", line("2026-01-10", parent=parent))], "2026-02-01"
    )
    assert classes(found) == {"refused": 49_000}


def test_amounts_are_net_of_discounts_and_of_tax_inside() -> None:
    off = [{"amount": 9_000, "discount": "di_1"}]
    taxes = [
        {"amount": 4_000, "tax_behavior": "inclusive", "taxable_amount": 36_000},
        {"amount": 2_000, "tax_behavior": "exclusive", "taxable_amount": 36_000},
    ]
    made = line("2026-01-10", discount_amounts=off, taxes=taxes)
    assert classes(covered([bill("2026-01-10", made)], "2026-02-01")) == {
        "one_off": 36_000
    }


def test_an_invoice_belongs_to_the_local_month_of_its_finalization() -> None:
    moments = {"finalized_at": at("2026-01-31T23:30")}
    made = [bill("2026-01-31", line("2026-01-31"), status_transitions=moments)]
    assert list(covered(made, "2026-03-01").sums["usd"]) == ["2026-01"]
    berlin = covered(made, "2026-03-01", zone="Europe/Berlin")
    assert list(berlin.sums["usd"]) == ["2026-02"]


# --- what is not counted ---


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("license_fee_subscription_details", "licence_fee"),
        ("pricing_plan_subscription_details", "pricing_plan"),
        ("rate_card_subscription_details", "rate_card"),
        ("contract_details", "contract"),
        ("schedule_details", "schedule"),
        ("billing_cadence_details", "billing_cadence"),
        ("unheard_of_details", "unknown_parent"),
    ],
)
def test_a_parent_s_type_is_the_reason(kind: str, reason: str) -> None:
    bills = monthly("2026-01", parent={"type": kind})
    [found] = named(covered(bills, "2026-01-20"))
    assert found == (reason, 49_000, "2026-01-01", "in_2026-01-01")


def test_the_pricing_and_the_invoice_s_parent_say_it_too() -> None:
    licence = monthly("2026-01", parent=None, pricing={"type": "license_fee_details"})
    assert named(covered(licence, "2026-01-20"))[0][0] == "licence_fee"
    [cadence] = monthly("2026-01", parent=None)
    cadence["parent"] = {"type": "billing_cadence_details"}
    assert named(covered([cadence], "2026-01-20"))[0][0] == "billing_cadence"


def test_what_has_ceased_bills_nothing_a_month() -> None:
    bills = monthly("2026-01", "2026-02", parent=PREVIEW)
    found = covered(bills, "2026-06-01")
    assert named(found) == [("pricing_plan", 0, "2026-01-01", "in_2026-02-01")]
    assert classes(found) == {"recurring_not_counted": 98_000}


def test_it_says_when_it_will_be_another() -> None:
    """A retainer ceases to look recurring though nothing in Stripe changes."""
    found = covered(THRICE, "2026-03-20")
    assert found.next_s is not None
    then = datetime.fromtimestamp(found.next_s, UTC).isoformat()
    assert named(covered(THRICE, then[:19])) == []


@pytest.mark.parametrize(
    "words",
    [
        ("January", "Feb.", "März"),
        ("Gennaio", "Febbraio", "Marzo"),
        ("januari", "februari", "maart"),
        ("Janeiro", "Fevereiro", "Março"),
        ("stycznia", "lutego", "marca"),
        ("Ocak", "Şubat", "Mart"),
        ("Ιανουαρίου", "Φεβρουαρίου", "Μαρτίου"),
        ("(1月分)", "(2月分)", "(3月分)"),
        ("1st", "2nd", "3rd"),
        ("Januar", "Februar", "Ma\u0308rz"),
    ],
    ids=lambda words: str(words[2]),
)
def test_months_and_numbers_make_no_other_description(words: Sequence[str]) -> None:
    bills = [
        bill(
            f"2026-0{n}-05",
            line(
                f"2026-0{n}-05", description=f"Retainer {word} #{n}", product=f"p_{n}"
            ),
        )
        for n, word in enumerate(words, 1)
    ]
    [found] = named(covered(bills, "2026-03-20"))
    assert found[:2] == ("manual", 49_000)


def test_other_descriptions_of_one_product_look_recurring() -> None:
    words = ("Alpha", "Beta", "Gamma")
    bills = [
        bill(f"2026-0{n}-05", line(f"2026-0{n}-05", description=text, product="prod_1"))
        for n, text in enumerate(words, 1)
    ]
    [found] = covered(bills, "2026-03-20").not_counted
    assert (found.reason, found.product, found.monthly_minor) == (
        "manual",
        "prod_1",
        49_000,
    )


@pytest.mark.parametrize(
    ("days", "monthly_minor"),
    [
        (("2026-03-02", "2026-03-09", "2026-03-16"), 212_333),
        (("2026-01-01", "2026-02-03", "2026-03-02"), 49_000),
        (("2025-09-01", "2025-12-01", "2026-03-02"), 16_333),
        (("2024-03-01", "2025-03-01", "2026-03-01"), 4_083),
        (("2026-01-01", "2026-01-12", "2026-03-02"), None),
    ],
    ids=["week", "month", "quarter", "year", "at no interval"],
)
def test_without_periods_the_distance_tells(
    days: tuple[str, ...], monthly_minor: int | None
) -> None:
    found = covered([bill(day, line(day)) for day in days], "2026-03-17").not_counted
    assert [each.monthly_minor for each in found] == (
        [] if monthly_minor is None else [monthly_minor]
    )


def test_no_description_is_kept_but_a_short_hash() -> None:
    text = "Consulting for Ada Lovelace"
    made = bill("2026-01-10", line("2026-01-10", description=text))
    read = decode(msgspec.json.encode(made), Invoice)
    assert read.lines.data[0].description is None
    assert len(read.lines.data[0].text_hash or "") == 8
    assert b"Consulting" not in body(read)
    assert b"Lovelace" not in body(read)


# --- by period ---


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-01-01", "2026-02-01", "month 1"),
        ("2026-02-01", "2026-03-01", "month 1"),
        ("2026-01-01", "2026-01-31", "month 1"),
        ("2026-01-31", "2026-02-28", "month 1"),
        ("2026-01-01", "2026-04-01", "month 3"),
        ("2026-01-01", "2026-12-31", "year 1"),
        ("2024-01-01", "2026-01-01", "year 2"),
        ("2026-01-05", "2026-01-12", "week 1"),
        ("2026-01-05", "2026-01-15", "day 10"),
        ("2026-01-05", "2026-01-05T12:00", None),
    ],
)
def test_a_period_covers_so_many_months(
    start: str, end: str, expected: str | None
) -> None:
    found = interval_of(at(start), at(end))
    assert (f"{found.unit} {found.count}" if found else None) == expected


YEARLY = [bill("2026-01-01", line("2026-01-01", "2027-01-01", 120_000, parent=PREVIEW))]
LATER = ("2026-07-01", "2027-01-01")  # the rest of the year


def fee(start: str, end: str, amount: int) -> Json:
    return line(start, end, amount, parent=PREVIEW)


@pytest.mark.parametrize(
    ("bills", "today", "expected"),
    [
        pytest.param(
            THRICE, "2026-03-20", "2026-01-01 49000", id="by hand, each month"
        ),
        pytest.param(THRICE[:2], "2026-02-20", "", id="twice is no retainer yet"),
        pytest.param(
            THRICE,
            "2026-05-01",
            "2026-01-01 49000, 2026-04-06 0",
            id="ended: five days after its last period",
        ),
        pytest.param(
            [*THRICE, *monthly("2026-05")],
            "2026-05-20",
            "2026-01-01 49000, 2026-04-06 0, 2026-05-01 49000",
            id="April was never invoiced",
        ),
        pytest.param(
            [*THRICE[:2], *monthly("2026-03", amount=60_000)],
            "2026-03-20",
            "2026-01-01 49000, 2026-03-01 60000",
            id="dearer from March on",
        ),
        pytest.param(YEARLY, "2026-03-01", "2026-01-01 10000", id="a year at once"),
        pytest.param(
            monthly("2026-01", parent=None),
            "2026-01-20",
            "2026-01-01 49000",
            id="no parent",
        ),
        pytest.param(
            [bill(f"2026-0{n}-01", line(f"2026-0{n}-01")) for n in (1, 2, 3)],
            "2026-03-20",
            "2026-01-01 49000",
            id="no periods, but a month apart",
        ),
        pytest.param(
            [*YEARLY, bill("2026-07-01", fee(*LATER, -60_493))],
            "2026-09-01",
            "2026-01-01 10000, 2026-07-01 0",
            id="the rest of a year is taken back",
        ),
        pytest.param(
            [*YEARLY, bill("2026-07-01", fee(*LATER, -60_493), fee(*LATER, 30_000))],
            "2026-09-01",
            "2026-01-01 10000, 2026-07-01 0, 2026-07-01 5000",
            id="half a year is another fee",
        ),
        pytest.param(
            [*YEARLY, bill("2026-01-02", fee("2026-01-01", "2027-01-01", -120_000))],
            "2026-09-01",
            "",
            id="all of a year is taken back",
        ),
        pytest.param(
            [*YEARLY, bill("2026-07-01", fee(*LATER, -10_000))],
            "2026-09-01",
            "2026-01-01 10000",
            id="a part is given back, which is no end",
        ),
        pytest.param(
            [
                *monthly("2026-01", parent=PREVIEW),
                bill("2026-02-01", fee("2026-02-01", "2027-02-01", 480_000)),
            ],
            "2026-03-01",
            "2026-01-01 49000, 2026-02-01 0, 2026-02-01 40000",
            id="a month, then a year of the same: no days of both",
        ),
        pytest.param(
            [bill("2026-01-10", line("2026-01-10", parent=None))],
            "2026-02-01",
            "",
            id="an instant, once: nothing says what it covers",
        ),
        pytest.param(
            [bill("2026-01-01", line("2026-01-01", "2026-02-01"), status="void")] * 3,
            "2026-02-01",
            "",
            id="void",
        ),
    ],
)
def test_what_is_invoiced_by_period_is_mrr(
    bills: list[Json], today: str, expected: str
) -> None:
    assert mrr(bills, today) == expected


def test_what_was_counted_stays_counted_when_it_has_ceased() -> None:
    """Else its past MRR would be gone on the day on which it no longer looks recurring."""
    found = covered(THRICE, "2026-12-01", BY_PERIOD)
    assert classes(found) == {"counted": 147_000}
    assert found.not_counted == ()


def test_what_no_period_says_is_named_also_by_period() -> None:
    bills = [bill("2026-01-10", line("2026-01-10", parent=None))]
    found = covered(bills, "2026-01-20", BY_PERIOD)
    assert named(found) == [("unknown_parent", 49_000, "2026-01-10", "in_2026-01-10")]


def test_each_step_names_its_lines() -> None:
    steps = timeline(history(THRICE), BY_PERIOD, at("2026-05-01")).steps
    assert [each.evidence[0].id for each in steps] == [
        "il_2026-01-01_0",
        "il_2026-03-01_0",
    ]
