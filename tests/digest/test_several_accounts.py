"""A digest of several accounts: each thing once, whoever was told of which account."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from connector.accounts.ledger import open_accounts
from connector.config import Config
from connector.core.model import Movement
from connector.digest import forms
from connector.digest.json_form import to_json
from connector.digest.news import Digest, make_digest
from connector.store.database import transaction
from connector.store.mirror import companies
from connector.store.mirror.event_feed import events_were_read
from connector.store.opening import open_database
from tests.support.accounts import Book, configs, pays, write
from tests.support.books import close, post
from tests.support.books import moved as moved_to

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def book(
    path: Path, movements: Sequence[Movement], at: datetime, company: str = ""
) -> None:
    with closing(open_database(path)) as db:
        post(db, movements, at=at)
        with transaction(db):
            events_were_read(db, int(at.timestamp()) * 1_000_000)
            if company:
                companies.put(db, {"cus_uk": (company, company)})


def told(folder: Path, at: datetime, *names: str, keep: bool = True) -> Digest:
    """A digest of these accounts, or of both, kept as the command keeps it."""
    accounts = configs(folder, names or ["de", "uk"])
    with open_accounts(Config(), accounts, at) as ledger:
        found = make_digest(ledger)
    for each, cursor in zip(accounts, found.cursors, strict=True):
        with closing(open_database(each.database)) as db, transaction(db):
            if keep:
                cursor.keep(db)
    return found


def moved(digest: Digest) -> list[tuple[str, str, int]]:
    return [(x.account, x.customer, x.amount_minor) for x in digest.moved]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("de", "uk"):
        paid = pays(f"cus_{name}", d2025_01_15=5000)
        write(tmp_path / f"{name}.db", [Book({"a": paid})], known_until=NOON)
    return tmp_path


def grown(name: str, day: date, by: int) -> list[Movement]:
    levels = {date(2025, 1, 15): 5000, day: 5000 + by}
    return moved_to(f"cus_{name}", levels)


def test_each_account_is_told_once_whoever_asks(folder: Path) -> None:
    """By its own digest or by that of all; what is new of one is told of that one."""
    told(folder, NOON)
    assert not told(folder, NOON).has_news
    at, day = NOON + DAY, date(2026, 3, 15)
    book(folder / "de.db", grown("de", day, 700), at)
    book(folder / "uk.db", grown("uk", day, -300), at)
    assert moved(told(folder, at, keep=False)) == [
        ("de", "cus_de", 700),
        ("uk", "cus_uk", -300),
    ]
    assert moved(told(folder, at, "uk")) == [("", "cus_uk", -300)]
    assert moved(told(folder, at)) == [("de", "cus_de", 700)]
    assert not told(folder, at).has_news
    assert not told(folder, at, "de").has_news


def test_the_month_is_told_of_all_added_up_once(folder: Path) -> None:
    [month] = told(folder, NOON).months
    assert month.month.measured.waterfall.closing_minor == 10000
    assert told(folder, NOON).months == []
    [own] = told(folder, datetime(2026, 4, 2, tzinfo=UTC), keep=False).months or [month]
    assert own is month, "April is not known yet"


def test_who_moves_between_accounts_is_one_that_grew(tmp_path: Path) -> None:
    """No churn in the one and nobody new in the other."""
    old, new = pays("cus_de", d2025_01_15=5000), pays("cus_2", d2025_01_15=100)
    de, uk = tmp_path / "de.db", tmp_path / "uk.db"
    write(de, [Book({"a": old}, {"cus_de": "Acme"})], known_until=NOON)
    write(uk, [Book({"a": new})], known_until=NOON)
    told(tmp_path, NOON)
    at = NOON + DAY
    book(de, pays("Acme", d2025_01_15=5000, d2026_03_15=0), at)
    book(uk, [*new, *pays("Acme", d2026_03_15=6000)], at, "Acme")
    [line] = told(tmp_path, at).moved
    assert line.now is not None
    assert (line.customer, line.now.kind, line.amount_minor) == (
        "Acme",
        "expansion",
        1000,
    )
    assert not told(tmp_path, at).has_news


def test_a_month_that_one_account_closed_is_restated_by_it_alone(folder: Path) -> None:
    told(folder, NOON)
    with closing(open_database(folder / "de.db")) as db:
        close(db, date(2026, 2, 1), {}, NOON)
    at, day = NOON + DAY, date(2026, 2, 15)
    for name in ("de", "uk"):
        book(folder / f"{name}.db", grown(name, day, 700), at)
    found = told(folder, at)
    assert [(x.account, x.customer) for x in found.restated] == [("de", "cus_de")]
    assert [(x.account, x.customer) for x in found.moved] == [("uk", "cus_uk")]
    assert to_json(found)["restated"][0]["account"] == "de"


def test_trouble_says_whose_it_is(folder: Path) -> None:
    told(folder, NOON)
    late = NOON + 4 * DAY
    with closing(open_database(folder / "de.db")) as db, transaction(db):
        events_were_read(db, int(late.timestamp()) * 1_000_000)
    found = told(folder, late)
    [trouble] = found.troubles
    assert trouble.sentence.startswith("uk: The last sync was 4 days ago")
    text = forms.to_text(found, "en_US")
    assert text.splitlines()[0].endswith("(de, uk)")
    assert "uk is not known for longer" in text
    assert not told(folder, late).troubles


def test_one_that_joins_later_is_told_from_a_week_on(folder: Path) -> None:
    told(folder, NOON, "de")
    at = NOON + DAY
    book(folder / "uk.db", grown("uk", date(2026, 3, 14), 900), at)
    found = told(folder, at)
    assert moved(found) == [("uk", "cus_uk", 900)]
    assert found.since is None, "it goes on from what was told of de"
