"""The page's example of a region's rules on a running hub, asked by zeep, by DCMTK and over QIDO-RS, on both databases:
a system is not told of a restricted document, nor of the images of a restricted manifest."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from zeep.transports import Transport

from hub.app.settings import file as settings_file
from hub.app.settings.model import Storage
from hub.app.settings.rights import Rights
from hub.app.settings.sharing import OnDemand
from hub.testing.postgres import PostgresqlServer
from hub.testing.sites import has_dcmtk
from hub.values import Code
from tests.hostile import leaking_region
from tests.hostile.leaking_people import published
from tests.hostile.leaking_region import Region, Target, bring_in
from tests.hostile.test_leaks_masked import manifest, mask
from tests.interop.by_hand import APPROVED
from tests.interop.test_zeep_xds import FIND_DOCUMENTS, service
from tests.waiting import until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not has_dcmtk(), reason="DCMTK is not installed (apt-get install dcmtk)"),
]
HOWTO = Path(__file__).parents[2] / "docs/howto/write-rules.md"
RESTRICTED = Code("R", "2.16.840.1.113883.5.25", "Restricted")


def example() -> Rights:
    (text,) = re.findall(r"```toml\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    return settings_file.parse(text).rights


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        url = server.url(server.create_database())
    return Storage(database=url, content=tmp_path)


@pytest.fixture
def region(storage: Storage, tmp_path: Path) -> Iterator[Region]:
    changes = {"storage": storage, "rights": example(), "on_demand": OnDemand()}
    with leaking_region.running(leaking_region.settings(tmp_path).model_copy(update=changes)) as found:
        bring_in(found, "restricted", "PX1", "QUILLERE")
        bring_in(found, "normal", "PX2", "BROCHAND")
        until(lambda: all(published(found.hub, target.study) for target in found.people.values()))
        yield found


def by_zeep(region: Region, target: Target) -> dict[str, list[str]]:
    """ITI-18 FindDocuments: by kind of answer, what kinds of object came."""
    url = f"{region.hub.public_url()}/xds/registry"
    _, registry = service("iti18.wsdl", url, Transport(timeout=30, operation_timeout=30))
    asked = {"XDSDocumentEntryPatientId": f"'{target.regional}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"}
    slots = [{"name": f"${name}", "ValueList": {"_value_1": [{"Value": text}]}} for name, text in asked.items()]
    found = {}
    for kind in ("LeafClass", "ObjectRef"):
        answer = registry.DocumentRegistry_RegistryStoredQuery(
            ResponseOption={"returnType": kind, "returnComposedObjects": True},
            AdhocQuery={"id": FIND_DOCUMENTS, "Slot": slots},
        )
        assert answer.status.endswith(":Success")
        assert answer.RegistryErrorList is None
        objects = answer.RegistryObjectList
        rows = objects["_raw_elements"] or [] if objects is not None else []
        found[kind] = sorted(str(row.get("id")) for row in rows)
    return found


def by_dcmtk(region: Region, folder: Path, key: str) -> set[str]:
    """C-FIND at the level of studies."""
    folder.mkdir()
    port = region.hub.dimse_address().rpartition(":")[2]
    subprocess.run(
        ["findscu", "-S", "-X", "-aet", "READER", "-aec", "MAILLAGE", "-k", "QueryRetrieveLevel=STUDY",
         "-k", "StudyInstanceUID", "-k", key, "127.0.0.1", port],
        cwd=folder, check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    return {str(dcmread(path, force=True).StudyInstanceUID) for path in folder.glob("rsp*.dcm")}


def by_qido(region: Region, target: Target) -> tuple[int, int]:
    """(studies of the patient in QIDO-RS, the total that FHIR counts)."""
    url, (number, _, rest) = region.hub.public_url(), target.regional.partition("^^^&")
    studies = httpx.get(f"{url}/dicom-web/studies", params={"PatientName": f"{target.name}*"}, timeout=60)
    who = f"urn:oid:{rest.removesuffix('&ISO')}|{number}"
    counted = httpx.get(f"{url}/fhir/ImagingStudy", params={"patient.identifier": who, "_summary": "count"}, timeout=60)
    return len(studies.json()) if studies.status_code == 200 else 0, counted.json()["total"]


def count_of_documents(region: Region, target: Target) -> int:
    number, _, rest = target.regional.partition("^^^&")
    who = {"patient.identifier": f"urn:oid:{rest.removesuffix('&ISO')}|{number}", "status": "current"}
    url = f"{region.hub.public_url()}/fhir/DocumentReference"
    return int(httpx.get(url, params={**who, "_summary": "count"}, timeout=60).json()["total"])


def test_a_system_is_not_told_of_what_is_restricted(region: Region, tmp_path: Path) -> None:
    target, other = region.people["restricted"], region.people["normal"]
    before = by_zeep(region, target)
    assert len(before["LeafClass"]) == len(before["ObjectRef"]) == count_of_documents(region, target)
    assert target.entry in before["LeafClass"]
    assert by_dcmtk(region, tmp_path / "1", f"PatientName={target.name}*") == {target.study}
    assert by_qido(region, target) == (1, 1)

    entry = manifest(region, target)
    mask(region, entry, RESTRICTED)
    after = by_zeep(region, target)
    assert entry.id in before["LeafClass"]
    assert set(before["LeafClass"]) - set(after["LeafClass"]) == {entry.id}
    assert len(after["LeafClass"]) == len(after["ObjectRef"]) == count_of_documents(region, target)
    assert by_dcmtk(region, tmp_path / "2", f"PatientName={target.name}*") == set()
    assert by_dcmtk(region, tmp_path / "3", f"StudyInstanceUID={target.study}") == set()
    assert by_qido(region, target) == (0, 0)
    assert by_dcmtk(region, tmp_path / "4", f"PatientName={other.name}*") == {other.study}
    assert by_qido(region, other) == (1, 1)


def test_a_restricted_report_is_not_there_and_the_images_are(region: Region, tmp_path: Path) -> None:
    target = region.people["normal"]
    of_images = manifest(region, target).id
    assert set(by_zeep(region, target)["LeafClass"]) == {target.entry, of_images}
    report = region.hub.documents.entry(target.document)
    assert report is not None
    mask(region, report, RESTRICTED)
    found = by_zeep(region, target)
    assert found == {"LeafClass": [of_images], "ObjectRef": [of_images]}
    assert count_of_documents(region, target) == 1
    assert by_dcmtk(region, tmp_path / "1", f"PatientName={target.name}*") == {target.study}
