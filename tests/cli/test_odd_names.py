"""Names that show nothing, names without end, and one name of two: who is meant is seen."""

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from connector.core.text import cells, clipped, is_seen
from tests.support.commands import Workdir
from tests.support.site import site_of
from tests.support.small_ledger import GROWS, account, lay_out, lay_out_of

BLANK = (
    *(" ", "   \t", "\u200b", "\u200b \u200d\ufeff", "\x07", "\x00\x1f", "\u00a0"),
    *("\u3000", "\u2060", "\u202e", "\u115f\u3164", "\u2800", "\ufe0f", "\U000e0041"),
)
SEEN = ("a", " a ", "宏", "–", "👩‍💻", "\u200bA", "0", ".", "\x07 bell", "e\u0301")


@pytest.mark.parametrize("text", BLANK, ids=ascii)
def test_what_shows_nothing(text: str) -> None:
    assert not is_seen(text)


@pytest.mark.parametrize("text", SEEN, ids=ascii)
def test_what_shows_something(text: str) -> None:
    assert is_seen(text)


TEXTS: Sequence[Sequence[str]] = [
    ("movements",),
    ("at-risk",),
    ("churn",),
    ("explain", "--window", "2026-10"),
    ("explain", GROWS),
    ("report", "--by", "plan", "--causes", "--window", "month", "--from", "2026-03"),
    ("digest", "--peek", "--since", "2026-01-01"),
]


@pytest.mark.parametrize("name", ["\u200b \x07", "\u3164", "  "], ids=ascii)
def test_who_has_a_name_that_shows_nothing_goes_by_its_id(
    tmp_path: Path, name: str
) -> None:
    workdir = lay_out(tmp_path, name)
    for words in TEXTS:
        ran = workdir.call(*words)
        assert ran.code == 0, ran.err
        assert f"{name} (cus_" not in ran.out
        assert not re.search(r"[(]cus_\w+[)]", ran.out), "as it stands by itself"
    assert GROWS in workdir.call("movements").out
    listed = workdir.call("movements", "--format", "json").json["movements"]
    assert {each["customer"]["label"] for each in listed if "label" in each} <= {None}
    page = workdir.call("report", "--format", "html").out
    assert GROWS in page
    with site_of(tmp_path) as site:
        assert f">{GROWS}</a>" in site.get("/customers").text


def test_a_ledger_that_has_such_a_name_loses_it_with_the_next_recompute(
    tmp_path: Path,
) -> None:
    workdir = lay_out(tmp_path)
    with closing(sqlite3.connect(workdir.ledger)) as connection, connection:
        connection.execute("UPDATE customers SET label = ' '")
        connection.execute(
            "UPDATE stripe_customers SET body ="
            " CAST(json_set(body, '$.label', ' ') AS BLOB)"
        )
    assert workdir.call("recompute").code == 0
    assert GROWS in workdir.call("at-risk", "--format", "csv").out
    assert re.search(rf"^ *\S+ +{GROWS} ", workdir.call("movements").out, re.MULTILINE)


LONG = "Donaudampfschiffahrt " * 14  # 294 letters
WIDE = 140  # cells, of a text for a pipe


@pytest.mark.parametrize(
    "words",
    [
        *(("explain", "--window", "2026-03"), ("movements",), ("at-risk",), ("churn",)),
        ("restatements",),
    ],
    ids=" ".join,
)
def test_a_long_name_widens_no_table(tmp_path: Path, words: Sequence[str]) -> None:
    workdir = lay_out(tmp_path, LONG)
    ran = workdir.call(*words)
    assert ran.code == 0, ran.err
    tables = [line for line in ran.out.splitlines() if "cus_" in line or "──" in line]
    assert all(cells(line) <= WIDE for line in tables), max(tables, key=cells)
    if words[0] in {"explain", "movements", "at-risk", "churn"}:
        assert re.search(r"Donau\w*…", ran.out)
        form = "csv" if words[0] == "movements" else "json"
        assert LONG.strip() in workdir.call(*words, "--format", form).out


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("Acme", 4, "Acme"),
        ("Acme Inc", 6, "Acme…"),
        ("宏图建设有限公司", 9, "宏图建设…"),
        ("宏图建设有限公司", 16, "宏图建设有限公司"),
        ("", 4, ""),
    ],
)
def test_a_text_is_clipped_by_what_it_takes(text: str, room: int, shown: str) -> None:
    assert clipped(text, room) == shown
    assert cells(clipped(text, room)) <= room


NAMED: Sequence[Sequence[str]] = [
    *(("at-risk",), ("churn",), ("movements",), ("explain", "--window", "2026-03")),
    *(("at-risk", "--format", "markdown"), ("churn", "--format", "markdown")),
    ("reconcile", "theirs.csv"),
]


@pytest.mark.parametrize("words", NAMED, ids=" ".join)
def test_two_of_one_name_are_told_apart(tmp_path: Path, words: Sequence[str]) -> None:
    shown = json.loads(json.dumps(account("Twin")))
    workdir = lay_out_of(tmp_path, shown)
    ids = [each["id"] for each in shown["customers"]]
    rows = [f"{each},2026-02,10.00" for each in ids]
    (tmp_path / "theirs.csv").write_text("\n".join(["customer,month,mrr", *rows]))
    out = workdir.call(*words).out.replace("\\_", "_")
    named = set(re.findall(r"Twin \((cus_\w+)\)", out))
    assert named
    assert named <= set(ids)
    assert not re.search(r"Twin(?! \(cus_)", out)


def test_a_backup_of_one_account_is_named_where_the_file_asked_for_is_not_there(
    tmp_path: Path,
) -> None:
    """``backup`` gives the file of each account its name: copy-de.db."""
    workdir = Workdir(lay_out(tmp_path).folder).configure(
        'timezone = "UTC"\n'
        + "".join(
            f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\n'
            f'key_file = "{name}.key"\n'
            for name in ("uk", "de")
        )
    )
    for name in ("uk", "de"):
        (tmp_path / f"{name}.key").write_text("rk_test_x")
        workdir.ledger.with_name(f"{name}.db").write_bytes(workdir.ledger.read_bytes())
    assert workdir.call("backup", "copy.db").code == 0
    ran = workdir.call("restore", "copy.db", "--account", "de")
    assert ran.code == 1
    assert "there is no backup at copy.db, but there is one of de" in ran.err
    fix = "stripe-nrr restore --account de copy-de.db"
    assert fix in ran.err
    assert workdir.call(*fix.split()[1:]).code == 0
    ran = workdir.call("restore", "other.db", "--account", "de")
    assert "there is no backup at other.db" in ran.err
