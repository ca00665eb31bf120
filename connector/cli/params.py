"""The values of options: days, windows, ratios and segments, as people write them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from connector.cli.stderr import warn
from connector.config import Config
from connector.core.dates import (
    is_ahead,
    parse_day,
    parse_duration_s,
    parse_moment,
    parse_month,
)
from connector.core.errors import UsageFault
from connector.core.language import message
from connector.core.model import METADATA, SegmentValue, segment_value
from connector.core.numbers import Unreadable, WrittenNumber, ratio_of, written_number
from connector.core.presets import PRESETS, preset_name
from connector.core.windows import parse_window

if TYPE_CHECKING:
    from connector.cli.shell import Shell


def moment_asked(
    text: str | None, zone: tzinfo, now: datetime | None = None
) -> datetime | None:
    """Of a day after that of ``now`` it is said that it is not over."""
    if text is None:
        return None
    try:
        moment = parse_moment(text, zone).astimezone(UTC)
    except ValueError:
        raise UsageFault(
            f"--as-of {text!r} is not a moment",
            fix="write it as 2026-04-02T09:00:00Z, or as a day: 2026-04-02",
        ) from None
    if now is not None and is_ahead(moment, now, zone):
        warn(
            f"--as-of {text} is in the future: this is the ledger as it is now, and the "
            "same may say something else tomorrow",
            "give today or an earlier day, which says the same for ever",
        )
    return moment


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class ReadParam(click.ParamType[T]):
    """A value that ``read`` makes of a text, or raises ``ValueError``.

    ``wanted`` ends the sentence that says what is wrong with it; ``example`` is one.
    """

    def __init__(
        self, name: str, read: Callable[[str], T], wanted: str, example: str = ""
    ) -> None:
        self.name, self.read, self.wanted, self.example = name, read, wanted, example

    def convert(self, value: Any, param: Any, ctx: Any) -> T:
        try:
            return cast("T", value) if not isinstance(value, str) else self.read(value)
        except ValueError:
            said = f"{value!r} is not {self.wanted}"
            if self.example:
                said += f"; write it as {self.example}"
            self.fail(said, param, ctx)


def _named(text: str) -> str:
    if not text.strip():  # of a shell's variable that is not set
        raise ValueError(text)
    return text


CUSTOMER = ReadParam("ID", _named, message("a customer"), "cus_123")


MONTH = ReadParam("YYYY-MM", parse_month, message("a month"), "2026-03")


DAY = ReadParam("YYYY-MM-DD", parse_day, message("a day"), "2026-03-31")


PRESET = ReadParam(
    "PRESET",
    preset_name,
    "a preset; write stripe:default, or join what Stripe is set to otherwise, such as "
    f"{max(PRESETS, key=len)}",
)


class OneOf(click.Choice[E]):
    """A member of an enumeration, written as its value."""

    def __init__(self, members: type[E]) -> None:
        super().__init__(list(members))

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        value = choice.value if isinstance(choice, StrEnum) else choice
        return super().normalize_choice(value, ctx)


class ByParam(click.ParamType[str]):
    """One of ``SEGMENTS``, or ``metadata:KEY`` with a key that the configuration keeps.

    Or one of those ``beside`` them.
    """

    name = "WHAT"

    def __init__(self, *beside: str) -> None:
        self.beside = beside

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        kinds = _kinds(ctx.obj)
        if value not in (*self.beside, *kinds):
            if value.startswith(METADATA):
                kept = [each for each in kinds if each.startswith(METADATA)]
                self.fail(_not_kept(value.removeprefix(METADATA), kept), param, ctx)
            known = ", ".join((*self.beside, *kinds))
            self.fail(f"{value!r} is none of {known}", param, ctx)
        return str(value)


def _kinds(shell: "Shell") -> tuple[str, ...]:
    from connector.reports.figures.segments import segment_kinds

    return segment_kinds(shell.shared, of_several=len(shell.accounts) > 1)


def _not_kept(key: str, kept: Sequence[str]) -> str:
    return message(
        f"metadata {key!r} is not kept: add the key to `metadata` under [customers], and "
        f"run `stripe-nrr sync --full`; kept are: {', '.join(kept) or 'none'}"
    )


class SegmentParam(click.ParamType[SegmentValue]):
    """``plan=Team``: what customers are told apart by, and what those wanted have."""

    name = "KIND=VALUE"

    def convert(self, value: Any, param: Any, ctx: Any) -> SegmentValue:
        if not isinstance(value, str):
            return cast("SegmentValue", value)
        kinds = _kinds(ctx.obj)
        try:
            return segment_value(value, kinds)
        except ValueError:
            known = ", ".join(kinds)
            self.fail(f"{value!r} is not one of {known}, = and a value", param, ctx)


def _duration_s(text: str) -> float:
    wait_s = parse_duration_s(text)
    if not wait_s:
        raise ValueError(text)
    return wait_s


DURATION = ReadParam("DURATION", _duration_s, message("a duration"), "15m")


class NumberParam(click.ParamType[T]):
    """A number as people write it in the report's locale, made a value by ``read``.

    ``wanted`` is what it must be, ``example`` how that is written.
    """

    def __init__(
        self, name: str, read: Callable[[WrittenNumber], T], wanted: str, example: str
    ) -> None:
        self.name, self.read = name, read
        self.wanted, self.example = wanted, example

    def convert(self, value: Any, param: Any, ctx: Any) -> T:
        if not isinstance(value, str):
            return cast("T", value)
        try:
            written = written_number(value, _locale(ctx))
        except Unreadable:
            said = f"{value!r} is not {self.wanted}; write it as {self.example}"
            self.fail(said, param, ctx)
        try:
            return self.read(written)
        except Unreadable as error:
            self.fail(f"{error}; write it as {self.example}", param, ctx)


def _locale(ctx: Any) -> str:
    return str(ctx.obj.shared.locale) if ctx is not None else Config().locale


def _amount(written: WrittenNumber) -> WrittenNumber:
    """Which of its readings counts follows from the currency."""
    readings = [each for each in (written.own, *written.others) if each is not None]
    if written.is_percent or any(each.value < 0 for each in readings):
        raise Unreadable(f"{written.text!r} is no amount")
    return written


RATIO = NumberParam("RATIO", ratio_of, "a ratio", "1.07 or 107%")


AMOUNT = NumberParam("AMOUNT", _amount, "an amount", "47002.50")


WINDOW = ReadParam(
    "WINDOW",
    parse_window,
    "a window; write a month 2026-03, a quarter 2026-Q1, a year 2026, or ..2026-03 for "
    "the twelve months to March",
)
