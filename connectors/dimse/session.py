"""Associations to one PACS: at most so many at a time, not too quickly, and errors in the connector's own words."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator, Sequence

from connectors.dimse.config import DimseConfig
from hub.connector.contract import ConnectorError, SourceLied, SourceMisconfigured, SourceUnavailable
from hub.errors import HubError, Malformed, Unavailable
from hub.wire.dimse.association import Association
from hub.wire.dimse.client import OperationFailed
from hub.wire.dimse.errors import AssociationRejected, NoContext
from hub.wire.dimse.pdu import Proposal
from hub.wire.lines import Lines

_UNKNOWN_DESTINATION = 0xA801
_OUT_OF_RESOURCES = range(0xA700, 0xA800)


class Peer:
    """One PACS."""

    def __init__(self, name: str, config: DimseConfig, calling: str) -> None:
        self.name = name
        self.config = config
        self.calling = calling
        self._slots = threading.BoundedSemaphore(max(1, config.max_connections))
        self._pace = threading.Lock()
        self._last = 0.0
        self._tls = _tls(config)
        self._lines = Lines()

    def close(self) -> None:
        """No new associations from now on; running ones are cut."""
        self._lines.cut()

    @contextlib.contextmanager
    def association(self, proposals: Sequence[Proposal], deadline: float) -> Iterator[Association]:
        """An association within the limits. Raises ConnectorError."""
        if self._lines.cut_off:
            raise SourceUnavailable("The source is closed.", source=self.name)
        if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise SourceUnavailable("All connections to the source are in use.", source=self.name)
        try:
            with self.translated():
                self._wait()
                with (
                    self._lines.line() as line,
                    Association.request(
                        (self.config.host, self.config.port),
                        called=self.config.ae_title,
                        calling=self.calling,
                        proposals=proposals,
                        idle=self.config.timeout,
                        deadline=deadline,
                        tls=self._tls,
                        dial=line.connect,
                    ) as association,
                ):
                    yield association
        finally:
            self._slots.release()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the wire as ConnectorErrors."""
        try:
            yield
        except ConnectorError:
            raise
        except HubError as error:
            raise self._translate(error) from error

    def _translate(self, error: HubError) -> ConnectorError:
        kind: type[ConnectorError]
        if isinstance(error, Unavailable):
            kind = SourceUnavailable
        elif isinstance(error, OperationFailed):
            kind = _kind_of(error.status)
        elif isinstance(error, AssociationRejected | NoContext):
            kind = SourceMisconfigured
        elif isinstance(error, Malformed):
            kind = SourceLied
        else:
            kind = ConnectorError
        return kind(error.message, source=self.name)

    def _wait(self) -> None:
        if not self.config.min_interval_ms:
            return
        with self._pace:
            pause = self._last + self.config.min_interval_ms / 1000 - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self._last = time.monotonic()


def _kind_of(status: int) -> type[ConnectorError]:
    if status == _UNKNOWN_DESTINATION:
        return SourceMisconfigured
    return SourceUnavailable if status in _OUT_OF_RESOURCES else ConnectorError


def _tls(config: DimseConfig) -> ssl.SSLContext | None:
    if config.tls_ca is None:
        return None
    context = ssl.create_default_context(cafile=str(config.tls_ca))
    if config.tls_certificate is not None:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    return context
