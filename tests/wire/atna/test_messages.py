"""Audit messages: by DICOM's schema as IPF ships it, by the tables of the transactions, and on the wire of syslog."""

import zipfile
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.access.model import Professional
from hub.audit.model import AuditOutcome, AuditRecord, Own
from hub.context import Touched
from hub.pipeline.catalogue import discover
from hub.wire.atna.message import audit_message
from hub.wire.atna.syslog import frame, syslog_message
from hub.wire.xml import parse_xml
from tests import java

IPF = Path(__file__).parents[2] / "interop" / "ipf"
OWN = Own("hub-1", "REGION", "https://hub.example", "hub.example", "4711", {"ITI-18": "Registry Stored Query"})
DOCTOR = Professional(
    "899700000001", "MARTIN", "Anne", "10", specialities=("SM26",), structure="1750100125", structure_name="Hôpital A"
)
RECORD = AuditRecord(
    id="a" * 32, at=datetime(2026, 11, 22, 10, 54, 11, 123456, UTC), transaction="ITI-18", event_code="110112",
    event_display="Query", action="E", outcome=AuditOutcome.SUCCESS, principal_id="ris-a", principal_name="ris-a",
    scheme="certificate", purpose="normal", peer="192.0.2.7", source="", correlation_id="c" * 32,
    objects=(
        Touched("patient", "R1^^^&1.2.250.1.999.1.1&ISO"), Touched("document", "1.2.3"),
        Touched("submission set", "1.2.4"), Touched("study", "1.2.5"),
        Touched("sop class", "1.2.5|1.2.840.10008.5.1.4.1.1.2|12"), Touched("accession", "1.2.5|ACC-1|B"),
        Touched("query", "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"), Touched("task", "4"),
        Touched("query", "FindDocuments"),
    ),
    called="/xds/registry", query=b64encode(b"<q/>").decode(), query_form="ebxml", organisation="H\u00f4pital A",
)  # fmt: skip
BY_DOCTOR = replace(
    RECORD, principal_id="899700000001", principal_name="Dr Anne MARTIN", person=True, professional=DOCTOR,
    node="ris-a", scheme="assertion", purpose="bris_de_glace", reason="Patient inconscient",
)  # fmt: skip


@cache
def schema() -> Any:
    """DICOM's schema of 2017c, with IHE's additions."""
    (jar,) = (path for path in java.program(IPF).split(":") if "ipf-commons-audit-" in path)
    with zipfile.ZipFile(jar) as found:
        return etree.XMLSchema(etree.fromstring(found.read("dicom2017c.xsd")))


def told(record: AuditRecord) -> Any:
    """The message, valid."""
    root = parse_xml(audit_message(record, OWN))
    assert schema().validate(root), schema().error_log
    return root


def test_every_transaction_is_told_validly() -> None:
    for bound in discover():
        audit = bound.transaction.audit
        told(
            replace(
                RECORD, transaction=bound.id, event_code=audit.code, event_display=audit.display, action=audit.action
            )
        )


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        BY_DOCTOR,
        replace(RECORD, outcome=AuditOutcome.SERIOUS_FAILURE, error_code="access-denied", detail="No \x01\ud800."),
        replace(RECORD, objects=(), query="", peer="", called="", principal_id=""),
        replace(RECORD, scheme="internal", source="RIS_B", action="C", event_code="110107"),
        replace(RECORD, query_form="hl7v2", control_id="MSG-1", objects=()),
        replace(RECORD, event_type="110126", event_code="110113"),
        replace(RECORD, principal_id="\x00", objects=(Touched("document", "\x1b[0m"), Touched("patient", ""))),
    ],
)
def test_schema(record: AuditRecord) -> None:
    told(record)


def test_the_standard_s_event_type_stands_before_our_own() -> None:
    """A gateway's ITI-18 has an id of its own here; a package that is taken along is an ITI-32."""
    for code, own in (("ITI-18", "XCA-ITI-18"), ("ITI-32", "PORTAL-PACKAGE")):
        root = told(replace(RECORD, transaction=own, event_type=code))
        found = [(item.get("csd-code"), item.get("codeSystemName")) for item in root.iter("EventTypeCode")]
        assert found == [(code, "IHE Transactions"), (own, "Maillage")]


def participants(root: Any) -> dict[str, Any]:
    return {item.get("UserID"): item for item in root.iter("ActiveParticipant")}


def test_a_query_by_a_professional() -> None:
    root = told(BY_DOCTOR)
    event = root.find("EventIdentification")
    assert event.get("EventActionCode") == "E"
    assert event.get("EventDateTime") == "2026-11-22T10:54:11.123+00:00"
    assert event.find("EventTypeCode").get("csd-code") == "ITI-18"
    assert event.find("EventTypeCode").get("originalText") == "Registry Stored Query"
    assert event.find("PurposeOfUse").get("csd-code") == "bris_de_glace"
    who = participants(root)
    assert set(who) == {"ris-a", "https://hub.example/xds/registry", "899700000001"}
    assert {name: item.get("UserIsRequestor") for name, item in who.items()} == {
        "ris-a": "false", "https://hub.example/xds/registry": "false", "899700000001": "true",
    }  # fmt: skip
    assert [item.get("csd-code") for item in who["899700000001"].iter("RoleIDCode")] == ["10", "SM26"]
    assert who["ris-a"].find("RoleIDCode").get("csd-code") == "110153"
    assert who["ris-a"].get("NetworkAccessPointTypeCode") == "2"
    ours = who["https://hub.example/xds/registry"]
    assert (ours.get("AlternativeUserID"), ours.get("NetworkAccessPointTypeCode")) == ("4711", "1")
    things = list(root.iter("ParticipantObjectIdentification"))
    (patient,) = (item for item in things if item.get("ParticipantObjectTypeCode") == "1")
    assert patient.get("ParticipantObjectID") == "R1^^^&1.2.250.1.999.1.1&ISO"
    assert b64decode(patient.find("ParticipantObjectDetail").get("value")).decode() == "Patient inconscient"
    (query,) = (item for item in things if item.get("ParticipantObjectTypeCodeRole") == "24")
    assert query.get("ParticipantObjectID") == "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
    assert b64decode(query.find("ParticipantObjectQuery").text) == b"<q/>"
    assert query.find("ParticipantObjectDetail").get("type") == "QueryEncoding"
    (study,) = (item for item in things if item.get("ParticipantObjectID") == "1.2.5")
    assert study.find("ParticipantObjectDescription/SOPClass").get("NumberOfInstances") == "12"
    assert study.find("ParticipantObjectDescription/Accession").get("Number") == "ACC-1|B"
    assert len([item for item in things if item.find("ParticipantObjectDescription") is not None]) == 1
    (structure,) = (item for item in things if item.get("ParticipantObjectTypeCode") == "3")
    assert structure.get("ParticipantObjectID") == "1750100125"


def test_who_gives_is_the_source() -> None:
    root = told(replace(RECORD, transaction="ITI-43", event_code="110106", action="R"))
    who = participants(root)
    assert who["https://hub.example/xds/registry"].find("RoleIDCode").get("csd-code") == "110153"
    assert who["ris-a"].find("RoleIDCode").get("csd-code") == "110152"
    assert who["ris-a"].get("UserIsRequestor") == "true"


def test_syslog() -> None:
    message = syslog_message(
        b"<AuditMessage/>", RECORD.at, host="hub.example", application="Mail\u00e9 age", process="7"
    )
    head, text = message.split(b" \xef\xbb\xbf")
    assert head == b"<85>1 2026-11-22T10:54:11.123Z hub.example Mail__age 7 IHE+RFC-3881 -"
    assert text == b"<AuditMessage/>"
    assert frame(b"\xc3\xa9") == b"2 \xc3\xa9"
