"""URLs: of pages, with what they ask; and of Stripe's Dashboard, in the right mode."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

STRIPE = "https://dashboard.stripe.com"

# What Stripe's Dashboard calls the page of an object, by the beginning of its id.
_PLACES = {
    "cus_": "customers",
    "sub_": "subscriptions",
    "in_": "invoices",
    "price_": "prices",
    "prod_": "products",
    "evt_": "events",
}
_SAFE = "_-"


def href(path: str, asked: Mapping[str, object] | None = None, **more: object) -> str:
    """A path with its query; what is None or "" is left out, ``as_of`` is ``as-of``."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    values = {
        name: str(value)
        for name, value in {**(asked or {}), **named}.items()
        if value not in (None, "")
    }
    return f"{path}?{urlencode(values)}" if values else path


def customer(key: str, asked: Mapping[str, object] | None = None, **more: object) -> str:
    return href(f"/customer/{quote(key, safe=_SAFE)}", asked, **more)


def stripe(key: str, *, livemode: bool | None) -> str | None:
    """Where Stripe shows an object; None where it has no page of its own."""
    place = next((at for start, at in _PLACES.items() if key.startswith(start)), None)
    if place is None:
        return None
    mode = "/test" if livemode is False else ""
    return f"{STRIPE}{mode}/{place}/{quote(key, safe=_SAFE)}"
