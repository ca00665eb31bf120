"""What is logged: a time, a level and fields, a line a record, whatever is in it."""

import json
import logging
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.cli.app import COMMANDS
from connector.cli.logs import FieldFormatter
from connector.cli.shell import Shell
from tests.support.commands import Ran, Workdir
from tests.support.folders import ROOT
from tests.support.loopback import failing, on, serving
from tests.support.served import PATIENCE_S, until
from tests.support.small_ledger import lay_out
from tests.support.synced import shop

AT = "2026-11-26T06:30:01.482Z"


def line(
    form: str, template: str, *args: Any, name: str = "connector.a", **more: Any
) -> str:
    record = logging.LogRecord(name, logging.WARNING, "a.py", 1, template, args, None)
    record.created = 1_795_674_601.482
    record.__dict__ |= more
    return FieldFormatter(form).format(record)


@pytest.mark.parametrize(
    ("template", "args", "fields"),
    [
        pytest.param("a.b", (), {"event": "a.b"}, id="nothing but what happened"),
        pytest.param(
            "a.b n=%d kind=%s",
            (2, "in voices"),
            {"n": 2, "kind": "in voices"},
            id="fields",
        ),
        pytest.param(
            "a.b attempt=%d %s",
            (1, OSError("no. n=2")),
            {"why": "no. n=2"},
            id="a reason",
        ),
        pytest.param(
            "a.%s e=%s", ("dead", "evt_1"), {"event": "a.dead"}, id="two events"
        ),
        pytest.param("a.b going on: %r", ("x",), {"why": "going on: 'x'"}, id="words"),
        pytest.param("a.b at=%+d", (60,), {"at": 60}, id="a sign"),
        pytest.param(
            "a.b %s", ("rk_live_51AbCd refused",), {"why": "rk_… refused"}, id="a key"
        ),
    ],
)
def test_a_record_is_its_fields(
    template: str, args: tuple[Any, ...], fields: dict[str, Any]
) -> None:
    told = json.loads(line("json", template, *args))
    assert told["time"] == AT
    assert told["level"] == "WARNING"
    assert {name: told[name] for name in fields} == fields


def test_as_text_it_is_the_same_with_quotes_where_they_are_needed() -> None:
    assert line("text", "a.b n=%d kind=%s %s", 2, "x", "a b") == (
        f'time={AT} level=WARNING event=a.b n=2 kind=x why="a b"'
    )


def test_others_records_are_told_whole() -> None:
    told = json.loads(line("json", "%s of 100%%", "a=b", name="asyncio"))
    assert (told["event"], told["why"]) == ("asyncio", "a=b of 100%")


def test_a_traceback_is_a_field() -> None:
    secret = f"whsec_{'x' * 12}"
    with pytest.raises(ValueError, match=secret) as raised:
        int(secret)
    told = line("text", "a.b", exc_info=(raised.type, raised.value, raised.tb))
    assert len(told.splitlines()) == 1
    assert 'traceback="Traceback' in told
    assert secret not in told


def test_no_field_takes_the_place_of_what_every_record_has() -> None:
    """Each template of the package, as it stands in the source."""
    templates = [
        found
        for path in (ROOT / "connector").rglob("*.py")
        for found in re.findall(
            r'"([a-z_]+\.[a-z_%]+(?: [^"]*)?)"', path.read_text("utf-8")
        )
    ]
    names = {name for each in templates for name in re.findall(r" (\w+)=%", each)}
    assert {"attempt", "path", "stripe_event"} <= names
    assert not names & {"time", "level", "event", "why", "traceback"}


@given(
    value=st.text()
    | st.sampled_from(["\x1b]0;x\x07", "a\nlevel=ERROR", "\u202e", '"']),
    form=st.sampled_from(["text", "json"]),
)
def test_no_value_looks_like_another_line(value: str, form: str) -> None:
    said = line(form, "a.b id=%s %s", value, value)
    assert said.isascii()
    assert said.isprintable()
    if form == "json":
        assert json.loads(said)["id"] == value


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_line_of_a_sync_s_log_is_one(tmp_path: Path, form: str) -> None:
    with serving(shop(), faults=[None, failing(503), failing(503)]) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        ran = workdir.run("-vv", "--log-format", form, "sync", "-q")
        assert ran.code == 0
        assert stripe.key not in ran.err
    lines = ran.err.splitlines()
    assert any("stripe_http.retry" in each for each in lines)
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    for each in lines:
        if form == "json":
            told = json.loads(each)
            assert re.fullmatch(stamp, told["time"])
            assert {"level", "event"} <= told.keys()
        else:
            assert re.match(f"time={stamp} level=[A-Z]+ event=[a-z_.]+( |$)", each), (
                each
            )


def test_what_fails_again_and_again_is_logged_as_json_too(tmp_path: Path) -> None:
    with serving(shop(), faults=on("/v1/prices", *[failing(400)] * 99)) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        process = workdir.start("--log-format", "json", "sync", "-q", "--every", "1s")
        until(lambda: len(stripe.requests) > 4)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    told = [json.loads(each) for each in err.splitlines()]
    failed = [each for each in told if each["event"] == "sync.failed"]
    assert failed
    assert "HTTP 400" in failed[0]["why"]
    assert failed[0]["fix"]


# --- what every command says beside its result ---

ENDS: Mapping[str, Sequence[str]] = {
    "backup": ("copy.db",),
    "explain": ("cus_1",),
    "close": ("2026-03",),
    "restore": ("copy.db",),
    "forget": ("cus_1",),
    "export": ("--what", "mrr"),
    "config": ("--nope",),
}
NOT_WITHOUT = {  # what needs no ledger, or goes on
    *("demo", "dashboard", "doctor", "mcp"),
}


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - NOT_WITHOUT))
def test_what_failed_is_told_as_json_too(tmp_path: Path, command: str) -> None:
    """Without a key, a secret and a ledger; a person is told the same in lines."""
    workdir = Workdir(tmp_path, key=None).configure('timezone = "UTC"\n')
    words = (command, *ENDS.get(command, ()))
    told = last_record(workdir.call("--log-format", "json", *words))
    event = f"{command.replace('-', '_')}.failed"
    assert (told["event"], told["level"]) == (event, "ERROR")
    said = workdir.call("--log-format", "text", *words).err.splitlines()
    assert said == [f"error: {told['why']}", f"  fix: {told['fix']}"]


@pytest.mark.parametrize(
    ("words", "event"),
    [
        (["--log-format", "json", "report", "--nope"], "report.failed"),
        (["--log-format=json", "report", "--by", "\x1b]0;x\x07%s"], "report.failed"),
        (["--log-format", "text", "--log-format", "json", "sync", "x"], "sync.failed"),
        (["--log-format", "json", "at-risk", "--nope"], "at_risk.failed"),
        (["--log-format", "json", "re%sport"], "stripe_nrr.failed"),
        (["--log-format", "json"], "stripe_nrr.failed"),
        (["--log-format", "json", "--nope"], "stripe_nrr.failed"),
        (["--config", "report", "--log-format", "json", "close"], "close.failed"),
        (["--config=no.toml", "--log-format", "json", "report"], "report.failed"),
    ],
)
def test_wrong_usage_is_told_as_json_too(
    tmp_path: Path, words: list[str], event: str
) -> None:
    ran = Workdir(tmp_path).call(*words)
    assert ran.code in {1, 2}
    assert last_record(ran)["event"] == event


def test_the_last_form_that_is_asked_for_counts(tmp_path: Path) -> None:
    words = ("--log-format", "json", "--log-format", "text", "report")
    assert Workdir(tmp_path).call(*words).err.startswith("error: ")


def test_warnings_and_notes_are_records_too(tmp_path: Path) -> None:
    workdir = lay_out(tmp_path)
    (tmp_path / "config.toml").write_text('timezone = "Europe/Berlin"\n')
    for words in (("report",), ("recompute",)):
        ran = workdir.call("--log-format", "json", *words)
        records = [json.loads(each) for each in ran.err.splitlines()]
        assert records, words
        assert {each["event"].rpartition(".")[2] for each in records} <= {
            "warning",
            "note",
        }


def test_a_fault_of_the_program_is_a_record_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_shell: Shell) -> None:
        raise ZeroDivisionError("of\nno use")

    monkeypatch.setattr(Shell, "ledger", broken)
    monkeypatch.setattr(Shell, "reading", broken)
    workdir = Workdir(tmp_path)
    ran = workdir.call("--log-format", "json", "recompute")
    assert ran.code == 1
    assert "ZeroDivisionError" in last_record(ran)["traceback"]


def last_record(ran: Ran) -> dict[str, Any]:
    """All that is on stderr is records; the last of them."""
    records = [json.loads(each) for each in ran.err.splitlines()]
    assert all({"time", "level", "event"} <= each.keys() for each in records)
    told: dict[str, Any] = records[-1]
    return told
