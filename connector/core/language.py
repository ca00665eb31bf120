"""The language that is spoken: texts, days, numbers; English where nobody asked otherwise.

    speaking("de")          who runs a command or answers a request says which
    _("Paid since")         what a reader sees, looked up in the package's catalogues
    _("{n} left").format()  with what stands in it
    marked("seats")         a text of a table of data: translated where it is shown
    message(f"{n} left")    an error or the like: taken apart where it is shown

English texts are the catalogues' keys (``connector/locale``). JSON and CSV are for programs
and speak no language: they are made in English.
"""

import gettext
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pkgutil import get_data
from typing import NamedTuple

DOMAIN = "stripe_nrr"


class Language(NamedTuple):
    """``locale`` writes amounts where none is configured; ``day`` is a template.

    ``table_day`` and ``instant`` are those in a column and in a proof. ``months`` are
    short; none are as the format has them.
    """

    locale: str
    point: str
    group: str
    percent: str
    day: str
    table_day: str
    instant: str
    months: tuple[str, ...] = ()


LANGUAGES = {
    "en": Language(
        *("en_US", ".", ",", "%", "{0.day} {0:%b %Y}", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ")
    ),
    "de": Language(
        locale="de_DE",
        point=",",
        group=".",
        percent="\N{NO-BREAK SPACE}%",
        day="{0:%d.%m.%Y}",
        table_day="%d.%m.%Y",
        instant="%d.%m.%Y %H:%M:%S UTC",
        months=(
            *("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni"),
            *("Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."),
        ),
    ),
}
DEFAULT = "en"
_spoken = ContextVar("language", default=DEFAULT)


def language() -> str:
    """Its code, such as ``de``."""
    return _spoken.get()


def speak(code: str) -> None:
    """From now on, in this command or request."""
    _spoken.set(code)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    before = _spoken.set(code)
    try:
        yield
    finally:
        _spoken.reset(before)


# Texts


class _Catalogue(gettext.GNUTranslations):
    _catalog: dict[object, str]  # as the standard library fills it

    def texts(self, context: str) -> list[str]:
        before = f"{context}\x04"
        return [
            key.removeprefix(before)
            for key in self._catalog
            if isinstance(key, str) and key.startswith(before)
        ]


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    if code == DEFAULT:
        return gettext.NullTranslations()
    found = get_data("connector", f"locale/{code}/LC_MESSAGES/{DOMAIN}.mo")
    return _Catalogue(BytesIO(found or b""))


def _(text: str) -> str:
    return _catalogue(_spoken.get()).gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """The form for so many: of English's two, or of those that the language has."""
    return _catalogue(_spoken.get()).ngettext(one, many, number)


def pgettext(context: str, text: str) -> str:
    """A text that means more than one thing, and what it means here."""
    return _catalogue(_spoken.get()).pgettext(context, text)


def contexts(code: str, context: str) -> list[str]:
    """All texts that the language's catalogue has under this context."""
    found = _catalogue(code)
    return found.texts(context) if isinstance(found, _Catalogue) else []


def marked(text: str) -> str:
    """Unchanged: found for the catalogues, and translated by ``_`` where it is shown."""
    return text


def message(text: str) -> str:
    """Unchanged, an f-string too: ``messages.spoken`` takes it apart where it is shown."""
    return text


def listed(texts: Sequence[str]) -> str:
    return _(" and ").join(texts)


# Numbers and days


def grouped(number: int) -> str:
    """``1,207``."""
    return f"{number:,}".replace(",", LANGUAGES[_spoken.get()].group)


def group() -> str:
    """What stands between thousands."""
    return LANGUAGES[_spoken.get()].group


def point() -> str:
    return LANGUAGES[_spoken.get()].point


def decimal_text(number: str) -> str:
    """A number as Python writes it, with the decimal sign of the language."""
    return number.replace(".", point())


def percent_sign() -> str:
    """With the space that is before it."""
    return LANGUAGES[_spoken.get()].percent


def day_text(day: date) -> str:
    """``2 Nov 2026``."""
    return LANGUAGES[_spoken.get()].day.format(day)


def table_day(day: date) -> str:
    """``2026-11-02``, as it stands in a column."""
    return f"{day:{LANGUAGES[_spoken.get()].table_day}}"


def instant_text(at: datetime) -> str:
    """``2026-11-02T06:40:31Z``, of a moment in UTC, as it stands in a proof."""
    return f"{at:{LANGUAGES[_spoken.get()].instant}}"


def moment_text(at: datetime) -> str:
    """``2 Nov 2026 06:40 UTC``, of a moment in UTC."""
    return f"{day_text(at)} {at:%H:%M} UTC"


def month_name(day: date) -> str:
    """``Nov``."""
    months = LANGUAGES[_spoken.get()].months
    return months[day.month - 1] if months else f"{day:%b}"


def long_month_text(day: date) -> str:
    """``November 2026``, where there is room."""
    is_short = bool(LANGUAGES[_spoken.get()].months)
    return month_text(day) if is_short else f"{day:%B %Y}"


def month_text(day: date) -> str:
    """``Nov 2026``."""
    return f"{month_name(day)} {day.year}"
