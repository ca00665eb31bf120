"""Where every invoiced amount belongs, by window, and what recurs and is not counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from connector.core.dates import add_months, local_day, parse_month
from connector.core.errors import NothingFound, UsageFault
from connector.core.invoiced import InvoiceClass, OutsideMrr
from connector.core.model import Refusal
from connector.core.windows import Window, WindowKind, windows
from connector.pipeline.policy_change import is_current
from connector.reports.ledger import Ledger, is_total
from connector.reports.ledger_facts import NOTHING_MISSING
from connector.store.ledger import coverage, customers, unvalued
from connector.store.mirror import event_feed, unfit_objects, walks


class CoveredWindow(NamedTuple):
    """``classes`` has every class, in minor units; they add up to what was invoiced.

    ``is_over`` is False while the ledger has not seen the window's end.
    """

    window: Window
    is_over: bool
    classes: Mapping[InvoiceClass, int]

    @property
    def invoiced_minor(self) -> int:
        return sum(self.classes.values())


class CoveredCurrency(NamedTuple):
    """``not_counted`` is by customer and reason, the largest first."""

    currency: str
    windows: Sequence[CoveredWindow]
    not_counted: Sequence[OutsideMrr]

    @property
    def headline(self) -> CoveredWindow:
        """The last trailing twelve months that are over; of other windows, the last one."""
        over = [each for each in self.windows if each.is_over] or self.windows
        years = [x for x in over if x.window.kind is WindowKind.TRAILING_12]
        return (years or over)[-1]


class CoverageReport(NamedTuple):
    """``labels`` are what customers are called.

    ``is_whole`` is False while the sums may lack something: customers that wait, or what
    is ``refused``, which is in its class where the amount can be read, else in none.
    ``lacks_texts``: manual lines that a former version fetched cannot be told apart by
    their description.
    """

    currencies: Sequence[CoveredCurrency]
    labels: Mapping[str, str]
    lacks_texts: bool
    is_whole: bool
    refused: Sequence[Refusal]


def coverage_report(
    ledger: Ledger, kind: WindowKind | None = None, currency: str | None = None
) -> CoverageReport:
    """Every window of a kind since the first invoice.

    Without a kind: the last trailing twelve months that are over, then every month. Raises
    ``NothingFound`` where a currency asked for was never invoiced, and where not
    everything has been derived by this version; ``UsageFault`` for all in one.
    """
    connection, today = ledger.connection, ledger.state().today
    if not is_current(connection):
        raise NothingFound(
            "the ledger was derived by a former version, which kept no coverage",
            fix="run `stripe-nrr recompute`",
        )
    sums: dict[str, dict[date, Counter[str]]] = {}
    for (code, month, name), minor in coverage.sums(connection).items():
        months = sums.setdefault(code, {})
        months.setdefault(parse_month(month), Counter())[name] = minor
    for code, billed_s, minor in unfit_objects.invoiced(connection):
        first = local_day(billed_s, ledger.zone).replace(day=1)
        own = sums.setdefault(code, {}).setdefault(first, Counter())
        own[InvoiceClass.REFUSED] += minor
    outside = ledger.outside()
    codes = _codes(ledger, sums, currency)
    named = customers.labels(connection) if outside else {}
    return CoverageReport(
        currencies=[
            CoveredCurrency(
                currency=code,
                windows=_covered(sums[code], kind, today),
                not_counted=[each for each in outside if each.currency == code],
            )
            for code in codes
        ],
        labels=named,
        lacks_texts=not walks.lines_are_whole(connection),
        is_whole=ledger.missing() == NOTHING_MISSING,
        refused=unvalued.known(connection),
    )


def _codes(
    ledger: Ledger, sums: Mapping[str, Mapping[date, Counter[str]]], asked: str | None
) -> list[str]:
    """The currency asked for, else all, the one with the most months first."""
    if not sums and event_feed.last_synced_us(ledger.connection) is None:
        raise NothingFound(
            "the ledger is empty: no sync has finished yet", fix="run `stripe-nrr sync`"
        )
    if asked is None:
        return sorted(sums, key=lambda code: (-len(sums[code]), code))
    known = ", ".join(sorted(sums)) or "none"
    if is_total(asked):
        raise UsageFault(
            "coverage is told of each currency, not of all in one",
            fix=f"choose one of these: {known}",
        )
    if asked.lower() not in sums:
        raise NothingFound(
            f"nothing was invoiced in {asked!r}", fix=f"choose one of these: {known}"
        )
    return [asked.lower()]


def _covered(
    months: Mapping[date, Counter[str]], kind: WindowKind | None, today: date
) -> list[CoveredWindow]:
    first, last = min(months), max(today.replace(day=1), *months)
    asked = windows(kind or WindowKind.MONTH, first, last)
    if kind is None:
        whole = add_months(today.replace(day=1), -1)
        asked = [*windows(WindowKind.TRAILING_12, whole, whole), *asked]
    return [_added(window, months, today) for window in asked]


def _added(
    window: Window, months: Mapping[date, Counter[str]], today: date
) -> CoveredWindow:
    found: Counter[str] = Counter()
    month = window.start
    while month < window.end:
        for name, minor in months.get(month, {}).items():
            found[name] += minor
        month = add_months(month, 1)
    classes = {each: found[each] for each in InvoiceClass}
    return CoveredWindow(window, window.end <= today, classes)
