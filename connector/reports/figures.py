"""The figures of any windows, and what customers are told apart by.

Standard windows are read from the sums that are kept; others, and every segment, are
counted over the columns of everybody. What counts them is imported where it is needed.
"""

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from connector.config import Config
from connector.core.dates import YEARS, add_months
from connector.core.errors import NothingFound
from connector.core.figures import RollupDelta, WindowFigures
from connector.core.model import ACCOUNT, EVERYBODY, METADATA, SEGMENTS, SegmentValue
from connector.core.money import exponent
from connector.core.windows import Window, ending_with
from connector.metrics.retention import measure
from connector.metrics.rollups import CustomerBooks, differences, figures_of
from connector.reports.ledger import Ledger
from connector.store.ledger import balances, columns, contract_terms, queries, rollups

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns
    from connector.metrics.wide.fold import Segmentation
    from connector.metrics.wide.segments import Traits

MANY = 2_000  # customers: counting everybody is as fast as the difference of these


def figures(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
) -> list[WindowFigures]:
    """Each window's; of a past moment without renewals, as terms are not kept."""
    changes = _kept(ledger, currency, wanted, as_of)
    if changes is None:
        return counted(ledger.connection, currency, wanted, as_of)
    told = figures_of(changes, wanted)
    return told if as_of is None else [x._replace(renewals=None) for x in told]


def counted(
    connection: sqlite3.Connection,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
) -> list[WindowFigures]:
    """The same, counted over everybody."""
    from connector.metrics.wide.columns import columns_of
    from connector.metrics.wide.fold import measured

    blocks = columns.blocks(connection, currency, as_of, columns.TERMS)
    return measured(map(columns_of, blocks), wanted, has_terms=as_of is None)


def _kept(
    ledger: Ledger, currency: str, wanted: Sequence[Window], as_of: datetime | None
) -> list[RollupDelta] | None:
    """What the windows' figures are sums of; None where that is not kept.

    Of a past moment, with what has changed since of those to whom anything happened.
    """
    if not (ledger.is_whole and all(map(_is_standard, wanted))):
        return None
    connection = ledger.connection
    touched = [] if as_of is None else queries.touched_since(connection, as_of)
    if len(touched) > MANY:
        return None
    now, then = (
        [CustomerBooks(tuple(own)) for own in balances.flows_of_some(connection, *of)]
        for of in ((touched, None), (touched, as_of))
    )
    since = differences(now, then).get(currency, [])
    kept = rollups.deltas(connection, currency, wanted)
    return sorted([*kept, *since], key=lambda change: change.window.start)


def _is_standard(window: Window) -> bool:
    last = add_months(window.end, -1)
    return last.year in YEARS and window in ending_with(last)


def standing(
    connection: sqlite3.Connection,
    currency: str,
    days: Sequence[date],
    as_of: datetime | None = None,
) -> list[dict[int, int]]:
    """What each paying customer paid at the very beginning of each of some days."""
    from connector.metrics.wide.columns import columns_of

    return paid_at(map(columns_of, columns.blocks(connection, currency, as_of)), days)


def paid_at(parts: "Iterable[Columns]", days: Sequence[date]) -> list[dict[int, int]]:
    """The same of any columns."""
    from connector.metrics.wide.columns import standing

    keys, paid = standing(parts, days)
    return [
        {key: minor for key, minor in zip(keys, own, strict=True) if minor}
        for own in paid
    ]


def figures_of_some(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> list[WindowFigures]:
    """Each window's, with ``only`` of those alone whom all of these segments have."""
    if not only:
        return figures(ledger, currency, wanted, as_of)
    found = figures_by_segment(ledger, currency, wanted, None, as_of, only)
    return [
        named.get(EVERYBODY) or measure((), [window])[0]
        for named, window in zip(found, wanted, strict=True)
    ]


def figures_by_segment(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    by: str | None,
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> list[dict[str, WindowFigures]]:
    """Each window's by segment, in order of the segments' names; None: all in one.

    With ``only``, of those alone whom all of these segments have.
    """
    from connector.metrics.wide.columns import columns_of
    from connector.metrics.wide.fold import by_segment

    of = cut_in(ledger, currency, by, only)
    blocks = columns.blocks(ledger.connection, currency, as_of, columns.TERMS)
    return by_segment(map(columns_of, blocks), wanted, of, has_terms=as_of is None)


def segment_of(
    connection: sqlite3.Connection, config: Config, by: str, currency: str
) -> "Segmentation":
    """How to tell a customer's segment; ``by`` is one of ``SEGMENTS`` or ``metadata:KEY``.

    Plan, product and interval are those of the price with most of the MRR. They and
    country and metadata are read as they are known now, whatever the report is as of.
    """
    from connector.metrics.wide.segments import by_band, by_one, by_trait, by_value

    if by == "band":
        return by_band(config.bands, 10 ** exponent(currency))
    if by == "currency":
        return by_one(currency.upper())
    if by == ACCOUNT:
        from connector.store.joined.spanning import accounts_by_day

        return by_trait(accounts_by_day(connection, currency))
    if by in _SINCE_EVER or by.startswith(METADATA):
        return by_value(_since_ever(connection, by, currency))
    return by_trait(_of_plans(connection, by, currency))


_SINCE_EVER = ("cohort", "country")


def _since_ever(
    connection: sqlite3.Connection, by: str, currency: str
) -> Mapping[str, Sequence[int]]:
    """Whose value is which, for all of history."""
    if by == "cohort":
        return balances.keys_by_first_month(connection, currency)
    if by == "country":
        return balances.keys_by_country(connection)
    return _turned(_metadata(connection, by.removeprefix(METADATA)))


def _turned(values: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for customer, value in values.items():
        found.setdefault(value, []).append(customer)
    return found


def _metadata(connection: sqlite3.Connection, key: str) -> Mapping[int, str]:

    from connector.store.mirror import companies

    found = companies.metadata(connection, key)
    if not found:
        raise NothingFound(
            f"no customer in this ledger has metadata {key!r}",
            fix="if Stripe shows it, run `stripe-nrr sync --full`, which reads it of all",
        )
    return found


def segment_kinds(config: Config, *, of_several: bool = False) -> tuple[str, ...]:
    """All that customers can be told apart by: also by account, of several as one."""
    accounts = (ACCOUNT,) if of_several else ()
    return (*SEGMENTS, *accounts, *(f"{METADATA}{x}" for x in config.kept_metadata))


def cut_of(
    tells: "Callable[[str], Segmentation]",
    by: str | None,
    only: Sequence[SegmentValue] = (),
) -> "Segmentation":
    """The segments by ``by`` of those who have all of ``only``; None: all in one.

    ``tells`` says how customers are told apart by each kind.
    """
    from connector.metrics.wide.segments import everybody, within

    whole = everybody if by is None else tells(by)
    if not only:
        return whole
    return within([(tells(each.by), each.value) for each in only], whole)


def cut_in(
    ledger: Ledger, currency: str, by: str | None, only: Sequence[SegmentValue]
) -> "Segmentation":
    """The same in one currency."""

    def tells(kind: str) -> "Segmentation":
        return segment_of(ledger.connection, ledger.config, kind, currency)

    return cut_of(tells, by, only)


def members_of(
    ledger: Ledger,
    currency: str,
    window: Window,
    only: Sequence[SegmentValue],
    as_of: datetime | None = None,
) -> frozenset[int]:
    """Whose figures in a window those of some segments are: at its opening, or new."""
    from connector.metrics.wide.columns import columns_of
    from connector.metrics.wide.fold import members

    blocks = columns.blocks(ledger.connection, currency, as_of)
    of = cut_in(ledger, currency, None, only)
    return frozenset(members(map(columns_of, blocks), window, of))


def members(
    opening: Mapping[int, int], day: date, of: "Segmentation"
) -> dict[int, int]:
    """Those of an opening who are in a cut at the very beginning of ``day``."""
    from connector.metrics.wide.fold import OUTSIDE

    days = [eve(day)] * len(opening)
    names = of.named(list(opening), days, list(opening.values()))
    return {
        customer: minor
        for (customer, minor), name in zip(opening.items(), names, strict=True)
        if name != OUTSIDE
    }


def nobody_in(only: Sequence[SegmentValue]) -> NothingFound:
    return NothingFound(
        f"nobody is in the segment {', '.join(map(str, only))}",
        fix="`stripe-nrr report --by` names the segments that there are",
    )


def eve(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day


def segment_of_total(
    ledger: Ledger, by: str, currency: str, worth: Fraction
) -> "Segmentation":
    """How to tell the segment of customers who pay in one currency, in the total of all.

    ``worth`` is what its minor unit comes to in those of the reporting currency.
    """
    from connector.metrics.wide.segments import by_band, by_value

    connection, config = ledger.connection, ledger.config
    if by == "band":
        assert config.reporting_currency is not None
        return by_band(config.bands, 10 ** exponent(config.reporting_currency) / worth)
    if by == "cohort":
        return by_value(balances.keys_by_first_month(connection))
    return segment_of(connection, config, by, currency)


def _of_plans(connection: sqlite3.Connection, by: str, currency: str) -> "Traits":

    from connector.store.mirror.catalogue import price_names

    sold = price_names(connection)
    found: dict[str, tuple[array[int], array[int]]] = {}
    for price, interval, *own in contract_terms.keys_by_main_price(
        connection, currency
    ):
        product = sold.get(price, price)
        named = {
            "plan": f"{product}, {interval} ({price})",
            "product": product,
            "interval": interval,
        }
        so_far = found.setdefault(named[by], (array("q"), array("q")))
        for each, more in zip(so_far, own, strict=True):
            each.extend(more)
    return found
