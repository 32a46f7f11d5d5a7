"""The demo's region: two hospitals with their own numbers, character sets and archives; one person who went to both."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher

from hub.app.settings.model import (
    Authority,
    DimsePort,
    Feed,
    Imaging,
    Logging,
    Mllp,
    Region,
    Security,
    Settings,
    Source,
    Storage,
    User,
    Web,
)
from hub.app.settings.record import NationalRecord
from hub.patients.model import Traits
from hub.testing import debian, hl7
from hub.testing.dicom import Label
from hub.testing.sites import DimseAddress, Site, dicomweb_site, dimse_site, has_dcmtk, has_orthanc
from hub.values import new_uid, now

INS_TEST = "1.2.250.1.213.1.4.10"
LOGIN, PASSWORD = "dr.bernard", "demo"
OPERATOR = "exploitation"
STEWARD = "identitovigilance"

#: The person: an INS and strict traits of the public test platforms, not of anybody alive.
TRAITS = Traits(
    birth_name="PAT-TROIS",
    birth_given="DOMINIQUE",
    given_names="DOMINIQUE MARIE-LOUISE",
    used_name="LEFÈVRE",
    used_given="DOMINIQUE",
    birth_date="19790328",
    sex="F",
    birth_place="51215",
    city="ÉPERNAY",
    postal_code="51200",
)
INS = "279035121518989"


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital: who sends, whose numbers, which archive, which study was made there."""

    letter: str
    title: str
    authority: str  #: OID of its patient numbers
    local_id: str
    charset: str  #: MSH-18
    dicom_charset: str
    files: tuple[str, ...]
    modality: str
    procedure: tuple[str, str, str]
    accession: str
    placer: str
    report: str
    qualified: bool
    study_instance_uid: str
    study_date: str

    @property
    def source(self) -> str:
        """Name of its archive in the settings, and namespace of its patient numbers."""
        return f"HOPITAL_{self.letter}"

    def sender(self, system: str) -> hl7.Sender:
        """Its HIS or RIS."""
        return hl7.Sender(application=f"{system}_{self.letter}", facility=self.source, charset=self.charset)

    @property
    def patient(self) -> hl7.Patient:
        """The person as this hospital knows them."""
        return hl7.Patient(
            identifier=hl7.local(self.local_id, self.source, self.authority),
            traits=TRAITS,
            ins=hl7.ins(INS, INS_TEST) if self.qualified else None,
        )

    @property
    def examination(self) -> hl7.Examination:
        """What order and report are about."""
        return hl7.Examination(
            placer_number=self.placer,
            accession_number=self.accession,
            study_instance_uid=self.study_instance_uid,
            procedure=self.procedure,
            modality=self.modality,
        )

    @property
    def label(self) -> Label:
        """What the images say."""
        return Label(
            patient_id=self.local_id,
            patient_name=f"{TRAITS.birth_name}^{TRAITS.birth_given}",
            birth_date=TRAITS.birth_date,
            sex=TRAITS.sex,
            accession_number=self.accession,
            study_instance_uid=self.study_instance_uid,
            study_date=self.study_date,
            description=self.procedure[1],
            institution=self.title,
            charset=self.dicom_charset,
        )


def hospitals() -> tuple[Hospital, Hospital]:
    """A, whose archive speaks DICOMweb, and B, whose archive speaks DIMSE only. Study UIDs are new at each call."""
    year = now().year
    return (
        Hospital(
            letter="A", title="Centre hospitalier A", authority="1.2.250.1.999.2.1", local_id="A-0071529",
            charset="UNICODE UTF-8", dicom_charset="ISO_IR 192",
            files=("J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm", "CT_small.dcm"), modality="CT",
            procedure=("ACQK001", "Scanner cérébral sans injection", "CCAM"),
            accession=f"A{year}00042", placer=f"PLA{year}1001",
            report="Examen réalisé sans injection.\nPas de lésion hémorragique ni d'effet de masse.\n"
            "Conclusion : scanner cérébral normal.",
            qualified=True, study_instance_uid=new_uid(), study_date=f"{year}0112",
        ),
        Hospital(
            letter="B", title="Clinique B", authority="1.2.250.1.999.2.2", local_id="300417",
            charset="8859/15", dicom_charset="ISO_IR 100",
            files=("examples_overlay.dcm", "MR_small.dcm", "MR_small_implicit.dcm"), modality="MR",
            procedure=("ZCQN001", "IRM abdominale à jeun", "CCAM"),
            accession=f"B{year}00917", placer=f"PLB{year}2001",
            report="Foie de taille normale, contours réguliers.\nConclusion : pas d'anomalie décelée.",
            qualified=False, study_instance_uid=new_uid(), study_date=f"{year - 1}0604",
        ),
    )  # fmt: skip


def install_missing(say: Callable[[str], None]) -> None:
    """As root on Debian: Orthanc, DCMTK and npm where they are missing. Elsewhere the demo does with less."""
    packages = [
        *([] if has_orthanc() else ["orthanc", "orthanc-dicomweb", "orthanc-gdcm"]),
        *([] if has_dcmtk() else ["dcmtk"]),
        *([] if shutil.which("npm") else ["npm"]),
    ]
    if not packages or not debian.can_install():
        return
    say(f"installing {', '.join(packages)} (apt-get) ...")
    if debian.install(packages):
        say("apt-get failed: the built-in simulators take the archives' place")


@dataclass
class Sites:
    """Both archives."""

    a: Site
    b: Site

    @classmethod
    def start(cls, directory: Path, hub: DimseAddress, *, simulate: bool = False) -> "Sites":
        """Orthanc and dcmqrscp where they are installed, else simulators."""
        a = dicomweb_site(directory / "pacs-a", ae_title="PACS_A", simulate=simulate)
        try:
            b = dimse_site(directory / "pacs-b", ae_title="PACS_B", destinations={"MAILLAGE": hub}, simulate=simulate)
        except BaseException:
            a.stop()
            raise
        return cls(a, b)

    def stop(self) -> None:
        """Stop both."""
        self.a.stop()
        self.b.stop()


def settings(
    directory: Path,
    sites: Sites,
    ports: tuple[int, int, int],
    pair: tuple[Hospital, Hospital],
    record: NationalRecord | None = None,
) -> Settings:
    """The region's settings: embedded database, loopback, everything as a small site would have it."""
    a, b = pair
    web, mllp, dimse = ports
    assert sites.b.dimse is not None
    archive = sites.b.dimse
    return Settings(
        region=Region(name="Région de démonstration"),
        authorities=tuple(
            Authority(
                namespace=one.source,
                oid=one.authority,
                application=f"HIS_{one.letter}",
                facility=one.source,
                name=one.title,
            )
            for one in pair
        ),
        feeds=tuple(
            Feed(application=f"{system}_{one.letter}", facility=one.source, name=f"{system}_{one.letter}")
            for one in pair
            for system in ("HIS", "RIS")
        ),
        sources=(
            Source(name=a.source, kind="dicomweb", title=a.title, config={"url": sites.a.dicomweb_url}),
            Source(
                name=b.source, kind="dimse", title=b.title,
                config={"host": archive.host, "port": archive.port, "ae_title": archive.ae_title},
            ),
        ),
        users=(
            User(login=LOGIN, name="Dr Anne Bernard", password_argon2=_hash(), organisation=b.title),
            User(login=OPERATOR, name="Exploitation", password_argon2=_hash(), roles=("operator", "officer")),
            User(login=STEWARD, name="Sylvie Arnaud", password_argon2=_hash(), roles=("steward",)),
        ),
        web=Web(port=web),
        mllp=Mllp(port=mllp, processing_ids=("P", "T", "D")),
        dimse=DimsePort(port=dimse),
        security=Security(node_authentication=False),
        storage=Storage(database=f"sqlite:///{directory / 'maillage.sqlite'}", content=directory / "content"),
        imaging=Imaging(),
        record=record or NationalRecord(),
        logging=Logging(level="WARNING", format="text"),
    )  # fmt: skip


def _hash() -> str:
    return PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
