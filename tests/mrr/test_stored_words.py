"""What the ledger keeps in English is read in German with the same figures."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.language import speaking
from connector.core.model import ItemDiscount, ItemPricing, Tariff
from connector.mrr.pricing import arithmetic, monthly_minor
from connector.mrr.stored_words import arithmetic_said, proof_said, retraction_said
from tests.support.synced import settled_demo

SUMS = {
    "12 seats × $15.00 × 1/1 month − 50% = $90.00": (
        "12 Plätze × 15,00 $ × 1/1 Monat − 50 % = 90,00 $"
    ),
    "1 unit × $1,200.50 × 1/12 year = $100.04": (
        "1 Einheit × 1.200,50 $ × 1/12 Jahr = 100,04 $"
    ),
    "2.5 units × $9.00 × 52/12 week − $3.00 per week = $84.50": (
        "2,5 Einheiten × 9,00 $ × 52/12 Woche − 3,00 $ je Woche = 84,50 $"
    ),
    "30 units in packages of 10, rounded up × $5.00 × 1/3 month = $5.00": (
        "30 Einheiten in Paketen zu 10, aufgerundet × 5,00 $ × 1/3 Monat = 5,00 $"
    ),
    "7 users in volume tiers, $70.00 × 1/1 month − tax of 19.00% = $58.82": (
        "7 users in Mengenstaffeln, 70,00 $ × 1/1 Monat − Steuer von 19,00 % = 58,82 $"
    ),
    "1 unit × $10.00 × 1/3 month − 12.5% − $1.00 per 3 months = $2.58": (
        "1 Einheit × 10,00 $ × 1/3 Monat − 12,5 % − 1,00 $ je 3 Monate = 2,58 $"
    ),
    "as somebody else wrote it": "as somebody else wrote it",
    "that = this": "that = this",
}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("stored", "german"), SUMS.items())
def test_a_sum_is_told_in_german(stored: str, german: str) -> None:
    with speaking("de"):
        assert plain(arithmetic_said(stored, "usd", "de_DE")) == german
    assert arithmetic_said(stored, "usd", "de_DE") == stored


PROOFS = {
    "period 2026-07-12 to 2027-07-12: 12 × price_1, $4,680.00": (
        "Zeitraum 12.07.2026 bis 12.07.2027: 12 × price_1, 4.680,00 $"
    ),
    "credit 2026-07-12 to 2026-07-31: 1.5 × a, b, −$4.68": (
        "Gutschrift 12.07.2026 bis 31.07.2026: 1,5 × a, b, −4,68 $"
    ),
    "started": "begonnen",
    "customer.subscription.updated": "customer.subscription.updated",
    "": "",
}


@pytest.mark.parametrize(("stored", "german"), PROOFS.items())
def test_a_proof_is_told_in_german(stored: str, german: str) -> None:
    with speaking("de"):
        assert plain(proof_said(stored, "usd", "de_DE")) == german
    assert proof_said(stored, "usd", "de_DE") == stored


def test_why_a_movement_was_taken_back_is_told_in_amounts_of_its_currency() -> None:
    told = ["now from 5000 to 9000", "no evidence for it any more", "haste"]
    with speaking("de"):
        found = [plain(retraction_said(x, "usd", "de_DE")) for x in told]
    assert found == ["jetzt von 50,00 $ auf 90,00 $", "kein Beleg mehr dafür", "haste"]
    found = [retraction_said(x, "eur", "en_US") for x in told]
    assert found == ["now from €50.00 to €90.00", *told[1:]]
    assert retraction_said(told[0], "jpy", "en_US") == "now from ¥5,000 to ¥9,000"


AMOUNTS = st.decimals("0", "99999.5", places=1, allow_nan=False)
DISCOUNTS = st.one_of(
    st.builds(
        ItemDiscount,
        discount=st.just("di_1"),
        percent=st.decimals("0.5", "99.5", places=1),
        amount_minor=st.just(Fraction(0)),
    ),
    st.builds(
        ItemDiscount,
        discount=st.just("di_2"),
        percent=st.none(),
        amount_minor=st.integers(1, 500).map(Fraction),
    ),
)
PRICINGS = st.builds(
    ItemPricing,
    tariff=st.builds(
        Tariff,
        price=st.just("price_1"),
        currency=st.sampled_from(["usd", "eur", "jpy", "kwd", "chf"]),
        interval=st.sampled_from(["day", "week", "month", "year"]),
        interval_count=st.integers(1, 6),
        unit_amount_minor=AMOUNTS,
        unit_label=st.sampled_from(["", "seat", "Lizenz"]),
        divide_by=st.sampled_from([1, 10]),
        rounds_up=st.booleans(),
    ),
    quantity=st.decimals("1", "99", places=1, allow_nan=False),
    discounts=st.lists(DISCOUNTS, max_size=2).map(tuple),
    inclusive_tax=st.sampled_from([Fraction(0), Fraction(19, 100)]),
)
ENGLISH = re.compile(r"\b(units?|seats?|months?|years?|weeks?|days?|per|tax|in p\w+)\b")


def figures(text: str) -> list[str]:
    return [re.sub(r"\D", "", each) for each in re.findall(r"\d[\d.,]*", text)]


@given(pricing=PRICINGS)
def test_every_sum_has_its_figures_and_no_english(pricing: ItemPricing) -> None:
    currency = pricing.tariff.currency
    stored = arithmetic(pricing, monthly_minor(pricing))
    with speaking("de"):
        german = arithmetic_said(stored, currency, "de_DE")
    assert figures(german) == figures(stored)
    assert not ENGLISH.search(german)
    assert "%" not in german or "\N{NO-BREAK SPACE}%" in german


def test_every_sum_and_proof_of_the_demo_is_told_in_german() -> None:
    with settled_demo() as connection:
        sums = connection.execute(
            "SELECT before, currency FROM components JOIN movements ON id = movement"
            " UNION"
            " SELECT after, currency FROM components JOIN movements ON id = movement"
        ).fetchall()
        proofs = connection.execute(
            "SELECT DISTINCT value ->> 'summary', currency FROM components"
            " JOIN movements ON movements.id = movement, json_each(evidence)"
        ).fetchall()
    with speaking("de"):
        told = [arithmetic_said(text, x, "de_DE") for text, x in sums if text]
        shown = [proof_said(text or "", x, "de_DE") for text, x in proofs]
    assert len(told) > 100
    assert not [each for each in told if ENGLISH.search(each)]
    assert not [x for x in shown if re.search(r"\b(to|period|credit|proration)\b", x)]


def test_a_quantity_has_the_plural_of_its_number() -> None:
    with speaking("de"):
        assert arithmetic_said(
            "1 seat × $1.00 × 1/1 month = $1.00", "usd", "de_DE"
        ) == ("1 Platz × 1,00\N{NO-BREAK SPACE}$ × 1/1 Monat = 1,00\N{NO-BREAK SPACE}$")
