"""One customer's invoices → every invoiced amount in exactly one class, by month.

An amount is what a line bills without tax and after its discounts, as MRR is: the classes
add up to the invoices' ``total_excluding_tax``. It belongs to the local month in which
its invoice was finalized (created, where Stripe does not say). Which lines show an item
that counts is known from the steps of the timeline.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from operator import itemgetter

from connector.core.dates import local_day, local_months
from connector.core.invoiced import (
    CustomerCoverage,
    InvoiceClass,
    InvoicedSums,
    NotCounted,
    NotCountedReason,
    without_zeros,
)
from connector.core.model import MrrStep
from connector.core.policy import Policy
from connector.mrr.history import History
from connector.mrr.outside.lines import OutsideLine, outside_line
from connector.mrr.outside.series import InvoicedSeries, invoiced_series
from connector.mrr.pricing import is_metered, is_whole_period
from connector.mrr.timeline import Timeline
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice, InvoiceLine, ItemParent
from connector.stripe_api.objects import Price

Spans = list[tuple[int, int]]  # from when to when an item counted
_SINCE = itemgetter(0)
_OPEN_S = 2**62  # it still does
_NEVER = (_OPEN_S, 0)
_COUNTED = InvoiceClass.COUNTED.value


def coverage(
    history: History, known: Timeline, policy: Policy, zone: tzinfo, until_s: int
) -> CustomerCoverage:
    """Where each amount belongs, as far as ``until_s`` knows."""
    items = _ItemLines(history, known, policy)
    plain, month_of = items.plain, local_months(zone).month
    sums: InvoicedSums = {}
    outside: list[tuple[dict[str, int], OutsideLine]] = []
    for invoice in history.invoices:
        months = sums.setdefault(invoice.currency or _currency(invoice), {})
        place = months.setdefault(month_of(invoice.billed_s), {})
        is_due, counted_minor = invoice.is_due, 0
        for line in invoice.lines.data:
            net_minor = line.amount
            if line.discount_amounts or line.taxes:
                net_minor = line.net_minor
            parent = line.parent
            details = parent.subscription_item_details if parent is not None else None
            if not is_due:
                found = InvoiceClass.NOT_DUE.value
            elif details is not None:
                from_s, to_s = plain.get(details.subscription_item, _NEVER)
                period = line.period
                if (
                    period.end > from_s
                    and period.start < to_s
                    and net_minor >= 0
                    and not details.proration
                ):  # nearly every line there is
                    counted_minor += net_minor
                    continue
                found = items.class_of(line, details, invoice)
            elif (other := outside_line(invoice, line)) is not None:
                outside.append((place, other))  # told together with its like
                continue
            else:
                found = _class_of_credit(line)
            place[found] = place.get(found, 0) + net_minor
        if counted_minor:
            place[_COUNTED] = place.get(_COUNTED, 0) + counted_minor
    series = invoiced_series(line for _, line in outside) if outside else []
    recurring = dict(_classes(series, policy, until_s))
    for place, other in outside:
        found = recurring.get(other.id, InvoiceClass.ONE_OFF).value
        place[found] = place.get(found, 0) + other.net_minor
    fading = [each.fades_s + 1 for each in series if each.fades_s >= until_s]
    return CustomerCoverage(
        sums=without_zeros(sums),
        not_counted=tuple(_not_counted(series, recurring, zone, until_s)),
        next_s=min(fading, default=None),
    )


def refused_sums(invoices: Iterable[Invoice], zone: tzinfo) -> InvoicedSums:
    """Of customers whose history is not whole: what is due, is refused."""
    sums: InvoicedSums = {}
    month_of = local_months(zone).month
    for invoice in invoices:
        months = sums.setdefault(invoice.currency or _currency(invoice), {})
        place = months.setdefault(month_of(invoice.billed_s), {})
        name = InvoiceClass.REFUSED if invoice.is_due else InvoiceClass.NOT_DUE
        net_minor = sum(line.net_minor for line in invoice.lines.data)
        place[name.value] = place.get(name.value, 0) + net_minor
    return without_zeros(sums)


def _currency(invoice: Invoice) -> str:
    return next((line.currency for line in invoice.lines.data), "")


class _ItemLines:
    """The classes of lines of subscription items."""

    def __init__(self, history: History, known: Timeline, policy: Policy) -> None:
        self.subscriptions, self.catalogue = history.versions, history.catalogue
        self.counted = _counted(known.steps)
        self.refused = {each.object_id for each in known.refusals}
        self.usage_counts, self.used = policy.metered_invoiced, known.used
        # Of an item that counted once and without a gap: from when to when. Where nothing
        # is refused, and no usage billed, that is all there is to know.
        self.plain: Mapping[object, tuple[int, int]] = {
            item: own[0]
            for item, own in ({} if self.refused else self.counted).items()
            if len(own) == 1 and item not in known.used
        }

    def class_of(
        self, line: InvoiceLine, details: ItemParent, invoice: Invoice
    ) -> InvoiceClass:
        item = ref(details.subscription_item)
        subscription = ref(details.subscription) or invoice.subscription
        if not item or subscription not in self.subscriptions:
            return InvoiceClass.REFUSED
        if line.id in self.refused:
            return InvoiceClass.REFUSED
        start_s, end_s = line.period.start, line.period.end
        own = self.counted.get(item, ())  # also of what is refused since
        place = bisect_left(own, max(end_s, start_s + 1), key=_SINCE)
        is_counted = place > 0 and own[place - 1][1] > start_s
        if not is_counted and self.refused & {item, subscription, _price(line)}:
            return InvoiceClass.REFUSED
        if details.proration or line.amount < 0:
            return InvoiceClass.ADJUSTMENT
        price = self.catalogue.prices.get(_price(line))
        if item in self.used and price is not None and is_metered(price):
            return self._class_of_usage(line, price)
        return InvoiceClass.COUNTED if is_counted else InvoiceClass.BY_POLICY

    def _class_of_usage(self, line: InvoiceLine, price: Price) -> InvoiceClass:
        """MRR is made of the usage of whole periods, if of any."""
        is_whole = is_whole_period(price, line.period.start, line.period.end)
        is_counted = self.usage_counts and is_whole
        return InvoiceClass.COUNTED if is_counted else InvoiceClass.BY_POLICY


def _counted(steps: Iterable[MrrStep]) -> dict[str, Spans]:
    """When each item counted; steps are in order of time."""
    spans: dict[str, Spans] = {}
    for step in steps:
        own = spans.setdefault(step.item, [])
        if own and own[-1][1] == _OPEN_S:
            if step.pricing is not None:
                continue
            own[-1] = (own[-1][0], step.at_s)
        elif step.pricing is not None:
            own.append((step.at_s, _OPEN_S))
    return spans


def _price(line: InvoiceLine) -> str:
    details = line.pricing.price_details if line.pricing is not None else None
    return ref(details.price) if details is not None else ""


def _class_of_credit(line: InvoiceLine) -> InvoiceClass:
    """Of no subscription item: a proration, or what takes back; a manual one is one-off."""
    manual = line.parent.invoice_item_details if line.parent is not None else None
    if manual is not None and not manual.proration:
        return InvoiceClass.ONE_OFF
    return InvoiceClass.ADJUSTMENT


def _classes(
    series: Sequence[InvoicedSeries], policy: Policy, until_s: int
) -> Iterator[tuple[str, InvoiceClass]]:
    """The class of each line of a series, by its id.

    A manual line that has ceased to look recurring is one-off, unless it was counted:
    what has been MRR has been it.
    """
    for each in series:
        found = InvoiceClass.NOT_COUNTED
        if policy.invoiced_by_period and each.interval is not None:
            found = InvoiceClass.COUNTED
        elif each.reason is NotCountedReason.MANUAL and each.fades_s < until_s:
            continue
        for line, _, _ in each.lines:
            yield line.id, found


def _not_counted(
    series: Sequence[InvoicedSeries],
    classes: Mapping[str, InvoiceClass],
    zone: tzinfo,
    until_s: int,
) -> Iterator[NotCounted]:
    for each in series:
        first, last = each.lines[0], each.lines[-1]
        if classes.get(first.line.id) is InvoiceClass.NOT_COUNTED:
            is_over = each.fades_s < until_s
            yield NotCounted(
                currency=each.currency,
                reason=each.reason,
                item=each.item,
                product=each.product,
                monthly_minor=0 if is_over else each.monthly_minor,
                since=local_day(first.start_s, zone),
                last_invoice=last.line.invoice,
            )
