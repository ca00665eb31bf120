"""Which lists of Stripe's objects may be null: those alone that Stripe's own types say.

The types of the pinned SDK are the expectation. A null where Stripe's shape is a list is
no empty list: its object is set aside, by field and value.
"""

from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
import stripe

from connector.stripe_api import decoding, invoices, objects
from connector.stripe_api.decoding import Base

# Each of our types, and the SDK's of the same objects.
TYPES: dict[type[Base], Any] = {
    objects.Price: stripe.Price,
    objects.CurrencyOption: stripe.Price.CurrencyOptions,
    objects.AppliesTo: stripe.Coupon.AppliesTo,
    objects.Subscription: stripe.Subscription,
    objects.SubscriptionItem: stripe.SubscriptionItem,
    invoices.Invoice: stripe.Invoice,
    invoices.InvoiceLine: stripe.InvoiceLineItem,
    invoices.InvoiceItem: stripe.InvoiceItem,
    invoices.ProrationDetails: stripe.InvoiceItem.ProrationDetails,
}


def allows_none(hint: Any) -> bool:
    return NoneType in get_args(hint)


def is_list(hint: Any) -> bool:
    parts = [hint, *get_args(hint)]
    return any(
        get_origin(part) is list or get_origin(part) is decoding.ListOf
        for part in parts
    )


def lists_of(shape: type[Base]) -> list[str]:
    hints = get_type_hints(shape)
    return [name for name in shape.__struct_fields__ if is_list(hints[name])]


LISTS = [(shape, name) for shape in TYPES for name in lists_of(shape)]
every_list = pytest.mark.parametrize(
    ("shape", "name"), LISTS, ids=[f"{s.__name__} {n}" for s, n in LISTS]
)


def test_no_type_with_a_list_is_left_out() -> None:
    found = {
        each
        for module in (objects, invoices)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Base) and lists_of(each)
    }
    answers: set[object] = {decoding.ListAnswer, decoding.ListOf}
    assert found - answers == set(TYPES)


@every_list
def test_a_null_list_is_none_where_stripes_type_says_so(
    shape: type[Base], name: str
) -> None:
    """``tiers`` of a currency option is told by the same word of a price."""
    stripes = TYPES[shape].__annotations__[name]
    assert allows_none(get_type_hints(shape)[name]) == allows_none(stripes)


def test_a_missing_list_is_empty() -> None:
    """As an older version's event has it."""
    read = msgspec.convert({"id": "sub_1", "status": "active"}, objects.Subscription)
    assert read.discounts == []
