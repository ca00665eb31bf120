"""What is published beside a headline."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from connector.config import Config
from connector.core.errors import ConfigError, why_unread
from connector.core.money import exponent
from connector.metrics.benchmarks import (
    Assessment,
    Benchmarks,
    ContractValue,
    assess,
    parse_benchmarks,
)
from connector.reports.model import WindowRow, last_over

PUBLISHED = Path(__file__).with_name("benchmarks.toml")


def benchmarks(config: Config) -> Benchmarks:
    """Those of the configuration, else the package's."""
    path = config.benchmarks or PUBLISHED
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.benchmarks {path} cannot be read: {why_unread(error)}"
        raise ConfigError([fault], source="reporting.benchmarks") from error
    return parse_benchmarks(text, str(config.benchmarks or PUBLISHED.name))


def assessed(
    rows: Sequence[WindowRow], published: Benchmarks, currency: str
) -> tuple[Assessment, ...]:
    """The headline's ratios beside what is published; of shorter windows nothing is."""
    headline = last_over(rows)
    if headline is None:
        return ()
    measured = headline.measured
    contract = None
    if measured.paying:
        year_minor = Fraction(measured.waterfall.closing_minor * 12, measured.paying)
        contract = ContractValue(currency, year_minor / 10 ** exponent(currency))
    return assess(measured.retention.ratios, published, contract)
