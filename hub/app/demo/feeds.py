"""The hospitals' part: they announce the person, make a study, order it, report it; the hub publishes."""

from collections.abc import Callable
from typing import Any

from hub.app.demo.region import INS, TRAITS, Hospital
from hub.app.demo.report import wait_for
from hub.app.demo.stage import EVERYTHING, Stage, segment
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import StudyState
from hub.testing import hl7
from hub.testing.cda import ImagingReport, ReportAuthor, build_report
from hub.testing.dicom import relabelled

HospitalStep = Callable[[Stage, Hospital], None]
PUBLISHED_WITHIN = 60.0
#: What the report's header says: LOINC act, SNOMED CT region.
ACTS = {"A": ("24725-4", ("774007", "tête et cou")), "B": ("24556-3", ("63337009", "abdominopelvien"))}


def announce(stage: Stage, one: Hospital) -> None:
    """HIS -> hub: ADT^A28 (A) or ADT^A04 (B)."""
    event = "A28" if one.letter == "A" else "A04"
    his = f"HIS {one.letter}"
    with stage.report.step(f"{his} announces the person", his, f"HL7 ADT^{event}") as step:
        stage.send(step, hl7.adt(one.sender("HIS"), one.patient, event))
        step.identifiers = {"local": one.local_id, "authority": one.authority}
        if one.qualified:
            step.identifiers["ins"] = INS


def cross_reference(stage: Stage) -> None:
    """ITI-9: B's number gives A's and the regional one."""
    a, b = stage.pair
    with stage.report.step("One person, one regional identifier", "any system", "ITI-9 PIX query") as step:
        answer = stage.ask(step, hl7.pix_query(b.sender("HIS"), b.patient.identifier))
        step.expect("|OK|" in answer, "the PIX query was not answered OK")
        numbers = (part.split("^") for part in segment(answer, "PID")[3].split("~"))
        found = {cx[3].split("&")[1]: cx[0] for cx in numbers}
        step.expect(found.get(a.authority) == a.local_id, "A's number is not among the cross references")
        stage.regional = found.get(stage.domain, "")
        step.expect(stage.regional, "there is no regional identifier among the cross references")
        step.identifiers = {"regional": stage.regional, "A": a.local_id, "B": b.local_id}
        step.received = f"regional identifier {stage.regional} over {a.local_id} (A) and {b.local_id} (B)"


def acquire(stage: Stage, one: Hospital) -> None:
    """A modality stores the study in the hospital's own archive."""
    site = stage.sites.a if one.letter == "A" else stage.sites.b
    pacs = f"PACS {one.letter}"
    name = f"{site.kind}{' (simulated)' if site.simulated else ''}"
    with stage.report.step(f"A study is made and stored in {pacs}", pacs, f"DICOM, {name}") as step:
        stage.studies[one.letter] = study = relabelled(stage.images(one), one.label, one.files)
        taken = site.store(sorted(stage.images(one).glob("*.dcm")))
        step.expect(taken == study.instance_count, f"the archive took {taken} of {study.instance_count} images")
        step.counts = {"images": taken, "series": study.series_count or 0}
        step.identifiers = {"study": study.study_instance_uid}
        step.received = f"{taken} images in {study.series_count} series, kept by {name}"


def order(stage: Stage, one: Hospital) -> None:
    """RIS -> hub: ORM^O01 (A) or OMI^O23 (B)."""
    build, event = (hl7.orm, "ORM^O01") if one.letter == "A" else (hl7.omi, "OMI^O23")
    ris = f"RIS {one.letter}"
    with stage.report.step(f"{ris} sends the order", ris, f"HL7 {event}") as step:
        stage.send(step, build(one.sender("RIS"), one.patient, one.examination))
        step.identifiers = {"accession": one.accession, "placer order": one.placer}


def sign_report(stage: Stage, one: Hospital) -> None:
    """RIS -> hub: ORU^R01 with a CDA, final."""
    code, region = ACTS[one.letter]
    stage.reports[one.letter] = written = ImagingReport(
        patient_ids=[one.patient.identifier, *([one.patient.ins] if one.patient.ins else [])],
        traits=TRAITS,
        study_instance_uid=one.study_instance_uid,
        accession_number=one.accession,
        placer_number=one.placer,
        text=one.report,
        title=f"Compte rendu : {one.procedure[1]}",
        modality=one.modality,
        procedure=(code, one.procedure[1]),
        region=region,
        author=ReportAuthor(organisation=one.title),
    )
    cda = build_report(written)
    ris = f"RIS {one.letter}"
    with stage.report.step(f"{ris} sends the final report", ris, "HL7 ORU^R01 with CDA") as step:
        stage.send(step, hl7.oru(one.sender("RIS"), one.patient, one.examination, cda))
        step.counts = {"CDA bytes": len(cda)}


def published(stage: Stage, one: Hospital) -> None:
    """The hub asked the archive, indexed, built the manifest and registered it with the report."""
    protocol = "QIDO-RS" if one.letter == "A" else "C-FIND"
    study, pacs = stage.studies[one.letter], f"PACS {one.letter}"
    title = f"The hub asks {pacs} and publishes the study"
    with stage.report.step(title, "Maillage", f"{protocol}, KOS, ITI-41 rules") as step:
        indexed = wait_for(lambda: _published(stage, study.study_instance_uid), seconds=PUBLISHED_WITHIN)
        step.expect(indexed, f"not published within {PUBLISHED_WITHIN:.0f} s: {_why(stage, study.study_instance_uid)}")
        count = indexed.study.instance_count
        step.expect(count == study.instance_count, "the index counts other images than the archive holds")
        step.expect(indexed.report_ids, "the report was not registered with the manifest")
        step.counts = {"images": count}
        step.identifiers = {
            "study": study.study_instance_uid,
            "manifest": indexed.manifest_id,
            "report": indexed.report_ids[0],
        }
        step.received = f"{count} images indexed, manifest and report registered; images stay in {pacs}"


def _published(stage: Stage, uid: str) -> Any:
    try:
        found = stage.hub.imaging.indexed(uid)
    except UnknownStudy:  # not yet
        return None
    return found if found.state is StudyState.PUBLISHED else None


def _why(stage: Stage, uid: str) -> str:
    deliveries = stage.hub.exchange.deliveries(EVERYTHING)
    reasons = [item.reason for item in deliveries if item.reason and uid in str(item.payload)]
    return "; ".join(dict.fromkeys(reasons)) or "no delivery says why"
