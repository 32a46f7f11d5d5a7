"""fhirpy (which no one here wrote) searches and reads studies and patients; R4B's models judge every resource sent."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from hub.imaging.model import Study
from hub.testing.sandbox import SandboxProcess
from hub.testing.simulators.dicomweb import DicomwebSimulator
from tests.hostile.hospital import Hospital, published, regional
from tests.interop.by_hand import Integrator

pytestmark = pytest.mark.interop
HOSPITAL = Hospital()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    found, _ = HOSPITAL.files(tmp_path_factory.mktemp("files") / "study")
    return found


@pytest.fixture(scope="module")
def system(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Integrator]:
    """A hub that published the hospital's study."""
    archive = DicomwebSimulator(tmp_path_factory.mktemp("pacs"))
    archive.store(sorted((tmp_path_factory.getbasetemp() / "files0" / "study").glob("*.dcm")))
    source = f"{HOSPITAL.name}=dicomweb:{archive.dicomweb_url}"
    with SandboxProcess("--source", source) as box, Integrator(box) as vendor:
        for message in (HOSPITAL.announcement(), HOSPITAL.order(), HOSPITAL.report()):
            assert "MSA|AA" in vendor.feed(message)
        published(vendor, HOSPITAL)
        yield vendor
    archive.stop()


@pytest.fixture(scope="module")
def client(system: Integrator) -> SyncFHIRClient:
    return SyncFHIRClient(
        system.box["fhir"],
        authorization=f"Bearer {system.box['token']}",
        requests_config={"verify": system.box["ca"]},
    )


def valid(resource: Any) -> dict[str, Any]:
    """The resource, once R4B's model has taken it, contained and bundled ones included."""
    plain: dict[str, Any] = resource.serialize() if hasattr(resource, "serialize") else dict(resource)
    get_fhir_model_class(plain["resourceType"]).model_validate(plain)
    return plain


def test_metadata(client: SyncFHIRClient, system: Integrator) -> None:
    statement = valid(client.execute("metadata", method="get"))
    assert statement["fhirVersion"] == "4.0.1"
    (rest,) = statement["rest"]
    kinds = {row["type"]: {item["code"] for item in row["interaction"]} for row in rest["resource"]}
    assert kinds["ImagingStudy"] >= {"read", "search-type"}
    assert kinds["Patient"] >= {"read", "search-type"}
    with httpx.Client(verify=system.http._transport._pool._ssl_context) as stranger:  # type: ignore[attr-defined]
        assert stranger.get(f"{system.box['fhir']}/metadata").status_code == 200


def test_search_and_read(client: SyncFHIRClient, study: Study) -> None:
    found = client.resources("ImagingStudy").search(patient__identifier=f"urn:oid:{HOSPITAL.oid}|{HOSPITAL.number}")
    (one,) = found.fetch_all()
    plain = valid(one)
    assert plain["id"] == study.study_instance_uid
    assert plain["numberOfInstances"] == study.instance_count
    assert plain["status"] == "available"
    assert "DICOM" not in plain.get("resourceType", "")
    read = valid(client.reference("ImagingStudy", study.study_instance_uid).to_resource())
    series = {row["uid"]: {item["uid"] for item in row["instance"]} for row in read["series"]}
    assert series == {
        item.series_instance_uid: {instance.sop_instance_uid for instance in item.instances} for item in study.series
    }
    assert read["endpoint"][0]["reference"].startswith("#")
    assert read["contained"][0]["connectionType"]["code"] == "dicom-wado-rs"


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"identifier": "ACC-1"}, 1),
        ({"identifier": "ACC-2"}, 0),
        ({"modality": "CT"}, 1),
        ({"modality": "US"}, 0),
        ({"started": "ge2026-01-15"}, 1),
        ({"started": "gt2026-01-15"}, 0),
        ({"started": "2026-01"}, 1),
        ({"status": "available"}, 1),
        ({"status": "cancelled"}, 0),
        ({"_id": HOSPITAL.study_uid}, 1),
        ({"identifier": f"urn:dicom:uid|urn:oid:{HOSPITAL.study_uid}"}, 1),
        ({"patient.identifier": "urn:oid:1.2.3|nobody"}, 0),
    ],
)
def test_criteria(client: SyncFHIRClient, parameters: dict[str, str], count: int) -> None:
    bundle = client.execute("ImagingStudy", method="get", params=parameters)
    plain = valid(bundle)
    matches = [row for row in plain.get("entry", []) if row["search"]["mode"] == "match"]
    assert len(matches) == count
    for row in matches:
        valid(row["resource"])
        assert row["fullUrl"].endswith(f"/fhir/ImagingStudy/{row['resource']['id']}")
    assert plain.get("total") == (None if "status" in parameters else count)


def test_parts_of_studies(client: SyncFHIRClient) -> None:
    (one,) = client.resources("ImagingStudy").search(_id=HOSPITAL.study_uid).elements("started", "modality").fetch_all()
    plain = valid(one)
    assert set(plain) == {"resourceType", "id", "meta", "status", "subject", "started", "modality"}
    assert plain["meta"]["tag"][0]["code"] == "SUBSETTED"
    (one,) = client.resources("ImagingStudy").search(_id=HOSPITAL.study_uid, _summary="true").fetch_all()
    assert valid(one)["endpoint"][0]["reference"] == f"#{one['contained'][0]['id']}"
    read = valid(client.execute(f"ImagingStudy/{HOSPITAL.study_uid}", method="get", params={"_summary": "true"}))
    assert read["series"][0]["uid"]
    assert "instance" not in read["series"][0]
    bundle = valid(client.execute("ImagingStudy", method="get", params={"_total": "none", "_count": "1000000000000"}))
    assert "total" not in bundle
    assert bundle["link"][0]["url"].endswith("/ImagingStudy?_count=200&_total=none")


def test_the_subject_is_a_patient_that_can_be_read(client: SyncFHIRClient, system: Integrator) -> None:
    one = client.resources("ImagingStudy").search(_id=HOSPITAL.study_uid).first()
    subject = valid(one)["subject"]["reference"]
    number = regional(system, HOSPITAL).partition("^")[0]
    assert subject == f"Patient/{number}"
    patient = valid(client.reference("Patient", number).to_resource())
    assert patient["name"][0]["family"] == HOSPITAL.family
    assert patient["birthDate"] == "1970-01-01"
    assert any(row["value"] == HOSPITAL.number for row in patient["identifier"])
    assert [item.id for item in client.resources("ImagingStudy").search(patient=subject).fetch_all()] == [
        HOSPITAL.study_uid
    ]
    (found,) = client.resources("Patient").search(family=HOSPITAL.family, birthdate="1970-01-01").fetch_all()
    assert valid(found)["id"] == number


def test_what_is_not_there(client: SyncFHIRClient) -> None:
    with pytest.raises(ResourceNotFound):
        client.reference("ImagingStudy", "1.2.3.4").to_resource()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "nobody").to_resource()
    with pytest.raises(OperationOutcome) as caught:
        client.execute("ImagingStudy", method="get", params={"colour": "red"})
    valid(caught.value.resource)
