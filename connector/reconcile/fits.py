"""Which preset of another tool's makes our cells most like theirs."""

from collections.abc import Iterable, Mapping
from zlib import crc32
from zoneinfo import ZoneInfo

from connector.core.policy import Policy, Rules
from connector.core.presets import PRESETS
from connector.metrics.what_if import policies, preset_switches
from connector.mrr.history import History
from connector.mrr.timeline import timeline
from connector.reconcile.alternatives import ZONES
from connector.reconcile.cells import Grain, day_changes, differing, in_grain
from connector.reconcile.model import PresetFit
from connector.reconcile.sides import Beside
from connector.reports.compare import steps_under

MOST_DIFFERING, MOST_SAME = 100, 40
LEAST_ZONED = 3  # cells that another zone must explain, and a tenth of all


class Sample:
    """Customers to try presets on: a few whose cells differ, a few whose do not.

    Which ones follows from their ids, so that the order of files changes nothing.
    """

    def __init__(self) -> None:
        self._differing: list[tuple[int, Beside]] = []
        self._same: list[tuple[int, Beside]] = []

    def see(self, beside: Beside) -> None:
        if not beside.is_here or not beside.is_there:
            return  # whoever is on one side alone, every preset leaves there
        is_same = beside.ours == beside.theirs.amounts
        kept, most = (
            (self._same, MOST_SAME) if is_same else (self._differing, MOST_DIFFERING)
        )
        kept.append((crc32(beside.customer.id.encode()), beside))
        if len(kept) >= 2 * most:
            self._cut(kept, most)

    def _cut(self, kept: list[tuple[int, Beside]], most: int) -> None:
        kept.sort(key=lambda each: (each[0], each[1].customer.id))
        del kept[most:]

    def chosen(self) -> dict[str, Beside]:
        self._cut(self._differing, MOST_DIFFERING)
        self._cut(self._same, MOST_SAME)
        both = (each for _, each in (*self._differing, *self._same))
        return {each.customer.id: each for each in both}


def preset_fits(
    histories: Iterable[History],
    sample: Mapping[str, Beside],
    rules: Rules,
    grain: Grain,
    now_s: int,
) -> list[PresetFit]:
    """How many cells of the sample differ under each preset, the best first.

    Of those that fit alike, the one with fewest switches set otherwise than ours.
    """
    in_force = rules.settings()
    choices = {name: preset_switches(in_force, name) for name in PRESETS}
    different = dict(policies(in_force, list(choices.values())))
    count = dict.fromkeys(PRESETS, 0)
    for history in histories:
        beside = sample[history.customer]
        found = steps_under(history, rules.policy, different, now_s)
        for name, switches in choices.items():
            ours = in_grain(day_changes(found[switches], rules.zone), grain)
            count[name] += len(differing(ours, beside.theirs.amounts))
    fits = [PresetFit(name, count[name]) for name in PRESETS]
    return sorted(fits, key=lambda each: (each.differing, len(choices[each.name])))


def zone_that_fits(
    histories: Iterable[History],
    sample: Mapping[str, Beside],
    policy: Policy,
    own: str,
    grain: Grain,
    now_s: int,
) -> str:
    """In which zone's days most of the sample's cells are theirs; ours, unless clearly."""
    count = dict.fromkeys((own, *ZONES), 0)
    for history in histories:
        theirs = sample[history.customer].theirs.amounts
        steps = timeline(history, policy, now_s).steps
        for zone in count:
            ours = in_grain(day_changes(steps, ZoneInfo(zone)), grain)
            count[zone] += len(differing(ours, theirs))
    best = min(count, key=count.__getitem__)
    is_clear = count[own] - count[best] >= max(LEAST_ZONED, count[own] // 10)
    return best if is_clear else own
