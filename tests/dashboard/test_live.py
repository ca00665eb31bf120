"""The newest state without a restart, and nothing worked out twice while it is the same."""

import re
import signal
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import httpx
import pytest

from connector.dashboard.ledger_reader import KeptResults
from connector.store.database import put_setting, transaction
from connector.store.mirror.dirty_customers import mark
from connector.store.opening import open_database
from tests.support.commands import Workdir
from tests.support.served import PATIENCE_S
from tests.support.site import Site, read, site_of
from tests.support.small_ledger import lay_out


def test_a_closing_is_seen_without_a_restart(copied: Workdir) -> None:
    with site_of(copied.folder) as site:
        assert "No month is closed yet" in site.page("/").text
        assert copied.call("close", "2026-09").code == 0
        assert "1 month closed" in site.page("/").text
        assert "September 2026" in site.page("/restatements").text
        assert copied.call("close", "2026-09", "--withdraw", "a typo").code == 0
        assert "No month is closed yet" in site.page("/restatements").text
        assert "a typo" in site.page("/restatements").text


def test_another_file_in_its_place_is_read_from_then_on(
    copied: Workdir, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = lay_out(tmp_path_factory.mktemp("other"), "Somebody else")
    with site_of(copied.folder) as site:
        assert "Somebody else" not in site.page("/customers").text
        other.ledger.replace(copied.ledger)
        assert "Somebody else" in site.page("/customers").text


def test_an_open_page_learns_that_there_is_something_newer(copied: Workdir) -> None:
    with site_of(copied.folder) as site:
        first = site.get("/state")
        own = re.search(r'data-state="(\w+)"', site.get("/").text)
        assert own is not None
        assert first.headers["etag"] == f'"{own[1]}"'
        same = site.get("/state", If_None_Match=first.headers["etag"])
        assert (same.status_code, same.content) == (304, b"")
        with closing(open_database(copied.ledger)) as connection:
            mark(connection, ["cus_1rI7CieY3u8myG"])
        assert (
            site.get("/state", If_None_Match=first.headers["etag"]).status_code == 200
        )


def test_a_question_is_worked_out_once_while_nothing_is_committed(
    copied: Workdir,
) -> None:
    numbers = count(1)
    with site_of(copied.folder) as site:

        def ask() -> int:
            with site.reader.reading() as reading:
                return reading.keep("what", lambda: next(numbers))

        assert [ask(), ask(), ask()] == [1, 1, 1]
        with closing(open_database(copied.ledger)) as connection:
            with transaction(connection):
                put_setting(connection, "told", "something")
            assert [ask(), ask()] == [2, 2]


def test_no_more_is_kept_than_there_is_room_for() -> None:
    kept = KeptResults(most_rows=100)
    kept.of("state")
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    for name in ("a", "b", "c", "c", "a"):
        kept.get("state", name, partial(make, name), lambda _: 40)
    assert made == ["a", "b", "c", "a"]
    kept.of("another state")
    kept.get("another state", "a", lambda: make("a"), lambda _: 40)
    assert made[-2:] == ["a", "a"]


def test_a_reader_cannot_write(site: Site) -> None:
    with site.reader.reading() as reading, pytest.raises(Exception, match="readonly"):
        reading.ledger.connection.execute("DELETE FROM settings")


def test_the_command_tells_its_address_answers_and_ends(copied: Workdir) -> None:
    process = copied.start("dashboard", "--bind", "127.0.0.1:0")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        response = httpx.get(f"{address}/", timeout=PATIENCE_S)
        assert response.status_code == 200
        assert "NRR 106.6%" in read(response.text).text
        assert "server" not in response.headers
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        out, err = process.communicate()
        assert (out, err) == ("", "")
    finally:
        process.kill()
        process.wait()


def test_the_command_refuses_other_machines_without_a_token(copied: Workdir) -> None:
    ran = copied.call("dashboard", "--bind", "0.0.0.0:0")
    assert ran.code == 1
    assert "[dashboard] token_file" in ran.err


def test_an_address_that_is_taken_is_named(copied: Workdir, tmp_path: Path) -> None:
    del tmp_path
    ran = copied.call("dashboard", "--bind", "nowhere")
    assert ran.code == 2
    assert "127.0.0.1:8481" in ran.err


def test_the_demo_ends_in_the_dashboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", "true")
    process = Workdir(tmp_path).start("demo", "--open")
    try:
        assert process.stdout is not None
        said = (line.strip() for line in process.stdout)
        address = next(line for line in said if line.startswith("http://127.0.0.1:"))
        assert "Bundled demo account" in httpx.get(address, timeout=PATIENCE_S).text
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()
