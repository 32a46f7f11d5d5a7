"""HL7 v2 messages as hospitals send them: French PAM identities, orders, reports, queries. For tests and the demo."""

import base64
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.patients.model import Traits
from hub.values import PatientIdentifier, now
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.writer import components, escape, segment

_NUMBERS = itertools.count(1)
_CODECS = {"UNICODE UTF-8": "utf-8", "8859/1": "iso8859-1", "8859/15": "iso8859-15", "ASCII": "ascii"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """A system that sends: MSH-3, MSH-4, its character set (MSH-18), its version (MSH-12)."""

    application: str = "HIS"
    facility: str = "HOSPITAL"
    charset: str = "UNICODE UTF-8"
    version: str = "2.5^FRA^2.11"
    accept: str = ""  #: MSH-15; AL asks for enhanced mode
    answer: str = "NE"  #: MSH-16 in enhanced mode
    delivered_as: str = ""  #: codec really used, where it is not what MSH-18 says

    def message(self, event: str, segments: Sequence[str], *, structure: str = "", control_id: str = "") -> bytes:
        """A message's bytes. ``event``: ``ADT^A28``."""
        header = {
            2: "^~\\&",
            3: escape(self.application),
            4: escape(self.facility),
            5: "MAILLAGE",
            6: "REGION",
            7: writer.dtm(now()),
            9: f"{event}^{structure}" if structure else event,
            10: control_id or f"{os.getpid()}.{next(_NUMBERS)}",
            11: "P",
            12: self.version,
            15: self.accept,
            16: self.answer if self.accept else "",
            17: "FRA",
            18: self.charset,
        }
        text = "\r".join([segment("MSH", header), *segments, ""])
        return text.encode(self.delivered_as or _CODECS[self.charset])


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """A patient as one hospital knows them."""

    identifier: PatientIdentifier
    traits: Traits
    ins: PatientIdentifier | None = None
    status: str = "VALI"  #: PID-32
    others: tuple[PatientIdentifier, ...] = ()

    @property
    def pid(self) -> str:
        """The PID segment, PAM-FR form."""
        t = self.traits
        birth = components(t.birth_name, t.birth_given, t.given_names or t.birth_given, "", "", "", "L")
        used = components(t.used_name, t.used_given or t.birth_given, "", "", "", "", "D") if t.used_name else ""
        home = components(t.address, "", t.city, "", t.postal_code, t.country or "FRA", "H") if t.city else ""
        place = components("", "", "", "", "", "", "BDL", "", t.birth_place) if t.birth_place else ""
        ins = [self.ins] if self.ins else []
        return segment(
            "PID",
            {
                1: "1",
                3: "~".join(writer.cx(item) for item in (self.identifier, *ins, *self.others)),
                5: "~".join(filter(None, (birth, used))),
                6: escape(t.mother_name),
                7: t.birth_date,
                8: t.sex,
                11: "~".join(filter(None, (home, place))),
                13: escape(t.phone),
                31: "N",
                32: self.status,
            },
        )


def local(value: str, namespace: str, oid: str) -> PatientIdentifier:
    """A hospital's own number (type PI)."""
    return PatientIdentifier(value, oid, "PI", namespace)


def ins(matricule: str, oid: str = "1.2.250.1.213.1.4.10") -> PatientIdentifier:
    """An INS; the default OID is that of the test platforms."""
    return PatientIdentifier(matricule, oid, "INS", "ASIP-SANTE-INS-NIR")


def adt(sender: Sender, patient: Patient, event: str = "A28", *, control_id: str = "") -> bytes:
    """An identity feed: A01 A04 A05 A08 (with a PV1), A28 A31."""
    structure = {"A04": "ADT_A01", "A08": "ADT_A01", "A28": "ADT_A05", "A31": "ADT_A05"}.get(event, f"ADT_{event}")
    evn = segment("EVN", {2: writer.dtm(now())})
    pv1 = segment("PV1", {2: "N" if event in ("A28", "A31") else "O"})
    return sender.message(f"ADT^{event}", [evn, patient.pid, pv1], structure=structure, control_id=control_id)


def merge(sender: Sender, survivor: Patient, lost: PatientIdentifier, *, control_id: str = "") -> bytes:
    """A40: ``lost`` becomes the survivor's number."""
    evn, mrg = segment("EVN", {2: writer.dtm(now())}), segment("MRG", {1: writer.cx(lost)})
    segments = [evn, survivor.pid, mrg]
    return sender.message("ADT^A40", segments, structure="ADT_A39", control_id=control_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What order and report say of an examination."""

    placer_number: str
    accession_number: str
    study_instance_uid: str
    filler_number: str = ""
    procedure: tuple[str, str, str] = ("ZBQK002", "Radiographie du thorax", "CCAM")
    modality: str = "CR"
    requester: tuple[str, str, str] = ("801234567897", "DUPONT", "Marie")
    accession_issuer: tuple[str, str] = ("", "")  #: namespace, OID
    requested_at: str = ""
    extra: Mapping[int, str] = field(default_factory=dict)  #: further OBR fields

    def orc(self, control: str) -> str:
        """ORC."""
        xcn = components(*self.requester)
        return segment("ORC", {1: control, 2: escape(self.placer_number), 3: escape(self.filler), 12: xcn})

    def obr(self) -> str:
        """OBR with the accession number in OBR-18, as IHE of v2.3.1 has it."""
        code, text, scheme = self.procedure
        fields = {
            1: "1",
            2: escape(self.placer_number),
            3: escape(self.filler),
            4: components(code, text, scheme),
            18: escape(self.accession_number),
            24: self.modality,
            27: f"^^^{self.requested_at}" if self.requested_at else "",
        }
        return segment("OBR", {**fields, **self.extra})

    @property
    def filler(self) -> str:
        """ORC-3; the accession number where there is no other."""
        return self.filler_number or self.accession_number

    @property
    def zds(self) -> str:
        """ZDS (IHE RAD, HL7 v2.3.1)."""
        return segment("ZDS", {1: f"{self.study_instance_uid}^MAILLAGE^Application^DICOM"})

    @property
    def ipc(self) -> str:
        """IPC (HL7 v2.5.1)."""
        namespace, oid = self.accession_issuer
        accession = components(self.accession_number, namespace, oid, "ISO" if oid else "")
        return segment(
            "IPC",
            {1: accession, 2: escape(self.placer_number), 3: self.study_instance_uid, 4: "1", 5: self.modality},
        )


def orm(
    sender: Sender, patient: Patient, examination: Examination, control: str = "NW", *, control_id: str = ""
) -> bytes:
    """ORM^O01 with ZDS."""
    segments = [patient.pid, segment("PV1", {2: "O"}), examination.orc(control), examination.obr(), examination.zds]
    return sender.message("ORM^O01", segments, structure="ORM_O01", control_id=control_id)


def omi(
    sender: Sender, patient: Patient, examination: Examination, control: str = "NW", *, control_id: str = ""
) -> bytes:
    """OMI^O23 with IPC."""
    tq1 = segment("TQ1", {1: "1", 7: examination.requested_at})
    segments = [
        patient.pid,
        segment("PV1", {2: "O"}),
        examination.orc(control),
        tq1,
        examination.obr(),
        examination.ipc,
    ]
    return sender.message("OMI^O23", segments, structure="OMI_O23", control_id=control_id)


def oru(
    sender: Sender, patient: Patient, examination: Examination, cda: bytes, status: str = "F", *, control_id: str = ""
) -> bytes:
    """ORU^R01 that carries a CDA (CISIS_CDA_HL7_V2)."""
    content = base64.b64encode(cda).decode()
    obx = segment(
        "OBX", {1: "1", 2: "ED", 3: "18748-4^CR d'imagerie medicale^LN", 5: f"^TEXT^XML^Base64^{content}", 11: status}
    )
    segments = [patient.pid, segment("PV1", {2: "O"}), examination.orc("NW"), examination.obr(), obx]
    return sender.message("ORU^R01", segments, structure="ORU_R01", control_id=control_id)


def pix_query(
    sender: Sender, identifier: PatientIdentifier, domains: Sequence[tuple[str, str]] = (), *, control_id: str = ""
) -> bytes:
    """QBP^Q23; ``domains``: (namespace, OID)."""
    wanted = "~".join(f"^^^{writer.authority(namespace, oid)}" for namespace, oid in domains)
    qpd = segment("QPD", {1: "IHE PIX Query", 2: f"Q{next(_NUMBERS)}", 3: writer.cx(identifier), 4: wanted})
    return sender.message("QBP^Q23", [qpd, segment("RCP", {1: "I"})], structure="QBP_Q21", control_id=control_id)


def pdq_query(
    sender: Sender,
    criteria: Mapping[str, str],
    domains: Sequence[tuple[str, str]] = (),
    *,
    limit: int = 0,
    cursor: str = "",
    control_id: str = "",
) -> bytes:
    """QBP^Q22; ``criteria``: ``{"@PID.5.1.1": "DUPONT"}``."""
    items = "~".join(f"{name}^{escape(value)}" for name, value in criteria.items())
    wanted = "~".join(f"^^^{writer.authority(namespace, oid)}" for namespace, oid in domains)
    qpd = segment("QPD", {1: "IHE PDQ Query", 2: f"Q{next(_NUMBERS)}", 3: items, 8: wanted})
    segments = [qpd, segment("RCP", {1: "I", 2: f"{limit}^RD" if limit else ""})]
    if cursor:
        segments.append(segment("DSC", {1: escape(cursor), 2: "I"}))
    return sender.message("QBP^Q22", segments, structure="QBP_Q21", control_id=control_id)
