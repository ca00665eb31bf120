"""A reconciliation as JSON and CSV, for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from connector.reconcile.model import DifferingCell, MonthBridge, Reconciliation
from connector.render.bridge.causes import words
from connector.render.csv_table import csv_text
from connector.render.table import Money


def to_json(found: Sequence[Reconciliation]) -> dict[str, Any]:
    return {"reconciliations": [_reconciliation(each) for each in found]}


def _reconciliation(done: Reconciliation) -> dict[str, Any]:
    return {
        "kind": done.kind.name.lower(),
        "files": [
            {
                "name": each.name,
                "lines": each.lines,
                "amounts": "minor" if each.is_minor else "major",
                "because": each.because,
                "ignored": list(each.ignored),
            }
            for each in done.files
        ],
        "from": done.start.isoformat(),
        "to": done.end.isoformat(),
        "timezone": done.timezone,
        "their_timezone": done.their_timezone,
        "rules": dict(done.rules),
        "preset": done.preset,
        "tried": [each._asdict() for each in done.tried],
        "customers": done.customers,
        "compared": done.compared,
        "differing": done.differing,
        "unexplained": done.unexplained,
        "months": [_month(each) for each in done.months],
        "cells": [_cell(each) for each in done.cells],
        "left_out": done.left_out,
        "notes": list(done.notes),
    }


def _month(month: MonthBridge) -> dict[str, Any]:
    return {
        "currency": month.currency,
        "month": f"{month.month:%Y-%m}",
        "ours_minor": month.ours_minor,
        "theirs_minor": month.theirs_minor,
        "causes": [
            {"cause": cause.value, "detail": detail, "amount_minor": minor}
            for (cause, detail), minor in month.parts.items()
        ],
    }


def _cell(cell: DifferingCell) -> dict[str, Any]:
    return {
        "customer": cell.customer.id,
        "label": cell.customer.label,
        "currency": cell.currency,
        "day": cell.day.isoformat(),
        "ours_minor": cell.ours_minor,
        "theirs_minor": cell.theirs_minor,
        "gap_minor": cell.gap_minor,
        "causes": [
            {
                "cause": part.cause.value,
                "detail": part.detail,
                "note": part.note,
                "amount_minor": part.amount_minor,
            }
            for part in cell.parts
        ],
    }


_HEADS = (
    *("kind", "customer", "label", "currency", "day", "ours", "theirs", "gap"),
    *("cause", "in_words", "note", "amount"),
)


def to_csv(found: Sequence[Reconciliation]) -> str:
    """A line a cell and cause, unexplained ones first; a cell's amounts add up to it."""
    return csv_text(_HEADS, (row for each in found for row in _rows(each)))


def _rows(done: Reconciliation) -> Iterator[Sequence[object]]:
    for cell in done.cells:
        for part in cell.parts:
            yield (
                done.kind.name.lower(),
                cell.customer.id,
                cell.customer.label,
                cell.currency,
                cell.day,
                Money(cell.ours_minor, cell.currency),
                Money(cell.theirs_minor, cell.currency),
                Money(cell.gap_minor, cell.currency),
                part.cause.value,
                words(part.cause, part.detail),
                part.note,
                Money(part.amount_minor, cell.currency),
            )
