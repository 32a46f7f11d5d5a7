"""Which XDS error code each error of the hub has, and the error list that says so (ITI TF-3: 4.2.4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from hub.documents import errors as documents
from hub.errors import HubError, Invalid, Misconfigured, NotFound, TooLarge, Unavailable, lookup
from hub.federation.errors import CommunityError
from hub.imaging.errors import TransferSyntaxNotPossible, UnknownImagingSource
from hub.wire.ebxml.names import ERROR, WARNING, rs
from hub.wire.xml import Element


class ImagingRequestError(Invalid):
    """XDSIRequestError: a request for images lacks a study, a series, a document, or one of their identifiers."""

    code = "imaging-request-error"
    title = "The request for images is incomplete."


@dataclass(frozen=True, slots=True)
class XdsCode:
    """An error code as a registry says it, and as a repository or imaging document source does ("" : the same)."""

    registry: str
    repository: str = ""


CODES: Mapping[type[HubError], XdsCode] = {
    HubError: XdsCode("XDSRegistryError", "XDSRepositoryError"),
    NotFound: XdsCode("XDSRegistryError", "XDSDocumentUniqueIdError"),
    Unavailable: XdsCode("XDSRegistryBusy", "XDSRepositoryError"),
    Misconfigured: XdsCode("XDSRegistryError", "XDSRepositoryError"),
    TooLarge: XdsCode("XDSRegistryOutOfResources", "XDSRepositoryOutOfResources"),
    ImagingRequestError: XdsCode("XDSIRequestError"),
    UnknownImagingSource: XdsCode("XDSUnknownRepositoryId"),
    TransferSyntaxNotPossible: XdsCode("urn:dicom:wado:0007"),  # RAD TF-2: 4.69 takes those of WADO-WS
    documents.DocumentError: XdsCode("XDSRegistryError", "XDSRepositoryError"),
    documents.RegistryError: XdsCode("XDSRegistryError"),
    documents.RepositoryError: XdsCode("XDSRepositoryError"),
    documents.RegistryMetadataError: XdsCode("XDSRegistryMetadataError"),
    documents.RepositoryMetadataError: XdsCode("XDSRepositoryMetadataError"),
    documents.UnknownPatientId: XdsCode("XDSUnknownPatientId"),
    documents.PatientIdDoesNotMatch: XdsCode("XDSPatientIdDoesNotMatch"),
    documents.PatientIdReconciliationError: XdsCode("XDSPatientIDReconciliationError"),
    documents.DuplicateUniqueIdInRegistry: XdsCode("XDSDuplicateUniqueIdInRegistry"),
    documents.RegistryDuplicateUniqueIdInMessage: XdsCode("XDSRegistryDuplicateUniqueIdInMessage"),
    documents.RepositoryDuplicateUniqueIdInMessage: XdsCode("XDSRepositoryDuplicateUniqueIdInMessage"),
    documents.NonIdenticalHash: XdsCode("XDSNonIdenticalHash"),
    documents.NonIdenticalSize: XdsCode("XDSNonIdenticalSize"),
    documents.MissingDocument: XdsCode("XDSMissingDocument"),
    documents.MissingDocumentMetadata: XdsCode("XDSMissingDocumentMetadata"),
    documents.InvalidDocumentContent: XdsCode("InvalidDocumentContent"),
    documents.RegistryDeprecatedDocumentError: XdsCode("XDSRegistryDeprecatedDocumentError"),
    documents.UnresolvedReference: XdsCode("UnresolvedReferenceException"),
    documents.ReferencesExist: XdsCode("ReferencesExistException"),
    documents.UnreferencedObject: XdsCode("XDSUnreferencedObjectException"),
    documents.UnknownStoredQuery: XdsCode("XDSUnknownStoredQuery"),
    documents.StoredQueryMissingParam: XdsCode("XDSStoredQueryMissingParam"),
    documents.StoredQueryParamNumber: XdsCode("XDSStoredQueryParamNumber"),
    documents.ResultNotSinglePatient: XdsCode("XDSResultNotSinglePatient"),
    documents.TooManyResults: XdsCode("XDSTooManyResults"),
    documents.UnknownRepositoryId: XdsCode("XDSUnknownRepositoryId"),
    documents.DocumentUniqueIdError: XdsCode("XDSDocumentUniqueIdError"),
    documents.MissingHomeCommunityId: XdsCode("XDSMissingHomeCommunityId"),
    documents.UnknownCommunity: XdsCode("XDSUnknownCommunity"),
    documents.UnavailableCommunity: XdsCode("XDSUnavailableCommunity"),
    documents.RegistryNotAvailable: XdsCode("XDSRegistryNotAvailable"),
    documents.RegistryBusy: XdsCode("XDSRegistryBusy"),
    documents.RepositoryBusy: XdsCode("XDSRepositoryBusy"),
    documents.RegistryOutOfResources: XdsCode("XDSRegistryOutOfResources"),
    documents.RepositoryOutOfResources: XdsCode("XDSRepositoryOutOfResources"),
    documents.MetadataUpdateError: XdsCode("XDSMetadataUpdateError"),
    documents.MetadataUpdateOperationError: XdsCode("XDSMetadataUpdateOperationError"),
    documents.MetadataVersionError: XdsCode("XDSMetadataVersionError"),
    documents.MetadataIdentifierError: XdsCode("XDSMetadataIdentifierError"),
    documents.MetadataAnnotationError: XdsCode("XDSMetadataAnnotationError"),
    documents.ObjectTypeError: XdsCode("XDSObjectTypeError"),
    documents.UnmodifiableMetadata: XdsCode("UnmodifiableMetadataError"),
    documents.InvalidRequest: XdsCode("XDSInvalidRequestException"),
    documents.RemoveDocumentsError: XdsCode("XDSRemoveDocumentsError"),
    documents.NothingRemoved: XdsCode("XDSRemoveDocumentsError"),
}


@dataclass(frozen=True, slots=True)
class RegistryProblem:
    """One RegistryError as it stands in an error list."""

    code: str
    context: str
    severity: str = ERROR
    location: str = ""


def problem_of(error: HubError, *, repository: bool = False, location: str = "") -> RegistryProblem:
    """The row of an error list for an error. ``location`` overrides the error's own."""
    if isinstance(error, CommunityError) and error.error_code:
        severity = WARNING if error.warning else ERROR
        return RegistryProblem(error.error_code, error.text, severity, location or error.location)
    row = lookup(CODES, error)
    code = (row.repository if repository else "") or row.registry
    place = location or error.location
    named = not error.location or error.location in error.message
    context = error.told if named else f"{error.told} [{error.location}]"
    return RegistryProblem(code, context, ERROR, place)


def warnings_of(texts: Iterable[str], code: str) -> tuple[RegistryProblem, ...]:
    """Rows that warn: the answer stays a success."""
    return tuple(RegistryProblem(code, text, WARNING) for text in texts)


def write_problems(parent: Element, problems: Iterable[RegistryProblem]) -> None:
    """Append a RegistryErrorList; nothing when there is nothing to say."""
    rows = tuple(problems)
    if not rows:
        return
    worst = ERROR if any(row.severity == ERROR for row in rows) else WARNING
    listed = etree.SubElement(parent, rs("RegistryErrorList"), {"highestSeverity": worst})
    for row in rows:
        facts = {"codeContext": row.context, "errorCode": row.code, "severity": row.severity}
        if row.location:
            facts["location"] = row.location
        etree.SubElement(listed, rs("RegistryError"), facts)


def said_by(problem: RegistryProblem) -> CommunityError:
    """A row of another community's error list as an error that can be passed on."""
    return CommunityError.said(
        problem.code, problem.context, location=problem.location, warning=problem.severity == WARNING
    )


def read_problems(response: Element) -> tuple[RegistryProblem, ...]:
    """The rows of an answer's RegistryErrorList."""
    rows = response.iterfind(f"{rs('RegistryErrorList')}/{rs('RegistryError')}")
    return tuple(
        RegistryProblem(
            row.get("errorCode", ""), row.get("codeContext", ""), row.get("severity", ERROR), row.get("location", "")
        )
        for row in rows
    )
