"""A window's ratio taken apart by customer."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import asdict

from connector.core.figures import Retention
from connector.core.model import CustomerName, SegmentValue
from connector.core.windows import Window
from connector.metrics.contributions import Contribution, Ratio, between, in_minor_of
from connector.metrics.currency_total import retention_in_minor
from connector.metrics.retention import retention
from connector.reports.figures.segments import cut_in
from connector.reports.figures.windows import (
    figures_by_segment,
    members_at_opening,
    nobody_in,
    standing,
)
from connector.reports.ledger import Ledger, is_total
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


def explain_window(
    ledger: Ledger,
    window: Window,
    ratio: Ratio = Ratio.NRR,
    currency: str | None = None,
    as_of: datetime | None = None,
    only: tuple[SegmentValue, ...] = (),
) -> list[WindowExplanation]:
    """Of each currency: its opening's customers, and everyone who moved the ratio."""
    found = window_contributions(ledger, window, ratio, currency, as_of, only)
    return [named(ledger, each) for each in found]


def named(ledger: Ledger, taken: WindowContributions) -> WindowExplanation:
    """With everybody's name, who may be many."""
    names = customers.accounts_of(
        ledger.connection, [each.customer for each in taken.contributions]
    )
    own = [names[each.customer] for each in taken.contributions]
    return WindowExplanation(**asdict(taken), names=own)


def window_contributions(
    ledger: Ledger,
    window: Window,
    ratio: Ratio = Ratio.NRR,
    currency: str | None = None,
    as_of: datetime | None = None,
    only: tuple[SegmentValue, ...] = (),
) -> list[WindowContributions]:
    """What is behind ``explain_window``, in which nobody has a name yet.

    With ``only``, of those alone whom all of these segments had at the opening. Raises
    ``UsageFault`` for a window that begins after the last day that is known.
    """
    ledger.require_known(window.start, f"--window from {window.start}", as_of)
    if is_total(currency):
        return [_explained_total(ledger, window, ratio, as_of, only)]
    found = _explained(ledger, window, ratio, currency, as_of, only)
    if only and not any(each.kept.customers for each in found):
        _require_anybody(ledger, window, [each.currency for each in found], as_of, only)
    return found


def _require_anybody(
    ledger: Ledger,
    window: Window,
    codes: Sequence[str],
    as_of: datetime | None,
    only: Sequence[SegmentValue],
) -> None:
    """``NothingFound`` where nobody had these segments, or came with them."""
    for code in codes:
        if any(figures_by_segment(ledger, code, [window], None, as_of, only)):
            return
    raise nobody_in(only)


def _explained(
    ledger: Ledger,
    window: Window,
    ratio: Ratio,
    currency: str | None,
    as_of: datetime | None,
    only: tuple[SegmentValue, ...],
) -> list[WindowContributions]:
    is_over = window.end <= ledger.state(as_of).today
    found = []
    for code in ledger.currencies(currency, as_of):
        ends = (window.start, window.end)
        opening, closing = standing(ledger.connection, code, ends, as_of)
        if only:
            of = cut_in(ledger, code, None, only)
            opening = members_at_opening(opening, window.start, of)
        kept = retention(opening, closing)
        found.append(
            WindowContributions(
                currency=code,
                window=window,
                ratio=ratio,
                kept=kept,
                contributions=between(opening, closing, ratio),
                is_over=is_over,
                only=only,
            )
        )
    return found


def _explained_total(
    ledger: Ledger,
    window: Window,
    ratio: Ratio,
    as_of: datetime | None,
    only: tuple[SegmentValue, ...],
) -> WindowContributions:
    """All currencies in one: a customer is one, whatever it pays in."""
    from connector.reports.figures.currency_total import CurrencyTotal

    total = CurrencyTotal(ledger, as_of)
    at = total.conversion(window)
    opening, closing = total.standing(window, at)
    if only:
        own = total.members_at_opening(window, only)
        if not own and not total.segments(window, None, only):
            raise nobody_in(only)
        opening = {key: units for key, units in opening.items() if key in own}
    kept = retention(opening, closing)
    found = between(opening, closing, ratio)
    return WindowContributions(
        currency=total.currency,
        window=window,
        ratio=ratio,
        kept=retention_in_minor(kept, at.scale),
        contributions=in_minor_of(found, kept.opening_minor, at.scale, ratio),
        is_over=window.end <= total.today,
        is_total=True,
        only=only,
    )
