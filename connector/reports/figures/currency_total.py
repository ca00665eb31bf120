"""All currencies in the reporting one, at the rates of the configured file."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from connector.core.figures import Retention, WindowFigures
from connector.core.model import ACCOUNT, Flow, SegmentValue
from connector.core.windows import Window
from connector.metrics.currency_total import (
    Conversion,
    ConvertedWindow,
    Factors,
    Regrouping,
    conversion,
    flows_in_one,
    in_one_currency,
    retention_in_minor,
)
from connector.metrics.exchange_rates import Rates
from connector.metrics.retention import balances as standing_at
from connector.metrics.retention import measure
from connector.reports.figures.configured_rates import configured_rates
from connector.reports.figures.currency_books import (
    BooksPart,
    ConvertedFlows,
    CurrencyBooks,
)
from connector.reports.figures.segments import cut_of, segment_of, segment_of_total
from connector.reports.figures.windows import figures
from connector.reports.ledger import Ledger
from connector.reports.model import Segment
from connector.store.ledger import balances, columns, contract_terms, queries

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns
    from connector.metrics.wide.fold import Segmentation

NOTHING: Mapping[str, Sequence[Flow]] = {}
Parts = Mapping[str, WindowFigures]  # one window's figures of each currency


class CurrencyTotal(CurrencyBooks):
    """The ledger's currencies in one, at the ``rates`` given, or else the configured.

    Raises ``UsageFault`` where none are. ``asked`` are all rates that were needed.
    """

    is_total = True

    def __init__(
        self,
        ledger: Ledger,
        as_of: datetime | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._rates = rates or configured_rates(ledger.config)
        super().__init__(ledger, self._rates.reporting, as_of)
        self.codes = ledger.currencies(None, as_of)
        self.asked: dict[tuple[str, date], Fraction] = {}
        self._closing: dict[Window, Factors] = {}  # of windows that were measured

    def factor(self, code: str, day: date) -> Fraction:
        """Of a day, or of the last known one, if that is earlier."""
        place = code, min(day, self.today)
        if place not in self.asked:
            self.asked[place] = self._rates.factor(*place)
        return self.asked[place]

    def factors(self, day: date, parts: Parts) -> Factors:
        """Of a day; a rate is asked only where there is money."""
        return {
            code: self.factor(code, day)
            for code, measured in parts.items()
            if any(asdict(measured.waterfall).values())
        }

    def closing_factors(self, window: Window, parts: Parts) -> Factors:
        """Of a window's last day, or the last known one: they convert both its ends."""
        return self.factors(window.end - timedelta(days=1), parts)

    @cached_property
    def _shared(self) -> Mapping[str, Sequence[Flow]]:
        """The flows of those alone who have paid in more than one currency."""
        if len(self.codes) < 2:
            return {}
        return balances.flows_of_several_currencies(self.ledger.connection, self.as_of)

    def measured(
        self, each: Mapping[str, Sequence[WindowFigures]]
    ) -> list[WindowFigures]:
        """The total of some windows, of which ``each`` currency has the figures."""
        found = [
            dict(zip(each, parts, strict=True))
            for parts in zip(*each.values(), strict=True)
        ]
        wanted = [next(iter(parts.values())).window for parts in found]
        apart = {code: measure(own, wanted) for code, own in self._shared.items()}
        total = []
        for place, (window, parts) in enumerate(zip(wanted, found, strict=True)):
            own = {code: figures[place] for code, figures in apart.items()}
            total.append(self._in_one(window, parts, own))
        return total

    def _in_one(self, window: Window, parts: Parts, shared: Parts) -> WindowFigures:
        closing = self._closing[window] = self.closing_factors(window, parts)
        opened = {c: m for c, m in parts.items() if m.waterfall.opening_minor}
        opening = self.factors(window.start - timedelta(days=1), opened)
        converted = [
            ConvertedWindow(parts[code], opening.get(code, Fraction(0)), factor)
            for code, factor in closing.items()
        ]
        regrouping = None
        if shared:
            units, scale = conversion(closing)
            [together] = measure(flows_in_one(self._shared, units), [window])
            apart = [(m, closing[c]) for c, m in shared.items() if c in closing]
            regrouping = Regrouping(apart, together, scale)
        return in_one_currency(window, converted, regrouping)

    def conversion(
        self, window: Window, ahead: Mapping[str, Sequence[Flow]] = NOTHING
    ) -> Conversion:
        """At the rates that convert both of a window's ends.

        ``ahead`` are movements of each currency that are to come.
        """
        factors = self._closing.get(window)
        if factors is None:
            parts = {
                code: figures(self.ledger, code, [window], self.as_of)[0]
                for code in self.codes
            }
            factors = self.closing_factors(window, parts)
        last = window.end - timedelta(days=1)
        coming = {
            code: self.factor(code, last)
            for code, own in ahead.items()
            if any(flow.day <= last for flow in own)
        }
        return conversion({**coming, **factors})

    def flows(self, window: Window) -> ConvertedFlows:
        found = self.conversion(window)
        books = {
            code: queries.flows(self.ledger.connection, code, self.as_of)
            for code in self.codes
        }
        return ConvertedFlows(flows_in_one(books, found.units), found)

    # Everybody, some thousand customers at a time

    @cached_property
    def _of_several(self) -> list[int]:
        """Who has paid in more than one currency."""
        return list({flow.customer for own in self._shared.values() for flow in own})

    def _of_one(self, code: str, unit: int = 1) -> "Iterator[Columns]":
        """Who has paid in this currency alone, in parts of its minor unit."""
        from connector.metrics.wide.columns import columns_of, in_units

        for block in columns.blocks(
            self.ledger.connection, code, self.as_of, columns.TERMS
        ):
            yield in_units(columns_of(block), unit, self._of_several)

    def _together(self, window: Window, units: Mapping[str, int]) -> "Columns":
        """Who has paid in several, in units."""
        from connector.metrics.wide.columns import columns_of_flows

        ended = (
            term._replace(
                before_minor=term.before_minor * unit,
                after_minor=term.after_minor * unit,
            )
            for code, unit in units.items()
            for term in contract_terms.terms_among(
                self.ledger.connection, code, self._of_several, window.start, window.end
            )
        )
        return columns_of_flows(flows_in_one(self._shared, units), ended)

    def columns(
        self, window: Window, found: Conversion | None = None
    ) -> "Iterator[Columns]":
        """All movements of the total, at the rates that convert this window's ends."""
        units = (found or self.conversion(window)).units
        for code, unit in units.items():
            yield from self._of_one(code, unit)
        yield self._together(window, units)

    def retention(self, window: Window) -> Retention:
        from connector.metrics.wide.fold import measured

        at = self.conversion(window)
        [found] = measured(self.columns(window, at), [window], has_terms=False)
        return retention_in_minor(found.retention, at.scale)

    def segments(
        self, window: Window, by: str | None, only: Sequence[SegmentValue] = ()
    ) -> tuple[Segment, ...]:
        """The total of some customers each; they add up to that of the window.

        With ``only``, of those alone whom all of these segments have; without ``by`` one.
        """
        from connector.metrics.wide.fold import by_segment

        found = self.conversion(window)
        parts: dict[str, list[ConvertedWindow]] = defaultdict(list)
        together_of = self._cut_of_several(by, only, found)
        opened = self._opened_together(window, together_of, found)
        has_terms, eve = self.as_of is None, window.start - timedelta(days=1)
        for code, unit in found.units.items():
            worth = Fraction(unit, found.scale)
            of = self._cut_of_one(by, only, code, worth)
            [named] = by_segment(self._of_one(code), [window], of, has_terms=has_terms)
            for name, own in named.items():
                paid_minor = own.waterfall.opening_minor
                opened[name] += paid_minor and paid_minor * self.factor(code, eve)
                parts[name].append(ConvertedWindow(own, Fraction(0), worth))
        together = [self._together(window, found.units)]
        [named] = by_segment(together, [window], together_of, has_terms=has_terms)
        for name, own in named.items():
            part = ConvertedWindow(own, Fraction(0), Fraction(1, found.scale))
            parts[name].append(part)
        return tuple(
            Segment(name, in_one_currency(window, parts[name], opening=opened[name]))
            for name in sorted(parts)
        )

    def _cut_of_one(
        self, by: str | None, only: Sequence[SegmentValue], code: str, worth: Fraction
    ) -> "Segmentation":
        return cut_of(
            lambda kind: segment_of_total(self.ledger, kind, code, worth), by, only
        )

    def _cut_of_several(
        self, by: str | None, only: Sequence[SegmentValue], found: Conversion
    ) -> "Segmentation":
        return cut_of(lambda kind: self._segment_of_several(kind, found), by, only)

    def _segment_of_several(self, by: str, found: Conversion) -> "Segmentation":
        """Plan, product, interval and currency are those of the one with most MRR."""
        from connector.metrics.wide.segments import by_main_currency, main_currencies

        if by in ("plan", "product", "interval", "currency", ACCOUNT):
            connection, config = self.ledger.connection, self.ledger.config
            own = {c: segment_of(connection, config, by, c) for c in self._shared}
            return by_main_currency(main_currencies(self._shared, found.units), own)
        return segment_of_total(
            self.ledger, by, self.currency, Fraction(1, found.scale)
        )

    def _opened_together(
        self, window: Window, of: "Segmentation", found: Conversion
    ) -> defaultdict[str, Fraction]:
        """What the openings of those who pay in several were worth at that day's rates."""
        eve, start = window.start - timedelta(days=1), [window.start]
        [opening] = standing_at(flows_in_one(self._shared, found.units), start)
        keys = list(opening)
        names = of.named(keys, [eve] * len(keys), list(opening.values()))
        segments = dict(zip(keys, names, strict=True))
        worth: defaultdict[str, Fraction] = defaultdict(Fraction)
        for code, flows in self._shared.items():
            [paid] = standing_at(flows, start)
            factor = self.factor(code, eve) if paid else Fraction(0)
            for customer, minor in paid.items():
                worth[segments[customer]] += minor * factor
        return worth

    def cut(
        self,
        span: Window,
        found: Conversion,
        by: str | None,
        only: Sequence[SegmentValue],
    ) -> list[BooksPart]:
        """Those who pay in one currency alone, in units, and who pay in several; cut."""
        worth = Fraction(1, found.scale)
        parts: list[BooksPart] = [
            (self._of_one(code, unit), self._cut_of_one(by, only, code, worth))
            for code, unit in found.units.items()
        ]
        together = [self._together(span, found.units)]
        return [*parts, (together, self._cut_of_several(by, only, found))]
