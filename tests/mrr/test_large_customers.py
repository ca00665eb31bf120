"""A customer of any size is derived as a small one is, in work that grows with it."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from connector.core.policy import Policy, Rules
from connector.mrr.derive import derive
from connector.mrr.history import History
from connector.mrr.timeline import timeline
from tests.support.large_histories import LARGE, many_subscriptions
from tests.support.policies import POLICIES

UNTIL_S = 2**31


def lines_run(history: History, policy: Policy) -> int:
    """How many lines of code it takes to derive it, which no other work disturbs."""
    count = 0

    def trace(_: FrameType, event: str, __: object) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return trace

    rules = Rules(policy=policy, zone=ZoneInfo("UTC"), code_version="t")
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        derive([history], rules, UNTIL_S)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_four_times_the_lines_take_four_times_the_work(
    large: Callable[[int], History], policy: Policy
) -> None:
    small = lines_run(large(600), policy)
    assert lines_run(large(2_400), policy) < 5 * small


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_each_of_many_subscriptions_is_what_it_is_alone(policy: Policy) -> None:
    whole = many_subscriptions(480)
    apart = [
        timeline(
            replace(
                whole,
                versions={key: own},
                invoices=tuple(x for x in whole.invoices if x.subscription == key),
            ),
            policy,
            UNTIL_S,
        )
        for key, own in whole.versions.items()
    ]
    together = timeline(whole, policy, UNTIL_S)
    steps = [step for each in apart for step in each.steps]
    assert len(steps) == len(whole.versions) == 40
    assert sorted(steps, key=repr) == sorted(together.steps, key=repr)
    assert all(each.pricing and each.pricing.discounts for each in together.steps)
    assert not together.refusals
