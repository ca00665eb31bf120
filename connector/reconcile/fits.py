"""Which preset of another tool's makes our cells most like theirs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
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

MOST = {False: 100, True: 60}  # customers to try, by whether all of a cell is the same
LEAST_ZONED = 3  # cells that another zone must explain, and a tenth of all


class Tried(NamedTuple):
    """A customer to try presets on, and for how many it stands."""

    beside: Beside
    weight: Fraction


class Sample:
    """Customers to try presets on: some whose cells differ, some whose do not.

    Which ones follows from their ids, so that the order of files changes nothing.
    """

    def __init__(self) -> None:
        self._kept: dict[bool, list[tuple[int, str, Beside]]] = {True: [], False: []}
        self._seen = {True: 0, False: 0}

    def see(self, beside: Beside) -> None:
        if not beside.is_here or not beside.is_there:
            return  # whoever is on one side alone, every preset leaves there
        ours, theirs = beside.ours, beside.theirs.amounts
        there = {currency for currency, _ in theirs}
        is_converted = bool(ours and theirs) and there.isdisjoint(c for c, _ in ours)
        if is_converted or beside.rate is not None:
            return  # under every preset all of its cells differ
        is_same = ours == theirs
        self._seen[is_same] += 1
        kept, customer = self._kept[is_same], beside.customer.id
        kept.append((crc32(customer.encode()), customer, beside))
        if len(kept) >= 2 * MOST[is_same]:
            self._cut(is_same)

    def _cut(self, is_same: bool) -> None:  # noqa: FBT001 - the key of both tables
        kept = self._kept[is_same]
        kept.sort(key=lambda each: each[:2])
        del kept[MOST[is_same] :]

    def chosen(self) -> dict[str, Tried]:
        found = {}
        for is_same, kept in self._kept.items():
            self._cut(is_same)
            for _, customer, beside in kept:
                weight = Fraction(self._seen[is_same], len(kept))
                found[customer] = Tried(beside, weight)
        return found


class FileFit(NamedTuple):
    """``presets``, the best first, and in which zone's days they fit so."""

    presets: Sequence[PresetFit]
    zone: str


def fit(
    histories: Iterable[History],
    sample: Mapping[str, Tried],
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
    count = {(name, zone): Fraction(0) for name in names for zone in zones}
    for history in histories:
        tried = sample[history.customer]
        theirs = tried.beside.theirs.amounts
        found = steps_under(history, rules.policy, different, now_s)
        by_steps: dict[tuple[int, str], int] = {}  # most presets end in the same steps
        for name, zone in count:
            steps = found[choices[name]]
            place = id(steps), zone
            if place not in by_steps:
                ours = in_grain(day_changes(steps, ZoneInfo(zone)), grain)
                by_steps[place] = len(differing(ours, theirs))
            count[name, zone] += by_steps[place] * tried.weight
    zone = _zone({z: min(count[name, z] for name in names) for z in zones}, own)
    fits = [PresetFit(name, round(count[name, zone])) for name in names]
    ranked = sorted(fits, key=lambda each: (each.differing, len(choices[each.name])))
    return FileFit(ranked, zone)


def _zone(least: Mapping[str, Fraction], own: str) -> str:
    best = min(least, key=least.__getitem__)
    gained = least[own] - least[best]
    is_clear = gained >= LEAST_ZONED and gained * 10 >= least[own]
    return best if is_clear else own
