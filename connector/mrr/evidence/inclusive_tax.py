"""Line items and tax rates → the tax inside each item's price, which is never MRR.

A full-price regular line shows its period's rate, 0 included: not a credit, a proration, a
trial or what a coupon made free. A proration does where its item has no such line at its
price yet, if it was billed at once, as tax is of the day of the invoice, or if there is
nothing else: where other items' lines show that the rate became this one only after its
start, it is of the invoice's day too. A rate is read as the percentage with the fewest
decimals that gives the line's tax, as taxes on lines are rounded; while that gives the
next lines' taxes too, give or take a minor unit, nothing has changed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import inf
from operator import attrgetter, itemgetter
from typing import NamedTuple

from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import InclusiveTax, LineItem
from connector.mrr.history import SubscriptionVersion
from connector.stripe_api.objects import Price, Subscription, SubscriptionItem

NO_TAX = Fraction(0)
PERCENTAGE_DECIMALS = 4  # of a Stripe tax rate


class ItemTaxRate(NamedTuple):
    """From ``since_s`` on, an item at ``price`` has ``rate`` inside (19 % is 0.19).

    ``shown_by`` is the largest amount that shows it; None: the tax rates do.
    """

    since_s: int
    price: str
    rate: Fraction
    shown_by: LineItem | None


_AGE, _SINCE, _START = (
    attrgetter("since_s", "rate"),
    itemgetter(0),
    attrgetter("start_s"),
)
# Each item's rates, oldest first.
ItemTaxRates = Mapping[str, Sequence[ItemTaxRate]]


def inclusive_taxes(
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> dict[str, list[ItemTaxRate]]:
    """Each item's rates, as lines show them, or its tax rates say; {} where none has any.

    ``line_items`` are one subscription's, in order of time.
    """
    declared = _declared(versions)
    naming = [line for line in line_items if line.inclusive_tax is not None]
    if not declared and not any(_tax(line).amount_minor for line in naming):
        return {}
    named = {line.item for line in naming}
    found: dict[str, list[ItemTaxRate]] = {}
    whole = [n for n in line_items if not n.proration and _shows_rate(n, (), None)]
    newest: ItemTaxRate | None = None
    for line in line_items:
        known = found.setdefault(line.item, [])
        is_silent = line.item in declared and line.item not in named
        if is_silent or not _shows_rate(line, known, prices.get(line.price)):
            continue
        if not _is_of_its_invoice(line, newest, whole):
            last = known[-1] if known else None
            _add(known, line, newest)
            is_corrected = last is newest is not None and known[-1] is not last
            newest = (
                _newest(found)
                if is_corrected
                else max(newest or known[-1], known[-1], key=_AGE)
            )
    for item, rates in declared.items():
        known = found.setdefault(item, [])
        if not known:
            known += rates
            continue
        last, exact = known[-1], rates[-1].rate
        if last.shown_by is not None and _gives(exact, last.shown_by):
            known[-1] = last._replace(rate=exact)
    return {item: known for item, known in found.items() if known}


def _declared(versions: Sequence[SubscriptionVersion]) -> dict[str, list[ItemTaxRate]]:
    """What tax rates on items and subscriptions say, the first from the start on."""
    found: dict[str, list[ItemTaxRate]] = {}
    for seen_s, subscription in versions:
        for item in subscription.items.data:
            rate, known = _declared_rate(item, subscription), found.get(item.id)
            if known is None and rate:
                since_s = min(seen_s, subscription.started_at)
                found[item.id] = [ItemTaxRate(since_s, "", rate, None)]
            elif known is not None and rate not in (NO_TAX, known[-1].rate):
                known.append(ItemTaxRate(seen_s, "", rate, None))
    return found


def _declared_rate(item: SubscriptionItem, subscription: Subscription) -> Fraction:
    rates = item.tax_rates or subscription.default_tax_rates
    if not rates:
        return NO_TAX
    percent = sum((rate.percentage for rate in rates if rate.inclusive), Decimal(0))
    return Fraction(percent) / 100


def _shows_rate(
    line: LineItem, known: Sequence[ItemTaxRate], price: Price | None
) -> bool:
    is_invoiced = line.kind == "invoice_line" and line.status != "draft"
    if line.credit or not is_invoiced or _net_minor(line) <= 0:
        return False
    if line.proration and known:
        is_late = line.known_s - line.start_s > SAME_REQUEST_S
        if is_late or any(rate.price == line.price for rate in known):
            return False
    behavior = price.tax_behavior_in(line.currency) if price is not None else None
    return behavior != "exclusive" or _tax(line).amount_minor != 0


def _is_of_its_invoice(
    line: LineItem, newest: ItemTaxRate | None, whole: Sequence[LineItem]
) -> bool:
    """Whether a late proration has a rate that other items had only since its start.

    What they had before, ``newest``, then goes for the time that it bills.
    """
    is_late = line.proration and line.known_s - line.start_s > SAME_REQUEST_S
    if not is_late or newest is None or _gives(newest.rate, line):
        return False
    since = bisect_right(whole, line.start_s, key=_START)
    until = bisect_right(whole, line.known_s, key=_START)
    return any(
        other.item != line.item and _gives(_rate(other), line)
        for other in whole[since:until]
    )


def _newest(taxes: ItemTaxRates, until_s: float = inf) -> ItemTaxRate | None:
    """What was shown last, of whatever item."""
    rates = (rate for own in taxes.values() for rate in own if rate.since_s <= until_s)
    return max(rates, key=_AGE, default=None)


def _add(known: list[ItemTaxRate], line: LineItem, newest: ItemTaxRate | None) -> None:
    """Add what the line shows to what the lines before it showed.

    An item's first may be too small to tell: it has the ``newest`` rate of the others, if
    that gives its tax.
    """
    shown = ItemTaxRate(line.start_s, line.price, _rate(line), line)
    last = known[-1] if known else None
    if last is None and newest is not None and _gives(newest.rate, line):
        shown = shown._replace(rate=newest.rate)
    if last is None or last.shown_by is None:
        known.append(shown)
        return
    is_same_price, largest = last.price == line.price, last.shown_by
    if _gives(last.rate, line):
        if not is_same_price:
            known.append(last._replace(since_s=line.start_s, price=line.price))
        elif _net_minor(line) > _net_minor(largest):
            known[-1] = last._replace(shown_by=line)
    elif is_same_price and _gives(shown.rate, largest):  # less exact, being smaller
        largest = max(largest, line, key=_net_minor)
        known[-1] = shown._replace(since_s=last.since_s, shown_by=largest)
    else:
        known.append(shown)


def _rate(line: LineItem) -> Fraction:
    tax = _tax(line)
    percent = Fraction(100 * tax.amount_minor, _net_minor(line) - tax.amount_minor)
    for decimals in range(PERCENTAGE_DECIMALS + 1):
        rate = round(percent, decimals) / 100
        if _off_by(rate, line) <= Fraction(tax.parts, 2):
            return rate
    return percent / 100


def _gives(rate: Fraction, line: LineItem) -> bool:
    """Whether the line's tax is what the rate gives, but for rounding."""
    return _off_by(rate, line) < _tax(line).parts


def _off_by(rate: Fraction, line: LineItem) -> Fraction:
    inside_minor = _net_minor(line) * rate / (1 + rate)
    return abs(_tax(line).amount_minor - inside_minor)


def _tax(line: LineItem) -> InclusiveTax:
    return line.inclusive_tax or InclusiveTax(0, 1)


def _net_minor(line: LineItem) -> int:
    return line.amount_minor - line.discounted_minor


def tax_at(
    taxes: ItemTaxRates, item: str, price: Price, currency: str, at_s: int
) -> Fraction:
    """The rate inside an item's price at an instant; 0 before anything shows one.

    A price that says it is inclusive, of an item that no line shows yet, takes the rate
    of the others. Of one that says it is exclusive only its own lines know better.
    """
    if not taxes:
        return NO_TAX
    behavior = price.tax_behavior_in(currency)
    own = taxes.get(item, ())
    place = bisect_right(own, at_s, key=_SINCE)
    if behavior == "exclusive":
        while place and own[place - 1].price != price.id:
            place -= 1
    last = own[place - 1] if place else None
    if behavior == "inclusive" and last is None:
        last = _newest(taxes, at_s)
    return NO_TAX if last is None else last.rate
