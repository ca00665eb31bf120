"""What a sync did, as it is printed and left for monitoring."""

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, field

from connector.core.model import JSON_SCHEMA, Refusal
from connector.store.files import draft_of


class SyncSummary(Struct, frozen=True, kw_only=True):
    """One sync. ``mode`` is ``full`` or ``events``; ``why`` it was full unasked, or "".

    ``seen`` counts objects by kind. ``requests`` are those of this run; Stripe grants a
    number of them in 30 days. Until ``known_until`` the ledger knows all that Stripe told,
    but for the customers in ``failed``, who could not be derived, and why. ``unreadable``
    says why of each event in ``unreadable_events``. ``zone_taken`` is the account's own
    time zone, where a new ledger took it; else "".
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
    unreadable: dict[str, str] = field(default_factory=dict)
    zone_taken: str = ""

    @property
    def is_all_there(self) -> bool:
        """Whether nothing of the account is missing from what is known."""
        return not (self.refused or self.unreadable_events)


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

    def after(
        self,
        began_at: datetime,
        ended_at: datetime,
        done: SyncSummary | None,
        error: str | None = None,
    ) -> "JobStatus":
        """After one more run; ``done`` is None where it did not come to its end.

        One that did may have an ``error`` all the same: not for everybody.
        """
        ok = error is None
        known_until = self.known_until if done is None else done.known_until
        lag = None if known_until is None else ended_at - known_until
        return JobStatus(
            ok=ok,
            began_at=began_at,
            ended_at=ended_at,
            last_success_at=ended_at if ok else self.last_success_at,
            known_until=known_until,
            lag_s=None if lag is None else int(lag.total_seconds()),
            failures=0 if ok else self.failures + 1,
            error=error or "",
            last=done or self.last,
        )


def read_status(path: Path) -> JobStatus:
    """What stands there; nothing yet where there is no such file, or another's."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=JobStatus)
    except (OSError, msgspec.DecodeError):
        return JobStatus()


def write_status(path: Path, status: JobStatus) -> None:
    """Replaced in one step: who reads it never sees half. A new one is its owner's."""
    with draft_of(path) as draft:
        draft.write_bytes(as_json(status))


def as_json(value: SyncSummary | JobStatus) -> bytes:
    told = {"schema": JSON_SCHEMA, **msgspec.to_builtins(value)}
    return msgspec.json.format(msgspec.json.encode(told), indent=2)
