"""The policy and the rules in force: what counts, and all else a derivation depends on."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct, field


class Policy(Struct, frozen=True, kw_only=True):
    """What counts; the defaults are Stripe's definition with repeating coupons off.

    ``past_due_days`` is None where past due always counts, else the days after which it
    no longer does.
    """

    past_due_days: int | None = None
    pause_collection_counts: bool = True
    repeating_subtracted: bool = True
    once_subtracted: bool = False
    metered_invoiced: bool = False
    churn_when_requested: bool = False

    def settings(self) -> dict[str, str]:
        """Every switch as the configuration and the reports write it."""
        days = self.past_due_days
        return {
            "past_due": "counts" if days is None else f"after_days:{days}",
            "pause_collection": _either(
                self.pause_collection_counts, "counts", "excluded"
            ),
            "repeating_coupon": _either(
                self.repeating_subtracted, "subtracted", "ignored"
            ),
            "once_coupon": _either(self.once_subtracted, "subtracted", "ignored"),
            "metered": _either(self.metered_invoiced, "invoiced", "excluded"),
            "churn": _either(self.churn_when_requested, "requested", "ended"),
        }


def _either(switch: bool, on: str, off: str) -> str:  # noqa: FBT001
    return on if switch else off


class Rules(Struct, frozen=True, kw_only=True):
    """Everything a derivation depends on besides the history itself."""

    policy: Policy
    zone: ZoneInfo
    code_version: str
    merge: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """Every rule as text; ``merge`` only where there is one."""
        rules = {**self.policy.settings(), "timezone": self.zone.key}
        if self.merge:
            pairs = (f"{old} = {new}" for old, new in sorted(self.merge.items()))
            rules["merge"] = ", ".join(pairs)
        return rules

    def as_json(self) -> str:
        return json.dumps(self.settings(), ensure_ascii=False)

    def affected(self, customers: Iterable[str]) -> list[str]:
        """These, and those they are merged into, in order of their ids."""
        named = list(customers)
        return sorted({*named, *(self.merge[c] for c in named if c in self.merge)})

    def also(self, customer: str) -> list[str]:
        """The former ids of a customer."""
        return sorted(old for old, new in self.merge.items() if new == customer)


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What changed between two sets of rules: ``once_coupon ignored → subtracted``."""
    return [
        f"{name} {was.get(name, 'none')} → {now.get(name, 'none')}"
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]


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


class PolicySwitch(NamedTuple):
    """A rule and another value of it, as the configuration writes them."""

    rule: str
    value: str

    @property
    def in_words(self) -> str:
        """``repeating coupons ignored``, as a reader of the report would say it."""
        after = self.value.partition("after_days:")[2]
        value = {"0": "does not count"}.get(after, f"counts for {after} days")
        return f"{WORDS[self.rule]} {value if after else self.value}"


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
