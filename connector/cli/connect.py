"""A connection to Stripe as it is configured, for the commands that need one."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from connector.config import Config
from connector.stripe_api.credentials import stripe_key

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi


def connected(
    config: Config, sleep: Callable[[float], object], stopping: Callable[[], bool]
) -> "StripeApi":
    """Stripe at the configured pace; close it. ``sleep`` ends early to stop."""
    from connector.stripe_api.client import StripeApi
    from connector.stripe_api.rate_limit import Limiter

    limiter = Limiter(
        per_endpoint=config.requests_per_second,
        total=config.requests_per_second_in_all,
        sleep=sleep,
    )
    return StripeApi(
        stripe_key(os.environ),
        config.api_base,
        limiter=limiter,
        sleep=sleep,
        stopping=stopping,
    )
