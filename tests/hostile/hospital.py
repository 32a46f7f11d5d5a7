"""A hospital in front of a sandbox: its HIS and RIS speak HL7, its archive is a simulator that may misbehave."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from hub.imaging.model import Study
from hub.patients.model import Traits
from hub.testing import hl7
from hub.testing.cda import ImagingReport, build_report
from hub.testing.dicom import Label, relabelled
from hub.values import new_uid
from tests.interop.by_hand import FIND_DOCUMENTS, Integrator

KOS = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """One hospital with one patient. ``name``: of the source, hence of the authority of its numbers."""

    name: str = "PACS_A"
    oid: str = "1.2.250.1.999.71"
    number: str = "PA-4711"
    family: str = "SECRETNAME"
    study_uid: str = field(default_factory=new_uid)
    accession: str = "ACC-1"

    @property
    def patient(self) -> hl7.Patient:
        """As the HIS knows them."""
        traits = Traits(birth_name=self.family, birth_given="ANNE", birth_date="19700101", sex="F")
        return hl7.Patient(identifier=hl7.local(self.number, self.name, self.oid), traits=traits)

    @property
    def sender(self) -> hl7.Sender:
        """The feed."""
        return hl7.Sender(application=f"HIS_{self.name}", facility=self.name)

    @property
    def examination(self) -> hl7.Examination:
        """What was ordered."""
        return hl7.Examination(
            placer_number=f"P-{self.accession}", accession_number=self.accession, study_instance_uid=self.study_uid
        )

    def files(self, directory: Path) -> tuple[Study, list[Path]]:
        """The study's files, two series."""
        label = Label(
            self.number, f"{self.family}^ANNE", birth_date="19700101", accession_number=self.accession,
            study_instance_uid=self.study_uid,
        )  # fmt: skip
        study = relabelled(directory, label, ("CT_small.dcm", "MR_small.dcm"))
        return study, sorted(directory.glob("*.dcm"))

    def announcement(self, control_id: str = "") -> bytes:
        """ADT^A28."""
        return hl7.adt(self.sender, self.patient, "A28", control_id=control_id)

    def order(self, control_id: str = "") -> bytes:
        """ORM^O01."""
        return hl7.orm(self.sender, self.patient, self.examination, control_id=control_id)

    def report(self, control_id: str = "") -> bytes:
        """ORU^R01 with a CDA, final."""
        cda = build_report(
            ImagingReport(
                patient_ids=[self.patient.identifier],
                traits=self.patient.traits,
                study_instance_uid=self.study_uid,
                accession_number=self.accession,
                placer_number=f"P-{self.accession}",
            )
        )
        return hl7.oru(self.sender, self.patient, self.examination, cda, control_id=control_id)


def regional(system: Integrator, hospital: Hospital) -> str:
    """The regional identifier of the hospital's patient, as a CX (ITI-9); "" while unknown."""
    answer = system.feed(hl7.pix_query(hospital.sender, hospital.patient.identifier))
    domain = system.box["affinity_domain"]
    for line in answer.split("\r"):
        if line.startswith("PID|"):
            for cx in line.split("|")[3].split("~"):
                if domain in cx:
                    return f"{cx.partition('^')[0]}^^^&{domain}&ISO"
    return ""


def formats(system: Integrator, patient: str, status: str = "") -> list[str]:
    """The format codes of a patient's documents."""
    parameters = {
        "PatientId": f"'{patient}'",
        "Status": f"('{status or 'urn:oasis:names:tc:ebxml-regrep:StatusType:Approved'}')",
    }
    answer = system.ask(FIND_DOCUMENTS, {f"XDSDocumentEntry{name}": value for name, value in parameters.items()})
    scheme = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
    return [
        str(row.get("nodeRepresentation"))
        for item in answer.objects("ExtrinsicObject")
        for row in item.iterfind("{*}Classification")
        if row.get("classificationScheme") == scheme
    ]


def published(system: Integrator, hospital: Hospital, *, seconds: float = 40) -> list[str]:
    """Wait until the study's manifest can be found; the format codes of all of the patient's documents."""
    end = time.monotonic() + seconds
    found: list[str] = []
    while time.monotonic() < end:
        patient = regional(system, hospital)
        found = formats(system, patient) if patient else []
        if KOS in found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not published: {found}\n{system.process.log[-3000:]}")
