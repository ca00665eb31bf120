"""Policies of other tools by name: Stripe's billing overview under its four settings.

    stripe:default                              as Stripe is set when nobody set anything
    stripe:repeating-coupons+churn-on-request   two of its settings changed, of sixteen

A preset sets the switches that Stripe has; all others stay as they are.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

from connector.core.policy import POLICY_RULES

PREFIX = "stripe:"
DEFAULT = f"{PREFIX}default"


class _Setting(NamedTuple):
    """A switch's name in ``Policy``, what Stripe sets it to, and how a name says else."""

    field: str
    default: Any
    word: str


_SETTINGS = (
    _Setting("repeating_subtracted", default=False, word="repeating-coupons"),
    _Setting("once_subtracted", default=False, word="once-coupons"),
    _Setting("churn_when_requested", default=False, word="churn-on-request"),
    _Setting("active_from_payment", default=False, word="from-first-payment"),
)


def _presets() -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for count in range(len(_SETTINGS) + 1):
        for changed in combinations(_SETTINGS, count):
            name = PREFIX + ("+".join(each.word for each in changed) or "default")
            found[name] = {
                each.field: each.default is not (each in changed) for each in _SETTINGS
            }
    return found


# Each name with the fields of ``Policy`` that it sets, the fewest changes first.
PRESETS: Mapping[str, Mapping[str, Any]] = _presets()


def preset_name(text: str) -> str:
    """The name, its words in any order; ``ValueError`` for any other text."""
    words = text.removeprefix(PREFIX).split("+")
    known = [each.word for each in _SETTINGS if each.word in words]
    if not text.startswith(PREFIX) or sorted(words) != sorted(known or ["default"]):
        raise ValueError(text)
    return PREFIX + ("+".join(known) or "default")


def preset_fields(name: str) -> Mapping[str, Any]:
    """What a name sets; ``ValueError`` where it is none."""
    return PRESETS[preset_name(name)]


def preset_texts(name: str) -> dict[str, str]:
    """The same as the configuration and the reports write it, by key."""
    return {
        POLICY_RULES[field].key: POLICY_RULES[field].written(value)
        for field, value in preset_fields(name).items()
    }
