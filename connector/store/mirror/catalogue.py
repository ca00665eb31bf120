"""Prices, coupons and products as last seen: what every customer's history is read by."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

from connector.core.errors import UnknownStripeShape
from connector.core.text import is_seen
from connector.mrr.history import Catalogue
from connector.store.database import scalar
from connector.stripe_api.decoding import decode, ref
from connector.stripe_api.objects import Coupon, Price, Product

T = TypeVar("T")
VERSION = "catalogue"  # the setting that counts changes of a price, coupon or product


def read_catalogue(connection: sqlite3.Connection) -> Catalogue:
    """All prices, coupons and products: read once, shared by every customer."""
    return Catalogue(
        prices=dict(_all(connection, "prices", Price)),
        coupons=dict(_all(connection, "coupons", Coupon)),
        products=dict(_all(connection, "products", Product)),
    )


def _all(
    connection: sqlite3.Connection, kind: str, shape: type[T]
) -> Iterator[tuple[str, T]]:
    for key, text in connection.execute(f"SELECT id, body FROM stripe_{kind}"):  # noqa: S608
        # What an older version kept, and does not fit, is missing: who uses it is named.
        with suppress(UnknownStripeShape):
            yield key, decode(text, shape)


def price_names(connection: sqlite3.Connection) -> dict[str, str]:
    """What each price sells, as its product is called, if that shows anything."""
    shared = read_catalogue(connection)
    sold = {key: ref(price.product) for key, price in shared.prices.items()}
    names = {key: product.name for key, product in shared.products.items()}
    named = ((key, names.get(of) or "") for key, of in sold.items())
    return {key: name for key, name in named if is_seen(name)}


def stored_price(connection: sqlite3.Connection, key: str) -> Price | None:
    """The last copy of a price that fitted."""
    text = scalar(connection, "SELECT body FROM stripe_prices WHERE id = ?", [key])
    with suppress(UnknownStripeShape):
        return None if text is None else decode(text, Price)
    return None
