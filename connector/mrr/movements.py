"""Steps → movements: what changed a customer's MRR on each local day, and why.

Comes in: one customer's steps in order of time. Goes out: its movements, by day and
currency. A customer's movements add up to its MRR on every day.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from itertools import groupby

from msgspec.structs import replace

from connector.core.dates import local_day
from connector.core.model import Cause, Component, Evidence, Movement, MrrStep, classify
from connector.mrr.pricing import arithmetic, monthly_minor

ItemKey = tuple[str, str]  # subscription, item


def movements(customer: str, steps: Iterable[MrrStep], zone: tzinfo) -> list[Movement]:
    """Explain every change of one customer's MRR, by day, then currency.

    Only a day's first and last state count: leaving and coming back on one day is one
    net change, or none.
    """
    by_currency: dict[str, list[MrrStep]] = {}
    for step in steps:
        by_currency.setdefault(step.currency, []).append(step)
    booked = [
        movement
        for currency, own in sorted(by_currency.items())
        for movement in _in_currency(customer, currency, own, zone)
    ]
    return sorted(booked, key=lambda movement: (movement.day, movement.currency))


def _in_currency(
    customer: str, currency: str, steps: Sequence[MrrStep], zone: tzinfo
) -> Iterator[Movement]:
    latest: dict[ItemKey, MrrStep] = {}
    before_minor = 0
    has_paid = False
    for day, of_day in groupby(steps, key=lambda step: local_day(step.at_s, zone)):
        before: dict[ItemKey, MrrStep] = {}  # of those that are touched
        evidence: dict[ItemKey, list[Evidence]] = {}
        after_minor = before_minor
        for step in of_day:
            key = (step.subscription, step.item)
            if key in latest:
                after_minor -= latest[key].mrr_minor
                if key not in evidence:
                    before[key] = latest[key]
            after_minor += step.mrr_minor
            latest[key] = step
            evidence.setdefault(key, []).extend(step.evidence)
        kind = classify(before_minor, after_minor, has_paid=has_paid)
        if kind is not None:
            components = _components(
                before, latest, evidence, before_minor, after_minor
            )
            yield Movement(
                customer=customer,
                currency=currency,
                day=day,
                kind=kind,
                amount_minor=after_minor - before_minor,
                before_minor=before_minor,
                after_minor=after_minor,
                components=components,
            )
            has_paid = True
        before_minor = after_minor


def _components(
    before: dict[ItemKey, MrrStep],
    after: dict[ItemKey, MrrStep],
    evidence: dict[ItemKey, list[Evidence]],
    before_minor: int,
    after_minor: int,
) -> tuple[Component, ...]:
    """One for each touched item and cause, items in order of their ids."""
    named: dict[Cause, Cause] = {}  # of an item that comes or goes beside what is paid
    if before_minor:
        went = any(_comes(after, before, key) for key in evidence)
        named[Cause.START] = Cause.PLAN if went else Cause.ADD_ON
    if after_minor:
        came = any(_comes(before, after, key) for key in evidence)
        named[Cause.END] = Cause.PLAN if came else Cause.REMOVAL
    found: list[Component] = []
    for key in sorted(evidence):
        old_step, new_step = before.get(key), after[key]
        old, new = old_step.pricing if old_step is not None else None, new_step.pricing
        proof = tuple(dict.fromkeys(evidence[key]))
        for cause, amount_minor in _causes(old_step, new_step):
            pricing = new or old
            if amount_minor and pricing is not None:
                found.append(
                    Component(
                        cause=named.get(cause, cause),
                        amount_minor=amount_minor,
                        subscription=new_step.subscription,
                        item=new_step.item,
                        price=pricing.tariff.price,
                        before=_arithmetic(old_step),
                        after=_arithmetic(new_step),
                        evidence=proof,
                    )
                )
    return tuple(found)


def _arithmetic(step: MrrStep | None) -> str:
    """How an item's MRR comes about; empty where it had none."""
    if step is None or step.pricing is None:
        return ""
    return arithmetic(step.pricing, step.mrr_minor)


def _comes(
    before: dict[ItemKey, MrrStep], after: dict[ItemKey, MrrStep], key: ItemKey
) -> bool:
    """From nothing to MRR, and not out of a pause; the other way round, it goes."""
    is_paused = key in before and before[key].is_paused
    return not is_paused and not _mrr_minor(before, key) and _mrr_minor(after, key) > 0


def _mrr_minor(steps: dict[ItemKey, MrrStep], key: ItemKey) -> int:
    return steps[key].mrr_minor if key in steps else 0


def _causes(old_step: MrrStep | None, new_step: MrrStep) -> list[tuple[Cause, int]]:
    """The change of one item's MRR, cut by cause; the parts add up to it exactly.

    Price, then quantity, then discount: each is valued with what came before it already
    changed.
    """
    old, new = old_step.pricing if old_step is not None else None, new_step.pricing
    if old_step is None or old is None:
        if new is None:
            return []
        is_paused = old_step is not None and old_step.is_paused
        cause = Cause.USAGE if new.tariff.metered else Cause.START
        return [(Cause.RESUME if is_paused else cause, new_step.mrr_minor)]
    if new is None:
        cause = Cause.PAUSE if new_step.is_paused else Cause.END
        return [(cause, -old_step.mrr_minor)]
    same_price = old.tariff.price == new.tariff.price
    tariff_cause = Cause.PRICE if same_price else Cause.PLAN
    amount_cause = Cause.USAGE if new.tariff.metered else Cause.QUANTITY
    repriced = replace(old, tariff=new.tariff, inclusive_tax=new.inclusive_tax)
    repriced_minor = monthly_minor(repriced)
    resized_minor = monthly_minor(replace(repriced, quantity=new.quantity))
    return [
        (tariff_cause, repriced_minor - old_step.mrr_minor),
        (amount_cause, resized_minor - repriced_minor),
        (Cause.DISCOUNT, new_step.mrr_minor - resized_minor),
    ]
