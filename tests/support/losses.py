"""Losses that are known, added up."""

from collections.abc import Iterable

from connector.core.losses import Loss
from connector.metrics.churn import LossCounter, LossTable


def added_up(losses: Iterable[tuple[Loss, str]]) -> LossTable:
    """Each with its segment."""
    counter = LossCounter()
    for loss, segment in losses:
        day, end = loss.day.toordinal(), loss.part.cancellation
        counter.add(day, segment, loss.kind, loss.shares, end)
    return counter.table()
