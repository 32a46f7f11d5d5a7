"""Studies as one caller may see them: what the caller may not read is as if no source held it.

A question about a hidden study is carried out to the end, about a UID that was made this moment: so its answer, and
what it costs, are those of a study that nobody has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hub.access.rights_model import WITHHELD, Kind, Rights, Thing
from hub.connector.contract import StudyQuery
from hub.context import Context
from hub.errors import HubError
from hub.imaging.errors import UnknownInstance
from hub.imaging.locate import Archives
from hub.imaging.model import FailedInstance, IndexedStudy, InstanceRequest, InstanceStream, Study
from hub.imaging.store_readers import Copy, ReadersIndex
from hub.storage.engine import Database
from hub.values import PatientIdentifier, new_uid

#: Whom a study is about that bears no number, and who is looked up where there is nothing.
NOBODY = PatientIdentifier("0", "2.25.0")
_STUDY_INSTANCE_UID = "0020000D"


@dataclass(frozen=True, slots=True)
class Disguise:
    """Requests as they are carried out. ``originals``: by request of a made-up study, what was asked."""

    requests: tuple[InstanceRequest, ...]
    originals: Mapping[InstanceRequest, InstanceRequest] = field(default_factory=dict)

    def lifted(self, stream: InstanceStream) -> InstanceStream:
        """The answers, about what was asked."""
        for item in stream:
            if isinstance(item, FailedInstance) and item.request in self.originals:
                yield replace(item, request=self.originals[item.request])
            else:
                yield item


class StudyReaders:
    """Knows which studies the caller of a context may see."""

    def __init__(self, database: Database, archives: Archives, rights: Rights) -> None:
        self.database = database
        self.archives = archives
        self.rights = rights

    # things

    def thing(self, source: str, patient: PatientIdentifier | None, study: str = "") -> Thing:
        """A study at a source, by its UID if it is one study: the archive and its institution made it."""
        info = self.archives.infos.get(source)
        own = {source, info.organisation_id, info.repository_unique_id} if info is not None else {source}
        return Thing(Kind.STUDY, patient or NOBODY, frozenset(), frozenset(own - {""}), study)

    def told(self, study: Study, person: PatientIdentifier | None = None) -> Thing:
        """A study as its source told it."""
        authority = study.issuer
        if not authority and study.source in self.archives.infos:
            authority = self.archives.infos[study.source].authority_oid
        number = PatientIdentifier(study.patient_id, authority) if study.patient_id and authority else None
        return self.thing(study.source, person or number, study.study_instance_uid)

    def may(self, things: Sequence[Thing], context: Context, *, note: bool = True) -> list[bool]:
        """For each whether the caller may read it. To ask about nothing costs a look-up as well."""
        wanted = list(dict.fromkeys(things)) or [Thing(Kind.STUDY, NOBODY)]
        answers = dict(zip(wanted, self.rights.visible(wanted, context), strict=True))
        found = [answers[thing] for thing in things]
        if note and not all(found):
            context.touch(WITHHELD, Kind.STUDY)
        return found

    # queries

    def shown(self, found: Sequence[IndexedStudy], context: Context) -> list[IndexedStudy]:
        """The studies that the caller may see."""
        if self.rights.plain(context):
            return list(found)
        allowed = self.may([self.told(item.study, item.person) for item in found], context)
        return [item for item, may in zip(found, allowed, strict=True) if may]

    def known(self, uids: Sequence[str], context: Context) -> frozenset[str]:
        """Those of the index's studies that the caller may see."""
        return frozenset(self._of_index(uids, context)[0])

    def hides(self, uid: str, context: Context) -> bool:
        """Whether the index holds the study and the caller may not see it."""
        return uid in self._of_index([uid], context)[1]

    def _of_index(self, uids: Sequence[str], context: Context) -> tuple[set[str], set[str]]:
        """(studies of the index that may be seen, studies that may not), in one unit of work."""
        with self.database.reading() as work:
            return self._rulings(ReadersIndex(work).copies(uids), context)

    def _rulings(self, copies: Sequence[Copy], context: Context) -> tuple[set[str], set[str]]:
        """(studies that may be seen, studies that may not): of several copies all must be."""
        holders: dict[tuple[str, PatientIdentifier | None], set[str]] = {}
        for copy in copies:
            holders.setdefault((copy.study_instance_uid, copy.patient), set()).add(copy.source)
        things = []
        for (uid, patient), sources in holders.items():
            every = [self.thing(source, patient, uid) for source in sources]
            things.append(replace(every[0], authors=frozenset().union(*(thing.authors for thing in every))))
        answers = self.may(things, context)
        hidden = {uid for (uid, _), may in zip(holders, answers, strict=True) if not may}
        return {uid for uid, _ in holders} - hidden, hidden

    # retrieval

    def disguise(self, requests: Sequence[InstanceRequest], context: Context) -> Disguise:
        """The requests as they may be carried out; one decision a study, however many of its instances are wanted.

        A study that is not in the index is looked at where its source is named; else once it is found
        (``found_live``)."""
        if self.rights.plain(context):
            return Disguise(tuple(requests))
        known, hidden = self._of_index([item.study_instance_uid for item in requests], context)
        made: dict[str, str] = {}
        named = {(item.study_instance_uid, self._named(item)): None for item in requests}
        asked = [(uid, source) for uid, source in named if source and uid not in known]
        if asked:
            hidden |= self._unknown_at(asked, hidden, made, context)
        originals: dict[InstanceRequest, InstanceRequest] = {}
        carried = []
        for item in requests:
            if item.study_instance_uid in hidden:
                other = _disguised(item, made)
                originals[other] = item
                carried.append(other)
            else:
                carried.append(item)
        return Disguise(tuple(carried), originals)

    def _named(self, request: InstanceRequest) -> str:
        """The source that a request names; "" for none, or none that there is."""
        if request.repository_unique_id:
            infos = self.archives.infos.values()
            return next((one.name for one in infos if one.repository_unique_id == request.repository_unique_id), "")
        return request.source if request.source in self.archives.infos else ""

    def _unknown_at(
        self, asked: Iterable[tuple[str, str]], hidden: set[str], made: dict[str, str], context: Context
    ) -> set[str]:
        """Of studies that the index does not show: those that are hidden at the source that is named, and those whose
        source does not say whose they are."""
        owners, things, silent = [], [], set()
        for uid, source in asked:
            wanted = made.setdefault(uid, new_uid()) if uid in hidden else uid
            try:
                deadline = self.archives.info(source).deadline
                found = self.archives.find(source, StudyQuery(study_instance_uid=wanted, limit=2), deadline)
            except HubError:
                silent.add(uid)
                continue
            for study in found:
                if study.study_instance_uid == wanted:
                    owners.append(uid)
                    things.append(self.told(replace(study, source=source)))
        answers = self.may(things, context)
        return silent | {uid for uid, may in zip(owners, answers, strict=True) if not may}

    def found_live(self, studies: Sequence[Study], context: Context) -> bool:
        """Whether what sources told of one study lets the caller read it."""
        return self.rights.plain(context) or all(self.may([self.told(study) for study in studies], context))


def of_study(study: str, objects: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """DICOM JSON of this study alone, whatever the source took the path for."""
    for item in objects:
        values = item.get(_STUDY_INSTANCE_UID, {}).get("Value") or [study]
        if values[0] == study:
            yield item


def require_study(study: str, objects: Iterator[Mapping[str, Any]]) -> None:
    """Raises UnknownInstance unless the first of the objects is of this study."""
    first = next(of_study(study, iter([next(objects, {})])), None)
    if not first:
        raise UnknownInstance()


def _disguised(request: InstanceRequest, made: dict[str, str]) -> InstanceRequest:
    """The same request about what was made up; the same UID is always made the same."""

    def other(uid: str) -> str:
        return made.setdefault(uid, new_uid()) if uid else ""

    return replace(
        request,
        study_instance_uid=other(request.study_instance_uid),
        series_instance_uid=other(request.series_instance_uid),
        sop_instance_uid=other(request.sop_instance_uid),
    )
