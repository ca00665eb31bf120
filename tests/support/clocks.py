"""A clock that stands still, but for who sleeps by it."""

import threading
import time
from dataclasses import dataclass, field

from connector.stripe_api.rate_limit import Limiter


@dataclass
class Clock:
    """``sleep`` moves it on to where the sleeper would have woken; nobody really waits."""

    us: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def now_us(self) -> int:
        return self.us

    def now_s(self) -> float:
        return self.us / 1_000_000

    def sleep(self, wait_s: float) -> None:
        until_us = self.us + round(wait_s * 1_000_000)
        with self._lock:
            self.us = max(self.us, until_us)

    def reach(self, at_s: int) -> None:
        """Not before then."""
        with self._lock:
            self.us = max(self.us, at_s * 1_000_000)

    def limiter(self, per_endpoint: float = 20, total: float = 80) -> Limiter:
        return Limiter(
            per_endpoint=per_endpoint,
            total=total,
            now_s=self.now_s,
            sleep=self.sleep,
        )


@dataclass
class Running(Clock):
    """One that goes as this machine's does; ``us`` is how far it is ahead of it.

    ``sleep`` sets it forward all the same.
    """

    us: int = -20 * 365 * 86_400 * 1_000_000

    def now_us(self) -> int:
        return time.time_ns() // 1_000 + self.us

    def now_s(self) -> float:
        return self.now_us() / 1_000_000

    def sleep(self, wait_s: float) -> None:
        with self._lock:
            self.us += round(wait_s * 1_000_000)

    def reach(self, at_s: int) -> None:
        with self._lock:
            self.us = max(self.us, at_s * 1_000_000 - time.time_ns() // 1_000)
