"""Where objects come from: Stripe, the demo's files, or a test's account."""

import logging
from collections.abc import Container, Iterator
from typing import Any, Protocol

from msgspec import Struct

from connector.core.errors import StripeRefused
from connector.stripe_api.lists import Params
from connector.stripe_api.paging import (
    EVERYTHING,
    TOP,
    CreatedRange,
    ListPage,
    Lookup,
    PageCursor,
)

log = logging.getLogger(__name__)

Found = tuple[Any, int] | None  # an object and when it was asked for; None: gone


class ObjectLookup(Protocol):
    """Where one object can be asked for."""

    def one(self, kind: str, key: str) -> Found: ...


class ObjectSource(ObjectLookup, Protocol):
    """Where answers come from: ``StripeApi``, or a test's. Asked by many threads."""

    def page(
        self,
        kind: str,
        span: CreatedRange = EVERYTHING,
        place: PageCursor = TOP,
        *,
        whole: Container[str] = (),
    ) -> ListPage: ...

    def pages(self, kind: str, extra: Params = ()) -> Iterator[ListPage]: ...


def page_after(
    source: ObjectSource,
    kind: str,
    whole: Container[str],
    span: CreatedRange,
    place: PageCursor,
) -> ListPage:
    """The page there; by time alone where the object that it should follow has gone."""
    try:
        return source.page(kind, span, place, whole=whole)
    except StripeRefused as error:
        if error.code != "resource_missing" or place.after is None:
            raise
        log.warning("ingest.cursor_gone kind=%s after=%s", kind, place.after)
        return source.page(kind, *place.by_time(span), whole=whole)


def looked_up(source: ObjectSource, lookup: Lookup) -> list[ListPage]:
    """What of it stands in the list; other invoices' lines are not asked for."""
    others = _Others(lookup.created_s)
    return list(lookup.found(lambda span: source.page(lookup.kind, span, whole=others)))


class _Others(Struct, frozen=True):
    """All ids but these."""

    wanted: Container[str]

    def __contains__(self, key: object) -> bool:
        return key not in self.wanted
