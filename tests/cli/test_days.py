"""Days that are asked for: which may lie in the future, and what is said of the others."""

from datetime import UTC, datetime

import pytest

from tests.support.commands import Workdir
from tests.support.site import site_of
from tests.support.small_ledger import GROWS, lay_out

LATER = "2999-01-01"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    return lay_out(tmp_path_factory.mktemp("days"))


FUTURE, UNKNOWN = "is in the future", "the last day that the ledger knows"
REFUSED = (
    (f"digest --since {LATER}", FUTURE),
    (f"restatements --since {LATER}", FUTURE),
    (f"explain {GROWS} --on {LATER}", UNKNOWN),
    (f"explain --window {LATER[:7]}", UNKNOWN),
    (f"explain --window ..{LATER[:7]}", UNKNOWN),
    (f"movements --from {LATER}", UNKNOWN),
    (f"movements --from {LATER} --to {LATER} --by plan", UNKNOWN),
    (f"movements --from {LATER} --format csv", UNKNOWN),
    (f"compare --mrr 100 --on {LATER}", UNKNOWN),
    *(
        (f"{command} {option} {LATER[:7]}", UNKNOWN)
        for command in ("report", "churn", "drift")
        for option in ("--from", "--to")
    ),
)


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_a_day_of_which_nothing_can_be_known_is_wrong_usage(
    workdir: Workdir, words: str, said: str
) -> None:
    ran = workdir.call(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "earlier" in ran.err, "the fix names what to give instead"


def test_what_may_lie_in_the_future(workdir: Workdir) -> None:
    """What is planned is noted at its month; a last day may stand for all that come."""
    assert workdir.call("note", LATER[:7], "A price rise").code == 0
    listed = workdir.call("movements", "--from", "2026-01-01", "--to", LATER)
    assert (listed.code, listed.err) == (0, "")
    assert listed.out == workdir.call("movements", "--from", "2026-01-01").out


@pytest.mark.parametrize(
    "words", ["report", "explain --window 2026-03", f"explain {GROWS}"]
)
def test_as_of_the_future_is_as_of_now_and_says_that_it_may_change(
    workdir: Workdir, words: str
) -> None:
    asked = [*words.split(), "--format", "json"]
    ran = workdir.call(*asked, "--as-of", LATER)
    assert ran.code == 0
    assert f"warning: --as-of {LATER} is in the future" in ran.err
    now = workdir.call(*asked, "--as-of", f"{datetime.now(UTC):%Y-%m-%d}")
    assert now.err == ""
    told = "currencies" if "currencies" in now.json else "windows"
    assert ran.json.get(told) == now.json.get(told)


@pytest.mark.parametrize("words", ["digest --since", "restatements --since"])
def test_today_is_no_day_of_the_future(workdir: Workdir, words: str) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert workdir.call(*words.split(), today).code == 0


def test_the_ledger_as_of_the_end_of_today_is_as_of_now(workdir: Workdir) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    now = workdir.call("movements", "--format", "csv").out
    assert workdir.call("report", "--as-of", today).code == 0
    assert workdir.call("movements", "--format", "csv").out == now


@pytest.mark.parametrize("closes", [LATER[:7]])
def test_a_month_is_closed_once_it_is_over(workdir: Workdir, closes: str) -> None:
    ran = workdir.call("close", closes)
    assert ran.code == 1, "docs/commands.md: it is only too early"
    assert "cannot be closed before 2999-02-02" in ran.err


@pytest.mark.parametrize(
    "path", [f"/movements?from={LATER}", f"/restatements?since={LATER}"]
)
def test_a_page_of_the_future_is_a_bad_request(workdir: Workdir, path: str) -> None:
    with site_of(workdir.folder) as site:
        assert site.get(path).status_code == 400


# Before the first run

BEFORE = "--as-of 1999-12-31"
SAID = "the first run of this ledger was on"


@pytest.mark.parametrize(
    "words",
    [
        *(f"report {BEFORE}", f"report {BEFORE} --format markdown"),
        *(f"report {BEFORE} --format html", f"explain --window 1999-12 {BEFORE}"),
        f"explain {GROWS} {BEFORE}",
    ],
)
def test_before_the_first_run_it_is_said_from_when_on_there_is_something(
    workdir: Workdir, words: str
) -> None:
    ran = workdir.call(*words.split())
    assert (ran.code, ran.err) == (0, "")
    assert SAID in ran.out
    assert "There is no recurring revenue" not in ran.out
    assert SAID not in workdir.call("report").out
    csv = workdir.call("report", *BEFORE.split(), "--format", "csv")
    assert csv.code == 0
    assert SAID in csv.err


def test_a_page_of_before_the_first_run_says_it_too(workdir: Workdir) -> None:
    with site_of(workdir.folder) as site:
        page = site.page("/?as-of=1999-12-31")
        assert SAID in page.text
        assert "No recurring revenue yet" not in page.text


def test_the_day_that_is_named_has_something(workdir: Workdir) -> None:
    said = workdir.call("report", *BEFORE.split()).out
    day = said[said.index(SAID) + len(SAID) :].split(",")[0].strip()
    named = datetime.strptime(day, "%d %b %Y").date()  # noqa: DTZ007 - in the zone
    assert SAID not in workdir.call("report", "--as-of", f"{named}").out


# All currencies in one


@pytest.mark.parametrize("command", ["coverage", "churn"])
def test_what_is_told_of_each_currency_alone_names_them(
    workdir: Workdir, command: str
) -> None:
    ran = workdir.call(command, "--currency", "total")
    assert ran.code == 2
    assert "told of each currency, not of all in one" in ran.err
    assert "choose one of these: usd" in ran.err
