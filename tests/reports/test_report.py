"""One value, four forms: what other programs, spreadsheets and readers get."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.core.figures import WindowFigures
from connector.core.model import Flow, Movement, Refusal
from connector.core.money import ratio_number
from connector.core.policy import Policy
from connector.core.text import json_text
from connector.core.windows import Window, WindowKind, name_of, windows
from connector.metrics.retention import measure
from connector.render.report.csv_form import to_csv
from connector.render.report.footnotes import footnotes, policy_sentence
from connector.render.report.json_form import to_json
from connector.render.report.missing import banner
from connector.render.report.tables import cells, to_markdown
from connector.render.report.terminal import report_view
from connector.render.table import Money, shown
from connector.render.terminal import console
from connector.reports.ledger_facts import Missing
from connector.reports.model import CurrencyReport, Report, WindowRow, label
from tests.support.books import lived
from tests.support.policies import OTHERWISE

JAN, FEB, MAR = (date(2024, month, 1) for month in (1, 2, 3))
# In February "Ada" grows, "Babbage" shrinks, "Curie" leaves and "Darwin" joins.
BOOKS = [
    *lived("Ada", "5000 9000 9000"),
    *lived("Babbage", "8000 6000"),
    *lived("Curie", "2000 0 1000"),
    *lived("Darwin", ". 333"),
]
REFUSAL = Refusal(customer="cus_1", object_id="si_1", field="price", value="None")


def flows(movements: Sequence[Movement]) -> list[Flow]:
    keys = {name: i for i, name in enumerate({m.customer for m in movements})}
    moved = [Flow(keys[m.customer], m.day, m.kind, m.amount_minor) for m in movements]
    return sorted(moved, key=lambda flow: flow.day)


def lines(
    kind: WindowKind, first: date, last: date, movements: Sequence[Movement] = BOOKS
) -> tuple[WindowRow, ...]:
    measured = measure(flows(movements), windows(kind, first, last))
    today = date(2024, 3, 20)
    return tuple(
        WindowRow(measured=m, is_over=over, complete=over)
        for m in measured
        for over in [m.window.end <= today]
    )


def report(*currencies: CurrencyReport, refusals: tuple[Refusal, ...] = ()) -> Report:
    return Report(
        generated_at=datetime(2024, 3, 20, 6, 30, tzinfo=UTC),
        moment=datetime(2024, 3, 20, 6, 30, tzinfo=UTC),
        as_of=None,
        synced_at=datetime(2024, 3, 20, 6, tzinfo=UTC),
        today=date(2024, 3, 20),
        timezone="Europe/Berlin",
        policy=Policy().settings(),
        currencies=currencies,
        refusals=refusals,
    )


def part(
    *shown: WindowRow, currency: str = "usd", total: bool = False
) -> CurrencyReport:
    return CurrencyReport(currency=currency, rows=shown, is_total=total)


def months(currency: str = "usd") -> Report:
    return report(part(*lines(WindowKind.MONTH, JAN, MAR), currency=currency))


# --- JSON ---


def test_json_is_a_contract() -> None:
    february = to_json(months())["currencies"][0]["windows"][1]
    assert february == {
        "window": "month",
        "from": "2024-02-01",
        "to": "2024-03-01",
        "complete": True,
        "waterfall": {
            "opening_minor": 15_000,
            "new_minor": 333,
            "reactivation_minor": 0,
            "expansion_minor": 4_000,
            "contraction_minor": 2_000,
            "churn_minor": 2_000,
            "fx_minor": 0,
            "closing_minor": 15_333,
        },
        "retention": {
            "customers": 3,
            "opening_minor": 15_000,
            "expansion_minor": 4_000,
            "contraction_minor": 2_000,
            "churn_minor": 2_000,
            "closing_minor": 15_000,
            "nrr": 1.0,
            "grr": 0.733333,
            "crr": 0.666667,
        },
        "metrics": {
            "logo_churn": 0.333333,
            "gross_churn": 0.266667,
            "net_churn": 0.0,
            "renewal_rate": None,
            "renewal_rate_mrr": None,
            "quick_ratio": 1.08325,
            "arpa_minor": 5_111,
            "ltv_minor": 15_333,
            "paying_customers": 3,
            "renewals": None,
        },
    }


def test_json_says_what_it_was_made_from() -> None:
    told = to_json(report(refusals=(REFUSAL,)))
    assert told == {
        "generated_at": "2024-03-20T06:30:00Z",
        "as_of": None,
        "synced_at": "2024-03-20T06:00:00Z",
        "known_until": "2024-03-20",
        "complete": True,
        "missing": {
            "first_sync_unfinished": False,
            "customers_not_derived": 0,
            "customers_behind": 0,
            "objects_refused": 0,
            "customers_refused": 0,
            "reasons": [],
        },
        "account": None,
        "timezone": "Europe/Berlin",
        "policy": {
            "past_due": "counts",
            "pause_collection": "counts",
            "repeating_coupon": "subtracted",
            "once_coupon": "ignored",
            "metered": "excluded",
            "churn": "ended",
            "active_from": "start",
            "trial_after_paying": "zero",
            "invoiced_recurring": "not_counted",
        },
        "amounts": "mrr",
        "by": None,
        "only": [],
        "currencies": [],
        "total": None,
        "refused": [
            {
                "customer": "cus_1",
                "object_id": "si_1",
                "field": "price",
                "value": "None",
            }
        ],
        "waiting": 0,
        "recurring_not_counted": [],
        "notes": [],
    }


def test_json_of_a_past_moment_says_which() -> None:
    then = datetime(2024, 2, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    assert to_json(replace(months(), as_of=then))["as_of"] == (
        "2024-02-01T23:59:59.999999Z"
    )


def test_json_of_a_window_without_opening_has_no_ratios() -> None:
    january = to_json(months())["currencies"][0]["windows"][0]["retention"]
    assert (january["nrr"], january["grr"], january["crr"]) == (None, None, None)
    assert january["customers"] == 0


def test_json_is_plain_json() -> None:
    def kinds(value: Any) -> set[type]:
        if isinstance(value, dict):
            return {t for v in value.values() for t in kinds(v)} | {type(value)}
        if isinstance(value, list):
            return {t for v in value for t in kinds(v)} | {type(value)}
        return {type(value)}

    told = to_json(months())
    assert kinds(told) <= {dict, list, str, int, float, bool, type(None)}
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(
    ("ratio", "number"),
    [
        pytest.param(None, None, id="no ratio"),
        pytest.param(Fraction(1), 1.0, id="one"),
        pytest.param(Fraction(2, 3), 0.666667, id="two thirds"),
        pytest.param(Fraction(1, 2_000_000), 0.0, id="half of the last place, to even"),
        pytest.param(Fraction(3, 2_000_000), 0.000002, id="one and a half, to even"),
        pytest.param(Fraction(123_456_789), 123_456_789.0, id="a large one"),
    ],
)
def test_a_ratio_has_six_decimals(ratio: Fraction | None, number: float | None) -> None:
    assert ratio_number(ratio) == number


@given(st.fractions(min_value=0, max_value=1_000))
def test_a_ratio_is_off_by_half_a_millionth_at_most(ratio: Fraction) -> None:
    number = ratio_number(ratio)
    assert number is not None
    assert abs(Fraction(repr(number)) - ratio) <= Fraction(1, 2_000_000)


# --- CSV ---


def test_csv_has_a_row_a_window_in_whole_units() -> None:
    assert to_csv(months()) == (
        "currency,window,from,to,complete,opening,new,reactivation,expansion,"
        "contraction,churn,fx,closing,base_customers,base_opening,base_expansion,"
        "base_contraction,base_churn,base_closing,nrr,grr,crr,logo_churn,gross_churn,"
        "net_churn,renewal_rate,renewal_rate_mrr,quick_ratio,paying_customers,arpa,ltv,"
        "segment\n"
        "usd,month,2024-01-01,2024-02-01,true,0.00,150.00,0.00,0.00,0.00,0.00,0.00,"
        "150.00,0,0.00,0.00,0.00,0.00,0.00,,,,,,,,,,3,50.00,,\n"
        "usd,month,2024-02-01,2024-03-01,true,150.00,3.33,0.00,40.00,20.00,20.00,"
        "0.00,153.33,3,150.00,40.00,20.00,20.00,150.00,1.000000,0.733333,0.666667,"
        "0.333333,0.266667,0.000000,,,1.083250,3,51.11,153.33,\n"
        "usd,month,2024-03-01,2024-04-01,false,153.33,0.00,10.00,0.00,0.00,0.00,"
        "0.00,163.33,3,153.33,0.00,0.00,0.00,153.33,1.000000,1.000000,1.000000,"
        "0.000000,0.000000,0.000000,,,,4,40.83,,\n"
    )


@pytest.mark.parametrize(
    ("currency", "closing"),
    [
        pytest.param("usd", "153.33", id="two decimals"),
        pytest.param("jpy", "15333", id="none"),
        pytest.param("kwd", "15.333", id="three"),
    ],
)
def test_csv_follows_the_currency_s_decimals(currency: str, closing: str) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(months(currency)))))
    assert rows[1]["closing"] == closing


def test_csv_and_json_carry_the_same_figures() -> None:
    rows = csv.DictReader(io.StringIO(to_csv(months())))
    told = to_json(months())["currencies"][0]["windows"]
    for row, window in zip(rows, told, strict=True):
        for name, amount_minor in window["waterfall"].items():
            assert Decimal(row[name.removesuffix("_minor")]) * 100 == amount_minor
        for name in ("nrr", "grr", "crr"):
            ratio = window["retention"][name]
            assert (float(row[name]) if row[name] else None) == ratio


def test_csv_of_no_currency_is_its_head() -> None:
    assert to_csv(report()).count("\n") == 1


# --- Markdown ---


def test_markdown_is_a_table_a_currency_and_its_footnotes() -> None:
    assert to_markdown(months(), "en_US") == (
        "## Recurring revenue, USD\n"
        "\n"
        "|  | Opening | New | Reactivation | Expansion | Contraction | Churn | Closing"
        " | NRR | GRR | CRR |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| Jan 2024 | – | $150.00 | – | – | – | – | $150.00 | – | – | – |\n"
        "| Feb 2024 | $150.00 | $3.33 | – | $40.00 | −$20.00 | −$20.00 | $153.33"
        " | 100.0% | 73.3% | 66.7% |\n"
        "| Mar 2024 * | $153.33 | – | $10.00 | – | – | – | $163.33"
        " | 100.0% | 100.0% | 100.0% |\n"
        "\n"
        "|  | Logo churn | Gross churn | Net churn | Renewed | Renewed MRR | Quick ratio"
        " | Paying | ARPA | LTV |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| Jan 2024 | – | – | – | – | – | – | 3 | $50.00 | – |\n"
        "| Feb 2024 | 33.3% | 26.7% | 0.0% | – | – | 1.1× | 3 | $51.11 | $153.33 |\n"
        "| Mar 2024 * | 0.0% | 0.0% | 0.0% | – | – | – | 4 | $40.83 | – |\n"
        "\n" + "".join(f"{note}  \n" for note in footnotes(months()))
    )


def test_markdown_has_a_table_for_each_currency() -> None:
    shown = lines(WindowKind.MONTH, FEB, FEB)
    both = report(*(part(*shown, currency=code) for code in ("eur", "jpy")))
    text = to_markdown(both, "de_DE")
    assert "## Recurring revenue, EUR" in text
    assert "153,33\N{NO-BREAK SPACE}€" in text
    assert "15.333\N{NO-BREAK SPACE}¥" in text


def test_cells_can_leave_the_cents_out() -> None:
    [line] = lines(WindowKind.MONTH, FEB, FEB)
    opening, new, *_ = cells(line.measured, part(line), whole=True)
    assert (shown(opening, "en_US"), shown(new, "en_US")) == ("$150", "$3")


# --- all currencies in one ---


def with_total() -> Report:
    """Dollars, and all currencies in euros; the dollar fell by a euro."""
    [line] = lines(WindowKind.MONTH, FEB, FEB)
    window, flow, kept, *_ = line.measured
    moved = replace(flow, fx_minor=-100, closing_minor=flow.closing_minor - 100)
    total = replace(line, measured=WindowFigures(window, moved, kept))
    return replace(report(part(line)), total=part(total, currency="eur", total=True))


def test_the_total_is_beside_the_currencies_in_json() -> None:
    told = to_json(with_total())
    assert [each["currency"] for each in told["currencies"]] == ["usd"]
    assert told["total"]["currency"] == "eur"
    assert told["total"]["windows"][0]["waterfall"]["fx_minor"] == -100


def test_the_total_comes_first_and_is_named_in_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(with_total()))))
    assert [(row["currency"], row["fx"]) for row in rows] == [
        ("total eur", "-1.00"),
        ("usd", "0.00"),
    ]


def test_only_the_total_has_a_column_for_exchange_rates() -> None:
    text = to_markdown(with_total(), "en_US")
    total, dollars = text.split("## Recurring revenue, USD")
    assert "## Recurring revenue, all currencies in EUR" in total
    assert "| FX |" in total
    assert "| −€1.00 |" in total
    assert "| FX |" not in dollars


def test_many_currencies_open_with_a_line_each() -> None:
    opening, *_ = to_markdown(with_total(), "en_US").split("## ")
    assert opening == (
        "| Currency | Window | MRR at close | NRR | GRR | CRR | Paying |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| all currencies in EUR | Feb 2024 | €152.33 | 100.0% | 73.3% | 66.7% | 0 |\n"
        "| USD | Feb 2024 | $153.33 | 100.0% | 73.3% | 66.7% | 3 |\n\n"
    )
    out = console(width=140)
    with out.capture() as captured:
        out.print(report_view(with_total(), "en_US"))
    first, second = (
        next(line.split() for line in captured.get().splitlines() if code in line)
        for code in ("all currencies", "USD ")
    )
    assert (first[-5:], second[-5:]) == (
        ["€152.33", "100.0%", "73.3%", "66.7%", "0"],
        ["$153.33", "100.0%", "73.3%", "66.7%", "3"],
    )
    assert not to_markdown(months(), "en_US").startswith("|")


def test_a_footnote_says_how_currencies_are_added_up() -> None:
    notes = [note for note in footnotes(with_total()) if "FX" in note]
    assert len(notes) == 1
    assert not [note for note in footnotes(months()) if "FX" in note]


# --- names ---


@pytest.mark.parametrize(
    ("kind", "start", "end", "name"),
    [
        pytest.param("month", "2026-03-01", "2026-04-01", "Mar 2026", id="a month"),
        pytest.param("month", "2025-12-01", "2026-01-01", "Dec 2025", id="December"),
        pytest.param("quarter", "2026-01-01", "2026-04-01", "Q1 2026", id="the first"),
        pytest.param("quarter", "2025-10-01", "2026-01-01", "Q4 2025", id="the last"),
        pytest.param("year", "2025-01-01", "2026-01-01", "2025", id="a year"),
        pytest.param(
            "trailing-12",
            "2025-04-01",
            "2026-04-01",
            "12 months to Mar 2026",
            id="twelve months",
        ),
    ],
)
def test_the_name_of_a_window(kind: str, start: str, end: str, name: str) -> None:
    window = Window(
        WindowKind(kind), date.fromisoformat(start), date.fromisoformat(end)
    )
    assert name_of(window) == name


def test_a_window_that_is_not_over_has_a_star() -> None:
    february, march = lines(WindowKind.MONTH, FEB, MAR)
    assert (label(february), label(march)) == ("Feb 2024", "Mar 2024 *")


# --- footnotes ---


def test_footnotes_give_the_formula_and_what_counts() -> None:
    whole = report(part(*lines(WindowKind.MONTH, JAN, FEB)))
    formula, counts, more = footnotes(whole)
    assert "LTV = ARPA over the window" in more
    assert formula.startswith("NRR = what the customers of the opening pay")
    assert counts == (
        "What counts: past due counts; paused collection counts; repeating coupons "
        "subtracted; once coupons ignored; metered prices excluded; churn when the "
        "subscription ends; subscriptions count from their start; trials after paying "
        "do not count; recurring money invoiced without a subscription not counted; "
        "other trials, taxes, one-off items and refunds never count."
    )


def test_footnotes_warn_of_what_is_not_over_and_of_what_is_missing() -> None:
    partial = replace(months(), missing=Missing(refused=2, refused_customers=1))
    star, *_ = footnotes(partial)
    assert star.startswith("* not over: so far, to 20 Mar 2024;")
    [missing] = banner(partial.facts)
    assert missing.startswith(
        "Not complete: 2 objects of 1 customer could not be valued"
    )


def test_the_policy_in_words_names_every_switch() -> None:
    assert policy_sentence(OTHERWISE.settings()) == (
        "past due counts for 30 days; paused collection does not count; repeating "
        "coupons ignored; once coupons subtracted; metered prices invoiced; churn when "
        "the subscription is cancelled; subscriptions count from their first payment; "
        "trials after paying count as what was paid; recurring money invoiced without a "
        "subscription counted by period; other trials, taxes, one-off items and refunds "
        "never count"
    )


# --- laws ---

cell = st.sampled_from(["0", "1", "2", "500", "."])


@given(st.lists(st.lists(cell, min_size=1, max_size=6), max_size=4))
def test_every_form_has_a_row_for_every_window(lives: list[list[str]]) -> None:
    books = [m for n, own in enumerate(lives) for m in lived(str(n), " ".join(own))]
    shown = lines(WindowKind.MONTH, JAN, date(2024, 6, 1), books)
    whole = report(part(*shown))
    assert len(to_json(whole)["currencies"][0]["windows"]) == 6
    assert len(to_csv(whole).splitlines()) == 1 + 6
    rows = [row for row in to_markdown(whole, "en_US").splitlines() if row[:2] == "| "]
    assert len(rows) == 2 * (2 + 6)


def test_a_measured_window_is_what_is_printed() -> None:
    """Nothing is worked out twice: another value, another report."""
    [line] = lines(WindowKind.MONTH, FEB, FEB)
    flow = replace(line.measured.waterfall, new_minor=99)
    doctored = WindowRow(
        measured=WindowFigures(line.measured.window, flow, line.measured.retention),
        is_over=True,
        complete=True,
    )
    assert cells(doctored.measured, part(doctored))[1] == Money(99, "usd")


@pytest.mark.parametrize(
    ("missing", "begins"),
    [
        (Missing(), ""),
        (Missing(is_first_sync=True), "Not complete: the first sync has not finished"),
        (Missing(customers=207), "Not complete: 207 customers are missing altogether"),
        (Missing(customers=1), "Not complete: 1 customer is missing altogether"),
        (Missing(behind=2), "Not up to date: 2 customers stand here as before their"),
        (
            Missing(refused=1, refused_customers=1),
            "Not complete: 1 object of 1 customer",
        ),
    ],
)
def test_every_form_says_first_what_is_missing(missing: Missing, begins: str) -> None:
    whole = replace(months(), missing=missing)
    assert "".join(banner(whole.facts)).startswith(begins)
    assert to_markdown(whole, "en_US").startswith(f"**{begins}" if begins else "##")
    out = console(width=200)
    with out.capture() as captured:
        out.print(report_view(whole, "en_US"))
    text = captured.get().lstrip()
    assert text.startswith(begins or "Recurring revenue")
    told = to_json(whole)
    assert told["complete"] is not any(missing)
    assert told["waiting"] == missing.customers + missing.behind
    assert "".join(told["missing"]["reasons"]).startswith(begins)


def test_a_report_says_first_that_the_last_sync_is_long_ago() -> None:
    late = replace(months(), moment=datetime(2024, 4, 13, 8, tzinfo=UTC))
    assert banner(late.facts) == [
        (
            "The last sync was 24 days ago: nothing after 20 Mar 2024 is in these "
            "figures. Run `stripe-nrr sync`."
        )
    ]
    assert banner(replace(late, as_of=datetime(2024, 3, 1, tzinfo=UTC)).facts) == []


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, "é × 東京"]}, "a path \udcff", [], {}, "plain"]
)
def test_json_is_ascii_whatever_it_tells(value: Any) -> None:
    """No code page can spoil it; a path need not be text."""
    text = json_text(value)
    assert text.isascii()
    assert json.loads(text) == value
