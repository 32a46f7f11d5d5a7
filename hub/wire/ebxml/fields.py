"""Which attribute of the model lies where in the XML: slots, classifications, external identifiers (ITI TF-3: 4.2.3).

Both directions, reading and writing, work from these rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.documents.model import Association, DocumentEntry, Folder, SubmissionSet
from hub.wire.ebxml.names import (
    ASSOCIATION_DOCUMENTATION,
    ENTRY_AUTHOR,
    FOLDER_NODE,
    LIMITED_ENTRY_NODE,
    LIMITED_FOLDER_NODE,
    LIMITED_SUBMISSION_SET_NODE,
    REFERENCE_ID_LIST,
    SUBMISSION_SET_AUTHOR,
    SUBMISSION_SET_NODE,
)


@dataclass(frozen=True, slots=True)
class SlotField:
    """A slot: its name, the model's attribute, whether it holds several values."""

    slot: str
    attribute: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class CodeField:
    """A classification by scheme: the model's attribute, the standard's name for it."""

    scheme: str
    attribute: str
    name: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class IdentifierField:
    """An external identifier by scheme; ``name`` is also its fixed Name."""

    scheme: str
    attribute: str
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything about one kind of object."""

    name: str  #: as messages call it
    element: str  #: local name in the rim namespace
    slots: tuple[SlotField, ...] = ()
    codes: tuple[CodeField, ...] = ()
    identifiers: tuple[IdentifierField, ...] = ()
    author: str = ""  #: classification scheme of authors
    node: str = ""  #: classification node that says what a RegistryPackage is
    limited: str = ""  #: classification node that says limited metadata


#: Slots of an author's classification -> attribute of ``Author``.
AUTHOR_SLOTS = (
    SlotField("authorPerson", "person"),
    SlotField("authorInstitution", "institutions", many=True),
    SlotField("authorRole", "roles", many=True),
    SlotField("authorSpecialty", "specialties", many=True),
    SlotField("authorTelecommunication", "telecommunications", many=True),
)

ENTRY = Layout(
    name="DocumentEntry",
    element="ExtrinsicObject",
    slots=(
        SlotField("creationTime", "creation_time"),
        SlotField("languageCode", "language_code"),
        SlotField("sourcePatientId", "source_patient_id"),
        SlotField("sourcePatientInfo", "source_patient_info", many=True),
        SlotField("legalAuthenticator", "legal_authenticators", many=True),
        SlotField("serviceStartTime", "service_start_time"),
        SlotField("serviceStopTime", "service_stop_time"),
        SlotField("hash", "hash"),
        SlotField("size", "size"),
        SlotField("URI", "uri", many=True),
        SlotField("repositoryUniqueId", "repository_unique_id"),
        SlotField("documentAvailability", "availability"),
        SlotField(REFERENCE_ID_LIST, "reference_ids", many=True),
    ),
    codes=(
        CodeField("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a", "class_code", "classCode"),
        CodeField(
            "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "confidentiality_codes", "confidentialityCode", True
        ),
        CodeField("urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4", "event_codes", "eventCodeList", True),
        CodeField("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d", "format_code", "formatCode"),
        CodeField(
            "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
            "healthcare_facility_type_code",
            "healthcareFacilityTypeCode",
        ),
        CodeField("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "practice_setting_code", "practiceSettingCode"),
        CodeField("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "type_code", "typeCode"),
    ),
    identifiers=(
        IdentifierField("urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "patient_id", "XDSDocumentEntry.patientId"),
        IdentifierField("urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab", "unique_id", "XDSDocumentEntry.uniqueId"),
    ),
    author=ENTRY_AUTHOR,
    limited=LIMITED_ENTRY_NODE,
)

SUBMISSION_SET = Layout(
    name="SubmissionSet",
    element="RegistryPackage",
    slots=(
        SlotField("submissionTime", "submission_time"),
        SlotField("intendedRecipient", "intended_recipients", many=True),
    ),
    codes=(CodeField("urn:uuid:aa543740-bdda-424e-8c96-df4873be8500", "content_type_code", "contentTypeCode"),),
    identifiers=(
        IdentifierField("urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446", "patient_id", "XDSSubmissionSet.patientId"),
        IdentifierField("urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8", "unique_id", "XDSSubmissionSet.uniqueId"),
        IdentifierField("urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832", "source_id", "XDSSubmissionSet.sourceId"),
    ),
    author=SUBMISSION_SET_AUTHOR,
    node=SUBMISSION_SET_NODE,
    limited=LIMITED_SUBMISSION_SET_NODE,
)

FOLDER = Layout(
    name="Folder",
    element="RegistryPackage",
    slots=(SlotField("lastUpdateTime", "last_update_time"),),
    codes=(CodeField("urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5", "codes", "codeList", True),),
    identifiers=(
        IdentifierField("urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a", "patient_id", "XDSFolder.patientId"),
        IdentifierField("urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a", "unique_id", "XDSFolder.uniqueId"),
    ),
    node=FOLDER_NODE,
    limited=LIMITED_FOLDER_NODE,
)

ASSOCIATION = Layout(
    name="Association",
    element="Association",
    slots=(
        SlotField("SubmissionSetStatus", "submission_set_status"),
        SlotField("PreviousVersion", "previous_version"),
        SlotField("OriginalStatus", "original_status"),
        SlotField("NewStatus", "new_status"),
        SlotField("AssociationPropagation", "propagation"),
    ),
    codes=(CodeField(ASSOCIATION_DOCUMENTATION, "documentation", "associationDocumentation"),),
)

LAYOUTS: Mapping[type, Layout] = {
    DocumentEntry: ENTRY,
    SubmissionSet: SUBMISSION_SET,
    Folder: FOLDER,
    Association: ASSOCIATION,
}
