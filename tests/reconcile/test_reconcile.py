"""Stripe's own MRR, as the billing engine works it out, beside the ledger."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from connector.core.errors import UsageFault
from connector.core.policy import Policy
from connector.core.presets import PRESETS
from connector.metrics.what_if import preset_switches
from connector.reconcile.model import GapCause, Reconciliation
from connector.reconcile.reconcile import reconcile_files
from connector.reconcile.sides import ReconcileRequest
from connector.reports.ledger import Ledger
from tests.billing.stripe_mrr import (
    EVERY_SETTING,
    StripeSettings,
    all_files,
    by_month,
    stripe_mrr,
)
from tests.support.big_account import ZONE, big_account, big_ledger
from tests.support.policies import preset_of

CUSTOMERS = 120
OURS = StripeSettings(repeating_subtracted=True)
FILES = (
    "subscription_item_change_events.csv",
    "customer_mrr_changes.csv",
    "mrr_per_subscriber.csv",
)


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with big_ledger(CUSTOMERS) as found:
        yield found


def written(folder: Path, texts: dict[str, str]) -> list[Path]:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def stripes(folder: Path, settings: StripeSettings) -> list[Path]:
    return written(folder, all_files(big_account(CUSTOMERS), settings, ZONE))


def adds_up(done: Reconciliation) -> None:
    """Each cell's parts to its difference, each month's to the sums of its cells."""
    for cell in done.cells:
        assert sum(part.amount_minor for part in cell.parts) == cell.gap_minor
        assert cell.gap_minor
        assert all(part.amount_minor for part in cell.parts)
    for month in done.months:
        gap = month.theirs_minor - month.ours_minor
        assert sum(month.parts.values()) == gap


def named(settings: StripeSettings) -> str:
    return preset_of(Policy(**settings._asdict()))


@pytest.mark.parametrize("settings", EVERY_SETTING, ids=str)
def test_the_preset_is_found_and_explains_every_cell(
    ledger: Ledger, tmp_path: Path, settings: StripeSettings
) -> None:
    """With none but the switches that the preset sets otherwise than the ledger."""
    for path in stripes(tmp_path, settings):
        [done] = reconcile_files(ledger, [path])
        adds_up(done)
        assert done.unexplained == 0
        if settings == OURS:
            assert (done.differing, done.preset) == (0, None)
            continue
        assert done.preset == named(settings)
        assert done.differing
        assert done.tried[0].differing == 0
        switches = preset_switches(done.rules, named(settings))
        told = {(p.cause, p.detail) for cell in done.cells for p in cell.parts}
        assert told <= {(GapCause.POLICY, switch.in_words) for switch in switches}


@pytest.mark.parametrize("settings", EVERY_SETTING[::9], ids=str)
def test_another_preset_leaves_what_its_switches_explain(
    ledger: Ledger, tmp_path: Path, settings: StripeSettings
) -> None:
    """ReconcileRequest for by name, whatever fits: all is told by switches all the same."""
    path = stripes(tmp_path, settings)[2]
    for name in PRESETS:
        [done] = reconcile_files(ledger, [path], ReconcileRequest(preset=name))
        adds_up(done)
        assert done.unexplained == 0
        causes = {part.cause for cell in done.cells for part in cell.parts}
        assert causes <= {GapCause.POLICY}
        assert (done.preset, done.is_asked, done.tried) == (name, True, [])


def test_ours_with_ours_is_empty(ledger: Ledger, tmp_path: Path) -> None:
    for path in stripes(tmp_path, OURS):
        [done] = reconcile_files(ledger, [path])
        assert not done.cells
        assert done.compared > 200
        assert all(not month.parts for month in done.months)


def test_swapping_the_order_of_files_changes_nothing(
    ledger: Ledger, tmp_path: Path
) -> None:
    paths = stripes(tmp_path, StripeSettings(churn_when_requested=True))
    told = [reconcile_files(ledger, each) for each in (paths, paths[::-1])]
    assert all(each == told[0] for each in told)
    assert [done.kind.name for done in told[0]] == ["MONTHS", "CHANGES", "CHANGES"]


def test_what_two_files_both_have_counts_once(ledger: Ledger, tmp_path: Path) -> None:
    """Parts of a download, that overlap: lines of a table, or columns of months."""
    texts = all_files(big_account(CUSTOMERS), OURS, ZONE)
    parts: dict[str, str] = {}
    for name in (FILES[0], FILES[2]):
        head, *lines = texts[name].splitlines(keepends=True)
        half = len(lines) // 2
        parts[f"a-{name}"] = "".join([head, *lines[: half + 20]])
        parts[f"b-{name}"] = "".join([head, *lines[half:]])
    months, changes = reconcile_files(ledger, written(tmp_path, parts))
    assert not changes.cells
    assert not months.cells


def test_a_window_and_a_customer(ledger: Ledger, tmp_path: Path) -> None:
    paths = stripes(tmp_path, StripeSettings())
    [whole] = reconcile_files(ledger, paths[2:])
    one = whole.cells[0].customer.id
    first = min(cell.day for cell in whole.cells if cell.customer.id == one)
    asked = ReconcileRequest(start=first, customer=one)
    [done] = reconcile_files(ledger, paths[2:], asked)
    assert {cell.customer.id for cell in done.cells} == {one}
    assert done.cells == [c for c in whole.cells if c.customer.id == one]
    assert (done.customers, done.start) == (1, first)


def in_form(form: str) -> str:
    """Ours by month, as somebody's spreadsheet has it."""
    account = big_account(CUSTOMERS)
    months = by_month(stripe_mrr(account, OURS), account.now, ZONE)
    rows = [
        (customer, month, minor, currency)
        for (customer, currency), own in months.items()
        for month, minor in own.items()
        if minor
    ]
    match form:
        case "minor units":
            lines = [f"{c},{m},{n},{code}" for c, m, n, code in rows]
            return "\n".join(["customer,month,mrr,currency", *lines])
        case "a German spreadsheet":
            lines = [
                f"{m[5:]}/{m[:4]};{f'{n / 100:,.2f}'.translate(COMMAS)} €;{c};x;{code}"
                if code == "eur"
                else f"{m[5:]}/{m[:4]};{f'{n / 100:,.2f}'.translate(COMMAS)};{c};x;{code}"
                for c, m, n, code in rows
            ]
            return "\ufeff" + "\n".join(["Month;MRR;Customer;Notes;Currency", *lines])
        case "month ends":
            lines = [
                f"{code.upper()},{m}-28,{n / 100:.2f},{c}" for c, m, n, code in rows
            ]
            return "\r\n".join(["Currency,Date,Amount,Customer External ID", *lines])
        case _:
            lines = [f"{c},{m},{n / 100:.2f}" for c, m, n, code in rows]
            return "\n".join(["Subscriber ID,Month End,Current MRR", *lines])


COMMAS = str.maketrans(",.", ".,")


@pytest.mark.parametrize(
    "form", ["minor units", "a German spreadsheet", "month ends", "without currencies"]
)
def test_another_tools_file(ledger: Ledger, tmp_path: Path, form: str) -> None:
    [path] = written(tmp_path, {"other.csv": in_form(form)})
    [done] = reconcile_files(ledger, [path])
    assert not done.cells
    assert [each.is_minor for each in done.files] == [form == "minor units"]


def test_utf_16_as_a_spreadsheet_saves_it(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text(in_form("minor units").replace(",", "\t"), encoding="utf-16")
    [done] = reconcile_files(ledger, [path])
    assert not done.cells


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "(nothing)|columns", id="empty"),
        pytest.param("Invoice,Total\nin_1,5\n", "Invoice, Total", id="something else"),
        pytest.param("customer,month,mrr\n", "no lines", id="no lines"),
        pytest.param(
            "customer,month,mrr\ncus_1,2026-01,many\n", "line 2.*'many'", id="no amount"
        ),
        pytest.param(
            "customer,date,change\ncus_1,soon,5\n", "line 2.*'soon'", id="no day"
        ),
        pytest.param(
            "customer,month,mrr\ncus_1,2031-01,5\n", "left to compare", id="to come"
        ),
    ],
)
def test_a_file_that_is_not_understood_says_why(
    ledger: Ledger, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(UsageFault, match=said):
        reconcile_files(ledger, written(tmp_path, {"x.csv": text}))


def test_a_file_of_another_account(ledger: Ledger, tmp_path: Path) -> None:
    text = "customer,month,mrr\nsomebody@example.com,2026-01,5\n"
    with pytest.raises(UsageFault, match="none of the customers"):
        reconcile_files(ledger, written(tmp_path, {"x.csv": text}))


def test_nothing_is_written(ledger: Ledger, tmp_path: Path) -> None:
    before = ledger.connection.serialize()
    reconcile_files(ledger, stripes(tmp_path, StripeSettings())[2:])
    assert ledger.connection.serialize() == before


def test_every_detail_of_the_statements_is_of_an_unexplained_customer(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A figure that nothing explains is listed first, with what ours says."""
    texts = all_files(big_account(CUSTOMERS), OURS, ZONE)
    head, first, *rest = texts[FILES[2]].splitlines(keepends=True)
    cells: Sequence[str] = first.rstrip().split(",")
    spoiled = [*cells[:-4], "1234.56", *cells[-3:]]
    text = "".join([head, ",".join(spoiled) + "\n", *rest])
    [done] = reconcile_files(ledger, written(tmp_path, {FILES[2]: text}))
    adds_up(done)
    assert (done.differing, done.unexplained) == (1, 1)
    assert done.cells[0].theirs_minor == 123_456
    assert list(done.statements) == [cells[0]]
