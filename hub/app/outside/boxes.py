"""Other DRIMboxes, as sources of images: WADO-RS over mutual TLS with the reader's token and the manifest's number.

Nothing is asked of a host that is not a source of the signed list at that moment, wherever a manifest points to."""

import contextlib
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from urllib.parse import urlsplit

from hub.app.doors.trust_list import TrustList
from hub.app.keys.tls import calling_context
from hub.app.settings.drimbox import Drimbox
from hub.connector.contract import Check, ConnectorError, SourceLied, SourceMisconfigured, SourceUnavailable
from hub.drimbox.remote_errors import RemoteGone, RemoteNotTrusted, RemoteTokenRefused, RemoteUnknown
from hub.errors import AccessDenied, HubError, Invalid, Malformed, NotAuthenticated, NotFound, Unavailable
from hub.imaging.manifest import Manifest
from hub.imaging.model import InstanceRequest, RetrievedInstance, SourceState, SourceStatus, Study
from hub.values import Uid
from hub.wire.dicom_head import peek
from hub.wire.dicomweb.client import CertificateRefused, DicomwebClient, Roots
from hub.wire.drimbox import MANIFEST_HEADER

_ROOT = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
_MOST_CLIENTS = 64
#: A session's token -> the professional's access token at the provider. Raises SessionEnded, ProviderUnavailable.
Tokens = Callable[[str], str]


class Boxes:
    """See ``hub.drimbox.remote.Boxes``."""

    def __init__(self, settings: Drimbox, trusted: TrustList, tokens: Tokens) -> None:
        self.settings = settings
        self.trusted = trusted
        self.tokens = tokens
        self.accept = ", ".join(
            f'multipart/related; type="application/dicom"; transfer-syntax={syntax}' for syntax in settings.accept
        )
        self._lock = Lock()
        self._tls: ssl.SSLContext | None = None
        self._clients: dict[str, DicomwebClient] = {}

    def source(self, name: str, study: Study, manifest: Manifest, session: str) -> "BoxConnector":
        """A connector that asks for one study, with the token of this session."""
        return BoxConnector(self, name, study, manifest, session)

    def look(self, manifest: Manifest, session: str) -> tuple[SourceStatus, ...]:
        """What each box says when it is asked for one image."""
        study = Study(Uid(manifest.study_instance_uid), "")
        connector = self.source("look", study, manifest, session)
        found: dict[str, SourceStatus] = {}
        for series in manifest.series:
            host = host_of(series.retrieve_url)
            if host in found or not series.instances:
                continue
            request = InstanceRequest(
                manifest.study_instance_uid, series.series_instance_uid, series.instances[0][1]
            )  # fmt: skip
            started = time.monotonic()
            try:
                pieces = sum(len(piece) for item in connector.retrieve(request, ("*",), timeout=self.settings.timeout)
                             for piece in item.chunks)  # fmt: skip
                if not pieces:
                    raise RemoteUnknown()
                state, reason = SourceState.ANSWERED, ""
            except NotAuthenticated:  # the session's own end, at the provider
                raise
            except HubError as error:
                state, reason = SourceState.FAILED, error.title if isinstance(error, ConnectorError) else error.message
            took = int((time.monotonic() - started) * 1000)
            found[host] = SourceStatus(host or "?", state, int(not reason), took, reason)
        return tuple(found.values())

    def client(self, url: str, study: str, series: str) -> DicomwebClient:
        """The client to where a series is. Raises RemoteNotTrusted."""
        domain = self.trusted.source_of(url)
        if domain is None:
            raise RemoteNotTrusted()
        parts = urlsplit(url)
        root = parts.path.rstrip("/")
        for tail in (f"/series/{series}", f"/studies/{study}"):
            root = root.removesuffix(tail)
        if parts.query or parts.fragment or not _ROOT.fullmatch(root):
            raise RemoteNotTrusted("The address of the images is not one of WADO-RS.")
        base = f"https://{domain.source}{root}"
        with self._lock:
            if self._tls is None:
                own, authorities = self.settings, self.settings.source_authorities or self.settings.operators
                self._tls = calling_context(own.certificate, own.key, authorities)
            if base not in self._clients:
                while len(self._clients) >= _MOST_CLIENTS:
                    self._clients.pop(next(iter(self._clients))).close()
                self._clients[base] = DicomwebClient(
                    Roots(base, base),
                    tls=self._tls,
                    max_connections=self.settings.max_connections,
                    timeout=self.settings.timeout,
                )
            return self._clients[base]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            while self._clients:
                self._clients.popitem()[1].close()


class BoxConnector:
    """One study, as its boxes give it to one reader."""

    def __init__(self, boxes: Boxes, name: str, study: Study, manifest: Manifest, session: str) -> None:
        self.name = name
        self._boxes = boxes
        self._study = study
        self._manifest = manifest
        self._session = session
        self._urls = {series.series_instance_uid: series.retrieve_url for series in manifest.series}

    def check(self) -> Sequence[Check]:
        """Nobody configured it: there is nothing to test."""
        return ()

    def close(self) -> None:
        """Its connections are the boxes'."""

    def describe_study(self, study_instance_uid: str, *, timeout: float) -> Study | None:  # noqa: ARG002
        """What the manifest says."""
        return self._study if study_instance_uid == self._manifest.study_instance_uid else None

    def retrieve(
        self,
        request: InstanceRequest,
        transfer_syntaxes: Sequence[str],  # noqa: ARG002
        *,
        timeout: float,
    ) -> Iterator[RetrievedInstance]:
        """Part 10 files as they arrive. Raises ConnectorError, SessionEnded, ProviderUnavailable."""
        wanted = [request.series_instance_uid] if request.series_instance_uid else list(self._urls)
        for series in wanted:
            yield from self._series(series, request.sop_instance_uid, timeout)

    def _series(self, series: str, instance: str, timeout: float) -> Iterator[RetrievedInstance]:
        study = self._manifest.study_instance_uid
        client = self._boxes.client(self._urls.get(series, ""), study, series)
        path = f"/studies/{study}/series/{series}" + (f"/instances/{instance}" if instance else "")
        headers = {
            "Authorization": f"Bearer {self._boxes.tokens(self._session)}",
            MANIFEST_HEADER: self._manifest.sop_instance_uid,
        }
        with _translated():
            for chunks in client.instances(path, (), timeout=timeout, headers=headers, accept=self._boxes.accept):
                head, whole = peek(chunks)
                if (head.study_instance_uid, head.series_instance_uid) != (study, series):
                    raise SourceLied("The source sent an object of another study.")
                yield RetrievedInstance(
                    head.study_instance_uid,
                    head.series_instance_uid,
                    head.sop_instance_uid,
                    head.sop_class_uid,
                    head.transfer_syntax,
                    _watched(whole),
                    self.name,
                )


#: What the client raises -> what it means here: never the caller's own 401.
_MEANS: Mapping[type[HubError], type[ConnectorError]] = {
    CertificateRefused: SourceMisconfigured,
    NotAuthenticated: RemoteTokenRefused,
    AccessDenied: RemoteTokenRefused,
    NotFound: RemoteUnknown,
    Unavailable: SourceUnavailable,
    Malformed: SourceLied,
    Invalid: SourceLied,
}


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ConnectorError:
        raise
    except HubError as error:
        if error.context.get("status") == "410":
            raise RemoteGone() from error
        kind = next((meant for raised, meant in _MEANS.items() if isinstance(error, raised)), ConnectorError)
        raise kind() from error


def _watched(chunks: Iterator[bytes]) -> Iterator[bytes]:
    with _translated():
        yield from chunks


def host_of(url: str) -> str:
    """The host of an address as a person may read it, "" for what is none."""
    try:
        return (urlsplit(url).hostname or "")[:253]
    except ValueError:
        return ""
