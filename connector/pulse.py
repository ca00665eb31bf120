"""How a running server is: what hinders it, how full its inbox is, how old its sync."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from connector import horizon, inbox
from connector.database import is_writable, open_database
from connector.inbox import Depth

# A daily sync, and two hours for it.
SYNC_AGE_S = 26 * 3_600
# An event that nobody has tried for so long means that nothing gets through.
LAG_S = 300


class Pulse(Struct, frozen=True, kw_only=True):
    """``problems`` are in words; without any, the server is ready.

    Until ``synced_us`` the last sync knew all that Stripe told, ``sync_age_s`` ago.
    """

    problems: tuple[str, ...]
    depth: Depth
    lag_s: int  # how long the oldest untried event has waited
    synced_us: int | None
    sync_age_s: int | None


def feel(path: Path, now_us: int, hindrances: Callable[[], Iterator[str]]) -> Pulse:
    """Look at the ledger. ``hindrances`` are what the server's threads report."""
    with closing(open_database(path)) as connection:
        depth = inbox.depth(connection)
        synced_us = horizon.last_synced_us(connection)
        writable = is_writable(connection)
    oldest_us = depth.oldest_us if depth.oldest_us is not None else now_us
    lag_s = max(now_us - oldest_us, 0) // 1_000_000
    age_s = None if synced_us is None else (now_us - synced_us) // 1_000_000
    problems = list(hindrances())
    if not writable:
        problems.append(f"{path} cannot be written")
    if age_s is not None and age_s > SYNC_AGE_S:
        hours = age_s // 3_600
        problems.append(f"the last sync knew what Stripe told until {hours} hours ago")
    if lag_s > LAG_S:
        problems.append(f"an event has waited for {lag_s // 60} minutes")
    return Pulse(
        problems=tuple(problems),
        depth=depth,
        lag_s=lag_s,
        synced_us=synced_us,
        sync_age_s=age_s,
    )


def unreadable(error: Exception) -> Pulse:
    """The pulse of a server whose ledger cannot even be read."""
    return Pulse(
        problems=(f"the ledger cannot be read: {error}",),
        depth=Depth(0, 0, 0, None),
        lag_s=0,
        synced_us=None,
        sync_age_s=None,
    )
