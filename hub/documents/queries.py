"""The stored queries as data: one row each, with its parameters (ITI TF-2: 3.18.4.1.2.3.7).

``read`` turns what the wire parsed into clauses, or says with the standard's own error what is wrong with it.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum, auto

from hub.documents import formats
from hub.documents.criteria import Clause, Operator
from hub.documents.errors import RegistryError, StoredQueryMissingParam, StoredQueryParamNumber, UnknownStoredQuery
from hub.documents.model import APPROVED, DEPRECATED, STABLE
from hub.documents.rules import printable
from hub.errors import Invalid
from hub.values import PatientIdentifier

#: All values of a request together; well below what a statement can hold.
MOST_VALUES = 5000
Groups = tuple[tuple[str, ...], ...]


class Value(Enum):
    """What a parameter's values are."""

    TEXT = auto()
    CODE = auto()  #: code^^scheme
    CODE_LIST = auto()  #: code^^scheme, of an attribute that has several
    REFERENCE = auto()  #: CXi
    STATUS = auto()
    PERSON = auto()  #: a LIKE pattern
    FROM = auto()
    BEFORE = auto()
    PATIENT = auto()
    IGNORED = auto()  #: accepted, without effect here


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


@dataclass(frozen=True, slots=True)
class Query:
    """One stored query. ``one_of``: exactly one of these parameters must be given."""

    name: str
    id: str
    parameters: tuple[Parameter, ...]
    one_of: tuple[str, ...] = ()

    @property
    def by_name(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""
        return {item.name: item for item in self.parameters}


@dataclass(frozen=True, slots=True)
class Question:
    """A stored query that was read: whom it is about, what must hold, what it starts from."""

    query: Query
    patient: PatientIdentifier | None = None
    clauses: Mapping[str, tuple[Clause, ...]] = field(default_factory=dict)  #: by parameter name
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: by parameter name

    @property
    def subject(self) -> list[Clause]:
        """What the query starts from: the clause of the one given parameter of ``one_of``."""
        return [clause for name in self.query.one_of for clause in self.clauses.get(name, ())]

    def about(self, prefix: str) -> list[Clause]:
        """The clauses that narrow the answer, of the parameters whose names start with the prefix."""
        return [
            clause
            for name, clauses in self.clauses.items()
            if name.startswith(prefix) and name not in self.query.one_of
            for clause in clauses
        ]


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
_LEVEL = Parameter("$MetadataLevel", "", Value.IGNORED)
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
    _TYPE,
    _LEVEL,
)
_DOCUMENT = _one_of(f"{_DE}EntryUUID", f"{_DE}UniqueId", multiple=False)
_DOCUMENTS = _one_of(f"{_DE}EntryUUID", f"{_DE}UniqueId", f"{_DE}LogicalID", multiple=True)
_FOLDERS = _one_of(f"{_FOL}EntryUUID", f"{_FOL}UniqueId", f"{_FOL}LogicalID", multiple=True)
_FOLDER = _one_of(f"{_FOL}EntryUUID", f"{_FOL}UniqueId", multiple=False)
_SUBMISSION_SET = _one_of(f"{_SS}EntryUUID", f"{_SS}UniqueId", multiple=False)


def _names(parameters: tuple[Parameter, ...]) -> tuple[str, ...]:
    return tuple(item.name for item in parameters)


QUERIES: Mapping[str, Query] = {
    query.id: query
    for query in (
        Query("FindDocuments", "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d", _FIND_DOCUMENTS),
        Query(
            "FindDocumentsByReferenceId",
            "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
            (
                *_FIND_DOCUMENTS,
                Parameter(
                    f"{_DE}ReferenceIdList",
                    "reference_ids",
                    Value.REFERENCE,
                    required=True,
                    multiple=True,
                    and_or=True,
                ),
            ),
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
            ),
        ),
        Query(
            "FindFolders",
            "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
            (
                _required(f"{_FOL}PatientId", "patient", Value.PATIENT, multiple=False),
                _required(f"{_FOL}Status", "status", Value.STATUS),
                *_period(f"{_FOL}LastUpdateTime", "last_update_time"),
                _code_list(f"{_FOL}CodeList", "codes"),
            ),
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
            ),
        ),
        Query(
            "GetDocuments",
            "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
            (*_DOCUMENTS, _LEVEL),
            _names(_DOCUMENTS),
        ),
        Query("GetFolders", "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4", (*_FOLDERS, _LEVEL), _names(_FOLDERS)),
        Query("GetAssociations", "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155", (_UUIDS, _LEVEL)),
        Query(
            "GetDocumentsAndAssociations",
            "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
            (*_DOCUMENTS[:2], _LEVEL),
            _names(_DOCUMENTS[:2]),
        ),
        Query("GetSubmissionSets", "urn:uuid:51224314-5390-4169-9b91-b1980040715a", (_UUIDS, _LEVEL)),
        Query(
            "GetSubmissionSetAndContents",
            "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
            (*_SUBMISSION_SET, _FORMAT, _CONFIDENTIALITY, _TYPE, _LEVEL),
            _names(_SUBMISSION_SET),
        ),
        Query(
            "GetFolderAndContents",
            "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
            (*_FOLDER, _FORMAT, _CONFIDENTIALITY, _TYPE, _LEVEL),
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
            (*_DOCUMENT, _required("$AssociationTypes", "type", Value.TEXT), _TYPE, _LEVEL),
            _names(_DOCUMENT),
        ),
    )
}


def read(
    query_id: str,
    parameters: Mapping[str, Groups],
    lists: Set[str] | None = None,
    *,
    queries: Mapping[str, Query] = QUERIES,
) -> Question:
    """The question that a request asks. ``lists``: the parameters that stood in parentheses; None: not checked.
    ``queries``: those that may be asked.

    Raises UnknownStoredQuery, StoredQueryMissingParam, StoredQueryParamNumber, RegistryError; ``location`` is the
    parameter. Parameters that the query does not know are ignored (ITI TF-2: 3.18.4.1.2.3.4)."""
    query = queries.get(query_id)
    if query is None:
        raise UnknownStoredQuery(location=printable(query_id))
    for name in parameters:
        if not name.startswith("$"):
            raise RegistryError("A parameter's name starts with $.", location=printable(name))
    given = {name.strip(): groups for name, groups in parameters.items()}
    _check_presence(query, given)
    if sum(len(group) for groups in given.values() for group in groups) > MOST_VALUES:
        raise RegistryError(f"A stored query may have {MOST_VALUES} values at most.")
    clauses, values, patient = {}, {}, None
    for parameter in query.parameters:
        groups = given.get(parameter.name, ((parameter.default,) if parameter.default else ()))
        if not groups or parameter.value is Value.IGNORED:
            continue
        _check_number(parameter, groups)
        if lists is not None and parameter.name in given:
            _check_form(parameter, parameter.name in lists)
        values[parameter.name] = tuple(value for group in groups for value in group)
        if parameter.value is Value.PATIENT:
            patient = _patient(parameter, groups[0][0])
        else:
            clauses[parameter.name] = tuple(_clauses(parameter, groups))
    return Question(query, patient, clauses, values)


def _check_presence(query: Query, given: Mapping[str, Groups]) -> None:
    for parameter in query.parameters:
        if parameter.required and not given.get(parameter.name):
            raise StoredQueryMissingParam(
                f"{query.name} needs {parameter.name} (ITI TF-2: 3.18.4.1.2.3.7).", location=parameter.name
            )
    if query.one_of:
        chosen = [name for name in query.one_of if given.get(name)]
        if not chosen:
            raise StoredQueryMissingParam(
                f"{query.name} needs one of {', '.join(query.one_of)} (ITI TF-2: 3.18.4.1.2.3.7).",
                location=query.one_of[0],
            )
        if len(chosen) > 1:
            raise StoredQueryParamNumber(
                f"{query.name} takes only one of {', '.join(chosen)} (ITI TF-2: 3.18.4.1.2.3.7).", location=chosen[1]
            )


def _check_number(parameter: Parameter, groups: Groups) -> None:
    if not all(groups):
        raise RegistryError(f"{parameter.name} has an empty list of values.", location=parameter.name)
    if len(groups) > 1 and not parameter.and_or:
        raise StoredQueryParamNumber(f"{parameter.name} may stand only once.", location=parameter.name)
    if len(groups[0]) > 1 and not parameter.multiple:
        raise StoredQueryParamNumber(f"{parameter.name} takes one value.", location=parameter.name)


def _check_form(parameter: Parameter, listed: bool) -> None:
    if listed != parameter.multiple:
        raise RegistryError(
            f"{parameter.name} {'takes a list in parentheses' if parameter.multiple else 'takes one value, no list'} "
            "(ITI TF-2: 3.18.4.1.2.3.5).",
            location=parameter.name,
        )


def _patient(parameter: Parameter, text: str) -> PatientIdentifier:
    try:
        if not formats.is_short(text):
            raise Invalid("A patient identifier is short text.")
        return PatientIdentifier.from_cx(text)
    except Invalid as error:
        raise RegistryError(f"{parameter.name}: {error.message}", location=parameter.name) from error


def _clauses(parameter: Parameter, groups: Groups) -> Iterator[Clause]:
    operator, check, good = _READINGS[parameter.value]
    for group in groups:
        if not all(formats.is_short(value) and check(value) for value in group):
            raise RegistryError(
                f"{parameter.name}: a value must be {good} (ITI TF-2: 3.18.4.1.2.3.4).", location=parameter.name
            )
        convert = _CONVERT.get(parameter.value)
        yield Clause(parameter.field, operator, tuple(map(convert, group)) if convert else group)


def _is_code(text: str) -> bool:
    parts = text.split("^")
    return len(parts) == 3 and bool(parts[0]) and not parts[1] and bool(parts[2])


_READINGS: Mapping[Value, tuple[Operator, Callable[[str], bool], str]] = {
    Value.TEXT: (Operator.IN, bool, "not empty"),
    Value.CODE: (Operator.IN, _is_code, "code^^scheme"),
    Value.CODE_LIST: (Operator.HAS, _is_code, "code^^scheme"),
    Value.REFERENCE: (Operator.HAS, formats.is_cxi, "a CXi: id^^^authority^type"),
    Value.STATUS: (Operator.IN, frozenset({APPROVED, DEPRECATED}).__contains__, "Approved or Deprecated, as its URN"),
    Value.PERSON: (Operator.LIKE, formats.is_short, "a name pattern"),
    Value.FROM: (Operator.FROM, formats.is_dtm, "a DTM"),
    Value.BEFORE: (Operator.BEFORE, formats.is_dtm, "a DTM"),
}
_CONVERT = {Value.FROM: formats.pad_dtm, Value.BEFORE: formats.pad_dtm, Value.REFERENCE: formats.reference_key}
