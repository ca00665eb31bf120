"""The server's counters and the ledger's figures, as Prometheus reads them."""

from collections.abc import Iterable
from functools import partial
from typing import TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from connector.core.text import printable
from connector.webhooks.headlines import HeadlineFigures
from connector.webhooks.health import Health

CONTENT_TYPE = CONTENT_TYPE_LATEST
M = TypeVar("M", Counter, Gauge, Histogram)
# A second series for each counter, of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class ServerMetrics:
    """What this process has counted; gauges are set when they are asked for.

    Of ``several`` accounts each series has a label that says whose it is.
    """

    def __init__(self, *, several: bool = False) -> None:
        own = self._own = ["account"] if several else []
        self._registry = CollectorRegistry(auto_describe=True)
        self._events = Counter(
            "stripe_nrr_events",
            "Webhook events by type and what became of them; without a type, refused "
            "requests.",
            [*own, "type", "outcome"],
            registry=self._registry,
        )
        self._recompute = Histogram(
            "stripe_nrr_recompute_seconds",
            "How long deriving the customers of one batch took.",
            own,
            buckets=SECONDS,
            registry=self._registry,
        )
        self._gauges = {
            name: Gauge(
                f"stripe_nrr_{name}", text, [*own, *labels], registry=self._registry
            )
            for name, text, labels in (
                ("ready", "1 where /readyz says 200.", []),
                ("inbox_waiting", "Events that wait, failing ones included.", []),
                ("inbox_failing", "Events that failed and will be tried again.", []),
                ("inbox_dead", "Events given up on: see `stripe-nrr inbox`.", []),
                ("inbox_oldest_seconds", "How long the oldest untried waits.", []),
                (
                    "last_sync_timestamp_seconds",
                    "Until when the last sync knew all that Stripe told.",
                    [],
                ),
                ("mrr_minor", "MRR, in minor units a month.", ["currency"]),
                (
                    "trailing_12_nrr_ratio",
                    "Net revenue retention of the last twelve months that are over.",
                    ["currency"],
                ),
                (
                    "trailing_12_grr_ratio",
                    "Gross revenue retention of the last twelve months that are over.",
                    ["currency"],
                ),
            )
        }

    def count(self, event_type: str, outcome: str, account: str = "") -> None:
        self._at(self._events, account, printable(event_type), outcome).inc()

    def timed(self, seconds: float, account: str = "") -> None:
        self._at(self._recompute, account).observe(seconds)

    def exposition(
        self, health: Health, figures: Iterable[HeadlineFigures], account: str = ""
    ) -> bytes:
        """Prometheus' text; of several accounts, with all that were told before."""
        gauges = {
            name: partial(self._at, gauge, account)
            for name, gauge in self._gauges.items()
        }
        gauges["ready"]().set(not health.problems)
        gauges["inbox_waiting"]().set(health.depth.waiting)
        gauges["inbox_failing"]().set(health.depth.failing)
        gauges["inbox_dead"]().set(health.depth.dead)
        gauges["inbox_oldest_seconds"]().set(health.lag_s)
        synced_s = (health.synced_us or 0) // 1_000_000
        gauges["last_sync_timestamp_seconds"]().set(synced_s)
        for name in ("mrr_minor", "trailing_12_nrr_ratio", "trailing_12_grr_ratio"):
            self._forget(self._gauges[name], account)
        for each in figures:
            gauges["mrr_minor"](each.currency).set(each.mrr_minor)
            if each.nrr is not None and each.grr is not None:
                gauges["trailing_12_nrr_ratio"](each.currency).set(float(each.nrr))
                gauges["trailing_12_grr_ratio"](each.currency).set(float(each.grr))
        return generate_latest(self._registry)

    def _at(self, metric: M, account: str, *labels: str) -> M:
        values = (*([account] if self._own else []), *labels)
        return metric.labels(*values) if values else metric

    def _forget(self, gauge: Gauge, account: str) -> None:
        """What was told of this account: a currency may be gone."""
        if self._own:
            gauge.remove_by_labels({"account": account})
        else:
            gauge.clear()
