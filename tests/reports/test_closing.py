"""A month is closed once it is whole: each reason why it is not, what overrules it."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector.store.database import put_setting, transaction
from connector.store.opening import open_database
from tests.billing.calendar_ import instant
from tests.support.commands import Ran, Workdir
from tests.support.ledgers import look, settle
from tests.support.outside import SEEN, agency
from tests.support.small_ledger import CONFIG, lay_out, plain_account

GROWS = json.loads(plain_account())["customers"][-1]["id"]  # the first one made
NEW = "cus_new"


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    """Grows pays $90.00 since 20 March; all is known until 10 November, 12:00."""
    return lay_out(tmp_path)


def change(workdir: Workdir, statement: str, *given: object) -> None:
    with closing(sqlite3.connect(workdir.ledger, isolation_level=None)) as connection:
        connection.execute(statement, given)


def wait(workdir: Workdir, customer: str) -> None:
    change(workdir, "INSERT INTO dirty_customers VALUES (?)", customer)


def refused(ran: Ran) -> str:
    assert (ran.code, ran.out) == (3, "")
    assert "or close it all the same with --despite REASON" in ran.err
    return ran.err


def closings(workdir: Workdir) -> Any:
    ran = workdir.call("restatements", "--format", "json")
    assert ran.code == 0, ran.err
    return ran.json["closings"]


# --- what waits, is refused, or is set aside ---


def test_who_waits_is_named_with_what_they_pay(workdir: Workdir) -> None:
    wait(workdir, GROWS)
    told = refused(workdir.call("close", "2026-10"))
    assert told.startswith(
        f"error: 2026-10 is not closed: 1 customer waits to be derived ({GROWS}); "
        "$90.00 a month of theirs is in the figures, as before\n"
        "  fix: run `stripe-nrr recompute`; or "
    )
    assert closings(workdir) == []
    assert workdir.call("recompute").code == 0
    assert workdir.call("close", "2026-10").code == 0


def test_who_has_no_figures_yet_waits_too(workdir: Workdir) -> None:
    for number in range(5):
        wait(workdir, f"cus_{number}")
    told = refused(workdir.call("close", "2026-10"))
    assert (
        "5 customers wait to be derived (cus_0, cus_1, cus_2 and 2 more); nothing of "
        "theirs is in the figures" in told
    )


def test_a_change_that_was_due_by_then_is_waited_for(workdir: Workdir) -> None:
    due = "INSERT OR REPLACE INTO due_customers VALUES (?, ?)"
    change(workdir, due, GROWS, instant("2026-11-01T00:00:00Z"))
    assert workdir.call("close", "2026-09").code == 0
    assert workdir.call("close", "2026-10").code == 0
    change(workdir, due, GROWS, instant("2026-08-31T23:59:59Z"))
    assert "1 customer waits" in refused(workdir.call("close", "2026-08"))


SUBSCRIPTION = """
    INSERT INTO stripe_subscriptions VALUES ('sub_new', ?, ?, 0, 0, CAST(? AS BLOB))
"""


@pytest.mark.parametrize(
    ("created", "start_date", "code"),
    [
        ("2026-11-02", "2026-11-02", 0),
        ("2026-11-02", "2026-10-20", 3),  # backdated
        ("2026-10-31", "2026-11-02", 3),
    ],
)
def test_who_came_after_the_month_does_not_hold_it_up(
    workdir: Workdir, created: str, start_date: str, code: int
) -> None:
    created_s, start_s = (instant(f"{x}T09:00:00Z") for x in (created, start_date))
    change(workdir, SUBSCRIPTION, NEW, created_s, f'{{"start_date": {start_s}}}')
    wait(workdir, NEW)
    change(workdir, REFUSED, NEW)
    assert workdir.call("close", "2026-10").code == code


REFUSED = "INSERT INTO refusals VALUES (?, 'price_odd', 'billing_scheme', 'auction')"


def test_what_has_no_value_is_named(workdir: Workdir) -> None:
    change(workdir, REFUSED, GROWS)
    told = refused(workdir.call("close", "2026-10"))
    assert (
        "1 object could not be valued (price_odd (billing_scheme)); $90.00 a month of 1 "
        "such customer is in the figures\n  fix: see `stripe-nrr check`; or" in told
    )


@pytest.mark.parametrize("customer", [GROWS, ""])
def test_what_is_set_aside_holds_it_up(workdir: Workdir, customer: str) -> None:
    """Also where nobody knows whose it is."""
    aside = (
        "INSERT INTO set_aside (kind, id, customer, subscription, field, value, fetched_us)"
        " VALUES ('invoices', 'in_odd', ?, '', 'lines', '7', 0)"
    )
    change(workdir, aside, customer)
    assert "could not be valued (in_odd (lines))" in refused(
        workdir.call("close", "2026-10")
    )


def test_other_rules_are_derived_first(workdir: Workdir) -> None:
    workdir.configure(f'{CONFIG}\n[policy]\nchurn = "requested"\n')
    told = refused(workdir.call("close", "2026-10"))
    assert "everybody waits to be derived under the rules of the configuration" in told
    assert workdir.call("recompute").code == 0
    assert workdir.call("close", "2026-10").code == 0


# --- what is invoiced outside subscriptions ---

ACCEPTED = '[coverage]\naccepted = ["prod_retainer"]\n'


@pytest.fixture
def outside(tmp_path: Path) -> Workdir:
    """A retainer of $490.00 a month since December, a licence fee of it since January."""
    workdir = Workdir(tmp_path).configure("")
    with closing(open_database(workdir.ledger, create=True)) as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN)
    return workdir


@pytest.mark.parametrize(
    ("month", "config", "told"),
    [
        ("2025-11", "", None),
        ("2025-12", "", "$490.00 a month of 1 customer ("),
        ("2026-06", "", "$980.00 a month of 2 customers ("),
        ("2025-12", ACCEPTED, None),
        ("2026-06", ACCEPTED, "$490.00 a month of 1 customer ("),
    ],
)
def test_what_recurs_and_is_not_counted(
    outside: Workdir, month: str, config: str, told: str | None
) -> None:
    outside.configure(config)
    ran = outside.call("close", month)
    if told is None:
        assert ran.code == 0, ran.err
    else:
        assert f"is not closed: {told}" in refused(ran)
        assert (
            "is invoiced outside Stripe subscriptions, and is in no figure" in ran.err
        )
        assert "`stripe-nrr coverage`" in ran.err


def test_what_recurred_then_and_has_ceased_since(outside: Workdir) -> None:
    """By December both have: a licence fee stays what it was, invoices by hand do not."""
    with closing(open_database(outside.ledger)) as connection:
        settle(connection, instant("2026-12-01T09:00:00Z"))
    told = refused(outside.call("close", "2026-06"))
    assert "is not closed: $490.00 a month of 1 customer (" in told
    assert outside.call("close", "2025-12").code == 0


# --- when ---


@pytest.mark.parametrize(
    ("zone", "close_after", "earliest"),
    [
        ("UTC", "24h", None),
        ("UTC", "0h", None),
        ("UTC", "228h", None),  # to the second: 10 November, 12:00
        ("UTC", "229h", "2026-11-10 13:00 (UTC)"),
        ("UTC", "10d", "2026-11-11 00:00 (UTC)"),
        # 00:00 there is 07:00 UTC, and before clocks go back
        ("America/Los_Angeles", "228h", "2026-11-10 11:00 (America/Los_Angeles)"),
        ("America/Los_Angeles", "221h", None),
    ],
)
def test_a_month_is_over_and_has_settled(
    workdir: Workdir, zone: str, close_after: str, earliest: str | None
) -> None:
    workdir.configure(
        f'timezone = "{zone}"\n[reporting]\nclose_after = "{close_after}"\n'
        '[customers]\nmetadata = ["tier"]\n'
    )
    assert workdir.call("recompute").code == 0
    ran = workdir.call("close", "2026-10")
    if earliest is None:
        assert ran.code == 0, ran.err
        return
    assert ran.code == 1
    assert f"2026-10 cannot be closed before {earliest}, when it is over" in ran.err
    assert workdir.call("close", "2026-10", "--despite", "in a hurry").code == 1


@pytest.mark.parametrize("given", ['"24"', "24", '"-1h"', '""'])
def test_a_settling_time_is_a_duration(workdir: Workdir, given: str) -> None:
    workdir.configure(f"[reporting]\nclose_after = {given}\n")
    ran = workdir.call("close", "2026-10")
    assert ran.code == 1
    assert "reporting.close_after" in ran.err
    assert 'give a duration such as "24h"' in ran.err


@pytest.mark.parametrize(
    ("now", "month"),
    [
        ("2026-11-10T12:00:00+00:00", "2026-10"),
        ("2026-10-01T00:00:00+00:00", "2026-09"),
        ("2026-09-30T23:59:59+00:00", "2026-08"),
    ],
)
def test_last_is_the_last_month_that_is_over(
    workdir: Workdir, now: str, month: str
) -> None:
    workdir.configure(CONFIG + '[reporting]\nclose_after = "0h"\n')
    with closing(open_database(workdir.ledger)) as connection, transaction(connection):
        put_setting(connection, "demo_now", now)
    ran = workdir.call("close", "last", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["month"] == month


def test_before_the_first_sync_has_finished(workdir: Workdir) -> None:
    change(workdir, "UPDATE walks SET finished_us = NULL")
    change(workdir, "DELETE FROM event_feed")
    for words in ((), ("--despite", "it looks whole")):
        ran = workdir.call("close", "2026-10", *words)
        assert ran.code == 3
        assert "no sync has finished yet, so customers are missing" in ran.err
        assert "fix: run `stripe-nrr sync`" in ran.err


def test_check_tells_of_a_first_sync_that_was_cut_off(workdir: Workdir) -> None:
    """Also where all that came before that is derived: nobody waits, and some lack."""
    assert workdir.call("check").code == 0
    change(workdir, "UPDATE walks SET finished_us = NULL")
    change(workdir, "DELETE FROM event_feed")
    ran = workdir.call("check")
    assert ran.code == 3
    assert (
        "everybody is there: the ledger lacks customers, as the first sync" in ran.out
    )
    assert workdir.call("check", "--format", "json").json["waiting"] == []


def test_before_the_first_customer(workdir: Workdir) -> None:
    told = refused(workdir.call("close", "2025-12"))
    assert "nobody had paid by its end: the first customer came on 2026-01-10" in told
    assert workdir.call("close", "2026-01").code == 0


# --- despite ---

WHY = "the board meets today"


def closed_despite(workdir: Workdir) -> str:
    """March, closed while somebody waits: 90.00, 9.00, and 150.00 that leaves in April."""
    wait(workdir, GROWS)
    ran = workdir.call("close", "2026-03", "--despite", f"  {WHY}\n")
    assert ran.code == 0, ran.err
    return ran.out


SENTENCE = "although something was missing: 1 customer waits to be derived"


def test_a_reason_overrules_and_is_kept(workdir: Workdir) -> None:
    assert f"The reason given: {WHY}" in closed_despite(workdir)
    [kept] = closings(workdir)
    assert kept["closed_despite"]["reason"] == WHY
    [lacked] = kept["closed_despite"]["lacked"]
    assert lacked.startswith("1 customer waits to be derived")
    again = workdir.call("close", "2026-03", "--despite", "another", "--format", "json")
    assert again.json["was_closed"]
    assert again.json["closed_despite"] == kept["closed_despite"]
    assert SENTENCE in workdir.call("restatements").out


def test_a_reason_is_not_kept_where_nothing_lacked(workdir: Workdir) -> None:
    assert workdir.call("close", "2026-03", "--despite", WHY).code == 0
    [kept] = closings(workdir)
    assert kept["closed_despite"] is None


ASKED = ("report", "--window", "month", "--from", "2026-03", "--to", "2026-03")


def window(workdir: Workdir, *words: str) -> Mapping[str, Any]:
    [found] = workdir.call(*ASKED, "--format", "json", *words).json["currencies"][0][
        "windows"
    ]
    assert isinstance(found, dict)
    return found


def test_the_reason_stands_with_every_figure(workdir: Workdir) -> None:
    """First the figures are as reported; then a changed policy restates them."""
    closed_despite(workdir)
    assert workdir.call("recompute").code == 0
    told = window(workdir)
    assert "as_reported" not in told
    assert told["closed_despite"]["reason"] == WHY
    for form in ("text", "markdown"):
        out = workdir.call(*ASKED, "--format", form).out
        assert "Mar 2026 †" in out
        assert SENTENCE in " ".join(out.split())
        assert WHY in " ".join(out.split())
    workdir.configure(f'{CONFIG}\n[policy]\nchurn = "requested"\n')
    assert workdir.call("recompute").code == 0
    told = window(workdir)
    assert told["as_reported"]["waterfall"]["closing_minor"] == 9_000 + 900 + 15_000
    assert told["waterfall"]["closing_minor"] == 9_000 + 900
    assert told["closed_despite"]["reason"] == WHY
    for form in ("text", "markdown"):
        out = workdir.call(*ASKED, "--format", form).out
        assert "Mar 2026 †" not in out
        assert "as reported †" in out
        assert WHY in " ".join(out.split())
    assert (
        f"usd as reported despite: {WHY},"
        in workdir.call(*ASKED, "--format", "csv").out
    )
    page = workdir.call(*ASKED, "--format", "html").out
    assert SENTENCE in page
    assert "as reported †" in page
    restated = workdir.call("restatements", "--format", "json").json["restated"]
    assert {each["closed_despite"]["reason"] for each in restated} == {WHY}
    assert WHY in workdir.call("restatements", "--format", "csv").out


# --- withdrawn ---


def test_a_mistake_is_withdrawn_and_stays_visible(workdir: Workdir) -> None:
    closed_despite(workdir)
    ran = workdir.call("close", "2026-03", "--withdraw", "one was not derived")
    assert ran.code == 0, ran.err
    assert "was withdrawn on" in ran.out
    assert "one was not derived" in ran.out
    told = window(workdir)
    assert "closed_despite" not in told
    assert "Mar 2026, closed on" in workdir.call("restatements").out
    assert "No month is closed yet" in workdir.call("restatements").out
    assert workdir.call("recompute").code == 0
    assert not workdir.call("close", "2026-03", "--format", "json").json["was_closed"]
    first, second = closings(workdir)
    assert first["withdrawn"]["reason"] == "one was not derived"
    assert first["closed_despite"]["reason"] == WHY
    assert second["withdrawn"] is None
    assert second["closed_despite"] is None
    assert workdir.call("check").code == 0
    backup = workdir.call("backup", "copy.db", "--format", "json")
    assert backup.json["closed_months"] == ["2026-03"]


def test_what_is_withdrawn_is_not_shown_as_reported(workdir: Workdir) -> None:
    closed = workdir.call("close", "2026-03", "--format", "json").json
    workdir.configure(f'{CONFIG}\n[policy]\nchurn = "requested"\n')
    assert workdir.call("recompute").code == 0
    assert "as_reported" in window(workdir)
    gone = workdir.call(
        "close", "2026-03", "--withdraw", "another policy", "--format", "json"
    ).json
    assert "as_reported" not in window(workdir)
    assert workdir.call("restatements", "--format", "json").json["restated"] == []
    again = workdir.call("close", "2026-03", "--format", "json").json
    assert len({closed["seal"], gone["seal"], again["seal"]}) == 3
    assert "as_reported" not in window(workdir)
    past = window(workdir, "--as-of", closed["closed_at"])
    assert past["waterfall"]["closing_minor"] == 9_000 + 900 + 15_000
    assert workdir.call("check").code == 0
    doctor = workdir.call("doctor", "--offline").out
    assert f"months sealed: 2, the last 2026-03; newest seal: {again['seal']}" in doctor


def test_only_what_stands_can_be_withdrawn(workdir: Workdir) -> None:
    ran = workdir.call("close", "2026-03", "--withdraw", "never was")
    assert ran.code == 1
    assert "2026-03 is not closed: there is nothing to withdraw" in ran.err
    assert workdir.call("close", "2026-03").code == 0
    assert workdir.call("close", "2026-03", "--withdraw", "too early").code == 0
    assert workdir.call("close", "2026-03", "--withdraw", "again").code == 1


def test_a_month_is_closed_once_at_a_time(workdir: Workdir) -> None:
    """The tables see to it, whoever writes them."""
    assert workdir.call("close", "2026-03").code == 0
    copy = (
        "INSERT INTO closings (month, closed_at, code_version, policy)"
        " VALUES ('2026-03', '2027-01-01', '1', '{}')"
    )
    with pytest.raises(sqlite3.IntegrityError, match="withdraw that closing first"):
        change(workdir, copy)
