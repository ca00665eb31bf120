"""A file of MRR by customer and day → the months that it tells the end of.

A line a month and customer is that month's, whatever its day. Where customers have lines
of several days of a month, each day has everybody (a snapshot a day), or a line is only
there when something changed. Of the former a month's last day is its end; the latter
cannot be told from days that lack, and is refused.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from connector.core.dates import add_months, month_start
from connector.core.errors import UsageFault
from connector.core.language import _, message
from connector.store.external_figures import DaysWithin, ExternalFigures

FIX = message(
    "export the MRR at each month's end (one line a customer and month), or a date and "
    "the change of MRR"
)


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
        raise _refused(
            path, several[0], by_month, message("none of them is the month's last")
        )
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
