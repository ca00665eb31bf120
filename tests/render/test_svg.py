"""Values → coordinates: scales are round, and lengths say what amounts say."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.render.page.svg import (
    WIDE,
    Scale,
    dots,
    line,
    middle,
    scale,
    stacks,
    waterfall,
)

amounts = st.integers(-10_000, 10_000)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        pytest.param(0, 52_000, "0 20000 40000 60000", id="round thousands"),
        pytest.param(-983, 4_000, "-1000 0 1000 2000 3000 4000", id="below zero"),
        pytest.param(0, 0, "0 1/5", id="nothing at all still has a height"),
        pytest.param(7, 7, "7 36/5", id="one value"),
        pytest.param(
            Fraction(85, 100),
            Fraction(107, 100),
            "17/20 9/10 19/20 1 21/20 11/10",
            id="ratios",
        ),
    ],
)
def test_a_scale_ends_at_round_values(
    low: Fraction | int, high: Fraction | int, ticks: str
) -> None:
    assert " ".join(map(str, scale(low, high, 100, 5).ticks)) == ticks


@given(amounts, amounts, st.integers(2, 9))
def test_a_scale_holds_its_values_between_few_even_steps(
    one: int, other: int, most: int
) -> None:
    low, high = sorted((one, other))
    ruler = scale(low, high, 200, most)
    assert ruler.low <= low <= high <= ruler.high
    steps = {b - a for a, b in zip(ruler.ticks, ruler.ticks[1:], strict=False)}
    assert len(steps) == 1
    assert len(ruler.ticks) <= most + 1
    assert ruler.y(ruler.low) == 200
    assert ruler.y(ruler.high) == 0


def test_a_waterfall_goes_on_where_the_step_before_stopped() -> None:
    """100 + 50 − 30 = 120, of a peak of 150."""
    rungs = waterfall([(0, 100), (100, 150), (150, 120), (0, 120)])
    assert [(rung.x, rung.width) for rung in rungs] == [
        (0, 66.67),
        (66.67, 33.33),
        (80, 20),
        (0, 80),
    ]
    assert [rung.end_x for rung in rungs] == [66.67, 100, 80, 80]


def test_a_waterfall_of_nothing_has_no_length() -> None:
    assert {rung.width for rung in waterfall([(0, 0), (0, 0)])} == {0}


BOX = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)V([\d.]+)h-[\d.]+z")


def boxes(path: str) -> list[tuple[float, float, float, float]]:
    """Each bar's left, width, and where it starts and ends, in pixels from the top."""
    found = [tuple(map(float, box)) for box in BOX.findall(path)]
    return [(x, width, y, end_y) for x, y, width, end_y in found]


@given(st.lists(st.tuples(*[amounts] * 3), min_size=1, max_size=6))
def test_bars_are_as_high_as_what_they_stand_for(
    columns: list[tuple[int, int, int]],
) -> None:
    ruler, outlines = stacks(columns, 300)
    span = ruler.high - ruler.low
    for values, own in zip(columns, outlines, strict=True):
        path = "".join(own)
        moved = [value for value in values if value]
        assert len(boxes(path)) == len(moved)
        for value, (x, width, y, end_y) in zip(moved, boxes(path), strict=True):
            assert (y - end_y) / 300 * float(span) == pytest.approx(
                value, abs=float(span) / 5000
            )
            assert 0 <= x <= x + width <= WIDE


def test_gains_pile_up_and_losses_hang_down() -> None:
    _, [(gained, more, lost)] = stacks([[10, 20, -30]], 60)
    [(_, _, zero, top)], [(_, _, start, _)] = boxes(gained), boxes(more)
    [(_, _, below, bottom)] = boxes(lost)
    assert start == top < zero == below < bottom == 60


def test_a_line_is_broken_where_a_value_is_missing() -> None:
    points = dots([1, None, 1, 2], Scale(Fraction(0), Fraction(2), 100, ()))
    assert [point.place for point in points] == [0, 2, 3]
    assert line(points) == "M125 50M625 50L875 0"
    assert line([]) == ""


@given(st.integers(1, 60))
def test_the_middles_of_columns_are_even_and_inside(count: int) -> None:
    places = [middle(place, count) for place in range(count)]
    assert all(0 < place < 100 for place in places)
    assert places[0] == pytest.approx(100 - places[-1], abs=0.02)
