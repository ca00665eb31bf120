"""Days, months and moments in the reporting zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.dates import (
    add_months,
    day_end_s,
    instant,
    iso,
    later,
    local_day,
    months,
    next_period,
    parse_moment,
    parse_month,
    period_start,
)

BERLIN = ZoneInfo("Europe/Berlin")
days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
seconds = st.integers(0, 4_000_000_000)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu"]
).map(ZoneInfo)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        pytest.param(
            "2026-01-31T23:30Z", "UTC", "2026-01-31", id="half past eleven, in UTC"
        ),
        pytest.param(
            "2026-01-31T23:30Z",
            "Europe/Berlin",
            "2026-02-01",
            id="is February in Berlin",
        ),
        pytest.param(
            "2026-01-31T23:30Z",
            "America/New_York",
            "2026-01-31",
            id="evening in New York",
        ),
        pytest.param(
            "2026-01-31T23:30Z", "Pacific/Auckland", "2026-02-01", id="noon in Auckland"
        ),
        pytest.param(
            "2026-03-28T22:59:59Z", "Europe/Berlin", "2026-03-28", id="winter: 23:59:59"
        ),
        pytest.param(
            "2026-03-28T23:00Z",
            "Europe/Berlin",
            "2026-03-29",
            id="winter ends at 23 UTC",
        ),
        pytest.param(
            "2026-03-29T22:00Z",
            "Europe/Berlin",
            "2026-03-30",
            id="summer ends at 22 UTC",
        ),
        pytest.param(
            "2026-10-25T22:59:59Z",
            "Europe/Berlin",
            "2026-10-25",
            id="a day of 25 hours",
        ),
        pytest.param(
            "2026-11-01T04:30Z",
            "America/New_York",
            "2026-11-01",
            id="00:30 in summer time",
        ),
        pytest.param(
            "2026-11-02T04:30Z",
            "America/New_York",
            "2026-11-01",
            id="23:30 in winter time",
        ),
    ],
)
def test_an_instant_belongs_to_a_local_day(moment: str, zone: str, day: str) -> None:
    assert local_day(at(moment), ZoneInfo(zone)) == date.fromisoformat(day)


@given(seconds, zones)
def test_days_never_go_back(at_s: int, zone: ZoneInfo) -> None:
    today, later = local_day(at_s, zone), local_day(at_s + 3_600, zone)
    assert today <= later <= today + timedelta(days=1)


@given(seconds)
def test_an_instant_is_written_and_read_alike(at_s: int) -> None:
    assert at(iso(at_s)) == at_s
    assert instant(at_s).tzinfo is UTC


@pytest.mark.parametrize(
    ("first", "count", "expected"),
    [
        pytest.param(
            "2026-01-31", 1, "2026-02-01", id="the month after, its first day"
        ),
        pytest.param("2026-12-01", 1, "2027-01-01", id="over the end of the year"),
        pytest.param("2026-01-15", -1, "2025-12-01", id="back over its beginning"),
        pytest.param(
            "2026-03-01", -11, "2025-04-01", id="the start of trailing twelve"
        ),
        pytest.param("2026-03-09", 0, "2026-03-01", id="this month"),
    ],
)
def test_months_are_added(first: str, count: int, expected: str) -> None:
    added = add_months(date.fromisoformat(first), count)
    assert added == date.fromisoformat(expected)


@given(days, st.integers(-600, 600), st.integers(-600, 600))
def test_adding_months_twice_is_adding_their_sum(day: date, a: int, b: int) -> None:
    assert add_months(add_months(day, a), b) == add_months(day, a + b)


@given(days, days)
def test_months_are_half_open_and_without_gaps(one: date, other: date) -> None:
    first, end = sorted((one, other))
    found = list(months(first, end))
    assert found == [add_months(first, n) for n in range(len(found))]
    assert add_months(first, len(found)) == end.replace(day=1)


def test_no_months_where_the_end_comes_first() -> None:
    assert list(months(date(2026, 5, 1), date(2026, 4, 30))) == []


@pytest.mark.parametrize(
    ("day", "quarter"),
    [("2026-01-01", "2026-01-01"), ("2026-03-31", "2026-01-01"),
     ("2026-04-01", "2026-04-01"), ("2026-12-31", "2026-10-01")],
)  # fmt: skip
def test_a_quarter_starts(day: str, quarter: str) -> None:
    assert period_start(date.fromisoformat(day), 3) == date.fromisoformat(quarter)


@given(days)
def test_a_day_lies_in_its_quarter_and_its_quarter_in_its_year(day: date) -> None:
    year, quarter = period_start(day, 12), period_start(day, 3)
    assert year == date(day.year, 1, 1)
    assert year <= quarter <= day
    assert day < add_months(quarter, 3) <= add_months(year, 12)


def test_a_month_is_read() -> None:
    assert parse_month("2026-03") == date(2026, 3, 1)


@pytest.mark.parametrize("text", ["2026-13", "2026-3", "2026-03-01", "March", ""])
def test_anything_else_is_no_month(text: str) -> None:
    with pytest.raises(ValueError, match="month"):
        parse_month(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-03-01T12:00Z", "2026-03-01T12:00Z", id="with its offset"),
        pytest.param(
            "2026-03-01T12:00+01:00", "2026-03-01T11:00Z", id="another offset"
        ),
        pytest.param("2026-03-01T12:00", "2026-03-01T11:00Z", id="local, in winter"),
        pytest.param("2026-07-01T12:00", "2026-07-01T10:00Z", id="local, in summer"),
        pytest.param(
            "2026-03-01", "2026-03-01T22:59:59.999999Z", id="a day is its end"
        ),
        pytest.param(
            "2026-03-28", "2026-03-28T22:59:59.999999Z", id="before the change"
        ),
        pytest.param(
            "2026-03-29", "2026-03-29T21:59:59.999999Z", id="a day of 23 hours"
        ),
    ],
)
def test_a_moment_is_read_as_in_berlin(text: str, moment: str) -> None:
    assert parse_moment(text, BERLIN) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "12:00", ""])
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_moment(text, BERLIN)


@pytest.mark.parametrize(
    ("start", "interval", "count", "end"),
    [
        pytest.param("2026-01-15", "month", 1, "2026-02-15", id="a month"),
        pytest.param("2026-01-31", "month", 1, "2026-02-28", id="a short month"),
        pytest.param("2026-03-31", "month", -1, "2026-02-28", id="back"),
        pytest.param("2024-02-29", "year", 1, "2025-02-28", id="a leap day"),
        pytest.param("2026-01-15", "week", 2, "2026-01-29", id="two weeks"),
        pytest.param("2026-01-15", "day", 3, "2026-01-18", id="three days"),
    ],
)
def test_a_billing_period_ends(start: str, interval: str, count: int, end: str) -> None:
    first = datetime.fromisoformat(f"{start}T10:30:00+00:00")
    found = later(int(first.timestamp()), interval, count)
    assert iso(found) == f"{end}T10:30:00Z"


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "since", "start"),
    [
        pytest.param("2026-01-31", "month", 1, "2026-03-01", "2026-03-31", id="31st"),
        pytest.param("2026-01-31", "month", 1, "2026-02-28", "2026-02-28", id="now"),
        pytest.param("2026-01-30", "month", 2, "2026-04-01", "2026-05-30", id="2nd"),
        pytest.param("2024-02-29", "year", 1, "2027-01-01", "2027-02-28", id="leap"),
        pytest.param("2016-01-04", "week", 1, "2026-03-03", "2026-03-09", id="weeks"),
        pytest.param("2026-06-30", "month", 1, "2026-02-01", "2026-02-28", id="ahead"),
    ],
)
def test_a_billing_period_starts_as_its_anchor_has_it(
    anchor: str, interval: str, count: int, since: str, start: str
) -> None:
    anchor_s, since_s = (
        int(datetime.fromisoformat(f"{each}T10:30:00+00:00").timestamp())
        for each in (anchor, since)
    )
    found = next_period(anchor_s, interval, count, since_s)
    assert iso(found) == f"{start}T10:30:00Z"


@pytest.mark.parametrize(
    ("day", "end"),
    [
        pytest.param("2026-03-28", "2026-03-28T23:00:00Z", id="winter"),
        pytest.param("2026-03-29", "2026-03-29T22:00:00Z", id="a day of 23 hours"),
        pytest.param("2026-10-25", "2026-10-25T23:00:00Z", id="a day of 25 hours"),
    ],
)
def test_a_day_ends_where_the_next_one_begins(day: str, end: str) -> None:
    end_s = day_end_s(date.fromisoformat(day), BERLIN)
    assert iso(end_s) == end
    assert local_day(end_s - 1, BERLIN) == date.fromisoformat(day)
    assert local_day(end_s, BERLIN) > date.fromisoformat(day)
