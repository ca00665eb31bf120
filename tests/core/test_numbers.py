"""Numbers as people write them: never a hundred times too much."""

from decimal import Decimal
from fractions import Fraction

import pytest
from babel.numbers import format_currency, format_decimal, format_percent
from hypothesis import given
from hypothesis import strategies as st

from connector.core.numbers import Unreadable, amount_of, ratio_of, written_number

DECIMALS = {"eur": 2, "usd": 2, "chf": 2, "inr": 2, "sek": 2, "jpy": 0, "kwd": 3}


def amount(text: str, locale: str, currency: str) -> Decimal:
    return amount_of(written_number(text, locale), currency, DECIMALS[currency])


@pytest.mark.parametrize(
    ("text", "locale", "currency", "expected"),
    [
        pytest.param("47156.71", "en_US", "usd", "47156.71", id="plain"),
        pytest.param("47,156.71", "en_US", "usd", "47156.71", id="en, grouped"),
        pytest.param("47,156", "en_US", "usd", "47156", id="en, grouped, whole"),
        pytest.param("47156,71", "en_US", "usd", "47156.71", id="a comma in en"),
        pytest.param("47.156,71", "en_US", "usd", "47156.71", id="de in en"),
        pytest.param("1,23", "en_US", "usd", "1.23", id="no group has two digits"),
        pytest.param("47156,71", "de_DE", "eur", "47156.71", id="de"),
        pytest.param("47.156,71", "de_DE", "eur", "47156.71", id="de, grouped"),
        pytest.param("47.156", "de_DE", "eur", "47156", id="de, grouped, whole"),
        pytest.param("47,156.71", "de_DE", "eur", "47156.71", id="en in de"),
        pytest.param("47156.71", "de_DE", "eur", "47156.71", id="a point in de"),
        pytest.param("1.234.567", "de_DE", "eur", "1234567", id="two groups"),
        pytest.param("1.234.567", "en_US", "usd", "1234567", id="two dots are groups"),
        pytest.param("47'156.71", "de_CH", "chf", "47156.71", id="an apostrophe"),
        pytest.param("47’156.71", "de_CH", "chf", "47156.71", id="a real apostrophe"),
        pytest.param(
            "47\u202f156,71", "fr_FR", "eur", "47156.71", id="narrow no-break"
        ),
        pytest.param("47\u00a0156,71", "fr_FR", "eur", "47156.71", id="no-break"),
        pytest.param("47 156,71", "fr_FR", "eur", "47156.71", id="a plain space"),
        pytest.param("47 156,71 €", "fr_FR", "eur", "47156.71", id="a symbol behind"),
        pytest.param("€47,156.71", "en_US", "eur", "47156.71", id="a symbol before"),
        pytest.param("EUR 47.156,71", "de_DE", "eur", "47156.71", id="a code before"),
        pytest.param("47.156,71 eur", "de_DE", "eur", "47156.71", id="a code behind"),
        pytest.param("1 234,50 kr", "sv_SE", "sek", "1234.50", id="a local symbol"),
        pytest.param("12,34,567.50", "en_IN", "inr", "1234567.50", id="lakhs"),
        pytest.param("47.156", "de_DE", "jpy", "47156", id="yen have no decimals"),
        pytest.param("1.234,500", "de_DE", "kwd", "1234.500", id="dinar have three"),
        pytest.param("٤٧١٥٦٫٧١", "ar_EG", "usd", "47156.71", id="Arabic digits"),
        pytest.param("0", "en_US", "usd", "0", id="nothing"),
    ],
)
def test_an_amount_is_read_in_its_locale(
    text: str, locale: str, currency: str, expected: str
) -> None:
    assert amount(text, locale, currency) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "locale", "currency", "said"),
    [
        pytest.param(
            "1,234", "de_DE", "eur", "can be read as 1.234 or 1234", id="de, a comma"
        ),
        pytest.param(
            "1.234", "en_US", "usd", "can be read as 1.234 or 1234", id="en, a dot"
        ),
        pytest.param(
            "1.234", "fr_FR", "eur", "can be read as 1.234 or 1234", id="in neither"
        ),
        pytest.param(
            "1,234",
            "en_US",
            "kwd",
            "can be read as 1234 or 1.234",
            id="a dinar's three",
        ),
        pytest.param("0.501", "en_US", "usd", "more decimals than USD", id="too exact"),
        pytest.param("$1.5", "en_US", "jpy", "more decimals than JPY", id="half a yen"),
        pytest.param(
            "USD 5", "en_US", "eur", "no amount in EUR", id="another currency"
        ),
        pytest.param("5 %", "en_US", "eur", "no amount in EUR", id="per cent"),
    ],
)
def test_what_could_be_another_amount_is_refused(
    text: str, locale: str, currency: str, said: str
) -> None:
    with pytest.raises(Unreadable, match=said):
        amount(text, locale, currency)


NOTHING = (
    *("", "-", "a lot", "47k", "47 M", "1,2,3", "1.2.3", "12 34", "1'234,567'8", "1."),
    *(",", "1e5", "NaN", "٪", "€5€", "--5", "-5-", "1.234.56", "1,234,56.7", "0 501"),
)


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_no_number_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        written_number(text, "en_US")


@pytest.mark.parametrize(
    ("text", "locale", "expected"),
    [
        pytest.param("1.07", "en_US", "1.07", id="a ratio"),
        pytest.param("1,07", "de_DE", "1.07", id="a ratio, de"),
        pytest.param("1.07", "de_DE", "1.07", id="a ratio, en in de"),
        pytest.param("1.075", "de_DE", "1.075", id="1,075 is no ratio"),
        pytest.param("107%", "en_US", "1.07", id="per cent"),
        pytest.param("107,5%", "en_US", "1.075", id="per cent with a comma"),
        pytest.param("107,5 %", "de_DE", "1.075", id="a space before"),
        pytest.param("107,5\u00a0%", "de_DE", "1.075", id="a no-break space before"),
        pytest.param("107,5\u202f%", "fr_FR", "1.075", id="a narrow one"),
        pytest.param("%107,5", "tr_TR", "1.075", id="per cent before"),
        pytest.param("-3.5%", "en_US", "-0.035", id="below 0"),
        pytest.param("−3,5 %", "de_DE", "-0.035", id="a real minus"),
    ],
)
def test_a_ratio_is_read_in_its_locale(text: str, locale: str, expected: str) -> None:
    assert ratio_of(written_number(text, locale)) == Fraction(expected)


@pytest.mark.parametrize(
    ("text", "locale", "said"),
    [
        pytest.param("107", "en_US", "1,000% or more", id="per cent without a sign"),
        pytest.param("1075%", "en_US", "1,000% or more", id="more than 1,000 %"),
        pytest.param("1,075%", "en_US", "can be read as 1075 or 1.075", id="two"),
        pytest.param("1,07 EUR", "de_DE", "no ratio", id="an amount"),
    ],
)
def test_what_is_no_ratio_is_refused(text: str, locale: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        ratio_of(written_number(text, locale))


LOCALES = (
    *("en_US", "en_GB", "en_IN", "de_DE", "de_AT", "de_CH", "fr_FR", "fr_CH", "fr_CA"),
    *("es_ES", "es_MX", "pt_BR", "pt_PT", "it_IT", "it_CH", "nl_NL", "sv_SE", "da_DK"),
    *("nb_NO", "fi_FI", "pl_PL", "cs_CZ", "hu_HU", "ro_RO", "bg_BG", "el_GR", "tr_TR"),
    *("uk_UA", "ru_RU", "he_IL", "ar_EG", "ar_SA", "hi_IN", "bn_BD", "th_TH", "vi_VN"),
    *("id_ID", "ja_JP", "ko_KR", "zh_Hans_CN", "zh_Hant_TW", "et_EE", "lv_LV", "lt_LT"),
)
locales = st.sampled_from(LOCALES)
currencies = st.sampled_from(sorted(DECIMALS))


def is_read_as(exact: Decimal, text: str, locale: str, currency: str) -> bool:
    """Or refused as two readings, which only an amount of three decimals can be."""
    if currency != "kwd":
        return amount(text, locale, currency) == exact
    try:
        return amount(text, locale, currency) == exact
    except Unreadable as error:
        return "can be read as" in str(error)


@given(
    locales, currencies, st.integers(0, 10**12), st.sampled_from(["latn", "default"])
)
def test_what_a_locale_writes_is_read_as_the_same(
    locale: str, currency: str, minor: int, system: str
) -> None:
    """With a symbol, or bare; of three decimals it may be refused, and is no other."""
    exact = Decimal(minor).scaleb(-DECIMALS[currency])
    spaced = f"#,##0.{'0' * DECIMALS[currency]}".rstrip(".")
    texts = [
        format_currency(
            exact, currency.upper(), locale=locale, currency_digits=False,
            format=f"¤{spaced}", numbering_system=system,
        ),
        format_decimal(exact, locale=locale, format=spaced, numbering_system=system),
    ]  # fmt: skip
    for text in texts:
        assert is_read_as(exact, text, locale, currency)


@given(locales, currencies, st.integers(0, 10**12))
def test_what_babel_writes_of_a_currency_is_read(
    locale: str, currency: str, minor: int
) -> None:
    exact = Decimal(minor).scaleb(-DECIMALS[currency])
    text = format_currency(exact, currency.upper(), locale=locale)
    assert is_read_as(exact, text, locale, currency)


@given(locales, st.integers(0, 9999))
def test_a_percentage_of_any_locale_is_read(locale: str, tenths: int) -> None:
    ratio = Decimal(tenths).scaleb(-3)
    text = format_percent(ratio, format="#,##0.0%", locale=locale)
    assert ratio_of(written_number(text, locale)) == Fraction(ratio)


@given(st.text("0123456789.,'’ \u00a0-", max_size=9), locales)
def test_a_reading_is_the_digits_that_stand_there(text: str, locale: str) -> None:
    """Whatever is read, no digit is lost, and the point is where a mark stands."""
    try:
        read = amount(text, locale, "usd")
    except Unreadable:
        return
    digits = "".join(filter(str.isdigit, text))
    assert int(abs(read.scaleb(2))) % 10 ** len(digits) >= 0
    assert any(abs(read) == Decimal(int(digits)).scaleb(-n) for n in range(3))
