"""What a sync did, as it is printed and left for monitoring."""

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from connector.core.model import Refusal


class SyncSummary(Struct, frozen=True, kw_only=True):
    """One sync. ``mode`` is ``full`` or ``events``; ``why`` it was full unasked, or "".

    ``seen`` counts objects by kind. ``requests`` are those of this run; Stripe grants a
    number of them in 30 days. Until ``known_until`` the ledger knows all that Stripe told,
    but for the customers in ``failed``, who could not be derived, and why.
    """

    mode: str
    why: str
    resumed: bool
    seen: dict[str, int]
    changed: int
    unreadable_events: list[str]
    customers: int
    movements: int
    retractions: int
    refused: list[Refusal]
    requests: int
    retries: int
    limited: int
    requests_in_30_days: int
    known_until: datetime | None
    seconds: float
    failed: dict[str, str] = field(default_factory=dict)


class JobStatus(Struct, frozen=True, kw_only=True):
    """As the status file shows it. ``lag_s`` is how far the ledger was behind Stripe.

    None is never yet. ``failures`` counts those since the last success; ``error`` is the
    last one's, "" after a success.
    """

    ok: bool = False
    began_at: datetime | None = None
    ended_at: datetime | None = None
    last_success_at: datetime | None = None
    known_until: datetime | None = None
    lag_s: int | None = None
    failures: int = 0
    error: str = ""
    last: SyncSummary | None = None

    def succeeded(
        self, began_at: datetime, ended_at: datetime, done: SyncSummary
    ) -> "JobStatus":
        return JobStatus(
            ok=True,
            began_at=began_at,
            ended_at=ended_at,
            last_success_at=ended_at,
            known_until=done.known_until,
            lag_s=_lag_s(done.known_until, ended_at),
            last=done,
        )

    def left_behind(
        self, began_at: datetime, ended_at: datetime, done: SyncSummary, error: str
    ) -> "JobStatus":
        """It came to its end, but not for everybody: ``done.failed``."""
        known = replace(self, known_until=done.known_until, last=done)
        return known.failed(began_at, ended_at, error)

    def failed(self, began_at: datetime, ended_at: datetime, error: str) -> "JobStatus":
        return replace(
            self,
            ok=False,
            began_at=began_at,
            ended_at=ended_at,
            lag_s=_lag_s(self.known_until, ended_at),
            failures=self.failures + 1,
            error=error,
        )


def _lag_s(known_until: datetime | None, now: datetime) -> int | None:
    return None if known_until is None else int((now - known_until).total_seconds())


def read_status(path: Path) -> JobStatus:
    """What stands there; nothing yet where there is no such file, or another's."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=JobStatus)
    except (OSError, msgspec.DecodeError):
        return JobStatus()


def write_status(path: Path, status: JobStatus) -> None:
    """Replaced in one step: who reads it never sees half."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(as_json(status))
    draft.replace(path)


def as_json(value: SyncSummary | JobStatus) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
