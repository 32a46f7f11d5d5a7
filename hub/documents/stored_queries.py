"""The stored queries as data: one row each, with its parameters (ITI TF-2: 3.18.4.1.2.3.7, 3.51.4.1.2.3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from hub.documents.model import APPROVED, STABLE


class Value(Enum):
    """What a parameter's values are."""

    TEXT = auto()
    CODE = auto()  #: code^^scheme
    CODE_LIST = auto()  #: code^^scheme, of an attribute that has several
    REFERENCE = auto()  #: CXi
    STATUS = auto()
    PERSON = auto()  #: a LIKE pattern
    AVAILABILITY = auto()  #: documentAvailability, as its URN
    FROM = auto()
    BEFORE = auto()
    PATIENT = auto()
    LEVEL = auto()  #: a number: from 2 on former versions are in the answer as well


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``field``: the column or attribute that it is about."""

    name: str
    field: str
    value: Value
    required: bool = False
    multiple: bool = False
    and_or: bool = False  #: may be repeated: all groups must hold, in each one of the values
    default: tuple[str, ...] = ()
    exclude: bool = False  #: what matches is left out
    instead_of: str = ""  #: the parameter that this one can't stand beside


@dataclass(frozen=True, slots=True)
class Query:
    """One stored query. ``one_of``: exactly one of these parameters must be given; ``some_of``: at least one."""

    name: str
    id: str
    parameters: tuple[Parameter, ...]
    one_of: tuple[str, ...] = ()
    some_of: tuple[str, ...] = ()

    @property
    def by_name(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""
        return {item.name: item for item in self.parameters}


_DE, _SS, _FOL = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"


def _required(name: str, field_name: str, value: Value, *, multiple: bool = True) -> Parameter:
    return Parameter(name, field_name, value, required=True, multiple=multiple)


def _codes(name: str, field_name: str) -> Parameter:
    return Parameter(name, field_name, Value.CODE, multiple=True)


def _code_list(name: str, field_name: str) -> Parameter:
    return Parameter(name, field_name, Value.CODE_LIST, multiple=True, and_or=True)


def _period(name: str, field_name: str) -> tuple[Parameter, Parameter]:
    return Parameter(f"{name}From", field_name, Value.FROM), Parameter(f"{name}To", field_name, Value.BEFORE)


def _one_of(*names: str, multiple: bool) -> tuple[Parameter, ...]:
    fields = {"EntryUUID": "id", "UniqueId": "unique_id", "LogicalID": "logical_id"}
    ends = {name: next(field for end, field in fields.items() if name.endswith(end)) for name in names}
    return tuple(Parameter(name, ends[name], Value.TEXT, multiple=multiple) for name in names)


_FORMAT = _codes(f"{_DE}FormatCode", "format_code")
_CONFIDENTIALITY = _code_list(f"{_DE}ConfidentialityCode", "confidentiality_codes")
#: Absent: stable documents only (ITI TF-2: 3.18.4.1.2.3.6.2).
_TYPE = Parameter(f"{_DE}Type", "object_type", Value.TEXT, multiple=True, default=(STABLE,))
_LEVEL = Parameter("$MetadataLevel", "", Value.LEVEL)
#: Absent: approved associations only, those that a consumer of first-level metadata expects.
_LINKS = Parameter("$XDSAssociationStatus", "status", Value.STATUS, multiple=True, default=(APPROVED,))
_UUIDS = _required("$uuid", "id", Value.TEXT)

_FIND_DOCUMENTS: tuple[Parameter, ...] = (
    _required(f"{_DE}PatientId", "patient", Value.PATIENT, multiple=False),
    _required(f"{_DE}Status", "status", Value.STATUS),
    _codes(f"{_DE}ClassCode", "class_code"),
    _codes(f"{_DE}TypeCode", "type_code"),
    _codes(f"{_DE}PracticeSettingCode", "practice_code"),
    _codes(f"{_DE}HealthcareFacilityTypeCode", "facility_code"),
    _FORMAT,
    _code_list(f"{_DE}EventCodeList", "event_codes"),
    _CONFIDENTIALITY,
    *_period(f"{_DE}CreationTime", "creation_time"),
    *_period(f"{_DE}ServiceStartTime", "service_start_time"),
    *_period(f"{_DE}ServiceStopTime", "service_stop_time"),
    Parameter(f"{_DE}AuthorPerson", "authors", Value.PERSON, multiple=True),
    Parameter(f"{_DE}LogicalID", "logical_id", Value.TEXT, multiple=True),
    Parameter(f"{_DE}DocumentAvailability", "availability", Value.AVAILABILITY, multiple=True),
    _TYPE,
    _LEVEL,
)
_REFERENCES = Parameter(
    f"{_DE}ReferenceIdList", "reference_ids", Value.REFERENCE, required=True, multiple=True, and_or=True
)
_FIND_FOLDERS: tuple[Parameter, ...] = (
    _required(f"{_FOL}PatientId", "patient", Value.PATIENT, multiple=False),
    _required(f"{_FOL}Status", "status", Value.STATUS),
    *_period(f"{_FOL}LastUpdateTime", "last_update_time"),
    _code_list(f"{_FOL}CodeList", "codes"),
    _LEVEL,
)
_DOCUMENT = _one_of(f"{_DE}EntryUUID", f"{_DE}UniqueId", multiple=False)
_DOCUMENTS = _one_of(f"{_DE}EntryUUID", f"{_DE}UniqueId", f"{_DE}LogicalID", multiple=True)
_FOLDERS = _one_of(f"{_FOL}EntryUUID", f"{_FOL}UniqueId", f"{_FOL}LogicalID", multiple=True)
_FOLDER = _one_of(f"{_FOL}EntryUUID", f"{_FOL}UniqueId", multiple=False)
_SUBMISSION_SET = _one_of(f"{_SS}EntryUUID", f"{_SS}UniqueId", multiple=False)


def _names(parameters: tuple[Parameter, ...]) -> tuple[str, ...]:
    return tuple(item.name for item in parameters)


_EXCLUDABLE = frozenset(
    f"{_DE}{name}"
    for name in (
        *("ClassCode", "TypeCode", "PracticeSettingCode", "HealthcareFacilityTypeCode", "FormatCode"),
        *("EventCodeList", "ConfidentialityCode", "AuthorPerson", "Type", "ReferenceIdList"),
    )
)


def _with_exclusions(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The parameters, and beside each that may be turned round its ``...Exclude``."""
    found: list[Parameter] = []
    for item in parameters:
        found.append(item)
        if item.name in _EXCLUDABLE:
            turned = f"{item.name}Exclude"
            found.append(replace(item, name=turned, default=(), exclude=True, instead_of=item.name))
    return tuple(found)


def _of_many(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The parameters with a patient that may be left out, or be several."""
    return tuple(
        replace(item, required=False, multiple=True) if item.value is Value.PATIENT else item for item in parameters
    )


QUERIES: Mapping[str, Query] = {
    query.id: query
    for query in (
        Query("FindDocuments", "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", _FIND_DOCUMENTS),
        Query(
            "FindDocumentsByReferenceId",
            "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
            (
                *_FIND_DOCUMENTS,
                _REFERENCES,
            ),
        ),
        Query(
            "FindDocumentsExclude",
            "urn:uuid:4308b1df-36de-4bef-8e2e-ba91f593c435",
            _with_exclusions((*_FIND_DOCUMENTS, replace(_REFERENCES, required=False))),
        ),
        Query(
            "FindSubmissionSets",
            "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
            (
                _required(f"{_SS}PatientId", "patient", Value.PATIENT, multiple=False),
                _required(f"{_SS}Status", "status", Value.STATUS),
                Parameter(f"{_SS}SourceId", "source_id", Value.TEXT, multiple=True),
                *_period(f"{_SS}SubmissionTime", "submission_time"),
                Parameter(f"{_SS}AuthorPerson", "authors", Value.PERSON),
                _codes(f"{_SS}ContentType", "content_type_code"),
                _LEVEL,
            ),
        ),
        Query(
            "FindFolders",
            "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
            _FIND_FOLDERS,
        ),
        Query(
            "GetAll",
            "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
            (
                _required("$patientId", "patient", Value.PATIENT, multiple=False),
                _required(f"{_DE}Status", "status", Value.STATUS),
                _required(f"{_SS}Status", "status", Value.STATUS),
                _required(f"{_FOL}Status", "status", Value.STATUS),
                _FORMAT,
                _CONFIDENTIALITY,
                _TYPE,
                _LINKS,
                _LEVEL,
            ),
        ),
        Query(
            "GetDocuments",
            "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
            (*_DOCUMENTS, _LEVEL),
            _names(_DOCUMENTS),
        ),
        Query("GetFolders", "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4", (*_FOLDERS, _LEVEL), _names(_FOLDERS)),
        Query("GetAssociations", "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155", (_UUIDS, _LINKS, _LEVEL)),
        Query(
            "GetDocumentsAndAssociations",
            "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
            (*_DOCUMENTS[:2], _LINKS, _LEVEL),
            _names(_DOCUMENTS[:2]),
        ),
        Query("GetSubmissionSets", "urn:uuid:51224314-5390-4169-9b91-b1980040715a", (_UUIDS, _LINKS, _LEVEL)),
        Query(
            "GetSubmissionSetAndContents",
            "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
            (*_SUBMISSION_SET, _FORMAT, _CONFIDENTIALITY, _TYPE, _LINKS, _LEVEL),
            _names(_SUBMISSION_SET),
        ),
        Query(
            "GetFolderAndContents",
            "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
            (*_FOLDER, _FORMAT, _CONFIDENTIALITY, _TYPE, _LINKS, _LEVEL),
            _names(_FOLDER),
        ),
        Query(
            "GetFoldersForDocument",
            "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
            (*_DOCUMENT, _LEVEL),
            _names(_DOCUMENT),
        ),
        Query(
            "GetRelatedDocuments",
            "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
            (*_DOCUMENT, _required("$AssociationTypes", "type", Value.TEXT), _TYPE, _LINKS, _LEVEL),
            _names(_DOCUMENT),
        ),
    )
}

_SUBJECTS = tuple(f"{_DE}{name}" for name in ("PatientId", "ClassCode", "EventCodeList", "HealthcareFacilityTypeCode"))

#: The queries about several patients, or about whomever it is (ITI-51). What keeps them from reading the whole
#: registry is that they must name a patient or a code (ITI TF-2: 3.51.4.1.2.3).
MULTI_PATIENT: Mapping[str, Query] = {
    query.id: query
    for query in (
        Query(
            "FindDocumentsForMultiplePatients",
            "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
            _of_many(_FIND_DOCUMENTS),
            some_of=_SUBJECTS,
        ),
        Query(
            "FindFoldersForMultiplePatients",
            "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df",
            _of_many(_FIND_FOLDERS),
            some_of=(f"{_FOL}PatientId", f"{_FOL}CodeList"),
        ),
        Query(
            "FindDocumentsByReferenceIdForMultiplePatients",
            "urn:uuid:1191642d-86c4-42d8-b784-f95445f9f0d5",
            _of_many((*_FIND_DOCUMENTS, _REFERENCES)),
        ),
    )
}
