"""Customers as files name them → Stripe's ids, where a label is of one customer alone.

An export that names customers by name or e-mail is no other account's: who it means is
found where it can be, and who cannot be found is said.
"""

from collections.abc import Collection, Sequence

from connector.core.errors import UsageFault
from connector.core.language import _, grouped, message, ngettext
from connector.core.messages import spoken
from connector.reports.ledger import Ledger
from connector.store.external_figures import ExternalFigures
from connector.store.ledger import customers

SHOWN = 3  # names in a sentence


def called_by_id(ledger: Ledger, figures: ExternalFigures) -> list[str]:
    """Give the figures ids for labels; returns what a reader should know of it."""
    called = figures.call_by_id(customers.with_labels(ledger.connection))
    found = [each for each in called if each.times == 1]
    shared = [each.name for each in called if each.times > 1]
    notes = []
    if found:
        notes.append(
            ngettext(
                "{number} customer is named by label, and found by it.",
                "{number} customers are named by label, and found by it.",
                len(found),
            ).format(number=grouped(len(found)))
        )
    if shared:
        notes.append(
            _(
                "{names}: so several customers here are called, and which of them is "
                "meant cannot be known. Export with Stripe's ids (cus_…)."
            ).format(names=_some(shared))
        )
    return notes


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    shown = ", ".join(names[:SHOWN])
    if more <= 0:
        return shown
    return _("{shown} and {more} more").format(shown=shown, more=grouped(more))


def unknown_note(there: int, unknown: int, names: Sequence[str]) -> str | None:
    """What is said where most of a file's customers are not in the ledger."""
    if unknown * 2 <= there:
        return None
    how = _how_named(names)
    return _(
        "{unknown} of their {there} customers are not in this ledger, such as "
        "{names}{how}. Export with Stripe's ids (cus_…), of this account."
    ).format(
        unknown=grouped(unknown),
        there=grouped(there),
        names=_some(names[:SHOWN]),
        how=how and _(": they are {how}").format(how=spoken(how)),
    )


def nobody_known(paths: Collection[object], names: Sequence[str]) -> UsageFault:
    named = ", ".join(map(str, paths))
    if not names:
        return UsageFault(
            f"{named} has no amount but 0", fix="give a file with figures in it"
        )
    how = _how_named(names)
    return UsageFault(
        f"none of the customers of {named} is in the ledger"
        f"{how and f': they are {how}'}, such as {_some(names[:SHOWN])}",
        fix="give a file that names customers by Stripe's ids (cus_…), of this account",
    )


def _how_named(names: Sequence[str]) -> str:
    if names and all("@" in name for name in names):
        return message("named by e-mail, which the ledger does not keep")
    if names and not any(name.startswith("cus_") for name in names):
        return message("not named by Stripe's ids")
    return ""
