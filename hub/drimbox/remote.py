"""Studies of other boxes, open in a session: what the national record's manifest says, and the way to their images."""

import base64
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any, Protocol

from hub.access.model import Scheme
from hub.access.rights_model import Kind, Rights, Thing
from hub.context import Context
from hub.drimbox.errors import ManifestOfAnother, SignInWithProvider
from hub.drimbox.model import OpenedRemote, OpenRemote
from hub.drimbox.store import DrimboxStore
from hub.imaging.by_manifest import Referenced
from hub.imaging.cache import InstanceCache
from hub.imaging.elsewhere import OpenStudy
from hub.imaging.locate import Archives
from hub.imaging.manifest import Manifest, read_manifest
from hub.imaging.model import (
    IndexedStudy,
    Instance,
    Series,
    SourceInfo,
    SourceState,
    SourceStatus,
    Study,
    StudyState,
)
from hub.imaging.readers import StudyReaders
from hub.imaging.retrieval import Retriever
from hub.patients.model import Person
from hub.storage.engine import Database
from hub.usecase import use_case
from hub.values import PatientIdentifier, Uid, now
from hub.wire.sealed import NotSealedHere, seal, unseal

PURPOSE = "study of another box"
_LONGEST_SESSION = timedelta(hours=12)
_KEPT = 256  #: open studies in memory; the others are read anew
#: A line of the manifest's text: "<series> : <modality> @ : <description>" (DRIM-M).
_SERIES_LINE = re.compile(r"([0-9.]{5,64})\s*:\s*([A-Z0-9]{2,16})\s*@\s*:?\s*(.*)")
#: Modality by storage class, for manifests that do not tell it: what the viewer chooses its tools by.
_MODALITIES: Mapping[str, str] = {
    "1": "CR", "1.1": "DX", "1.1.1": "DX", "1.2": "MG", "1.2.1": "MG", "1.3": "IO", "2": "CT", "2.1": "CT",
    "2.2": "CT", "3.1": "US", "4": "MR", "4.1": "MR", "4.2": "MR", "4.3": "MR", "6.1": "US", "6.2": "US",
    "7": "OT", "11.1": "PR", "12.1": "XA", "12.1.1": "XA", "12.2": "RF", "12.2.1": "RF", "13.1.3": "MG", "20": "NM",
    "66.4": "SEG", "88.11": "SR", "88.22": "SR", "88.33": "SR", "88.59": "KO", "88.67": "SR", "104.1": "DOC",
    "128": "PT", "130": "PT", "481.1": "RTIMAGE", "481.2": "RTDOSE", "481.3": "RTSTRUCT", "481.5": "RTPLAN",
}  # fmt: skip
_EXAMINATION = re.compile(r"Examen\s*:\s*(\S[^\r\n]*)")
_STORAGE = "1.2.840.10008.5.1.4.1.1."


class Boxes(Protocol):
    """Other DRIMboxes, as far as they give images."""

    def source(self, name: str, study: Study, manifest: Manifest, session: str) -> Any:
        """A connector (RetrievesInstances, DescribesStudy) that asks with the token of this session."""
        ...

    def look(self, manifest: Manifest, session: str) -> tuple[SourceStatus, ...]:
        """What each box says when it is asked for one image, the boxes by the name of their host."""
        ...


class Patients(Protocol):
    """The patients room."""

    def person(self, identifier: PatientIdentifier) -> Person | None:
        """Whom an identifier means; None for nobody, or several."""
        ...


class RemoteService:
    """What is open. ``schemes``: proofs of identity with which another box can be asked."""

    def __init__(
        self,
        *,
        database: Database,
        boxes: Boxes,
        patients: Patients,
        rights: Rights,
        readers: StudyReaders,
        cache: InstanceCache,
        silence: float = 60.0,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.database = database
        self.boxes = boxes
        self.patients = patients
        self.rights = rights
        self.readers = readers
        self.cache = cache
        self.silence = silence
        self.clock = clock
        self._lock = Lock()
        self._known: OrderedDict[str, OpenStudy] = OrderedDict()

    @use_case
    def open(self, command: OpenRemote, context: Context) -> OpenedRemote:
        """Look at every box, and have the study open in the session where any of them answers."""
        if context.principal.scheme is not Scheme.PROVIDER or not context.session:
            raise SignInWithProvider()
        manifest = command.manifest
        uid = Uid(manifest.study_instance_uid)
        context.touch("study", uid)
        context.touch("document", manifest.sop_instance_uid)
        person = self.patients.person(command.person)
        if person is None or not _theirs(manifest, person):
            raise ManifestOfAnother()
        context.touch("patient", person.regional.cx)
        self.rights.require(_thing(person.regional), context)
        record = {
            "person": [person.regional.value, person.regional.authority],
            "content": base64.b64encode(command.content).decode(),
            "description": command.description,
            "started": command.started,
            "modalities": list(command.modalities),
        }
        statuses = self.boxes.look(manifest, context.session)
        opened = OpenedRemote(_study(manifest, record, person, ""), statuses)
        if opened.usable:
            at = self.clock()
            row = {
                "session_hash": _hash(context.session),
                "study_hash": _hash(context.session, uid),
                "sealed": seal(context.session, PURPOSE, record),
                "expires_at": at + _LONGEST_SESSION,
            }
            with self.database.transaction() as work:
                DrimboxStore(work).open(row)
        return opened

    def opened(self, study_instance_uid: str, context: Context) -> OpenStudy | None:
        """See ``hub.imaging.elsewhere.Elsewhere``."""
        session = context.session
        if not session or context.principal.scheme is not Scheme.PROVIDER:
            return None
        with self.database.reading() as work:
            store = DrimboxStore(work)
            sealed = store.opened(_hash(session), _hash(session, study_instance_uid), self.clock())
        found = self._restored(sealed, session) if sealed is not None else None
        return found if found is not None and self._may(found, context) else None

    def of_person(self, person: PatientIdentifier, context: Context) -> list[OpenStudy]:
        """See ``hub.imaging.elsewhere.Elsewhere``."""
        session = context.session
        if not session or context.principal.scheme is not Scheme.PROVIDER:
            return []
        with self.database.reading() as work:
            rows = DrimboxStore(work).all_opened(_hash(session), self.clock())
        found = [self._restored(sealed, session) for sealed in rows]
        return [one for one in found if one is not None and one.indexed.person == person and self._may(one, context)]

    def _may(self, found: OpenStudy, context: Context) -> bool:
        if found.indexed.person is None:
            return False
        (may,) = self.rights.visible([_thing(found.indexed.person)], context)
        return may

    def _restored(self, sealed: str, session: str) -> OpenStudy | None:
        key = _hash(session, sealed)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        try:
            record = unseal(session, PURPOSE, sealed)
        except NotSealedHere:
            return None
        manifest = read_manifest(base64.b64decode(record["content"]))
        person = self.patients.person(PatientIdentifier(*record["person"]))
        if person is None:
            return None
        made = self._made(manifest, record, person, session)
        with self._lock:
            self._known[key] = made
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return made

    def _made(self, manifest: Manifest, record: Mapping[str, Any], person: Person, session: str) -> OpenStudy:
        # The name is the session's own: nothing that one reader fetched is ever given to another.
        name = f"drimbox-{_hash(session, manifest.sop_instance_uid)[:32]}"
        study = _study(manifest, record, person, name)
        connector = self.boxes.source(name, study, manifest, session)
        archives = Archives(_Only(connector), (SourceInfo(name, deadline=self.silence),))
        return OpenStudy(
            study,
            Referenced({uid: item.series_instance_uid for item in manifest.series for _, uid in item.instances}),
            IndexedStudy(study, person.regional, StudyState.PUBLISHED, manifest_id=manifest.sop_instance_uid),
            SourceStatus("drimbox", SourceState.ANSWERED, 1),
            Retriever(self.database, archives, self.cache, self.readers, silence=self.silence),
        )


class _Only:
    """The only source there is."""

    def __init__(self, connector: Any) -> None:
        self._connector = connector

    def get(self, name: str) -> Any:  # noqa: ARG002
        return self._connector

    def contacted(self, name: str) -> None:
        """Other boxes are nobody's configured source."""

    def failed(self, name: str, reason: str, code: str = "") -> None:
        """Likewise."""


def _study(manifest: Manifest, record: Mapping[str, Any], person: Person, source: str) -> Study:
    """The study as the manifest and the record describe it."""
    lines = {uid: (modality, text) for uid, modality, text in _SERIES_LINE.findall(manifest.description)}
    named = _EXAMINATION.search(manifest.description)
    told = [str(item) for item in record["modalities"]]
    series = []
    for number, item in enumerate(manifest.series, 1):
        modality, description = lines.get(item.series_instance_uid, ("", ""))
        modality = modality or _modality(item.instances) or (told[0] if told else "OT")
        instances = tuple(
            Instance(Uid(uid), sop_class, position) for position, (sop_class, uid) in enumerate(item.instances, 1)
        )
        series.append(
            Series(
                Uid(item.series_instance_uid), modality, number, description.strip(),
                instance_count=len(instances), instances=instances,
            )
        )  # fmt: skip
    traits = person.traits
    names = "^".join(filter(None, (traits.birth_name or traits.used_name, traits.birth_given)))
    return Study(
        Uid(manifest.study_instance_uid),
        source,
        patient_id=manifest.patient_id,
        issuer=manifest.issuer if manifest.issuer[:1].isdigit() else "",
        patient_name=names,
        patient_birth_date=traits.birth_date,
        patient_sex=traits.sex,
        accession_number=manifest.accession_number,
        accession_issuer=manifest.accession_issuer,
        description=named.group(1).strip() if named is not None else str(record["description"]),
        started=str(record["started"])[:14],
        modalities=tuple(dict.fromkeys(item.modality for item in series)),
        series=tuple(series),
        series_count=len(series),
        instance_count=sum(len(item.instances) for item in series),
    )


def _modality(instances: tuple[tuple[str, str], ...]) -> str:
    classes = (sop_class.removeprefix(_STORAGE) for sop_class, _ in instances)
    return next((_MODALITIES[tail] for tail in classes if tail in _MODALITIES), "")


def _theirs(manifest: Manifest, person: Person) -> bool:
    """Whether the manifest may be this person's: an INS that it names must be theirs (other regions' numbers are not
    known here, and the national record answers for whose record it is in)."""
    if person.ins is None:
        return False
    same_kind = manifest.issuer == person.ins.authority or manifest.issuer.startswith(("INS", "ASIP-SANTE-INS"))
    return not same_kind or manifest.patient_id == person.ins.value


def _thing(person: PatientIdentifier) -> Thing:
    return Thing(Kind.STUDY, person)


def _hash(*secrets: str) -> str:
    return sha256("\0".join(secrets).encode()).hexdigest()
