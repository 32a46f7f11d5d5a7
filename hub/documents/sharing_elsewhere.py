"""The part of MHD's searches that other communities answer (MHD: 1:33.6.2, behind it ITI-38 and ITI-39)."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError, UnavailableCommunity
from hub.documents.formats import is_uuid
from hub.documents.matching import Listed
from hub.documents.model import (
    Association,
    AssociationType,
    DocumentEntry,
    DocumentRequest,
    Folder,
    RegistryObject,
    StoredQuery,
    SubmissionSet,
)
from hub.documents.ports import Elsewhere
from hub.documents.queries import QUERIES
from hub.documents.sharing_model import CommunityStatus, FindShared, OpenedDocument, SharedPage
from hub.values import PatientIdentifier

T = TypeVar("T", bound=Listed)
Parameters = Mapping[str, tuple[tuple[str, ...], ...]]
IDS = {query.name: query.id for query in QUERIES.values()}
#: Parameters that may have several values: written as lists, whatever they have.
_LISTS = {query.name: frozenset(item.name for item in query.parameters if item.multiple) for query in QUERIES.values()}
#: The only query for a submission set by its id; its contents are not meant.
SET_BY_ID = "GetSubmissionSetAndContents"


def is_elsewhere(item_id: str) -> bool:
    """Whether an id is one of another community's object: its entryUUID, a dot, and the community's key."""
    return "." in item_id


class Gathering:
    """One search at other communities, and who of them answered."""

    def __init__(self, elsewhere: Elsewhere, homes: Sequence[str], context: Context) -> None:
        self.elsewhere = elsewhere
        self.homes = tuple(homes)
        self.context = context
        self.statuses: dict[str, CommunityStatus] = {}  #: by homeCommunityId
        self.strangers: set[str] = set()  #: ids of objects about persons who are not known here

    def listed(
        self,
        command: FindShared,
        patient: PatientIdentifier | None,
        of_person: Callable[[str], Parameters],
        meant: Callable[[PatientIdentifier], PatientIdentifier | None],
    ) -> list[Listed]:
        """What every group of the search finds, each object under an id of ours. ``patient``: whom it is about, as
        this region numbers him or her; ``meant``: who a number is here, None for a stranger."""
        kinds: tuple[type[Listed], ...] = (SubmissionSet, Folder) if command.lists else (DocumentEntry,)
        every: list[dict[str, Listed]] = []
        for group in command.asked:
            found: dict[str, Listed] = {}
            for asked in group:
                wanted: tuple[type[Listed], ...] = (SubmissionSet,) if asked.query == SET_BY_ID else kinds
                for item in self._query(asked.query, {**of_person(asked.query), **asked.parameters}, self.homes):
                    if isinstance(item, wanted) and is_uuid(item.id):
                        here = self._named(item, patient or meant(item.patient_id))
                        found[here.id] = here
            every.append(found)
        kept = [item for key, item in every[0].items() if all(key in other for other in every[1:])]
        counts = Counter(item.home for item in kept)
        self.statuses = {home: replace(status, count=counts[home]) for home, status in self.statuses.items()}
        return kept

    def completed(self, page: SharedPage, lists: bool) -> SharedPage:
        """The page with the associations of its objects that are elsewhere, what they lead to, and who answered."""
        theirs = [item for item in page.objects if is_elsewhere(item.id)]
        links, members = list(page.associations), list(page.members)
        for home in dict.fromkeys(item.home for item in theirs):
            ids = tuple(item.id.partition(".")[0] for item in theirs if item.home == home)
            found = self._query("GetAssociations", {"$uuid": (ids,)}, (home,))
            starting = [item for item in found if isinstance(item, Association) and item.source in ids]
            links += [self._linked(item, home) for item in starting]
            if lists:
                members += self._members(starting, home)
        return replace(
            page,
            associations=tuple(links),
            members=tuple(members),
            communities=tuple(self.statuses.values()),
            strangers=frozenset(self.strangers),
        )

    def opened(self, entry_id: str) -> OpenedDocument:
        """A document of the one community. Raises DocumentUniqueIdError, UnavailableCommunity, or why there is none."""
        (home,) = self.homes
        answer = self._query("GetDocuments", {"$XDSDocumentEntryEntryUUID": ((entry_id,),)}, (home,))
        self.check()
        entry = next((item for item in answer if isinstance(item, DocumentEntry) and item.id == entry_id), None)
        if entry is None:
            raise DocumentUniqueIdError()
        request = DocumentRequest(entry.repository_unique_id, entry.unique_id, home)
        self.context.touch("document", entry.unique_id)
        return OpenedDocument(self._at(entry), self.elsewhere.retrieve(request, self.context))

    def check(self) -> None:
        """Raises UnavailableCommunity where no community answered."""
        silent = [status for status in self.statuses.values() if not status.answered]
        if silent and len(silent) == len(self.statuses):
            raise UnavailableCommunity(f"{silent[0].name}: {silent[0].reason}", location=silent[0].home)

    def _members(self, links: Iterable[Association], home: str) -> list[DocumentEntry | Folder]:
        targets = tuple(item.target for item in links if item.type == AssociationType.HAS_MEMBER)
        if not targets:
            return []
        found = (
            *self._query("GetDocuments", {"$XDSDocumentEntryEntryUUID": (targets,)}, (home,)),
            *self._query("GetFolders", {"$XDSFolderEntryUUID": (targets,)}, (home,)),
        )
        members = [item for item in found if isinstance(item, DocumentEntry | Folder)]
        return [replace(item, id=self._id(item.id, item.home)) for item in members]

    def _query(self, name: str, parameters: Parameters, homes: Sequence[str]) -> tuple[RegistryObject, ...]:
        answer = self.elsewhere.query(StoredQuery(IDS[name], parameters, lists=_LISTS[name]), homes, self.context)
        for status in answer.statuses:
            if status.home not in self.statuses or not status.answered:
                self.statuses[status.home] = status
        return answer.objects

    def _named(self, item: Listed, patient: PatientIdentifier | None) -> Listed:
        """Under an id of ours, and about the person as this region numbers him or her."""
        here = self._at(item)
        if patient is not None:
            return replace(here, patient_id=patient)
        self.strangers.add(here.id)
        return here

    def _at(self, item: T) -> T:
        return replace(item, id=self._id(item.id, item.home))

    def _linked(self, item: Association, home: str) -> Association:
        return replace(item, source=self._id(item.source, home), target=self._id(item.target, home))

    def _id(self, item_id: str, home: str) -> str:
        return f"{item_id}.{self.elsewhere.key_of(home)}"
