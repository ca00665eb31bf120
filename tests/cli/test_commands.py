"""The whole job as a user does it: real processes against Stripe on loopback."""

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connector.pipeline.bundled_account import bundled_folder
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.billing.catalogue import Coupon, Price
from tests.support.commands import Workdir
from tests.support.loopback import Served, delayed, held_until, on, serving
from tests.support.served import FOREVER_S, PATIENCE_S, until
from tests.support.simulator import SimulatedAccount

NOW = instant("2026-11-10T12:00:00Z")
BERLIN = ZoneInfo("Europe/Berlin")


def small_business() -> Account:
    """Three customers: one grows, one leaves, one comes late."""
    account = Account(instant("2026-01-10T09:00:00Z"), seed=7)
    seat = account.add_product("Team", unit_label="seat")
    team: Price = account.add_price(seat, 1500)
    half: Coupon = account.add_coupon("HALF", percent_off=50)
    grows = account.subscribe(account.add_customer("Grows"), [(team, 4)], coupon=half)
    leaves = account.subscribe(account.add_customer("Leaves"), [(team, 10)])
    account.advance(instant("2026-03-20T10:00:00Z"))
    account.change_quantity(grows.items[0], 6)
    account.cancel_at_period_end(leaves)
    account.advance(instant("2026-06-15T10:00:00Z"))
    account.subscribe(account.add_customer("Late"), [(team, 1)])
    account.advance(NOW)
    return account


@pytest.fixture(scope="module")
def business() -> SimulatedAccount:
    return SimulatedAccount(small_business().snapshot())


@pytest.fixture
def stripe(business: SimulatedAccount) -> Iterator[Served]:
    with serving(business) as served:
        yield served


CONFIG = 'timezone = "Europe/Berlin"\n'


@pytest.fixture(scope="module")
def synced_folder(
    business: SimulatedAccount, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("synced")
    with serving(business) as served:
        ran = Workdir(folder, served.url).configure(CONFIG).call("sync")
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served, synced_folder: Path) -> Workdir:
    """A ledger of its own that one sync has filled."""
    shutil.copytree(synced_folder, tmp_path, dirs_exist_ok=True)
    return Workdir(tmp_path, stripe.url)


@pytest.fixture
def empty_workdir(tmp_path: Path, stripe: Served) -> Workdir:
    return Workdir(tmp_path, stripe.url).configure(CONFIG)


def test_a_page_is_written_as_a_whole(workdir: Workdir) -> None:
    written = workdir.run("report", "--format", "html", "-o", "report.html")
    assert (written.code, written.out, written.err) == (0, "", "")
    page = (workdir.folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")


def test_every_request_of_a_sync_is_counted(
    empty_workdir: Workdir, stripe: Served
) -> None:
    """Also the one that asks what time it is, where a first sync had stopped at once."""
    with closing(open_database(empty_workdir.ledger, create=True)):
        before = len(stripe.requests)
        synced = empty_workdir.call("sync", "--format", "json")
    assert synced.json["requests"] == len(stripe.requests) - before
    assert synced.json["requests_in_30_days"] == synced.json["requests"]


def test_sync_then_report_over_http(empty_workdir: Workdir) -> None:
    """The figures are those worked out by hand from what happened."""
    workdir = empty_workdir
    synced = workdir.run("sync", "--format", "json")
    assert synced.code == 0, synced.err
    assert synced.json["seen"]["subscriptions"] == 3
    assert synced.json["refused"] == []
    asked = ("--window", "trailing-12", "--from", "2026-10", "--to", "2026-10")
    report = workdir.run("report", *asked, "--format", "json")
    assert report.code == 0, report.err
    (usd,) = report.json["currencies"]
    (window,) = usd["windows"]
    assert (window["from"], window["to"]) == ("2025-11-01", "2026-11-01")
    assert window["waterfall"] == {
        "opening_minor": 0,
        "new_minor": 3000 + 15000 + 1500,
        "reactivation_minor": 0,
        "expansion_minor": 1500,
        "contraction_minor": 0,
        "churn_minor": 15000,
        "fx_minor": 0,
        "closing_minor": 6000,
    }
    assert window["retention"]["nrr"] is None, "nobody paid at the opening"


def test_the_quarter_keeps_who_stayed(workdir: Workdir) -> None:
    """NRR and GRR of Q2: 30 → 45 and 150 → 0, of an opening of 195."""
    asked = ("--window", "quarter", "--from", "2026-04", "--to", "2026-06")
    report = workdir.call("report", *asked, "--format", "json").json
    (window,) = report["currencies"][0]["windows"]
    assert window["retention"] == {
        "customers": 2,
        "opening_minor": 19500,
        "expansion_minor": 0,
        "contraction_minor": 0,
        "churn_minor": 15000,
        "closing_minor": 4500,
        "nrr": round(45 / 195, 6),
        "grr": round(45 / 195, 6),
        "crr": 0.5,
    }


def test_movements_name_their_evidence(workdir: Workdir) -> None:
    moved = workdir.call("movements", "--format", "json").json["movements"]
    told = [(m["day"], m["kind"], m["amount_minor"], m["after_minor"]) for m in moved]
    assert told == [
        ("2026-01-10", "new", 3000, 3000),
        ("2026-01-10", "new", 15000, 15000),
        ("2026-03-20", "expansion", 1500, 4500),
        ("2026-04-10", "churn", -15000, 0),
        ("2026-06-15", "new", 1500, 1500),
    ]
    (change,) = moved[2]["components"]
    assert change["cause"] == "quantity"
    kinds = {proof["kind"] for proof in change["evidence"]}
    assert kinds == {"invoice_line", "invoice"}
    assert change["evidence"][0]["at"] == "2026-03-20T10:00:00Z"
    assert set(moved[0]) == {
        *("customer", "currency", "day", "kind", "amount_minor"),
        *("before_minor", "after_minor", "components"),
    }


def test_explain_shows_the_sum(workdir: Workdir) -> None:
    days = [datetime.now(BERLIN)]
    told = workdir.call("explain", "Grows")
    days.append(datetime.now(BERLIN))
    assert told.code == 0, told.err
    late = workdir.call("explain", "Grows", "--on", "2030-08-31")
    assert late.code == 2
    assert "the last day that the ledger knows" in late.err
    assert any(f"MRR on {day.day} {day:%b %Y}: $45.00" in told.out for day in days)
    assert "was  4 seats × $15.00 × 1/1 month − 50% = $30.00" in told.out
    assert "is   6 seats × $15.00 × 1/1 month − 50% = $45.00" in told.out
    before = workdir.call("explain", "Grows", "--on", "2026-03-19", "--format", "json")
    assert before.json["mrr"] == [{"currency": "usd", "amount_minor": 3000}]


def test_a_second_sync_and_a_recompute_change_nothing(workdir: Workdir) -> None:
    first = workdir.run("movements", "--format", "json").out
    again = workdir.run("sync", "--format", "json").json
    assert (again["movements"], again["retractions"]) == (0, 0)
    anew = workdir.run("recompute", "--format", "json").json
    assert (anew["customers"], anew["movements"], anew["retractions"]) == (3, 0, 0)
    assert workdir.run("movements", "--format", "json").out == first
    checked = workdir.run("check")
    assert (checked.code, checked.out) == (0, "5 movements checked, 0 findings.\n")


def test_another_policy_is_a_run_of_its_own_and_the_past_stays(
    workdir: Workdir,
) -> None:
    """After churn = "requested" the cancellation counts in March; as of before, April."""
    with closing(sqlite3.connect(workdir.ledger)) as ledger:
        ((reported_at,),) = ledger.execute("SELECT max(started_at) FROM runs")
    workdir.configure('timezone = "Europe/Berlin"\n[policy]\nchurn = "requested"\n')
    warned = workdir.call("report")
    assert "run `stripe-nrr recompute`" in warned.err
    assert "another policy" in workdir.call("close", "2040-01").err
    changed = workdir.call("recompute")
    assert "policy change: churn ended → requested" in changed.err
    assert churn_days(workdir) == ["2026-03-20"]
    asked = ("--from", "2026-04", "--to", "2026-04", "--window", "month")
    now = workdir.call("report", *asked, "--format", "json").json
    then = workdir.call(
        "report", *asked, "--as-of", reported_at, "--format", "json"
    ).json
    assert now["policy"]["churn"] == "requested"
    assert then["policy"]["churn"] == "ended"
    assert churn_of(now) == 0
    assert churn_of(then) == 15000
    with closing(sqlite3.connect(workdir.ledger)) as ledger:
        causes = ledger.execute("SELECT cause FROM runs ORDER BY id").fetchall()
    assert causes == [("sync",), ("policy change",)]


def test_a_merged_customer_is_one(workdir: Workdir) -> None:
    """Who left as one id and came as another neither left nor is new."""
    moved = workdir.call("movements", "--format", "json").json["movements"]
    left, came = moved[3]["customer"], moved[4]["customer"]
    workdir.configure(f'{CONFIG}[customers]\nmerge = {{{left} = "{came}"}}\n')
    assert workdir.call("recompute").code == 0
    told = workdir.call("movements", "--customer", came, "--format", "json").json
    kinds = [movement["kind"] for movement in told["movements"]]
    assert kinds == ["new", "churn", "reactivation"]
    assert workdir.call("check").code == 0
    workdir.configure(CONFIG)
    assert workdir.call("recompute").code == 0
    again = workdir.call("movements", "--format", "json").json["movements"]
    assert again == moved


def test_all_currencies_in_one(workdir: Workdir) -> None:
    """A total beside each currency; a missing rate is named with its day."""
    text = f'{CONFIG}[reporting]\ncurrency = "eur"\nrates = "rates.csv"\n'
    workdir.configure(text)
    rates = "date,currency,rate\n2026-03-31,usd,0.8\n2026-06-30,usd,0.5\n"
    (workdir.folder / "rates.csv").write_text(rates)
    asked = ("--window", "quarter", "--from", "2026-04", "--to", "2026-04")
    report = workdir.call("report", *asked, "--format", "json").json
    assert report["total"]["currency"] == "eur"
    flow = report["total"]["windows"][0]["waterfall"]
    assert flow["opening_minor"] == 19500 * 8 // 10
    assert flow["fx_minor"] == -19500 * 3 // 10
    assert flow["churn_minor"] == 15000 // 2
    assert flow["closing_minor"] == 6000 // 2
    shown = workdir.call("report", *asked)
    assert "all currencies in EUR" in shown.out
    failed = workdir.call("report", "--from", "2026-09", "--to", "2026-09")
    assert failed.code == 1
    assert "has no rate for USD on 2026-" in failed.err


def churn_days(workdir: Workdir) -> list[str]:
    found = workdir.call("movements", "--kind", "churn", "--format", "json").json
    return [movement["day"] for movement in found["movements"]]


def churn_of(
    report: dict[str, list[dict[str, list[dict[str, dict[str, int]]]]]],
) -> int:
    return report["currencies"][0]["windows"][0]["waterfall"]["churn_minor"]


def test_a_killed_sync_goes_on_and_ends_the_same(
    tmp_path: Path, business: SimulatedAccount, synced_folder: Path
) -> None:
    """kill -9 while Stripe answers slowly; the next run resumes, the ledger is whole."""
    expected = Workdir(synced_folder).call("movements", "--format", "json").out
    with serving(business, faults=on("/v1/invoices", delayed(FOREVER_S))) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure(CONFIG)
        process = workdir.start("sync")
        wait_until_asked(stripe, "/v1/invoices", process)
        process.kill()
        process.communicate()
        with closing(sqlite3.connect(workdir.ledger)) as connection:
            [(before,)] = connection.execute("SELECT total(requests) FROM reads")
        assert before > 0, "what the killed one had stored, it had counted"
        again = workdir.call("sync", "--format", "json")
        assert again.code == 0, again.err
        assert again.json["resumed"] is True
        assert again.json["requests_in_30_days"] == before + again.json["requests"]
        assert workdir.call("movements", "--format", "json").out == expected


def wait_until_asked(
    stripe: Served, path: str, process: "subprocess.Popen[str]"
) -> None:
    def is_asked() -> bool:
        is_so = any(request.path == path for request in stripe.requests)
        assert is_so or process.poll() is None, process.communicate()
        return is_so

    until(is_asked)


def test_one_sync_at_a_time(workdir: Workdir, stripe: Served) -> None:
    """The second one says so and exits 75; reports go on."""
    goes_on = threading.Event()
    stripe.spoil(on("/v1/invoices", held_until(goes_on)))
    first = workdir.start("sync", "--full")
    wait_until_asked(stripe, "/v1/invoices", first)
    second = workdir.call("sync")
    assert second.code == 75
    assert f"another sync (process {first.pid} on " in second.err
    assert workdir.call("report").code == 0
    goes_on.set()
    first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0


@pytest.mark.parametrize(
    "form", ["json", "csv", "markdown", "text"], ids="as {}".format
)
def test_a_report_goes_into_a_file(workdir: Workdir, form: str) -> None:
    asked = ("report", "--from", "2026-10", "--to", "2026-10")
    ran = workdir.call(*asked, "--format", form, "-o", "report.out")
    assert (ran.code, ran.out) == (0, "")
    assert "2026" in (workdir.folder / "report.out").read_text(encoding="utf-8")
    assert [p.name for p in workdir.folder.glob(".*draft*")] == []


def test_no_personal_data_but_the_label_and_no_key_is_stored(workdir: Workdir) -> None:
    """The file holds neither an address nor a key; with label = "id" no name either."""
    stored = workdir.ledger.read_bytes()
    assert b"@example.com" not in stored
    assert b"rk_test_loopback" not in stored
    assert b"Grows" in stored
    anonymous = workdir.folder / "anonymous.toml"
    anonymous.write_text('database = "anonymous.db"\n[customers]\nlabel = "id"\n')
    ran = workdir.call("--config", str(anonymous), "sync")
    assert ran.code == 0, ran.err
    assert b"Grows" not in (workdir.folder / "anonymous.db").read_bytes()


BAD = {
    "no key": (["sync"], {"key": None}, 1, "no Stripe key"),
    "a wrong key": (["sync"], {"key": "rk_test_wrongwrong1234"}, 1, "HTTP 401"),
    "a from after a to": (
        ["report", "--from", "2026-05", "--to", "2026-01"],
        {},
        2,
        "is after --to",
    ),
    "no such option": (["report", "--colour"], {}, 2, "No such option"),
    "no such month": (["report", "--from", "2026-13"], {}, 2, "is not a month"),
    "no such moment": (["report", "--as-of", "soon"], {}, 2, "is not a moment"),
    "the end of time": (
        ["report", "--as-of", "9999-12-31T23:59:59-10:00"],
        {},
        2,
        "is not a moment",
    ),
    "the first month of all": (["report", "--from", "0001-01"], {}, 2, "not a month"),
    "the last day of all": (["movements", "--to", "9999-12-31"], {}, 2, "not a day"),
    "no such currency": (["report", "--currency", "xxx"], {}, 1, "no currency 'xxx'"),
    "no such customer": (["explain", "cus_none"], {}, 1, "no customer 'cus_none'"),
    "no such customer to recompute": (
        ["recompute", "--customer", "cus_none"],
        {},
        1,
        "nothing was ever fetched",
    ),
    "no such file": (["--config", "none.toml", "report"], {}, 1, "none.toml"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_is_answered_in_two_lines(
    workdir: Workdir, case: tuple[list[str], dict[str, str | None], int, str]
) -> None:
    """What is wrong, and what to do; no traceback, nothing half-written."""
    words, given, code, said = case
    before = workdir.ledger.read_bytes()
    ran = Workdir(workdir.folder, workdir.stripe, given.get("key", workdir.key)).run(
        *words
    )
    assert ran.code == code
    assert said in ran.err
    assert "\n  fix: " in ran.err
    assert "Traceback" not in ran.err
    assert "wrongwrong" not in ran.err
    assert len(ran.err.splitlines()) == 2
    assert workdir.ledger.read_bytes() == before


@pytest.mark.parametrize("name", ["", " ", "."])
def test_a_file_needs_a_name(workdir: Workdir, name: str) -> None:
    for words in (["report"], ["movements", "--format", "csv"]):
        ran = workdir.call(*words, "-o", name)
        assert ran.code == 2
        assert "Traceback" not in ran.err


def test_a_movement_that_does_not_add_up_is_a_finding(workdir: Workdir) -> None:
    with closing(sqlite3.connect(workdir.ledger)) as changed:
        changed.execute("PRAGMA ignore_check_constraints = ON")
        changed.execute("DROP TRIGGER movements_are_never_edited")
        changed.execute(
            "UPDATE movements SET after_minor = after_minor + 5 WHERE id = 1"
        )
        changed.commit()
    check, listed = workdir.call("check"), workdir.call("movements", "--format", "csv")
    assert (check.code, listed.code) == (3, 1)
    assert "movement 1 (" in check.out
    assert listed.err.startswith("error: movement 1 (")
    assert "Traceback" not in check.err + listed.err


def test_a_key_that_may_not_read_names_the_permission(
    workdir: Workdir, stripe: Served
) -> None:
    stripe.forbidden = {"invoices"}
    ran = workdir.call("sync", "--full")
    assert ran.code == 1
    assert "may not read /v1/invoices" in ran.err
    assert "Invoices: read" in ran.err


def test_a_wrong_key_leaves_no_ledger(tmp_path: Path, stripe: Served) -> None:
    workdir = Workdir(tmp_path, stripe.url, key="rk_test_wrongwrong1234").configure("")
    assert workdir.call("sync").code == 1
    assert not workdir.ledger.exists()


def test_an_unreachable_host_is_said_soon(tmp_path: Path) -> None:
    ran = Workdir(tmp_path).configure("").call("sync")
    assert ran.code == 1
    assert "no connection" in ran.err
    assert "check the network" in ran.err


def test_the_demo_runs_and_tells_what_to_do_next(tmp_path: Path) -> None:
    """The demo's own figures, and a kept folder that other commands can use."""
    workdir = Workdir(tmp_path, key=None)
    ran = workdir.call("demo", "--keep", "kept")
    assert ran.code == 0, ran.err
    for said in ("NRR", "GRR", "Closing MRR", "USD", "EUR", "STRIPE_API_KEY"):
        assert said in ran.out
    again = workdir.call("demo", "--keep", "kept")
    assert "posted 0 movements" in again.out
    checked = workdir.call("--config", "kept/config.toml", "check")
    assert checked.code == 0, checked.out
    refused = Workdir(tmp_path).call("--config", "kept/config.toml", "sync")
    assert refused.code == 1


def test_the_demo_leaves_a_real_ledger_alone(workdir: Workdir) -> None:
    before = workdir.ledger.read_bytes()
    ran = workdir.call("demo", "--keep", ".")
    assert ran.code == 1
    assert "give --keep an empty folder" in ran.err
    assert workdir.ledger.read_bytes() == before
    assert "Europe/Berlin" in (workdir.folder / "config.toml").read_text()


def test_the_bundled_account_is_found_in_a_checkout() -> None:
    assert (bundled_folder() / "account.json").is_file()
