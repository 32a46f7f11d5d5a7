"""What a search of MHD asks -> stored queries (MHD 4.2: Tables 2:3.66.4.1.3.1-1 and 2:3.67.4.1.3.1-1).

A parameter that its stored query can't take as it stands (a code without a system, a name, a period of which one end
may be missing) is decided after reading.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from hub.documents.model import APPROVED, DEPRECATED
from hub.documents.sharing_model import Asked, FindShared, Matching
from hub.errors import Invalid, NotFound
from hub.values import PatientIdentifier
from hub.wire.fhir import search
from hub.wire.fhir.codes import searched_code, unique_id_of
from hub.wire.fhir.document_list import FOLDER, SUBMISSION_SET
from hub.wire.fhir.document_reference import REFERENCE_TYPES, STUDY
from hub.wire.fhir.times import asked, bounds
from hub.wire.http import HttpRequest

Found = Mapping[str, tuple[str, ...]]
Groups = tuple[tuple[str, ...], ...]

_DE, _SS, _FOL = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
_STATUSES = {
    "current": APPROVED,
    "superseded": DEPRECATED,
    "retired": DEPRECATED,
}
_IN_ERROR = "entered-in-error"  #: FHIR has it, the registry not: finds nothing
#: Parameter -> (attribute, parameter of FindDocuments).
_CODES: Mapping[str, tuple[str, str]] = {
    "category": ("class_code", f"{_DE}ClassCode"),
    "type": ("type_code", f"{_DE}TypeCode"),
    "setting": ("practice_setting_code", f"{_DE}PracticeSettingCode"),
    "facility": ("healthcare_facility_type_code", f"{_DE}HealthcareFacilityTypeCode"),
    "event": ("event_codes", f"{_DE}EventCodeList"),
    "security-label": ("confidentiality_codes", f"{_DE}ConfidentialityCode"),
    "format": ("format_code", f"{_DE}FormatCode"),
}
#: These may hold several codes: all of repeated parameters must be there. The others hold one.
_SEVERAL = frozenset({"event", "security-label"})
_PERSON = (
    ("_id", "token", "The resource's id"),
    ("patient", "reference", "The person: Patient/[regional identifier]"),
    ("patient.identifier", "token", "Any identifier of the person: urn:oid:[authority]|[number]"),
)
_COMMUNITY = ("targetCommunityIdList", "uri", "homeCommunityId: urn:oid:..., several separated by commas")
DOCUMENT_PARAMETERS = (
    *_PERSON,
    ("status", "token", "current, superseded"),
    ("identifier", "token", "uniqueId or entryUUID: urn:ietf:rfc:3986|urn:oid:..., urn:oid:[root]|[extension]"),
    ("date", "date", "creationTime, as creation"),
    ("creation", "date", "creationTime"),
    ("author.family", "string", "Beginning of an author's family name"),
    ("author.given", "string", "Beginning of an author's given name"),
    ("author.identifier", "token", "An author's number: urn:oid:[authority]|[number], [number]"),
    ("category", "token", "classCode"),
    ("type", "token", "typeCode"),
    ("setting", "token", "practiceSettingCode"),
    ("period", "date", "An interval which the time of service overlaps"),
    ("period-start", "date", "serviceStartTime (PDSm)"),
    ("period-end", "date", "serviceStopTime (PDSm)"),
    ("isArchived", "token", "false (PDSm): the registry has no archive"),
    ("facility", "token", "healthcareFacilityTypeCode"),
    ("event", "token", "eventCodeList"),
    ("security-label", "token", "confidentialityCode"),
    ("format", "token", "formatCode"),
    ("related", "reference", "referenceIdList: [system]|[value] (also related:identifier)"),
    _COMMUNITY,
)
LIST_PARAMETERS = (
    *_PERSON,
    ("code", "token", "submissionset, folder"),
    ("status", "token", "current, retired"),
    ("identifier", "token", "uniqueId or entryUUID"),
    ("date", "date", "submissionTime, lastUpdateTime"),
    ("designationType", "token", "contentTypeCode, codeList"),
    ("source.family", "string", "Beginning of the author's family name"),
    ("source.given", "string", "Beginning of the author's given name"),
    ("sourceId", "token", "sourceId"),
    ("isArchived", "token", "false (PDSm): the registry has no archive"),
    _COMMUNITY,
)
_RELATED = "related:identifier"
#: What _sort may name, and the attribute that it means.
DOCUMENT_ORDER: Mapping[str, str] = {
    "date": "creation_time",
    "creation": "creation_time",
    "period": "service_start_time",
    "period-start": "service_start_time",
    "period-end": "service_stop_time",
    "_id": "id",
    "identifier": "unique_id",
    "status": "status",
}
LIST_ORDER: Mapping[str, str] = {"date": "time", "_id": "id", "identifier": "unique_id", "status": "status"}
DOCUMENTS = search.Searchable(
    "DocumentReference", (*(name for name, _, _ in DOCUMENT_PARAMETERS), _RELATED), DOCUMENT_ORDER
)
LISTS = search.Searchable("List", tuple(name for name, _, _ in LIST_PARAMETERS), LIST_ORDER)


@dataclass(slots=True)
class _Terms:
    """What is being put together: parameters of the Find query, and what is decided after reading."""

    parameters: dict[str, Groups] = field(default_factory=dict)
    names: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    codes: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)


def uuid_urn(item_id: str) -> str:
    """The entryUUID of a resource's id."""
    return f"urn:uuid:{item_id.partition('.')[0].lower()}"


def community_of(item_id: str) -> str:
    """The key of the community whose object a resource's id means; "" for this one's."""
    return item_id.partition(".")[2]


def documents_asked(message: HttpRequest) -> FindShared:
    """A search for DocumentReferences, or the one whose id is in the path. Raises Invalid, UnknownParameter."""
    return _asked(message, find_documents, read_document)


def lists_asked(message: HttpRequest) -> FindShared:
    """A search for Lists, or the one whose id is in the path. Raises Invalid, UnknownParameter."""
    return _asked(message, find_lists, read_list)


def _asked(
    message: HttpRequest, find: Callable[[HttpRequest], FindShared], read: Callable[[str], FindShared]
) -> FindShared:
    wanted = message.path_parameters.get("id")
    if not wanted:
        return find(message)
    search.accept_json(message)
    return read(wanted)


def find_documents(message: HttpRequest) -> FindShared:
    """A search for DocumentReferences. Raises Invalid, UnknownParameter."""
    found = search.parameters(message, DOCUMENTS)
    patient = _patient(found, message.base)
    terms = _Terms()
    for name, (attribute, parameter) in _CODES.items():
        _code(terms, found, name, attribute, parameter, native=patient is not None)
    _names(terms, found, "author")
    numbers = [_author_numbers(text) for text in found.get("author.identifier", ())]
    terms.names += [("identifier", values) for values in numbers]
    moments = asked((*found.get("date", ()), *found.get("creation", ())), "date")
    _period(terms.parameters, f"{_DE}CreationTime", bounds(moments))
    related = (*found.get("related", ()), *found.get(_RELATED, ()))
    query = "FindDocuments"
    if related:
        query = "FindDocumentsByReferenceId"
        terms.parameters[f"{_DE}ReferenceIdList"] = tuple(_reference_ids(text) for text in related)
    groups: list[tuple[Asked, ...]] = []
    if patient is not None:
        groups.append((Asked(query, terms.parameters),))
    elif related or moments:
        raise Invalid("This search needs patient or patient.identifier.", location="patient")
    for name in ("_id", "identifier"):
        for text in found.get(name, ()):
            unique_ids, entry_ids = identifiers_asked(name, text)
            by = ((f"{_DE}UniqueId", unique_ids), (f"{_DE}EntryUUID", entry_ids))
            groups.append(tuple(Asked("GetDocuments", {key: (values,)}) for key, values in by if values))
    matching = replace(
        _service(found),
        names=tuple(terms.names),
        codes=tuple(terms.codes),
        statuses=_statuses(found),
        nothing=_archived(found) or _in_error(found),
    )
    return replace(_command(found, groups, patient, matching), sort=search.sorting(message, DOCUMENT_ORDER))


def find_lists(message: HttpRequest) -> FindShared:
    """A search for Lists. Raises Invalid, UnknownParameter."""
    found = search.parameters(message, LISTS)
    patient = _patient(found, message.base)
    kinds = _kinds(found)
    terms = _Terms()
    designations = [_codes_of(text, "designationType") for text in found.get("designationType", ())]
    # A submission set has a contentTypeCode, a folder a codeList: decided after reading, so that both can be asked.
    _names(terms, found, "source")
    time = bounds(asked(found.get("date", ()), "date"))
    source_ids = [search.token(text).code.removeprefix("urn:oid:") for text in _flat(found.get("sourceId", ()))]
    choices: list[Asked] = []
    if SUBMISSION_SET in kinds:
        choices.append(Asked("FindSubmissionSets", _set_parameters(time, source_ids)))
    # What only submission sets have is ignored when folders alone are asked for (Note 3), and else excludes them.
    if FOLDER in kinds and not (SUBMISSION_SET in kinds and (terms.names or source_ids)):
        choices.append(Asked("FindFolders", _timed(f"{_FOL}LastUpdateTime", time)))
    if kinds == {FOLDER}:
        terms.names.clear()
    groups: list[tuple[Asked, ...]] = []
    if patient is not None:
        groups.append(tuple(choices))
    elif time != ("", "") or source_ids:
        raise Invalid("This search needs patient or patient.identifier.", location="patient")
    for name in ("_id", "identifier"):
        for text in found.get(name, ()):
            groups.append(lists_by_id(*identifiers_asked(name, text), kinds=kinds))
    codes = tuple((("content_type_code", "codes"), values) for values in designations)
    matching = Matching(
        names=tuple(terms.names), codes=codes, statuses=_statuses(found), nothing=_archived(found) or _in_error(found)
    )
    command = _command(found, groups, patient, matching)
    return replace(command, lists=True, sort=search.sorting(message, LIST_ORDER))


def lists_by_id(
    unique_ids: Iterable[str], entry_ids: Iterable[str], *, kinds: Iterable[str] = (SUBMISSION_SET, FOLDER)
) -> tuple[Asked, ...]:
    """The queries that find submission sets and folders by their ids."""
    rows: list[Asked] = []
    for end, values in (("UniqueId", tuple(unique_ids)), ("EntryUUID", tuple(entry_ids))):
        if not values:
            continue
        if SUBMISSION_SET in kinds:
            rows += [Asked("GetSubmissionSetAndContents", {f"{_SS}{end}": ((value,),)}) for value in values]
        if FOLDER in kinds:
            rows.append(Asked("GetFolders", {f"{_FOL}{end}": (values,)}))
    return tuple(rows)


def read_document(item_id: str) -> FindShared:
    """The DocumentReference of an id."""
    asked_for = Asked("GetDocuments", {f"{_DE}EntryUUID": ((_known(item_id),),)})
    return FindShared(((asked_for,),), limit=1, community=community_of(item_id))


def read_list(item_id: str) -> FindShared:
    """The List of an id."""
    return FindShared((lists_by_id((), (_known(item_id),)),), lists=True, limit=1, community=community_of(item_id))


def _known(item_id: str) -> str:
    if len(item_id.partition(".")[0]) != 36:
        raise NotFound()
    return uuid_urn(item_id)


def _command(
    found: Found, groups: list[tuple[Asked, ...]], patient: PatientIdentifier | None, matching: Matching
) -> FindShared:
    if not groups:
        raise Invalid("A search needs patient or patient.identifier (or _id, identifier).", location="patient")
    communities = tuple(_flat(found.get("targetCommunityIdList", ())))
    limit, offset = search.count(found), search.offset(found)
    # Ids of one other community's resources: that one is asked. (Those of several are found one by one.)
    keys = {community_of(part) for part in _flat(found.get("_id", ()))}
    key = keys.pop() if len(keys) == 1 else ""
    return FindShared(tuple(groups), patient, matching, communities, limit=limit, offset=offset, community=key)


def _patient(found: Found, base: str) -> PatientIdentifier | None:
    reference, number = search.single(found, "patient"), search.single(found, "patient.identifier")
    if reference and number:
        raise Invalid("One of patient and patient.identifier is enough.", location="patient.identifier")
    if reference:
        return PatientIdentifier(search.reference_id(reference, "Patient", "patient", base), "")
    return search.identifier(number, "patient.identifier") if number else None


def _statuses(found: Found) -> tuple[str, ...]:
    texts = [search.token(text).code for text in search.alternatives(search.single(found, "status"))]
    unknown = [text for text in texts if text not in (*_STATUSES, _IN_ERROR)]
    if unknown:
        raise Invalid("A status is current or superseded (of a List: current or retired).", location="status")
    return tuple(dict.fromkeys(_STATUSES[text] for text in texts if text in _STATUSES))


def _in_error(found: Found) -> bool:
    """Whether only what is entered in error is asked for: that is nothing."""
    return bool(found.get("status")) and not _statuses(found)


def _kinds(found: Found) -> set[str]:
    texts = {search.token(text).code for text in search.alternatives(search.single(found, "code"))}
    if texts - {SUBMISSION_SET, FOLDER}:
        raise Invalid("A List's code is submissionset or folder.", location="code")
    return texts or {SUBMISSION_SET, FOLDER}


def _codes_of(text: str, name: str) -> tuple[str, ...]:
    return tuple(searched_code(search.token(part), name) for part in search.alternatives(text))


def _code(terms: _Terms, found: Found, name: str, attribute: str, parameter: str, *, native: bool) -> None:
    groups = [_codes_of(text, name) for text in found.get(name, ())]
    asked_natively = native and (name in _SEVERAL or len(groups) == 1)
    if groups and asked_natively and all("^^" in code for group in groups for code in group):
        terms.parameters[parameter] = tuple(groups)
    else:
        terms.codes += [((attribute,), group) for group in groups]


def _names(terms: _Terms, found: Found, element: str) -> None:
    for part in ("family", "given"):
        terms.names += [(part, search.alternatives(text)) for text in found.get(f"{element}.{part}", ())]


def _period(parameters: dict[str, Groups], name: str, time: tuple[str, str]) -> None:
    for end, value in zip(("From", "To"), time, strict=True):
        if value:
            parameters[f"{name}{end}"] = ((value,),)


def _timed(name: str, time: tuple[str, str]) -> dict[str, Groups]:
    found: dict[str, Groups] = {}
    _period(found, name, time)
    return found


def _set_parameters(time: tuple[str, str], source_ids: list[str]) -> dict[str, Groups]:
    found = _timed(f"{_SS}SubmissionTime", time)
    if source_ids:
        found[f"{_SS}SourceId"] = (tuple(source_ids),)
    return found


def _service(found: Found) -> Matching:
    """The period parameters: what overlaps with each (MHD: 2:3.67.4.1.2.1)."""
    start_from = start_before = stop_from = stop_before = ""
    for item in asked(found.get("period", ()), "period"):
        if item.prefix in ("eq", "ge", "gt"):
            stop_from = max(stop_from, item.high if item.prefix == "gt" else item.low)
        if item.prefix in ("eq", "le", "lt"):
            before = item.low if item.prefix == "lt" else item.high
            start_before = min(start_before or before, before)
        if item.prefix == "sa":
            start_from = max(start_from, item.high)
        if item.prefix == "eb":
            stop_before = min(stop_before or item.low, item.low)
    from_, before = bounds(asked(found.get("period-start", ()), "period-start"))
    start_from, start_before = max(start_from, from_), _earlier(start_before, before)
    from_, before = bounds(asked(found.get("period-end", ()), "period-end"))
    stop_from, stop_before = max(stop_from, from_), _earlier(stop_before, before)
    return Matching(start_from=start_from, start_before=start_before, stop_from=stop_from, stop_before=stop_before)


def _earlier(one: str, other: str) -> str:
    """The earlier of two ends, of which each may be open."""
    return min(filter(None, (one, other)), default="")


def _archived(found: Found) -> bool:
    """Whether only what is archived is asked for: that is nothing. Raises Invalid."""
    texts = {search.token(text).code for text in search.alternatives(search.single(found, "isArchived"))}
    if texts - {"true", "false"}:
        raise Invalid("isArchived is true or false.", location="isArchived")
    return texts == {"true"}


def _author_numbers(text: str) -> tuple[str, ...]:
    """Numbers as an XCN has them: ``number`` of any authority, ``number^oid``. Raises Invalid."""
    tokens = [search.token(part) for part in search.alternatives(text)]
    if not all(item.code for item in tokens):
        raise Invalid("An identifier needs a value.", location="author.identifier")
    return tuple(f"{item.code}^{item.system.removeprefix('urn:oid:')}" if item.system else item.code for item in tokens)


def identifiers_asked(name: str, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """uniqueIds and entryUUIDs of a parameter's alternatives. Raises Invalid."""
    parts = search.alternatives(text)
    if not parts:
        raise Invalid("An identifier is expected.", location=name)
    if name == "_id":
        return (), tuple(uuid_urn(part) for part in parts)
    tokens = [search.token(part) for part in parts]
    if not all(item.code for item in tokens):
        raise Invalid("An identifier needs a value.", location=name)
    unique_ids = tuple(unique_id_of(item.system, item.code) for item in tokens)
    return unique_ids, tuple(item.code.lower() for item in tokens if item.code.lower().startswith("urn:uuid:"))


def _reference_ids(text: str) -> tuple[str, ...]:
    """CXi of every type that an identifier may have: a token says its authority, not its type."""
    found: list[str] = []
    for part in search.alternatives(text):
        item = search.token(part)
        if item.system is None or not item.code or "^" in item.code:
            raise Invalid("A related identifier is [system]|[value].", location="related")
        if item.system == "urn:dicom:uid":
            found.append(f"{item.code.removeprefix('urn:oid:')}^^^^{STUDY}")
            continue
        authority = f"&{item.system.removeprefix('urn:oid:')}&ISO" if item.system.startswith("urn:oid:") else ""
        found += [f"{item.code}^^^{authority}^{kind}" for kind in REFERENCE_TYPES]
    return tuple(found)


def _flat(texts: Iterable[str]) -> list[str]:
    return [part for text in texts for part in search.alternatives(text)]
