"""The page of a document's life: versions, what it hangs together with, submissions, folders, who read it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.responses import Response

from hub.audit.model import AuditPage, AuditRecord
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    STABLE,
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    QueryResult,
    RegistryObject,
    StoredQuery,
    SubmissionSet,
)
from hub.errors import NotFound
from hub.patients.model import GetPerson, Person
from hub.portal import actions, timeline, trail_words
from hub.portal.clinical import Rows
from hub.portal.ports import PortalHub
from hub.portal.render import Renderer
from hub.portal.visit import Visit
from hub.portal.web import Route
from hub.values import PatientIdentifier

#: Stored queries that tell a life (ITI TF-2: 3.18.4.1.2.4).
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_SUBMISSION_SETS = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"
GET_FOLDERS = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
#: Former versions, and associations whatever became of them.
_ALL = {"$MetadataLevel": (("2",),), "$XDSAssociationStatus": ((APPROVED, DEPRECATED),)}
READERS = 100  #: records of the audit trail that are shown
#: Association -> the word that its texts are known by.
_KINDS: Mapping[str, str] = {
    AssociationType.REPLACE: "replace",
    AssociationType.APPEND: "append",
    AssociationType.TRANSFORM: "transform",
    AssociationType.TRANSFORM_REPLACE: "transform_replace",
    AssociationType.SIGNS: "signs",
    AssociationType.IS_SNAPSHOT_OF: "snapshot",
}


@dataclass(frozen=True, slots=True)
class Link:
    """How the document and another hang together. ``direction``: out, or in when the other one says it."""

    kind: str
    direction: str
    association: Association
    other_id: str
    other: DocumentEntry | None = None  #: None: it is not here, or of another person

    @property
    def text(self) -> str:
        """Key of its text."""
        return f"life.{self.direction}.{self.kind}"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission that the document was part of; ``original``: it brought it, else it referred to it."""

    submission_set: SubmissionSet
    original: bool


@dataclass(frozen=True, slots=True)
class DocumentLife:
    """Everything that the registry knows of a document. Versions: the newest first."""

    entry: DocumentEntry
    versions: Sequence[DocumentEntry]
    links: Sequence[Link] = ()
    submissions: Sequence[Submitted] = ()
    folders: Sequence[Folder] = ()
    readers: Sequence[AuditRecord] | None = field(default=None, repr=False)  #: None: not for this visitor
    more_readers: bool = False


class Life:
    """One document of a person, from the registry's and the audit trail's side."""

    def __init__(self, hub: PortalHub, renderer: Renderer, names: timeline.Names) -> None:
        self.hub = hub
        self.render = renderer.page
        self.names = names

    @property
    def routes(self) -> tuple[Route, ...]:
        """The page of this module."""
        return (Route("/portal/document/{document}/life", self.life),)

    def life(self, visit: Visit) -> Response:
        """The document's life on one page. Who read it is for those who may read the audit trail."""
        _, unique_id, value, authority = visit.handles.open("document", visit.parameters["document"])
        person: Person = visit.perform(actions.PERSON, GetPerson(PatientIdentifier(value, authority)))
        return self.render(
            visit,
            "document_life.html",
            person=person,
            person_handle=visit.handles.seal("person", person.regional.value, person.regional.authority),
            handle=visit.parameters["document"],
            life=self.told(visit, person, unique_id),
            row=Rows(visit, person),
            names=self.names,
            timeline=timeline,
            on_demand=ON_DEMAND,
            words=trail_words,
        )

    def told(self, visit: Visit, person: Person, unique_id: str) -> DocumentLife:
        """What registry and audit trail say. Raises NotFound for a document that is not this person's."""
        own = [
            entry
            for entry in _documents(self.ask(visit, GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": (unique_id,)}))
            if entry.unique_id == unique_id and entry.patient_id in person.identifiers
        ]
        if not own:
            raise NotFound
        versions = sorted(own, key=lambda entry: -entry.version)
        entry = next((item for item in versions if item.status == APPROVED), versions[0])
        ids = tuple(item.id for item in versions)
        found = self.ask(visit, GET_ASSOCIATIONS, {"$uuid": ids})
        associations = [item for item in found if isinstance(item, Association)]
        readers = self.readers(visit, unique_id)
        return DocumentLife(
            entry,
            versions,
            tuple(self.links(visit, person, ids, associations)),
            tuple(self.submissions(visit, ids)),
            self.folders(visit, ids),
            readers.records if readers is not None else None,
            bool(readers is not None and readers.cursor),
        )

    def ask(self, visit: Visit, query: str, parameters: Mapping[str, tuple[str, ...]]) -> Sequence[RegistryObject]:
        """A stored query, permitted and audited."""
        command = StoredQuery(query, {**_ALL, **{name: (values,) for name, values in parameters.items()}})
        result: QueryResult = visit.perform(actions.DOCUMENT_LIFE, command)
        return result.objects

    def links(
        self, visit: Visit, person: Person, ids: Sequence[str], associations: Iterable[Association]
    ) -> Iterable[Link]:
        """Both directions; documents of other persons stay unnamed."""
        told = [item for item in associations if item.type != AssociationType.HAS_MEMBER]
        others = {end for item in told for end in (item.source, item.target) if end not in ids}
        found: dict[str, DocumentEntry] = {}
        if others:
            wanted = {"$XDSDocumentEntryEntryUUID": tuple(sorted(others)), "$XDSDocumentEntryType": (STABLE, ON_DEMAND)}
            for entry in _documents(self.ask(visit, GET_DOCUMENTS, wanted)):
                if entry.patient_id in person.identifiers:
                    found[entry.id] = entry
        for item in told:
            kind = _KINDS.get(item.type, "other")
            if item.source in ids:
                yield Link(kind, "out", item, item.target, found.get(item.target))
            elif item.target in ids:
                yield Link(kind, "in", item, item.source, found.get(item.source))

    def submissions(self, visit: Visit, ids: Sequence[str]) -> Iterable[Submitted]:
        """By time of submission."""
        found = self.ask(visit, GET_SUBMISSION_SETS, {"$uuid": tuple(ids)})
        original = {
            item.source
            for item in found
            if isinstance(item, Association) and item.target in ids and item.submission_set_status != "Reference"
        }
        sets = [item for item in found if isinstance(item, SubmissionSet)]
        for item in sorted(sets, key=lambda one: one.submission_time):
            yield Submitted(item, item.id in original)

    def folders(self, visit: Visit, ids: Iterable[str]) -> Sequence[Folder]:
        """Each once, whichever version is in it."""
        found = {
            item.id: item
            for identifier in ids
            for item in self.ask(visit, GET_FOLDERS, {"$XDSDocumentEntryEntryUUID": (identifier,)})
            if isinstance(item, Folder)
        }
        return tuple(found.values())

    def readers(self, visit: Visit, unique_id: str) -> AuditPage | None:
        """Records of the audit trail about the document's bytes, newest first; None where the visitor may not."""
        if not visit.may(actions.READERS.permission):
            return None
        command = actions.ListAudit(limit=READERS, references=(unique_id,), kind="document")
        page: AuditPage = visit.perform(actions.READERS, command)
        return page


def _documents(objects: Iterable[RegistryObject]) -> list[DocumentEntry]:
    return [item for item in objects if isinstance(item, DocumentEntry)]
