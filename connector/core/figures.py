"""The figures of a window: what moved, what was kept, what was renewed.

    WindowFigures    of one window, in one currency
      Waterfall      opening, what moved, closing: of everybody
      Retention      what the opening customers still pay: NRR, GRR, CRR
      Renewals       how many of the contract terms that ended went on

A figure is a field of these and is listed nowhere else: the columns of tables and of CSV
follow from the fields, and name those they leave out. Only a released migration names
its columns itself.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from connector.core.windows import Window

LOSSES = ("contraction_minor", "churn_minor")  # magnitudes, as all moves are
RATIOS = ("nrr", "grr", "crr")


class Waterfall(Struct, frozen=True, kw_only=True):
    """What moved everybody's MRR in a window. Every part is a magnitude, 0 or more."""

    opening_minor: int
    new_minor: int
    reactivation_minor: int
    expansion_minor: int
    contraction_minor: int
    churn_minor: int
    fx_minor: int
    closing_minor: int

    @property
    def signed(self) -> dict[str, int]:
        """Each part by its name, below 0 what takes away."""
        taken = {name: -getattr(self, name) for name in LOSSES}
        return {**asdict(self), **taken}


class Retention(Struct, frozen=True, kw_only=True):
    """What the customers of a window's opening pay at its closing.

    ``kept`` of ``customers`` still pay. ``closing_minor`` is what these pay, without
    anybody who came later.
    """

    customers: int
    kept: int
    opening_minor: int
    expansion_minor: int
    contraction_minor: int
    churn_minor: int
    closing_minor: int

    @property
    def ratios(self) -> dict[str, Fraction | None]:
        """Each of ``RATIOS`` by its name."""
        return {name: getattr(self, name) for name in RATIOS}

    @property
    def nrr(self) -> Fraction | None:
        """None where nobody paid at the opening: the ratio has no value."""
        return self.of_opening(self.closing_minor)

    @property
    def grr(self) -> Fraction | None:
        kept_minor = self.opening_minor - self.contraction_minor - self.churn_minor
        return self.of_opening(kept_minor)

    @property
    def crr(self) -> Fraction | None:
        return Fraction(self.kept, self.customers) if self.customers else None

    def of_opening(self, amount_minor: int | Fraction) -> Fraction | None:
        """An amount as a share of the opening MRR; None where there was none."""
        if self.opening_minor == 0:
            return None
        return Fraction(amount_minor, self.opening_minor)


class Renewals(Struct, frozen=True, kw_only=True):
    """Of the ``ended`` subscriptions with a term that ended, ``renewed`` went on.

    Each counts once, by its last term in the window; ``*_minor`` is their MRR before.
    """

    ended: int
    renewed: int
    ended_minor: int
    renewed_minor: int


NO_RENEWALS = Renewals(ended=0, renewed=0, ended_minor=0, renewed_minor=0)


class WindowFigures(NamedTuple):
    """A window's figures. ``paying`` customers pay at its closing, new ones included.

    ``renewals`` None: nobody asked, or as of a past moment, whose terms are not kept.
    """

    window: Window
    waterfall: Waterfall
    retention: Retention
    paying: int = 0
    renewals: Renewals | None = None


def names_of(figures: type[Struct]) -> tuple[str, ...]:
    """What a struct's figures are called, in order."""
    return figures.__struct_fields__


BASE, TERMS = "base_", "terms_"  # of the opening's customers; of the terms that ended

# Each figure by its name among all of them, and where it is found.
_PLACES: Mapping[str, str] = {
    **{name: f"waterfall.{name}" for name in names_of(Waterfall)},
    "paying": "paying",
    **{BASE + name: f"retention.{name}" for name in names_of(Retention)},
    **{TERMS + name: f"renewals.{name}" for name in names_of(Renewals)},
}
FIGURES = tuple(_PLACES)


def reading(names: Sequence[str]) -> Callable[[WindowFigures], tuple[int, ...]]:
    """What reads these of ``FIGURES``, two or more, from a window's."""
    return attrgetter(*(_PLACES[name] for name in names))


def window_figures(window: Window, told: Mapping[str, int]) -> WindowFigures:
    """A window's figures by their names; without those of terms, none are known."""

    def of(figures: type[Struct], prefix: str = "") -> dict[str, int]:
        return {name: told[prefix + name] for name in names_of(figures)}

    has_terms = any(name.startswith(TERMS) for name in told)
    return WindowFigures(
        window,
        Waterfall(**of(Waterfall)),
        Retention(**of(Retention, BASE)),
        told["paying"],
        Renewals(**of(Renewals, TERMS)) if has_terms else None,
    )


# Those kept as sums: in one currency the others follow from them.
SUMMED = tuple(
    name
    for name in FIGURES
    if name not in ("fx_minor", f"{BASE}opening_minor", f"{BASE}closing_minor")
)


class RollupDelta(NamedTuple):
    """By how much a window's figures differ from those of the window before it.

    ``sums`` are in the order of ``SUMMED``.
    """

    window: Window
    sums: tuple[int, ...]
