"""A simulated national record with one person, and the hub's connector to it over real TLS."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.dmp import MANIFEST
from connectors.dmp.connector import DmpConnector
from hub.access.model import Professional
from hub.connector.contract import Environment
from hub.connector.loader import SourceConfig, read_config
from hub.connector.record import Asker, Lot, RecordDocument
from hub.documents.model import Author, DocumentEntry
from hub.imaging.manifest import build_manifest
from hub.imaging.manifest_model import Flavour, ManifestOrder, ManifestSpec
from hub.imaging.metadata import Publishing, manifest_entry, report_entry
from hub.imaging.model import Instance, Series, SourceInfo, Study
from hub.patients.model import Traits
from hub.testing.cda import ImagingReport, build_report
from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, SEAL, STRUCTURE
from hub.testing.dmp.server import DmpSimulator
from hub.values import Code, PatientIdentifier, Uid, new_uid, now

INS = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.10", "INS")
LOCAL = PatientIdentifier("PA-1", "1.2.250.1.999.2.1", "PI")
RADIOLOGIST = "801234567897^MARTIN^Claire^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
HOSPITAL = f"CENTRE HOSPITALIER A^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{STRUCTURE}"
SYSTEM = f"{STRUCTURE}/1^Maillage^^^^^^^&1.2.250.1.71.4.2.1&ISO^U^^^EI"
DOCTOR = Professional(
    "801234567897", "MARTIN", "Claire", "10", specialities=("SM44",), structure=STRUCTURE, sector="SA01"
)
CONSULTING = Asker(DOCTOR, reinforced=True)


def settings(simulator: DmpSimulator, **changed: Any) -> dict[str, Any]:
    """The connector's settings for a simulator."""
    pki = simulator.pki
    return {
        "url": simulator.url,
        "tls_ca": pki / f"{AUTHORITY}.crt",
        "tls_certificate": pki / f"{AUTHENTICATION}.crt",
        "tls_key": pki / f"{AUTHENTICATION}.key",
        "seal_certificate": pki / f"{SEAL}.crt",
        "seal_key": pki / f"{SEAL}.key",
        "structure": STRUCTURE,
        "structure_name": "CENTRE HOSPITALIER A",
        "responsible": "801234567897",
        "responsible_family": "MARTIN",
        "responsible_given": "Claire",
        "homologation": "TEST-0001",
        **changed,
    }


def connect(simulator: DmpSimulator, **changed: Any) -> DmpConnector:
    """An open connector."""
    source = SourceConfig("DMP", "dmp", config=settings(simulator, **changed))
    opened = MANIFEST.open("DMP", read_config(source, MANIFEST), Environment())
    assert isinstance(opened, DmpConnector)
    return opened


def study() -> Study:
    """A small CT."""
    instance = Instance(Uid(new_uid()), "1.2.840.10008.5.1.4.1.1.2", 1)
    series = Series(Uid(new_uid()), "CT", 1, "THORAX", instances=(instance,))
    return Study(
        Uid(new_uid()), "PACS_A", "PA-1", LOCAL.authority, "PAT-TROIS^DOMINIQUE", "19790301", "F", "ACC-1",
        started="20251220101500", modalities=("CT",), series=(series,),
    )  # fmt: skip


def publishing(made: Study) -> Publishing:
    """What the entries of a study share."""
    source = SourceInfo("PACS_A", "Centre hospitalier A", LOCAL.authority, organisation_id=STRUCTURE)
    return Publishing(
        study=made,
        source=source,
        person=INS,
        local=LOCAL,
        created=now().replace(microsecond=0),
        zone=now().tzinfo,  # type: ignore[arg-type]
        order=ManifestOrder("ORD-1", LOCAL.authority),
    )


def kos(made: Study, retrieve_url: str = "https://db1.test.mesimagesmedicales.fr/dicom-web") -> RecordDocument:
    """The DRIM-M manifest of a study with the metadata that the record takes."""
    spec = ManifestSpec(
        study=made,
        source=publishing(made).source,
        sop_instance_uid=new_uid(),
        series_instance_uid=new_uid(),
        created=publishing(made).created,
        patient=INS,
        other_patient_ids=(LOCAL,),
        order=publishing(made).order,
        retrieve_url=retrieve_url,
        flavour=Flavour.DRIM_M,
    )
    entry = manifest_entry(publishing(made), "manifest", spec.sop_instance_uid)
    entry = replace(entry, authors=(Author(SYSTEM, (HOSPITAL,)),), legal_authenticators=(RADIOLOGIST,))
    return RecordDocument(_national(entry), build_manifest(spec))


def report(made: Study, **changed: Any) -> RecordDocument:
    """A report about a study."""
    written = ImagingReport(
        patient_ids=(INS, LOCAL),
        traits=Traits("PAT-TROIS", "DOMINIQUE", "DOMINIQUE", sex="F", birth_date="19790301"),
        study_instance_uid=made.study_instance_uid,
        accession_number="ACC-1",
        placer_number="ORD-1",
        **changed,
    )
    entry = report_entry(
        publishing(made), "report", written.document_id, mime_type="text/xml", structured=True, author=RADIOLOGIST,
        author_institution=HOSPITAL, created="20251220110000+0100",
    )  # fmt: skip
    return RecordDocument(_national(entry), build_report(written))


def _national(entry: DocumentEntry) -> DocumentEntry:
    rows = ("PID-5|PAT-TROIS^DOMINIQUE^^^^^L", "PID-7|19790301", "PID-8|F")
    return replace(entry, source_patient_id=f"{LOCAL.cx}^PI", source_patient_info=rows)


def lot(*documents: RecordDocument, **changed: Any) -> Lot:
    """A submission."""
    values: Mapping[str, Any] = {
        "patient": INS,
        "unique_id": new_uid(),
        "source_id": "1.2.250.1.999.1.4",
        "submission_time": now().strftime("%Y%m%d%H%M%S"),
        "content_type": Code("07", "1.2.250.1.213.2.2", "Consultation"),
        "authors": (Author(SYSTEM, (HOSPITAL,)),),
        "documents": documents,
        "title": "Examen d'imagerie",
    }
    return Lot(**{**values, **changed})
