"""Money outside subscriptions in every report: not counted, accepted, or by period.

``pytest --accept`` rewrites fixtures/output/coverage; git shows the difference.
"""

import re

import pytest

from connector.core.policy import Policy
from tests.support.commands import Ran, Workdir
from tests.support.folders import FIXTURES
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.outside import SEEN, agency
from tests.support.pages import Element, parsed

GOLDEN = FIXTURES / "output" / "coverage"
BY_PERIOD = '[policy]\ninvoiced_recurring = "by_period"\n'
SITUATIONS = {
    "not-counted": "",
    "accepted": '[coverage]\naccepted = ["{licensed}", "prod_retainer"]\n',
    "by-period": BY_PERIOD,
}
ASKED = {
    "coverage": "coverage",
    "coverage.json": "coverage --format json",
    "coverage.csv": "coverage --window quarter --format csv",
    "coverage.md": "coverage --format markdown --currency usd",
    "report": "report --to 2026-06",
    "report.json": "report --window month --from 2026-06 --to 2026-06 --format json",
    "report.csv": "report --window month --from 2026-05 --to 2026-06 --format csv",
    "report.md": "report --window month --from 2026-05 --to 2026-06 --format markdown",
    "report.html": "report --to 2026-06 --format html",
    "drift": "drift --from 2026-06 --to 2026-06",
    "check": "check",
    "check.json": "check --format json",
}
CASES = [(situation, name) for situation in SITUATIONS for name in ASKED]


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workdir]:
    found = {}
    _, licensed, _ = [each["id"] for each in agency()["customers"]]
    for situation, text in SITUATIONS.items():
        folder = tmp_path_factory.mktemp(situation)
        with empty_ledger() as connection:
            look(connection, agency(), SEEN)
            policy = Policy(invoiced_by_period=situation == "by-period")
            settle(connection, SEEN, "UTC", policy)
            connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
        config = text.replace("{licensed}", licensed)
        found[situation] = Workdir(folder).configure(config)
    return found


def told(ran: Ran, name: str) -> str:
    """What a user sees, with the exit code; of a page, what tells of the money."""
    out = _of_page(parsed(ran.out)) if name.endswith("html") else ran.out
    both = f"{ran.err}\n{out}"
    still = re.sub(r'"generated_at": ".*?"', '"generated_at": "…"', both)
    still = re.sub(r"was \d+ days ago", "was … days ago", still)
    still = re.sub(r" +$", "", still, flags=re.MULTILINE)
    return f"exit {ran.code}\n{still}"


def _of_page(page: Element) -> str:
    warnings = [p.text for p in page.all("p") if p.attributes.get("class") == "warn"]
    titles = [h.text for h in page.all("h2")]
    tables = [" | ".join(row) for table in page.all("table") for row in table.rows()]
    named = [row for row in tables if "in_outside" in row]
    return "\n".join([*warnings, *titles, *named])


@pytest.mark.parametrize(
    ("situation", "name"), CASES, ids=map("{0[0]}: {0[1]}".format, CASES)
)
def test_it_is_told_as_it_was_accepted(
    workdirs: dict[str, Workdir], situation: str, name: str, pytestconfig: pytest.Config
) -> None:
    text = told(workdirs[situation].call(*ASKED[name].split()), name)
    kept = GOLDEN / f"{situation}.{name}.txt"
    if pytestconfig.getoption("--accept"):
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


def test_every_accepted_file_is_asked_for() -> None:
    kept = {path.name for path in GOLDEN.iterdir()}
    assert kept == {f"{situation}.{name}.txt" for situation, name in CASES}


LINE = (
    "$980.00 a month is invoiced outside Stripe subscriptions "
    "and is not in these figures"
)


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_every_form_says_it_until_it_is_counted_or_accepted(
    workdirs: dict[str, Workdir], form: str
) -> None:
    """In CSV it is a row, in JSON a key; whoever reads the terminal is told besides."""
    words = ["report", "--format", form]
    assert LINE in workdirs["not-counted"].call(*words).out
    for situation in ("accepted", "by-period"):
        assert (
            "outside Stripe subscriptions" not in workdirs[situation].call(*words).out
        )


@pytest.mark.parametrize(
    "words", ["cohorts", "at-risk", "movements", "drift --format json", "report"]
)
def test_every_command_that_reads_the_ledger_warns(
    workdirs: dict[str, Workdir], words: str
) -> None:
    assert f"warning: {LINE}" in workdirs["not-counted"].call(*words.split()).err
    assert workdirs["accepted"].call(*words.split()).err == ""


def test_check_is_content_once_it_is_counted_or_accepted(
    workdirs: dict[str, Workdir],
) -> None:
    codes = {name: each.call("check").code for name, each in workdirs.items()}
    assert codes == {"not-counted": 3, "accepted": 0, "by-period": 0}


def test_what_is_accepted_stays_visible(workdirs: dict[str, Workdir]) -> None:
    [usd] = workdirs["accepted"].call("coverage", "--format", "json").json["currencies"]
    assert [x["accepted"] for x in usd["not_counted"]] == [True, True]
    assert sum(each["monthly_minor"] for each in usd["not_counted"]) == 98_000


def test_the_json_is_a_contract(workdirs: dict[str, Workdir]) -> None:
    found = workdirs["not-counted"].call("coverage", "--format", "json").json
    assert found["schema"] == 1
    [usd] = found["currencies"]
    assert list(usd) == ["currency", "windows", "not_counted"]
    for window in usd["windows"]:
        keys = ["window", "from", "to", "complete", "invoiced_minor", "classes"]
        assert list(window) == keys
        assert window["complete"] is (window["to"] <= "2026-07-20")
        assert sum(window["classes"].values()) == window["invoiced_minor"]
    keys = ["customer", "reason", "monthly_minor", "since", "last_invoice"]
    assert [list(each) for each in usd["not_counted"]] == [keys, keys]


def test_a_currency_without_invoices_is_told(workdirs: dict[str, Workdir]) -> None:
    ran = workdirs["accepted"].call("coverage", "--currency", "eur")
    assert ran.code == 1
    assert "nothing was invoiced in 'eur'" in ran.err
