"""The switches of the rules: what another tool may have set otherwise.

Comes in: the rules in force, as texts. Goes out: each other value of each switch, alone
and two at a time, and the presets of tools that are known.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from connector.core.policy import VALUES, Policy, PolicySwitch, policy_of
from connector.core.presets import PRESETS, preset_texts

Choice = tuple[PolicySwitch, ...]  # what is set otherwise; empty: the rules in force


def choices(in_force: Mapping[str, str]) -> list[Choice]:
    """Every switch on its own, every two of different rules, and every preset.

    What a preset sets otherwise, less any of it, is among them too.
    """
    alone = [
        PolicySwitch(rule, value)
        for rule, values in VALUES.items()
        for value in values
        if value != in_force.get(rule, values[0])
    ]
    pairs = [pair for pair in combinations(alone, 2) if pair[0].rule != pair[1].rule]
    presets = [preset_switches(in_force, name) for name in PRESETS]
    more = sorted((each for each in presets if len(each) > 2), key=len)
    return [*((switch,) for switch in alone), *pairs, *more]


def preset_switches(in_force: Mapping[str, str], preset: str) -> Choice:
    """What a preset sets otherwise than the rules in force."""
    wanted = preset_texts(preset)
    return tuple(
        PolicySwitch(rule, wanted[rule])
        for rule, values in VALUES.items()
        if rule in wanted and wanted[rule] != in_force.get(rule, values[0])
    )


def changed(in_force: Mapping[str, str], choice: Choice) -> dict[str, str]:
    """The rules with these switches set otherwise."""
    return {**in_force, **{switch.rule: switch.value for switch in choice}}


class ExplainedGap(NamedTuple):
    """What a choice makes of the MRR, and what it leaves of the gap to the other tool."""

    choice: Choice
    mrr_minor: int
    effect_minor: int
    left_minor: int


def explained(
    ours_minor: int, theirs_minor: int, mrr_minor: Mapping[Choice, int]
) -> list[ExplainedGap]:
    """Every choice that moves MRR, the one that leaves the least of the gap first.

    A pair of which one switch changes nothing says no more than the other one alone, and
    is left out.
    """
    found = []
    for choice, minor in mrr_minor.items():
        alone = [mrr_minor[switch,] for switch in choice] if len(choice) > 1 else []
        if minor == ours_minor or minor in alone:
            continue
        left_minor = theirs_minor - minor
        found.append(ExplainedGap(choice, minor, minor - ours_minor, left_minor))
    return sorted(found, key=lambda e: (abs(e.left_minor), len(e.choice)))


def closes(each: ExplainedGap, gap_minor: int) -> bool:
    """Whether no more is left of the gap than a hundredth: rounding, not a rule."""
    return abs(each.left_minor) * 100 <= abs(gap_minor)


def policies(
    in_force: Mapping[str, str], wanted: Sequence[Choice]
) -> Iterator[tuple[Choice, Policy]]:
    """The different policies behind the choices; a time zone is none of them."""
    seen = set()
    for choice in wanted:
        switches = tuple(switch for switch in choice if switch.rule != "timezone")
        if switches and switches not in seen:
            seen.add(switches)
            yield switches, policy_of(changed(in_force, switches))
