"""Days as files write them, and the months that a file's days tell the end of.

``2026-03-31``, ``31.3.2026``, ``3/31/26``, ``Mar 31, 2026`` and ``31 März 2026`` are one
day; ``2026-03``, ``03/2026``, ``Mar 2026`` and ``March-26`` a month.

Of MRR by customer and day, a line a month and customer is that month's, whatever its day.
Where customers have lines of several days of a month, each day has everybody (a snapshot
a day), or a line is only there when something changed. Of the former a month's last day
is its end; the latter cannot be told from days that lack, and is refused.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from connector.core.dates import add_months, month_start
from connector.core.errors import UsageFault
from connector.core.language import _, message
from connector.store.external_figures import DaysWithin, ExternalFigures

NO_LAST = message("none of them is the month's last")
FIX = message(
    "export the MRR at each month's end (one line a customer and month), or a date and "
    "the change of MRR"
)

_MONTHS = """
    january february march april may june july august september october november december
    januar februar märz april mai juni juli august september oktober november dezember
    jänner feber mrz
""".strip().splitlines()
SNIFFED = 2_000  # lines that decide between 3/4 and 4/3, where they can
_WORD, _YEAR = r"(?P<name>[^\W\d_]{3,10})\.?", r"'?(?P<year>\d{4}|\d{2})"
_NUMBERS = r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)"
_TIME = r"(?:[T ,].*)?"
_SHAPES = [
    re.compile(shape)
    for shape in (
        rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_TIME}",
        rf"{_NUMBERS}{_YEAR}{_TIME}",
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})",
        r"(?P<year>20\d{2})(?P<month>\d{2})(?P<day>\d{2})?",
        r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
        rf"{_WORD} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}",
        rf"(?P<day>\d{{1,2}})\.?[- ]{_WORD}[-, ] ?{_YEAR}",
        rf"{_WORD}[-/ ,]+{_YEAR}",
    )
]
_SLASHED = re.compile(rf"{_NUMBERS}{_YEAR}{_TIME}")


def written_day(text: str, *, day_first: bool) -> date | None:
    """None is no day; of a month it is the first. ``day_first`` is for ``3/4/2026``."""
    text = text.strip()
    for shape in _SHAPES:
        found = shape.fullmatch(text)
        day = None if found is None else _day(found.groupdict(), day_first=day_first)
        if day is not None:
            return day
    return None


def _day(found: Mapping[str, str | None], *, day_first: bool) -> date | None:
    """Dots are nobody's who writes the month first."""
    year, month, day = found["year"] or "", found.get("month"), found.get("day")
    if found.get("mark"):
        is_first = day_first or found["mark"] == "."
        day, month = found["first"], found["second"]
        day, month = (day, month) if is_first else (month, day)
    name = found.get("name")
    number = int(month or 0) if name is None else _month_named(name.lower())
    try:
        return date(int(year) + 2000 * (len(year) == 2), number, int(day or 1))
    except ValueError:
        return None


def _month_named(start: str) -> int:
    """In English or German, as far as it is written; 0 for none."""
    every = (enumerate(names.split(), 1) for names in _MONTHS)
    return next((n for own in every for n, name in own if name.startswith(start)), 0)


def is_day_first(texts: Iterable[str], *, of_months: bool = True) -> bool | None:
    """Whether ``3/4/2026`` is the third of April, by what else there is.

    A day is above 12 somewhere; or, ``of_months``, it is the first of every month. None
    where both can be.
    """
    found = set()
    for number, text in enumerate(texts):
        slashed = _SLASHED.fullmatch(text)
        if slashed is not None and slashed["mark"] != ".":
            first, second = int(slashed["first"]), int(slashed["second"])
            if max(first, second) > 12:
                return first > 12
            found.add((first, second))
        if number > SNIFFED and len(found) != 1:
            break
    for first_of_all in (True, False):
        days = {pair[0 if first_of_all else 1] for pair in found}
        if of_months and len(found) > 1 and days == {1}:
            return first_of_all
    return None if any(first != second for first, second in found) else False


def month_of(text: str, *, day_first: bool = False) -> date | None:
    """The first of a month or of a day's month; None for what is neither."""
    day = written_day(text, day_first=day_first)
    return None if day is None or day.year < 1970 else day.replace(day=1)


def months_read(
    path: Path, file: int, figures: ExternalFigures, written: Collection[date]
) -> tuple[frozenset[date], list[str]]:
    """The months, by their first days, that the file's lines are kept of; and why.

    ``written`` are all days that it names. Raises ``UsageFault``.
    """
    by_month: dict[date, list[date]] = {}
    for day in sorted(written):
        by_month.setdefault(month_start(day), []).append(day)
    every = frozenset(by_month)
    if all(len(days) == 1 for days in by_month.values()):
        return every, []
    within = figures.days_within(file)
    several = [each for each in within if each.several]
    if not several:
        return every, []
    _are_snapshots(path, several, within, by_month)
    ends = {month: _last_day(month) for month in every}
    kept = {month for month, days in by_month.items() if ends[month] in days}
    if not kept:
        raise _refused(path, several[0], by_month, NO_LAST)
    figures.keep_days(file, (ends[month].toordinal() for month in kept))
    return frozenset(kept), [*_notes(path, sorted(every - kept))]


def _last_day(month: date) -> date:
    return add_months(month, 1) - timedelta(days=1)


def _are_snapshots(
    path: Path,
    several: Sequence[DaysWithin],
    within: Sequence[DaysWithin],
    by_month: Mapping[date, Sequence[date]],
) -> None:
    """Whether customers have lines of most days that anybody has a line of."""
    could = sum(
        each.customers * len(by_month[date.fromordinal(each.month)]) for each in within
    )
    if 2 * sum(each.days for each in within) < could:
        raise _refused(path, several[0], by_month, message("not of every day"))


def _refused(
    path: Path, found: DaysWithin, by_month: Mapping[date, Sequence[date]], why: str
) -> UsageFault:
    month = date.fromordinal(found.month)
    days = by_month[month]
    return UsageFault(
        f"{path} has the MRR of {found.customer} on several days of {month:%Y-%m} (its "
        f"days are from {days[0]} to {days[-1]}), and {why}: which is the month's cannot "
        "be known",
        fix=FIX,
    )


def _notes(path: Path, left: Sequence[date]) -> list[str]:
    said = [
        _("{name} has a line a day: the last day of each month is read.").format(
            name=path.name
        )
    ]
    if left:
        named = ", ".join(f"{month:%Y-%m}" for month in left)
        said.append(
            _("  Left out, as its last day is not there: {named}.").format(named=named)
        )
    return said
