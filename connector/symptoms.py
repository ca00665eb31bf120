"""What the doctor is told: facts of a key, an account, a disk and a ledger, as values.

    Facts
      settings     the file they come from                 | Trouble
      variables    names of environment variables
      key          Key                                     | Trouble
      stripe       Stripe, what it answered                | Trouble | NotChecked
      disk         Disk, where the ledger lies             | Trouble | NotChecked
      ledger       Ledger, the file                        | Trouble | NotChecked
      contents     Contents, how far syncs have come       | NotChecked

No fact holds a secret: a key is its kind and its last characters.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from msgspec import Struct

FIRST_DAY = datetime(2011, 1, 1, 12, tzinfo=UTC)  # Stripe's first year
LAST_YEAR = 2037  # as far as zones are written out
MB = 1_000_000


class Trouble(NamedTuple):
    """An error met while looking, in the words in which a command would tell it."""

    problem: str
    fix: str


class NotChecked(NamedTuple):
    """Why something was not looked at, and what would change that."""

    why: str
    fix: str


def after(name: str) -> NotChecked:
    """Another check must end well first."""
    return NotChecked(f"see “{name}”", f"put “{name}” right first")


class Settings(NamedTuple):
    """``source`` None: there is no file, all is default."""

    source: str | None


class Key(Struct, frozen=True, kw_only=True):
    """``kind`` is sk, rk, pk or whsec, ``mode`` live or test; "" where it is neither.

    ``file_mode`` are the permission bits of its file, None where a variable holds it.
    """

    shown: str
    kind: str
    mode: str
    file_mode: int | None = None


class Stripe(Struct, frozen=True, kw_only=True):
    """What answers told. ``trouble`` is a no for another reason than a permission.

    ``needed`` is how many permissions there are, ``missing`` the names of those it lacks.
    ``pinned`` is the API version asked for, ``answered`` the one that came. ``zone`` is
    the configuration's; ``account_zone`` is None where Stripe shows none.
    """

    trouble: Trouble | None
    needed: int
    missing: tuple[str, ...]
    skew_us: int | None
    pinned: str
    answered: str | None
    zone: str
    account_zone: str | NotChecked | None
    zones_agree: bool


class Disk(Struct, frozen=True, kw_only=True):
    """``folder`` is the ledger's; ``free_bytes`` None: it does not exist."""

    folder: str
    free_bytes: int | None
    is_writable: bool
    ledger_bytes: int


class Ledger(Struct, frozen=True, kw_only=True):
    """``account`` is "demo" in the demo's; the next two name what is amiss.

    ``held_by`` is the sync that is at work, a trouble where the lock cannot be tried.
    """

    path: str
    account: str | None
    pending: tuple[str, ...]
    damage: tuple[str, ...]
    held_by: str | Trouble | None


class Contents(Struct, frozen=True, kw_only=True):
    """How long ago, in µs, by this machine's clock; None where there was none."""

    synced_ago_us: int | None
    walk_begun_ago_us: int | None
    waiting: int
    is_syncing: bool


class Facts(Struct, frozen=True, kw_only=True):
    settings: Settings | Trouble
    variables: tuple[str, ...]
    key: Key | Trouble
    stripe: Stripe | Trouble | NotChecked
    disk: Disk | Trouble | NotChecked
    ledger: Ledger | Trouble | NotChecked
    contents: Contents | NotChecked


def same_days(one: tzinfo, other: tzinfo) -> bool:
    """Whether two zones share all their days, as one zone by two names does."""
    noon = FIRST_DAY
    while noon.year <= LAST_YEAR:
        if noon.astimezone(one).utcoffset() != noon.astimezone(other).utcoffset():
            return False
        noon += timedelta(days=1)
    return True


# --- facts in words ---


def lasting(span_us: int) -> str:
    """A time in the unit that fits: ``40 seconds``, ``3 hours``, ``12 days``."""
    seconds = max(span_us, 0) // 1_000_000
    for name, length_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s:,} {name}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def sized(count_bytes: int) -> str:
    """``12 MB`` or ``3.4 GB``, rounded down."""
    if count_bytes < 1_000 * MB:
        return f"{count_bytes // MB} MB"
    return f"{count_bytes // (100 * MB) / 10:,} GB"
