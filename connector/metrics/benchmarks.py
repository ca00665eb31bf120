"""Published figures to compare NRR, GRR and CRR with: data from a file, never constants.

The file is TOML: ``[[band]]`` with ``metric``, an optional ``from`` (in) and ``to`` (out)
as ratios, ``says``, ``source``, ``year``; and ``[[typical]]`` with ``metric``, ``who``,
``low`` and ``high`` (the same for a median), and for some contracts alone
``contract_from``, ``contract_to`` and ``contract_currency``. Every one names its source and
year.
"""

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, NamedTuple

from msgspec import Struct

from connector.core.errors import ConfigError
from connector.core.language import _, message
from connector.core.money import format_ratio

METRICS = ("nrr", "grr", "crr")


class Band(NamedTuple):
    """``low`` is in, ``high`` out; None has no end. ``says`` is the verdict in words."""

    metric: str
    low: Fraction | None
    high: Fraction | None
    says: str
    source: str
    year: int

    def holds(self, ratio: Fraction) -> bool:
        above = self.low is None or self.low <= ratio
        return above and (self.high is None or ratio < self.high)


class Typical(NamedTuple):
    """What ``who`` reach: from ``low`` to ``high``, or the median where they are one.

    With a ``contract`` it is only for who sells at such a value a year.
    """

    metric: str
    who: str
    low: Fraction
    high: Fraction
    source: str
    year: int
    contract: "ContractRange | None" = None

    def fits(self, contract: "ContractValue | None") -> bool:
        return self.contract is None or self.contract.holds(contract)


class ContractValue(NamedTuple):
    """What a customer pays a year, on average; in whole units of a currency."""

    currency: str
    amount: Fraction


class ContractRange(NamedTuple):
    """Values a year, ``low`` in and ``high`` out; None has no end."""

    currency: str
    low: Fraction | None
    high: Fraction | None

    def holds(self, value: ContractValue | None) -> bool:
        if value is None or value.currency != self.currency:
            return False
        above = self.low is None or self.low <= value.amount
        return above and (self.high is None or value.amount < self.high)


class Benchmarks(NamedTuple):
    bands: Sequence[Band]
    typical: Sequence[Typical]


class Assessment(Struct, frozen=True, kw_only=True):
    """One metric beside what is published: ``band`` None where no band holds it."""

    metric: str
    ratio: Fraction
    band: Band | None
    typical: tuple[Typical, ...]

    @property
    def sentence(self) -> str:
        """The verdict, then the medians; ranges of some companies are left to JSON."""
        text = f"{self.metric.upper()} {format_ratio(self.ratio)}"
        if self.band is not None:
            text += f": {_(self.band.says)} ({_(self.band.source)}, {self.band.year})"
        others = [_words(each) for each in self.typical if each.low == each.high]
        return f"{'; '.join([text, *others])}."


def _words(typical: Typical) -> str:
    exact = (typical.low * 100).denominator == 1
    median = format_ratio(typical.low, 0 if exact else 1)
    return f"{_(typical.who)} {median} ({typical.source}, {typical.year})"


def assess(
    ratios: Mapping[str, Fraction | None],
    published: Benchmarks,
    contract: ContractValue | None = None,
) -> tuple[Assessment, ...]:
    """NRR, GRR and CRR, those that have a value and something to compare with."""
    found = []
    for metric in METRICS:
        ratio = ratios.get(metric)
        if ratio is None:
            continue
        bands = [b for b in published.bands if b.metric == metric and b.holds(ratio)]
        typical = tuple(
            t for t in published.typical if t.metric == metric and t.fits(contract)
        )
        if bands or typical:
            band = bands[0] if bands else None
            found.append(
                Assessment(metric=metric, ratio=ratio, band=band, typical=typical)
            )
    return tuple(found)


def parse_benchmarks(text: str, source: str) -> Benchmarks:
    """Read a file of benchmarks; ``ConfigError`` names every entry that is wrong."""
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        fault = f"{source} is not TOML: {error}"
        raise ConfigError([fault], fix=_fix(source)) from error
    unknown = sorted(tables.keys() - {"band", "typical"})
    faults = [message(f"{name} is neither band nor typical") for name in unknown]
    bands = _each(tables, "band", _band, faults)
    typical = _each(tables, "typical", _typical, faults)
    if faults:
        named = [f"{source}: {fault}" for fault in faults]
        raise ConfigError(named, fix=_fix(source))
    return Benchmarks(bands, typical)


def _fix(source: str) -> str:
    return message(
        f"correct {source}; the package's own benchmarks.toml shows how it reads"
    )


def _each(
    tables: Mapping[str, Any], name: str, read: Any, faults: list[str]
) -> list[Any]:
    entries = tables.get(name, [])
    found = []
    for number, entry in enumerate(entries if isinstance(entries, list) else [{}], 1):
        try:
            found.append(read(entry))
        except KeyError as error:
            faults.append(message(f"{name} {number} has no {error.args[0]}"))
        except (TypeError, ValueError, InvalidOperation) as error:
            faults.append(message(f"{name} {number} cannot be read: {error}"))
    return found


def _band(entry: Mapping[str, Any]) -> Band:
    low, high = (_ratio(entry[k]) if k in entry else None for k in ("from", "to"))
    return Band(_metric(entry), low, high, str(entry["says"]), *_origin(entry))


def _typical(entry: Mapping[str, Any]) -> Typical:
    metric, low, high = _metric(entry), _ratio(entry["low"]), _ratio(entry["high"])
    return Typical(
        metric, str(entry["who"]), low, high, *_origin(entry), _contract(entry)
    )


def _contract(entry: Mapping[str, Any]) -> ContractRange | None:
    low, high = (
        _ratio(entry[name]) if name in entry else None
        for name in ("contract_from", "contract_to")
    )
    if low is None and high is None:
        return None
    return ContractRange(str(entry["contract_currency"]).lower(), low, high)


def _metric(entry: Mapping[str, Any]) -> str:
    metric = str(entry["metric"])
    if metric not in METRICS:
        raise ValueError(message(f"metric {metric!r} is none of {', '.join(METRICS)}"))
    return metric


def _origin(entry: Mapping[str, Any]) -> tuple[str, int]:
    return str(entry["source"]), int(entry["year"])


def _ratio(value: Any) -> Fraction:
    return Fraction(Decimal(value))
