"""A folder of nothing but hidden documents is not there, whatever leads to it; one that holds more shows the rest."""

from collections.abc import Iterator, Mapping

import pytest

from hub.access.model import Principal
from hub.context import Context
from hub.documents.model import Association, RegistryObject, StoredQuery
from hub.documents.sharing_model import Asked, FindShared
from hub.federation.model import CrossGatewayQuery
from hub.values import PatientIdentifier
from tests.access.rights_world import DOCTOR, SYSTEM
from tests.hostile import leaking_region
from tests.hostile.leaking_region import OID, Region
from tests.interop import by_hand
from tests.interop.by_hand import HAS_MEMBER, Entry, Set, association

GET_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
FIND_FOLDERS = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431"
GET_ASSOCIATIONS = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_FOLDERS = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4"
GET_FOLDER_AND_CONTENTS = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7"
GET_FOLDERS_FOR = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
GET_SET_AND_CONTENTS = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"


class Shelf:
    """One submission: documents open and masked; a folder of masked ones alone, one of both."""

    def __init__(self, region: Region) -> None:
        self.region = region
        region.adt("SHELF", "QUERRIEN")
        person = region.hub.patients.resolve(PatientIdentifier("SHELF", OID))
        assert person is not None
        cx = self.cx = person.cx
        self.open, self.masked = (
            Entry(patient=cx, id="Open"),
            Entry(patient=cx, id="Masked", codes={"confidentialityCode": "MASQUE_PS"}),
        )
        self.dark = by_hand.Folder(patient=cx, id="Dark", title="Oncologie")
        self.both = by_hand.Folder(patient=cx, id="Both", title="Dossier")
        owner = self.owner = Set(patient=cx)
        links = [
            association(HAS_MEMBER, owner.id, "Dark"),
            association(HAS_MEMBER, owner.id, "Both"),
            *(
                association(HAS_MEMBER, folder, entry, name=f"{folder}{entry}")
                for folder, entry in (("Dark", "Masked"), ("Both", "Masked"), ("Both", "Open"))
            ),
            *(association(HAS_MEMBER, owner.id, name) for name in ("DarkMasked", "BothMasked", "BothOpen")),
        ]
        answer = region.vendor.provide([self.open, self.masked], owner, self.dark.xml, self.both.xml, *links)
        assert answer.outcome == "Success", answer.errors

    def asked(self, query_id: str, parameters: Mapping[str, str], who: Principal) -> tuple[RegistryObject, ...]:
        """The objects that another community is answered."""
        gateway = self.region.hub.responding
        query = StoredQuery(query_id, {name: ((value,),) for name, value in parameters.items()}, home=gateway.home)
        return gateway.query(CrossGatewayQuery(query), Context(principal=who)).objects


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with leaking_region.running(leaking_region.settings(tmp_path_factory.mktemp("hub"))) as region:
        yield Shelf(region)


def ids(shelf: Shelf) -> dict[str, str]:
    """entryUUIDs of all that there is."""
    every = shelf.asked(GET_ALL, all_of(shelf), SYSTEM)
    names = {shelf.open.uid: "open", shelf.masked.uid: "masked", shelf.dark.uid: "dark", shelf.both.uid: "both"}
    names[shelf.owner.uid] = "owner"
    return {names[item.unique_id]: item.id for item in every if not isinstance(item, Association)}


def all_of(shelf: Shelf) -> dict[str, str]:
    return {
        "$patientId": shelf.cx,
        "$XDSDocumentEntryStatus": "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",
        "$XDSSubmissionSetStatus": "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",
        "$XDSFolderStatus": "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",
    }


def test_no_query_tells_of_a_folder_of_hidden_documents(shelf: Shelf) -> None:
    known = ids(shelf)
    hidden = {known["dark"], known["masked"]}
    questions = {
        "GetAll": (GET_ALL, all_of(shelf)),
        "FindFolders": (
            FIND_FOLDERS,
            {"$XDSFolderPatientId": shelf.cx, "$XDSFolderStatus": all_of(shelf)["$XDSFolderStatus"]},
        ),
        "GetFolders": (GET_FOLDERS, {"$XDSFolderUniqueId": shelf.dark.uid}),
        "GetFolderAndContents dark": (GET_FOLDER_AND_CONTENTS, {"$XDSFolderUniqueId": shelf.dark.uid}),
        "GetFolderAndContents both": (GET_FOLDER_AND_CONTENTS, {"$XDSFolderUniqueId": shelf.both.uid}),
        "GetFoldersForDocument": (GET_FOLDERS_FOR, {"$XDSDocumentEntryUniqueId": shelf.masked.uid}),
        "GetFoldersForDocument open": (GET_FOLDERS_FOR, {"$XDSDocumentEntryUniqueId": shelf.open.uid}),
        "GetSubmissionSetAndContents": (GET_SET_AND_CONTENTS, {"$XDSSubmissionSetUniqueId": shelf.owner.uid}),
        "GetAssociations": (GET_ASSOCIATIONS, {"$uuid": known["owner"]}),
        "GetAssociations dark": (GET_ASSOCIATIONS, {"$uuid": known["dark"]}),
    }
    told = {}
    for name, (query_id, parameters) in questions.items():
        found = shelf.asked(query_id, parameters, DOCTOR)
        ends = {end for item in found if isinstance(item, Association) for end in (item.source, item.target)}
        told[name] = sorted(
            key for key, value in known.items() if value in hidden & (ends | {item.id for item in found})
        )
    assert not any(told.values()), told


def test_what_is_not_hidden_is_told(shelf: Shelf) -> None:
    known = ids(shelf)
    found = shelf.asked(GET_SET_AND_CONTENTS, {"$XDSSubmissionSetUniqueId": shelf.owner.uid}, DOCTOR)
    assert {item.id for item in found if not isinstance(item, Association)} == {
        known[name] for name in ("owner", "open", "both")
    }
    every = shelf.asked(GET_SET_AND_CONTENTS, {"$XDSSubmissionSetUniqueId": shelf.owner.uid}, SYSTEM)
    assert {item.id for item in every if not isinstance(item, Association)} == set(known.values())


def test_lists_of_mhd_leave_them_out(shelf: Shelf) -> None:
    person = PatientIdentifier.from_cx(shelf.cx)
    asked = (Asked("FindSubmissionSets"), Asked("FindFolders"))
    for who, expected in ((SYSTEM, {"owner", "dark", "both"}), (DOCTOR, {"owner", "both"})):
        command = FindShared((asked,), person, lists=True)
        page = shelf.region.hub.sharing.find(command, Context(principal=who))
        known = {value: key for key, value in ids(shelf).items()}
        told = {known[item.id] for item in (*page.objects, *page.members)} - {"open"}
        assert told - {"masked"} == expected
        assert ("masked" in told) == (who is SYSTEM)
