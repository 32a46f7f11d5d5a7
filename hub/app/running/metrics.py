"""Prometheus metrics, in a registry of their own; no label ever holds a patient's data."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: ``messages`` and ``deliveries``: state -> how many; ``tasks``: kind -> how many
Counts = Callable[[], Mapping[str, Mapping[Any, int]]]


class PrometheusMetrics:
    """Counts and times of transactions; inbox, outbox and sources when somebody looks."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._transactions = Counter(
            "maillage_transactions_total",
            "Transactions by id and outcome (success, or the error's code).",
            ("transaction", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "maillage_transaction_seconds",
            "Time from the received message to the head of the answer.",
            ("transaction",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._version = version

    def transaction(self, transaction_id: str, outcome: str, seconds: float) -> None:
        """Count one transaction."""
        self._transactions.labels(transaction_id, outcome).inc()
        self._seconds.labels(transaction_id).observe(seconds)

    def observe(self, counts: Counts, sources: Callable[[], Mapping[str, str]]) -> None:
        """Look at the exchange's counts and the sources (name -> kind) at every scrape."""
        self.registry.register(_State(counts, sources, self._version))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _State(Collector):
    def __init__(self, counts: Counts, sources: Callable[[], Mapping[str, str]], version: str) -> None:
        self._counts = counts
        self._sources = sources
        self._version = version

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        counts = self._counts()
        for kind, name, text in (
            ("messages", "maillage_inbox_messages", "Messages in the inbox by state."),
            ("deliveries", "maillage_outbox_deliveries", "Deliveries in the outbox by state."),
        ):
            gauge = GaugeMetricFamily(name, text, labels=("state",))
            for state, number in counts.get(kind, {}).items():
                gauge.add_metric((str(state),), number)
            yield gauge
        tasks = GaugeMetricFamily("maillage_steward_tasks", "Questions that wait for a steward.", labels=("kind",))
        for kind, number in counts.get("tasks", {}).items():
            tasks.add_metric((str(kind),), number)
        yield tasks
        sources = GaugeMetricFamily("maillage_source", "Configured sources.", labels=("source", "kind"))
        for source, kind in self._sources().items():
            sources.add_metric((source, kind), 1)
        yield sources
        information = GaugeMetricFamily("maillage_build", "The running version.", labels=("version",))
        information.add_metric((self._version,), 1)
        yield information
