"""A window's ratio taken apart by customer."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from connector.core.dates import add_months
from connector.core.figures import Retention
from connector.core.model import CustomerName, SegmentValue
from connector.core.windows import Window, WindowKind
from connector.metrics.contributions import Contribution, Ratio, between, in_minor_of
from connector.metrics.currency_total import retention_in_minor
from connector.metrics.retention import retention
from connector.reports.figures.asked_books import books_asked, nobody_in
from connector.reports.figures.currency_books import CurrencyBooks
from connector.reports.ledger import Ledger
from connector.store.ledger import customers


class WindowContributions(Struct, frozen=True, kw_only=True):
    """One currency's ratio and what each customer did to it, the largest first.

    Customers by the ledger's key. ``is_over`` is False while the ledger has not seen the
    window's end.
    """

    currency: str
    window: Window
    ratio: Ratio
    kept: Retention
    contributions: Sequence[Contribution]
    is_over: bool
    is_total: bool = False
    only: tuple[SegmentValue, ...] = ()

    @property
    def counts_customers(self) -> bool:
        """Whether it is a ratio of customers, not of what they pay."""
        return self.ratio is Ratio.CRR

    def share(self, each: Contribution) -> Fraction | None:
        """By how much of the ratio it moved it; None where there is none."""
        if not self.counts_customers:
            return self.kept.of_opening(each.amount_minor)
        return Fraction(each.customers, self.kept.customers)

    @property
    def numerator_minor(self) -> int:
        """Of NRR or GRR; of what CRR counts, what those pay who stayed."""
        return self.kept.opening_minor + sum(
            each.amount_minor for each in self.contributions
        )


class WindowExplanation(WindowContributions, frozen=True, kw_only=True):
    """The same with what customers are called; ``names`` go with ``contributions``."""

    names: Sequence[CustomerName]

    @property
    def moved(self) -> list[tuple[CustomerName, Contribution]]:
        return list(zip(self.names, self.contributions, strict=True))


class WindowRequest(NamedTuple):
    """Which ratio of which window; ``only`` those who had all of these segments then."""

    window: Window
    ratio: Ratio = Ratio.NRR
    currency: str | None = None
    as_of: datetime | None = None
    only: tuple[SegmentValue, ...] = ()


def explain_window(ledger: Ledger, asked: WindowRequest) -> list[WindowExplanation]:
    """Of each currency: its opening's customers, and everyone who moved the ratio."""
    return [named(ledger, each) for each in window_contributions(ledger, asked)]


def named(ledger: Ledger, taken: WindowContributions) -> WindowExplanation:
    """With everybody's name, who may be many."""
    names = customers.accounts_of(
        ledger.connection, [each.customer for each in taken.contributions]
    )
    own = [names[each.customer] for each in taken.contributions]
    return WindowExplanation(**asdict(taken), names=own)


def window_contributions(
    ledger: Ledger, asked: WindowRequest
) -> list[WindowContributions]:
    """What is behind ``explain_window``, in which nobody has a name yet.

    Raises ``UsageFault`` for a window that begins after the last day that is known, and
    ``NothingFound`` where nobody had the segments at its opening, or came with them.
    """
    window, as_of, only = asked.window, asked.as_of, asked.only
    ledger.require_known(window.start, f"--window from {window.start}", as_of)
    if window.kind is WindowKind.TRAILING_12:
        last = add_months(window.end, -1)
        ledger.require_known(last, f"--window ..{last:%Y-%m}", as_of)
    books = books_asked(ledger, asked.currency, as_of)
    found = [_contributions(each, asked) for each in books]
    is_empty = not any(each.kept.customers for each in found)
    if only and is_empty and not any(each.members(window, only) for each in books):
        raise nobody_in(ledger, only, asked.currency, [window], as_of)
    return found


def _contributions(books: CurrencyBooks, asked: WindowRequest) -> WindowContributions:
    """Of all currencies in one, a customer is one, whatever it pays in."""
    window, ratio, only = asked.window, asked.ratio, asked.only
    at = books.conversion(window)
    opening, closing = books.standing(window, at)
    if only:
        own = books.members_at_opening(window, only)
        opening = {key: units for key, units in opening.items() if key in own}
    kept = retention(opening, closing)
    found = between(opening, closing, ratio)
    return WindowContributions(
        currency=books.currency,
        window=window,
        ratio=ratio,
        kept=retention_in_minor(kept, at.scale),
        contributions=in_minor_of(found, kept.opening_minor, at.scale, ratio),
        is_over=window.end <= books.today,
        is_total=books.is_total,
        only=only,
    )
