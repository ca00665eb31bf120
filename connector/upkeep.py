"""Sync the mirror, then settle the ledger: what a scheduled run does, and the demo."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from connector.adoption import adopt
from connector.errors import Stopped
from connector.intake import Intake
from connector.recompute import Recomputed, recompute
from connector.rules import Rules
from connector.sync import sync


def bring_up_to_date(
    intake: Intake,
    rules: Rules,
    *,
    full: bool = False,
    announce: Callable[[str], None] = lambda _text: None,
) -> Recomputed:
    """What was derived; what was met is in ``intake.met``.

    Rules other than before are applied first, as a run of their own, so that no figure
    changes for two reasons at once; ``announce`` is told in words. Raises ``Stopped``.
    """

    def now() -> datetime:
        return datetime.fromtimestamp(intake.now_us() / 1_000_000, tz=UTC)

    def derived(done: int, whole: int) -> None:
        intake.progress("customers derived", done, whole)
        if intake.stopping() and done < whole:
            raise Stopped

    settle = partial(
        recompute, intake.connection, rules, progress=derived, workers=None
    )
    changed = adopt(intake.connection, rules)
    if changed is not None:
        announce(f"{changed}: deriving every customer anew")
        cause = "policy change" if changed.startswith("policy") else "manual"
        settle(cause=cause, now=now())
    sync(intake, full=full)
    return settle(cause="sync", now=now())
