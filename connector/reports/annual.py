"""The same report a year: every amount times twelve."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from connector.metrics.contributions import Share
from connector.reports.model import Report


def annual(report: Report) -> Report:
    """The same report in ARR: every amount times twelve, every ratio as it was."""
    return replace(
        report,
        currencies=_times_twelve(report.currencies),
        total=_times_twelve(report.total),
        is_annual=True,
    )


def _times_twelve(value: Any, name: str = "") -> Any:
    """All that is an amount by its name, however deep it stands."""
    if isinstance(value, Share):
        customers = tuple((key, minor * 12) for key, minor in value.customers)
        return Share(value.cause, value.amount_minor * 12, customers, value.number)
    if isinstance(value, Struct):
        return replace(value, **_each_times_twelve(asdict(value)))
    if hasattr(value, "_replace"):  # a tuple with names
        return value._replace(**_each_times_twelve(value._asdict()))
    if isinstance(value, tuple):
        return tuple(map(_times_twelve, value))
    return value * 12 if name.endswith("_minor") else value


def _each_times_twelve(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _times_twelve(value, name) for name, value in fields.items()}
