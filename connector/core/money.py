"""Money: whole minor units in, exact arithmetic, one rounding, one formatter.

No float ever holds money. Amounts are ``int`` minor units (cents, yen, fils) or, while
an amount is being worked out, ``Fraction``; ``round_minor`` is the only way back.
"""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from connector.core.language import grouped, ngettext, percent_sign, point

# Stripe's exponents, not ISO 4217's: Stripe bills UGX and ISK with two decimals although
# neither has a minor unit, and bills MGA without, although ISO gives it two. Source:
# https://docs.stripe.com/currencies (zero-decimal, three-decimal and special cases).
_ZERO_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE_DECIMALS = "bhd jod kwd omr tnd"
_EXPONENTS = {
    **dict.fromkeys(_ZERO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}

# Whatever ISO 4217 lists, or did while Stripe billed it: of any other code nobody knows
# how many decimals its amounts have.
_TWO_DECIMALS = """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob bov brl bsd btn
    bwp byn byr bzd cad cdf che chf chw clf cny cop cou crc cuc cup cve czk dkk dop dzd
    eek egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl hrk htg huf idr ils
    inr irr isk jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl ltl lvl lyd mad mdl mkd
    mmk mnt mop mro mru mur mvr mwk mxn mxv myr mzn nad ngn nio nok npr nzd pab pen pgk
    php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp sle sll sos srd ssp std stn
    svc syp szl thb tjs tmt top try ttd twd tzs uah ugx usd usn uyi uyu uzs vef ves wst
    xcd xcg yer zar zmk zmw zwg zwl iqd
"""
_KNOWN = frozenset({*_EXPONENTS, *_TWO_DECIMALS.split()})


def is_known_currency(currency: str) -> bool:
    """Whether it is known what ``currency``'s minor unit stands for."""
    return currency in _KNOWN


def exponent(currency: str) -> int:
    """How many decimals Stripe's minor unit of ``currency`` stands for."""
    return _EXPONENTS.get(currency, 2)


def round_minor(amount: Fraction) -> int:
    """The whole minor units nearest to ``amount``, half to even."""
    return round_ratio(amount.numerator, amount.denominator)


def round_ratio(numerator: int, denominator: int) -> int:
    """The same where there is no ``Fraction`` yet, which costs ten times as much."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest + (whole & 1) > denominator)


def major(amount_minor: int | Fraction | Decimal, currency: str) -> Decimal:
    """``amount_minor`` in whole units: 1234 cents are 12.34, 1234 yen are 1234.

    Fractions of a minor unit (a price of 0.5 cents) keep up to twelve decimals, which is
    what Stripe allows.
    """
    digits = exponent(currency)
    if isinstance(amount_minor, int):
        return Decimal(amount_minor).scaleb(-digits)
    if isinstance(amount_minor, Fraction) and amount_minor.denominator == 1:
        return Decimal(amount_minor.numerator).scaleb(-digits)
    exact = Fraction(amount_minor) / 10**digits
    if exact * 10**digits == int(exact * 10**digits):
        return Decimal(int(exact * 10**digits)).scaleb(-digits)
    quotient = Decimal(exact.numerator) / Decimal(exact.denominator)
    return quotient.quantize(Decimal(1).scaleb(-12)).normalize()


@lru_cache(maxsize=16_384)  # a price list has few amounts, a ledger writes them often
def format_minor(
    amount_minor: int | Fraction | Decimal,
    currency: str,
    locale: str = "en_US",
    *,
    signed: bool = False,
    whole: bool = False,
) -> str:
    """Write money as the locale does: ``$1,234.50``, ``1.234,50 €``, ``¥1,235``.

    ``signed`` writes a plus before what is above 0. ``whole`` leaves the decimals out.
    """
    value = major(amount_minor, currency)
    decimals = 0 if whole else max(exponent(currency), -int(value.as_tuple().exponent))
    pattern, spoken = _pattern(locale, decimals)
    code = currency.upper()
    text = pattern.apply(abs(value), spoken, currency=code, currency_digits=False)
    if value < 0:
        return f"−{text}"
    return f"+{text}" if signed and value > 0 else text


@lru_cache(maxsize=32)
def _pattern(locale: str, decimals: int) -> tuple[Any, Any]:
    """Babel's currency pattern for the locale with exactly ``decimals`` decimals.

    Babel's own decimals follow ISO 4217, which differs from Stripe on a dozen currencies.
    It is imported here because JSON figures never need it.
    """
    import copy  # noqa: PLC0415

    from babel import Locale  # noqa: PLC0415

    spoken = Locale.parse(locale)
    pattern = copy.copy(spoken.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return pattern, spoken


def is_locale(text: str) -> bool:
    """Whether numbers can be written as they are there."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415

    try:
        Locale.parse(text)
    except UnknownLocaleError:
        return False
    return True


def format_short(
    amount_minor: int | Fraction, currency: str, locale: str = "en_US"
) -> str:
    """Money in little room, beside a chart: ``$20K``, ``−$1.5K``, ``20.000 €``."""
    from babel.numbers import format_compact_currency, format_decimal  # noqa: PLC0415

    value = major(amount_minor, currency)
    text = format_compact_currency(
        abs(value), currency.upper(), locale=locale, fraction_digits=2
    )
    # Where thousands have no short form, as in German, they are not grouped either.
    text = re.sub(r"\d{4,}", lambda n: format_decimal(int(n[0]), locale=locale), text)
    return f"−{text}" if value < 0 else text


def format_count(number: int, noun: str) -> str:
    """``1 customer``, ``1,207 customers``; of nouns that take an s in English.

    The catalogues have them as ``{number} customer`` and ``{number} customers``.
    """
    one, many = f"{{number}} {noun}", f"{{number}} {noun}s"
    return ngettext(one, many, number).format(number=grouped(number))


def format_ratio(ratio: Fraction | None, decimals: int = 1) -> str:
    """A ratio in per cent, ``103.0%``; ``–`` where it has no value."""
    if ratio is None:
        return "–"
    scaled = round(ratio * 100 * 10**decimals)
    sign = "−" if scaled < 0 else ""
    whole, rest = divmod(abs(scaled), 10**decimals)
    text = f"{sign}{grouped(whole)}"
    return (
        f"{text}{f'{point()}{rest:0{decimals}d}' if decimals else ''}{percent_sign()}"
    )


def format_points(points: Fraction | None) -> str:
    """Percentage points with their sign, ``+2.4``; ``–`` where there are none to tell."""
    if points is None:
        return "–"
    text = format_ratio(points / 100).removesuffix(percent_sign())
    return f"+{text}" if points > 0 and text.strip("0.,") else text


SIX_DECIMALS = Decimal("0.000001")


def ratio_number(ratio: Fraction | None) -> float | None:
    """A ratio as JSON carries it: six decimals; None where it has no value."""
    if ratio is None:
        return None
    exact = Decimal(ratio.numerator) / Decimal(ratio.denominator)
    return float(exact.quantize(SIX_DECIMALS, rounding=ROUND_HALF_EVEN))
