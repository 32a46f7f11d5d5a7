"""Other systems' part: they find and read the same study in their own protocols."""

import hashlib
import io
from pathlib import Path

from pydicom import dcmread

from hub.app.demo import ask
from hub.app.demo.region import TRAITS, Hospital
from hub.app.demo.report import Step
from hub.app.demo.stage import Stage
from hub.testing import hl7
from hub.wire.multipart import read as read_parts

#: What the imaging consumer can show: JPEG 2000, and uncompressed.
SYNTAXES = ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


def find_documents(stage: Stage) -> None:
    """ITI-18 FindDocuments by the regional identifier."""
    with stage.report.step("A system finds manifests and reports", "document consumer", "ITI-18 FindDocuments") as step:
        body = ask.find_documents(f"{stage.regional}^^^&{stage.domain}&ISO")
        answer = stage.soap.call(f"{stage.url}/xds/registry", ask.STORED_QUERY, body)
        step.expect(answer.body.get("status", "").endswith(":Success"), "the query was not answered Success")
        stage.entries = ask.entries(answer.body)
        kinds = sorted(entry["mime_type"] for entry in stage.entries)
        expected = ["application/dicom"] * 2 + ["text/xml"] * 2
        step.expect(kinds == expected, f"expected two manifests and two reports, got {kinds}")
        step.counts = {"entries": len(stage.entries)}
        reports = [entry["title"] for entry in stage.entries if entry["mime_type"] == "text/xml"]
        step.received = f"2 manifests, 2 reports ({'; '.join(reports)})"


def retrieve_documents(stage: Stage) -> None:
    """ITI-43: the bytes are those that the registry promises, the manifests name every image."""
    with stage.report.step("It retrieves them", "document consumer", "ITI-43, MTOM") as step:
        body = ask.retrieve(stage.entries)
        answer = stage.soap.call(f"{stage.url}/xds/repository", ask.RETRIEVE, body, mtom=True)
        found = {uid: Path(part.path).read_bytes() for uid, part in ask.received(answer)}
        answer.discard()
        for entry in stage.entries:
            content = found.get(entry["unique_id"], b"")
            facts = (hashlib.sha1(content, usedforsecurity=False).hexdigest(), str(len(content)))
            step.expect(facts == (entry["hash"], entry["size"]), "a document's bytes are not those registered")
            if entry["mime_type"] == "application/dicom":
                _names_every_image(stage, step, content)
        step.counts = {"documents": len(found), "bytes": sum(map(len, found.values()))}
        step.received = f"{len(found)} documents, size and SHA-1 as registered; the manifests name every image"


def _names_every_image(stage: Stage, step: Step, content: bytes) -> None:
    evidence = dcmread(io.BytesIO(content)).CurrentRequestedProcedureEvidenceSequence[0]
    series = evidence.ReferencedSeriesSequence
    named = {str(sop.ReferencedSOPInstanceUID) for item in series for sop in item.ReferencedSOPSequence}
    made = {
        str(item.sop_instance_uid)
        for study in stage.studies.values()
        if study.study_instance_uid == evidence.StudyInstanceUID
        for _, item in study.instances
    }
    step.expect(named and named == made, "a manifest names other images than the archive holds")


def retrieve_images(stage: Stage, one: Hospital) -> None:
    """RAD-69: the hub fetches from the archive and streams through; pixels are the original ones."""
    study = stage.studies[one.letter]
    title = f"It reads the images of hospital {one.letter}"
    protocol = f"RAD-69, MTOM (hub: {'WADO-RS' if one.letter == 'A' else 'C-GET'})"
    with stage.report.step(title, "imaging consumer", protocol) as step:
        source = next(info for info in stage.hub.infos() if info.name == one.source)
        images = [(str(series.series_instance_uid), str(item.sop_instance_uid)) for series, item in study.instances]
        body = ask.retrieve_images(study.study_instance_uid, images, source.repository_unique_id, SYNTAXES)
        answer = stage.soap.call(f"{stage.url}/xds/imaging", ask.RETRIEVE_IMAGES, body, mtom=True)
        parts = dict(ask.received(answer))
        found = {uid: dcmread(part.path) for uid, part in parts.items()}
        answer.discard()
        originals = {str(item.SOPInstanceUID): item for item in map(dcmread, stage.images(one).glob("*.dcm"))}
        step.expect(found.keys() == originals.keys(), f"{len(found)} of {len(originals)} images came")
        for uid, image in found.items():
            step.expect(image.PixelData == originals[uid].PixelData, "an image's pixels are not the original ones")
        size = sum(part.size for part in parts.values())
        step.counts = {"images": len(found), "bytes": size}
        step.received = f"{len(found)} images, {size:,} bytes, pixel data identical to the originals"


def qido_and_wado(stage: Stage) -> None:
    """RAD-129 and RAD-107 on the same study."""
    study = stage.studies["A"]
    uid, root = study.study_instance_uid, f"{stage.url}/dicom-web/studies"
    with stage.report.step("It reads them on the web too", "imaging consumer", "QIDO-RS, WADO-RS") as step:
        json = {"Accept": "application/dicom+json"}
        found = stage.http.get(root, params={"StudyInstanceUID": uid}, headers=json).raise_for_status().json()
        step.expect([item["0020000D"]["Value"][0] for item in found] == [uid], "QIDO-RS does not list the study once")
        with stage.http.stream("GET", f"{root}/{uid}", headers=AS_STORED) as answer:
            chunks = answer.raise_for_status().iter_bytes()
            sizes = [sum(map(len, part.chunks)) for part in read_parts(chunks, answer.headers["content-type"])]
        step.expect(len(sizes) == study.instance_count, f"WADO-RS gave {len(sizes)} of {study.instance_count} images")
        step.counts = {"studies": 1, "images": len(sizes), "bytes": sum(sizes)}
        step.received = f"1 study by QIDO-RS, {len(sizes)} images by WADO-RS"
        step.link = f"{root}?StudyInstanceUID={uid}"


def imaging_study(stage: Stage) -> None:
    """FHIR R4 ImagingStudy: search by the person, read one."""
    root = f"{stage.url}/fhir/ImagingStudy"
    with stage.report.step("A FHIR client finds the studies", "FHIR client", "FHIR R4 ImagingStudy") as step:
        question = {"patient.identifier": f"urn:oid:{stage.domain}|{stage.regional}"}
        bundle = stage.http.get(root, params=question).raise_for_status().json()
        resources = [entry["resource"] for entry in bundle.get("entry", [])]
        found = [item for item in resources if item["resourceType"] == "ImagingStudy"]
        step.expect(len(found) == 2, f"expected 2 ImagingStudy resources, got {len(found)}")
        link = f"{root}/{found[0]['id']}"
        read = stage.http.get(link).raise_for_status().json()
        step.expect(read["id"] == found[0]["id"], "the read gave another resource")
        step.counts = {"found": len(found)}
        told = (f"{item.get('description', '')} ({item.get('numberOfInstances')} images)" for item in found)
        step.received = "; ".join(told)
        step.link = link


def demographics(stage: Stage) -> None:
    """ITI-21: by name and birth date."""
    sender = stage.pair[0].sender("HIS")
    with stage.report.step("A system finds the person by name and birth date", "any system", "ITI-21 PDQ") as step:
        criteria = {"@PID.5.1.1": TRAITS.birth_name, "@PID.7": TRAITS.birth_date}
        answer = stage.ask(step, hl7.pdq_query(sender, criteria))
        people = [line for line in answer.split("\r") if line.startswith("PID|")]
        step.expect(len(people) == 1 and stage.regional in people[0], f"expected the one person, got {len(people)}")
        step.counts = {"persons": 1}
        step.received = "1 person, with every number"
