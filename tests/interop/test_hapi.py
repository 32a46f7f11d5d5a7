"""Every kind of resource that the hub sends, judged by the HL7 reference validator: one JVM for all of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from hub.documents.model import ON_DEMAND, DocumentEntry
from hub.documents.sharing_model import CommunityStatus, Custodian
from hub.imaging.manifest_model import Flavour
from hub.imaging.model import IndexedStudy, Study, StudyState
from hub.values import Uid
from hub.wire.fhir.document_communities import community_outcomes
from hub.wire.fhir.document_list import document_list
from hub.wire.fhir.document_reference import document_reference
from hub.wire.fhir.errors import outcome
from hub.wire.fhir.imaging_manifest import fhir_manifest
from hub.wire.fhir.imaging_study import imaging_study
from hub.wire.fhir.xml import from_xml, to_xml
from tests.imaging.test_flavours import rich
from tests.interop import hapi
from tests.interop.mhd import Region, bundle_of, opened, provide
from tests.interop.test_mhd_publish import FHIR, binary, full, post, report_of, simple
from tests.wire.fhir.test_documents import BASE, ENTRY, FOLDER, SET
from tests.wire.fhir.test_resources import INDEXED, STUDY

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", params=["sqlite"])
def region(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with opened(request, tmp_path_factory) as empty:
        yield empty


def served(region: Region) -> dict[str, Any]:
    """What the hub answers over HTTP, by what was asked."""
    who = f"patient={region.patient}"
    bundle = bundle_of(region.cx, b"one", b"two", folder=True)
    minimal = post(region, "DocumentReference", simple(region.cx, b"minimal"))
    found: dict[str, Any] = {
        "sent: ITI-65": bundle,
        "ITI-65": provide(region, bundle).json(),
        "ITI-105 with minimal metadata": minimal.json(),
        "ITI-105": post(region, "DocumentReference", full(region.cx, b"full")).json(),
        "ITI-106": post(region, "DocumentReference/$generate-metadata", binary(report_of(region.cx))).json(),
        "refused": post(region, "DocumentReference", {"resourceType": "DocumentReference"}).json(),
        "Binary": region.get(f"Binary/{minimal.json()['id']}", Accept=FHIR["Content-Type"]).json(),
    }
    replaced = full(region.cx, b"newer")
    target = f"DocumentReference/{found['ITI-105']['id']}"
    replaced["relatesTo"] = [{"code": "replaces", "target": {"reference": target}}]
    found["a replacement"] = post(region, "DocumentReference", replaced).json()
    for path in (
        "metadata",
        f"DocumentReference?{who}",
        f"DocumentReference?{who}&_count=1",
        f"DocumentReference?{who}&_count=0",
        f"DocumentReference?{who}&_summary=true",
        f"DocumentReference?{who}&_elements=date",
        f"DocumentReference?{who}&_summary=text&_total=none",
        f"List?{who}&_summary=true",
        f"Patient?identifier={region.number}&_elements=birthDate",
        f"{region.patient}?_summary=true",
        f"ImagingStudy?{who}&_summary=true",
        "DocumentReference?status=current",
        target,
        f"List?{who}",
        f"List?{who}&code=folder",
        f"Patient?identifier={region.number}",
        region.patient,
        f"ImagingStudy?{who}",
        "Patient/nobody",
    ):
        found[path] = region.get(path).json()
    return found


COMMUNITIES = (
    CommunityStatus("NORTH", "urn:oid:1.2.250.1.999.72", count=3),
    CommunityStatus("SOUTH", "urn:oid:1.2.250.1.999.73", partial=True, reason="It reports XDSRegistryError."),
    CommunityStatus("DOWN", "urn:oid:1.2.250.1.999.74", answered=False, late=True, reason="No answer in time."),
)


def made() -> dict[str, Any]:
    """What the hub answers about archives, regions and documents that this region does not have."""
    custodian = Custodian("Région", "1.2.250.1.999.1.3")
    on_demand = replace(
        ENTRY, object_type=ON_DEMAND, hash="", size=None, creation_time="", legal_authenticators=(), limited=False
    )
    poor = DocumentEntry(id=ENTRY.id, unique_id="x", patient_id=ENTRY.patient_id, mime_type="text/plain", limited=True)
    studies = (INDEXED, IndexedStudy(Study(Uid("1.2.3"), "A"), None, StudyState.ORDERED))
    found: dict[str, Any] = {
        "DocumentReference on demand": document_reference(on_demand, (), BASE),
        "DocumentReference of PDSm": document_reference(ENTRY, (), BASE, custodian),
        "poor DocumentReference": document_reference(poor, (), BASE, custodian),
        "SubmissionSet of PDSm": document_list(SET, (), (), custodian),
        "Folder of PDSm": document_list(FOLDER, (), (), custodian),
        "OperationOutcome": outcome("error", "not-found", "No.", code="x", expression="a.b"),
        "OperationOutcome of communities": community_outcomes(COMMUNITIES)[0],
        "MADO manifest": json.loads(fhir_manifest(rich(Flavour.MADO))),
    }
    for number, study in enumerate((*studies, replace(INDEXED, study=replace(STUDY, series=())))):
        found[f"ImagingStudy {number}"] = imaging_study(study, "http://127.0.0.1/dicom-web")
    # The samples' OIDs are shorter than the validator takes real ones to be.
    longer = re.sub(r'"urn:oid:1\.2(\.3[.0-9]*)?"', r'"urn:oid:1.2.250.1.999\1"', json.dumps(found))
    result: dict[str, Any] = json.loads(longer)
    return result


def test_every_resource_is_valid(region: Region) -> None:
    resources = {**served(region), **made()}
    kinds = {resource["resourceType"] for resource in resources.values()}
    assert kinds >= {
        *("Binary", "Bundle", "CapabilityStatement", "DocumentReference", "ImagingStudy", "List"),
        *("OperationOutcome", "Parameters", "Patient"),
    }
    wrong = {
        "a gender that is none": {"resourceType": "Patient", "gender": "x"},
        "an element that is none": {**resources["OperationOutcome"], "colour": 1},
        "no status": {key: value for key, value in resources["ITI-105"].items() if key != "status"},
    }
    found = hapi.errors({**resources, **wrong})
    assert {item.name for item in found} >= set(wrong)  # it does judge
    invalid = [f"{item.name}: {item.place}: {item.text}" for item in found if item.name not in wrong]
    assert not invalid, "\n".join(invalid)


def test_xml_says_the_same(region: Region) -> None:
    """What the hub writes as XML is valid, and the reference parser reads in it what the JSON says."""
    resources = {**served(region), **made()}
    texts = {name: to_xml(resource).decode() for name, resource in resources.items()}
    texts = {name: re.sub(r"\s*[\r\n]+\s*", " ", text) for name, text in texts.items()}
    invalid, read = hapi.judged(texts)
    assert not invalid, "\n".join(f"{item.name}: {item.place}: {item.text}" for item in invalid)
    for name, resource in resources.items():
        # HAPI's writer leaves out ids that a Bundle's fullUrl tells, and puts the blanks of narratives in order.
        assert _without(read[name], "div", "id") == _without(resource, "div", "id"), name
        assert _without(from_xml(texts[name].encode()), "div") == _without(resource, "div"), name


def _without(value: Any, *names: str) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner, *names) for name, inner in value.items() if name not in names}
    if isinstance(value, list):
        return [_without(inner, *names) for inner in value]
    return value
