"""Notes at months, and goals: what people say of figures, kept and shown beside them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import Workdir
from tests.support.synced import settled_demo

ZONE = 'timezone = "Europe/Berlin"\n'
HOSTILE = "<b>x</b> *y* =1+1 [z](javascript:1) \x1b[2J"


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(tmp_path / "stripe-nrr.db")])
    return Workdir(tmp_path).configure(ZONE)


def said(workdir: Workdir, *words: str) -> str:
    ran = workdir.call(*words)
    assert ran.code == 0, ran.err
    return ran.out


def test_a_note_stands_in_every_form_of_the_report(workdir: Workdir) -> None:
    said(workdir, "note", "2026-03", "price\n rise", "--url", "https://example.com/p")
    assert "Mar 2026: price rise https://example.com/p" in said(workdir, "report")
    assert "Mar 2026: price rise" in said(workdir, "report", "--format", "markdown")
    assert "Mar 2026: price rise" in said(workdir, "report", "--format", "html")
    [noted] = workdir.call("report", "--format", "json").json["notes"]
    assert noted["text"] == "price rise"
    assert noted["month"] == "2026-03"


def test_a_note_is_shown_with_its_month_alone(workdir: Workdir) -> None:
    said(workdir, "note", "2026-03", "price rise")
    asked = ("report", "--window", "month", "--from", "2026-04")
    assert "price rise" not in said(workdir, *asked)


def test_a_withdrawn_note_stays_and_is_shown_no_more(workdir: Workdir) -> None:
    said(workdir, "note", "2026-03", "price rise")
    for _ in range(2):  # twice is once
        assert "Withdrawn" in said(workdir, "note", "--withdraw", "1")
    assert "price rise" not in said(workdir, "report")
    [listed] = workdir.call("notes", "--format", "json").json["notes"]
    assert listed["withdrawn_at"] is not None
    assert listed["text"] == "price rise"


def test_a_note_that_others_wrote_commands_nothing(workdir: Workdir) -> None:
    said(workdir, "note", "2026-03", HOSTILE)
    page = said(workdir, "report", "--format", "html")
    assert "<b>x</b>" not in page
    for form in ("text", "markdown", "csv"):
        assert "\x1b" not in said(workdir, "notes", "--format", form)
    told = said(workdir, "report", "--format", "markdown")
    assert r"\[z\](" in told
    assert "\x1b" not in told + said(workdir, "report")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["note"], 2),
        (["note", "2026-03"], 2),
        (["note", "2026-03", " \n "], 2),
        (["note", "2026-03", "x" * 501], 2),
        (["note", "2026-03", "x", "--withdraw", "1"], 2),
        (["note", "2026-03", "x", "--url", "javascript:alert(1)"], 2),
        (["note", "2026-03", "x", "--customer", "cus_nobody"], 1),
        (["note", "--withdraw", "7"], 1),
    ],
)
def test_what_is_no_note_is_refused(
    workdir: Workdir, words: list[str], code: int
) -> None:
    assert workdir.call(*words).code == code


def test_a_note_is_never_edited_or_deleted(workdir: Workdir) -> None:
    said(workdir, "note", "2026-03", "price rise")
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        for tampering in (
            "UPDATE notes SET text = 'another'",
            "UPDATE notes SET text = '', url = ''",
            "DELETE FROM notes",
            "REPLACE INTO notes SELECT * FROM notes",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(tampering)


def test_forget_takes_the_text_of_a_customers_note(workdir: Workdir) -> None:
    moved = workdir.call("movements", "--format", "json").json["movements"]
    one, other = list(dict.fromkeys(each["customer"] for each in moved))[:2]
    said(workdir, "note", "2026-03", "Ottilie calls", "--customer", one)
    said(workdir, "note", "2026-03", "stays here", "--customer", other)
    said(workdir, "forget", one)
    assert b"Ottilie calls" not in workdir.ledger.read_bytes()
    gone, stays = workdir.call("notes", "--format", "json").json["notes"]
    assert (gone["customer"], gone["text"]) == (one, "")
    assert stays["text"] == "stays here"
    assert workdir.call("note", "2026-03", "x", "--customer", one).code == 2


def test_notes_come_back_from_a_backup(workdir: Workdir) -> None:
    said(workdir, "note", "2026-03", "price rise")
    said(workdir, "backup", "kept.db")
    said(workdir, "note", "2026-03", "a later one")
    said(workdir, "restore", "kept.db")
    listed = workdir.call("notes", "--format", "json").json["notes"]
    assert [each["text"] for each in listed] == ["price rise"]


# Goals


@pytest.mark.parametrize(
    ("goal", "word"),
    [('"0.5"', "above"), ("0.5", "above"), ('"50%"', "above"), ("3", "below")],
)
def test_a_goal_is_a_word_and_a_line(workdir: Workdir, goal: str, word: str) -> None:
    workdir.configure(f"{ZONE}[goals]\nnrr = {goal}\n")
    shown = "300.0%" if goal == "3" else "50.0%"
    sentence = f"is {word} the goal of {shown}."
    assert sentence in said(workdir, "report")
    assert sentence in said(workdir, "report", "--format", "markdown")
    page = said(workdir, "report", "--format", "html")
    assert sentence in page
    assert page.count('<line class="goal"') == page.count(f"the goal: {shown}") > 0
    [part] = workdir.call("report", "--format", "json").json["currencies"][:1]
    assert part["goals"][0]["is_reached"] is (word == "above")


def test_without_goals_nothing_is_said_of_any(workdir: Workdir) -> None:
    assert "goal" not in said(workdir, "report", "--format", "html").replace(
        ".goal", ""
    )


def test_an_incomplete_window_is_held_to_no_goal(workdir: Workdir) -> None:
    workdir.configure(f"{ZONE}[goals]\nnrr = 0.5\n")
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        connection.execute(
            "INSERT INTO dirty_customers (customer)"
            " SELECT id FROM stripe_customers LIMIT 1"
        )
        connection.commit()
    assert "the goal" not in said(workdir, "report")


@pytest.mark.parametrize("goal", ['"often"', "0", "-1", "true", "[1]", "110"])
def test_what_is_no_ratio_is_no_goal(workdir: Workdir, goal: str) -> None:
    workdir.configure(f"{ZONE}[goals]\nnrr = {goal}\n")
    ran = workdir.call("report")
    assert ran.code == 1
    assert "goals.nrr" in ran.err
