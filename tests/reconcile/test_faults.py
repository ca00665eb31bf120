"""Faults planted in files at random: each differing cell is given to the fault it is of.

What was planted and what was found, cell by cell, is in fixtures/output/reconcile.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from connector.config import Config
from connector.core.dates import instant as instant_of
from connector.reconcile.model import DifferingCell, GapCause
from connector.reconcile.reconcile import reconcile_files
from connector.reports.ledger import Ledger
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, add_months, instant
from tests.billing.stripe_mrr import (
    COUPON_SETTINGS,
    Grain,
    StripeSettings,
    by_month,
    customer_changes_csv,
    item_steps,
    month_ends,
    stripe_mrr,
    subscriber_months_csv,
)
from tests.billing.truth import Step, added_up
from tests.support.big_account import ENDS, ZONE, big_account, big_ledger, every_event
from tests.support.folders import FIXTURES
from tests.support.ledgers import empty_ledger, look, settle

CUSTOMERS = 220
EACH = 8  # customers of each kind of fault
SEEDS = range(2)
OURS = StripeSettings(repeating_subtracted=True)
TABLE = FIXTURES / "output" / "reconcile" / "planted-faults.txt"

Cells = dict[str, int]  # month → minor units


@cache
def months(settings: StripeSettings = OURS, zone: str = ZONE) -> dict[Grain, Cells]:
    account = big_account(CUSTOMERS)
    return by_month(stripe_mrr(account, settings), account.now, zone)


class Planted(NamedTuple):
    """The rows that a customer has instead of its own; ``ids`` whose cells differ."""

    rows: Sequence[tuple[str, str, Cells]]
    ids: frozenset[str]


def alone(grain: Grain, *rows: tuple[str, str, Cells]) -> Planted:
    return Planted(rows, frozenset({grain[0]}))


def lost(grain: Grain, _own: Cells, _rng: random.Random) -> Planted:
    return alone(grain)


def doubled(grain: Grain, own: Cells, _rng: random.Random) -> Planted:
    return alone(grain, (*grain, own), (*grain, own))


def shifted(grain: Grain, own: Cells, _rng: random.Random) -> Planted:
    """Each month has what the one before it ended with."""
    late = dict(zip(own, [0, *own.values()], strict=False))
    return alone(grain, (*grain, late))


def converted(grain: Grain, own: Cells, rng: random.Random) -> Planted:
    """Euros in dollars, at a rate that moves a little every month."""
    worth = {month: round(n * rng.uniform(1.05, 1.17)) for month, n in own.items()}
    return alone(grain, (grain[0], "usd", worth))


def coupons(grain: Grain, _own: Cells, _rng: random.Random) -> Planted:
    return alone(grain, (*grain, months(StripeSettings())[grain]))


def merged(grain: Grain, own: Cells, rng: random.Random) -> Planted:
    other = f"cus_{rng.getrandbits(60):x}"
    return Planted([(other, grain[1], own)], frozenset({grain[0], other}))


def deleted(grain: Grain, own: Cells, rng: random.Random) -> Planted:
    """Beside what it has, somebody whom only they still know."""
    other = f"cus_{rng.getrandbits(60):x}"
    odd = {month: n + 7 if n else 0 for month, n in own.items()}
    rows = [(*grain, own), (other, grain[1], odd)]
    return Planted(rows, frozenset({other}))


def taxed(grain: Grain, own: Cells, rng: random.Random) -> Planted:
    rate = rng.choice([7, 19, 20, 25])
    return alone(
        grain, (*grain, {m: round(n * (100 + rate) / 100) for m, n in own.items()})
    )


def with_trial(grain: Grain, _own: Cells, _rng: random.Random) -> Planted:
    return alone(grain, (*grain, trials_paid()[grain]))


@cache
def trials_paid() -> dict[Grain, Cells]:
    """Stripe's months, had every trial been paid like what followed it."""
    account = big_account(CUSTOMERS)
    found: dict[Grain, list[Step]] = {}
    for sub in account.subscriptions:
        grain = sub.customer.id, sub.currency
        steps = added_up(sub.all_items, lambda item: item_steps(account, item, OURS))
        if sub.trial_start is not None and steps:
            steps[0] = Step(sub.trial_start, steps[0].mrr_minor)
        found.setdefault(grain, []).extend(steps)
    single = {grain: steps for grain, steps in found.items() if is_single(grain)}
    return by_month(single, account.now, ZONE)


def is_single(grain: Grain) -> bool:
    subs = [
        s for s in big_account(CUSTOMERS).subscriptions if s.customer.id == grain[0]
    ]
    return len(subs) == 1


class Fault(NamedTuple):
    plant: Callable[[Grain, Cells, random.Random], Planted]
    causes: frozenset[GapCause]
    suits: Callable[[Grain, Cells], bool] = lambda _grain, own: any(own.values())


def is_euro(grain: Grain, own: Cells) -> bool:
    return grain[1] == "eur" and any(own.values())


def is_dollar(grain: Grain, own: Cells) -> bool:
    return grain[1] == "usd" and sum(map(bool, own.values())) > 3


FAULTS = {
    "a lost customer": Fault(lost, frozenset({GapCause.MISSING_THERE})),
    "a doubled row": Fault(doubled, frozenset({GapCause.REPEATED})),
    "a shifted month end": Fault(shifted, frozenset({GapCause.DATE})),
    "an exchange rate": Fault(converted, frozenset({GapCause.CURRENCY}), is_euro),
    "a coupon setting": Fault(
        coupons,
        frozenset({GapCause.POLICY}),
        lambda grain, own: months(StripeSettings())[grain] != own,
    ),
    "a merged id": Fault(merged, frozenset({GapCause.MOVED})),
    "a deleted customer": Fault(deleted, frozenset({GapCause.MISSING_HERE})),
    "tax counted": Fault(taxed, frozenset({GapCause.TAX}), is_dollar),
    "a trial counted": Fault(
        with_trial,
        frozenset({GapCause.TRIAL}),
        lambda grain, own: is_single(grain) and trials_paid().get(grain, own) != own,
    ),
}


def planted(seed: int) -> tuple[str, dict[str, str]]:
    """The file, and by customer which fault its cells show."""
    rng = random.Random(f"faults {seed}")
    grains = sorted(months())
    rng.shuffle(grains)
    taken: dict[Grain, str] = {}
    rows: list[tuple[str, str, Cells]] = []
    whose: dict[str, str] = {}
    for name, fault in FAULTS.items():
        suits = [g for g in grains if g not in taken and fault.suits(g, months()[g])]
        for grain in suits[:EACH]:
            taken[grain] = name
            made = fault.plant(grain, months()[grain], rng)
            rows += made.rows
            whose |= dict.fromkeys(made.ids, name)
    rows += [(*grain, months()[grain]) for grain in grains if grain not in taken]
    rng.shuffle(rows)
    return written(rows), whose


def written(rows: Sequence[tuple[str, str, Cells]]) -> str:
    names = list(next(iter(months().values())))
    lines = [f"Customer ID,Currency,{','.join(names)}"]
    for customer, currency, own in rows:
        cells = [f"{own[name] / 100:.2f}" for name in names]
        lines.append(",".join([customer, currency, *cells]))
    return "\n".join(lines) + "\n"


def cause_of(cell: DifferingCell) -> GapCause:
    """What most of it is; unexplained if any of it is."""
    if cell.is_unexplained:
        return GapCause.UNEXPLAINED
    return max(cell.parts, key=lambda part: abs(part.amount_minor)).cause


Confusion = Counter[tuple[str, GapCause]]


@pytest.fixture(scope="module")
def confusion(tmp_path_factory: pytest.TempPathFactory) -> Confusion:
    folder = tmp_path_factory.mktemp("planted")
    found: Confusion = Counter()
    with big_ledger(CUSTOMERS) as ledger:
        for seed in SEEDS:
            text, whose = planted(seed)
            path = folder / f"{seed}.csv"
            path.write_text(text)
            [done] = reconcile_files(ledger, [path])
            for cell in done.cells:
                assert sum(p.amount_minor for p in cell.parts) == cell.gap_minor
                name = whose.get(cell.customer.id, "nothing")
                found[name, cause_of(cell)] += 1
        for cell in of_another_zone(ledger, folder):
            found["a wrong zone", cause_of(cell)] += 1
        for settings in (OURS, StripeSettings(churn_when_requested=True)):
            for cell in of_their_past(ledger, folder, settings):
                found["restated there", cause_of(cell)] += 1
    for cell in of_usage(folder):
        found["usage counted", cause_of(cell)] += 1
    for cell in of_the_past(folder):
        found["a restated past", cause_of(cell)] += 1
    return found


def of_another_zone(ledger: Ledger, folder: Path) -> Sequence[DifferingCell]:
    """Days and months of Los Angeles, of all who then differ."""
    zone, account = "America/Los_Angeles", big_account(CUSTOMERS)
    of_days = customer_changes_csv(stripe_mrr(account, OURS), zone)
    found: list[DifferingCell] = []
    for text in (of_days, subscriber_months_csv(months(zone=zone))):
        path = folder / "zone.csv"
        path.write_text(text)
        [done] = reconcile_files(ledger, [path])
        found += done.cells
    return found


def of_their_past(
    ledger: Ledger, folder: Path, settings: StripeSettings
) -> Sequence[DifferingCell]:
    """A download of September, and one of October in which some have another past."""
    rng = random.Random(f"their past {settings}")
    own = months(settings)
    whom = rng.sample(sorted(g for g in own if any(own[g].values())), 3 * EACH)
    names = list(next(iter(own.values())))
    told = {
        "september.csv": [name for name in names if name < "2026-10"],
        "october.csv": [name for name in names if name < "2026-11"],
    }
    restated = {
        (grain, month): own[grain][month] + rng.randrange(150, 9_000)
        for grain in whom
        for month in rng.sample(told["september.csv"], 5)
    }
    for name, kept in told.items():
        changed = restated if name == "october.csv" else {}
        cells = {
            grain: {m: changed.get((grain, m), by[m]) for m in kept}
            for grain, by in own.items()
        }
        (folder / name).write_text(subscriber_months_csv(cells))
    [done] = reconcile_files(ledger, [folder / name for name in told])
    planted = {(g[0], month) for g, month in restated}
    return [c for c in done.cells if (c.customer.id, f"{c.day:%Y-%m}") in planted]


def of_usage(folder: Path) -> Sequence[DifferingCell]:
    """Metered prices beside flat ones, each period's usage counted when it is billed."""
    rng = random.Random("usage")
    account = Account(instant("2025-01-10T09:00:00"), coupon_settings=COUPON_SETTINGS)
    product = account.add_product("Plan")
    flat = account.add_price(product, 5_000)
    metered = account.add_price(product, 10, metered=True)
    used: dict[str, list[Step]] = {}
    for _ in range(12):
        account.advance(account.now + DAY)
        sub = account.subscribe(account.add_customer(), [(flat, 1), (metered, 1)])
        used[sub.customer.id] = []
    starts = [(sub.created, sub) for sub in account.subscriptions]
    for count in range(1, 10):
        for created, sub in starts:
            amount = rng.randrange(20, 900)
            due = add_months(created, count)
            account.advance(max(account.now, due - DAY))
            [item] = [item for item in sub.items if item.price.metered]
            account.report_usage(item, amount)
            account.advance(due)
            used[sub.customer.id].append(Step(due, amount * 10))
    account.advance(account.now + DAY)
    ends = month_ends(instant("2025-01-10T09:00:00"), account.now, "UTC")
    theirs = {
        (sub.customer.id, "usd"): {
            month: sum(
                next((s.mrr_minor for s in reversed(steps) if s.at < over), 0)
                for steps in (used[sub.customer.id], [Step(sub.created, 5_000)])
            )
            for month, over in ends
        }
        for _, sub in starts
    }
    path = folder / "usage.csv"
    path.write_text(subscriber_months_csv(theirs))
    with empty_ledger() as connection:
        look(connection, every_event(account), account.now)
        settle(connection, account.now, "UTC")
        ledger = Ledger(connection, Config(), instant_of(account.now))
        [done] = reconcile_files(ledger, [path])
    return done.cells


def of_the_past(folder: Path) -> Sequence[DifferingCell]:
    """A file of June, when invoices alone told of changes that events date earlier."""
    before = big_account(CUSTOMERS, ends=instant("2026-06-15T12:00:00"))
    path = folder / "past.csv"
    steps = {g: s for g, s in before.evidenced_mrr().items() if s}
    of_june = by_month(steps, before.now, ZONE)
    told = [m for m in next(iter(of_june.values())) if m < "2026-06"]
    path.write_text(
        subscriber_months_csv(
            {g: {m: own[m] for m in told} for g, own in of_june.items()}
        )
    )
    after = big_account(CUSTOMERS)
    with empty_ledger() as connection:
        look(connection, before.snapshot(), before.now)
        settle(connection, before.now, ZONE)
        look(connection, every_event(after), after.now)
        settle(connection, after.now, ZONE)
        config = Config()
        ledger = Ledger(connection, config, instant_of(ENDS))
        [done] = reconcile_files(ledger, [path])
    return done.cells


EXPECTED: Mapping[str, frozenset[GapCause]] = {
    **{name: fault.causes for name, fault in FAULTS.items()},
    "a wrong zone": frozenset({GapCause.ZONE}),
    "usage counted": frozenset({GapCause.USAGE}),
    "a restated past": frozenset({GapCause.RESTATED_HERE}),
    "restated there": frozenset({GapCause.RESTATED_THERE}),
}


def as_table(confusion: Confusion) -> str:
    """A line for each kind of fault: how many cells, and what they were given to."""
    lines = ["planted                cells  given to"]
    for name in EXPECTED:
        own = {c: n for (kind, c), n in confusion.items() if kind == name}
        said = ", ".join(f"{c.value} {n}" for c, n in sorted(own.items()))
        lines.append(f"{name:<21} {sum(own.values()):>6}  {said}")
    return "\n".join(lines) + "\n"


def test_every_kind_of_fault_was_planted(confusion: Confusion) -> None:
    assert {name for name, _ in confusion} == EXPECTED.keys()
    assert len(EXPECTED) == 13


@pytest.mark.parametrize("name", EXPECTED)
def test_a_faults_cells_are_given_to_it(confusion: Confusion, name: str) -> None:
    own = {cause: n for (kind, cause), n in confusion.items() if kind == name}
    right = sum(n for cause, n in own.items() if cause in EXPECTED[name])
    assert right >= 0.95 * sum(own.values()), own


def test_of_all_cells_99_in_100_are_right_and_none_is_swallowed(
    confusion: Confusion,
) -> None:
    right = sum(n for (kind, cause), n in confusion.items() if cause in EXPECTED[kind])
    assert right >= 0.99 * sum(confusion.values())


def test_the_table_of_what_was_found_is_as_it_was_accepted(
    confusion: Confusion, pytestconfig: pytest.Config
) -> None:
    text = as_table(confusion)
    if pytestconfig.getoption("--accept"):
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(text, encoding="utf-8")
    assert text == TABLE.read_text(encoding="utf-8")
