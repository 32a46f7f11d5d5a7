"""Sends the trail to its collectors: a thread for each, in order, at least once, beside everything else."""

import logging
import threading
from collections.abc import Callable, Mapping

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as Registered

from hub.app.audit.sinks import CollectorUnavailable, Contexts, EventRefused, Sink, sink_of
from hub.app.settings.atna import Atna
from hub.audit.forwarding import Forwarding
from hub.audit.model import Lag, Own
from hub.audit.retention import Retention
from hub.storage.engine import Database
from hub.values import now

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
_IDLE = 1.0  #: seconds between looks at the trail
_SWEEP_EVERY = 3600.0


class AuditForwarder:
    """A process's senders. Without destinations it does nothing; retention runs here as well."""

    def __init__(self, settings: Atna, database: Database, own: Callable[[], Own], context: Contexts) -> None:
        self.settings = settings
        names = [item.name for item in settings.destinations]
        self.forwarding = Forwarding(database, names)
        self.retention = Retention(database, settings.keep, names)
        self.sinks: Mapping[str, Sink] = {item.name: sink_of(item, own, context) for item in settings.destinations}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        self._stopping.clear()
        for item in self.settings.destinations:
            self.forwarding.open(item.name, history=item.history)
        self._threads = [
            threading.Thread(target=self._run, args=(item.name, item.batch), name=f"audit-to-{item.name}", daemon=True)
            for item in self.settings.destinations
        ]
        if self.settings.retain_days:
            self._threads.append(threading.Thread(target=self._sweeps, name="audit-retention", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End: what was not sent is sent after the next start."""
        if not self._threads:
            return
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout)
        self._threads = []
        if self.sinks:
            self.forwarding.release()

    def lags(self) -> list[Lag]:
        """How far each destination is behind; of what no longer is one nothing is said."""
        return self.forwarding.lags() if self.sinks else []

    def step(self, name: str, batch: int) -> bool:
        """Send one batch; False when there is nothing to send. Raises CollectorUnavailable."""
        for position, record in self.forwarding.again(name):
            try:
                self.sinks[name].send([record])
            except EventRefused as error:
                self.forwarding.tried_again(name, position, error.message)
            else:
                self.forwarding.tried_again(name, position)
        records = self.forwarding.next(name, batch)
        if not records:
            return False
        try:
            self.sinks[name].send([record for _, record in records])
        except EventRefused as error:
            if len(records) == 1:
                self.forwarding.failed(name, error.message, records[0][0])
            raise
        self.forwarding.sent(name, records[-1][0])
        return True

    def _run(self, name: str, batch: int) -> None:
        pause, size = _FIRST_PAUSE, batch
        while not self._stopping.is_set():
            try:
                more = self.step(name, size)
            except CollectorUnavailable as error:
                self._tell(name, error.message)
            except Exception:
                # Whatever it is, the records stay where they are: the next round tries again.
                log.exception("the audit trail can't be sent", extra={"destination": name})
                self._tell(name, "The hub failed; its log says how.")
            else:
                pause, size = _FIRST_PAUSE, min(size * 2, batch)
                if not more:
                    self._stopping.wait(_IDLE)
                continue
            self._stopping.wait(pause)
            # Fewer: what is too much at once for the collector gets there, and of one event that it will not take
            # the others before it do.
            pause, size = min(pause * 2, _LONGEST_PAUSE), max(size // 2, 1)

    def _tell(self, name: str, problem: str) -> None:
        log.warning("audit trail to %s: %s", name, problem)
        try:
            self.forwarding.failed(name, problem)
        except Exception:
            log.exception("the failure can't be noted", extra={"destination": name})

    def _sweeps(self) -> None:
        while not self._stopping.wait(_SWEEP_EVERY):
            try:
                gone = self.retention.sweep()
            except Exception:
                log.exception("retention of the audit trail failed; the next round tries again")
            else:
                if gone:
                    log.info("audit trail: %d records left after their time", gone)


class LagMetrics(Registered):
    """Prometheus gauges of the lags, asked when somebody looks."""

    def __init__(self, forwarder: AuditForwarder) -> None:
        self._forwarder = forwarder

    def describe(self) -> list[Metric]:
        """Nothing is known beforehand."""
        return []

    def collect(self) -> list[Metric]:
        """Records that wait for each destination, the age of the oldest, and what it would not take."""
        waiting = GaugeMetricFamily(
            "maillage_audit_waiting", "Audit records not yet sent, by destination.", labels=("destination",)
        )
        age = GaugeMetricFamily(
            "maillage_audit_lag_seconds", "Age of the oldest audit record not yet sent.", labels=("destination",)
        )
        aside = GaugeMetricFamily(
            "maillage_audit_aside", "Audit records that a destination would not take.", labels=("destination",)
        )
        for lag in self._forwarder.lags():
            aside.add_metric((lag.destination,), lag.aside)
            waiting.add_metric((lag.destination,), lag.waiting)
            seconds = (now() - lag.oldest).total_seconds() if lag.oldest is not None else 0.0
            age.add_metric((lag.destination,), max(seconds, 0.0))
        return [waiting, age, aside]
