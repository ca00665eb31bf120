"""The ledger's headline figures, as the server's gauges show them."""

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from connector.config import Config
from connector.core.windows import WindowKind
from connector.reports import Ledger, ReportRequest, make_report
from connector.reports.model import Report
from connector.store.database import open_database

if TYPE_CHECKING:
    from connector.webhooks.prometheus import HeadlineFigures


def headline_gauges(config: Config, now: datetime) -> list["HeadlineFigures"]:
    with closing(open_database(config.database)) as connection:
        asked = ReportRequest(kind=WindowKind.TRAILING_12)
        each = replace(config, reporting_currency=None)  # no rates needed
        return headlines(make_report(Ledger(connection, each, now), asked))


def headlines(report: Report) -> list["HeadlineFigures"]:
    """The last window of each currency, as `report` shows it."""
    from connector.webhooks.prometheus import HeadlineFigures

    last = [(part.currency, part.lines[-1].measured) for part in report.currencies]
    return [
        HeadlineFigures(
            currency=currency,
            mrr_minor=measured.waterfall.closing_minor,
            nrr=measured.retention.nrr,
            grr=measured.retention.grr,
        )
        for currency, measured in last
    ]
