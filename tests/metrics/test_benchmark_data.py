"""What is published, as data: which band holds a ratio, and what is said of it."""

from fractions import Fraction
from importlib.resources import files

import pytest

from connector.core.errors import ConfigError
from connector.metrics.benchmarks import (
    METRICS,
    Benchmarks,
    ContractValue,
    assess,
    parse_benchmarks,
)

TEXT = files("connector.reports").joinpath("benchmarks.toml").read_text("utf-8")
PUBLISHED = parse_benchmarks(TEXT, "benchmarks.toml")


def said(metric: str, percent: str, published: Benchmarks = PUBLISHED) -> str:
    ratio = Fraction(percent) / 100
    return " / ".join(each.sentence for each in assess({metric: ratio}, published))


@pytest.mark.parametrize(
    ("metric", "percent", "verdict"),
    [
        pytest.param("nrr", "99.9", "shrinking", id="NRR below 100 %"),
        pytest.param("nrr", "100", "many aim for 110%", id="NRR of exactly 100 %"),
        pytest.param("nrr", "110", "growing well", id="NRR of 110 %"),
        pytest.param("nrr", "120", "excellent", id="NRR of 120 %"),
        pytest.param("grr", "84.9", "worrying", id="GRR below 85 %"),
        pytest.param("grr", "85", "acceptable", id="GRR of 85 %"),
        pytest.param("grr", "90", "good for most", id="GRR of 90 %"),
        pytest.param("grr", "95", "excellent", id="GRR of 95 %"),
    ],
)
def test_the_package_s_bands(metric: str, percent: str, verdict: str) -> None:
    assert verdict in said(metric, percent)


def test_a_sentence_names_the_median_with_its_source_and_year() -> None:
    assert said("grr", "93").endswith("; the median is 91% (SaaS Capital, 2023).")


@pytest.mark.parametrize("metric", METRICS)
def test_the_package_s_bands_leave_no_hole_and_do_not_overlap(metric: str) -> None:
    bands = [band for band in PUBLISHED.bands if band.metric == metric]
    for thousandth in range(0, 2_000, 5):
        holding = [b for b in bands if b.holds(Fraction(thousandth, 1_000))]
        assert len(holding) == bool(bands)


def test_every_figure_has_a_source_and_a_year() -> None:
    origins = [(band.source, band.year) for band in PUBLISHED.bands]
    origins += [(each.source, each.year) for each in PUBLISHED.typical]
    for source, year in origins:
        assert source
        assert 2010 < year < 2030
    assert {each.metric for each in PUBLISHED.typical} == {"nrr", "grr"}


@pytest.mark.parametrize(
    ("currency", "amount", "nrr", "grr"),
    [
        ("usd", "11999.99", "100%", "90%"),
        ("usd", "12000", "102%", "90%"),
        ("usd", "60000", "105%", "93%"),
        ("usd", "250000", "110%", "93%"),
    ],
)
def test_the_median_of_the_own_contract_value_is_told(
    currency: str, amount: str, nrr: str, grr: str
) -> None:
    ratios = {"nrr": Fraction(1), "grr": Fraction(1)}
    value = ContractValue(currency, Fraction(amount))
    net, gross = assess(ratios, PUBLISHED, value)
    assert f" a year the median is {nrr} (SaaS Capital, 2023)." in net.sentence
    assert f" a year the median is {grr} (SaaS Capital, 2023)." in gross.sentence


def test_of_another_currency_no_contract_value_is_compared() -> None:
    for value in (None, ContractValue("eur", Fraction(60_000))):
        [net] = assess({"nrr": Fraction(1)}, PUBLISHED, value)
        assert "contracts" not in net.sentence


def test_what_has_no_value_is_not_judged() -> None:
    assert assess({"nrr": None}, PUBLISHED) == ()


def test_another_file_replaces_all_of_them() -> None:
    text = '[[band]]\nmetric = "crr"\nfrom = 0.5\nsays = "fine"\nsource = "us"\nyear = 2026'
    ours = parse_benchmarks(text, "ours.toml")
    assert said("crr", "50", ours) == "CRR 50.0%: fine (us, 2026)."
    assert said("crr", "49", ours) == ""
    assert said("nrr", "110", ours) == ""


def test_every_fault_of_a_file_is_named() -> None:
    text = '[[band]]\nmetric = "nrr"\n[[typical]]\nmetric = "arr"\n[other]'
    with pytest.raises(ConfigError) as raised:
        parse_benchmarks(text, "ours.toml")
    assert raised.value.faults == [
        "ours.toml: other is neither band nor typical",
        "ours.toml: band 1 has no says",
        "ours.toml: typical 1 cannot be read: metric 'arr' is none of nrr, grr, crr",
    ]
