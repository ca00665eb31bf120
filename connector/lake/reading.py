"""A run's folder → what a report of standard windows needs of it."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter, sub
from pathlib import Path

from connector.core.account import NOBODY
from connector.core.errors import LakeUnusable
from connector.core.figures import SUMMED, RollupDelta
from connector.core.invoiced import NotCounted, NotCountedReason
from connector.core.kept.books import KeptBooks, KeptSums
from connector.core.model import Refusal
from connector.core.windows import Window, WindowKind
from connector.lake import parquet
from connector.lake.flat import FLAT
from connector.lake.run import KeptRun
from connector.lake.tables import DERIVED, FIGURES, SOLD


def read_sums(kept: KeptRun) -> KeptSums:
    """None of a run's movements is read."""
    place, run = kept
    [account, *others] = run.accounts
    is_flat = FLAT in run.source_shape
    return KeptSums(
        rules={**run.policy, "source_shape": FLAT} if is_flat else run.policy,
        known_until=run.known_until,
        account=None if others or account == NOBODY else account,
        deltas=_deltas(place / "windows"),
        refusals=[
            Refusal(customer=who, object_id=key, field=field, value=value)
            for who, key, field, value, _ in _rows(place, "refusals")
        ],
        not_counted=_not_counted(place),
    )


def read_books(kept: KeptRun) -> KeptBooks:
    """Of the same run, as streams; they are read when they are asked for."""
    place, run = kept
    if not (place / "plans").exists():
        raise LakeUnusable(
            f"{place} was written by {run.code_version}, which kept no plans",
            fix="make a new run with `stripe-nrr lake SRC OUT`",
        )

    def of(table: str) -> Iterator[parquet.Row]:
        return parquet.read(place / table, DERIVED[table])

    sold = parquet.read(place / "sold", SOLD)
    return KeptBooks(sold, *map(of, ("profiles", "movements", "terms", "plans")))


def _rows(place: Path, table: str) -> list[parquet.Row]:
    return list(parquet.read(place / table, DERIVED[table]))


def _deltas(folder: Path) -> dict[str, list[RollupDelta]]:
    """What changes from window to window."""
    found = defaultdict(list)
    rows = sorted(parquet.read(folder, FIGURES))
    for (currency, kind), own in groupby(rows, key=itemgetter(0, 1)):
        before = (0,) * len(SUMMED)
        for _, _, start, end, *sums in own:
            window = Window(WindowKind(kind), start, end)
            changes = tuple(map(sub, sums, before))
            found[currency].append(RollupDelta(window, changes))
            before = tuple(sums)
    return dict(found)


def _not_counted(place: Path) -> dict[str, list[NotCounted]]:
    found = defaultdict(list)
    for customer, currency, reason, *rest in _rows(place, "not_counted"):
        found[customer].append(NotCounted(currency, NotCountedReason(reason), *rest))
    return dict(found)
