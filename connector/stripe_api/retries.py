"""The one retry policy: what is asked for again, how often, and after how long."""

import logging
from collections.abc import Callable, Mapping

import tenacity

log = logging.getLogger(__name__)

ATTEMPTS = 8
# A host that cannot even be reached is more likely misspelt than busy.
CONNECT_ATTEMPTS = 4
RETRIED_STATUS = frozenset({409, 429})


class TryAgain(Exception):
    """The same request may succeed a little later. ``wait_s`` is what Stripe asked for."""

    def __init__(
        self, problem: str, wait_s: float | None = None, tries: int = ATTEMPTS
    ) -> None:
        super().__init__(problem)
        self.wait_s = wait_s
        self.tries = tries


def may_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Stripe's own word wins; else what its documentation calls transient."""
    word = headers.get("stripe-should-retry")
    if word in ("true", "false"):
        return word == "true"
    return status in RETRIED_STATUS or status >= 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        asked_s = float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return min(asked_s, 60.0) if asked_s >= 0 else None


def _is_enough(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    tries = error.tries if isinstance(error, TryAgain) else ATTEMPTS
    return state.attempt_number >= tries


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_s if isinstance(error, TryAgain) else None
    if asked is not None:
        return asked
    return tenacity.wait_random_exponential(multiplier=0.5, max=20)(state)


def retrying(
    sleep: Callable[[float], object], counted: Callable[[], None]
) -> tenacity.Retrying:
    def note(state: tenacity.RetryCallState) -> None:
        counted()
        error = state.outcome.exception() if state.outcome is not None else None
        log.warning("stripe_http.retry attempt=%d %s", state.attempt_number, error)

    def wait(wait_s: float) -> None:
        sleep(wait_s)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TryAgain),
        stop=_is_enough,
        wait=_wait,
        before_sleep=note,
        sleep=wait,
        reraise=True,
    )
