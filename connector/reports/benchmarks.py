"""What is published, from the configured file or the package's, beside a report's rows."""

from collections.abc import Sequence
from pathlib import Path

from connector.config import Config
from connector.core.errors import ConfigError
from connector.core.windows import WindowKind
from connector.metrics.benchmarks import (
    Assessment,
    Benchmarks,
    assess,
    parse_benchmarks,
)
from connector.reports.model import WindowRow

PUBLISHED = Path(__file__).with_name("benchmarks.toml")


def benchmarks(config: Config) -> Benchmarks:
    """Those of the configuration, else the package's."""
    if config.benchmarks is None:
        text = PUBLISHED.read_text(encoding="utf-8")
        return parse_benchmarks(text, "benchmarks.toml")
    try:
        text = config.benchmarks.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fault = f"reporting.benchmarks {config.benchmarks} cannot be read: {error}"
        raise ConfigError([fault], source="reporting.benchmarks") from error
    return parse_benchmarks(text, str(config.benchmarks))


def assessed(
    rows: Sequence[WindowRow], published: Benchmarks
) -> tuple[Assessment, ...]:
    """The last year's ratios beside what is published; of shorter windows nothing is."""
    years = [
        row.measured
        for row in rows
        if row.measured.window.kind is WindowKind.TRAILING_12
    ]
    if not years:
        return ()
    return assess(years[-1].retention.ratios, published)
