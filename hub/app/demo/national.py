"""The national part: reports and studies go to the (simulated) national record, another region finds and reads them.

The other region is a second hub, with its own certificates, its own database and no way to the first but the record
and the images' address in it."""

import io
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom import dcmread

from hub.access.model import HUB, Principal, Professional, Scheme
from hub.access.roles import permissions_of
from hub.app.demo import remote
from hub.app.demo.people import signed_in
from hub.app.demo.region import INS, INS_TEST, OPERATOR, TRAITS
from hub.app.demo.report import StepFailed, wait_for
from hub.app.demo.stage import Stage
from hub.app.settings.model import (
    Authority,
    DimsePort,
    HealthPort,
    Logging,
    Mllp,
    Region,
    Security,
    Settings,
    Storage,
    Web,
)
from hub.app.settings.record import NationalRecord
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.context import Context
from hub.documents.model import DocumentEntry
from hub.imaging.manifest import Manifest, read_manifest
from hub.patients.model import FeedIdentity, Identity, IdentityStatus
from hub.pipeline.transaction import Transaction
from hub.portal import actions
from hub.portal.texts import LANGUAGES
from hub.record.model import ListPublications, Publication, PublicationState, Reason
from hub.record.reading_model import (
    AuthoriseNational,
    NationalAnswer,
    NationalDocument,
    ReadNational,
    SearchNational,
)
from hub.testing import hl7
from hub.testing.cda import ImagingReport, build_report
from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, SEAL, STRUCTURE, issue, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import APPROVED, DEPRECATED, Person
from hub.testing.ports import free_port
from hub.usecase import Command
from hub.values import PatientIdentifier, new_uid
from hub.wire.multipart import read as read_parts

SENT_WITHIN = 60.0
STRUCTURE_ABROAD = "1690200222"
NUMBERS_ABROAD = "1.2.250.1.999.20.1"
CORRECTION = "Correction : petite hypodensité frontale gauche, à contrôler."
KOS, REPORT = "application/dicom", "text/xml"
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
#: The doctor of the other region, as Pro Santé Connect would describe them.
DOCTOR = Professional("899700000001", "ROCHE", "Hélène", "10", specialities=("SM32",), structure=STRUCTURE_ABROAD)


@contextmanager
def national_record(directory: Path) -> Iterator[DmpSimulator]:
    """The simulator, with a record of the demo's person; throw-away certificates of both regions."""
    pki = make_pki(directory / "dmp")
    issue(pki, AUTHENTICATION, "region-2.test", STRUCTURE_ABROAD, name=f"{AUTHENTICATION}-2")
    issue(pki, SEAL, "Cachet region 2", STRUCTURE_ABROAD, name=f"{SEAL}-2")
    with DmpSimulator(pki) as simulator:
        simulator.state.add(Person(INS, INS_TEST))
        yield simulator


def record_settings(simulator: DmpSimulator, *, abroad: bool = False) -> NationalRecord:
    """How a region reaches it. ``abroad``: the other one, which only reads."""
    pki, suffix = simulator.pki, "-2" if abroad else ""
    structure = STRUCTURE_ABROAD if abroad else STRUCTURE
    name = "CLINIQUE DU RHONE" if abroad else "REGION DE DEMONSTRATION"
    return NationalRecord(
        structure=structure,
        structure_name=name,
        publish=not abroad,
        config={
            "url": simulator.url,
            "tls_ca": pki / f"{AUTHORITY}.crt",
            "tls_certificate": pki / f"{AUTHENTICATION}{suffix}.crt",
            "tls_key": pki / f"{AUTHENTICATION}{suffix}.key",
            "seal_certificate": pki / f"{SEAL}{suffix}.crt",
            "seal_key": pki / f"{SEAL}{suffix}.key",
            "structure": structure,
            "structure_name": name,
            "responsible": "801234567897",
            "responsible_family": "MARTIN",
            "homologation": "DEMO-0001",
        },
    )


def tell(stage: Stage) -> None:
    """The national end of the story. Raises StepFailed."""
    fed(stage)
    completed(stage)
    corrected(stage)
    with ExitStack() as stack:
        with stage.report.step("Another region has a hub of its own", "region 2", "own certificates") as step:
            hub, person = stack.enter_context(_other_region(stage))
            step.identifiers = {"regional": person.value, "ins": INS}
            step.received = "it knows the person by its own number and the INS, and nothing of the first region"
        found = _found(stage, hub, person)
        _report_read(stage, hub, person, found)
        _images_read(stage, _study_found(stage, hub, person, found))
        remote.tell(stage, hub, person, _doctor())


def fed(stage: Stage) -> None:
    """A's report and study are in the record; B's report names no INS: both are held, and the page says why."""
    title = "Reports and studies go to the national record"
    with stage.report.step(title, "Maillage", "DMP TD0.2, TD2.1: KOS of DRIM-M, XAdES, VIHF") as step:
        rows = wait_for(lambda: _settled(stage, 4), seconds=SENT_WITHIN)
        step.expect(rows, f"not sent within {SENT_WITHIN:.0f} s: {_states(stage)}")
        sent = [row for row in rows if row.state is PublicationState.SENT]
        step.expect(len(sent) == 2, f"expected two that are sent and two that are held: {_states(stage)}")
        there = stage.dmp.state.of(_cx(), signatures=True)
        kinds = {name: sum(item.type_code == name for item in there) for name in ("IMG-KOS", "18748-4", "E1762")}
        step.expect(list(kinds.values()) == [1, 1, 2], f"the record holds {kinds}")
        step.counts = {"manifests": 1, "reports": 1, "signatures": 2}
        step.received = "A's report and KOS taken by the record (simulated), each submission signed"
    with stage.report.step("The operator sees what is held, and why", "operator", "portal") as step:
        page = signed_in(stage, OPERATOR).open("/portal/operator/record").text
        held = [row for row in rows if row.state is PublicationState.HELD and row.reason is Reason.METADATA]
        step.expect(len(held) == 1, f"nothing is held for its metadata: {_states(stage)}")
        step.expect(LANGUAGES["fr"]["record.state.sent"] in page, "the page does not say what was sent")
        step.expect(LANGUAGES["fr"][f"record.means.{Reason.METADATA}"] in page, "the page does not say what is held")
        step.received = "B's report names no INS: held until B sends one that does, and its KOS with it"
        step.link = f"{stage.url}/portal/operator/record"


def completed(stage: Stage) -> None:
    """RIS B sends its report again, with the INS: what was held goes."""
    one = stage.pair[1]
    with stage.report.step("RIS B sends its report with the INS", "RIS B", "HL7 ORU^R01 (C), DMP TD2.1a new") as step:
        first = stage.reports[one.letter]
        fresh = _next(first, patient_ids=[one.patient.identifier, hl7.ins(INS, INS_TEST)])
        stage.send(step, hl7.oru(one.sender("RIS"), one.patient, one.examination, build_report(fresh), "C"))
        taken = wait_for(lambda: stage.dmp.state.by_unique_id(fresh.document_id), seconds=SENT_WITHIN)
        step.expect(taken, f"the report is not in the record after {SENT_WITHIN:.0f} s: {_states(stage)}")
        followed = wait_for(lambda: not any(row.reason for row in _publications(stage)), seconds=SENT_WITHIN)
        step.expect(followed, f"its KOS is not in the record after {SENT_WITHIN:.0f} s: {_states(stage)}")
        step.identifiers = {"report": fresh.document_id}
        step.received = "what was held has gone: both studies stand in the record with their reports"


def corrected(stage: Stage) -> None:
    """RIS A corrects its report: the record shows the new one in the place of the old one."""
    one = stage.pair[0]
    with stage.report.step("RIS A corrects its report", "RIS A", "HL7 ORU^R01 (C), DMP TD2.1b replace") as step:
        first = stage.reports[one.letter]
        fresh = _next(first, text=f"{one.report}\n{CORRECTION}")
        stage.send(step, hl7.oru(one.sender("RIS"), one.patient, one.examination, build_report(fresh), "C"))
        taken = wait_for(lambda: stage.dmp.state.by_unique_id(fresh.document_id), seconds=SENT_WITHIN)
        step.expect(taken, f"the correction is not in the record after {SENT_WITHIN:.0f} s: {_states(stage)}")
        old = stage.dmp.state.by_unique_id(first.document_id)
        step.expect(old is not None and old.status == DEPRECATED, "the first version still stands in the record")
        step.expect(taken.status == APPROVED, "the correction does not stand in the record")
        done = wait_for(lambda: _replaced(stage), seconds=SENT_WITHIN)
        step.expect(done, f"the hub does not say that it was replaced: {_states(stage)}")
        step.identifiers = {"report": fresh.document_id, "replaces": first.document_id}
        step.received = "the record holds the correction; the first version is deprecated"


def _next(first: ImagingReport, **changed: Any) -> ImagingReport:
    """The next version of a report."""
    version = {"document_id": new_uid(), "version": first.version + 1, "replaces": first.document_id}
    return replace(first, **{**version, **changed})


@contextmanager
def _other_region(stage: Stage) -> Iterator[tuple[Hub, PatientIdentifier]]:
    """A second hub that knows the person by its own number and by INS, and nothing else."""
    directory = stage.directory / "region-2"
    directory.mkdir()
    hub = Hub(
        Settings(
            region=Region(name="Autre région", affinity_domain="1.2.250.1.999.20"),
            authorities=(Authority(namespace="HOPITAL_2", oid=NUMBERS_ABROAD),),
            record=record_settings(stage.dmp, abroad=True),
            **remote.consumer_settings(stage, directory),
            web=Web(port=free_port()),
            mllp=Mllp(port=0, processing_ids=("P", "T", "D")),
            dimse=DimsePort(port=0),
            health=HealthPort(port=0),
            security=Security(node_authentication=False),
            storage=Storage(database=f"sqlite:///{directory / 'maillage.sqlite'}", content=directory / "content"),
            logging=Logging(level="WARNING", format="text"),
        )
    )
    try:
        hub.start({Role.WEB})
        identity = Identity(
            identifier=PatientIdentifier("R2-5501", NUMBERS_ABROAD, "HOPITAL_2", "PI"),
            traits=TRAITS,
            status=IdentityStatus.QUALIFIED,
            ins=PatientIdentifier(INS, INS_TEST, "INS"),
        )
        yield hub, hub.patients.feed(FeedIdentity(identity), Context(principal=HUB)).regional
    finally:
        hub.stop()


def _found(stage: Stage, hub: Hub, person: PatientIdentifier) -> tuple[DocumentEntry, ...]:
    title = "A doctor of another region searches in the national record"
    with stage.report.step(title, "doctor, other region", "DMP TD0.2, TD0.3, TD3.1, own certificate") as step:
        before: NationalAnswer = _do(hub, actions.NATIONAL, SearchNational(person))
        step.expect(not before.entries, "the record shows documents to somebody who is not authorised")
        _do(hub, actions.NATIONAL_AUTHORISE, AuthoriseNational(person))
        answer: NationalAnswer = _do(hub, actions.NATIONAL, SearchNational(person))
        kinds = sorted(entry.mime_type for entry in answer.entries)
        step.expect(kinds == [KOS, KOS, REPORT, REPORT], f"expected two manifests and two reports, found {kinds}")
        step.counts = {"entries": len(kinds)}
        step.received = "nothing before they declare themselves; then 2 studies, 2 reports"
        return answer.entries


def _report_read(stage: Stage, hub: Hub, person: PatientIdentifier, entries: tuple[DocumentEntry, ...]) -> None:
    with stage.report.step("They read the corrected report", "doctor, other region", "DMP TD3.2") as step:
        texts = [_read(hub, person, entry) for entry in entries if entry.mime_type == REPORT]
        words = CORRECTION.encode()
        step.expect(sum(words in text for text in texts) == 1, "no report with the correction came")
        step.counts = {"documents": len(texts), "bytes": sum(map(len, texts))}
        step.received = f"“{CORRECTION}”"


def _study_found(stage: Stage, hub: Hub, person: PatientIdentifier, entries: tuple[DocumentEntry, ...]) -> Manifest:
    uid = stage.studies["A"].study_instance_uid
    with stage.report.step("They open A's study by its manifest", "doctor, other region", "DMP TD3.2, KOS") as step:
        manifests = [read_manifest(_read(hub, person, entry)) for entry in entries if entry.mime_type == KOS]
        manifest = next((item for item in manifests if item.study_instance_uid == uid), None)
        if manifest is None:
            raise StepFailed("no manifest is of A's study")
        named = {sop for series in manifest.series for _, sop in series.instances}
        made = {str(item.sop_instance_uid) for _, item in stage.studies["A"].instances}
        step.expect(named == made, "the manifest names other images than the archive holds")
        step.expect(all(series.retrieve_url for series in manifest.series), "a series has no address")
        step.identifiers = {"study": uid, "manifest": manifest.sop_instance_uid}
        step.counts = {"series": len(manifest.series), "images": len(named)}
        step.received = f"{len(named)} images in {len(manifest.series)} series, with the address of their hub"
        return manifest


def _images_read(stage: Stage, manifest: Manifest) -> None:
    title = "The other region reads the pixels from the first one"
    with stage.report.step(title, "doctor, other region", "WADO-RS (DRIM-M)") as step:
        headers = {"Accept": AS_STORED, "KOS-SOPInstanceUID": manifest.sop_instance_uid}
        originals = {str(item.SOPInstanceUID): item for item in map(dcmread, stage.images(stage.pair[0]).glob("*.dcm"))}
        found, size = {}, 0
        for series in manifest.series:
            for content in _parts(stage, series.retrieve_url, headers):
                image = dcmread(io.BytesIO(content))
                found[str(image.SOPInstanceUID)] = image.PixelData
                size += len(content)
        step.expect(found.keys() == originals.keys(), f"{len(found)} of {len(originals)} images came")
        for uid, pixels in found.items():
            step.expect(pixels == originals[uid].PixelData, "an image's pixels are not the original ones")
        step.counts = {"images": len(found), "bytes": size}
        step.received = f"{len(found)} images, {size:,} bytes, pixel data identical to the originals"


def _parts(stage: Stage, url: str, headers: dict[str, str]) -> list[bytes]:
    with stage.http.stream("GET", url, headers=headers) as answer:
        chunks = answer.raise_for_status().iter_bytes()
        return [b"".join(part.chunks) for part in read_parts(chunks, answer.headers["content-type"])]


def _do(hub: Hub, transaction: Transaction, command: Command) -> Any:
    """As the other region's portal does it for somebody who came with Pro Santé Connect: permitted, audited."""
    return hub.pipeline.perform(transaction, command, _doctor(), Context())


def _doctor() -> Principal:
    return Principal(
        DOCTOR.id,
        f"Dr {DOCTOR.given} {DOCTOR.family}",
        Scheme.PROVIDER,
        roles=frozenset({"clinician"}),
        permissions=permissions_of(["clinician"]),
        person=True,
        professional=DOCTOR,
        level="eidas1",
    )


def _read(hub: Hub, person: PatientIdentifier, entry: DocumentEntry) -> bytes:
    found: NationalDocument = _do(hub, actions.NATIONAL_DOCUMENT, ReadNational(person, entry.unique_id))
    return found.content


def _publications(stage: Stage) -> tuple[Publication, ...]:
    record = stage.hub.record
    assert record is not None
    assert record.desk is not None
    return record.desk.publications(ListPublications(), Context()).publications


def _settled(stage: Stage, count: int) -> tuple[Publication, ...]:
    """All of them, when none is on its way any more."""
    rows = _publications(stage)
    held = {row.study_instance_uid for row in rows if row.kind == "report" and row.state is PublicationState.HELD}
    return rows if len(rows) == count and all(_final(row, held) for row in rows) else ()


def _final(row: Publication, held: Set[str]) -> bool:
    """``held``: studies whose report is: their manifests wait for it."""
    passing = row.reason is Reason.NO_REPORT and row.study_instance_uid not in held
    return row.state is not PublicationState.WAITING and not passing


def _replaced(stage: Stage) -> bool:
    return any(row.kind == "report" and row.state is PublicationState.REPLACED for row in _publications(stage))


def _states(stage: Stage) -> str:
    rows = (f"{row.kind} {row.state} {row.reason or ''} {row.detail}".strip() for row in _publications(stage))
    return "; ".join(rows) or "nothing is to be sent"


def _cx() -> str:
    return f"{INS}^^^&{INS_TEST}&ISO^NH"
