"""All currencies of a report in one, at the rates of the configured file."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction

from msgspec.structs import asdict

from connector.config import Config
from connector.core.errors import ConfigError
from connector.core.figures import WindowFigures
from connector.metrics.benchmarks import Benchmarks
from connector.metrics.exchange_rates import (
    ConvertedWindow,
    ExchangeRates,
    in_one_currency,
    parse_rates,
)
from connector.reports.benchmarks import assessed
from connector.reports.model import CurrencyReport, Segment, WindowRow


def total_of(
    config: Config,
    parts: Sequence[CurrencyReport],
    today: date,
    published: Benchmarks,
) -> CurrencyReport | None:
    """All currencies in the reporting currency; None where none is configured."""
    if config.reporting_currency is None or config.rates is None or not parts:
        return None
    try:
        text = config.rates.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.rates {config.rates} cannot be read: {error}"
        raise ConfigError([fault], source="reporting.rates") from error
    currency = config.reporting_currency
    rates = parse_rates(text.splitlines(), currency, str(config.rates))
    rows = []
    for several in zip(*(part.rows for part in parts), strict=True):
        named = list(zip((part.currency for part in parts), several, strict=True))
        segments = sorted({s.name for row in several for s in row.segments})
        whole = [(code, row.measured) for code, row in named]
        rows.append(
            WindowRow(
                measured=_in_one(whole, rates, today),
                is_over=several[0].is_over,
                complete=several[0].complete,
                segments=tuple(
                    Segment(name, _in_one(_of_segment(named, name), rates, today))
                    for name in segments
                ),
            )
        )
    judged = assessed(rows, published)
    return CurrencyReport(
        currency=currency, rows=tuple(rows), is_total=True, assessments=judged
    )


def _of_segment(
    named: Sequence[tuple[str, WindowRow]], name: str
) -> list[tuple[str, WindowFigures]]:
    return [
        (code, segment.measured)
        for code, row in named
        for segment in row.segments
        if segment.name == name
    ]


def _in_one(
    several: Sequence[tuple[str, WindowFigures]], rates: ExchangeRates, today: date
) -> WindowFigures:
    """Currencies' figures of one window; a rate is asked only where there is money."""
    window = several[0][1].window
    eve = window.start - timedelta(days=1)
    last = min(window.end, today + timedelta(days=1)) - timedelta(days=1)
    converted = [
        ConvertedWindow(
            measured,
            rates.factor(currency, eve)
            if measured.waterfall.opening_minor
            else Fraction(0),
            rates.factor(currency, last),
        )
        for currency, measured in several
        if any(asdict(measured.waterfall).values())
    ]
    return in_one_currency(window, converted)
