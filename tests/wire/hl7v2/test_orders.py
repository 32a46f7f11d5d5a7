import base64

import pytest

from hub.errors import HubError
from hub.patients.model import Traits
from hub.testing.cda import ImagingReport, build_report
from hub.testing.hl7 import Examination, Patient, Sender, ins, local, omi, orm, oru
from hub.values import PatientIdentifier
from hub.wire.cda import CdaMalformed
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, Hl7Invalid, SegmentMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.orders import order
from hub.wire.hl7v2.reports import WrongPatient, report

IPP = local("123", "CHA", "1.2.250.1.999.2.1")
PATIENT = Patient(identifier=IPP, traits=Traits(birth_name="MARTIN", birth_given="ZOÉ", birth_date="19790328", sex="F"))
EXAM = Examination(
    placer_number="PL-1",
    accession_number="ACC-1",
    study_instance_uid="1.2.3.4",
    filler_number="FI-1",
    accession_issuer=("RIS_A", "1.2.250.1.999.9.1"),
    requested_at="20260102030405",
)


def cda(**changes: object) -> bytes:
    values: dict[str, object] = {
        "patient_ids": [IPP],
        "traits": PATIENT.traits,
        "study_instance_uid": "1.2.3.4",
        "accession_number": "ACC-1",
        "placer_number": "PL-1",
    }
    return build_report(ImagingReport(**{**values, **changes}))  # type: ignore[arg-type]


def changed(raw: bytes, old: str, new: str) -> Hl7Message:
    text = raw.decode()
    assert old in text
    return Hl7Message.parse(text.replace(old, new).encode())


@pytest.mark.parametrize("build", [orm, omi])
def test_order(build: object) -> None:
    found = order(Hl7Message.parse(build(Sender(), PATIENT, EXAM, "XO")), "HIS_A")  # type: ignore[operator]
    assert found.patient == IPP
    assert (found.placer_number, found.filler_number, found.accession_number) == ("PL-1", "FI-1", "ACC-1")
    assert found.study_instance_uid == "1.2.3.4"
    assert found.control == "XO"
    assert found.procedure == ("ZBQK002", "CCAM", "Radiographie du thorax")
    assert found.modality == "CR"
    assert found.requested_at == "20260102030405"
    assert found.requester == "801234567897^DUPONT^Marie"
    assert found.source == "HIS_A"


def test_accession_issuer_of_ipc() -> None:
    assert order(Hl7Message.parse(omi(Sender(), PATIENT, EXAM)), "").accession_issuer == "1.2.250.1.999.9.1"


def test_several_procedures_of_one_order() -> None:
    raw = orm(Sender(), PATIENT, EXAM)
    second = b"\r".join(line for line in raw.split(b"\r") if line.startswith((b"ORC", b"OBR")))
    assert order(Hl7Message.parse(raw + second), "").accession_number == "ACC-1"
    with pytest.raises(Hl7Invalid) as caught:
        order(Hl7Message.parse(raw + second.replace(b"ACC-1", b"ACC-2")), "")
    assert caught.value.location == "OBR[2]-18"


@pytest.mark.parametrize(
    ("old", "new", "kind", "location"),
    [
        ("ORC|NW", "ZRC|NW", SegmentMissing, "ORC"),
        ("ORC|NW", "ORC|", FieldMissing, "ORC-1"),
        ("ORC|NW", "ORC|ZZ", Hl7Invalid, "ORC-1"),
        ("ZDS|1.2.3.4^", "ZDS|study^", DataTypeError, "ZDS-1"),
        ("123^^^CHA", "^^^CHA", FieldMissing, "PID-3.1"),
    ],
)
def test_order_refusals(old: str, new: str, kind: type[HubError], location: str) -> None:
    with pytest.raises(kind) as caught:
        order(changed(orm(Sender(), PATIENT, EXAM), old, new), "")
    assert caught.value.location == location


def test_order_without_any_number() -> None:
    bare = Examination(placer_number="", accession_number="", study_instance_uid="1.2")
    with pytest.raises(FieldMissing) as caught:
        order(Hl7Message.parse(orm(Sender(), PATIENT, bare)), "")
    assert caught.value.location == "ORC-2"


@pytest.mark.parametrize("status", ["F", "C", "P"])
def test_report(status: str) -> None:
    content = cda()
    found = report(Hl7Message.parse(oru(Sender(), PATIENT, EXAM, content, status)), "RIS_A")
    assert found.patient == IPP
    assert found.status == status
    assert found.content == content
    assert found.mime_type == "text/xml"
    assert found.document_id
    assert (found.accession_number, found.placer_number, found.filler_number) == ("ACC-1", "PL-1", "FI-1")
    assert found.study_instance_uid == "1.2.3.4"
    assert found.author.startswith("801234567897^MARTIN^")
    assert found.institution.startswith("CENTRE HOSPITALIER A^")
    assert found.source == "RIS_A"


def test_report_as_pdf() -> None:
    raw = changed(oru(Sender(), PATIENT, EXAM, b"%PDF-1.4"), "^TEXT^XML^", "^application^PDF^")
    found = report(raw, "")
    assert (found.mime_type, found.document_id, found.accession_number) == ("application/pdf", "", "ACC-1")


def test_withdrawn_without_its_content() -> None:
    raw = oru(Sender(), PATIENT, EXAM, b"", "D").decode()
    content = raw[raw.index("^TEXT^XML") : raw.index("||||||D")]
    found = report(changed(raw.encode(), content, ""), "")
    assert (found.status, found.content, found.accession_number) == ("D", b"", "ACC-1")
    with pytest.raises(FieldMissing) as caught:
        report(changed(raw.encode(), content + "||||||D", "||||||F"), "")
    assert caught.value.location == "OBX-5"


def test_a_document_that_is_said_to_be_xml_is_a_cda() -> None:
    with pytest.raises(DataTypeError) as caught:
        report(Hl7Message.parse(oru(Sender(), PATIENT, EXAM, b"hello")), "")
    assert caught.value.location == "OBX-5.5"


def test_an_empty_document_is_none() -> None:
    assert report(Hl7Message.parse(oru(Sender(), PATIENT, EXAM, b"", "D")), "").status == "D"
    with pytest.raises(FieldMissing):
        report(Hl7Message.parse(oru(Sender(), PATIENT, EXAM, b"")), "")


def test_a_report_about_another_patient_is_refused() -> None:
    other = PatientIdentifier("999", IPP.authority)
    with pytest.raises(WrongPatient) as caught:
        report(Hl7Message.parse(oru(Sender(), PATIENT, EXAM, cda(patient_ids=[other]))), "")
    assert caught.value.location == "OBX-5.5"


def test_patients_without_a_common_authority_are_not_compared() -> None:
    found = report(
        Hl7Message.parse(oru(Sender(), PATIENT, EXAM, cda(patient_ids=[ins("1", "1.2.250.1.213.1.4.8")]))), ""
    )
    assert found.patient == IPP


@pytest.mark.parametrize(
    ("old", "new", "kind", "location"),
    [
        ("Base64^", "A^", DataTypeError, "OBX-5.4"),
        ("Base64^", "Base64^*", DataTypeError, "OBX-5.5"),
        ("||||||F", "||||||", FieldMissing, "OBX-11"),
        ("||||||F", "||||||Q", TableValueUnknown, "OBX-11"),
        ("OBR|", "ZBR|", SegmentMissing, "OBR"),
        ("OBX|", "ZBX|", SegmentMissing, "OBX"),
    ],
)
def test_report_refusals(old: str, new: str, kind: type[HubError], location: str) -> None:
    with pytest.raises(kind) as caught:
        report(changed(oru(Sender(), PATIENT, EXAM, cda()), old, new), "")
    assert caught.value.location == location


def test_a_broken_cda_names_the_field() -> None:
    broken = base64.b64encode(b'<!DOCTYPE a><ClinicalDocument xmlns="urn:hl7-org:v3"/>').decode()
    raw = oru(Sender(), PATIENT, EXAM, b"X")
    with pytest.raises(CdaMalformed) as caught:
        report(changed(raw, base64.b64encode(b"X").decode(), broken), "")
    assert caught.value.location == "OBX-5.5"
