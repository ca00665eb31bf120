"""What was recorded of a month.

Closing          a month whose figures were recorded as reported
Withdrawal     when and why that turned out to be a mistake
Note             what people say of a month
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from msgspec import Struct


class Withdrawal(NamedTuple):
    """When a closing was found to be a mistake, and why."""

    at: datetime
    reason: str


class Closing(Struct, frozen=True, kw_only=True):
    """A month that was closed. ``month`` is its first day; ``policy`` the rules then.

    ``despite`` is why it was closed although ``lacked`` (sentences) was missing; both
    are empty where it was whole.
    """

    id: int
    month: date
    closed_at: datetime
    code_version: str
    policy: Mapping[str, str]
    despite: str = ""
    lacked: Sequence[str] = ()
    withdrawn: Withdrawal | None = None


class Note(NamedTuple):
    """``customer`` and ``url`` are "" where there is none.

    ``text`` is "" once its customer is forgotten; ``withdrawn_at`` None while it stands.
    """

    id: int
    month: date
    noted_at: datetime
    customer: str
    text: str
    url: str
    withdrawn_at: datetime | None = None
