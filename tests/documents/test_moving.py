"""Registered documents follow identities: joined, parted, joined again, among the real rooms."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hub.access.rights_model import Everything
from hub.context import Context
from hub.documents.administration import RemovalService, UpdateService
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    ON_DEMAND,
    AssociationType,
    DocumentEntry,
    DocumentRequest,
    Folder,
    MultiPatientQuery,
    RemoveMetadata,
    RetrieveDocuments,
    StoredQuery,
    Submission,
    SubmissionSet,
    UpdateDocuments,
)
from hub.documents.moving import DocumentsFollow
from hub.documents.multipatient import MultiPatientService
from hub.documents.offers import OffersFollow
from hub.documents.ondemand import OnDemandDocuments, Rendered, offer_uid
from hub.documents.queries import MULTI_PATIENT
from hub.documents.service import DocumentService
from hub.documents.store_moving import MovingStore
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import Authority, FeedIdentity, Identity, IdentityStatus, MergeIdentities, Traits
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.values import PatientIdentifier
from tests.documents.builders import (
    DOMAIN,
    ask,
    code,
    entry,
    folder,
    member,
    register,
    relation,
    service_on,
    submission_set,
    submit,
)

A, B = "1.2.250.1.71.1", "1.2.250.1.71.2"
TRAITS = Traits("DURAND", "ELODIE", "ELODIE", birth_date="19790327", sex="F", birth_place="75112")
OTHER = replace(TRAITS, birth_date="19800101")
LISTS = "1.2.250.1.999.1.77"
CLASS = {"$XDSDocumentEntryClassCode": ((code("IMAGING").key,),)}
DE, SS, FOL = "XDSDocumentEntry", "XDSSubmissionSet", "XDSFolder"


class Outbox:
    def __init__(self) -> None:
        self.queued: list[dict[str, Any]] = []

    def enqueue(
        self, _destination: str, _kind: str, payload: Any, _context: Context, *, key: str = "", due_at: object = None
    ) -> str:
        assert (bool(key), due_at) == (True, None)
        self.queued.append(payload)
        return key


class Lists:
    """A provider: whoever has a document in the imaging class."""

    def offered(self, item: DocumentEntry) -> PatientIdentifier | None:
        return item.patient_id

    def entry(self, patient: PatientIdentifier) -> DocumentEntry:
        return replace(entry(patient), hash="", size=None, creation_time="", source_patient_id=patient.cx)

    def render(self, item: DocumentEntry, context: Context | None) -> Rendered:  # noqa: ARG002
        return Rendered("text/xml", item.patient_id.cx.encode(), item.patient_id.cx, "2024")


@dataclass
class Persons:
    patients: PatientService
    documents: DocumentService
    outbox: Outbox
    on_demand: OnDemandDocuments

    def feed(self, number: str, authority: str, traits: Traits = TRAITS) -> PatientIdentifier:
        identity = Identity(PatientIdentifier(number, authority), traits, IdentityStatus.VALIDATED)
        return self.patients.feed(FeedIdentity(identity), Context()).regional

    def merge(self, survivor: str, lost: str, authority: str) -> PatientIdentifier:
        identity = Identity(PatientIdentifier(survivor, authority), TRAITS, IdentityStatus.VALIDATED)
        return self.patients.merge(MergeIdentities(identity, PatientIdentifier(lost, authority)), Context()).regional

    def shown(self, person: PatientIdentifier, status: str = APPROVED) -> set[str]:
        """uniqueIds of the stable entries that every query about the person shows."""
        asked = {f"{DE}PatientId": person.cx, f"{DE}Status": status}
        found = ask(self.documents, "FindDocuments", **asked)
        others = {f"{SS}Status": APPROVED, f"{FOL}Status": APPROVED}
        everything = ask(self.documents, "GetAll", patientId=person.cx, **{f"{DE}Status": status, **others})
        (query,) = [key for key, item in MULTI_PATIENT.items() if item.name == "FindDocumentsForMultiplePatients"]
        population = MultiPatientService(database=self.documents.database, patients=self.patients, rights=Everything())
        groups = {f"${name}": ((value,),) for name, value in asked.items()}
        many = population.query(MultiPatientQuery(StoredQuery(query, {**groups, **CLASS})), Context()).objects
        answers = [{item.unique_id for item in answer if isinstance(item, DocumentEntry)} for answer in
                   (found, everything, many, self.documents.documents_of(person, statuses=(status,)))]  # fmt: skip
        assert all(answer == answers[0] for answer in answers)
        named = {item.patient_id for item in found if isinstance(item, DocumentEntry)}
        assert named <= {self.patients.resolve(person)}
        for unique_id in answers[0]:
            assert self.documents.entry(unique_id).patient_id == self.patients.resolve(person)
        return answers[0]

    def of(self, kind: type, person: PatientIdentifier) -> set[str]:
        """uniqueIds of the person's folders or submission sets."""
        name, prefix = {Folder: ("FindFolders", FOL), SubmissionSet: ("FindSubmissionSets", SS)}[kind]
        objects = ask(self.documents, name, **{f"{prefix}PatientId": person.cx, f"{prefix}Status": APPROVED})
        return {
            item.unique_id for item in objects if isinstance(item, Folder | SubmissionSet) and isinstance(item, kind)
        }

    def lists(self, person: PatientIdentifier, status: str = APPROVED) -> list[DocumentEntry]:
        """The person's on-demand entries."""
        asked = {f"{DE}PatientId": person.cx, f"{DE}Status": status, f"{DE}Type": [ON_DEMAND]}
        found = ask(self.documents, "FindDocuments", **asked)
        return [item for item in found if isinstance(item, DocumentEntry)]


@pytest.fixture
def region(database: Database, tmp_path: Path) -> Persons:
    directory = AuthorityDirectory(database=database, configured=[Authority(A, "A"), Authority(B, "B")])
    patients = PatientService(database=database, directory=directory, affinity_domain=DOMAIN)
    documents = service_on(database, tmp_path / "content", patients=patients)
    outbox = Outbox()
    on_demand = OnDemandDocuments(
        documents=documents,
        content=documents.content,  # type: ignore[arg-type]
        lease=lambda _path: None,  # type: ignore[arg-type]
        outbox=outbox,
        providers={LISTS: Lists()},
        source_id="1.2.250.1.999.1.4",
        content_type=entry().class_code,  # type: ignore[arg-type]
    )
    documents.on_demand = on_demand
    follow = DocumentsFollow(database=database, patients=patients)
    follow.settled.append(OffersFollow(on_demand).settled)
    patients.regrouped.append(follow.regrouped)
    return Persons(patients, documents, outbox, on_demand)


def document(region: Persons, person: PatientIdentifier, number: str, authority: str = "", **changes: Any) -> str:
    """Register a document of a hospital's number."""
    source = PatientIdentifier(number, authority).cx if authority else number
    item = entry(person, source_patient_id=source, **changes)
    register(region.documents, submit(item, patient=person))
    return item.unique_id


def test_documents_go_with_the_identity_that_leaves_and_come_back_with_it(region: Persons) -> None:
    one = region.feed("1", A)
    assert region.feed("2", B) == one
    mine, theirs = document(region, one, "1", A), document(region, one, "2", B)
    unknown = document(region, one, "77^^^&1.2.250.1.99&ISO")
    sets = {tuple(sorted(region.of(SubmissionSet, one)))}
    for _ in range(2):
        other = region.feed("2", B, OTHER)
        assert other != one
        assert region.shown(one) == {mine, unknown}
        assert region.shown(other) == {theirs}
        assert len(region.of(SubmissionSet, one)) == 2
        assert len(region.of(SubmissionSet, other)) == 1
        assert region.feed("2", B) == one
        assert region.shown(one) == region.shown(other) == {mine, theirs, unknown}
        sets.add(tuple(sorted(region.of(SubmissionSet, one))))
    assert len(sets) == 1


def test_the_same_number_comes_back_when_they_part_again(region: Persons) -> None:
    one = region.feed("1", A)
    region.feed("2", B)
    first = region.feed("2", B, OTHER)
    assert region.feed("2", B) == one
    assert region.feed("2", B, OTHER) == first


def test_what_was_registered_for_another_than_it_names_stays(region: Persons) -> None:
    one = region.feed("1", A)
    other = region.feed("2", B, OTHER)
    odd = document(region, one, "2", B)  # the submitter says person one, with a number of the other
    assert region.feed("2", B) == one
    assert region.shown(one) == {odd}
    assert region.feed("2", B, OTHER) == other
    assert (region.shown(one), region.shown(other)) == ({odd}, set())


def test_a_merge_of_numbers_takes_the_lost_numbers_documents_along(region: Persons) -> None:
    one = region.feed("1", A)
    region.feed("2", B)
    lost, kept = document(region, one, "2", B), document(region, one, "1", A)
    other = region.feed("3", B, OTHER)
    identity = Identity(PatientIdentifier("3", B), OTHER, IdentityStatus.VALIDATED)
    region.patients.merge(MergeIdentities(identity, PatientIdentifier("2", B)), Context())
    assert region.patients.resolve(PatientIdentifier("2", B)) == other
    assert (region.shown(one), region.shown(other)) == ({kept}, {lost})


def test_a_number_that_lives_again_after_its_merge_has_its_documents_again(region: Persons) -> None:
    one, other = region.feed("1", A), region.feed("2", A)
    first, second = document(region, one, "1", A), document(region, other, "2", A)
    assert region.merge("1", "2", A) == one
    third = document(region, one, "2", A)  # the hospital still uses the number that it merged away
    assert region.shown(one) == region.shown(other) == {first, second, third}
    assert region.merge("2", "9", A) == other
    assert (region.shown(one), region.shown(other)) == ({first}, {second, third})
    assert region.merge("1", "2", A) == one
    assert region.shown(one) == region.shown(other) == {first, second, third}


def test_versions_and_what_replaced_them_go_together_and_folders_where_all_their_documents_are(region: Persons) -> None:
    one = region.feed("1", A)
    region.feed("2", B)
    text = PatientIdentifier("2", B).cx
    old, full = entry(one, source_patient_id=text), folder(one)
    mixed, stays = folder(one), entry(one, source_patient_id=PatientIdentifier("1", A).cx)
    links = [member(full.id, old.id), member(mixed.id, old.id), member(mixed.id, stays.id)]
    done = register(region.documents, submit(old, stays, folders=(full, mixed), in_folders=links)).submission
    (old_id,) = [item.id for item in done.entries if item.unique_id == old.unique_id]
    new = entry(one, source_patient_id=text)
    register(region.documents, submit(new, also=[relation(AssociationType.REPLACE, new.id, old_id)]))
    other = region.feed("2", B, OTHER)
    assert (region.shown(other), region.shown(other, DEPRECATED)) == ({new.unique_id}, {old.unique_id})
    assert (region.of(Folder, other), region.of(Folder, one)) == ({full.unique_id}, {mixed.unique_id})
    assert region.shown(one) == {stays.unique_id}
    region.feed("2", B)
    assert region.of(Folder, one) == {full.unique_id, mixed.unique_id}


def test_a_new_version_keeps_with_its_former_ones(region: Persons) -> None:
    one = region.feed("1", A)
    region.feed("2", B)
    first = entry(one, source_patient_id=PatientIdentifier("2", B).cx)
    (known,) = register(region.documents, submit(first)).submission.entries
    version = replace(known, id="new", title="Corrigé", status=APPROVED, version=1)
    link = replace(member("SubmissionSet01", "new", "Original"), previous_version=1)
    owner = submission_set(one)
    made = Submission(owner, (version,), associations=(link,))
    UpdateService(documents=region.documents).update(UpdateDocuments(made), Context())
    other = region.feed("2", B, OTHER)
    assert region.shown(other) == {first.unique_id}
    assert not region.shown(one) | region.shown(one, DEPRECATED)


def test_what_is_removed_leaves_no_note(region: Persons, database: Database) -> None:
    one = region.feed("1", A)
    region.feed("2", B, OTHER)
    item = entry(one, source_patient_id=PatientIdentifier("2", B).cx)
    done = register(region.documents, submit(item)).submission
    key = done.entries[0].id
    with database.reading() as work:
        assert MovingStore(work).staying([key]) == {key}
    removal = RemovalService(documents=region.documents, content=region.documents.content, in_use=lambda _: False)  # type: ignore[arg-type]
    ids = (done.submission_set.id, key, *(link.id for link in done.associations))
    removal.remove_metadata(RemoveMetadata(ids), Context())
    with database.reading() as work:
        assert not MovingStore(work).staying([key])


def test_a_person_has_one_list(region: Persons) -> None:
    one, other = region.feed("1", A), region.feed("2", B, OTHER)
    for person, number, authority in ((one, "1", A), (other, "2", B)):
        document(region, person, number, authority)
        region.on_demand.offer(LISTS, person, Context())
    assert region.feed("2", B) == one
    (shown,) = region.lists(one)
    assert shown.unique_id == offer_uid(LISTS, one)
    assert len(region.lists(one, DEPRECATED)) == 1
    assert region.on_demand.offer(LISTS, other, Context()) == shown.unique_id  # one that was on its way
    known = DocumentRequest(LISTS, offer_uid(LISTS, other))  # who knew the other one may still read it
    outcome = region.documents.retrieve(RetrieveDocuments((known,)), Context())
    assert outcome.documents[0].path.read_bytes() == one.cx.encode()
    assert region.feed("2", B, OTHER) == other
    assert [[item.unique_id for item in region.lists(person)] for person in (one, other)] == [
        [offer_uid(LISTS, one)],
        [offer_uid(LISTS, other)],
    ]
    assert not region.outbox.queued


def test_who_leaves_with_documents_is_offered_a_list(region: Persons) -> None:
    one = region.feed("1", A)
    region.feed("2", B)
    document(region, one, "2", B)
    region.on_demand.offer(LISTS, one, Context())
    other = region.feed("2", B, OTHER)
    (task,) = region.outbox.queued
    assert task == {"repository": LISTS, "patient": other.cx}


def test_an_administrators_deprecation_is_not_undone(region: Persons, database: Database) -> None:
    one, other = region.feed("1", A), region.feed("2", B, OTHER)
    for person in (one, other):
        region.on_demand.offer(LISTS, person, Context())
    (item,) = region.lists(other)
    with database.transaction() as work:
        work.connection.exec_driver_sql(f"UPDATE documents_entry SET status = '{DEPRECATED}' WHERE id = '{item.id}'")
    region.feed("2", B)
    region.feed("2", B, OTHER)
    assert not region.lists(other)


def test_a_registration_at_the_same_time_is_never_left_behind(region: Persons, database: Database) -> None:
    one = region.feed("1", A)
    region.feed("2", B)
    made: list[str] = []
    failures: list[BaseException] = []

    def registering(numbers: Iterable[int]) -> None:
        try:
            made.extend(document(region, one, "2", B) for _ in numbers)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=registering, args=(range(6),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    other = one
    for _ in range(3):
        other = region.feed("2", B, OTHER)
        region.feed("2", B)
    other = region.feed("2", B, OTHER)
    for thread in threads:
        thread.join()
    assert not failures
    assert len(made) == 18
    entries = {region.documents.entry(unique_id).id: unique_id for unique_id in made}
    with database.reading() as work:  # what was registered for the one while the identity was the other's
        strange = {entries[key] for key in MovingStore(work).staying(entries)}
    assert (region.shown(one), region.shown(other)) == (strange, {*made} - strange)
