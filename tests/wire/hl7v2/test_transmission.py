"""Each rule of CISIS_CDA_HL7_V2 (CI-SIS, Transmission de documents CDA en HL7 v2, 2.1), and what breaks it."""

import re
from dataclasses import replace

import pytest

from hub.errors import HubError
from hub.imaging.sending_model import Outcome, Told
from hub.patients.model import Traits
from hub.testing.cda import ImagingReport, build_report
from hub.testing.hl7 import Patient, ins, local
from hub.testing.transmission import Transmission
from hub.wire.hl7v2.answers import refuse
from hub.wire.hl7v2.business import business_acknowledgement
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.reports import reports

IPP = local("123", "CHA", "1.2.250.1.999.2.1")
TRAITS = Traits(birth_name="MARTIN", birth_given="ZOÉ", birth_date="19790328", sex="F")
ID, PARENT = "1.2.250.1.999.50.1", "1.2.250.1.999.50.0"


def cda(document_id: str = ID, **more: object) -> bytes:
    values: dict[str, object] = {
        "patient_ids": [IPP], "traits": TRAITS, "study_instance_uid": "1.2.3.4", "accession_number": "ACC-1",
        "placer_number": "PL-1", "document_id": document_id, **more,
    }  # fmt: skip
    return build_report(ImagingReport(**values))  # type: ignore[arg-type]


SENT = Transmission(
    patient=Patient(identifier=IPP, traits=TRAITS), documents=[(ID, cda())], words={"DESTMSSANTEPS": "Y"},
    recipients=["a.hoda@cabinet.mssante.fr"],
)  # fmt: skip
ORU = replace(SENT, kind="ORU", documents=[(ID, cda()), ("1.2.3.9", cda("1.2.3.9"))])
REPLACED = replace(SENT, control="RO", documents=[(ID, cda(replaces=PARENT))], replaces=PARENT)


def test_what_each_request_says() -> None:
    for sent, status in ((SENT, "F"), (REPLACED, "C"), (replace(SENT, control="CA"), "D")):
        (found,) = reports(Hl7Message.parse(sent.message(control_id="M-1")), "RIS_A")
        assert (found.status, found.document_id, found.control_id) == (status, ID, "M-1")
        assert found.known
        assert found.sending is not None
        assert found.sending.to_record
        assert found.sending.recipients == ("a.hoda@cabinet.mssante.fr",)
    assert reports(Hl7Message.parse(REPLACED.message()), "")[0].replaces == PARENT


def test_two_documents_in_one_message() -> None:
    found = reports(Hl7Message.parse(ORU.message()), "RIS_A")
    assert [item.document_id for item in found] == [ID, "1.2.3.9"]
    assert found[0].sending == found[1].sending


def test_a_patient_known_by_the_ins_alone() -> None:
    number = ins("279035121518989")
    sent = replace(SENT, documents=[(ID, cda(patient_ids=[number]))]).message()
    head, rest = sent.split(b"\rPID|1||", 1)
    raw = head + b"\rPID|1||279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS|" + rest.split(b"|", 1)[1]
    (found,) = reports(Hl7Message.parse(raw), "RIS_A")
    assert found.patient == number


def test_an_oru_that_does_not_name_the_profile_is_read_as_before() -> None:
    raw = ORU.message().replace(b"|||2.1^CISIS_CDA_HL7_V2", b"").replace(b"ORC|NW", b"ORC|CA")
    (found,) = reports(Hl7Message.parse(raw), "RIS_A")
    assert not found.known


#: (what is sent, old, new, ERR-2, ERR-3): every wrong form is refused with segment and field.
WRONG = [
    (SENT, r"\|2\.6\|", "|2.5|", "MSH^1^12", "203"),
    (SENT, "MDM_T02", "MDM_T01", "MSH^1^9^1^3", "103"),
    (SENT, r"\^MDM_T02", "", "MSH^1^9^1^3", "101"),
    (SENT, r"\|\|\|2\.1\^CISIS_CDA_HL7_V2", "", "MSH^1^21", "101"),
    (SENT, r"2\.1\^CISIS", "1.2^CISIS", "MSH^1^21", "103"),
    (SENT, r"\|FRA\|", "|USA|", "MSH^1^17", "103"),
    (SENT, r"\rEVN[^\r]*", "", "EVN^1", "100"),
    (SENT, r"\rPV1[^\r]*", "", "PV1^1", "100"),
    (SENT, r"\rORC[^\r]*", "", "ORC^1", "100"),
    (SENT, r"\rTXA[^\r]*", "", "TXA^1", "100"),
    (SENT, r"(\rORC[^\r]*)(\rOBR[^\r]*)", r"\2\1", "OBR^1", "100"),
    (SENT, r"(\rORC[^\r]*)", r"\1\1", "ORC^2", "198"),
    (SENT, r"(\rTXA[^\r]*)", r"\1\1", "TXA^2", "198"),
    (SENT, r"PV1\|1\|N", "PV1|1|", "PV1^1^2", "101"),
    (SENT, r"PV1\|1\|N", "PV1|1|I", "PV1^1^19", "101"),
    (SENT, r"ORC\|NW", "ORC|XO", "ORC^1^1", "103"),
    (SENT, r"ORC\|NW", "ORC|RO", "ORC^1^1", "199"),
    (SENT, r"MDM\^T02", "MDM^T10", "ORC^1^1", "199"),
    (REPLACED, r"MDM\^T10", "MDM^T04", "ORC^1^1", "199"),
    (REPLACED, rf"\|{PARENT}\|", "||", "TXA^1^13", "101"),
    (REPLACED, rf"\|{PARENT}\|", "|1.2.3.7|", "TXA^1^13", "199"),
    (SENT, rf"\|{ID}\|", "|1.2.3.7|", "TXA^1^12", "199"),
    (SENT, r"\|AU\r", "|IP\r", "TXA^1^17", "103"),
    (SENT, r"TXA\|1\|18748-4", "TXA|1|11502-2", "OBX^1^3", "199"),
    (SENT, r"OBX\|1\|ED\|18748-4", "OBX|1|ED|11502-2", "OBX^1^3", "199"),
    (SENT, r"\^LN\r", "^X\r", "OBR^1^4^1^3", "103"),
    (SENT, r"OBX\|1\|ED", "OBX|1|TX", "OBX^1^2", "103"),
    (SENT, r"\^XML\^Base64", "^PDF^Base64", "OBX^1^5^1^3", "103"),
    (SENT, r"\^XML\^Base64\^[^|]*", "^XML^Base64^!!!!", "OBX^1^5^1^5", "102"),
    (SENT, r"\^XML\^Base64\^[^|]*", "^XML^Base64^QUJD", "OBX^1^5^1^5", "102"),
    (SENT, r"\^XML\^Base64", "^XML^A", "OBX^1^5^1^4", "102"),
    (SENT, r"(\|\|\|\|\|\|)F(\rPRT)", r"\1C\2", "OBX^1^11", "199"),
    (SENT, r"(\|\|\|\|\|\|)F(\rPRT)", r"\1P\2", "OBX^1^11", "103"),
    (ORU, r"ORC\|NW", "ORC|CA", "OBX^1^11", "199"),
    (replace(SENT, documents=[*SENT.documents, ("1.2.3.9", cda("1.2.3.9"))]), "", "", "OBX^2^3", "198"),
    (replace(ORU, documents=[(ID, cda())] * 3), "", "", "OBX^3^3", "198"),
    (SENT, "MASQUE_PS", "MASQUE_TOUS", "OBX^2^3", "103"),
    (SENT, r"\rOBX\|[0-9]+\|CWE\|DESTDMP[^\r]*", "", "OBX^1", "100"),
    (SENT, r"(\rOBX\|[0-9]+\|CWE\|DESTDMP[^\r]*)", r"\1\1", "OBX^8^3", "198"),
    (SENT, r"(\rOBX[^\r]*MASQUE_PS[^\r]*)(\rOBX[^\r]*INVISIBLE_PATIENT[^\r]*)", r"\2\1", "OBX^3^3", "100"),
    (replace(SENT, words={"MASQUE_PS": "O"}), "", "", "OBX^2^5", "103"),
    (replace(SENT, words={"MASQUE_PS": ""}), "", "", "OBX^2^5", "101"),
    (SENT, r"CWE\|MASQUE_PS", "ST|MASQUE_PS", "OBX^2^2", "103"),
    (SENT, r"(MASQUE_PS[^\r]*\|)F\r", r"\1C\r", "OBX^2^11", "199"),
    (SENT, r"\rPRT[^\r]*\|SB[^\r]*", "", "PRT^1", "100"),
    (SENT, r"\rPRT[^\r]*\|RCT[^\r]*", "", "PRT^1", "100"),
    (SENT, r"\|SB\^", "|XX^", "PRT^1^4", "103"),
    (SENT, r"PRT\|\|UC", "PRT||AD", "PRT^1^2", "103"),
    (SENT, r"(\rPRT[^\r]*\|SB[^\r]*)", r"\1\1", "PRT^2^4", "198"),
    (SENT, r"\|801234567897\^MARTIN[^|]*", "|", "PRT^1^5", "101"),
    (SENT, r"\^D\^\^\^RPPS", "^D", "PRT^1^5^1^13", "101"),
    (SENT, r"PS&1\.2\.250\.1\.71\.4\.2\.1", "PS&1.2.3", "PRT^1^5^1^9", "103"),
    (SENT, r"FINEG", "XXX", "PRT^1^8^1^7", "103"),
    (SENT, r"\^\^\^1750100125", "", "PRT^1^8^1^10", "101"),
    (SENT, r"X\.400", "Internet", "PRT^2^15^1^3", "103"),
    (SENT, r"a\.hoda@cabinet\.mssante\.fr", "", "PRT^2^15^1^4", "101"),
    (SENT, r"a\.hoda@", "a.hoda at ", "PRT^2^15^1^4", "102"),
    (SENT, r"(\rPRT[^\r]*\|RCT[^\r]*)(.*)$", r"\2\1", "PRT^2", "100"),
]


@pytest.mark.parametrize(("sent", "old", "new", "place", "condition"), WRONG)
def test_a_wrong_form_is_refused_with_segment_and_field(
    sent: Transmission, old: str, new: str, place: str, condition: str
) -> None:
    text = sent.message().decode()
    raw = re.sub(old, new, text, count=1, flags=re.DOTALL) if old else text
    assert not old or raw != text
    message = Hl7Message.parse(raw.encode())
    with pytest.raises(HubError) as found:
        reports(message, "RIS_A")
    answer = Hl7Message.parse(refuse(found.value, message, None))  # type: ignore[arg-type]
    err = answer.require("ERR")
    assert (err.field(2), err.value(3)) == (place, condition), found.value
    assert answer.require("MSA").value(1) == ("AR" if condition == "203" else "AE")
    assert not [word for word in ("MARTIN", "ZOÉ", "hoda") if word in answer.raw.decode()]


@pytest.mark.parametrize(
    ("told", "good", "code", "who", "table"),
    [
        (Told.RECORD, True, "", "", ""),
        (Told.RECORD, False, "DMPClosedRecord", "", "DMP_ERROR_CODE"),
        (Told.DELIVERY, True, "", "DESTINATAIRE_MSS", ""),
        (Told.DELIVERY, False, "550", "DESTINATAIRE_MSS", "SMTPERRORCODE"),
        (Told.READING, True, "", "LECTEUR_MSS", ""),
        (Told.READING, False, "902", "LECTEUR_MSS", "applicationErrorCondition"),
    ],
)
def test_a_business_acknowledgement(told: Told, good: bool, code: str, who: str, table: str) -> None:
    outcome = Outcome(told, "RIS_A", "015", good, code, "adam.hoda@medecin.mssante.fr")
    raw, control_id = business_acknowledgement(outcome, application="RIS", facility="CH|A")
    found = Hl7Message.parse(raw)
    assert (found.event, found.control_id, found.version) == (f"ZAM^{told.value}", control_id, "2.6")
    assert found.msh.value(9, 3) == "ZAM_Z01"
    assert (found.msh.value(6), found.msh.value(21, 2)) == ("CH|A", "CISIS_CDA_HL7_V2")
    first, *others = found.all("OBX")
    assert first.value(3).startswith("ACK_")
    assert (first.value(3, 3), first.value(4), first.value(5)) == ("AckMetierZAM", "015", "Y" if good else "N")
    assert [item.value(3) for item in others] == ([who] if who else [])
    assert [item.value(5, 4) for item in others] == (["adam.hoda@medecin.mssante.fr"] if who else [])
    err = found.first("ERR")
    assert (err is None) == good
    if err is not None:
        assert (err.value(3), err.value(5), err.value(5, 3)) == ("207", code, table)
