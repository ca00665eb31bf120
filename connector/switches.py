"""The switches of the rules: what another tool may have set otherwise.

Comes in: the rules in force, as texts. Goes out: each other value of each switch, alone
and two at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from connector.model import Policy

# What each switch can be. Of the many time zones, the ends of the business day: a tool in
# its own zone counts up to a day more or less.
VALUES: Mapping[str, tuple[str, ...]] = {
    "past_due": ("counts", "after_days:0", "after_days:30"),
    "pause_collection": ("counts", "excluded"),
    "repeating_coupon": ("subtracted", "ignored"),
    "once_coupon": ("ignored", "subtracted"),
    "metered": ("excluded", "invoiced"),
    "churn": ("ended", "requested"),
    "timezone": ("UTC", "America/Los_Angeles", "Asia/Tokyo"),
}
WORDS = {
    "past_due": "past due",
    "pause_collection": "paused collection",
    "repeating_coupon": "repeating coupons",
    "once_coupon": "once coupons",
    "metered": "metered prices",
    "churn": "churn when",
    "timezone": "days in",
}


class Switch(NamedTuple):
    """A rule and another value of it, as the configuration writes them."""

    rule: str
    value: str

    @property
    def in_words(self) -> str:
        """``repeating coupons ignored``, as a reader of the report would say it."""
        after = self.value.partition("after_days:")[2]
        value = {"0": "does not count"}.get(after, f"counts for {after} days")
        return f"{WORDS[self.rule]} {value if after else self.value}"


Choice = tuple[Switch, ...]  # what is set otherwise; empty: the rules in force


def choices(in_force: Mapping[str, str]) -> list[Choice]:
    """Every switch on its own, then every two of different rules."""
    alone = [
        Switch(rule, value)
        for rule, values in VALUES.items()
        for value in values
        if value != in_force[rule]
    ]
    pairs = [pair for pair in combinations(alone, 2) if pair[0].rule != pair[1].rule]
    return [*((switch,) for switch in alone), *pairs]


def changed(in_force: Mapping[str, str], choice: Choice) -> dict[str, str]:
    """The rules with these switches set otherwise."""
    return {**in_force, **{switch.rule: switch.value for switch in choice}}


def policy_of(rules: Mapping[str, str]) -> Policy:
    """The policy that these texts stand for: ``Policy.settings`` the other way round."""
    days = rules["past_due"].partition("after_days:")[2]
    return Policy(
        past_due_days=int(days) if days else None,
        pause_collection_counts=rules["pause_collection"] == "counts",
        repeating_subtracted=rules["repeating_coupon"] == "subtracted",
        once_subtracted=rules["once_coupon"] == "subtracted",
        metered_invoiced=rules["metered"] == "invoiced",
        churn_when_requested=rules["churn"] == "requested",
    )


class Explained(NamedTuple):
    """What a choice makes of the MRR, and what it leaves of the gap to the other tool."""

    choice: Choice
    mrr_minor: int
    effect_minor: int
    left_minor: int


def explained(
    ours_minor: int, theirs_minor: int, mrr_minor: Mapping[Choice, int]
) -> list[Explained]:
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
        found.append(Explained(choice, minor, minor - ours_minor, left_minor))
    return sorted(found, key=lambda e: (abs(e.left_minor), len(e.choice)))


def closes(each: Explained, gap_minor: int) -> bool:
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
