"""What manifests are made of, and what is said about them. Frozen values; the bytes are made elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.imaging.model import SourceInfo, Study
from hub.usecase import Command
from hub.values import PatientIdentifier


class Flavour(StrEnum):
    """Whose rules a manifest follows."""

    XDS_I = "xds-i"  #: RAD TF-2: 4.68
    DRIM_M = "drim-m"  #: the French DRIM-M profile
    MADO = "mado"  #: IHE RAD MADO: a KOS manifest and a FHIR manifest


#: Titles of Key Object Selections that take instances away (RAD TF-1: 35, PS3.16: CID 7011).
REJECTIONS: Mapping[str, str] = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}


@dataclass(frozen=True, slots=True)
class KeyObject:
    """What a Key Object Selection of a study says (PS3.16: TID 2010)."""

    sop_instance_uid: str
    study_instance_uid: str
    title: tuple[str, str, str]  #: (code, scheme, meaning)
    description: str = ""
    references: tuple[tuple[str, str], ...] = ()  #: (study, SOP instance)

    @property
    def rejects(self) -> bool:
        """Whether it takes away what it refers to (IOCM)."""
        return self.title[1] == "DCM" and self.title[0] in REJECTIONS


@dataclass(frozen=True, slots=True)
class ManifestOrder:
    """The order that a study fulfils, for the Referenced Request Sequence."""

    placer_number: str = ""
    placer_issuer: str = ""
    filler_number: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    procedure: tuple[str, str, str] = ("", "", "")  #: (code, scheme, meaning)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestSpec:
    """Everything that makes a manifest: the same spec gives the same bytes, in every format."""

    study: Study
    source: SourceInfo
    sop_instance_uid: str
    series_instance_uid: str
    created: datetime  #: in the hub's time zone
    patient: PatientIdentifier  #: the INS where the person has one, else the number in the images
    other_patient_ids: tuple[PatientIdentifier, ...] = ()
    order: ManifestOrder = field(default_factory=ManifestOrder)
    retrieve_url: str = ""  #: the hub's DICOMweb root
    retrieve_ae_title: str = ""
    flavour: Flavour = Flavour.XDS_I
    key_objects: Mapping[str, KeyObject] = field(default_factory=dict)  #: of the study, by SOPInstanceUID

    @property
    def accession(self) -> tuple[str, str]:
        """(accession number, OID of its issuer); an archive rarely names the issuer, the hospital's authority does."""
        number = self.study.accession_number or self.order.accession_number
        issuer = self.study.accession_issuer or self.order.accession_issuer or self.source.authority_oid
        return number, issuer if number else ""

    @property
    def procedures(self) -> tuple[tuple[str, str, str], ...]:
        """The procedure's codes: the order's, else those in the images."""
        codes = [self.order.procedure] if all(self.order.procedure[:2]) else self.study.procedure_codes
        return tuple(code for code in codes if all(code[:2]))


class Difference(StrEnum):
    """How what is published differs from what the source holds."""

    CONTENT = "content"  #: other instances
    METADATA = "metadata"  #: the same instances, but another patient, accession number, description ...
    GONE = "gone"  #: the source holds nothing of it any more
    REGISTRY = "registry"  #: the registry's entry is not approved, or its bytes are not there
    UNREACHABLE = "unreachable"  #: the source could not be asked: nothing is known


@dataclass(frozen=True, slots=True)
class Finding:
    """One published study that differs. No patient data."""

    study_instance_uid: str
    source: str
    difference: Difference
    missing: int = 0  #: instances that the source holds and the manifest does not name
    surplus: int = 0  #: instances that the manifest names and the source does not hold


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check of all published studies found."""

    id: str
    started_at: datetime
    ended_at: datetime | None = None
    checked: int = 0
    differing: int = 0
    unreachable: int = 0
    repaired: int = 0  #: studies whose new publication was queued
    findings: tuple[Finding, ...] = ()  #: the first thousand


@dataclass(frozen=True, slots=True)
class CheckManifests(Command):
    """Compare every published study with its source; ``repair``: queue the publication of those that differ.

    ``slot``: a name that only one run can have ("" : any number). Outcome: CheckReport | None when the slot is taken.
    """

    repair: bool = False
    slot: str = ""
