"""Laws of a reconciliation, whatever the files say.

Causes add up to each difference exactly, neither the order of files nor that of lines
changes anything, ours beside ours is empty, and between any two presets nothing but the
switches in which they differ is told.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st

from connector.core.dates import month_start
from connector.core.policy import Policy, PolicySwitch
from connector.core.presets import PRESETS, preset_texts
from connector.reconcile.model import GapCause, Reconciliation
from connector.reconcile.reconcile import reconcile_files
from connector.reconcile.sides import ReconcileRequest
from connector.reports.ledger import Ledger
from tests.billing.stripe_mrr import EVERY_SETTING, StripeSettings, all_files
from tests.support.big_account import ZONE, big_account, big_ledger
from tests.support.policies import preset_of

CUSTOMERS = 24
OURS = StripeSettings(repeating_subtracted=True)
MONTHS, CHANGES = "mrr_per_subscriber.csv", "customer_mrr_changes.csv"

Rows = Sequence[Sequence[str]]


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    with big_ledger(CUSTOMERS) as found:
        yield found


@cache
def stripes(name: str, settings: StripeSettings = OURS) -> tuple[list[str], Rows]:
    """A file's heads and lines."""
    text = all_files(big_account(CUSTOMERS), settings, ZONE)[name]
    heads, *rows = csv.reader(io.StringIO(text))
    return heads, rows


def written(path: Path, heads: Sequence[str], rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *rows])
    return path


def adds_up(done: Reconciliation) -> None:
    assert not done.left_out
    sums = {(month.currency, month.month): 0 for month in done.months}
    for cell in done.cells:
        assert cell.gap_minor == cell.theirs_minor - cell.ours_minor != 0
        assert sum(part.amount_minor for part in cell.parts) == cell.gap_minor
        assert all(part.amount_minor for part in cell.parts)
        sums[cell.currency, month_start(cell.day)] += cell.gap_minor
    for month in done.months:
        gap = month.theirs_minor - month.ours_minor
        assert gap == sum(month.parts.values()) == sums[month.currency, month.month]
    assert done.unexplained == sum(cell.is_unexplained for cell in done.cells)
    ranks = [(not c.is_unexplained, -abs(c.unexplained_minor)) for c in done.cells]
    assert ranks == sorted(ranks)


@st.composite
def spoiled(draw: st.DrawFn, name: str) -> list[list[str]]:
    """Lines of a file: some lost, doubled, of another customer, with other amounts."""
    _, rows = stripes(name)
    kept = [[*row] for row in rows]
    first = 2 if name == MONTHS else 4
    for _ in range(draw(st.integers(0, 8))):
        at = draw(st.integers(0, len(kept) - 1))
        match draw(st.sampled_from(["lost", "doubled", "other", "amount", "swapped"])):
            case "lost":
                del kept[at]
            case "doubled":
                kept.append([*kept[at]])
            case "other":
                kept[at][rows_customer(name)] = draw(
                    st.sampled_from(["cus_x", "cus_y"])
                )
            case "amount":
                place = draw(st.integers(first, len(kept[at]) - 1))
                kept[at][place] = f"{draw(st.integers(0, 90_000)) / 100:.2f}"
            case _:
                place = draw(st.integers(first, len(kept[at]) - 1))
                own = kept[at]
                own[first], own[place] = own[place], own[first]
    return kept


def rows_customer(name: str) -> int:
    return stripes(name)[0].index("Customer ID")


@pytest.mark.parametrize("name", [MONTHS, CHANGES])
def test_causes_add_up_and_no_order_matters(ledger: Ledger, name: str) -> None:
    @trial(max_examples=10, deadline=None, derandomize=True)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        rows = data.draw(spoiled(name))
        heads, _ = stripes(name)
        cut = data.draw(st.integers(0, len(rows)))
        other = data.draw(st.permutations(rows))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "theirs.csv"
            [done] = reconcile_files(ledger, [written(path, heads, rows)])
            adds_up(done)
            [shuffled] = reconcile_files(ledger, [written(path, heads, other)])
            assert shuffled == done
            parts = [
                written(Path(folder) / "a.csv", heads, rows[:cut] or rows),
                written(Path(folder) / "b.csv", heads, rows[cut:] or rows),
            ]
            told = [reconcile_files(ledger, each) for each in (parts, parts[::-1])]
            assert told[0] == told[1]
            adds_up(told[0][0])

    holds()


@pytest.mark.parametrize("name", [MONTHS, CHANGES])
def test_ours_with_ours_is_empty(ledger: Ledger, tmp_path: Path, name: str) -> None:
    [done] = reconcile_files(ledger, [written(tmp_path / name, *stripes(name))])
    assert (done.cells, done.differing, done.preset) == ([], 0, None)
    assert done.compared > 30


@pytest.mark.parametrize("settings", EVERY_SETTING, ids=str)
def test_between_two_presets_are_their_switches(
    ledger: Ledger, tmp_path: Path, settings: StripeSettings
) -> None:
    path = written(tmp_path / MONTHS, *stripes(MONTHS, settings))
    theirs = preset_texts(preset_of(Policy(**settings._asdict())))
    for name in PRESETS:
        [done] = reconcile_files(ledger, [path], ReconcileRequest(preset=name))
        adds_up(done)
        asked = preset_texts(name)
        allowed = {
            PolicySwitch(rule, value).in_words
            for rule in asked
            if len({asked[rule], theirs[rule], done.rules[rule]}) > 1
            for value in (asked[rule], theirs[rule])
        }
        told = {(part.cause, part.detail) for c in done.cells for part in c.parts}
        assert told <= {(GapCause.POLICY, words) for words in allowed}
        assert not done.unexplained
