"""Names for a fictional business's customers, put together from word lists.

No list holds a real company; every address ends in example.com.
"""

import random
import unicodedata
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

US_NAMES = (
    "Harlow",
    "Finch",
    "Brightwater",
    "Calloway",
    "Dunmore",
    "Eastlake",
    "Fairbanks",
    "Garrity",
    "Holloway",
    "Ironbridge",
    "Juniper",
    "Kestrel",
    "Larkspur",
    "Marlow",
    "Northgate",
    "Oakhurst",
    "Pemberton",
    "Quarry",
    "Ridgeline",
    "Silverton",
    "Thornbury",
    "Underhill",
    "Vance",
    "Westbrook",
    "Yarrow",
    "Ashford",
    "Bellweather",
    "Copperfield",
    "Driftwood",
    "Elmwood",
    "Foxglove",
    "Greystone",
    "Hawthorne",
    "Ivers",
    "Kingsley",
)
US_TRADES = (
    ("roofing", "Roofing"),
    ("plumbing", "Plumbing"),
    ("joinery", "Joinery"),
    ("electrical", "Electric"),
    ("painting", "Painters"),
    ("masonry", "Masonry"),
    ("landscaping", "Landscaping"),
    ("glazing", "Glass Works"),
    ("flooring", "Floors"),
    ("heating", "Heating & Air"),
)
EU_NAMES = (
    "Müller",
    "Blaschko",
    "Österreicher",
    "Grünwald",
    "Jäger",
    "Köster",
    "Schäfer",
    "Weiß",
    "Brückner",
    "Höfer",
    "Lindström",
    "Sørensen",
    "Nuñez",
    "Lefèvre",
    "Fältström",
    "Kovačić",
    "Björk",
    "Dvořák",
    "Peřina",
    "Größl",
)
EU_TRADES = (
    ("roofing", "Dachdeckerei"),
    ("joinery", "Tischlerei"),
    ("electrical", "Elektrotechnik"),
    ("painting", "Malerbetrieb"),
    ("plumbing", "Sanitär"),
    ("metalwork", "Schlosserei"),
    ("glazing", "Glaserei"),
    ("masonry", "Steinmetz"),
)
EAST_NAMES = (
    "北風",
    "青葉",
    "山手",
    "明和",
    "東雲",
    "千歳",
    "한빛",
    "새벽",
    "长青",
    "宏图",
)
EAST_TRADES = (
    ("joinery", "木工"),
    ("masonry", "建設"),
    ("electrical", "電気"),
    ("painting", "塗装"),
)


def pick(rng: random.Random, choices: Sequence[T]) -> T:
    """Only ``random()`` is promised to stay the same in later Pythons."""
    return choices[int(rng.random() * len(choices))]


def pair(rng: random.Random, choices: Sequence[T]) -> tuple[T, T]:
    """Two that differ."""
    one = int(rng.random() * len(choices))
    two = int(rng.random() * (len(choices) - 1))
    return choices[one], choices[two + (two >= one)]


def weighted(rng: random.Random, choices: dict[T, float]) -> T:
    left = rng.random() * sum(choices.values())
    for choice, weight in choices.items():
        left -= weight
        if left < 0:
            return choice
    return next(reversed(choices))


def _company(rng: random.Random, currency: str) -> tuple[str, str, str]:
    """Name, trade, country."""
    if currency == "eur":
        trade, word = pick(rng, EU_TRADES)
        one, two = pair(rng, EU_NAMES)
        country = weighted(rng, {"DE": 7, "AT": 2, "NL": 1, "FR": 1})
        forms = (f"{one} {word} GmbH", f"{word} {one}", f"{one} & {two} {word}")
        return pick(rng, forms), trade, country
    if rng.random() < 0.06:
        trade, word = pick(rng, EAST_TRADES)
        return f"{pick(rng, EAST_NAMES)}{word}", trade, pick(rng, ("JP", "KR", "SG"))
    trade, word = pick(rng, US_TRADES)
    one, two = pair(rng, US_NAMES)
    country = weighted(rng, {"US": 8, "CA": 1.2, "AU": 0.8})
    forms = (f"{one} {word}", f"{one} & {two} {word}", f"{one} {word} Co.")
    return pick(rng, forms), trade, country


def company(
    rng: random.Random, currency: str, taken: set[str]
) -> tuple[str, str, str, str]:
    """A name that is not taken yet, its e-mail address, trade and country."""
    name, trade, country = _company(rng, currency)
    while name in taken:
        name, trade, country = _company(rng, currency)
    taken.add(name)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    letters = "".join(c if c.isalnum() else "-" for c in plain.lower())
    word = "-".join(part for part in letters.split("-") if part)
    return name, f"{word or 'office'}-{len(taken)}@example.com", trade, country
