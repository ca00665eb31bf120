"""The rules in force: everything a derivation depends on besides the history itself."""

import json
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from connector.model import Policy


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
