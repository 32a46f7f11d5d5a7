"""The filters of ITI TF-2: 3.52.5.2 as data, and how they are decided for an object that was just registered.

A filter is a stored query: it is read by the registry's own rules, and its clauses mean what they mean there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from hub.documents.criteria import Clause, Operator, like
from hub.documents.model import DocumentEntry, Folder, SubmissionSet
from hub.documents.queries import Parameter, Query, Question, Value, read
from hub.documents.rows import SEPARATOR, entry_row, folder_row, set_row
from hub.documents.rules import printable
from hub.errors import Invalid
from hub.subscriptions.errors import InvalidFilter
from hub.subscriptions.model import Filter, Published, Topic
from hub.values import now

_ENTRY, _SET, _FOLDER = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"


@dataclass(frozen=True, slots=True)
class FilterKind:
    """One kind of filter. ``one_of``: at least one of these must be given (patient-independent ones)."""

    query: Query
    about: type[DocumentEntry] | type[SubmissionSet] | type[Folder]
    topics: frozenset[Topic]
    one_of: tuple[str, ...] = ()

    @property
    def any_patient(self) -> bool:
        """Whether it is independent of the patient."""
        return bool(self.one_of)


def _several(name: str, field: str, value: Value) -> Parameter:
    return Parameter(name, field, value, multiple=True, and_or=value in (Value.CODE_LIST, Value.REFERENCE))


def _patient(prefix: str) -> Parameter:
    return Parameter(f"{prefix}PatientId", "patient", Value.PATIENT, required=True)


_OF_AN_ENTRY = (
    _several(f"{_ENTRY}Status", "status", Value.STATUS),
    _several(f"{_ENTRY}ClassCode", "class_code", Value.CODE),
    _several(f"{_ENTRY}TypeCode", "type_code", Value.CODE),
    _several(f"{_ENTRY}PracticeSettingCode", "practice_code", Value.CODE),
    _several(f"{_ENTRY}HealthcareFacilityTypeCode", "facility_code", Value.CODE),
    _several(f"{_ENTRY}FormatCode", "format_code", Value.CODE),
    _several(f"{_ENTRY}EventCodeList", "event_codes", Value.CODE_LIST),
    _several(f"{_ENTRY}ConfidentialityCode", "confidentiality_codes", Value.CODE_LIST),
    _several(f"{_ENTRY}ReferenceIdList", "reference_ids", Value.REFERENCE),
    _several(f"{_ENTRY}AuthorPerson", "authors", Value.PERSON),
    _several(f"{_ENTRY}Type", "object_type", Value.TEXT),
    Parameter(f"{_ENTRY}CreationTimeFrom", "creation_time", Value.FROM),
    Parameter(f"{_ENTRY}CreationTimeTo", "creation_time", Value.BEFORE),
    Parameter(f"{_ENTRY}ServiceStartTimeFrom", "service_start_time", Value.FROM),
    Parameter(f"{_ENTRY}ServiceStartTimeTo", "service_start_time", Value.BEFORE),
    Parameter(f"{_ENTRY}ServiceStopTimeFrom", "service_stop_time", Value.FROM),
    Parameter(f"{_ENTRY}ServiceStopTimeTo", "service_stop_time", Value.BEFORE),
)
_OF_A_SET = (
    _several(f"{_SET}Status", "status", Value.STATUS),
    _several(f"{_SET}SourceId", "source_id", Value.TEXT),
    _several(f"{_SET}AuthorPerson", "authors", Value.PERSON),
    _several(f"{_SET}Author", "authors", Value.PERSON),  # its name in 3.52.5.2.5
    _several(f"{_SET}IntendedRecipient", "intended_recipients", Value.PERSON),
    _several(f"{_SET}ContentType", "content_type_code", Value.CODE),
)
_OF_A_FOLDER = (
    _several(f"{_FOLDER}Status", "status", Value.STATUS),
    _several(f"{_FOLDER}UniqueId", "unique_id", Value.TEXT),
    _several(f"{_FOLDER}CodeList", "codes", Value.CODE_LIST),
)
_ENTRY_TOPICS = frozenset(
    {Topic.FULL_DOCUMENT_ENTRY, Topic.MINIMAL_DOCUMENT_ENTRY, Topic.EXTENDED_FULL, Topic.EXTENDED_MINIMAL}
)

FILTERS: Mapping[str, FilterKind] = {
    kind.query.id: kind
    for kind in (
        FilterKind(
            Query("DocumentEntry", "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66", (_patient(_ENTRY), *_OF_AN_ENTRY)),
            DocumentEntry,
            _ENTRY_TOPICS,
        ),
        FilterKind(
            Query("PatientIndependentDocumentEntry", "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79", _OF_AN_ENTRY),
            DocumentEntry,
            _ENTRY_TOPICS,
            tuple(
                f"{_ENTRY}{name}"
                for name in ("ClassCode", "TypeCode", "PracticeSettingCode", "HealthcareFacilityTypeCode")
            ),
        ),
        FilterKind(
            Query("SubmissionSet", "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece", (_patient(_SET), *_OF_A_SET)),
            SubmissionSet,
            frozenset({Topic.SUBMISSION_SET}),
        ),
        FilterKind(
            Query("PatientIndependentSubmissionSet", "urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399", _OF_A_SET),
            SubmissionSet,
            frozenset({Topic.SUBMISSION_SET}),
            tuple(f"{_SET}{name}" for name in ("SourceId", "AuthorPerson", "Author", "IntendedRecipient")),
        ),
        FilterKind(
            Query("Folder", "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd", (_patient(_FOLDER), *_OF_A_FOLDER)),
            Folder,
            frozenset({Topic.FOLDER, Topic.UPDATE_FOLDER, Topic.EXTENDED_FOLDER}),
        ),
    )
}
_QUERIES: Mapping[str, Query] = {key: kind.query for key, kind in FILTERS.items()}


def read_filter(given: Filter) -> Question:
    """The filter as clauses. Raises InvalidFilter.

    A parameter that the filter does not know is refused: to ignore it would tell more than was asked for."""
    kind = FILTERS.get(given.query_id)
    if kind is None:
        raise InvalidFilter(
            "The filter's AdhocQuery has none of the ids of ITI TF-2: 3.52.5.2.", location=printable(given.query_id)
        )
    known = kind.query.by_name
    for name in given.parameters:
        if name not in known:
            raise InvalidFilter(
                f"The filter has a parameter that {kind.query.name} does not know (ITI TF-2: 3.52.5.2).",
                location=printable(name),
            )
    if kind.one_of and not any(given.parameters.get(name) for name in kind.one_of):
        raise InvalidFilter(
            f"A {kind.query.name} filter needs one of {', '.join(kind.one_of)} (ITI TF-2: 3.52.5.2).",
            location=kind.one_of[0],
        )
    try:
        return read(given.query_id, given.parameters, queries=_QUERIES)
    except Invalid as error:
        raise InvalidFilter(error.message, location=error.location) from error


@lru_cache(maxsize=4096)
def _clauses(query_id: str, parameters: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]) -> tuple[Clause, ...]:
    question = read_filter(Filter(query_id, dict(parameters)))
    return tuple(clause for clauses in question.clauses.values() for clause in clauses)


def matches(wanted: Filter, item: Published) -> bool:
    """Whether the registry would find the object by this filter; whose it is must have been decided before."""
    if not isinstance(item, FILTERS[wanted.query_id].about):
        return False
    row = _row(item)
    return all(
        _holds(clause, row, item) for clause in _clauses(wanted.query_id, tuple(sorted(wanted.parameters.items())))
    )


def _row(item: Published) -> Mapping[str, object]:
    if isinstance(item, DocumentEntry):
        return entry_row(item, "", now())
    if isinstance(item, SubmissionSet):
        return set_row(item, "", now())
    return folder_row(item)


def _holds(clause: Clause, row: Mapping[str, object], item: Published) -> bool:
    """As ``DocumentStore`` asks the database."""
    if clause.operator is Operator.LIKE:
        texts = _texts(clause.field, item)
        return any(test(text) for test in map(like, clause.values) for text in texts)
    value = str(row[clause.field])
    if clause.operator is Operator.HAS:
        return any(f"{SEPARATOR}{wanted}{SEPARATOR}" in value for wanted in clause.values)
    if clause.operator is Operator.FROM:
        return value != "" and value >= clause.values[0]
    if clause.operator is Operator.BEFORE:
        return value != "" and value < clause.values[0]
    return value in clause.values


def _texts(field: str, item: Published) -> list[str]:
    if field == "intended_recipients" and isinstance(item, SubmissionSet):
        return list(item.intended_recipients)
    authors = () if isinstance(item, Folder) else item.authors
    return [author.person for author in authors if author.person]
