"""The policy and the rules in force: what counts, and all else a derivation depends on.

Each field of ``Policy`` is a switch. How the configuration and the reports write it is
read off ``POLICY_RULES``, and nowhere said again.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from connector.core.language import _, message
from connector.core.model import METADATA


class PolicyRule(NamedTuple):
    """What can be set, as texts: the key, whom it is about, and its values.

    ``values`` are what each text stands for, the default first; an N in one is a whole
    number, which the field then is. ``said`` is what a report says of a value, where not
    its text; ``tried`` is each value that `compare` tries, in its words, where not all.
    """

    key: str
    subject: str
    values: Mapping[str, Any]
    said: Mapping[str, str] = {}
    tried: Mapping[str, str] = {}

    @property
    def default(self) -> str:
        return next(iter(self.values))

    @property
    def wanted(self) -> str:
        """What to give, as a fault says it: ``"counts" or "after_days:N"``."""
        *others, last = self.values
        first = '", "'.join(others)
        return message(f'"{first}" or "{last}"') if others else f'"{last}"'

    @property
    def others(self) -> Mapping[str, str]:
        """Each value that another tool may have, and the words for it."""
        return self.tried or {text: text for text in self.values}

    def of(self, rules: Mapping[str, str]) -> str:
        """Its text among these: its default where they are from before there was it."""
        return rules.get(self.key, self.default)

    def read(self, text: str) -> Any:
        """What a text stands for; ``KeyError`` or ``ValueError`` for any other text."""
        general, number = _without_number(text)
        value = self.values[general]
        return int(number) if value is int else value

    def written(self, value: Any) -> str:
        """``read`` the other way round."""
        texts = {meant: text for text, meant in self.values.items()}
        return texts[value] if value in texts else texts[int].replace("N", str(value))

    def sentence(self, text: str) -> str:
        """``paused collection does not count``, as a report says it."""
        general, number = _without_number(text)
        words = self.said.get(general, general)
        return _in_words(f"{self.subject} {words}", number)


def _in_words(sentence: str, number: str = "") -> str:
    """A switch's subject and value as the catalogues have them, with the number for N."""
    return re.sub(r"\bN\b", number, _(sentence))


def _without_number(text: str) -> tuple[str, str]:
    """``after_days:30`` as ``after_days:N`` and ``30``."""
    found = re.fullmatch(r"(.+:)(\d{1,4})", text)
    return (f"{found[1]}N", found[2]) if found is not None else (text, "")


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
    active_from_payment: bool = False
    trial_after_paying_counts: bool = False
    invoiced_by_period: bool = False

    def subtracts(self, duration: str | None) -> bool:
        """Whether a coupon of this duration is taken off."""
        if duration == "once":
            return self.once_subtracted
        return duration != "repeating" or self.repeating_subtracted

    def settings(self) -> dict[str, str]:
        """Every switch as the configuration and the reports write it."""
        return {
            rule.key: rule.written(getattr(self, name))
            for name, rule in POLICY_RULES.items()
        }


_ACTIVE_FROM = {"start": "their start", "first_payment": "their first payment"}
_AFTER_PAYING = {"zero": "do not count", "counts": "count as what was paid"}
# Each switch by its name above: how the configuration and the reports write it.
POLICY_RULES: Mapping[str, PolicyRule] = {
    "past_due_days": PolicyRule(
        "past_due",
        "past due",
        {"counts": None, "after_days:N": int},
        said={"after_days:N": "counts for N days"},
        tried={
            "counts": "counts",
            "after_days:0": "does not count",
            "after_days:30": "counts for 30 days",
        },
    ),
    "pause_collection_counts": PolicyRule(
        "pause_collection",
        "paused collection",
        {"counts": True, "excluded": False},
        said={"excluded": "does not count"},
    ),
    "repeating_subtracted": PolicyRule(
        "repeating_coupon", "repeating coupons", {"subtracted": True, "ignored": False}
    ),
    "once_subtracted": PolicyRule(
        "once_coupon", "once coupons", {"ignored": False, "subtracted": True}
    ),
    "metered_invoiced": PolicyRule(
        "metered", "metered prices", {"excluded": False, "invoiced": True}
    ),
    "churn_when_requested": PolicyRule(
        "churn",
        "churn when",
        {"ended": False, "requested": True},
        said={
            "ended": "the subscription ends",
            "requested": "the subscription is cancelled",
        },
    ),
    "active_from_payment": PolicyRule(
        "active_from",
        "subscriptions count from",
        {"start": False, "first_payment": True},
        said=_ACTIVE_FROM,
        tried=_ACTIVE_FROM,
    ),
    "trial_after_paying_counts": PolicyRule(
        "trial_after_paying",
        "trials after paying",
        {"zero": False, "counts": True},
        said=_AFTER_PAYING,
        tried=_AFTER_PAYING,
    ),
    "invoiced_by_period": PolicyRule(
        "invoiced_recurring",
        "recurring money invoiced without a subscription",
        {"not_counted": False, "by_period": True},
        said={"not_counted": "not counted", "by_period": "counted by period"},
        tried={"not_counted": "not counted", "by_period": "counted by period"},
    ),
}
# Of the many time zones, the ends of the business day: a tool in its own zone counts up
# to a day more or less.
_ZONES = ("UTC", "America/Los_Angeles", "Asia/Tokyo")
_DAYS = PolicyRule("timezone", "days in", dict.fromkeys(_ZONES))
_BY_KEY = {rule.key: rule for rule in (*POLICY_RULES.values(), _DAYS)}
VALUES = {key: tuple(rule.others) for key, rule in _BY_KEY.items()}


def zone_in(stored: str | None) -> ZoneInfo | None:
    """The zone of rules as a ledger stores them; None before its first sync."""
    return None if stored is None else zone_of(json.loads(stored))


def zone_of(rules: Mapping[str, str]) -> ZoneInfo:
    """The zone that these texts name."""
    return ZoneInfo(rules["timezone"])


def policy_of(rules: Mapping[str, str]) -> Policy:
    """The policy that these texts stand for: ``Policy.settings`` the other way round."""
    return Policy(
        **{name: rule.read(rule.of(rules)) for name, rule in POLICY_RULES.items()}
    )


class PolicySwitch(NamedTuple):
    """A rule and another value of it, as the configuration writes them."""

    rule: str
    value: str

    @property
    def in_words(self) -> str:
        """``repeating coupons ignored``, as a reader of the report would say it."""
        rule = _BY_KEY[self.rule]
        if rule is _DAYS:
            return _("days in {timezone}").format(timezone=self.value)
        return _in_words(f"{rule.subject} {rule.others[self.value]}")


class CompanyRule(Struct, frozen=True, kw_only=True):
    """What makes several customers one: a key of their metadata, and pairs before it.

    ``pairs`` are customers with the company of each.
    """

    key: str = ""
    pairs: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_words(self) -> str:
        """What is asked of every process alike; of the pairs a checksum is enough."""
        told = [f"{METADATA}{self.key}"] if self.key else []
        if self.pairs:
            digest = sha256(json.dumps(sorted(self.pairs.items())).encode()).hexdigest()
            told.append(f"{len(self.pairs)} pairs ({digest[:12]})")
        return " and ".join(told)


NO_COMPANIES = CompanyRule()


class Rules(Struct, frozen=True, kw_only=True):
    """Everything a derivation depends on besides the history itself."""

    policy: Policy
    zone: ZoneInfo
    code_version: str
    merge: Mapping[str, str] = field(default_factory=dict)
    company: CompanyRule = NO_COMPANIES

    def settings(self) -> dict[str, str]:
        """Every rule as text; ``merge`` and ``companies`` only where there is one."""
        rules = {**self.policy.settings(), "timezone": self.zone.key}
        if self.merge:
            pairs = (f"{old} = {new}" for old, new in sorted(self.merge.items()))
            rules["merge"] = ", ".join(pairs)
        if self.company != NO_COMPANIES:
            rules["companies"] = self.company.in_words
        return rules

    @property
    def joins_customers(self) -> bool:
        return bool(self.merge) or self.company != NO_COMPANIES

    def as_json(self) -> str:
        return json.dumps(self.settings(), ensure_ascii=False)


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What changed between two sets of rules: ``once_coupon ignored → subtracted``."""
    return [
        f"{name} {was.get(name, 'none')} → {now.get(name, 'none')}"
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]
