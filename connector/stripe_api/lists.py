"""How each kind of Stripe's objects is listed: where, filtered how, and what expanded.

Lists are newest first. A ``CreatedRange`` narrows one, a ``PageCursor`` is how far it has
been read, a ``ListPage`` what was read there. An expand goes four levels deep at the
most, ``data`` counted; what cannot be expanded in a list (a price's tiers, a discount's
coupon) comes from the catalogue.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from connector.core.errors import StripeRefused
from connector.stripe_api.decoding import Base
from connector.stripe_api.events import CATALOGUE_EVENT_TYPES, EVENT_TYPES, StripeEvent
from connector.stripe_api.invoices import Invoice, InvoiceItem
from connector.stripe_api.objects import Coupon, Customer, Price, Product, Subscription

Param = tuple[str, str]
Params = Sequence[Param]


class Listing(Struct, frozen=True, kw_only=True):
    """How one kind of object is paged: path, filters, what to expand, its type."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    type: type[Base]
    needs: str = ""  # the permission a restricted key must have


def _prices(*, active: bool) -> Listing:
    return Listing(
        path="/v1/prices",
        params=(
            ("active", "true" if active else "false"),
            ("expand[]", "data.tiers"),
            ("expand[]", "data.currency_options"),
        ),
        type=Price,
        needs="Prices: read",
    )


# In the order of the walk: what others refer to comes first.
LISTINGS: Mapping[str, Listing] = {
    "products": Listing(path="/v1/products", type=Product, needs="Products: read"),
    "prices": _prices(active=True),
    "archived prices": _prices(active=False),
    "coupons": Listing(
        path="/v1/coupons",
        params=(
            ("expand[]", "data.applies_to"),
            ("expand[]", "data.currency_options"),
        ),
        type=Coupon,
        needs="Coupons: read",
    ),
    "customers": Listing(path="/v1/customers", type=Customer, needs="Customers: read"),
    "subscriptions": Listing(
        path="/v1/subscriptions",
        params=(
            ("status", "all"),  # the default hides every customer who left
            ("expand[]", "data.discounts.source.coupon"),
            ("expand[]", "data.items.data.discounts"),
        ),
        type=Subscription,
        needs="Subscriptions: read",
    ),
    "invoices": Listing(
        path="/v1/invoices",
        params=(
            ("expand[]", "data.discounts.source.coupon"),
            ("expand[]", "data.lines.data.discounts"),
        ),
        type=Invoice,
        needs="Invoices: read",
    ),
    "invoice items": Listing(
        path="/v1/invoiceitems",
        params=(("pending", "true"), ("expand[]", "data.discounts")),
        type=InvoiceItem,
        needs="Invoice Items: read",
    ),
    "events": Listing(
        path="/v1/events",
        params=tuple(("types[]", name) for name in EVENT_TYPES),
        type=StripeEvent,
        needs="Events: read",
    ),
    "catalogue events": Listing(
        path="/v1/events",
        params=tuple(("types[]", name) for name in CATALOGUE_EVENT_TYPES),
        type=StripeEvent,
        needs="Events: read",
    ),
}


def option_tiers_expands(shown: Iterable[object], prefix: str) -> list[tuple[str, str]]:
    """What to expand as well, as these prices came without the tiers of some currency.

    Which currencies a price has is known once it was seen: a tiered one is asked for twice.
    """
    lacking = {
        currency
        for price in shown
        if isinstance(price, Price) and price.billing_scheme == "tiered"
        for currency, option in (price.currency_options or {}).items()
        if currency != price.currency and option.tiers is None
    }
    path = f"{prefix}currency_options.{{}}.tiers"
    return [("expand[]", path.format(currency)) for currency in sorted(lacking)]


def instead_of_expands(
    params: Params, error: StripeRefused
) -> dict[Param, Param | None]:
    """For each expand that the refusal names, what to ask instead.

    Empty where it is about something else.
    """
    match = re.search(r"cannot be expanded \(([\w.]+)\)", error.problem)
    if error.status != 400 or match is None:
        return {}
    instead: dict[Param, Param | None] = {}
    for name, value in params:
        if name == "expand[]" and f".{value}".endswith(f".{match[1]}"):
            shorter = value.removesuffix(".source.coupon")  # discounts still expand
            instead[name, value] = None if shorter == value else (name, shorter)
    return instead
