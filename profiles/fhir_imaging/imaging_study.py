"""ImagingStudy search and read (FHIR R4: 11.2): the region's studies."""

from hub.context import Context
from hub.errors import Invalid
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import (
    FindStudies,
    FindStudiesAndPersons,
    SourceState,
    SourceStatus,
    StudiesAndPersons,
    Study,
    StudyAnswer,
)
from hub.patients.model import Person
from hub.pipeline.transaction import AuditEvent, Fhir, Kind, Transaction
from hub.values import PatientIdentifier
from hub.wire.fhir import search
from hub.wire.fhir.errors import outcome as outcome_of
from hub.wire.fhir.imaging_study import DCM, imaging_study, status_of
from hub.wire.fhir.patient import patient
from hub.wire.fhir.r4 import STUDY_STATUS
from hub.wire.http import HttpRequest, HttpResponse

_PARAMETERS = (
    ("_id", "token", "StudyInstanceUID"),
    ("patient", "reference", "The person: Patient/[regional identifier]"),
    ("subject", "reference", "The same"),
    ("patient.identifier", "token", "Any identifier of the person: urn:oid:[authority]|[number]"),
    (
        "identifier",
        "token",
        "urn:dicom:uid|urn:oid:[StudyInstanceUID]s, or accession numbers, urn:oid:[issuer]|[number]",
    ),
    ("started", "date", "When the study started, by day"),
    ("modality", "token", "Modality of a series (DCM)"),
    ("status", "token", "registered, available, cancelled; no study is entered-in-error or unknown"),
)
_INCLUDES = ("ImagingStudy:patient", "ImagingStudy:subject")
_SEARCH = search.Searchable(
    "ImagingStudy",
    tuple(name for name, _, _ in _PARAMETERS),
    ("-started",),  # as they come
    (*_INCLUDES, *(f"{name}:Patient" for name in _INCLUDES)),
)
#: Studies that are counted where the total alone is asked for.
_COUNTED = 500
TRANSACTION = Transaction(
    id="FHIR-ImagingStudy",
    title="ImagingStudy search and read",
    profile="FHIR Imaging",
    initiator="Imaging Document Consumer",
    responder="Imaging Document Responder",
    bindings=(
        Fhir("GET", "/ImagingStudy", "ImagingStudy", "search-type", _PARAMETERS, _INCLUDES),
        Fhir("POST", "/ImagingStudy/_search", "ImagingStudy", "search-type"),
        Fhir("GET", "/ImagingStudy/{id}", "ImagingStudy", "read"),
    ),
    section="FHIR R4: 11.2",
    kind=Kind.QUERY,
    permission="imaging.query",
    audit=AuditEvent("110112", "Query", "E"),
    options=(
        "series and instances on read",
        "_count and links to the next page; _elements, _summary, _total; Prefer: handling=lenient",
        "a warning per source that failed",
        "_sort=-started",
        "_include=ImagingStudy:patient, for callers who may ask for persons",
    ),
)


def decode(message: HttpRequest, context: Context) -> FindStudies | FindStudiesAndPersons:
    """Search parameters or an id -> FindStudies."""
    wanted = message.path_parameters.get("id")
    if wanted:
        search.accept_json(message)
        return FindStudies(study_instance_uids=(wanted,), level="IMAGE", live=True, limit=1)
    found = search.parameters(message, _SEARCH)
    query = _question(message, found)
    return FindStudiesAndPersons(query) if found.get("_include") else query


def _question(message: HttpRequest, found: dict[str, tuple[str, ...]]) -> FindStudies:
    uids, accessions = _identifiers(found)
    ids = search.alternatives(search.single(found, "_id"))
    if ids and uids:
        uids = tuple(uid for uid in uids if uid in ids) or ("0",)
    start, end = search.days(found.get("started", ()), "started")
    wanted_modalities = [search.token(text) for text in search.alternatives(search.single(found, "modality"))]
    modalities = [item.code for item in wanted_modalities if item.system in (None, "", DCM)]
    if wanted_modalities and not modalities:
        uids = ids = ("0",)  # a code of another system is no modality's
    _statuses(found)
    numbers = [item.code for item in accessions]
    return FindStudies(
        person=_person(found, message.base),
        study_instance_uids=uids or ids,
        accession_number=numbers[0] if len(numbers) == 1 else "",
        modalities=tuple(modalities),
        started_from=start,
        started_to=end,
        keys=(("AccessionNumber", "\\".join(numbers)),) if len(numbers) > 1 else (),
        live=True,
        limit=_COUNTED if _counts(message, found) else search.count(found),
        offset=0 if _counts(message, found) else search.offset(found),
    )


def _statuses(found: dict[str, tuple[str, ...]]) -> list[str]:
    """Raises Invalid."""
    statuses = [search.token(text).code for text in search.alternatives(search.single(found, "status"))]
    if not set(statuses) <= set(STUDY_STATUS):
        raise Invalid(f"A status is {', '.join(STUDY_STATUS[:-1])} or {STUDY_STATUS[-1]}.", location="status")
    return statuses


def encode(outcome: StudyAnswer | StudiesAndPersons, message: HttpRequest, context: Context) -> HttpResponse:
    """A searchset, or the one study."""
    if isinstance(outcome, StudiesAndPersons):
        return _searchset(outcome.answer, message, outcome.persons)
    return _searchset(outcome, message)


def _searchset(outcome: StudyAnswer, message: HttpRequest, persons: tuple[Person, ...] = ()) -> HttpResponse:
    dicomweb = f"{message.base.removesuffix('/fhir')}/dicom-web"
    if "id" in message.path_parameters:
        if not outcome.studies:
            raise _why(outcome.statuses)
        return search.read(message, imaging_study(outcome.studies[0], dicomweb))
    found = search.parameters(message, _SEARCH)
    statuses = _statuses(found)
    accessions = _identifiers(found)[1]
    studies = [item for item in outcome.studies if not statuses or status_of(item) in statuses]
    studies = [item for item in studies if not accessions or any(_is_named(item.study, token) for token in accessions)]
    whole = len(studies) == len(outcome.studies) and not statuses
    if _counts(message, found):
        return _counted(message, outcome, len(studies), outcome.total if whole else None)
    after = search.offset(found) + len(outcome.studies)
    return search.bundle(
        message,
        _SEARCH,
        (imaging_study(item, dicomweb) for item in studies),
        total=outcome.total if whole else None,
        next_page={"_offset": str(after)} if outcome.more and outcome.studies else None,
        included=(patient(person) for person in persons if any(item.person == person.regional for item in studies)),
        outcomes=[_warning(status) for status in _missing(outcome.statuses)],
    )


def _counts(message: HttpRequest, found: dict[str, tuple[str, ...]]) -> bool:
    """Whether the total alone is asked for (FHIR R4: 3.1.1.5.2, 3.1.1.5.8)."""
    return message.parameter("_summary") == "count" or not search.count(found)


def _counted(message: HttpRequest, outcome: StudyAnswer, count: int, total: int | None) -> HttpResponse:
    """How many there are, and what may be missing of them. ``total``: how many the index says there are."""
    warnings = [_warning(status) for status in _missing(outcome.statuses)]
    if total is None and outcome.more:
        warnings.append(outcome_of("warning", "incomplete", "There are more than were counted: narrow the search."))
    return search.bundle(message, _SEARCH, (), total=count if total is None else total, outcomes=warnings)


def _identifiers(found: dict[str, tuple[str, ...]]) -> tuple[tuple[str, ...], tuple[search.Token, ...]]:
    """StudyInstanceUIDs or accession numbers of the identifier parameter. Raises Invalid."""
    tokens = [search.token(part) for part in search.alternatives(search.single(found, "identifier"))]
    uids = tuple(
        item.code.removeprefix("urn:oid:")
        for item in tokens
        if item.system == "urn:dicom:uid" or item.code.startswith("urn:oid:")
    )
    if uids and len(uids) < len(tokens):
        raise Invalid("StudyInstanceUIDs and accession numbers are searched for apart.", location="identifier")
    if len(tokens) > 1 and any(set(item.code) & set("*?\\") for item in tokens):
        raise Invalid("One of several accession numbers has a character that it can't have.", location="identifier")
    return uids, () if uids else tuple(tokens)


def _is_named(study: Study, token: search.Token) -> bool:
    """Whether it bears the accession number, as far as is known who issued it."""
    issuer = study.accession_issuer
    return study.accession_number == token.code and (
        not token.system or not issuer or token.system == f"urn:oid:{issuer}"
    )


def _person(found: dict[str, tuple[str, ...]], base: str) -> PatientIdentifier | None:
    identifier = search.single(found, "patient.identifier")
    for name in ("patient", "subject"):
        if reference := search.single(found, name):
            return PatientIdentifier(search.reference_id(reference, "Patient", name, base), "")
    return search.identifier(identifier, "patient.identifier") if identifier else None


def _missing(statuses: tuple[SourceStatus, ...]) -> list[SourceStatus]:
    return [status for status in statuses if not status.whole]


def _warning(status: SourceStatus) -> dict[str, object]:
    issue = "timeout" if status.state is SourceState.LATE else "incomplete"
    return outcome_of("warning", issue, f"{status.source}: {status.reason}")


def _why(statuses: tuple[SourceStatus, ...]) -> UnknownStudy:
    missing = ", ".join(status.source for status in _missing(statuses))
    return UnknownStudy(f"The study is not known here; not asked with success: {missing}." if missing else "")
