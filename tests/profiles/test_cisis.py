"""CISIS_CDA_HL7_V2 at the hub's own port: AA, and AE or AR that name segment and field; one audit record each."""

from typing import Any

import pytest

from hub.audit.model import AuditSearch
from hub.context import Context
from hub.imaging.errors import OtherReport
from hub.patients.model import Traits
from hub.testing.cda import ImagingReport, build_report
from hub.testing.hl7 import Patient, Sender, local
from hub.testing.transmission import Transmission
from hub.values import new_uid
from hub.wire.hl7v2.message import Hl7Message
from profiles.cisis import cda_document_transmission
from profiles.swf import rad28_structured_report_export
from tests.profiles.running import OIDS, Region

NUMBER = local("P-CISIS", "HOSPITAL_A", OIDS["A"])
TRAITS = Traits("LEGER", "ZOE", "ZOE MARIE", birth_date="19520316", sex="F", birth_place="75112")


def transmission(**more: Any) -> Transmission:
    unique_id = new_uid()
    written = ImagingReport(
        patient_ids=(NUMBER,), traits=TRAITS, study_instance_uid="1.2.250.1.999.70.1", accession_number="ACC-70",
        placer_number="ORD-70", document_id=unique_id,
    )  # fmt: skip
    values: dict[str, Any] = {
        "patient": Patient(identifier=NUMBER, traits=TRAITS),
        "documents": [(unique_id, build_report(written))],
        "sender": Sender(application="RIS_A", facility="HOSPITAL_A"),
    }
    return Transmission(**(values | more))


def test_each_request_is_taken(region: Region) -> None:
    first = transmission()
    assert region.accepted(first.message()).event == "ACK^T02"
    second = transmission(control="RO", replaces=first.documents[0][0])
    assert region.accepted(second.message()).event == "ACK^T10"
    taken_back = transmission(control="CA", documents=second.documents)
    reply = region.accepted(taken_back.message())
    assert (reply.event, reply.version) == ("ACK^T04", "2.6")
    for control in ("NW", "CA"):
        oru = transmission(kind="ORU", control=control, documents=first.documents)
        assert region.accepted(oru.message()).event == "ACK^R01"


@pytest.mark.parametrize(
    ("old", "new", "place", "condition"),
    [
        ("ORC|NW", "ORC|CA", "ORC^1^1", "199"),
        ("|AU\r", "|IP\r", "TXA^1^17", "103"),
        ("\rPV1|1|N", "", "PV1^1", "100"),
        ("MASQUE_PS^Libelle^MetaDMPMSS||N", "MASQUE_PS^Libelle^MetaDMPMSS||O", "OBX^2^5", "103"),
    ],
)
def test_a_wrong_form_is_refused(region: Region, old: str, new: str, place: str, condition: str) -> None:
    text = transmission().message().decode()
    assert old in text
    region.refused(text.replace(old, new, 1), place, condition)


def test_what_is_not_here_is_not_taken_back(region: Region) -> None:
    region.refused(transmission(control="CA").message(), "TXA^1^12", "204")
    region.refused(transmission(control="CA", kind="ORU").message(), "OBX^1^5", "204")


@pytest.mark.parametrize(
    ("module", "kind", "place"),
    [(cda_document_transmission, "MDM", "TXA^1^12"), (rad28_structured_report_export, "ORU", "OBX^1^5")],
)
def test_another_document_under_a_used_id_is_pointed_at(module: Any, kind: str, place: str) -> None:
    message = Hl7Message.parse(transmission(kind=kind).message())
    error = Hl7Message.parse(module.refuse(OtherReport(), message, Context())).require("ERR")
    assert (error.field(2), error.value(3), error.value(5)) == (place, "205", "other-report")


def test_one_audit_record_each(region: Region) -> None:
    hub = region.hub

    def records() -> int:
        hub.audit.flush()
        return len(hub.audit.search(AuditSearch(transaction="CISIS-CDA", limit=500)).records)

    before = records()
    region.accepted(transmission().message())
    region.refused(transmission().message().decode().replace("ORC|NW", "ORC|RO"), "ORC^1^1", "199")
    assert records() == before + 2
