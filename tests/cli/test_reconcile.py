"""`stripe-nrr reconcile` as a user runs it, on the demo and a file of Stripe's of it.

The block in docs/reconcile.md is what it prints: ``pytest --accept`` rewrites it.
"""

import csv
import io
import re
import shutil
from pathlib import Path

import pytest

from tests.support import stripe_files
from tests.support.commands import Workdir
from tests.support.folders import ROOT
from tests.support.synced import settled_demo

PAGE = ROOT / "docs" / "reconcile.md"
BLOCK = re.compile(r"(?<=```console\n)\$ stripe-nrr (.+)\n(?:[^`]*)(?=```)")
NAME = "mrr_per_subscriber.csv"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    folder = tmp_path_factory.mktemp("reconcile")
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    shutil.copy(stripe_files.PATH, folder)
    return Workdir(folder, key=None).configure('timezone = "Europe/Berlin"\n')


def test_the_file_is_what_the_billing_engine_says() -> None:
    assert stripe_files.PATH.read_text(encoding="utf-8") == stripe_files.text()


def test_the_worked_example_is_what_it_prints(
    workdir: Workdir, pytestconfig: pytest.Config
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    [block] = BLOCK.finditer(page)
    ran = workdir.call(*block[1].split())
    assert (ran.code, ran.err) == (0, "")
    text = re.sub(r" +$", "", f"$ stripe-nrr {block[1]}\n{ran.out}", flags=re.MULTILINE)
    if pytestconfig.getoption("--accept"):
        page = page.replace(block[0], text)
        PAGE.write_text(page, encoding="utf-8")
    assert text in page


def test_what_no_cause_explains_comes_first_and_is_a_finding(workdir: Workdir) -> None:
    spoiled(workdir.folder / "spoiled.csv")
    ran = workdir.call("reconcile", "spoiled.csv", "--from", "2026-09")
    assert ran.code == 3
    lines = ran.out.splitlines()
    assert "1 of them unexplained" in ran.out
    [at] = [n for n, line in enumerate(lines) if "Unexplained" in line]
    assert "$98,765.43" in lines[at + 2]
    assert at < min(
        n for n, line in enumerate(lines) if "MRR by month" in line and n > 2
    )


def spoiled(path: Path) -> None:
    head, first, *rest = stripe_files.PATH.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    cells[-1] = "98765.43"
    path.write_text("\n".join([head, ",".join(cells), *rest]), encoding="utf-8")


def test_json_and_csv_have_every_cell(workdir: Workdir) -> None:
    [told] = workdir.call("reconcile", NAME, "--format", "json").json["reconciliations"]
    assert told["preset"] == "stripe:churn-on-request"
    assert told["differing"] == len(told["cells"]) > 50
    for cell in told["cells"]:
        parts = sum(cause["amount_minor"] for cause in cell["causes"])
        assert parts == cell["gap_minor"] == cell["theirs_minor"] - cell["ours_minor"]
    for month in told["months"]:
        gap = month["theirs_minor"] - month["ours_minor"]
        assert sum(cause["amount_minor"] for cause in month["causes"]) == gap
    ran = workdir.call("reconcile", NAME, "--format", "csv", "-o", "gaps.csv")
    assert (ran.code, ran.out) == (0, "")
    text = (workdir.folder / "gaps.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == sum(len(cell["causes"]) for cell in told["cells"])
    assert {row["customer"] for row in rows} == {c["customer"] for c in told["cells"]}


def test_a_preset_asked_for_and_one_customer(workdir: Workdir) -> None:
    ran = workdir.call("reconcile", NAME, "--policy", "stripe:default")
    assert "Held to stripe:default, as asked for: repeating coupons ignored." in ran.out
    [told] = workdir.call("reconcile", NAME, "--format", "json").json["reconciliations"]
    customer = told["cells"][0]["customer"]
    words = ["reconcile", NAME, "--customer", customer, "--format", "json"]
    [alone] = workdir.call(*words).json["reconciliations"]
    assert {cell["customer"] for cell in alone["cells"]} == {customer}


def test_a_customer_of_neither_side_is_an_error(workdir: Workdir) -> None:
    ran = workdir.call("reconcile", NAME, "--customer", "cus_nope")
    assert (ran.code, ran.out) == (1, "")
    assert "no customer 'cus_nope' in the ledger" in ran.err


def test_a_customer_of_the_file_alone_is_told(workdir: Workdir) -> None:
    assert workdir.call("export", "--what", "mrr", "-o", "ours.csv").code == 0
    path = workdir.folder / "ours.csv"
    text = path.read_text(encoding="utf-8")
    head, first, *_rest = text.splitlines()
    named = dict(zip(head.split(","), first.split(","), strict=True))
    path.write_text(text + first.replace(named["customer"], "cus_nope") + "\n")
    ran = workdir.call("reconcile", "ours.csv", "--customer", "cus_nope")
    assert ran.code in (0, 3)
    assert "1 differs" in ran.out or "1 differ" in ran.out


@pytest.mark.parametrize(
    "words",
    [
        *(["movements", "--customer"], ["reconcile", NAME, "--customer"], ["explain"]),
        *(["note", "2026-03", "so", "--customer"], ["recompute", "--customer"]),
        ["forget"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_nobody_s(
    workdir: Workdir, words: list[str], name: str
) -> None:
    """Of a shell's variable that is not set: not everybody's, and not any one's."""
    ran = workdir.call(*words, name)
    assert (ran.code, ran.out) == (2, "")
    assert f"{name!r} is not a customer; write it as cus_123" in ran.err


def test_our_own_export_is_another_tools_file(workdir: Workdir) -> None:
    words = ["export", "--what", "mrr", "--format", "csv", "-o", "ours.csv"]
    assert workdir.call(*words).code == 0
    ran = workdir.call("reconcile", "ours.csv")
    assert ran.code == 0
    assert "0 differ, 0 of them unexplained" in ran.out
    assert "minor units (cents)" in ran.out


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        pytest.param("Invoice,Total\nin_1,5\n", 2, "Invoice, Total", id="no such file"),
        pytest.param(
            "customer,month,mrr\na@example.com,2026-01,5\n", 2, "cus_", id="other ids"
        ),
    ],
)
def test_what_is_not_understood_is_told_with_what_to_do(
    workdir: Workdir, text: str, code: int, said: str
) -> None:
    (workdir.folder / "x.csv").write_text(text)
    ran = workdir.call("reconcile", "x.csv")
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert "fix: " in ran.err


def test_a_report_under_a_preset(workdir: Workdir) -> None:
    before = workdir.ledger.read_bytes()
    words = ["report", "--to", "2026-10", "--policy", "stripe:default"]
    ran = workdir.call(*words, "--format", "json")
    assert ran.code == 0
    assert ran.json["policy"]["repeating_coupon"] == "ignored"
    assert workdir.ledger.read_bytes() == before
    assert workdir.call("report", "--policy", "stripe:else").code == 2
