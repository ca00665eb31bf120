"""An object as Stripe shows it → as the mirror keeps it, or why it does not fit."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from connector.config import Config
from connector.core.errors import UnknownStripeShape
from connector.mrr.pricing import no_value
from connector.store.mirror.catalogue import stored_price
from connector.stripe_api.decoding import Base
from connector.stripe_api.events import StripeEvent, hint, trimmed
from connector.stripe_api.faults import by_customer, out_of_time, unfit, unfit_for
from connector.stripe_api.objects import Customer, Price
from connector.stripe_api.unfit import UnfitObject, why_not


def fitting(connection: sqlite3.Connection, thing: Any) -> Any:
    """An object by its customer, or why it does not fit.

    Nor does a price that has no value where the last copy had one: its past would lose
    it too.
    """
    if isinstance(thing, UnfitObject):
        return thing
    owned = by_customer(thing)
    why = no_value(owned) if isinstance(owned, Price) else None
    if why is not None:
        before = stored_price(connection, owned.id)
        had_value = before is not None and no_value(before) is None
        return unfit_for(owned, why.field, why.value) if had_value else owned
    return unfit(owned) or owned


# Told an event that cannot be read, and why.
CannotRead = Callable[[str, str], None]


def stored(
    things: Iterable[Any], config: Config, cannot_read: CannotRead
) -> Iterator[Base]:
    """The objects as the mirror keeps them, without those that do not fit."""
    for thing in things:
        if isinstance(thing, Customer):
            yield labelled(thing, config.label, config.kept_metadata)
        elif isinstance(thing, StripeEvent):
            yield from _event(thing, cannot_read)
        elif not isinstance(thing, UnfitObject):
            yield thing


def _event(shown: StripeEvent, cannot_read: CannotRead) -> Iterator[Base]:
    """What is kept of an event: what it names, where what it shows does not fit."""
    try:
        kept = trimmed(shown)
    except (UnknownStripeShape, msgspec.DecodeError) as error:
        why: str | None = why_not(shown.data.object, error)
    else:
        state = kept.subscription
        why = None if state is None else out_of_time(state)
        if why is None:
            yield kept
            return
    cannot_read(shown.id, why or "")
    with suppress(UnknownStripeShape, msgspec.DecodeError):
        yield hint(shown)  # what it names is fetched all the same


def labelled(
    customer: Customer, label: str, metadata_keys: tuple[str, ...]
) -> Customer:
    """The customer as it is stored: a display label, a country, chosen metadata.

    ``label`` is ``name``, ``metadata:KEY`` or ``id`` (no label at all).
    """
    metadata = customer.metadata or {}
    source, _, key = label.partition(":")
    text = metadata.get(key) if source == "metadata" else None
    if source == "name":
        text = customer.name
    kept = {key: metadata[key] for key in metadata_keys if key in metadata}
    return replace(
        customer,
        label=text,
        country=customer.address.country if customer.address else None,
        metadata=kept or None,
        name=None,
        address=None,
    )
