"""The exchange rates of the configured file."""

from connector.config import Config
from connector.core.errors import ConfigError, UsageFault, why_unread
from connector.metrics.exchange_rates import ExchangeRates, parse_rates


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
        fault = f"reporting.rates {config.rates} cannot be read: {why_unread(error)}"
        raise ConfigError([fault], source="reporting.rates") from error
    return parse_rates(text.splitlines(), config.reporting_currency, str(config.rates))
