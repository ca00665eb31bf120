"""What time it is for Stripe, from the ``Date`` of its answers.

Which of two copies is newer is told by when they were asked for, and events carry
Stripe's time: a clock of ours that runs ahead would take an old copy for a new one.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from connector.stripe_api.decoding import LAST_S

log = logging.getLogger(__name__)

SECOND_US = 1_000_000
CLOSE_US = 2 * SECOND_US  # as right as a clock needs to be


class Skew(NamedTuple):
    """Stripe's clock minus ours: at least, and at most."""

    least_us: int
    most_us: int


@dataclass(slots=True)
class StripeClock:
    """Ours, set right where it is off by more than two seconds.

    Else it is left alone, as several processes of one machine share it: which of their
    copies is newer must not depend on what each of them has learned about the skew.
    """

    now_us: Callable[[], int]
    _skew: Skew | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def skew_us(self) -> int | None:
        """Stripe's clock minus ours, at the least; 0 where two seconds would explain it.

        None before any answer.
        """
        if self._skew is None:
            return None
        least_us, most_us = self._skew
        is_close = least_us <= CLOSE_US and most_us >= -CLOSE_US
        return 0 if is_close else least_us

    def by_stripe(self, moment_us: int) -> int:
        """One of our moments by Stripe's clock, at most ``CLOSE_US`` after it."""
        return moment_us + (self.skew_us or 0)

    def compare(self, date: str, began_us: int) -> None:
        """With the ``Date`` of an answer just read; ``began_us`` was its request's."""
        found = skew_of(date, began_us, self.now_us())
        if found is None:
            return
        with self._lock:
            is_new = self.skew_us in (None, 0)
            self._skew = found if self._skew is None else _both(self._skew, found)
        if is_new and self.skew_us:
            log.warning("stripe_clock.off ours_ahead_s=%+d", -self.skew_us // SECOND_US)


def skew_of(date: str, began_us: int, ended_us: int) -> Skew | None:
    """What one answer tells: Stripe dated it some time between our two moments.

    ``date`` has whole seconds. None where there is no such date, or none of our times.
    """
    try:
        second_s = int(parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError, TypeError, IndexError):  # for odd ones, any
        return None
    if not 0 <= second_s <= LAST_S:
        return None
    second_us = second_s * SECOND_US
    return Skew(second_us - ended_us, second_us + SECOND_US - began_us)


def _both(before: Skew, found: Skew) -> Skew:
    """What both agree on; the later one alone where a clock was set in between."""
    least_us = max(before.least_us, found.least_us)
    most_us = min(before.most_us, found.most_us)
    return Skew(least_us, most_us) if least_us <= most_us else found
