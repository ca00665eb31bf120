"""All currencies in the reporting one, at the rates of the configured file."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from msgspec.structs import asdict

from connector.config import Config
from connector.core.errors import ConfigError, UsageFault
from connector.core.exchange_rates import ExchangeRates, Rates, parse_rates
from connector.core.figures import Retention, WindowFigures
from connector.core.model import ContractTerm, Flow
from connector.core.windows import Window
from connector.metrics.benchmarks import Benchmarks
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
from connector.metrics.retention import Balances, measure
from connector.metrics.retention import balances as standing_at
from connector.metrics.segment_totals import SegmentOf
from connector.metrics.segments import (
    CurrencyBook,
    SegmentValue,
    by_segment,
)
from connector.reports.ledger import Ledger
from connector.reports.model import (
    CurrencyReport,
    Segment,
    WindowRow,
    assessed,
    restated,
)
from connector.reports.segments import cut_of, segment_of_total
from connector.store.ledger import (
    balances,
    closings,
    contract_terms,
    queries,
)

NOTHING: Mapping[str, Sequence[Flow]] = {}
Parts = Mapping[str, WindowFigures]  # one window's figures of each currency


class ConvertedFlows(NamedTuple):
    """Movements of the total by customer, then day, in units of the conversion."""

    flows: list[Flow]
    conversion: Conversion


def configured_rates(config: Config) -> ExchangeRates:
    """Raises ``UsageFault`` where there are none, ``ConfigError`` where none are read."""
    if config.reporting_currency is None or config.rates is None:
        raise UsageFault(
            "there is no reporting currency to give a total in",
            fix="set `currency` and `rates` under [reporting] in config.toml",
        )
    try:
        text = config.rates.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.rates {config.rates} cannot be read: {error}"
        raise ConfigError([fault], source="reporting.rates") from error
    return parse_rates(text.splitlines(), config.reporting_currency, str(config.rates))


class CurrencyTotal:
    """The ledger's currencies in one, at the ``rates`` given, or else the configured.

    Raises ``UsageFault`` where none are. ``asked`` are all rates that were needed.
    """

    def __init__(
        self,
        ledger: Ledger,
        as_of: datetime | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.ledger, self.as_of = ledger, as_of
        self.today = ledger.state(as_of).today
        self.codes = ledger.currencies(None, as_of)
        self._rates = rates or configured_rates(ledger.config)
        self.currency = self._rates.reporting
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
    def books(self) -> Mapping[str, Sequence[Flow]]:
        """All flows of each currency, by customer, then day."""
        return {
            code: list(queries.flows(self.ledger.connection, code, self.as_of))
            for code in self.codes
        }

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

    def flows(
        self, window: Window, ahead: Mapping[str, Sequence[Flow]] = NOTHING
    ) -> ConvertedFlows:
        """All movements of the total, at the rates that convert this window's ends.

        ``ahead`` are movements of each currency that are to come.
        """
        books = self.books
        if ahead:
            books = {
                code: sorted([*self.books.get(code, ()), *ahead.get(code, ())])
                for code in dict.fromkeys([*self.books, *ahead])
            }
        factors = None if ahead else self._closing.get(window)
        if factors is None:
            parts = {code: measure(own, [window])[0] for code, own in books.items()}
            factors = self.closing_factors(window, parts)
        found = conversion(factors)
        return ConvertedFlows(list(flows_in_one(books, found.units)), found)

    def retention(self, window: Window) -> Retention:
        flows, (_, scale) = self.flows(window)
        return retention_in_minor(measure(flows, [window])[0].retention, scale)

    def segments(
        self, window: Window, by: str | None, only: Sequence[SegmentValue] = ()
    ) -> tuple[Segment, ...]:
        """The total of some customers each; they add up to that of the window.

        With ``only``, of those alone whom all of these segments have; without ``by`` one.
        """
        flows, (units, scale) = self.flows(window)
        [opening] = standing_at(flows, [window.start])
        inside = [flow for flow in flows if window.start <= flow.day < window.end]
        of = self.cut(by, only, units, scale)
        book = CurrencyBook(opening, inside, self._terms(window, units))
        [named] = by_segment(book, [window], of, numbers=list)
        opened = self._opened(window, opening, of)
        return tuple(
            Segment(name, _worth(measured, opened.get(name, Fraction(0)), scale))
            for name, measured in named.items()
        )

    def cut(
        self,
        by: str | None,
        only: Sequence[SegmentValue],
        units: Mapping[str, int],
        scale: int,
    ) -> SegmentOf:
        def tells(kind: str) -> SegmentOf:
            return segment_of_total(self.ledger, kind, self.books, units, scale)

        return cut_of(tells, by, only)

    def _terms(
        self, window: Window, units: Mapping[str, int]
    ) -> list[ContractTerm] | None:
        if self.as_of is not None:
            return None
        found = (
            term._replace(
                before_minor=term.before_minor * unit,
                after_minor=term.after_minor * unit,
            )
            for code, unit in units.items()
            for term in contract_terms.last_terms(
                self.ledger.connection, code, window.start, window.end
            )
        )
        return sorted(found, key=lambda term: term.customer)

    def _opened(
        self, window: Window, opening: Balances, of: SegmentOf
    ) -> Mapping[str, Fraction]:
        """What each segment's opening was worth at its own day's rates."""
        eve = window.start - timedelta(days=1)
        books = {
            c: standing_at(own, [window.start])[0] for c, own in self.books.items()
        }
        worth: dict[str, Fraction] = defaultdict(Fraction)
        for code, paid in books.items():
            factor = self.factor(code, eve) if paid else Fraction(0)
            for customer, minor in paid.items():
                [name] = of(customer, [eve], [opening[customer]])
                worth[name] += minor * factor
        return worth


def _worth(measured: WindowFigures, opened: Fraction, scale: int) -> WindowFigures:
    part = ConvertedWindow(measured, Fraction(0), Fraction(1, scale))
    return in_one_currency(measured.window, [part], opening=opened)


def total_report(
    total: CurrencyTotal,
    parts: Sequence[CurrencyReport],
    by: str | None,
    published: Benchmarks,
    only: Sequence[SegmentValue] = (),
) -> CurrencyReport:
    """All currencies' rows in the reporting currency."""
    if only:
        return _total_of(total, parts[0].rows, by, only)
    each = {part.currency: [row.measured for row in part.rows] for part in parts}
    closed = closings.reported(
        total.ledger.connection, total.currency, total.as_of, is_total=True
    )
    rows = [
        WindowRow(
            measured=measured,
            is_over=row.is_over,
            complete=row.complete,
            reported=restated(measured, closed.get(measured.window)),
            closed_despite=row.closed_despite,
            segments=total.segments(measured.window, by) if by is not None else (),
        )
        for measured, row in zip(total.measured(each), parts[0].rows, strict=True)
    ]
    return CurrencyReport(
        currency=total.currency,
        rows=tuple(rows),
        is_total=True,
        assessments=assessed(rows, published, total.currency),
    )


def _total_of(
    total: CurrencyTotal,
    rows: Sequence[WindowRow],
    by: str | None,
    only: Sequence[SegmentValue],
) -> CurrencyReport:
    """Of some customers alone; ``rows`` are a currency's for the same windows."""
    found = []
    for row in rows:
        window = row.measured.window
        own = total.segments(window, None, only)
        found.append(
            WindowRow(
                measured=own[0].measured if own else measure((), [window])[0],
                is_over=row.is_over,
                complete=row.complete,
                segments=() if by is None else total.segments(window, by, only),
            )
        )
    return CurrencyReport(currency=total.currency, rows=tuple(found), is_total=True)
