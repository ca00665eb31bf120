"""What Stripe's downloads, whose columns nobody could check, may call things."""

from datetime import date

import pytest

from connector.core.errors import UsageFault
from connector.reconcile.files.headers import FileKind, Layout, layout_of
from connector.reconcile.files.tables import TEN, amount_of_text

MONTHS, CHANGES = FileKind.MONTHS, FileKind.CHANGES
# Each: the heads, the kind, and the names of the columns that are used: whose it is, the
# currency, the day or month, the amount. Of a column a month the amount is the first one.
HEADS: list[tuple[str, FileKind, tuple[str, str, str, str]]] = [
    (
        "Customer ID,Customer Email,Currency,Month,MRR",
        MONTHS,
        ("Customer ID", "Currency", "Month", "MRR"),
    ),
    (
        "Customer ID,Customer Name,Month,MRR (USD)",
        MONTHS,
        ("Customer ID", "", "Month", "MRR (USD)"),
    ),
    ("customer_id,month,mrr_usd", MONTHS, ("customer_id", "", "month", "mrr_usd")),
    ("Customer,Month,MRR in USD", MONTHS, ("Customer", "", "Month", "MRR in USD")),
    (
        "Subscriber,Month End Date,MRR Amount,Currency",
        MONTHS,
        ("Subscriber", "Currency", "Month End Date", "MRR Amount"),
    ),
    (
        "subscriber_id,month_start,mrr,currency",
        MONTHS,
        ("subscriber_id", "currency", "month_start", "mrr"),
    ),
    (
        "Customer ID,Period Start,Period End,MRR,Currency",
        MONTHS,
        ("Customer ID", "Currency", "Period Start", "MRR"),
    ),
    (
        "Customer ID,Month,Starting MRR,New MRR,Expansion MRR,Churned MRR,Ending MRR",
        MONTHS,
        ("Customer ID", "", "Month", "Ending MRR"),
    ),
    ("Customer,Date,MRR", MONTHS, ("Customer", "", "Date", "MRR")),
    (
        "CustomerID,Month (UTC),MRR,CurrencyCode",
        MONTHS,
        ("CustomerID", "CurrencyCode", "Month (UTC)", "MRR"),
    ),
    (
        "Stripe Customer ID,Month,Monthly recurring revenue,Currency",
        MONTHS,
        ("Stripe Customer ID", "Currency", "Month", "Monthly recurring revenue"),
    ),
    (
        "customer.id,month,mrr.amount,mrr.currency",
        MONTHS,
        ("customer.id", "mrr.currency", "month", "mrr.amount"),
    ),
    (
        "Customer ID,Billing month,MRR,Presentment currency",
        MONTHS,
        ("Customer ID", "Presentment currency", "Billing month", "MRR"),
    ),
    (
        "Customer ID,Currency,2025-01,2025-02",
        MONTHS,
        ("Customer ID", "Currency", "", "2025-01"),
    ),
    (
        "Customer ID,Customer Email,Jan 2025,Feb 2025",
        MONTHS,
        ("Customer ID", "", "", "Jan 2025"),
    ),
    (
        "Customer ID,January 2025,February 2025,Total",
        MONTHS,
        ("Customer ID", "", "", "January 2025"),
    ),
    (
        "Customer ID,Currency,2025-01-31,2025-02-28",
        MONTHS,
        ("Customer ID", "Currency", "", "2025-01-31"),
    ),
    (
        "customer,currency,2025-01-01 00:00:00,2025-02-01 00:00:00",
        MONTHS,
        ("customer", "currency", "", "2025-01-01 00:00:00"),
    ),
    ("Subscriber ID,01/2025,02/2025", MONTHS, ("Subscriber ID", "", "", "01/2025")),
    ("Customer,Jan-25,Feb-25", MONTHS, ("Customer", "", "", "Jan-25")),
    (
        "Customer ID,MRR Jan 2025,MRR Feb 2025",
        MONTHS,
        ("Customer ID", "", "", "MRR Jan 2025"),
    ),
    (
        "Customer ID,2025-01 MRR (USD),2025-02 MRR (USD)",
        MONTHS,
        ("Customer ID", "", "", "2025-01 MRR (USD)"),
    ),
    (
        "Date,Customer ID,Customer Email,Currency,Change type,MRR change,MRR after",
        CHANGES,
        ("Customer ID", "Currency", "Date", "MRR change"),
    ),
    (
        "Date (UTC),Customer,Currency,MRR Change (USD)",
        CHANGES,
        ("Customer", "Currency", "Date (UTC)", "MRR Change (USD)"),
    ),
    (
        "customer_id,currency,change_date,previous_mrr,new_mrr,change_in_mrr",
        CHANGES,
        ("customer_id", "currency", "change_date", "change_in_mrr"),
    ),
    (
        "Customer ID,Date,Starting MRR,Change in MRR,Ending MRR,Currency",
        CHANGES,
        ("Customer ID", "Currency", "Date", "Change in MRR"),
    ),
    (
        "event_timestamp,local_event_timestamp,event_type,currency,mrr_change,customer_id",
        CHANGES,
        ("customer_id", "currency", "local_event_timestamp", "mrr_change"),
    ),
    (
        "Event Date,Customer ID,Type,MRR Delta,Currency",
        CHANGES,
        ("Customer ID", "Currency", "Event Date", "MRR Delta"),
    ),
    (
        "Occurred At,Customer ID,Net MRR Change,Currency",
        CHANGES,
        ("Customer ID", "Currency", "Occurred At", "Net MRR Change"),
    ),
]


def used(heads: list[str], found: Layout) -> tuple[str, ...]:
    amount = found.months[0][0] if found.months else found.amount
    places = (found.customer, found.currency, found.when, amount)
    return tuple("" if place is None else heads[place] for place in places)


@pytest.mark.parametrize(("text", "kind", "expected"), HEADS, ids=[x[0] for x in HEADS])
def test_a_first_line_is_understood(
    text: str, kind: FileKind, expected: tuple[str, ...]
) -> None:
    heads = text.split(",")
    found = layout_of(heads, "x.csv")
    assert (found.kind, used(heads, found)) == (kind, expected)
    if found.months:
        firsts = [month for _, month in found.months]
        assert firsts == [date(2025, 1, 1), date(2025, 2, 1)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Month,MRR,Active users", "Month, MRR, Active users"),
        ("Customer ID,Period End,MRR", "Customer ID, Period End, MRR"),
        ("Date,New MRR,Churned MRR,Net MRR", "Date, New MRR, Churned MRR, Net MRR"),
        ("Customer ID,Plan,Quantity", "Customer ID, Plan, Quantity"),
        ("Customer ID,Month,Starting MRR", "Customer ID, Month, Starting MRR"),
    ],
)
def test_what_is_not_enough_is_refused_and_named(text: str, named: str) -> None:
    with pytest.raises(UsageFault, match=named):
        layout_of(text.split(","), "x.csv")


@pytest.mark.parametrize(
    ("text", "comma", "expected"),
    [
        ("$1,234.56", False, "1234.56"),
        ("(12.00)", False, "-12"),
        ("($1,234.50)", False, "-1234.50"),
        ("-$12.00", False, "-12"),
        ("−12.00", False, "-12"),
        ("+12.00", False, "12"),
        ("1.234,56 EUR", True, "1234.56"),
        ("1.234,56 €", True, "1234.56"),
        ("EUR 1,234.56", False, "1234.56"),
        ("USD1234.56", False, "1234.56"),
        ("1 234,56", True, "1234.56"),
        ("1\N{NO-BREAK SPACE}234,56\N{NO-BREAK SPACE}€", True, "1234.56"),
        ("1'234.50", False, "1234.50"),
        ("0", False, "0"),
        ("0.00", False, "0"),
        ("", False, "0"),
        ("–", False, "0"),
        ("1234.5", False, "1234.5"),
        ("1e3", False, ""),
        ("n/k", False, ""),
        ("12.34.56", False, ""),
        ("1,23,456.00", False, ""),
    ],
)
def test_an_amount_is_read_or_refused(text: str, comma: bool, expected: str) -> None:  # noqa: FBT001
    if not expected:
        with pytest.raises(ValueError, match=r"\S"):
            amount_of_text(text, locale="en_US", is_comma=comma)
        return
    found = amount_of_text(text, locale="en_US", is_comma=comma)
    assert found == round(float(expected) * TEN)
