"""Documents of another community that are asked for by their numbers: what a person said here holds for them as well.
Two real hubs; whom a document is about is told by the one that holds it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from hub.access.model import Principal
from hub.app.settings.model import Region as RegionSettings
from hub.app.settings.model import Settings, Storage
from hub.app.settings.sharing import Community
from hub.context import Context
from hub.documents.errors import DocumentUniqueIdError
from hub.documents.model import DocumentRequest, RetrievedDocuments
from hub.federation.model import RetrieveFromCommunities
from hub.values import PatientIdentifier
from tests.access.rights_world import DOCTOR, SYSTEM
from tests.hostile.leaking import images
from tests.hostile.leaking_region import OID, Region, Target, image, running, settings, store
from tests.interop.by_hand import Answer, Entry, Set
from tests.interop.test_communities import find, get, retrieve, wanted
from tests.waiting import until

SOUTH, NORTH = "1.2.250.1.999.92", "1.2.250.1.999.93"
REPOSITORY, HOME = f"{NORTH}.1", f"urn:oid:{NORTH}"
#: How the south knows whom the north's number means: it found the person there, both number alike, or by the number
#: of the hospital that the document comes from.
WAYS = ("discovered", "alike", "source")
_COUNTER = count(1)


@dataclass
class World:
    """``south`` is asked, ``north`` holds the documents."""

    north: Region
    south: Region
    way: str

    def person(self, *, here: bool = True) -> "Person":
        """Somebody with a document in the north; ``here``: known in the south as well."""
        number = next(_COUNTER)
        name, theirs = f"LE{chr(65 + number % 26)}ER{'X' * (number // 26)}", f"N{number}"
        ours = theirs if self.way == "alike" else f"S{number}"
        self.north.adt(theirs, name)
        if here:
            self.south.adt(ours, name)
        regional = self.north.hub.patients.resolve(PatientIdentifier(theirs, OID))
        assert regional is not None
        source = f"{ours}^^^&{OID}&ISO" if self.way == "source" else f"X{number}^^^&1.2.9&ISO"
        entry = Entry(patient=regional.cx, content=name.encode(), slots={"sourcePatientId": [source]})
        assert self.north.vendor.provide([entry], Set(patient=regional.cx)).outcome == "Success"
        return Person(self, name, ours, entry)


@dataclass
class Person:
    world: World
    name: str
    number: str  #: at the south's hospital
    entry: Entry

    def says(self, consultation: str) -> None:
        day = (date(2020, 1, 1) + timedelta(days=next(_COUNTER))).strftime("%Y%m%d")
        self.world.south.adt(self.number, self.name, f"ZFA|ACTIF|20200101|||||||INO|{day}|{consultation}|{day}")

    @property
    def regional(self) -> PatientIdentifier:
        found = self.world.south.hub.patients.resolve(PatientIdentifier(self.number, OID))
        assert found is not None
        return found

    def found(self) -> list[str]:
        """By a query about the person."""
        return find(self.world.south.vendor, "xca_initiating", self.regional.cx).uids

    def read(self) -> dict[str, bytes]:
        """By the document's number, over the wire."""
        return retrieve(self.world.south.vendor, "xca_initiating", wanted(REPOSITORY, self.entry.uid, HOME)).documents()

    def named(self) -> list[str]:
        """By a query with the document's number."""
        return get(self.world.south.vendor, "xca_initiating", self.entry.uid, HOME).uids

    def read_by(self, principal: Principal) -> RetrievedDocuments:
        request = DocumentRequest(REPOSITORY, self.entry.uid, HOME)
        found: RetrievedDocuments = self.world.south.hub.dispatch(
            RetrieveFromCommunities((request,)), Context(principal=principal)
        )
        return found


def place(given: Settings, home: str, **more: Any) -> Settings:
    region = RegionSettings(
        home_community_id=home,
        repository_unique_id=f"{home}.1",
        affinity_domain=OID if more.pop("alike") else f"{home}.9",
        external_index=True,
    )
    return given.model_copy(update={"region": region, **more})


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def world(request: pytest.FixtureRequest, way: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    there, here = tmp_path_factory.mktemp("north"), tmp_path_factory.mktemp("south")
    with ExitStack() as stack:
        north = stack.enter_context(running(place(settings(there), NORTH, alike=way == "alike")))
        url = north.hub.public_url()
        community = Community(
            name="NORTH",
            home_community_id=NORTH,
            query_url=f"{url}/xca/responding",
            discovery_url=f"{url}/xcpd/responding" if way == "discovered" else None,
        )
        south = stack.enter_context(
            running(
                place(
                    settings(here),
                    SOUTH,
                    alike=way == "alike",
                    communities=(community,),
                    storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=here),
                )
            )
        )
        yield World(north, south, way)


def test_an_opposition_between_query_and_retrieval(world: World) -> None:
    anne, bert, stranger = world.person(), world.person(), world.person(here=False)
    everybody = (anne, bert, stranger)
    if world.way != "source":
        assert anne.found() == [anne.entry.uid]
    for person in everybody:
        assert (person.read(), person.named()) == ({person.entry.uid: person.entry.content}, [person.entry.uid])
    anne.says("INC")
    assert (anne.read(), anne.named()) == ({}, [])
    for person in (bert, stranger):
        assert (person.read(), person.named()) == ({person.entry.uid: person.entry.content}, [person.entry.uid])
    anne.says("IC")
    assert (anne.read(), anne.named()) == ({anne.entry.uid: anne.entry.content}, [anne.entry.uid])


def test_a_proof_that_names_a_patient_reads_of_nobody_else(world: World) -> None:
    anne, bert = world.person(), world.person()
    doctor = replace(DOCTOR, about=anne.regional.cx, permissions=frozenset({"*"}))
    (document,) = anne.read_by(doctor).documents
    assert document.path.read_bytes() == anne.entry.content
    ((_, error),) = bert.read_by(doctor).failures
    assert isinstance(error, DocumentUniqueIdError)
    anne.says("INC")
    ((_, error),) = anne.read_by(doctor).failures
    assert isinstance(error, DocumentUniqueIdError)


def test_what_is_hidden_is_as_what_is_not_there(world: World) -> None:
    anne = world.person()
    anne.says("INC")
    here = world.south.vendor
    hidden = retrieve(here, "xca_initiating", wanted(REPOSITORY, anne.entry.uid, HOME))
    missing = retrieve(here, "xca_initiating", wanted(REPOSITORY, anne.entry.uid + "1", HOME))
    assert (hidden.outcome, hidden.errors, hidden.locations) == ("Failure", ["XDSDocumentUniqueIdError"], [HOME])
    assert (missing.outcome, missing.errors, missing.locations) == (hidden.outcome, hidden.errors, hidden.locations)
    told, guessed = (next(answer.root.iter("{*}RegistryError")).get("codeContext", "") for answer in (hidden, missing))
    assert told.replace(anne.entry.uid, "") == guessed.replace(anne.entry.uid + "1", "")


def test_a_document_that_a_search_of_mhd_found(world: World) -> None:
    anne = world.person()
    elsewhere = world.south.hub.sharing.elsewhere
    assert elsewhere is not None
    key = elsewhere.key_of(HOME)
    (entry,) = get(world.north.vendor, "xca_responding", anne.entry.uid, HOME).objects("ExtrinsicObject")
    entry_id = str(entry.get("id")).removeprefix("urn:uuid:")
    url = f"{world.south.vendor.box['fhir']}/Binary/{entry_id}.{key}"
    assert httpx.get(url, headers={"Accept": "text/plain"}).content == anne.entry.content
    anne.says("INC")
    assert httpx.get(url, headers={"Accept": "text/plain"}).status_code == 404


def test_images_of_a_study_that_is_here_as_well(world: World) -> None:
    """The index tells whom the study is about; whom one is about that is there alone nobody can tell."""
    anne = world.person()
    study = image(anne.number, anne.name)
    store(world.north, study)
    store(world.south, study)
    uids = {"study": str(study.StudyInstanceUID), "series": str(study.SeriesInstanceUID)}
    target = Target(
        **uids, instance=str(study.SOPInstanceUID),
        number="", regional="", document="", entry="", owner="", name="",
    )  # fmt: skip

    def ask(target: Target) -> Answer:
        body = images(world.north, target, HOME)
        return world.south.vendor.call("xca_initiating", "urn:ihe:rad:2009:RetrieveImagingDocumentSet", body, {})

    until(lambda: world.south.hub.imaging.readers.known([target.study], Context(principal=SYSTEM)))
    assert list(ask(target).documents()) == [target.instance]
    anne.says("INC")
    hidden, missing = ask(target), ask(guessed := target.guessed())
    assert (hidden.documents(), missing.documents()) == ({}, {})
    assert (hidden.outcome, hidden.errors, hidden.locations) == (missing.outcome, missing.errors, [target.instance])
    told, of_nothing = (
        next(answer.root.iter("{*}RegistryError")).get("codeContext", "") for answer in (hidden, missing)
    )
    assert told.replace(target.instance, guessed.instance) == of_nothing
    anne.says("IC")
    assert list(ask(target).documents()) == [target.instance]
