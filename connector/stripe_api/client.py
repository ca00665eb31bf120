"""Stripe's lists and objects: pages of 100, typed, with their nested lists complete.

Comes in: a key, a base URL, and the transport that carries requests. Goes out: objects,
and when they were asked for. Nothing here knows a database.
"""

import logging
from collections.abc import Callable, Container, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from connector.core.account import StripeIdentity
from connector.core.errors import OtherAccount, StripeRefused, StripeUnavailable
from connector.stripe_api.credentials import key_livemode
from connector.stripe_api.decoding import (
    Base,
    ListAnswer,
    ListOf,
    ModeShown,
    StripeAccount,
    ref,
)
from connector.stripe_api.http import NO_ACCESS, StripeHttp
from connector.stripe_api.invoices import Invoice, InvoiceHead, InvoiceLine
from connector.stripe_api.lists import (
    LISTINGS,
    Listing,
    Params,
    option_tiers_expands,
)
from connector.stripe_api.objects import Price, Subscription, SubscriptionItem
from connector.stripe_api.paging import (
    EVERYTHING,
    PAGE,
    TOP,
    CreatedRange,
    ListPage,
    PageCursor,
    beyond,
    leads_on,
    page_by_page,
)
from connector.stripe_api.unfit import (
    PartDoesNotFit,
    UnfitInvoiced,
    UnfitObject,
    in_no_url,
    invoiced_by,
    unfit_by,
)

T = TypeVar("T", bound=Base)
log = logging.getLogger(__name__)

# A list that does not move on is asked again so often, so far apart.
STUCK_TRIES = 3
STUCK_WAIT_S = 1.0


LONGEST_QUOTED = 4_000  # characters of a path that servers and proxies surely take


def object_path(path: str, key: str) -> str | None:
    """Where one object of a list is: its id quoted, as people choose many of them.

    None where no URL can hold it: an empty id means the list, and a dot or two of them
    mean other paths, quoted or not (RFC 3986, 5.2.4 and 6.2.2).
    """
    quoted = quote(key.encode("utf-8", "surrogatepass"), safe="")
    if quoted in ("", ".", "..") or len(quoted) > LONGEST_QUOTED:
        return None
    return f"{path}/{quoted}"


class StripeApi(StripeHttp):
    """A connection to one account. Close it, or use it as a context manager."""

    __slots__ = ()

    def stripe_us(self) -> int:
        """Now by Stripe's clock, at most two seconds after; by ours before any answer."""
        return self.clock.by_stripe(self.now_us())

    def probe(self, kind: str = "prices") -> None:
        """One cheap read, to fail before anything is written where the key is wrong."""
        listing = LISTINGS[kind]
        shape = ListAnswer[listing.type]  # type: ignore[name-defined]
        self.get(listing.path, [("limit", "1")], shape, listing.needs)

    def account(self) -> StripeAccount:
        """What Stripe shows of the account; a restricted key need not be allowed to."""
        path, needs = "/v1/account", "Accounts: read"
        account: StripeAccount = self.get(path, [], StripeAccount, needs)
        return account

    def shown_account(self) -> StripeAccount:
        """The same; one of which nothing is known where the key may not read it."""
        try:
            return self.account()
        except StripeRefused as error:
            if error.status not in (403, 404) or error.code == NO_ACCESS:
                raise
            return StripeAccount()

    def identity(self) -> StripeIdentity:
        """Whose the key is: the account where it may be read, the mode as far as shown."""
        return self.identity_of(self.shown_account())

    def identity_of(self, account: StripeAccount) -> StripeIdentity:
        """``OtherAccount`` where another one answers than is asked for by its id."""
        asked = self.account_id
        if asked is not None and account.id not in (None, asked):
            raise OtherAccount(
                f"{asked} was asked for by stripe_account, and {account.id} answered",
                fix="see what stands between here and Stripe: it has to let the headers "
                "Stripe-Account and Stripe-Context pass",
            )
        mode = key_livemode(self.key)
        if mode is None:
            mode = self._livemode_shown()
        return StripeIdentity(id=account.id or asked, name=account.name, livemode=mode)

    def _livemode_shown(self) -> bool | None:
        """By an object, where the key does not say it."""
        path, needs = LISTINGS["prices"].path, LISTINGS["prices"].needs
        asked = [("limit", "1")]
        shown: ListAnswer[ModeShown] = self.get(
            path, asked, ListAnswer[ModeShown], needs
        )
        return next((each.livemode for each in shown.data), None)

    def page(
        self,
        kind: str,
        span: CreatedRange = EVERYTHING,
        place: PageCursor = TOP,
        *,
        extra: Params = (),
        whole: Container[str] = (),
    ) -> ListPage:
        """One page of a kind in ``LISTINGS``, with what came before left out.

        Nested lists are complete, but for invoices in ``whole``: whoever knows their
        lines already gets those that came along. ``extra`` replaces parameters of its
        names. Raises ``StripeRefused`` and
        ``StripeUnavailable``.
        """
        listing = LISTINGS[kind]
        given = {name for name, _ in extra}
        usual = [param for param in listing.params if param[0] not in given]
        params = (*usual, *span.params, *extra)
        read = partial(self._read, listing.path)
        page = read(params, listing.type, listing.needs, place)
        if listing.type is Price:
            more = option_tiers_expands(page.data, "data.")
            again = partial(read, (*params, *more), Price, listing.needs, place)
            page = _with_more(page, more, again)
        data = [
            thing if ref(thing) in whole else self._whole(thing) for thing in page.data
        ]
        return page._replace(data=data)

    def pages(self, kind: str, extra: Params = ()) -> Iterator[ListPage]:
        """All pages of a kind, newest first."""
        return page_by_page(lambda place: self.page(kind, place=place, extra=extra))

    def one(self, kind: str, key: str) -> tuple[Any, int] | None:
        """One object, complete, and when it was asked for; None where it is gone.

        An ``UnfitObject`` where it is there, but does not fit, or cannot be asked for.
        """
        listing = LISTINGS[kind]
        expands = [
            (name, value.removeprefix("data."))
            for name, value in listing.params
            if name == "expand[]"
        ]
        began_us = self.now_us()
        path = object_path(listing.path, key)
        if path is None:
            return in_no_url(key), self.clock.by_stripe(began_us)
        try:
            thing = self.get(path, expands, listing.type, listing.needs)
            if isinstance(thing, Price):
                more = option_tiers_expands([thing], "")
                asked = (path, (*expands, *more), Price, listing.needs)
                thing = _with_more(thing, more, partial(self.get, *asked))
        except StripeRefused as error:
            if error.status == 404:
                return None
            raise
        return self._whole(thing), self.clock.by_stripe(began_us)

    def _whole(self, thing: Base) -> Base | UnfitObject:
        """The object complete; an unfit one where its nested list does not fit."""
        try:
            return self._completed(thing)
        except PartDoesNotFit as error:
            found = unfit_by(thing, error.part)
            if not isinstance(thing, Invoice):
                return found
            return msgspec.structs.replace(found, invoiced=self._invoiced(thing.id))

    def _invoiced(self, invoice: str) -> UnfitInvoiced | None:
        """What an invoice bills as a whole, asked for apart from its lines."""
        path = object_path("/v1/invoices", invoice)
        if path is None:
            return None
        try:
            head = self.get(path, [], InvoiceHead, LISTINGS["invoices"].needs)
        except StripeRefused:
            return None
        return invoiced_by(head)

    def _completed(self, thing: T) -> T:
        """The object with its nested list whole: Stripe cuts it at 10 or 20."""
        if isinstance(thing, Invoice) and thing.lines.has_more:
            expand = [("expand[]", "data.discounts")]
            path = object_path("/v1/invoices", thing.id)
            if path is None:
                raise PartDoesNotFit(in_no_url(thing.id))
            lines = self._all(
                f"{path}/lines", expand, InvoiceLine, LISTINGS["invoices"]
            )
            return msgspec.structs.replace(thing, lines=ListOf[InvoiceLine](data=lines))
        if isinstance(thing, Subscription) and thing.items.has_more:
            asked = [("subscription", thing.id), ("expand[]", "data.discounts")]
            path, of = "/v1/subscription_items", LISTINGS["subscriptions"]
            items = self._all(path, asked, SubscriptionItem, of)
            whole = ListOf[SubscriptionItem](data=items)
            return msgspec.structs.replace(thing, items=whole)
        return thing

    def _all(self, path: str, params: Params, shape: type[T], of: Listing) -> list[T]:
        """A nested list to its end; the first part that does not fit is raised."""
        pages = page_by_page(partial(self._read, path, params, shape, of.needs))
        things = [thing for page in pages for thing in page.data]
        for thing in things:
            if isinstance(thing, UnfitObject):
                raise PartDoesNotFit(thing)
        return things

    def _read(
        self,
        path: str,
        params: Params,
        shape: type[Base],
        needs: str,
        place: PageCursor,
    ) -> ListPage:
        """The page after ``place``, each object once.

        An empty page that claims more is the end, as nothing can follow it. A page that
        keeps repeating what was met would hide what should follow: that is a failure.
        """
        after = [] if place.after is None else [("starting_after", place.after)]
        asked = [("limit", str(PAGE)), *params, *after]
        page = self._ask(path, asked, shape, needs, place)
        for _ in range(STUCK_TRIES):
            if not page.has_more or leads_on(page, place):
                break
            log.warning("stripe_api.stuck path=%s after=%s", path, place.after)
            self.sleep(STUCK_WAIT_S)
            page = self._ask(path, asked, shape, needs, place)
        if page.has_more and page.data and not leads_on(page, place):
            raise StripeUnavailable(
                f"Stripe's list {path} repeats itself and does not go on",
                fix="run it again later; what was fetched is kept",
            )
        fresh = [thing for thing in page.data if ref(thing) not in place.met]
        return page._replace(data=fresh, has_more=page.has_more and bool(fresh))

    def _ask(
        self, path: str, params: Params, shape: type[Any], needs: str, place: PageCursor
    ) -> ListPage:
        began_us = self.now_us()
        answer = self.get(path, params, ListAnswer[shape], needs)  # type: ignore[valid-type]
        asked_us = self.clock.by_stripe(began_us)
        return ListPage(
            answer.data, answer.has_more, asked_us, beyond(answer.data, place)
        )


def _with_more(shown: Any, more: Params, ask_again: Callable[[], Any]) -> Any:
    """An answer with the tiers of its prices' other currencies, where it lacks ``more``.

    Where Stripe does not show them, what was shown at first is all there is.
    """
    if not more:
        return shown
    try:
        return ask_again()
    except StripeRefused as error:
        if error.status != 400:
            raise
        log.warning("stripe_api.option_tiers %s", error.problem)
        return shown
