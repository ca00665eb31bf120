"""A connection to Stripe as it is configured, for the commands that need one."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from connector.config import Config
from connector.stripe_api.credentials import stripe_key
from connector.stripe_api.rate_limit import Limiter, Limiters

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi

# Of this process: whoever asks Stripe in it does so at the pace of all together.
LIMITERS = Limiters()


def connected(
    config: Config, sleep: Callable[[float], object], stopping: Callable[[], bool]
) -> "StripeApi":
    """Stripe at the configured pace; close it. ``sleep`` ends early to stop."""
    from connector.stripe_api.client import StripeApi

    def limiter(shared: Limiter | None) -> Limiter:
        return Limiter(
            per_endpoint=config.requests_per_second,
            total=config.requests_per_second_in_all,
            shared=shared,
        )

    key = stripe_key(os.environ, config.key_file)
    return StripeApi(
        key,
        config.api_base,
        limiter=LIMITERS.of(config.api_base, key, config.stripe_account, limiter),
        sleep=sleep,
        stopping=stopping,
        stripe_account=config.stripe_account,
    )
