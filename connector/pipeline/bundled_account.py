"""The demo's account: an ``ObjectSource`` that reads files instead of asking Stripe."""

import gzip
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from connector.core.errors import ConnectorError
from connector.pipeline.source import Found
from connector.stripe_api import paging
from connector.stripe_api.decoding import created_at, ref
from connector.stripe_api.lists import LISTINGS, Params
from connector.stripe_api.paging import PAGE, CreatedRange, ListPage, PageCursor
from connector.stripe_api.unfit import NAMELESS, UnfitObject, one_of

# A file for each, newest first. Of the other ``LISTINGS`` the account has nothing: no
# price is archived, and no event tells of the catalogue.
KINDS = (
    *("products", "prices", "coupons"),
    *("customers", "subscriptions", "invoices", "invoice items", "events"),
)


class AccountFacts(msgspec.Struct, frozen=True):
    """``account.json``: the account's zone, and when its objects were looked at."""

    now: datetime
    timezone: str


@dataclass(slots=True)
class BundledAccount:
    """What an account's lists showed at ``facts.now``, and show for ever.

    ``requests`` counts what Stripe's API would have been asked.
    """

    facts: AccountFacts
    lists: Mapping[str, Sequence[Any]]
    requests: int = 0

    def now_us(self) -> int:
        return int(self.facts.now.timestamp() * 1_000_000)

    def page(
        self,
        kind: str,
        span: CreatedRange = paging.EVERYTHING,
        place: PageCursor = paging.TOP,
        *,
        whole: Container[str] = (),  # noqa: ARG002 - every object here is whole
    ) -> ListPage:
        return self._page(kind, place, partial(_is_within, span))

    def pages(self, kind: str, extra: Params = ()) -> Iterator[ListPage]:
        """All pages; ``extra`` narrows them by fields of the objects."""
        fits = partial(_has, extra)
        return paging.page_by_page(lambda place: self._page(kind, place, fits))

    def one(self, kind: str, key: str) -> Found:
        self.requests += 1
        found = next((it for it in self.lists.get(kind, ()) if ref(it) == key), None)
        return None if found is None else (found, self.now_us())

    def _page(
        self, kind: str, place: PageCursor, fits: Callable[[object], bool]
    ) -> ListPage:
        self.requests += 1
        things = self.lists.get(kind, ())
        if place.after is not None:
            things = things[[*map(ref, things)].index(place.after) + 1 :]
        found = list(islice(filter(fits, things), PAGE + 1))
        data, has_more = found[:PAGE], len(found) > PAGE
        return ListPage(data, has_more, self.now_us(), paging.beyond(data, place))


def _is_within(span: CreatedRange, thing: object) -> bool:
    at_s = created_at(thing)
    return span.from_s <= at_s and (span.to_s is None or at_s < span.to_s)


def _has(fields: Params, thing: object) -> bool:
    return all(ref(getattr(thing, name, None)) == value for name, value in fields)


def bundled_folder() -> Path:
    """Where the account lies: in the wheel, or in the repository."""
    package = Path(__file__).parents[1]
    for folder in (package / "bundled_demo", package.parent / "fixtures" / "demo"):
        if folder.is_dir():
            return folder
    raise ConnectorError(
        "the demo's account is not part of this installation",
        fix="install again: pip install --force-reinstall stripe-nrr",
    )


def load_account(folder: Path) -> BundledAccount:
    try:
        text = (folder / "account.json").read_bytes()
        facts = msgspec.json.decode(text, type=AccountFacts)
        return BundledAccount(facts, {kind: _read(folder, kind) for kind in KINDS})
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise ConnectorError(
            f"the account in {folder} cannot be read: {error}",
            fix="restore the folder from where it came",
        ) from error


def _read(folder: Path, kind: str) -> list[Any]:
    file = folder / f"{kind.replace(' ', '')}.jsonl.gz"
    text = gzip.decompress(file.read_bytes())
    listing = LISTINGS[kind]
    try:
        return msgspec.json.Decoder(listing.type).decode_lines(text)
    except msgspec.ValidationError:  # one by one, as one of them does not fit
        found = [one_of(line, listing.type) for line in text.splitlines()]
        if any(NAMELESS in each.id for each in found if isinstance(each, UnfitObject)):
            raise  # that is no object of Stripe's at all
        return found
