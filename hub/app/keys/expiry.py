"""What ends: certificates and revocation lists that the settings name, told before it happens."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.access.model import EXPIRY_TOLD
from hub.app.keys.certificates import Certificates, every_file
from hub.app.settings.model import Settings
from hub.errors import HubError
from hub.values import now
from hub.wire.x509.revocation import read_lists

log = logging.getLogger(__name__)

LIST_TOLD = timedelta(hours=12)  #: lists live for days: so long before its end a new one should be there


@dataclass(frozen=True, slots=True)
class End:
    """One thing that ends. ``name``: of the setting, or of a configured system."""

    what: str
    name: str
    at: datetime


def ends(settings: Settings) -> Iterator[End]:
    """Every certificate and list in the files that the settings name; what can't be read is left out."""
    if settings.tls.certificate is not None:
        yield from _certificates("own certificate", settings.tls.certificate, only=1)
    for file in every_file(settings):
        yield from _certificates("authority", file)
    for file in settings.tls.crls:
        try:
            lists = read_lists(file.read_bytes())
        except (OSError, HubError):
            continue
        yield from (End("revocation list", file.name, crl.next_update_utc) for crl in lists if crl.next_update_utc)


def _certificates(what: str, file: Path, only: int | None = None) -> Iterator[End]:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())[:only]
    except (OSError, ValueError):
        return
    yield from (End(what, file.name, certificate.not_valid_after_utc) for certificate in found)


def warnings(settings: Settings, at: datetime) -> Iterator[str]:
    """What has ended, and what ends soon."""
    for end in ends(settings):
        day = end.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
        soon = LIST_TOLD if end.what == "revocation list" else EXPIRY_TOLD
        if end.at < at:
            yield f"{end.name}: the {end.what} ended on {day}."
        elif end.at - at <= soon:
            yield f"{end.name}: the {end.what} ends on {day}: put a new one in its place."


class Watch:
    """Tells in the log what ends, once a day."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self.settings = settings
        self._clock = clock
        self._told = ""

    def tell(self) -> None:
        """Once a day, however often it is called."""
        at = self._clock()
        if self._told != at.date().isoformat():
            self._told = at.date().isoformat()
            for warning in warnings(self.settings, at):
                log.warning("%s", warning)


class Ends(Collector):
    """Their ends as a metric, in seconds since 1970; systems' own certificates once they have called."""

    def __init__(self, certificates: Certificates) -> None:
        self.certificates = certificates

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before somebody scrapes."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The metric."""
        family = GaugeMetricFamily(
            "maillage_certificate_end_seconds",
            "When certificates and revocation lists end (Unix time): the hub's own, authorities', systems'.",
            labels=("kind", "name"),
        )
        soonest: dict[tuple[str, str], datetime] = {}
        for end in ends(self.certificates.settings):
            key = (end.what, end.name)
            soonest[key] = min(end.at, soonest.get(key, end.at))
        soonest |= {("client", name): at for name, at in [*self.certificates.shown.items()]}
        for key, at in soonest.items():
            family.add_metric(key, at.timestamp())
        yield family
