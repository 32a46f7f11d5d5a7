"""What can go wrong with shared documents: one class per error code of ITI TF-3: Table 4.2.4.1-2.

A class is named like its XDS code without the ``XDS`` prefix. ``location`` is the object, attribute or parameter that
the error is about (an entryUUID, a uniqueId, a slot's name): never a patient's data. Each class also descends from the
hub's general kind of error, so that wires that do not know XDS still have an answer.
"""

from hub.errors import Ambiguous, Category, Conflict, HubError, Invalid, NotFound, Unavailable, Unsupported


class DocumentError(HubError):
    """Base of the room's errors."""

    code = "document-error"
    title = "The registry or repository refused this."


class RegistryError(DocumentError, Invalid):
    """XDSRegistryError: the request can't be carried out by the registry, and no other code says why."""

    code = "registry-error"
    title = "The registry can't carry out this request."


class RepositoryError(DocumentError, Invalid):
    """XDSRepositoryError: the request can't be carried out by the repository, and no other code says why."""

    code = "repository-error"
    title = "The repository can't carry out this request."


class RegistryMetadataError(DocumentError, Invalid):
    """XDSRegistryMetadataError: the submission's metadata breaks a rule that has no code of its own."""

    code = "registry-metadata-error"
    title = "The metadata breaks a rule."


class RepositoryMetadataError(DocumentError, Invalid):
    """XDSRepositoryMetadataError: as above, found by the repository (a given hash or size is not the content's)."""

    code = "repository-metadata-error"
    title = "The metadata does not fit the documents."


class UnknownPatientId(DocumentError, NotFound):
    """XDSUnknownPatientId: no feed announced this patient id, or it was merged away."""

    code = "unknown-patient-id"
    title = "The patient id is not known in this affinity domain."


class PatientIdDoesNotMatch(DocumentError, Invalid):
    """XDSPatientIdDoesNotMatch: the objects of a submission are about different patients."""

    code = "patient-id-does-not-match"
    title = "The patient ids of the submission do not match."


class PatientIdReconciliationError(DocumentError, Conflict):
    """XDSPatientIDReconciliationError: an update would move an object to another patient."""

    code = "patient-id-reconciliation-error"
    title = "The patient ids can't be reconciled."


class DuplicateUniqueIdInRegistry(DocumentError, Conflict):
    """XDSDuplicateUniqueIdInRegistry: the uniqueId of a submission set or folder is already registered."""

    code = "duplicate-unique-id-in-registry"
    title = "The uniqueId is already registered."


class RegistryDuplicateUniqueIdInMessage(DocumentError, Invalid):
    """XDSRegistryDuplicateUniqueIdInMessage: a uniqueId stands twice in one submission."""

    code = "registry-duplicate-unique-id-in-message"
    title = "A uniqueId stands twice in the submission."


class RepositoryDuplicateUniqueIdInMessage(DocumentError, Invalid):
    """XDSRepositoryDuplicateUniqueIdInMessage: as above, found by the repository."""

    code = "repository-duplicate-unique-id-in-message"
    title = "A uniqueId stands twice in the submission."


class NonIdenticalHash(DocumentError, Conflict):
    """XDSNonIdenticalHash: the document's uniqueId is registered with another content."""

    code = "non-identical-hash"
    title = "A document with this uniqueId and another hash is already registered."


class NonIdenticalSize(DocumentError, Conflict):
    """XDSNonIdenticalSize: the document's uniqueId is registered with another size."""

    code = "non-identical-size"
    title = "A document with this uniqueId and another size is already registered."


class MissingDocument(DocumentError, Invalid):
    """XDSMissingDocument: a DocumentEntry came without its document."""

    code = "missing-document"
    title = "A DocumentEntry has no document in the message."


class MissingDocumentMetadata(DocumentError, Invalid):
    """XDSMissingDocumentMetadata: a document came without its DocumentEntry."""

    code = "missing-document-metadata"
    title = "A document has no DocumentEntry in the message."


class InvalidDocumentContent(DocumentError, Invalid):
    """InvalidDocumentContent: the document is not what its metadata says."""

    code = "invalid-document-content"
    title = "The document does not match its metadata."


class RegistryDeprecatedDocumentError(DocumentError, Conflict):
    """XDSRegistryDeprecatedDocumentError: a relationship points at a document that was replaced or withdrawn."""

    code = "registry-deprecated-document-error"
    title = "The document that is pointed at is deprecated."


class UnresolvedReference(DocumentError, Invalid):
    """UnresolvedReferenceException: an id leads to no object in the submission or the registry."""

    code = "unresolved-reference"
    title = "A reference leads to no object."


class ReferencesExist(DocumentError, Conflict):
    """ReferencesExistException: an object that is to be removed is still referenced."""

    code = "references-exist"
    title = "The object is still referenced."


class UnreferencedObject(DocumentError, Conflict):
    """XDSUnreferencedObjectException: a removal would leave an object without any association."""

    code = "unreferenced-object"
    title = "The removal would leave an object without associations."


class UnknownStoredQuery(DocumentError, Unsupported):
    """XDSUnknownStoredQuery: no such stored query here."""

    code = "unknown-stored-query"
    title = "The stored query is not known."


class StoredQueryMissingParam(DocumentError, Invalid):
    """XDSStoredQueryMissingParam: a required parameter is absent."""

    code = "stored-query-missing-param"
    title = "A required parameter of the stored query is missing."


class StoredQueryParamNumber(DocumentError, Invalid):
    """XDSStoredQueryParamNumber: several values for a parameter that takes one."""

    code = "stored-query-param-number"
    title = "A parameter of the stored query has too many values."


class ResultNotSinglePatient(DocumentError, Invalid):
    """XDSResultNotSinglePatient: full metadata of more than one patient in one answer (ITI TF-2: 3.18.4.1.2.6)."""

    code = "result-not-single-patient"
    title = "The result is about more than one patient; ask for ObjectRefs."


class TooManyResults(DocumentError, Invalid):
    """XDSTooManyResults: the result is larger than the limit; nothing of it is returned."""

    code = "too-many-results"
    title = "The result is too large; ask more narrowly, or for ObjectRefs."


class UnknownRepositoryId(DocumentError, NotFound):
    """XDSUnknownRepositoryId: the repositoryUniqueId is not ours and leads nowhere."""

    code = "unknown-repository-id"
    title = "The repositoryUniqueId is not known."


class DocumentUniqueIdError(DocumentError, NotFound):
    """XDSDocumentUniqueIdError: the document is not here, or not for this caller."""

    code = "document-unique-id-error"
    title = "The document is not available."


class MissingHomeCommunityId(DocumentError, Invalid):
    """XDSMissingHomeCommunityId: the request needs a homeCommunityId and has none."""

    code = "missing-home-community-id"
    title = "The homeCommunityId is missing."


class UnknownCommunity(DocumentError, NotFound):
    """XDSUnknownCommunity: the homeCommunityId is not known."""

    code = "unknown-community"
    title = "The homeCommunityId is not known."


class UnavailableCommunity(DocumentError, Unavailable):
    """XDSUnavailableCommunity: another community does not answer."""

    code = "unavailable-community"
    category = Category.TRANSIENT
    title = "A community does not answer."


class RegistryNotAvailable(DocumentError, Unavailable):
    """XDSRegistryNotAvailable: the repository can't reach its registry."""

    code = "registry-not-available"
    category = Category.TRANSIENT
    title = "The registry does not answer."


class RegistryBusy(DocumentError, Unavailable):
    """XDSRegistryBusy: too much at once; later may work."""

    code = "registry-busy"
    category = Category.TRANSIENT
    title = "The registry is busy."


class RepositoryBusy(DocumentError, Unavailable):
    """XDSRepositoryBusy: too much at once; later may work."""

    code = "repository-busy"
    category = Category.TRANSIENT
    title = "The repository is busy."


class RegistryOutOfResources(DocumentError, Unavailable):
    """XDSRegistryOutOfResources: storage or memory ran out."""

    code = "registry-out-of-resources"
    category = Category.TRANSIENT
    title = "The registry has no room left."


class RepositoryOutOfResources(DocumentError, Unavailable):
    """XDSRepositoryOutOfResources: storage or memory ran out."""

    code = "repository-out-of-resources"
    category = Category.TRANSIENT
    title = "The repository has no room left."


class MetadataUpdateError(DocumentError, Invalid):
    """XDSMetadataUpdateError: a metadata update that can't be carried out."""

    code = "metadata-update-error"
    title = "The metadata update can't be carried out."


class MetadataUpdateOperationError(DocumentError, Invalid):
    """XDSMetadataUpdateOperationError: it can't be told which update is meant."""

    code = "metadata-update-operation-error"
    title = "It can't be told which metadata update is meant."


class MetadataVersionError(DocumentError, Conflict):
    """XDSMetadataVersionError: the previous version is missing or not the current one."""

    code = "metadata-version-error"
    title = "The previous version is not the current one."


class MetadataIdentifierError(DocumentError, Conflict):
    """XDSMetadataIdentifierError: an update would change the uniqueId."""

    code = "metadata-identifier-error"
    title = "The identifiers of the object conflict."


class MetadataAnnotationError(DocumentError, Invalid):
    """XDSMetadataAnnotationError: the annotation of an update is wrong or missing."""

    code = "metadata-annotation-error"
    title = "The annotation of the update is wrong."


class ObjectTypeError(DocumentError, Invalid):
    """XDSObjectTypeError: the object's type is not supported, or an update would change it."""

    code = "object-type-error"
    title = "The object type is not allowed here."


class UnmodifiableMetadata(DocumentError, Conflict):
    """UnmodifiableMetadataError: an update would change what must not change."""

    code = "unmodifiable-metadata"
    title = "The attribute can't be changed."


class InvalidRequest(DocumentError, Invalid):
    """XDSInvalidRequestException: the request is not allowed for this object."""

    code = "invalid-request"
    title = "The request is not allowed."


class RemoveDocumentsError(DocumentError):
    """XDSRemoveDocumentsError: the repository could not remove a document."""

    code = "remove-documents-error"
    title = "A document could not be removed."


class NothingRemoved(RemoveDocumentsError):
    """XDSRemoveDocumentsError: not every document could be removed, so that none was. ``failures``: which, and why."""

    code = "nothing-removed"
    title = "Not every document can be removed: none was."
    failures: tuple[tuple[str, HubError], ...] = ()  # uniqueId, error


class NotAmendable(Invalid):
    """A change of metadata that can't be made of this document as it is."""

    code = "not-amendable"
    title = "The change can't be made of the document as it is."


class SeveralDocuments(Ambiguous):
    """A change of metadata is about one document; here are several."""

    code = "several-documents"
    title = "Several documents have this identifier."


class DocumentChanged(Conflict):
    """A change of metadata is about another version than the current one."""

    code = "document-changed"
    title = "The document's metadata are no longer those of this version."
