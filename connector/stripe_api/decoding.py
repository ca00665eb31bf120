"""Stripe's JSON → typed objects, and back as the trimmed copy that the mirror keeps.

What is not a field of a ``Base`` (email, address, card, free text) is never stored.
"""

import re
import threading
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Generic, TypeVar, get_args

import msgspec
from msgspec import Meta

from connector.core.errors import UnknownStripeShape

T = TypeVar("T")


# What a number may be, and still be meant: anything else is no price, no seat, no date.
_LARGEST_MINOR = 10**15
_MOST_UNITS = 10**12
LAST_S = 32_503_680_000  # the year 3000
Instant = Annotated[int, Meta(ge=0, le=LAST_S)]  # unix seconds
Minor = Annotated[int, Meta(ge=-_LARGEST_MINOR, le=_LARGEST_MINOR)]
Charge = Annotated[int, Meta(ge=0, le=_LARGEST_MINOR)]  # minor units
Units = Annotated[int, Meta(ge=0, le=_MOST_UNITS)]
ObjectId = Annotated[str, Meta(min_length=1)]


_LARGEST = Decimal(_LARGEST_MINOR)


def check_decimal(
    value: Decimal | None,
    field: str,
    *,
    least: Decimal = -_LARGEST,
    most: Decimal = _LARGEST,
) -> None:
    """Raise ``ValueError`` naming a field that is not a number, or out of range."""
    try:
        if value is None or least <= value <= most:
            return
    except InvalidOperation:  # no number, which is neither more nor less than another
        pass
    raise ValueError(f"`{field}` is out of range")


class Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Immutable; unknown fields are ignored; empty ones are not written back."""


class ListOf(Base, Generic[T], frozen=True, kw_only=True):
    data: list[T] = []
    has_more: bool = False


# Answers


class ListAnswer(Base, Generic[T], frozen=True, kw_only=True):
    """A list as an answer. Without ``data`` it is none, and never an empty page."""

    data: list[T]
    has_more: bool = False


class ErrorDetail(Base, frozen=True, kw_only=True):
    message: str = ""
    code: str | None = None


class ErrorAnswer(Base, frozen=True, kw_only=True):
    error: ErrorDetail


class Ref(Base, frozen=True, kw_only=True):
    """An expanded object of which only the id matters."""

    id: ObjectId


class ObjectHead(Base, frozen=True, kw_only=True):
    """What can be told of an object of which some field does not fit."""

    id: Any = None
    object: Any = None
    created: Any = None
    date: Any = None
    customer: Any = None
    customer_account: Any = None
    subscription: Any = None
    parent: Any = None
    items: Any = None
    lines: Any = None


# The account


class Dashboard(Base, frozen=True, kw_only=True):
    display_name: str | None = None
    timezone: str | None = None


class AccountSettings(Base, frozen=True, kw_only=True):
    dashboard: Dashboard | None = None


class BusinessProfile(Base, frozen=True, kw_only=True):
    name: str | None = None


class ModeShown(Base, frozen=True, kw_only=True):
    """Any object: each says in which mode it lives."""

    livemode: bool | None = None


class StripeAccount(Base, frozen=True, kw_only=True):
    """``id`` is None where the key may not read it."""

    id: str | None = None
    country: str | None = None
    business_profile: BusinessProfile | None = None
    settings: AccountSettings | None = None

    @property
    def name(self) -> str | None:
        """What the business is called, as it says itself."""
        dashboard = self.settings.dashboard if self.settings else None
        profile = self.business_profile
        shown = dashboard.display_name if dashboard else None
        return shown or (profile.name if profile else None)

    @property
    def timezone(self) -> str | None:
        """The zone of the account's days, and of Stripe's own reports."""
        dashboard = self.settings.dashboard if self.settings else None
        return dashboard.timezone if dashboard else None


# What is no JSON either: nested as nothing is meant to, or not in UTF-8.
UNREADABLE = (RecursionError, UnicodeDecodeError)
_VALUE = re.compile(r"Invalid enum value .*?(?=(?: - at `[^`]*`)?$)", re.DOTALL)
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}
_one_at_a_time = threading.Lock()


def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    """Made by one thread at a time: msgspec 0.22 shares a type that it has half read."""
    found = _decoders.get(shape)
    if found is None:
        with _one_at_a_time:
            found = _decoders.setdefault(shape, msgspec.json.Decoder(shape))
    return found


def decode(raw: bytes | msgspec.Raw, shape: type[T]) -> T:
    """Read JSON as ``shape``; ``UnknownStripeShape`` names the field that does not fit.

    Raises ``msgspec.DecodeError`` for what is no JSON.
    """
    try:
        return _decoder(shape).decode(raw)
    except UNREADABLE as error:
        raise msgspec.DecodeError(type(error).__name__) from None
    except msgspec.ValidationError as error:
        inner = get_args(shape)
        name = f"list of {inner[0].__name__}" if inner else shape.__name__
        said = _VALUE.sub("Invalid enum value", str(error))
        raise UnknownStripeShape(
            f"Stripe's answer does not look like a {name}: {said}",
            fix="upgrade stripe-nrr, or report this with the field's name; nothing of "
            "this answer was stored",
            what=said,
        ) from None  # its own words repeat a value, which may be anything


def body(thing: Base) -> bytes:
    """The trimmed copy the mirror keeps: ``thing``'s own fields as JSON."""
    return msgspec.json.encode(thing)


def ref(thing: object) -> str:
    """The id of something that is an id, or an expanded object; "" for None."""
    if isinstance(thing, str):
        return thing
    return "" if thing is None else str(getattr(thing, "id"))  # noqa: B009


def created_at(thing: object) -> int:
    """When an object was created, unix seconds; 0 where its kind does not say.

    An invoice item says ``date``. It is what the filter ``created`` goes by.
    """
    return int(getattr(thing, "created", 0) or getattr(thing, "date", 0))


def read_as(shape: Any, thing: object) -> Any:
    """A part of an object as ``shape``; None where it does not fit."""
    try:
        return msgspec.convert(thing, shape)
    except msgspec.ValidationError:
        return None


def id_in(thing: object) -> str:
    """The id that a part of an object is, or has; "" for none."""
    return ref(read_as(str | Ref | None, thing))
