"""A clock that stands still, but for who sleeps by it."""

import threading
from dataclasses import dataclass, field

from connector.limiter import Limiter


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

    def limiter(self, per_endpoint: float = 20, total: float = 80) -> Limiter:
        return Limiter(
            per_endpoint=per_endpoint,
            total=total,
            now_s=self.now_s,
            sleep=self.sleep,
        )
