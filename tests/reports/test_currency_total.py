"""The total in a reporting currency is a report like the others: one result in all."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings

from connector import config
from connector.config import Config
from connector.core.errors import ConfigError
from connector.core.figures import Retention
from connector.core.model import NONE, SEGMENTS, Cause, MovementKind
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.contributions import Ratio
from connector.metrics.published_formulas import FormulaMetric
from connector.render.at_risk import to_csv
from connector.reports import (
    Ledger,
    ReportRequest,
    at_risk_reports,
    close_month,
    cohort_reports,
    explain_window,
    formula_drift,
    make_report,
    restated_windows,
)
from connector.reports.explained.window import WindowRequest
from connector.reports.model import CurrencyReport
from connector.reports.risks.at_risk import at_risk_lines
from connector.store.database import transaction
from connector.store.ledger import queries
from connector.store.ledger.losses import LastMovement
from connector.store.opening import open_database
from tests.store.test_ledger import Books, books, written
from tests.support import folders
from tests.support.books import lived, post
from tests.support.commands import Workdir
from tests.support.ledgers import empty_ledger
from tests.support.loopback import serving
from tests.support.pages import parsed
from tests.support.simulator import SimulatedAccount
from tests.support.told import LISTS

MOVED = folders.REPORTED / "new-customer-id-for-another-currency"
RATES = (
    "date,currency,rate\n2025-02-28,usd,0.95\n2025-03-31,usd,0.92\n2025-04-20,usd,0.9\n"
)


# --- an account as it was reported, by the commands of a user ---


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workdir]:
    """€20 a month; from March $22 of another id, merged into one."""
    [seen] = folders.looks(MOVED)
    folder = tmp_path_factory.mktemp("moved")
    (folder / "rates.csv").write_text(RATES)
    with serving(SimulatedAccount({kind: seen[kind] for kind in LISTS})) as stripe:
        stripe.now_s = datetime.fromisoformat(seen["seen_at"]).timestamp
        workdir = Workdir(folder, stripe.url).configure(
            f'{folders.config_text(seen)}\n[reporting]\ncurrency = "eur"\n'
            'rates = "rates.csv"\n'
        )
        assert workdir.call("sync").code == 0
        yield workdir


MARCH = ("--window", "month", "--from", "2025-03", "--to", "2025-03")


def test_who_changes_currency_stays_in_the_total(moved: Workdir) -> None:
    """$22 are €20.24 at the rate of 31 March: a small expansion, and nobody left."""
    told = moved.call("report", *MARCH, "--format", "json").json
    [eur, usd] = sorted(told["currencies"], key=lambda part: part["currency"])
    assert eur["windows"][0]["retention"]["crr"] == 0
    assert usd["windows"][0]["retention"]["crr"] is None
    [window] = told["total"]["windows"]
    assert window["retention"]["crr"] == 1
    assert window["retention"]["nrr"] == float(Fraction("22") * Fraction("0.92") / 20)
    assert window["retention"]["grr"] == 1
    flow = {name: minor for name, minor in window["waterfall"].items() if minor}
    assert flow == {"opening_minor": 2000, "expansion_minor": 24, "closing_minor": 2024}
    assert window["metrics"]["paying_customers"] == 1


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("report", *MARCH), id="report"),
        pytest.param(("report", *MARCH, "--by", "plan"), id="report --by"),
        pytest.param(("explain", "--window", "2025-03"), id="explain"),
        pytest.param(("drift", *MARCH), id="drift"),
        pytest.param(("cohorts",), id="cohorts"),
        pytest.param(("at-risk",), id="at-risk"),
    ],
)
def test_the_total_is_a_currency_to_ask_for(
    moved: Workdir, words: tuple[str, ...]
) -> None:
    shown = moved.call(*words, "--currency", "total")
    assert (shown.code, shown.err) == (0, "")
    assert "all currencies in EUR" in shown.out
    told = moved.call(*words, "--currency", "TOTAL", "--format", "csv")
    rows = told.out.splitlines()[1:]
    assert all(row.startswith("total eur,") for row in rows)
    assert rows or words[0] == "at-risk"


def test_a_page_of_the_total_alone(moved: Workdir) -> None:
    page = moved.call(*("report", "--format", "html", "--currency", "total"))
    assert page.code == 0
    assert 'id="total-eur"' in page.out
    assert 'id="usd"' not in page.out
    both = moved.call("report", "--format", "html")
    for shown in (page.out, both.out):
        [total] = [
            part
            for part in parsed(shown).all("section")
            if part.attributes.get("id") == "total-eur"
        ]
        headings = [heading.text for heading in total.all("h3")]
        assert "At risk on 20 Apr 2025" in headings
        assert "How cohorts stayed and grew" in headings


def test_the_movements_of_the_total_are_each_customers_in_all(moved: Workdir) -> None:
    """At the rate of the last day asked for, with what was booked in either currency."""
    asked = ("movements", "--currency", "total", "--to", "2025-03-31")
    [came, grew] = moved.call(*asked, "--format", "json").json["movements"]
    assert (came["kind"], came["currency"], came["amount_minor"]) == (
        "new",
        "eur",
        2000,
    )
    assert (grew["kind"], grew["before_minor"], grew["after_minor"]) == (
        ("expansion", 2000, 2024)
    )
    amounts = [(part["cause"], part["amount_minor"]) for part in grew["components"]]
    assert sorted(amounts) == [("end", -2000), ("start", 2024)]
    sums = moved.call(*asked, "--by", "currency", "--format", "json").json["segments"]
    assert [(each["segment"], each["movements"]) for each in sums] == [("EUR", 2)]
    churned = moved.call(*asked, "--kind", "churn", "--format", "json").json
    assert churned["movements"] == []


@pytest.mark.parametrize(
    "amount",
    [
        pytest.param("20.24", id="in the locale of the report"),
        pytest.param("20,24 €", id="with a comma and a sign"),
        pytest.param("EUR 20.24", id="with a code"),
    ],
)
def test_another_tools_total_is_compared(moved: Workdir, amount: str) -> None:
    asked = ("--on", "2025-03-31", "--currency", "total", "--format", "json")
    told = moved.call("compare", "--mrr", amount, *asked).json
    assert (told["currency"], told["ours_minor"], told["theirs_minor"]) == (
        ("eur", 2024, 2024)
    )


def test_the_opening_of_the_card_says_at_which_rates(moved: Workdir) -> None:
    """In April the dollars of the opening are worth less: €19.80 instead of €20.24."""
    window = ("--from", "2025-04", "--to", "2025-04", "--currency", "total")
    told = moved.call("report", *window, "--format", "json").json["total"]
    [april] = [w for w in told["windows"] if w["window"] == "month"]
    flow, kept = april["waterfall"], april["retention"]
    assert (flow["opening_minor"], flow["fx_minor"]) == (2024, -44)
    assert (kept["opening_minor"], kept["nrr"]) == (1980, 1)


def test_a_month_is_closed_with_its_total(moved: Workdir) -> None:
    closed = moved.call("close", "2025-03", "--format", "json").json
    told = {
        (each["currency"], each.get("is_total", False)): each["retention"]["crr"]
        for each in closed["figures"]
        if each["window"] == "month"
    }
    assert told == {("eur", False): 0, ("usd", False): None, ("eur", True): 1}
    assert moved.call("check").code == 0
    (moved.folder / "rates.csv").write_text(RATES.replace("0.92", "0.99"))
    assert moved.call("check").code == 0, "the rates of the closing are kept"
    report = moved.call(
        "report", *MARCH, "--currency", "total", "--format", "json"
    ).json
    [window] = report["total"]["windows"]
    assert window["waterfall"]["closing_minor"] == 2178
    assert window["as_reported"]["waterfall"]["closing_minor"] == 2024
    assert "it has not changed" in moved.call("restatements").out
    (moved.folder / "rates.csv").write_text(RATES)


def test_without_a_reporting_currency_there_is_no_total(moved: Workdir) -> None:
    with_rates = (moved.folder / "config.toml").read_text()
    moved.configure(with_rates.partition("[reporting]")[0])
    for words in (("report",), ("cohorts",), ("explain", "--window", "2025-03")):
        failed = moved.call(*words, "--currency", "total")
        assert failed.code == 2
        assert "set `currency` and `rates` under [reporting]" in failed.err
    moved.configure(with_rates)


def test_a_reporting_currency_needs_rates() -> None:
    with pytest.raises(
        ConfigError, match=r"reporting\.currency needs reporting\.rates"
    ):
        config.parse('[reporting]\ncurrency = "eur"', {})


def test_rates_that_end_before_a_window_name_what_to_do(moved: Workdir) -> None:
    (moved.folder / "rates.csv").write_text("date,currency,rate\n2025-02-28,usd,0.9\n")
    failed = moved.call("report", *MARCH)
    (moved.folder / "rates.csv").write_text(RATES)
    assert failed.code == 1
    assert "no rate for USD on 2025-03-31; the last before it is of 2025-02-28" in (
        failed.err
    )
    assert "name a newer file as `rates` under [reporting]" in failed.err


# --- any ledger ---

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CONSTANT = Fraction(3, 2)  # euros for a dollar


@pytest.fixture(scope="module")
def constant(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A dollar is €1.50, each day."""
    folder = tmp_path_factory.mktemp("rates")
    first = date(2023, 1, 1)
    days = [date.fromordinal(first.toordinal() + 7 * week) for week in range(160)]
    lines = [f"{day},usd,1.5" for day in days]
    (folder / "rates.csv").write_text("\n".join(["date,currency,rate", *lines]))
    text = 'timezone = "UTC"\n[reporting]\ncurrency = "eur"\n'
    text += 'rates = "rates.csv"\nbands = [1]'
    return config.parse(text, {}, source=folder / "config.toml")


def spent(told: Books, customer: str, day: date) -> Fraction:
    """What a customer pays at the beginning of a day, in euros."""
    paid = Fraction(0)
    for (who, code), own in told.items():
        until = [each for each in own if each < day]
        if who == customer and until:
            paid += own[max(until)] * (CONSTANT if code == "usd" else 1)
    return paid


def by_hand(told: Books, window: Window) -> tuple[int, int, int, Fraction, Fraction]:
    """Opening customers, those who stay, all who pay; then Σs and Σe."""
    pairs = [
        (spent(told, who, window.start), spent(told, who, window.end))
        for who in sorted({who for who, _ in told})
    ]
    base = [(start, end) for start, end in pairs if start]
    return (
        len(base),
        sum(end > 0 for _, end in base),
        sum(end > 0 for _, end in pairs),
        sum((start for start, _ in base), Fraction(0)),
        sum((end for _, end in base), Fraction(0)),
    )


SPAN = (date(2024, 1, 1), date(2024, 4, 1))


def total_of(ledger: Ledger, kind: WindowKind, by: str | None = None) -> CurrencyReport:
    asked = ReportRequest(kind, *SPAN, currency="total", by=by)
    report = make_report(ledger, asked)
    assert report.currencies == ()
    assert report.total is not None
    return report.total


@settings(max_examples=40)
@given(told=books)
def test_every_report_of_the_total_has_one_result(
    told: Books, constant: Config
) -> None:
    with empty_ledger() as db:
        post(db, written(told))
        if not queries.currencies(db):
            return
        ledger = Ledger(db, constant, NOW)
        for kind in WindowKind:
            rows = total_of(ledger, kind).rows
            drifts = formula_drift(ledger, kind, *SPAN, currency="total")
            assert [each.window for each in drifts] == windows(kind, *SPAN)
            for row, drift in zip(rows, drifts, strict=True):
                window, kept = row.measured.window, row.measured.retention
                base, stay, paying, opening, closing = by_hand(told, window)
                assert (kept.customers, kept.kept) == (base, stay)
                assert row.measured.paying == paying
                assert kept.opening_minor == round(opening)
                assert kept.closing_minor == round(closing)
                assert row.measured.waterfall.closing_minor == _mrr(told, window.end)
                assert drift.kept == kept
                ours = {x.formula.metric: x.ratio for x in drift.results if x.is_ours}
                assert ours[FormulaMetric.CRR] == kept.crr
                assert _explained(ledger, window) == (kept, kept.nrr, kept.grr)


def _mrr(told: Books, day: date) -> int:
    paid = (spent(told, who, day) for who in {who for who, _ in told})
    return round(sum(paid, Fraction(0)))


def _explained(
    ledger: Ledger, window: Window
) -> tuple[Retention, Fraction | None, Fraction | None]:
    """The opening's customers and both ratios, from who moved them."""
    [nrr] = explain_window(ledger, WindowRequest(window, Ratio.NRR, "total"))
    [grr] = explain_window(ledger, WindowRequest(window, Ratio.GRR, "total"))
    [crr] = explain_window(ledger, WindowRequest(window, Ratio.CRR, "total"))
    base = nrr.kept
    left = sum(each.customers for _, each in crr.moved)
    assert (crr.kept, base.customers + left) == (base, base.kept)
    of_nrr, of_grr = (base.of_opening(each.numerator_minor) for each in (nrr, grr))
    return base, of_nrr, of_grr


@pytest.mark.parametrize("by", SEGMENTS)
@settings(max_examples=20)
@given(told=books)
def test_the_segments_of_the_total_add_up_to_it(
    by: str, told: Books, constant: Config
) -> None:
    """Customers exactly; amounts, each rounded, to a cent a segment."""
    with empty_ledger() as db:
        post(db, written(told))
        if not queries.currencies(db):
            return
        for row in total_of(Ledger(db, constant, NOW), WindowKind.MONTH, by).rows:
            whole, parts = row.measured, [each.measured for each in row.segments]
            assert (
                sum(p.retention.customers for p in parts) == whole.retention.customers
            )
            assert sum(p.retention.kept for p in parts) == whole.retention.kept
            assert sum(p.paying for p in parts) == whole.paying
            closing_minor = sum(p.waterfall.closing_minor for p in parts)
            assert abs(closing_minor - whole.waterfall.closing_minor) <= len(parts)


def test_a_customer_is_in_the_segment_of_its_largest_currency(constant: Config) -> None:
    """$10 are €15: more than the €14 of the same customer, until these are €16."""
    told = [*lived("cus_1", "10 . .", "usd"), *lived("cus_1", "14 16 .", "eur")]
    with empty_ledger() as db:
        post(db, told)
        ledger = Ledger(db, constant, NOW)
        asked = ReportRequest(WindowKind.MONTH, *SPAN, currency="total", by="currency")
        total = make_report(ledger, asked).total
        assert total is not None
        names = [[each.name for each in row.segments] for row in total.rows]
        assert names == [["USD"], ["USD"], ["EUR"], ["EUR"]]
        bands = total_of(ledger, WindowKind.MONTH, "band").rows
        assert {each.name for row in bands for each in row.segments} == {
            "2: 1 and more"
        }
        plans = total_of(ledger, WindowKind.MONTH, "plan").rows
        assert {each.name for row in plans for each in row.segments} == {NONE}


@settings(max_examples=40)
@given(told=books)
def test_cohorts_of_the_total_add_up_to_it(told: Books, constant: Config) -> None:
    with empty_ledger() as db:
        post(db, written(told))
        if not queries.currencies(db):
            return
        ledger = Ledger(db, constant, NOW)
        [report] = cohort_reports(ledger, currency="total")
        last_day = date(2026, 1, 1)
        paid = sum(cohort.mrr_minor[-1] for cohort in report.cohorts)
        assert abs(paid - _mrr(told, last_day)) <= len(report.cohorts)
        joined = {who for (who, _), own in told.items() if any(own.values())}
        assert sum(cohort.joined for cohort in report.cohorts) == len(joined)
        for cohort in report.cohorts:
            assert cohort.ages[0].nrr in (None, 1)
            assert cohort.ages[0].opening_minor == cohort.opening_minor


@settings(max_examples=40)
@given(told=books)
def test_at_risk_goes_on_from_the_running_window_of_the_total(
    told: Books, constant: Config
) -> None:
    with empty_ledger() as db:
        post(db, written(told))
        if not queries.currencies(db):
            return
        now = datetime(2024, 11, 30, 12, tzinfo=UTC)
        ledger = Ledger(db, constant, now)
        [outlook] = at_risk_reports(ledger, "total").currencies
        november = date(2024, 11, 1)
        asked = ReportRequest(WindowKind.TRAILING_12, november, november, "total")
        report = make_report(ledger, asked)
        assert report.total is not None
        assert outlook.so_far.retention == report.total.rows[-1].measured.retention
        assert outlook.currency == "eur"


def test_who_is_at_risk_in_the_total_has_what_moved_last_there(
    constant: Config,
) -> None:
    """In euros, of all that was booked on the day: −$30 and +€10 are −€35 at 1.50."""
    with empty_ledger() as db:
        post(
            db,
            [
                *lived("cus_1", "5000 . . . . . . . 4000", "eur"),
                *lived("cus_2", "6000 . . . . . . . 3000", "usd"),
                *lived("cus_3", "1000 . . . . . . . 2000", "eur"),
                *lived("cus_3", "6000 . . . . . . . 3000", "usd"),
            ],
        )
        ledger = Ledger(db, constant, datetime(2024, 10, 30, 12, tzinfo=UTC))
        [outlook] = at_risk_reports(ledger, "total").currencies
        told = {each.customer: each.last for each in outlook.customers}
        day = date(2024, 9, 15)
        amounts = {"cus_1": -1_000, "cus_2": -4_500, "cus_3": -3_500}
        assert told == {
            who: LastMovement(day, MovementKind.CONTRACTION, minor, Cause.QUANTITY)
            for who, minor in amounts.items()
        }
        text = to_csv(at_risk_lines(ledger, "total")[1]).text()
        [_, *rows] = csv.reader(io.StringIO(text))
        assert {row[2]: row[-3:] for row in rows}["cus_2"] == [
            *("2024-09-15", "contraction", "-45.00"),
        ]


def test_a_total_of_one_currency_is_that_currency(constant: Config) -> None:
    with empty_ledger() as db:
        post(db, lived("cus_1", "50 90 . 0 40", "eur"))
        ledger = Ledger(db, constant, NOW)
        asked = ReportRequest(WindowKind.MONTH, date(2024, 1, 1), date(2024, 6, 1))
        report = make_report(ledger, asked)
        assert report.total is not None
        assert report.total.rows == report.currencies[0].rows


def test_what_is_booked_later_restates_the_total(
    tmp_path: Path, constant: Config
) -> None:
    with closing(open_database(tmp_path / "l.db", create=True)) as db:
        post(db, [*lived("cus_1", "50", "eur"), *lived("cus_2", "40", "usd")])
        db.execute("INSERT INTO event_feed VALUES (1, ?)", [_us(NOW)])
        ledger = Ledger(db, constant, NOW)
        with transaction(db):
            close_month(ledger, date(2024, 2, 1))
        post(db, lived("cus_2", "60", "usd"), at=NOW.replace(hour=5))
        later = Ledger(db, constant, NOW.replace(hour=6))
        found = [w for w in restated_windows(later).windows if w.reported.is_total]
        kinds = {each.now.window.kind for each in found}
        assert kinds == {WindowKind.MONTH, WindowKind.TRAILING_12}
        for each in found:
            assert each.reported.measured.waterfall.closing_minor == 50 + 60
            assert each.now.waterfall.closing_minor == 50 + 90
            assert [line.customer for line in each.lines] == ["cus_2"]


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
