"""A URL's query string → values, or a fault that names the parameter.

Parameters have the names of the command line's options. What a page does not know is a
fault too: a typo must not become a default.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Generic, NamedTuple, TypeVar

from connector.core.dates import parse_day, parse_moment, parse_month
from connector.core.errors import UsageFault, masked
from connector.core.language import message
from connector.core.model import CustomerName
from connector.core.windows import Window, parse_window

T = TypeVar("T")

REPEATED = "segment"  # alone can be given more than once
LONGEST = 200  # characters of one value
MOST_PAGES = 1_000_000


class WrongParameter(UsageFault):
    """``parameter`` of the URL has a value that it cannot have."""

    def __init__(self, parameter: str, value: str, wanted: str) -> None:
        shown = masked(value[:LONGEST])
        problem = message(f"{parameter}={shown} is not {wanted}")
        super().__init__(problem, fix=message("correct the URL"))
        self.parameter = parameter


class Query(NamedTuple):
    """``given`` is each parameter's text; none is there twice, and none is empty.

    ``segments`` are the texts of the one that can be.
    """

    given: Mapping[str, str]
    zone: tzinfo
    segments: tuple[str, ...] = ()

    @property
    def all(self) -> Mapping[str, str | tuple[str, ...]]:
        """Everything given, as a link carries it on."""
        told = {REPEATED: self.segments} if self.segments else {}
        return {**self.given, **told}

    def text(self, name: str, default: str = "") -> str:
        return self.given.get(name, default)

    def read(self, name: str, read: Callable[[str], T], wanted: str, default: T) -> T:
        """Its value; ``WrongParameter`` where ``read`` raises ``ValueError``."""
        if name not in self.given:
            return default
        try:
            return read(self.given[name])
        except (ValueError, OverflowError):
            raise WrongParameter(name, self.given[name], wanted) from None

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        def chosen(text: str) -> str:
            if text not in choices:
                raise ValueError(text)
            return text

        known = ", ".join(sorted(choices))
        return self.read(name, chosen, message(f"one of: {known}"), default)

    def month(self, name: str) -> date | None:
        return self.read(name, parse_month, message("a month such as 2026-03"), None)

    def day(self, name: str) -> date | None:
        return self.read(name, parse_day, message("a day such as 2026-03-31"), None)

    def window(self, name: str) -> Window | None:
        wanted = message("a window such as 2026-03, 2026-Q1, 2026 or ..2026-03")
        return self.read(name, parse_window, wanted, None)

    def moment(self, name: str) -> datetime | None:
        def read(text: str) -> datetime:
            return parse_moment(text.replace(" ", "+"), self.zone).astimezone(UTC)

        wanted = message("a moment such as 2026-04-02T09:00:00Z, or a day")
        return self.read(name, read, wanted, None)

    def number(self, name: str, default: int) -> int:
        """A whole number from 1 on."""

        def read(text: str) -> int:
            if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_PAGES):
                raise ValueError(text)
            return int(text)

        return self.read(name, read, message("a whole number from 1 on"), default)


def query_of(
    pairs: Iterable[tuple[str, str]], known: Collection[str], zone: tzinfo
) -> Query:
    """Raises ``WrongParameter`` for one that is unknown, given twice or too long."""
    given: dict[str, str] = {}
    segments: list[str] = []
    for name, value in pairs:
        if name not in known:
            names = ", ".join(sorted(known)) or message("none")
            raise WrongParameter(
                name, value, f"asked of this page, which knows {names}"
            )
        if name in given:
            raise WrongParameter(name, value, "the only one: it is given twice")
        if len(value) > LONGEST or not value.isprintable():
            wanted = f"a text of at most {LONGEST} characters"
            raise WrongParameter(name, ascii(value[:20]), wanted)
        if value and name == REPEATED:
            segments.append(value)
        elif value:  # an empty field of a form asks for nothing
            given[name] = value
    return Query(given, zone, tuple(dict.fromkeys(segments)))


# A long list is shown a page at a time

ROWS = 100


class ShownPage(NamedTuple, Generic[T]):
    """``rows`` of ``found``; pages count from 1."""

    rows: Sequence[T]
    found: int
    page: int
    page_count: int


def page_count_of(count: int) -> int:
    return max(1, -(-count // ROWS))


def page_asked(query: Query, count: int) -> int:
    """Raises ``WrongParameter`` beyond the last page."""
    page, last = query.number("page", 1), page_count_of(count)
    if page > last:
        raise WrongParameter("page", str(page), f"there: the last page is {last}")
    return page


def one_page(found: Sequence[T], query: Query) -> ShownPage[T]:
    page = page_asked(query, len(found))
    rows = found[(page - 1) * ROWS : page * ROWS]
    return ShownPage(rows, len(found), page, page_count_of(len(found)))


def ordered(
    found: Sequence[T], sort: str, keys: Mapping[str, Callable[[T], Any]]
) -> list[T]:
    """By the key that ``sort`` names, the largest first where a minus stands before it."""
    key = keys[sort.removeprefix("-")]
    return sorted(found, key=key, reverse=sort.startswith("-"))


def sort_asked(query: Query, names: Sequence[str], default: str) -> str:
    choices = [*names, *(f"-{name}" for name in names)]
    return query.choice("sort", choices, default)


def is_called(name: CustomerName, text: str) -> bool:
    """Whether an id or a label has this text in it, in whatever case."""
    wanted = text.casefold()
    return wanted in name.id.casefold() or wanted in (name.label or "").casefold()
