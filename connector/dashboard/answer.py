"""What a page's module gives: the page, and the same figures in other forms."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from connector.config import Config
from connector.core.errors import NothingFound
from connector.core.model import SegmentValue, segment_value
from connector.core.windows import Window
from connector.dashboard.ledger_reader import LedgerReading
from connector.dashboard.query import REPEATED, Query, WrongParameter
from connector.reports.figures.segments import segment_kinds
from connector.reports.ledger import Ledger, is_total
from connector.reports.ledger_facts import LedgerState
from connector.reports.report import ReportRequest


class PageRequest(Struct, frozen=True, kw_only=True):
    """What one request asks, of the ledger as it is at it.

    ``key`` is what the path names beside the page, "" where it names nothing;
    ``instead`` the currency of the answer, "" for the one asked for.
    """

    reading: LedgerReading
    query: Query
    path: str
    key: str = ""
    instead: str = ""

    @property
    def ledger(self) -> Ledger:
        return self.reading.ledger

    @property
    def config(self) -> Config:
        return self.ledger.config

    @property
    def as_of(self) -> datetime | None:
        return self.query.moment("as-of")

    @property
    def given_as_of(self) -> str | None:
        """As the URL has it."""
        return self.query.text("as-of") or None

    @property
    def state(self) -> LedgerState:
        return self.ledger.state(self.as_of)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All that customers can be told apart by."""
        return segment_kinds(self.config, of_several=self.ledger.is_of_several)

    @property
    def by(self) -> str | None:
        """What customers are to be told apart by."""
        return self.query.choice("by", self.kinds, "") or None

    @property
    def only(self) -> tuple[SegmentValue, ...]:
        """The segments whose customers alone are asked for, each of another kind.

        ``segment=plan=Team``; with ``by=plan`` the value alone will do.
        """
        found = tuple(map(self._segment, self.query.segments))
        kinds = [each.by for each in found]
        for each, text in zip(found, self.query.segments, strict=True):
            if kinds.count(each.by) > 1:
                wanted = f"the only {each.by}: a customer has one at a time"
                raise WrongParameter(REPEATED, text, wanted)
        return found

    def _segment(self, text: str) -> SegmentValue:
        kinds = self.kinds
        try:
            return segment_value(text, kinds)
        except ValueError:
            if self.by is not None:
                return SegmentValue(self.by, text)
        wanted = f"one of {', '.join(kinds)}, = and a value"
        raise WrongParameter(REPEATED, text, wanted) from None

    def currency(self) -> str:
        """The one asked for, in the ledger's letters; else the largest, or the total."""
        given = self.instead or self.query.text("currency").lower()
        if not given:
            return self.currencies()[0]
        self.ledger.currencies(given, self.as_of)  # NothingFound where it is not there
        return given

    def currencies(self) -> list[str]:
        """All that can be chosen, the total first; ``NothingFound`` where none can."""
        has_total = self.config.reporting_currency is not None
        found = self.ledger.currencies(None, self.as_of)
        if not found:
            raise NothingFound(
                "there is no recurring revenue in this ledger",
                fix="once a subscription is paid, it is here after the next sync",
            )
        return [*(["total"] if has_total else []), *found]

    def other_currencies(self) -> list[str]:
        """Those to answer in where nobody is asked for in the first: of one named, none."""
        given = self.query.text("currency")
        is_named = bool(given) and not is_total(given)
        return [] if is_named else self.ledger.currencies(None, self.as_of)

    def pickers(self, own_currency: str) -> Mapping[str, Any]:
        """What a page's choice of currency and of customers shows."""
        return {
            "own_currency": own_currency,
            "currencies": self.currencies(),
            "only": self.only,
        }


ACCOUNT = "--account"
MOST_LINES = 500  # of a table that has no pages


class PageAnswer(Struct, frozen=True, kw_only=True):
    """``values`` are the template's; ``json`` and ``csv`` are made when asked for.

    ``command`` are the words that give the same figures on the command line, without
    the form; empty where there is no such command.
    """

    template: str
    title: str
    values: Mapping[str, Any]
    json: Callable[[], Any]
    csv: Callable[[], str]
    command: Sequence[str] = ()
    tells_facts: bool = True  # False: the JSON has what is missing by itself
    xlsx: Callable[[], bytes] | None = None  # None: a whole report is no answer here
    is_empty: bool = False  # whoever is asked for is nobody in this currency

    def command_line(self, accounts: Sequence[str] = ()) -> str:
        """With the options that say which accounts, where it does not say one itself."""
        own = () if ACCOUNT in self.command else accounts
        return shlex.join(["stripe-nrr", *self.command, *own]) if self.command else ""


def answered(
    page: Callable[[PageRequest], PageAnswer], asked: PageRequest
) -> PageAnswer:
    """In the first currency in which somebody is whom it asks for, if it names none."""
    first = found = _tried(page, asked)
    for code in [] if _has_anybody(first) else asked.other_currencies():
        other = _tried(page, replace(asked, instead=code))
        if _has_anybody(other):
            found = other
            break
    if isinstance(found, NothingFound):
        raise found
    return found


def _tried(
    page: Callable[[PageRequest], PageAnswer], asked: PageRequest
) -> PageAnswer | NothingFound:
    try:
        return page(asked)
    except NothingFound as error:
        return error


def _has_anybody(found: PageAnswer | NothingFound) -> bool:
    return isinstance(found, PageAnswer) and not found.is_empty


class NothingPaid(NamedTuple):
    """A page's other forms where nobody has ever paid: the JSON's own keys, and CSV."""

    json: Callable[[PageRequest], Mapping[str, Any]]
    csv: Callable[[PageRequest], str]


def words(**options: object) -> list[str]:
    """Options of a command, without those that are None: ``as_of`` is ``--as-of``.

    A list is an option that is given once for each of its values.
    """
    return [
        word
        for name, value in options.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
        for word in (f"--{name.replace('_', '-')}", str(each))
    ]


def month_words(first: date | None, last: date | None) -> list[str]:
    """The same of the months from ``first`` to ``last``."""
    months = {"from": first, "to": last}
    return words(**{name: day and f"{day:%Y-%m}" for name, day in months.items()})


def workbook(
    asked: PageRequest,
    request: ReportRequest,
    command: Sequence[str],
    window: Window | None = None,
) -> bytes:
    """A report as a workbook; ``command`` is the one that gives its figures as text."""
    from connector.render.workbook.workbook import to_xlsx
    from connector.reports.page import make_workbook

    found = make_workbook(asked.ledger, request, window)
    of = asked.reading.options
    told = [*command, *of, "--format", "xlsx", "-o", "nrr.xlsx"]
    with TemporaryDirectory() as folder:
        return to_xlsx(found, shlex.join(["stripe-nrr", *told]), folder)
