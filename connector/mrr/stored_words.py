"""What the ledger keeps in words, in the language of who reads it.

The ledger speaks English, whoever derives it: so two runs compare, and a language can be
changed at any time. Its sums and proofs are put together by ``pricing.arithmetic`` and by
``evidence``, of parts in a fixed order; here they are taken apart at the same joints and
put together again. What was put together otherwise (by another version, or a person)
stays as it was written.
"""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from connector.core.language import _, language, marked, ngettext, point, table_day
from connector.core.language import percent_sign as percent
from connector.core.money import exponent, format_minor

_INTERVALS = (marked("day"), marked("week"), marked("month"), marked("year"))
_PROOFS = (
    *(marked("started"), marked("ended"), marked("paid"), marked("past due")),
    *(marked("trial"), marked("trial ended"), marked("cancellation requested")),
    *(marked("collection resumes"), marked("left a draft"), marked("added")),
    *(marked("replaces it"), marked("discount removed")),
    *(marked("active"), marked("unpaid"), marked("paused"), marked("incomplete")),
    *(marked("trialing"), marked("canceled")),  # a status as it was seen
)
ENDED = " ended"  # after a coupon's id
_NATURES = (marked("period"), marked("proration"), marked("credit"))
_LINE = re.compile(r"(\w+) (\d{4}-\d\d-\d\d) to (\d{4}-\d\d-\d\d): (\S+) × (.+), (.+?)")
_RETRACTED = (
    *(marked("no evidence for it any more"), marked("kind")),
    marked("better evidence"),
)
_NOW = re.compile(r"now from (\d+) to (\d+)")


def arithmetic_said(text: str, currency: str, locale: str) -> str:
    """``12 seats × $15.00 × 1/1 month − 50% = $90.00``, in the language spoken."""
    sums, equals, total = text.rpartition(" = ")
    if language() == "en" or not equals:
        return text

    def money(part: str) -> str:
        return _money(part, currency, locale)

    if money(total) == total:
        return text
    product, *reductions = sums.split(" − ")
    said = " × ".join(_factor(each, money) for each in product.split(" × "))
    less = "".join(f" − {_reduction(each, money)}" for each in reductions)
    return f"{said}{less} = {money(total)}"


def proof_said(text: str, currency: str, locale: str) -> str:
    """What a piece of evidence shows, such as an invoice line's period and amount.

    What Stripe calls things (``customer.subscription.updated``) is its own.
    """
    if language() == "en" or not text:
        return text
    if text in _PROOFS:
        return _(text)
    if text.endswith(ENDED):
        return _("{coupon} ended").format(coupon=text.removesuffix(ENDED))
    line = _LINE.fullmatch(text)
    if line is None or line[1] not in _NATURES:
        return text
    return _("{nature} {start} to {end}: {quantity} × {price}, {amount}").format(
        nature=_(line[1]),
        start=table_day(date.fromisoformat(line[2])),
        end=table_day(date.fromisoformat(line[3])),
        quantity=_number(line[4]),
        price=line[5],
        amount=_money(line[6], currency, locale),
    )


def evidence_kind_said(kind: str) -> str:
    """What a piece of evidence is: ``invoice_line``."""
    return kind if language() == "en" else _(kind.replace("_", " "))


def retraction_said(text: str, currency: str, locale: str) -> str:
    """Why a movement was taken back: ``now from 5000 to 9000``, as money is written."""
    if text in _RETRACTED:
        return _(text)
    found = _NOW.fullmatch(text)
    if found is None:
        return text
    before, after = (format_minor(int(n), currency, locale) for n in found.groups())
    return _("now from {before} to {after}").format(before=before, after=after)


def _factor(text: str, money: Callable[[str], str]) -> str:
    """A count, a price, a count in tiers with what it comes to, or ``1/12 year``."""
    packed = re.fullmatch(r"(.+) in packages of (\d+), rounded (up|down)", text)
    if packed is not None:
        words = (
            _("{count} in packages of {size}, rounded up")
            if packed[3] == "up"
            else _("{count} in packages of {size}, rounded down")
        )
        return words.format(count=_count(packed[1]), size=packed[2])
    tiered = re.fullmatch(r"(.+) in (volume|graduated) tiers, (.+)", text)
    if tiered is not None:
        words = (
            _("{count} in volume tiers, {amount}")
            if tiered[2] == "volume"
            else _("{count} in graduated tiers, {amount}")
        )
        return words.format(count=_count(tiered[1]), amount=money(tiered[3]))
    interval = re.fullmatch(r"(\d+/\d+) (\w+)", text)
    if interval is not None and interval[2] in _INTERVALS:
        return f"{interval[1]} {_(interval[2])}"
    said = money(text)
    return said if said != text else _count(text)


def _count(text: str) -> str:
    """``12 units``; another label is the account's own, in whatever language."""
    number, _space, label = text.partition(" ")
    if label.removesuffix("s") not in ("unit", "seat"):
        return f"{_number(number)} {label}"
    form = (
        ngettext("{number} unit", "{number} units", 1 if number == "1" else 2)
        if label.startswith("unit")
        else ngettext("{number} seat", "{number} seats", 1 if number == "1" else 2)
    )
    return form.format(number=_number(number))


def _reduction(text: str, money: Callable[[str], str]) -> str:
    tax = text.removeprefix("tax of ")
    if tax != text:
        return _("tax of {rate}").format(rate=_share(tax))
    if text.endswith("%"):
        return _share(text)
    amount, _per, interval = text.partition(" per ")
    count, _space, unit = interval.rpartition(" ")
    if unit.removesuffix("s") not in _INTERVALS:
        return text
    every = f"{count} {unit}" if count else unit
    return _("{amount} per {interval}").format(
        amount=money(amount), interval=_every(every)
    )


def _every(interval: str) -> str:
    """``month``, ``3 months``."""
    count, _space, unit = interval.rpartition(" ")
    forms = {
        "days": ngettext("{number} day", "{number} days", 2),
        "weeks": ngettext("{number} week", "{number} weeks", 2),
        "months": ngettext("{number} month", "{number} months", 2),
        "years": ngettext("{number} year", "{number} years", 2),
    }
    return forms[unit].format(number=count) if count else _(unit)


def _share(text: str) -> str:
    return f"{_number(text.removesuffix('%'))}{percent()}"


def _number(text: str) -> str:
    return text.replace(".", point())


def _money(text: str, currency: str, locale: str) -> str:
    """An amount as it is stored, as the locale writes it; any other text unchanged."""
    digits = re.sub(r"[^\d.]", "", text)
    if not re.fullmatch(r"\d+(\.\d+)?", digits):
        return text
    minor = Decimal(digits).scaleb(exponent(currency))
    if text.startswith(("-", "−")):
        minor = -minor
    is_ours = format_minor(minor, currency) == text
    return format_minor(minor, currency, locale) if is_ours else text
