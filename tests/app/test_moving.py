"""Persons joined and parted by messages of their hospitals: every wire of a running hub shows it at once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from pydicom.dataset import Dataset

from hub.access.model import HUB
from hub.app.settings.model import (
    Archive,
    Authority,
    Security,
    Settings,
    Storage,
    User,
)
from hub.app.settings.sharing import OnDemand
from hub.app.wiring import Hub
from hub.context import Context
from hub.documents.model import (
    APPROVED,
    ON_DEMAND,
    Association,
    AssociationType,
    DocumentEntry,
    StoredQuery,
    SubmissionSet,
)
from hub.documents.sharing_elsewhere import IDS
from hub.imaging.model import StudyState
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.dicom import PLAIN, Label, relabelled
from hub.testing.sites import send
from hub.values import PatientIdentifier
from hub.wire.dimse import client
from hub.wire.dimse.association import Association as DicomAssociation
from hub.wire.dimse.contexts import for_services
from tests.app.test_hub_archive import feed, port, wait_for
from tests.documents.builders import entry, register, submit
from tests.loopback import PORTS
from tests.waiting import until

OIDS = {"A": "1.2.250.1.999.71", "B": "1.2.250.1.999.72"}
TRAITS = Traits(birth_name="LEGER", birth_given="ZOE", birth_date="19520316", sex="F", birth_place="75112")
OTHER = replace(TRAITS, birth_date="19520317")
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    told = Settings(
        authorities=tuple(Authority(namespace=f"HOSPITAL_{name}", oid=oid) for name, oid in OIDS.items()),
        archive=Archive(senders={f"MODALITY_{name}": f"HOSPITAL_{name}" for name in OIDS}, stable_after=0.3),
        on_demand=OnDemand(study_list=True),
        users=(User(login="claire", name="Claire", password_argon2=PasswordHasher(1, 8, 1).hash("lune")),),
        **PORTS,
        security=Security(node_authentication=False),
        storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
    )
    hub = Hub(told)
    hub.start()
    yield hub
    hub.stop()


@dataclass
class Shown:
    """What a hub shows of two hospitals' patients, by wire."""

    hub: Hub
    studies: dict[str, str]  #: hospital -> StudyInstanceUID
    letters: dict[str, str]  #: hospital -> uniqueId

    def person(self, hospital: str) -> PatientIdentifier:
        found = self.hub.patients.resolve(number(hospital))
        assert found is not None
        return found

    def check(self, hospital: str, holds: str) -> None:
        """Each wire, asked for the hospital's patient, shows what the named hospitals have and nothing else."""
        wanted = {self.studies[name] for name in holds}
        letters = {self.letters[name] for name in holds}
        person = self.person(hospital)
        assert self._qido(hospital) == wanted
        assert self._c_find(person) == wanted
        assert self._imaging_studies(person) == wanted
        objects = self._query("FindDocuments", "$XDSDocumentEntry", person)
        entries = {item.unique_id: item for item in objects if isinstance(item, DocumentEntry)}
        assert entries.keys() & self.letters_of_all() == letters
        assert {item.value for one in entries.values() for item in one.reference_ids} & self.studies_of_all() == wanted
        assert {item.patient_id for item in entries.values()} == {person}
        manifests = [item for item in entries.values() if item.unique_id not in letters]
        assert len(manifests) == len(holds)
        assert self._documents_by_fhir(person) & self.letters_of_all() == letters
        sets = self._query("FindSubmissionSets", "$XDSSubmissionSet", person)
        contents = {
            item.unique_id
            for owner in sets
            if isinstance(owner, SubmissionSet)
            for item in self._contents(owner)
            if isinstance(item, DocumentEntry)
        }
        assert contents & self.letters_of_all() == letters
        page = self._portal(hospital)
        assert {name for name in OIDS if f"EXAMEN {name}" in page} == set(holds)
        assert {name for name in OIDS if f"LETTRE {name}" in page} == set(holds)

    def letters_of_all(self) -> set[str]:
        return set(self.letters.values())

    def studies_of_all(self) -> set[str]:
        return set(self.studies.values())

    def lists(self, person: PatientIdentifier) -> int:
        """How many study lists the person has."""
        return len(self._query("FindDocuments", "$XDSDocumentEntry", person, ON_DEMAND))

    def _query(self, name: str, prefix: str, person: PatientIdentifier, kind: str = "") -> tuple[object, ...]:
        asked = {f"{prefix}PatientId": ((person.cx,),), f"{prefix}Status": ((APPROVED,),)}
        if kind:
            asked[f"{prefix}Type"] = ((kind,),)
        return self.hub.documents.query(StoredQuery(IDS[name], asked), Context(principal=HUB)).objects

    def _contents(self, owner: SubmissionSet) -> tuple[object, ...]:
        query = StoredQuery(IDS["GetSubmissionSetAndContents"], {"$XDSSubmissionSetEntryUUID": ((owner.id,),)})
        return self.hub.documents.query(query, Context(principal=HUB)).objects

    def _qido(self, hospital: str) -> set[str]:
        asked = {"PatientID": number(hospital).value, "IssuerOfPatientID": OIDS[hospital]}
        answer = httpx.get(f"{self.hub.public_url()}/dicom-web/studies", params=asked, timeout=60)
        return {row["0020000D"]["Value"][0] for row in (answer.json() if answer.status_code == 200 else ())}

    def _c_find(self, person: PatientIdentifier) -> set[str]:
        keys = Dataset()
        keys.QueryRetrieveLevel = "STUDY"
        keys.PatientID, keys.IssuerOfPatientID, keys.StudyInstanceUID = person.value, person.authority, ""
        address = port(self.hub)
        with DicomAssociation.request(
            (address.host, address.port),
            called=address.ae_title,
            calling="STATION",
            proposals=for_services([STUDY_ROOT_FIND]),
            idle=60.0,
        ) as association:
            return {str(row.StudyInstanceUID) for row in client.find(association, STUDY_ROOT_FIND, keys)}

    def _imaging_studies(self, person: PatientIdentifier) -> set[str]:
        found = self._fhir("ImagingStudy", {"patient.identifier": f"urn:oid:{person.authority}|{person.value}"})
        return {
            item["value"].removeprefix("urn:oid:") for row in found for item in row["identifier"]
        } & self.studies_of_all()

    def _documents_by_fhir(self, person: PatientIdentifier) -> set[str]:
        asked = {"patient.identifier": f"urn:oid:{person.authority}|{person.value}", "status": "current"}
        found = self._fhir("DocumentReference", asked)
        return {row["masterIdentifier"]["value"].removeprefix("urn:oid:") for row in found}

    def _fhir(self, kind: str, asked: dict[str, str]) -> list[dict]:  # type: ignore[type-arg]
        bundle = httpx.get(f"{self.hub.public_url()}/fhir/{kind}", params=asked, timeout=60).raise_for_status().json()
        return [row["resource"] for row in bundle.get("entry", ()) if row["search"]["mode"] == "match"]

    def _portal(self, hospital: str) -> str:
        with httpx.Client(base_url=self.hub.public_url(), follow_redirects=True, timeout=60) as browser:
            form = _field(browser.get("/portal/sign-in").text)
            browser.post("/portal/sign-in", data={"csrf": form, "login": "claire", "password": "lune"})
            form = _field(browser.get("/portal/search").text)
            criteria = {"csrf": form, "identifier": number(hospital).value, "name": "", "given": "", "birth_date": ""}
            results = browser.post("/portal/search", data=criteria).text
            (place,) = {part.split('"', 1)[0] for part in results.split('href="/portal/person/')[1:]}
            return browser.get(f"/portal/person/{place}").raise_for_status().text


def _field(html: str) -> str:
    return html.split('name="csrf" value="', 1)[1].split('"', 1)[0]


def number(hospital: str) -> PatientIdentifier:
    return hl7.local(f"P{hospital}-1", f"HOSPITAL_{hospital}", OIDS[hospital])


def tell(hub: Hub, hospital: str, traits: Traits, event: str = "A28") -> None:
    sender = hl7.Sender(application=f"HIS_{hospital}", facility=f"HOSPITAL_{hospital}")
    message = hl7.adt(sender, hl7.Patient(identifier=number(hospital), traits=traits), event)
    assert "MSA|AA" in feed(hub, message)


def bring(hub: Hub, hospital: str, directory: Path) -> tuple[str, str]:
    """A study of the hospital, shared; and a letter, registered by somebody else. Their UIDs."""
    label = Label(
        number(hospital).value, "LEGER^ZOE", description=f"EXAMEN {hospital}", accession_number=f"ACC{hospital}"
    )
    made = relabelled(directory, label, PLAIN[:1])
    send(port(hub), sorted(directory.glob("*.dcm")), calling=f"MODALITY_{hospital}")
    wait_for(hub, made.study_instance_uid, StudyState.PUBLISHED, 1)
    person = hub.patients.resolve(number(hospital))
    assert person is not None
    letter = entry(person, source_patient_id=number(hospital).cx, title=f"LETTRE {hospital}", mime_type="text/plain")
    register(hub.documents, submit(letter))
    return str(made.study_instance_uid), letter.unique_id


def test_every_wire_follows_at_once_in_both_directions(hub: Hub, tmp_path: Path) -> None:
    tell(hub, "A", TRAITS)
    tell(hub, "B", TRAITS)  # one person from the beginning: one regional number for both
    made = {name: bring(hub, name, tmp_path / name) for name in OIDS}
    shown = Shown(hub, {name: item[0] for name, item in made.items()}, {name: item[1] for name, item in made.items()})
    assert shown.person("A") == shown.person("B")
    until(lambda: shown.lists(shown.person("A")) == 1)
    for _ in range(2):
        for hospital in OIDS:
            shown.check(hospital, "AB")
        assert shown.lists(shown.person("A")) == 1
        tell(hub, "B", OTHER, "A31")
        assert shown.person("A") != shown.person("B")
        shown.check("A", "A")
        shown.check("B", "B")
        until(lambda: [shown.lists(shown.person(name)) for name in OIDS] == [1, 1])
        tell(hub, "B", TRAITS, "A31")


def test_the_manifest_is_made_anew_for_the_new_person(hub: Hub, tmp_path: Path) -> None:
    tell(hub, "A", TRAITS)
    tell(hub, "B", TRAITS)
    study, _ = bring(hub, "B", tmp_path / "B")
    before = hub.imaging.indexed(study, "HUB").manifest_id
    tell(hub, "B", OTHER, "A31")
    until(lambda: hub.imaging.indexed(study, "HUB").manifest_id not in ("", before))
    manifest = hub.documents.entry(hub.imaging.indexed(study, "HUB").manifest_id)
    assert (manifest.status, manifest.patient_id) == (APPROVED, hub.patients.resolve(number("B")))
    links = StoredQuery(IDS["GetAssociations"], {"$uuid": ((manifest.id,),)}, leaf_class=False)
    found = hub.documents.query(links, Context(principal=HUB)).objects
    replaced = hub.documents.entry(before)
    assert (AssociationType.REPLACE, replaced.id) in {
        (item.type, item.target) for item in found if isinstance(item, Association)
    }
