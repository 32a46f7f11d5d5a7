"""What a connector to an institution's system fulfils: small protocols by capability, checked by the conformance kit.

A connector package offers one :class:`Manifest` named ``MANIFEST`` through the entry point group
``maillage.connectors``. The hub reads its configuration with the manifest's pydantic model, calls ``open`` once per
configured source, and uses whatever capability protocols the returned object fulfils. A connector translates; it
decides nothing, keeps nothing and never retries by itself. Every failure is a :class:`ConnectorError`.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import Queue
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from hub.errors import Category, PeerRefused, Unavailable
from hub.imaging.model import InstanceRequest, PassedThrough, RetrievedInstance, Study

ENTRY_POINTS = "maillage.connectors"


class Capability(StrEnum):
    """What a source can do for the hub."""

    FIND_STUDIES = "find-studies"
    DESCRIBE_STUDY = "describe-study"
    RETRIEVE_INSTANCES = "retrieve-instances"
    METADATA = "metadata"
    PASS_THROUGH = "pass-through"  # noqa: S105 - no password
    NATIONAL_RECORD = "national-record"  #: hub.connector.record
    STORE_INSTANCES = "store-instances"


class Level(StrEnum):
    """How well a connector does it."""

    FULL = "full"
    PARTIAL = "partial"  #: works, with limits that the manifest's notes tell
    NONE = "none"


class ConnectorConfig(BaseModel):
    """Base of every connector's settings: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: float = 30.0  #: seconds that the source may stay silent
    max_connections: int = 4


class ConnectorError(PeerRefused):
    """The source refused or failed; the same request would be refused again."""

    code = "source-refused"
    title = "The source refused the request."


class SourceUnavailable(Unavailable, ConnectorError):
    """The source is down or too slow; later may work."""

    code = "source-unavailable"
    title = "The source does not answer."


class SourceMisconfigured(ConnectorError):
    """An operator must change something: wrong AE title, unknown destination, refused certificate."""

    code = "source-misconfigured"
    category = Category.CONFIGURATION
    title = "The source and the hub are not configured for each other."


class SourceLied(ConnectorError):
    """The source's answer contradicts itself: fewer objects than it said, other identifiers than asked for."""

    code = "source-inconsistent"
    title = "The source's answer is inconsistent."


class SourceAnswerTooLarge(SourceLied):
    """The source's answer is larger than the source's settings allow: it ignores limits, or the limit is too low."""

    code = "source-answer-too-large"
    title = "The source's answer is larger than its settings allow."


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a connector's self-test."""

    name: str
    passed: bool
    detail: str
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """What a source is asked for. An empty criterion does not restrict; a source that ignores one is filtered again."""

    patient_ids: tuple[str, ...] = ()
    study_instance_uid: str = ""
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    started_from: str = ""  #: YYYYMMDD inclusive
    started_to: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    keys: tuple[tuple[str, str], ...] = ()  #: further matching keys by keyword: wildcards, ranges
    limit: int = 200


class CutShort(list[Study]):
    """What ``find_studies`` returns instead of a plain sequence when the source may hold more than these: its own limit
    or the question's was reached, before what does not match was left out."""


@runtime_checkable
class Connector(Protocol):
    """What every connector has. ``name`` is the configured source's name."""

    name: str

    def check(self) -> Sequence[Check]:
        """Try the connection step by step; never raises."""
        ...

    def close(self) -> None:
        """Let go of everything; later calls raise SourceUnavailable."""
        ...


@runtime_checkable
class FindsStudies(Protocol):
    """FIND_STUDIES: study-level search (QIDO-RS, C-FIND)."""

    def find_studies(self, query: StudyQuery, *, timeout: float) -> Sequence[Study]:
        """Matching studies without their series; CutShort when there may be more. Raises ConnectorError."""
        ...


@runtime_checkable
class DescribesStudy(Protocol):
    """DESCRIBE_STUDY: everything that the index and the manifest need, down to the instances."""

    def describe_study(self, study_instance_uid: str, *, timeout: float) -> Study | None:
        """The study with all its series and instances; None when the source does not hold it."""
        ...


@runtime_checkable
class RetrievesInstances(Protocol):
    """RETRIEVE_INSTANCES: Part 10 files, streamed one after the other (WADO-RS, C-GET, C-MOVE)."""

    def retrieve(
        self, request: InstanceRequest, transfer_syntaxes: Sequence[str], *, timeout: float
    ) -> Iterator[RetrievedInstance]:
        """Instances of a study, a series, or one instance. Each one's chunks are read before the next is asked for."""
        ...


@runtime_checkable
class GivesMetadata(Protocol):
    """METADATA: DICOM JSON without bulk data."""

    def metadata(self, request: InstanceRequest, *, timeout: float) -> Iterator[Mapping[str, Any]]:
        """One DICOM JSON object per instance (PS3.18: F)."""
        ...


@runtime_checkable
class PassesThrough(Protocol):
    """PASS_THROUGH: frames, rendered images and bulk data as the source serves them."""

    def pass_through(
        self, request: InstanceRequest, path: str, query: Sequence[tuple[str, str]], accept: str, *, timeout: float
    ) -> PassedThrough:
        """The answer to ``.../instances/{uid}/{path}``."""
        ...


@runtime_checkable
class StoresInstances(Protocol):
    """STORE_INSTANCES: objects are added to the archive (STOW-RS, C-STORE)."""

    def store(self, file: Path, *, timeout: float) -> None:
        """One Part 10 file, as it is; an object that the archive holds already is no error. Raises ConnectorError."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """What the hub lends a connector: its own AE title, where a C-MOVE may deliver to."""

    ae_title: str = "MAILLAGE"
    receive: "MoveDestination | None" = None


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A Part 10 file that the hub's own C-STORE SCP received. Who takes it deletes it."""

    path: Path
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Deliverer:
    """Who may bring what a C-MOVE asked for: an AE title proves nothing, so it is known by where it is.

    ``hosts``: host names, addresses, and networks such as 10.1.0.0/16."""

    source: str
    hosts: tuple[str, ...]

    def is_at(self, address: str) -> bool:
        """Whether an address is one of the deliverer's. A name is looked up each time: it may move."""
        try:
            peer = _plain(ipaddress.ip_address(address))
        except ValueError:
            return False
        return any(peer in network for host in self.hosts for network in _networks(host))


def _networks(host: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        yield ipaddress.ip_network(host, strict=False)
    except ValueError:
        with contextlib.suppress(OSError, UnicodeError):  # a name that nobody knows is nobody's
            for *_, place in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
                yield ipaddress.ip_network(_plain(ipaddress.ip_address(str(place[0]).partition("%")[0])))


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that came in IPv6 form, as IPv4."""
    return getattr(address, "ipv4_mapped", None) or address


class MoveDestination(Protocol):
    """The hub's own C-STORE SCP, lent to connectors whose peer can only C-MOVE."""

    ae_title: str

    def expect(
        self, study_instance_uid: str, deliverer: Deliverer, *, timeout: float
    ) -> AbstractContextManager["Queue[ReceivedFile]"]:
        """While the context is open, files of the study that the deliverer brings go to the queue; what is left in it
        is deleted.

        One at a time for each study: a second one waits, and raises SourceUnavailable after ``timeout`` seconds."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a connector package says about itself."""

    kind: str  #: "dicomweb", as in ``kind = "dicomweb"`` of the settings
    title: str
    config: type[ConnectorConfig]
    open: Callable[[str, Any, Environment], Connector]
    capabilities: Mapping[Capability, Level]
    notes: tuple[str, ...] = ()
