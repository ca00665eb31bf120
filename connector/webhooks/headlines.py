"""The ledger's headline figures, as the server's gauges show them."""

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from fractions import Fraction
from threading import Lock
from typing import NamedTuple

from msgspec.structs import replace

from connector.config import Config
from connector.core.errors import ConnectorError
from connector.core.windows import WindowKind
from connector.reports import Ledger, ReportRequest, make_report
from connector.reports.model import CurrencyReport, Report
from connector.store.opening import open_database

log = logging.getLogger(__name__)

FIGURES_S = 5.0  # how long figures are good for


class HeadlineFigures(NamedTuple):
    """A currency's MRR now, and its headline's ratios; None is no ratio."""

    currency: str
    mrr_minor: int
    nrr: Fraction | None
    grr: Fraction | None


def headline_figures(config: Config, now: datetime) -> list[HeadlineFigures]:
    with closing(open_database(config.database)) as connection:
        asked = ReportRequest(kind=WindowKind.TRAILING_12)
        each = replace(config, reporting_currency=None)  # no rates needed
        return headlines(make_report(Ledger(connection, each, now), asked))


def headlines(report: Report) -> list[HeadlineFigures]:
    """The ratios of the last window of each currency that is over, as `report` shows it."""
    return [_headline(part) for part in report.currencies]


def _headline(part: CurrencyReport) -> HeadlineFigures:
    now, headline = part.rows[-1].measured.waterfall, part.headline
    kept = None if headline is None else headline.measured.retention
    return HeadlineFigures(
        currency=part.currency,
        mrr_minor=now.closing_minor,
        nrr=None if kept is None else kept.nrr,
        grr=None if kept is None else kept.grr,
    )


def remembered(
    ask: Callable[[], list[HeadlineFigures]],
) -> Callable[[], list[HeadlineFigures]]:
    """The same answer for some seconds; longer where it takes long to give."""
    lock = Lock()
    answer: list[HeadlineFigures] = []
    until_s = 0.0

    def latest() -> list[HeadlineFigures]:
        nonlocal answer, until_s
        with lock:
            began_s = time.monotonic()
            if began_s >= until_s:
                try:
                    answer = ask()
                except (ConnectorError, sqlite3.Error) as error:
                    log.warning("serve.figures %s", error)
                    answer = []
                took_s = time.monotonic() - began_s
                until_s = began_s + took_s + max(FIGURES_S, 10 * took_s)
            return answer

    return latest
