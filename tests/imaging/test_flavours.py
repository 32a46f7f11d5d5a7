"""The three manifests of one study, and MADO's FHIR manifest beside its KOS."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

from hub.context import Context
from hub.documents.model import Association, AssociationType
from hub.imaging.manifest import build_manifest
from hub.imaging.manifest_model import Flavour, KeyObject, ManifestOrder, ManifestSpec
from hub.imaging.model import PublishStudy
from hub.storage.engine import Database
from hub.wire.dicom import DatasetReader, study_of_instances
from hub.wire.fhir.document_reference import document_reference
from hub.wire.fhir.imaging_manifest import PROFILE, fhir_manifest, manifest_bundle
from tests.imaging.archive import STUDY, A, read, study_files
from tests.imaging.living import instances, key_object, living
from tests.interop.test_dciodvfy import CASES, INS, LOCAL, spec

ORDER = ManifestOrder("P1", "1.2.250.1.999.8", "F1", "ACC-1", "1.2.250.1.999.9", ("ZBQK002", "CCAM", "Thorax"))
NOTE = KeyObject(f"{STUDY}.99.113000", STUDY, ("113000", "DCM", "Of Interest"), "Nodule")


def rich(flavour: Flavour) -> ManifestSpec:
    images = study_files()
    images[0].NumberOfFrames = 12
    images[0].BodyPartExamined, images[0].Laterality = "CHEST", "R"
    study = study_of_instances(map(DatasetReader, [*images, key_object(images[:1], "113000", "Of Interest")]), A.name)
    assert study is not None
    return spec(
        study, patient=INS, other_patient_ids=(LOCAL,), order=ORDER, flavour=flavour,
        key_objects={NOTE.sop_instance_uid: NOTE},
    )  # fmt: skip


def items(dataset: Any, code: str) -> list[Any]:
    """Content items of a concept, at any depth."""
    found = []
    for item in dataset.get("ContentSequence", ()):
        name = item.get("ConceptNameCodeSequence")
        if name and name[0].CodeValue == code:
            found.append(item)
        found += items(item, code)
    return found


@pytest.mark.parametrize(
    ("flavour", "title", "accession", "address"),
    [
        (Flavour.XDS_I, "113030", "ACC-1", "https://hub.example/dicom-web"),
        (Flavour.DRIM_M, "113030", "", f"https://hub.example/dicom-web/studies/{STUDY}/series/"),
        (Flavour.MADO, "MADOTEMP001", "ACC-1", "https://hub.example/dicom-web"),
    ],
)
def test_what_tells_the_flavours_apart(flavour: Flavour, title: str, accession: str, address: str) -> None:
    ds = read(build_manifest(rich(flavour)))
    assert ds.ConceptNameCodeSequence[0].CodeValue == title
    assert ds.AccessionNumber == accession
    assert ("IssuerOfAccessionNumberSequence" in ds) == bool(accession)
    assert ds.ReferencedRequestSequence[0].AccessionNumber == "ACC-1"
    [evidence] = ds.CurrentRequestedProcedureEvidenceSequence
    for series in evidence.ReferencedSeriesSequence:
        assert series.RetrieveURL.startswith(address)
        assert series.RetrieveURL.endswith(series.SeriesInstanceUID) == (flavour is Flavour.DRIM_M)
        assert series.RetrieveLocationUID == A.repository_unique_id
        assert ("SeriesNumber" in series) == (flavour is Flavour.DRIM_M)
    assert bool(items(ds, "113012")) == (flavour is not Flavour.XDS_I)


def test_mado_names_the_patient_among_the_other_numbers() -> None:
    ds = read(build_manifest(rich(Flavour.MADO)))
    numbers = [item.PatientID for item in ds.OtherPatientIDsSequence]
    assert numbers == [INS.value, LOCAL.value]
    assert all(item.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID for item in ds.OtherPatientIDsSequence)


def test_the_image_library_describes_every_series_and_instance() -> None:
    made = rich(Flavour.MADO)
    ds = read(build_manifest(made))
    [library] = items(ds, "111028")
    [count] = items(library, "MADOTEMP009")
    assert count.MeasuredValueSequence[0].NumericValue == 6
    groups = items(library, "126200")
    assert [items(group, "112002")[0].UID for group in groups] == [
        series.series_instance_uid for series in made.study.series
    ]
    assert [int(items(group, "MADOTEMP007")[0].MeasuredValueSequence[0].NumericValue) for group in groups] == [1] * 6
    entries = [item for group in groups for item in group.ContentSequence if "ReferencedSOPSequence" in item]
    named = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in entries}
    assert named == {instance.sop_instance_uid for _, instance in made.study.instances}
    [title] = items(library, "121144")
    assert title.ConceptCodeSequence[0].CodeValue == "113000"
    assert items(library, "113012")[0].TextValue == "Nodule"
    assert items(library, "121140")[0].MeasuredValueSequence[0].NumericValue == 12
    assert [item.ConceptCodeSequence[0].CodeValue for item in library.ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue == "123014"] == ["67734004", "38266002"]  # fmt: skip
    assert items(ds, "121023")[0].ConceptCodeSequence[0].CodeValue == "ZBQK002"


def resource(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item["resource"] for item in bundle["entry"]
                                 if item["resource"]["resourceType"] == kind)  # fmt: skip
    return found


@pytest.mark.parametrize(
    "made", [*(replace(case, flavour=Flavour.MADO) for case in CASES.values()), rich(Flavour.MADO)]
)
def test_the_fhir_manifest_is_valid_and_hangs_together(made: ManifestSpec) -> None:
    content = fhir_manifest(made)
    assert content == fhir_manifest(made)
    bundle = orjson.loads(content)
    get_fhir_model_class("Bundle").model_validate_json(content)
    assert bundle["type"] == "document"
    assert bundle["entry"][0]["resource"]["resourceType"] == "Composition"
    assert bundle["identifier"]["value"] == f"urn:oid:{made.sop_instance_uid}"
    urls = {item["fullUrl"] for item in bundle["entry"]}
    assert len(urls) == len(bundle["entry"])
    assert set(references(bundle)) <= urls
    reached = {bundle["entry"][0]["fullUrl"]}  # every resource is reachable from the Composition (FHIR R4: 3.3.2)
    by_url = {item["fullUrl"]: item["resource"] for item in bundle["entry"]}
    while more := {one for url in reached for one in references(by_url[url])} - reached:
        reached |= more
    assert reached == urls
    for item in bundle["entry"]:
        get_fhir_model_class(item["resource"]["resourceType"]).model_validate(item["resource"])
        assert item["resource"]["meta"]["profile"][0].startswith(PROFILE)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [one for item in value.values() for one in references(item)]
    return [one for item in value for one in references(item)] if isinstance(value, list) else []


def test_the_fhir_manifest_says_what_the_kos_says() -> None:
    made = rich(Flavour.MADO)
    bundle = manifest_bundle(made)
    study = resource(bundle, "ImagingStudy")
    assert study["numberOfSeries"] == 6
    assert {(series["uid"], instance["uid"]) for series in study["series"] for instance in series["instance"]} == {
        (series.series_instance_uid, instance.sop_instance_uid) for series, instance in made.study.instances
    }
    assert study["identifier"][0]["value"] == f"urn:oid:{STUDY}"
    assert study["basedOn"][0]["identifier"]["value"] == "ACC-1"
    assert study["procedureCode"][0]["text"] == "Thorax"
    assert study["started"] == "2026-03-01T10:15:00+01:00"
    assert study["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "67734004"
    [frames] = [one["extension"][0]["valueInteger"] for series in study["series"] for one in series["instance"]
                if one.get("extension", [{}])[0].get("url") == f"{PROFILE}MadoNumberOfFrames"]  # fmt: skip
    assert frames == 12
    [title] = [one for series in study["series"] for one in series["instance"] if one.get("title") == "Nodule"]
    assert title["extension"][0]["valueCodeableConcept"]["coding"][0]["code"] == "113000"
    assert resource(bundle, "Endpoint")["address"] == "https://hub.example/dicom-web"
    assert resource(bundle, "Endpoint")["extension"][0]["valueString"] == A.repository_unique_id
    assert [item["value"] for item in resource(bundle, "Patient")["identifier"]] == [INS.value, LOCAL.value]
    kinds = [item["type"]["coding"][0]["code"] for item in resource(bundle, "ServiceRequest")["identifier"]]
    assert kinds == ["ACSN", "PLAC", "FILL"]


def test_text_from_images_can_not_become_markup() -> None:
    made = rich(Flavour.MADO)
    made = replace(made, study=replace(made.study, description="<script>alert(1)</script>"))
    text = resource(manifest_bundle(made), "Composition")["text"]["div"]
    assert "<script" not in text


def test_both_mado_manifests_are_registered_and_related(database: Database, tmp_path: Path) -> None:
    region = living(database, tmp_path, Flavour.MADO)
    person = region.identity()
    region.archive.datasets = study_files(accession="")
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    [kos] = region.found(person, mime="application/dicom")
    [fhir] = region.found(person, mime="application/fhir+json")
    assert region.relations(fhir) == [(AssociationType.TRANSFORM, kos.id)]
    assert fhir.format_code is not None
    assert fhir.format_code.value == "urn:ihe:rad:MADO:fhir-manifest:2026"
    assert kos.format_code is not None
    assert kos.format_code.value == "1.2.840.10008.5.1.4.1.1.88.59"
    [manifest] = region.manifests(person)
    content = region.documents.open_content(fhir.unique_id).path.read_bytes()
    bundle = orjson.loads(content)
    assert bundle["identifier"]["value"] == f"urn:oid:{kos.unique_id}"
    assert instances(manifest) == resource(bundle, "ImagingStudy")["numberOfInstances"] == 5
    # the absent case: an accession number is made, the same in both manifests and in the metadata
    made = resource(bundle, "ServiceRequest")["identifier"][0]["value"]
    assert manifest.accession_number == made
    assert made in [item.value for item in kos.reference_ids]
    # MHD shows the relation
    shown = document_reference(fhir, [Association("urn:uuid:1", AssociationType.TRANSFORM, fhir.id, kos.id)], "/fhir")
    assert shown["relatesTo"][0]["code"] == "transforms"
    assert shown["content"][0]["format"]["system"] == "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
    kinds = [one["code"] for item in shown["context"]["related"] for one in item["identifier"]["type"]["coding"]]
    assert {"110180", "121022", "ACSN"} <= set(kinds)
    assert shown["masterIdentifier"]["value"] in [item["value"] for item in shown["identifier"]]
    urls = [item["url"].rpartition(".")[2] for item in shown["extension"]]
    assert "modality" in urls
    assert "bodySite" in urls
    get_fhir_model_class("DocumentReference").model_validate(shown)
    # both are replaced together
    del region.archive.datasets[0]
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    [later] = region.found(person, mime="application/fhir+json")
    [now] = region.found(person, mime="application/dicom")
    assert region.relations(later) == [(AssociationType.TRANSFORM, now.id)]
    assert region.relations(now) == [(AssociationType.REPLACE, kos.id)]
    # and withdrawn together
    region.archive.datasets = []
    region.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    assert region.found(person) == []
    region.imaging.close()


def test_another_flavour_is_a_difference_that_the_check_repairs(database: Database, tmp_path: Path) -> None:
    before = living(database, tmp_path, Flavour.DRIM_M)
    person = before.identity()
    before.archive.datasets = study_files()
    before.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context())
    after = living(database, tmp_path, Flavour.MADO)
    after.archive.datasets = before.archive.datasets
    assert after.check(repair=True).differing == 1
    after.work()
    assert len(after.found(person)) == 2
    assert after.check().differing == 0
    before.imaging.close()
    after.imaging.close()
