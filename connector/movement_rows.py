"""Movements, and their sums by segment, as other programs read them: JSON and CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from connector.model import Kind, Movement
from connector.money import major
from connector.periods import iso
from connector.segments import Moved


def as_json(movement: Movement) -> dict[str, Any]:
    """A movement as other programs read it."""
    return {
        "customer": movement.customer,
        "currency": movement.currency,
        "day": movement.day.isoformat(),
        "kind": movement.kind.value,
        "amount_minor": movement.amount_minor,
        "before_minor": movement.before_minor,
        "after_minor": movement.after_minor,
        "components": [
            {
                "cause": part.cause.value,
                "amount_minor": part.amount_minor,
                "subscription": part.subscription,
                "item": part.item,
                "price": part.price,
                "evidence": [
                    {"kind": proof.kind, "id": proof.id, "at": iso(proof.at_s)}
                    for proof in part.evidence
                ],
            }
            for part in movement.components
        ],
    }


def movements_csv(found: Iterable[Movement]) -> str:
    """A row a movement; amounts in whole units of the currency, signed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["day", "customer", "currency", "kind", "amount", "before", "after", "causes"]
    )
    for each in found:
        sums = (each.amount_minor, each.before_minor, each.after_minor)
        amounts = [major(minor, each.currency) for minor in sums]
        causes = " ".join(dict.fromkeys(part.cause for part in each.components))
        row = [each.day, each.customer, each.currency, each.kind, *amounts, causes]
        writer.writerow(row)
    return out.getvalue()


def sum_json(moved: Moved) -> dict[str, Any]:
    """A segment's movements added up; contraction and churn are negative."""
    return {
        "currency": moved.currency,
        "segment": moved.segment,
        "movements": moved.movements,
        **{f"{kind}_minor": moved.amounts_minor[kind] for kind in Kind},
    }


def sums_csv(sums: Iterable[Moved]) -> str:
    """A row a segment; amounts in whole units of the currency, signed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["currency", "segment", "movements", *Kind])
    for each in sums:
        amounts = [major(each.amounts_minor[kind], each.currency) for kind in Kind]
        writer.writerow([each.currency, each.segment, each.movements, *amounts])
    return out.getvalue()
