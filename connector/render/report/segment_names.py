"""What segments are called: a band and an interval in words, all else as it is."""

import re
from collections.abc import Iterable

from connector.core.language import _, grouped, listed, marked
from connector.core.model import NONE, SegmentValue
from connector.core.money import format_count
from connector.core.text import printable


def only_words(only: Iterable[SegmentValue]) -> str:
    """``only plan Team and country DE``."""
    said = listed([printable(f"{_(by)} {segment_name(value)}") for by, value in only])
    return _("only {segments}").format(segments=said)


# How often a price is billed, as Stripe says it.
INTERVALS = (marked("day"), marked("week"), marked("month"), marked("year"))


def segment_name(name: str) -> str:
    """As a reader knows it: a band's words are ours, all else is what others chose."""
    if name == NONE:
        return _(NONE)
    plan = re.fullmatch(r"(.*), ([\w ]+) (\([^()]*\))", name)
    if plan is not None:
        return f"{plan[1]}, {_interval(plan[2])} {plan[3]}"
    return _band(_interval(name))


def _interval(name: str) -> str:
    """``month``, ``6 months``; any other name as it is."""
    found = re.fullmatch(r"(\d+) (\w+)s", name)
    if found is not None and found[2] in INTERVALS:
        return format_count(int(found[1]), found[2])
    return _(name) if name in INTERVALS else name


def _band(name: str) -> str:
    """``2: 10.000 bis 100.000``; a name that is no band's as it is."""
    found = re.fullmatch(r"(\d+: )(under |)([\d,]+)(?: to ([\d,]+)| and more|)", name)
    if found is None:
        return name
    place, under, low, high = found.groups()
    low, high = (text and grouped(int(text.replace(",", ""))) for text in (low, high))
    if under:
        return place + _("under {high}").format(high=low)
    if high:
        return place + _("{low} to {high}").format(low=low, high=high)
    return place + _("{low} and more").format(low=low)
