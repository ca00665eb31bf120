"""Each thing is told once: by a year of days, by kills, by names that are no text."""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connector.config import Config
from connector.core.dates import add_months
from connector.core.language import speaking
from connector.digest import forms
from connector.digest.news import Digest, make_digest
from connector.reports.ledger import Ledger
from connector.store.database import transaction
from connector.store.ledger.posting import LedgerRun
from connector.store.mirror.event_feed import events_were_read
from tests.support.books import close, key_of, moved, post, settle_one
from tests.support.commands import Workdir
from tests.support.ledgers import empty_ledger
from tests.support.synced import settled_demo

CONFIG = Config(zone=ZoneInfo("UTC"))
FIRST = date(2025, 1, 1)
Place = tuple[str, date]
Levels = dict[str, dict[date, int]]


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def book(db: sqlite3.Connection, levels: Levels, at: datetime) -> None:
    post(db, [m for who in sorted(levels) for m in moved(who, levels[who])], at=at)


def told(db: sqlite3.Connection, at: datetime, *, is_kept: bool = True) -> Digest:
    with transaction(db):
        events_were_read(db, int(at.timestamp()) * 1_000_000)
    found = make_digest(Ledger(db, CONFIG, at))
    if is_kept:
        with transaction(db):
            found.cursors[0].keep(db)
    return found


def booked(levels: Levels) -> dict[Place, tuple[str, int]]:
    return {
        (who, m.day): (m.kind.value, m.amount_minor)
        for who, own in levels.items()
        for m in moved(who, own)
    }


def places(found: Digest) -> tuple[list[Place], list[Place]]:
    both = (found.moved, found.restated)
    moved_ones, restated = ([(x.customer, x.day) for x in each] for each in both)
    return sorted(moved_ones), sorted(restated)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_year_of_days_names_each_change_once(
    db: sqlite3.Connection, seed: int
) -> None:
    """200 back-dated edits; some digests are killed, and months are closed meanwhile."""
    dice = random.Random(seed)
    levels: Levels = {f"cus_{n}": {FIRST: 1_000 * (n + 1)} for n in range(12)}
    book(db, levels, noon(FIRST))
    told(db, noon(FIRST))
    edits = sorted(dice.choices(range(1, 365), k=200))
    closed = FIRST  # the first day that is in no closed month
    before = booked(levels)
    months: list[str] = []
    killed = 0
    for number in range(1, 365):
        day = FIRST + timedelta(days=number)
        if day.day == 5:
            if booked(levels) != before:  # told before it is closed
                told(db, noon(day) - timedelta(hours=2))
                before = booked(levels)
            close(db, add_months(day, -1), {}, noon(day) - timedelta(hours=1))
            closed = day.replace(day=1)
        if dice.random() < 0.3:
            who = dice.choice(sorted(levels))
            levels[who][day] = dice.choice([0, 500, 1_500, 2_500])
        for _ in range(edits.count(number)):
            who = dice.choice(sorted(levels))
            back = FIRST + timedelta(days=dice.randrange(number))
            levels[who][back] = dice.randrange(1, 4_000)
        book(db, levels, noon(day))
        now = booked(levels)
        if dice.random() < 0.1:
            told(db, noon(day), is_kept=False)
            killed += 1
            if (day + timedelta(days=1)).day != 5:
                continue
        found = told(db, noon(day))
        changed = {x for x in {*before, *now} if before.get(x) != now.get(x)}
        late = sorted(x for x in changed if x[1] < closed)
        assert places(found) == (sorted(changed - {*late}), late), day
        months += [f"{x.month.measured.window.start:%Y-%m}" for x in found.months]
        assert not told(db, noon(day)).has_news
        before = now
    assert killed > 10
    assert len(set(months)) == len(months)


def test_what_a_run_books_after_a_digest_is_told_by_the_next(
    db: sqlite3.Connection,
) -> None:
    """A run is told of while it goes on: what it retracts later is not lost."""
    day = date(2025, 2, 3)
    book(db, {"cus_1": {FIRST: 1_000, day: 2_000}, "cus_2": {FIRST: 500}}, noon(FIRST))
    told(db, noon(day))
    run = LedgerRun(db, noon(day), "sync", code_version="test", policy="{}")
    with transaction(db):
        settle_one(db, run, "cus_2", moved("cus_2", {FIRST: 500, day: 700}))
    assert places(told(db, noon(day)))[0] == [("cus_2", day)]
    with transaction(db):
        settle_one(db, run, "cus_1", moved("cus_1", {FIRST: 1_000}))
    [line] = told(db, noon(day)).moved
    assert (line.customer, line.day, line.amount_minor) == ("cus_1", day, -1_000)
    assert not told(db, noon(day)).has_news


@pytest.mark.parametrize(
    ("language", "locale", "said"),
    [
        ("en", "en_US", "booked by a policy change, now from $0.00 to $5.00"),
        (
            "de",
            "de_DE",
            "jetzt von 0,00\N{NO-BREAK SPACE}$ auf 5,00\N{NO-BREAK SPACE}$",
        ),
    ],
)
def test_what_a_closed_month_s_movement_became_is_told_in_its_currency(
    db: sqlite3.Connection, language: str, locale: str, said: str
) -> None:
    book(db, {"cus_1": {FIRST: 1_000}}, noon(FIRST))
    close(db, FIRST, {}, noon(date(2025, 2, 2)))
    at = noon(date(2025, 2, 3))
    told(db, at)
    post(db, moved("cus_1", {FIRST: 500}), at=at, cause="policy change")
    found = told(db, at)
    with speaking(language):
        told_in = [
            forms.to_text(found, locale),
            forms.to_markdown(found, locale).replace("\\$", "$"),
            forms.to_html(found, locale),
            json.loads(forms.to_slack(found, locale))["blocks"][-1]["text"]["text"],
        ]
    for text in told_in:
        assert said in text
        assert "500" not in text


def test_what_came_and_went_between_two_digests_is_nothing(
    db: sqlite3.Connection,
) -> None:
    day = date(2025, 2, 3)
    book(db, {"cus_1": {FIRST: 1_000}}, noon(FIRST))
    told(db, noon(day))
    for levels in ({FIRST: 1_000, day: 3_000}, {FIRST: 1_000}):
        book(db, {"cus_1": levels}, noon(day))
    assert not told(db, noon(day)).has_news


def test_a_sync_that_is_old_is_told_once(db: sqlite3.Connection) -> None:
    book(db, {"cus_1": {FIRST: 1_000}}, noon(FIRST))
    told(db, noon(FIRST))
    later = noon(FIRST) + timedelta(days=4)
    for expected in (1, 0):
        found = make_digest(Ledger(db, CONFIG, later))
        assert len(found.troubles) == expected
        with transaction(db):
            found.cursors[0].keep(db)


def test_what_is_missing_stands_first_in_every_digest(workdir: Workdir) -> None:
    """Told before it is no news any more; figures without it would still look whole."""
    with closing(sqlite3.connect(workdir.ledger)) as connection, connection:
        connection.execute("INSERT INTO dirty_customers VALUES ('cus_new')")
    for _ in range(2):
        _heading, _blank, title, first, *_rest = workdir.call("digest").out.splitlines()
        assert title == "Trouble"
        assert first.startswith("- Not complete: 1 customer is missing")
    assert workdir.call("digest", "--only-news").out == ""


HOSTILE = [
    "<!channel> & <https://evil.example|x>",
    "<script>alert(1)</script>",
    "**bold** [x](javascript:1) `y`",
    "line\nbreak \x1b[2J \u202etxt",
    "x" * 5_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_stays_a_name_in_each_form(db: sqlite3.Connection, name: str) -> None:
    book(db, {"cus_1": {FIRST: 1_000}}, noon(FIRST))
    with transaction(db):
        key_of(db, "cus_1", name)
    found = told(db, noon(FIRST))
    assert len(found.moved) == 1
    made = [getattr(forms, f"to_{x}")(found, "en_US") for x in ("text", "markdown")]
    page, slack = forms.to_html(found, "en_US"), forms.to_slack(found, "en_US")
    for text in (*made, page):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert sum("new on 2025-01-01" in line for line in text.splitlines()) <= 1
    assert "[x](" not in made[1]
    assert "<script>" not in page
    assert "<!channel>" not in slack
    body = json.loads(slack)
    for block in body["blocks"]:
        assert len(block["text"]["text"]) <= 3_000
        assert not {"<", ">"} & {*block["text"]["text"]}
    if len(name) < 100 and "\n" not in name:
        assert name in unescape(page)


# The command


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(tmp_path / "stripe-nrr.db")])
    return Workdir(tmp_path).configure('timezone = "Europe/Berlin"\n')


def test_it_is_silent_where_nothing_is_new(workdir: Workdir) -> None:
    for _ in range(2):
        ran = workdir.call("digest", "--peek", "--only-news")
        assert (ran.code, "What moved" in ran.out) == (0, True)
    assert workdir.call("digest", "--only-news").code == 0
    for form in ("text", "markdown", "slack", "html", "json"):
        ran = workdir.call("digest", "--only-news", "--format", form, "-o", "none")
        assert (ran.code, ran.out) == (0, "")
    assert not (workdir.folder / "none").exists()
    assert "Nothing is new." in workdir.call("digest").out


def test_a_day_leaves_open_what_the_next_one_tells(workdir: Workdir) -> None:
    since = workdir.call("digest", "--since", "2026-10-01", "--format", "json").json
    listed = workdir.call("movements", "--from", "2026-10-01", "--format", "json").json
    assert sorted((x["day"], x["customer"]) for x in since["moved"]) == sorted(
        (x["day"], x["customer"]) for x in listed["movements"]
    )
    assert workdir.call("digest", "--only-news").out


def test_one_that_cannot_be_written_is_told_again(workdir: Workdir) -> None:
    ran = workdir.call("digest", "-o", "not-there/digest.txt")
    assert ran.code == 2, "there is no such folder"
    assert "What moved" in workdir.call("digest", "--only-news").out


def test_an_older_version_reads_the_ledger_all_the_same(workdir: Workdir) -> None:
    """The cursor is a setting, not a change of the schema."""
    assert workdir.call("digest").code == 0
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        row = connection.execute("SELECT value FROM settings WHERE name = 'digest'")
        assert json.loads(row.fetchone()[0])["month"] == "2026-10"
    assert workdir.call("check").code == 0
