"""An on-demand document of the hub itself: the imaging studies of a person, as the registry knows them when asked."""

import hashlib
from collections.abc import Callable

from hub.app.settings.model import Settings
from hub.app.sharing.communities import FileLease
from hub.context import Context
from hub.documents.model import Author, DocumentEntry
from hub.documents.ondemand import OnDemandDocuments, Rendered
from hub.documents.ports import Spool
from hub.documents.service import DocumentService
from hub.imaging.metadata import ACCESSION, STUDY, Vocabulary
from hub.outbox import Outbox
from hub.patients.model import Person
from hub.values import Code, PatientIdentifier
from hub.wire.cda.study_list import StudyRow, Subject, write_study_list

_CODES = Vocabulary()
_KIND = Code("18726-0", "2.16.840.1.113883.6.1", "Radiology studies (set)")
_FORMAT = Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient")
TITLE = "Liste des examens d'imagerie"


class StudyList:
    """The provider: a CDA document with one line for each imaging manifest that is current."""

    def __init__(
        self,
        documents: DocumentService,
        person: Callable[[PatientIdentifier], Person | None],
        *,
        registry: str,
        name: str,
        language: str = _CODES.language,
        most: int = 1000,
    ) -> None:
        self.documents = documents
        self.person = person
        self.registry = registry
        self.name = name
        self.language = language
        self.most = most

    def offered(self, item: DocumentEntry) -> PatientIdentifier | None:
        """Whoever has an imaging manifest."""
        return item.patient_id if _is_manifest(item) else None

    def entry(self, patient: PatientIdentifier) -> DocumentEntry:
        """What is registered for a person."""
        return DocumentEntry(
            id="",
            unique_id="",
            patient_id=patient,
            mime_type="text/xml",
            class_code=_CODES.report_class,
            type_code=_KIND,
            format_code=_FORMAT,
            healthcare_facility_type_code=_CODES.facility_type,
            practice_setting_code=_CODES.practice_setting,
            confidentiality_codes=(_CODES.confidentiality,),
            authors=(Author(institutions=(self.name,)),),
            language_code=self.language,
            source_patient_id=patient.cx,
            title=TITLE,
        )

    def render(self, entry: DocumentEntry, context: Context | None) -> Rendered:
        """The list as of now; the same bytes as long as nothing of it changes."""
        found = self.documents.documents_of(entry.patient_id, limit=self.most, context=context)
        manifests = [item for item in found if _is_manifest(item) and (context is not None or _is_normal(item))]
        rows = [_row(item) for item in manifests]
        person = self.person(entry.patient_id)
        traits = person.traits if person is not None else None
        subject = Subject(
            entry.patient_id,
            (traits.used_name or traits.birth_name) if traits else "",
            (traits.used_given or traits.birth_given) if traits else "",
            traits.birth_date if traits else "",
            traits.sex if traits else "",
        )
        created = max((item.creation_time for item in manifests), default="20000101")
        key = hashlib.sha256(repr((subject, rows, created)).encode()).hexdigest()
        document = write_study_list(
            subject,
            rows,
            unique_id=f"2.25.{int(key[:32], 16)}",
            created=created,
            title=TITLE,
            custodian=(self.registry, self.name),
            language=self.language,
        )
        return Rendered("text/xml", document, key, created)


def build(
    settings: Settings,
    documents: DocumentService,
    content: Spool,
    person: Callable[[PatientIdentifier], Person | None],
    outbox: Outbox,
) -> OnDemandDocuments:
    """The hub's on-demand documents; none are offered or made unless the settings say so."""
    region = settings.region
    provider = StudyList(
        documents, person, registry=region.repository_unique_id, name=region.name, language=region.language
    )
    made = OnDemandDocuments(
        documents=documents,
        content=content,
        lease=FileLease,
        outbox=outbox,
        providers={region.repository_unique_id: provider} if settings.on_demand.study_list else {},
        source_id=region.source_id,
        content_type=_CODES.content_type,
        persist=settings.on_demand.persist,
    )
    documents.on_demand = made
    documents.listeners.append(made.registered)
    return made


def _is_manifest(item: DocumentEntry) -> bool:
    return item.mime_type == "application/dicom"


def _is_normal(item: DocumentEntry) -> bool:
    return all(code.value == "N" for code in item.confidentiality_codes)


def _row(item: DocumentEntry) -> StudyRow:
    references = {reference.type_code: reference.value for reference in item.reference_ids}
    institutions = [text.partition("^")[0] for author in item.authors for text in author.institutions]
    date = item.service_start_time or item.creation_time
    return StudyRow(
        date="-".join(part for part in (date[:4], date[4:6], date[6:8]) if part),
        title=item.title,
        kinds=", ".join(dict.fromkeys(code.display or code.value for code in item.event_codes)),
        place=", ".join(dict.fromkeys(institutions)),
        accession=references.get(ACCESSION, ""),
        study=references.get(STUDY, ""),
    )
