"""What a call of a tool asks."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from connector.assistants.answer import Shown
from connector.core.errors import NothingFound
from connector.dashboard.answer import PageRequest
from connector.dashboard.query import REPEATED, WrongParameter

E = TypeVar("E", bound=StrEnum)
ROWS, MOST_ROWS = 50, 500  # of each long list


class ToolRequest(PageRequest, frozen=True, kw_only=True):
    """What a call asks; ``names`` is False where customers are known by id alone."""

    names: bool = True

    @property
    def asked_currency(self) -> str | None:
        return self.query.text("currency").lower() or None

    @property
    def shown(self) -> Shown:
        limit = self.query.number("limit", ROWS)
        if limit > MOST_ROWS:
            raise WrongParameter("limit", str(limit), f"at most {MOST_ROWS}")
        return Shown(limit, self.query.number("page", 1), self.names)

    def member(self, name: str, members: type[E]) -> E | None:
        """One of an enumeration, by its value; None where none is given."""
        given = self.query.choice(name, [*members], "")
        return members(given) if given else None

    def is_asked(self, name: str) -> bool:
        return self.query.choice(name, ("true", "false"), "false") == "true"

    def customer(self) -> str | None:
        """The id of who is asked for; without names only an id finds anybody."""
        from connector.reports.movements import find_counted

        text = self.query.text("customer")
        if not text:
            return None
        unnamed = NothingFound(
            "no customer has exactly this id",
            fix="give an id (cus_…): names are left out of this session",
        )
        try:
            found = find_counted(self.ledger.connection, text).id
        except NothingFound:
            if self.names:
                raise
            raise unnamed from None
        if not self.names and found != text:
            raise unnamed
        return found


def pairs_of(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, _word(name, each))
        for name, value in arguments.items()
        for each in (value if isinstance(value, list) and name == REPEATED else [value])
        if each is not None
    ]


def _word(name: str, value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int():
            return str(value)
    raise WrongParameter(name, type(value).__name__, "a text or a whole number")
