"""Whose lines a command writes, where it takes several accounts.

What it prints begins with the account's name; its JSON is kept, and becomes one of a
list; its log has a field. Threads that it starts say so too, in a copy of its context.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class AccountLines:
    """``kept`` is the JSON that was said of it; ``at_once``: others speak meanwhile."""

    account: str
    at_once: bool = False
    kept: dict[str, Any] = field(default_factory=dict)

    def of(self, text: str) -> str:
        """Each line with the account's name before it."""
        return "\n".join(f"{self.account}: {line}" for line in text.split("\n"))


_lines: ContextVar[AccountLines | None] = ContextVar("account_lines", default=None)


def account_lines() -> AccountLines | None:
    """None where the command is of one account: nobody has to say of which."""
    return _lines.get()


@contextmanager
def telling_of(lines: AccountLines) -> Iterator[AccountLines]:
    before = _lines.set(lines)
    try:
        yield lines
    finally:
        _lines.reset(before)
