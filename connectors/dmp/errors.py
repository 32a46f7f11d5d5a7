"""What the record says -> the hub's errors. Codes that no public text gives are those that the simulator uses."""

from collections.abc import Iterable, Mapping

from hub.connector.contract import ConnectorError, SourceMisconfigured, SourceUnavailable
from hub.connector.record import (
    NoRecord,
    RecordCertificateRefused,
    RecordClosed,
    RecordHasIt,
    RecordMetadataUnfit,
    RecordNotAuthorised,
    RecordOpposed,
    RecordRefused,
)
from hub.wire.ebxml.errors import RegistryProblem
from hub.wire.ebxml.names import ERROR

CODES: Mapping[str, type[ConnectorError]] = {
    "DMPInvalidCertificate": RecordCertificateRefused,
    "DMPInvalidSignature": RecordCertificateRefused,
    "DMPInvalidVIHF": SourceMisconfigured,
    "DMPNotFound": NoRecord,
    "DMPClosedRecord": RecordClosed,
    "DMPPatientOpposition": RecordOpposed,
    "DMPAccessDenied": RecordNotAuthorised,
    "DMPNotAuthorized": RecordNotAuthorised,
    "XDSUnknownPatientId": NoRecord,
    "XDSDuplicateUniqueIdInRegistry": RecordHasIt,
    "XDSRegistryDuplicateUniqueIdInMessage": RecordHasIt,
    "XDSRepositoryDuplicateUniqueIdInMessage": RecordHasIt,
    "XDSRegistryMetadataError": RecordMetadataUnfit,
    "XDSRepositoryMetadataError": RecordMetadataUnfit,
    "InvalidDocumentContent": RecordMetadataUnfit,
    "XDSRegistryBusy": SourceUnavailable,
    "XDSRepositoryBusy": SourceUnavailable,
    "XDSRegistryNotAvailable": SourceUnavailable,
}


def refusal(code: str) -> ConnectorError:
    """The error for a code of the record. Only codes are passed on: its sentences may name the person."""
    kind = CODES.get(code, RecordRefused)
    safe = "".join(letter for letter in code if letter.isalnum() or letter in "_-.")[:64]
    return kind(f"{kind.title.removesuffix('.')} ({safe}).", told=safe)


def said(problems: Iterable[RegistryProblem]) -> ConnectorError:
    """The error of an answer that is no success: the first row that is an error."""
    rows = sorted(problems, key=lambda row: row.severity != ERROR)
    return refusal(rows[0].code) if rows else RecordRefused("The national record did not say why it refused.")
