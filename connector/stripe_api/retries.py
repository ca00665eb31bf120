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


_growing = tenacity.wait_random_exponential(multiplier=0.5, max=20)


def _refusal(state: tenacity.RetryCallState) -> TryAgain:
    """Why it is tried again: nothing else is."""
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, TryAgain)
    return error


def _wait_s(state: tenacity.RetryCallState) -> float:
    asked_s = _refusal(state).wait_s
    return _growing(state) if asked_s is None else asked_s


def retrying(
    sleep: Callable[[float], object], counted: Callable[[], None]
) -> tenacity.Retrying:
    def note(state: tenacity.RetryCallState) -> None:
        counted()
        log.warning(
            "stripe_http.retry attempt=%d %s", state.attempt_number, _refusal(state)
        )

    def wait(wait_s: float) -> None:
        sleep(wait_s)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TryAgain),
        stop=lambda state: state.attempt_number >= _refusal(state).tries,
        wait=_wait_s,
        before_sleep=note,
        sleep=wait,
        reraise=True,
    )
