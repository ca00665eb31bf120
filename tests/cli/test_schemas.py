"""What ``docs/schema`` promises of the JSON is what the commands write, of any ledger.

``python -m tests.support.schemas`` writes the files anew.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from connector.core.model import JSON_SCHEMA
from tests.support import schemas
from tests.support.commands import Workdir
from tests.support.folders import FIXTURES
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.synced import SEEN, shop

PROMISED = {
    path.stem: json.loads(path.read_text()) for path in schemas.FOLDER.glob("*.json")
}
GOLDEN = [
    *(FIXTURES / "output" / "reports").glob("*.json"),
    *(FIXTURES / "output" / "coverage").glob("*.json.txt"),
]


def faults(name: str, value: Any) -> list[str]:
    found = Draft202012Validator(PROMISED[name]).iter_errors(value)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


def command_of(path: Path) -> str:
    """``report-by-plan.json`` is of the report, ``accepted.check.json.txt`` of check."""
    plain = path.name.removesuffix(".txt").removesuffix(".json").split(".")[-1]
    if plain.startswith("movements-by"):
        return "movements-by"
    return next(name for name in schemas.ASKED if plain.startswith(name))


def test_the_files_are_what_the_commands_write() -> None:
    on_disk = {path.name: path.read_text() for path in schemas.FOLDER.glob("*.json")}
    assert on_disk == schemas.made()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_accepted_outputs_keep_the_promise(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told = json.loads(text[text.index("{") :])
    assert faults(command_of(path), told) == []
    assert told["schema"] == JSON_SCHEMA


@pytest.mark.parametrize("name", schemas.ASKED)
def test_so_does_another_account(name: str, tmp_path: Path) -> None:
    with empty_ledger() as connection:
        look(connection, shop().objects, SEEN)
        settle(connection, SEEN, "UTC")
        connection.execute("VACUUM INTO ?", [str(tmp_path / "stripe-nrr.db")])
    workdir = Workdir(tmp_path).configure('timezone = "UTC"\n')
    schemas.with_theirs(workdir)
    customer = workdir.call("movements", "--format", "json").json["movements"][0]
    for line in schemas.ASKED[name]:
        words = line.replace("2026-06", "2024-12").split()
        words = [word.format(customer=customer["customer"]) for word in words]
        ran = workdir.call(*words, "--format", "json")
        assert faults(name, ran.json) == [], line


def test_a_broken_promise_is_seen() -> None:
    path = FIXTURES / "output" / "reports" / "report.json"
    told = json.loads(path.read_text())
    lacking, other = copy.deepcopy(told), copy.deepcopy(told)
    del lacking["currencies"][0]["windows"][0]["retention"]["nrr"]
    other["currencies"][0]["windows"][0]["waterfall"]["opening_minor"] = "279.52"
    newer = {**told, "schema": JSON_SCHEMA + 1}
    for broken in (lacking, other, newer):
        assert faults("report", broken)
    assert not faults("report", {**told, "a_new_key": 1})
