"""Ledgers of several accounts read as one, beside one to which everybody was posted."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from connector.accounts.ledger import open_accounts
from connector.config import Config
from connector.core.errors import NothingFound, RulesDiffer
from connector.core.figures import FIGURES, reading
from connector.core.model import Movement, SegmentValue
from connector.core.windows import WindowKind
from connector.reports import (
    ReportRequest,
    cohort_reports,
    explain_customer,
    explain_window,
    list_movements,
    make_report,
    sum_movements,
)
from connector.reports.explained.window import WindowRequest
from connector.reports.ledger import Ledger
from connector.reports.movements import find_counted
from connector.store.database import transaction
from connector.store.ledger.queries import EVERYTHING, Wanted
from connector.store.months import notes
from connector.store.opening import open_database
from tests.support.accounts import NOW, RULES, Book, configs, one, pays, several, write
from tests.support.books import lived

Q = ReportRequest(kind=WindowKind.QUARTER)


def figures(ledger: Ledger, asked: ReportRequest) -> Any:
    """Every window's figures, and those of its segments."""
    report = make_report(ledger, asked)
    return [
        (
            part.currency,
            [(row.measured, row.is_over, row.segments) for row in part.rows],
        )
        for part in report.currencies
    ]


def booked(ledger: Ledger) -> list[Any]:
    return [
        (m.day, m.customer, m.currency, m.kind, m.before_minor, m.after_minor)
        for m in list_movements(ledger).movements
    ]


def headline(ledger: Ledger) -> Any:
    report = make_report(ledger, ReportRequest(kind=WindowKind.TRAILING_12))
    [part] = report.currencies
    return part.headline.measured if part.headline is not None else None


# --- a worked case ---


def test_a_migration_between_accounts_is_neither_churn_nor_new(tmp_path: Path) -> None:
    """$50 in Germany to June 2025, then $60 in the United States; beside it one of $100.

    Of $150 in March 2025 $160 are left in March 2026: NRR 106.67 %, GRR and CRR 100 %.
    """
    old = pays("cus_de", d2024_05_01=5000, d2025_06_01=0)
    new = pays("cus_us", d2025_06_01=6000)
    other = pays("cus_2", d2024_05_01=10000)
    write(tmp_path / "de.db", [Book({"a": old, "b": other}, {"cus_de": "Acme"})])
    write(tmp_path / "us.db", [Book({"a": new}, {"cus_us": "Acme"})])
    with several(tmp_path, ["de", "us"]) as ledger:
        found = headline(ledger)
        assert found.waterfall.opening_minor == 15000
        assert (found.waterfall.new_minor, found.waterfall.churn_minor) == (0, 0)
        assert found.waterfall.expansion_minor == 1000
        assert found.retention.nrr == pytest.approx(160 / 150)
        assert found.retention.grr == 1
        assert (found.retention.customers, found.retention.kept) == (2, 2)
        [acme] = [x for x in booked(ledger) if x[1] == "Acme" and x[4]]
        assert acme == (date(2025, 6, 1), "Acme", "usd", "expansion", 5000, 6000)
        explained = explain_customer(ledger, "Acme")
        parts = explained.movements[-1].components
        assert sorted(part.amount_minor for part in parts) == [-5000, 6000]
    for name, churn, first in (("de", 5000, 0), ("us", 0, 6000)):
        with several(tmp_path, [name]) as ledger:
            found = headline(ledger).waterfall
            assert (found.churn_minor, found.new_minor) == (churn, first)


def test_by_account_a_migrant_belongs_to_where_it_paid_most_at_the_opening(
    tmp_path: Path,
) -> None:
    """So its growth is that of the account which had it, and segments add up."""
    old = pays("cus_de", d2024_05_01=5000, d2025_06_01=0)
    new = pays("cus_us", d2025_06_01=6000)
    write(tmp_path / "de.db", [Book({"a": old}, {"cus_de": "Acme"})])
    write(
        tmp_path / "us.db",
        [Book({"a": new, "b": pays("cus_2", d2024_05_01=100)}, {"cus_us": "Acme"})],
    )
    with several(tmp_path, ["de", "us"]) as ledger:
        asked = ReportRequest(kind=WindowKind.TRAILING_12, by="account")
        report = make_report(ledger, asked)
        head = report.currencies[0].headline
        assert head is not None
        found = {
            each.name: (
                each.measured.retention.opening_minor,
                each.measured.retention.expansion_minor,
            )
            for each in head.segments
        }
        assert found == {"de": (5000, 1000), "us": (100, 0)}


# --- beside one ledger of everybody ---

cells = st.lists(st.sampled_from([".", "0", "30", "50", "90"]), min_size=1, max_size=20)
companies = st.sampled_from(["", "", "Acme", "Beta"])
customers = st.lists(
    st.tuples(cells, companies, st.sampled_from(["usd", "usd", "eur"])),
    min_size=1,
    max_size=4,
)


def book_of(account: str, drawn: Sequence[tuple[list[str], str, str]]) -> Book:
    paid, company_of = {}, {}
    for number, (months, company, currency) in enumerate(drawn):
        name = f"cus_{account}{number}"
        paid[name] = lived(name, " ".join(months), currency)
        if company:
            company_of[name] = company
    return Book(paid, company_of)


def merged(books: Sequence[Book]) -> Book:
    paid: dict[str, Sequence[Movement]] = {}
    company_of: dict[str, str] = {}
    for each in books:
        paid |= each.paid
        company_of |= each.company_of
    return Book(paid, company_of)


ASKED = (
    ReportRequest(),
    Q,
    ReportRequest(kind=WindowKind.MONTH, by="band"),
    ReportRequest(kind=WindowKind.QUARTER, by="cohort"),
    ReportRequest(
        kind=WindowKind.QUARTER, only=(SegmentValue("band", "1: under 10,000"),)
    ),
)


def asked_of(ledger: Ledger, request: ReportRequest) -> Any:
    try:
        return figures(ledger, request)
    except NothingFound:
        return None


@settings(deadline=None, max_examples=10)
@given(
    st.lists(st.tuples(customers, customers), min_size=2, max_size=3),
    st.booleans(),
)
def test_several_ledgers_are_read_as_one_of_everybody(
    drawn: list[tuple[Any, Any]],
    whole: bool,  # noqa: FBT001 - whether the sums of the windows were kept
) -> None:
    """Now, and as of an hour at which each was something else; in any order."""
    names = ["de", "uk", "us"][: len(drawn)]
    histories = [
        [book_of(name, state) for state in states]
        for name, states in zip(names, drawn, strict=True)
    ]
    with TemporaryDirectory() as text:
        folder = Path(text)
        for name, books in zip(names, histories, strict=True):
            write(folder / f"{name}.db", books, whole=whole)
        both = [merged(hour) for hour in zip(*histories, strict=True)]
        write(folder / "all.db", both, whole=whole)
        with one(folder / "all.db") as truth:
            before = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
            past = ReportRequest(kind=WindowKind.QUARTER, as_of=before)
            for order in (names, names[::-1]):
                with several(folder, order) as ledger:
                    for request in (*ASKED, past):
                        assert asked_of(ledger, request) == asked_of(truth, request)
                    assert booked(ledger) == booked(truth)


BY_ACCOUNT = tuple(
    ReportRequest(kind=kind, by="account", first=date(2024, 1, 1))
    for kind in (WindowKind.MONTH, WindowKind.QUARTER, WindowKind.TRAILING_12)
)


ADDS_UP = reading(FIGURES)


@settings(deadline=None, max_examples=6)
@given(st.lists(customers, min_size=2, max_size=3))
def test_accounts_add_up_to_the_total(drawn: list[Any]) -> None:
    """In every window, whoever is in several of them, to the last minor unit."""
    names = ["de", "uk", "us"][: len(drawn)]
    with TemporaryDirectory() as text:
        folder = Path(text)
        for name, state in zip(names, drawn, strict=True):
            write(folder / f"{name}.db", [book_of(name, state)])
        with several(folder, names) as ledger:
            for request in BY_ACCOUNT:
                for part in make_report(ledger, request).currencies:
                    for row in part.rows:
                        told = [ADDS_UP(each.measured) for each in row.segments]
                        nothing = (0,) * len(FIGURES)  # where nobody ever paid
                        added = tuple(map(sum, zip(nothing, *told, strict=True)))
                        assert added == ADDS_UP(row.measured)


def test_where_nobody_is_in_two_accounts_figures_are_the_sums_of_the_parts(
    tmp_path: Path,
) -> None:
    for name, months in (("de", "50 90 . 0 40"), ("us", "30 . 30 50 0")):
        write(tmp_path / f"{name}.db", [Book({"a": lived(f"cus_{name}", months)})])
    flows = []
    for names in (["de"], ["us"], ["de", "us"]):
        with several(tmp_path, names) as ledger:
            [part] = make_report(
                ledger, ReportRequest(kind=WindowKind.MONTH, first=date(2024, 1, 1))
            ).currencies
            flows.append([asdict(row.measured.waterfall) for row in part.rows])
    for one_row, other, both in zip(*flows, strict=True):
        assert both == {key: one_row[key] + other[key] for key in both}


# --- who is who ---


def test_one_id_in_two_accounts_is_two_customers(tmp_path: Path) -> None:
    """Unless a company says otherwise: ids say nothing across accounts."""
    for name, paid in (("de", 5000), ("us", 6000)):
        write(tmp_path / f"{name}.db", [Book({"a": pays("cus_1", d2025_01_01=paid)})])
    with several(tmp_path, ["de", "us"]) as ledger:
        assert {x[1] for x in booked(ledger)} == {"de/cus_1", "us/cus_1"}
        found = explain_customer(ledger, "us/cus_1").movements
        assert [m.amount_minor for m in found] == [6000]
        with pytest.raises(NothingFound, match="called like 'cus_1'") as raised:
            find_counted(ledger.connection, "cus_1")
        assert raised.value.fix == "give an id: de/cus_1, us/cus_1"


def test_what_was_noted_of_a_customer_is_of_its_account(tmp_path: Path) -> None:
    month = date(2025, 3, 1)
    for name in ("de", "us"):
        path = tmp_path / f"{name}.db"
        write(path, [Book({"a": pays("cus_1", d2025_01_01=5000)})])
        with closing(open_database(path)) as connection, transaction(connection):
            notes.add(connection, month, f"of {name}", NOW, customer="cus_1")
            notes.add(connection, month, "of nobody", NOW)
    with several(tmp_path, ["de", "us"]) as ledger:
        assert {(n.customer, n.text) for n in make_report(ledger).notes} == {
            *(("de/cus_1", "of de"), ("us/cus_1", "of us")),
            ("", "of nobody"),
        }


def test_a_customer_of_one_account_may_be_the_company_of_another_ones(
    tmp_path: Path,
) -> None:
    """And its own company counts, too."""
    write(
        tmp_path / "de.db",
        [Book({"a": pays("cus_1", d2025_01_01=5000)}, {"cus_1": "Acme"})],
    )
    write(
        tmp_path / "us.db",
        [Book({"a": pays("cus_2", d2025_02_01=1000)}, {"cus_2": "cus_1"})],
    )
    with several(tmp_path, ["de", "us"]) as ledger:
        assert [(x[1], str(x[3]), x[5]) for x in booked(ledger)] == [
            ("Acme", "new", 5000),
            ("Acme", "expansion", 6000),
        ]
        names = {each.id for each in explain_customer(ledger, "Acme").counted_as_one}
        assert names == {"cus_1", "cus_2"}


def test_a_company_that_nobody_is_of_any_more_is_one_where_the_past_is_read(
    tmp_path: Path,
) -> None:
    """$50 in the one and $10 in the other; now each is a customer of its own."""
    for name, paid in (("de", 5000), ("us", 1000)):
        own = {"a": pays(f"cus_{name}", d2025_01_01=paid)}
        write(
            tmp_path / f"{name}.db",
            [Book(own, {f"cus_{name}": "Acme"}), Book(own)],
        )
    before = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    with several(tmp_path, ["de", "us"]) as ledger:
        [then] = make_report(ledger, Q._replace(as_of=before)).currencies
        [now] = make_report(ledger, Q).currencies
        assert [then.rows[-1].measured.retention.customers] == [1]
        assert [now.rows[-1].measured.retention.customers] == [2]
        explained = explain_customer(ledger, "Acme", as_of=before)
        assert [m.after_minor for m in explained.movements] == [6000]
        assert {x[1] for x in booked(ledger)} == {"cus_de", "cus_us"}


def test_an_id_that_two_accounts_have_is_no_company_of_former_times(
    tmp_path: Path,
) -> None:
    """Both are customers at Stripe, though nothing of the one counts any more."""
    own = Book({"a": pays("cus_1", d2025_01_01=5000)})
    write(tmp_path / "de.db", [own])
    write(tmp_path / "us.db", [own, Book({})])
    with several(tmp_path, ["de", "us"]) as ledger:
        assert {x[1] for x in booked(ledger)} == {"de/cus_1"}


def test_ids_that_were_merged_across_accounts_are_one(tmp_path: Path) -> None:
    write(tmp_path / "de.db", [Book({"a": pays("cus_new", d2025_01_01=5000)})])
    write(tmp_path / "us.db", [Book({"a": pays("cus_new", d2025_02_01=1000)})])
    config = Config(merge={"cus_old": "cus_new"})
    with several(tmp_path, ["de", "us"], config) as ledger:
        assert {x[1] for x in booked(ledger)} == {"cus_new"}


# --- the weakest counts, and what does not add up ---


def test_no_more_is_known_than_of_the_account_that_is_furthest_behind(
    tmp_path: Path,
) -> None:
    early = NOW - timedelta(days=20)
    write(tmp_path / "de.db", [Book({"a": pays("cus_1", d2025_01_01=5000)})])
    write(
        tmp_path / "us.db",
        [Book({"a": pays("cus_2", d2025_01_01=6000)})],
        known_until=early,
    )
    with several(tmp_path, ["de", "us"]) as ledger:
        facts = ledger.facts()
        assert facts.today == early.date()
        assert facts.accounts.names == ("de", "us")
        assert facts.accounts.behind == ("us",)
        last = make_report(ledger).currencies[0].headline
        assert last is not None
        assert last.measured.window.end == date(2026, 2, 1)


def test_an_account_that_was_never_synced_is_named(tmp_path: Path) -> None:
    write(tmp_path / "de.db", [Book({"a": pays("cus_1", d2025_01_01=5000)})])
    open_database(tmp_path / "us.db", create=True).close()
    with pytest.raises(NothingFound, match="of account us is empty"):
        several(tmp_path, ["de", "us"]).__enter__()


@pytest.mark.parametrize(
    ("rule", "value"), [("once_coupon", "subtracted"), ("timezone", "Asia/Tokyo")]
)
def test_ledgers_of_other_rules_are_added_up_only_if_told_so(
    tmp_path: Path, rule: str, value: str
) -> None:
    write(tmp_path / "de.db", [Book({"a": pays("cus_1", d2025_01_01=5000)})])
    book = Book({"a": pays("cus_2", d2025_01_01=6000)})
    write(tmp_path / "us.db", [book], rules={**RULES, rule: value})
    accounts = configs(tmp_path, ["de", "us"])
    with pytest.raises(RulesDiffer, match=f"de and us .{rule} {RULES[rule]} → {value}"):
        open_accounts(Config(), accounts, NOW).__enter__()
    with open_accounts(Config(), accounts, NOW, mixed=True) as ledger:
        assert ledger.facts().accounts.unlike == (
            f"de and us ({rule} {RULES[rule]} → {value})",
        )
        assert headline(ledger).waterfall.closing_minor == 11000
        assert value in {ledger.state().timezone.rpartition(", ")[2], value}


def test_every_report_reads_several_accounts(tmp_path: Path) -> None:
    for name in ("de", "us"):
        write(
            tmp_path / f"{name}.db", [Book({"a": lived(f"cus_{name}", "50 90 . 0 40")})]
        )
    with several(tmp_path, ["de", "us"]) as ledger:
        assert cohort_reports(ledger)
        [found] = explain_window(ledger, WindowRequest(headline(ledger).window))
        assert found.kept.customers == 2
        [de, us] = sum_movements(ledger, "account", EVERYTHING)
        assert (de.segment, us.segment) == ("de", "us")
        assert list_movements(ledger, Wanted(customer="cus_de")).movements
