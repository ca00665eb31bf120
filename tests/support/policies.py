"""Policies for tests that hold under any: the defaults, and every switch otherwise."""

from connector.core.policy import Policy
from connector.core.presets import PRESETS

OTHERWISE = Policy(
    past_due_days=30,
    pause_collection_counts=False,
    repeating_subtracted=False,
    once_subtracted=True,
    metered_invoiced=True,
    churn_when_requested=True,
    active_from_payment=True,
    trial_after_paying_counts=True,
    invoiced_by_period=True,
)
POLICIES = {"the defaults": Policy(), "all others": OTHERWISE}


def preset_of(policy: Policy) -> str:
    """The name of the preset that a policy's switches of Stripe's are."""
    return next(
        name
        for name, fields in PRESETS.items()
        if all(getattr(policy, field) == value for field, value in fields.items())
    )
