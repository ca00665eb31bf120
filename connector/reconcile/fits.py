"""Which preset of another tool's makes our cells most like theirs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32
from zoneinfo import ZoneInfo

from connector.core.policy import Rules
from connector.core.presets import PRESETS
from connector.metrics.what_if import policies, preset_switches
from connector.mrr.history import History
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


class FileFit(NamedTuple):
    """``presets``, the best first, and in which zone's days they fit so."""

    presets: Sequence[PresetFit]
    zone: str


def fit(
    histories: Iterable[History],
    sample: Mapping[str, Beside],
    rules: Rules,
    names: Collection[str],
    grain: Grain,
    now_s: int,
) -> FileFit:
    """How many of the sample's cells differ under each preset, in each zone's days.

    The zone is ours, unless another one fits clearly better. Of presets that fit alike,
    the first has fewest switches set otherwise than ours.
    """
    in_force, own = rules.settings(), rules.zone.key
    choices = {name: preset_switches(in_force, name) for name in PRESETS}
    different = dict(policies(in_force, list(choices.values())))
    zones = tuple(dict.fromkeys((own, *ZONES)))
    count = {(name, zone): 0 for name in names for zone in zones}
    for history in histories:
        theirs = sample[history.customer].theirs.amounts
        found = steps_under(history, rules.policy, different, now_s)
        by_steps: dict[tuple[int, str], int] = {}  # most presets end in the same steps
        for name, zone in count:
            steps = found[choices[name]]
            place = id(steps), zone
            if place not in by_steps:
                ours = in_grain(day_changes(steps, ZoneInfo(zone)), grain)
                by_steps[place] = len(differing(ours, theirs))
            count[name, zone] += by_steps[place]
    zone = _zone({z: min(count[name, z] for name in names) for z in zones}, own)
    fits = [PresetFit(name, count[name, zone]) for name in names]
    ranked = sorted(fits, key=lambda each: (each.differing, len(choices[each.name])))
    return FileFit(ranked, zone)


def _zone(least: Mapping[str, int], own: str) -> str:
    best = min(least, key=least.__getitem__)
    gained = least[own] - least[best]
    return best if gained >= max(LEAST_ZONED, least[own] // 10) else own
