"""Every report on the demo's ledger, in every form, as it was last accepted.

``pytest --accept`` rewrites fixtures/output/reports; git shows the difference.
"""

import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from connector.cli.app import stripe_nrr
from tests.support.folders import FIXTURES
from tests.support.synced import settled_demo

GOLDEN = FIXTURES / "output" / "reports"
SUFFIX = {"text": "txt", "csv": "csv", "markdown": "md", "json": "json"}
ALL = ("text", "csv", "markdown", "json")

# What is asked, and in which forms; days are fixed, as the demo ends on 2 November 2026.
REPORTS = {
    "report": ("report --to 2026-10", ALL),
    "report-so-far": ("report", ALL),
    "report-quarters": ("report --window quarter", ALL),
    "report-years-arr": ("report --window year --arr", ALL),
    "report-by-plan": ("report --to 2026-10 --by plan", ALL),
    "report-by-band": ("report --to 2026-10 --by band --currency usd", ALL),
    "report-causes": ("report --to 2026-10 --causes", ALL),
    "report-as-of": ("report --to 2026-10 --as-of 2026-11-01", ("text",)),
    "cohorts": ("cohorts --by quarter", ALL),
    "cohorts-crr": ("cohorts --metric crr --currency eur", ("text", "markdown")),
    "at-risk": ("at-risk", ALL),
    "churn": ("churn --to 2026-10", ALL),
    "churn-by-month": ("churn --by month --currency usd --to 2026-10", ("csv",)),
    "churn-by-plan": (
        "churn --by plan --from 2026-01 --to 2026-10",
        ("text", "csv", "markdown"),
    ),
    "movements": (
        "movements --from 2026-10-01 --to 2026-10-31",
        ("text", "csv", "json"),
    ),
    "movements-by-interval": (
        "movements --from 2026-01-01 --by interval",
        ("text", "csv", "json"),
    ),
}
CASES = [(name, form) for name, (_, forms) in REPORTS.items() for form in forms]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the demo's ledger and its configuration."""
    folder = tmp_path_factory.mktemp("golden")
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    (folder / "config.toml").write_text('timezone = "Europe/Berlin"\n')
    with chdir(folder):
        yield folder


def still(text: str) -> str:
    """Without the moment at which it was made, and blanks at the ends of lines."""
    moment = re.sub(r'"generated_at": ".*?"', '"generated_at": "…"', text)
    return re.sub(r" +$", "", moment, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "form"), CASES, ids=map("{0[0]} as {0[1]}".format, CASES)
)
def test_the_report_is_as_it_was_accepted(
    workdir: Path, name: str, form: str, pytestconfig: pytest.Config
) -> None:
    words, _ = REPORTS[name]
    made = workdir / f"{name}.out"
    command = [*words.split(), "--format", form, "-o", made.name]
    stripe_nrr.main(command, prog_name="stripe-nrr", standalone_mode=False)
    kept = GOLDEN / f"{name}.{SUFFIX[form]}"
    text = still(made.read_text(encoding="utf-8"))
    if pytestconfig.getoption("--accept"):
        GOLDEN.mkdir(exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


def test_every_accepted_file_is_of_a_report() -> None:
    kept = {path.name for path in GOLDEN.iterdir()}
    assert kept == {f"{name}.{SUFFIX[form]}" for name, form in CASES}
