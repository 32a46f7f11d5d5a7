"""U+0000 in every text that others write: refused in the protocol's own way, one audit record, on both databases."""

import base64
import json
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

from hub.access.sign_in_errors import ProviderUnavailable
from hub.access.tokens_errors import TokenRequestInvalid, TokenUnreadable
from hub.app.settings.model import Authority, Security, Settings, Storage
from hub.app.settings.nodes import Client
from hub.app.settings.roles import Role
from hub.app.wiring import Hub
from hub.audit.model import AuditSearch
from hub.wire import nul
from hub.wire.jose import jwt
from hub.wire.oauth.form import fields
from hub.wire.oidc.tokens import json_object
from tests.loopback import PORTS
from tests.portal import fake as portal_fake
from tests.portal.conftest import Server, field, sign_in

A = "1.2.250.1.999.77"
JSON = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NAME = {"name": [{"use": "official", "family": "LEG\x00ER", "given": ["ZOE"]}], "gender": "female"}
PATIENT = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{A}", "value": "N1"}], **NAME}
HEADER = {
    "resourceType": "MessageHeader",
    "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
    "source": {"endpoint": "a"},
}
CHANGES = {"resourceType": "Bundle", "type": "history", "entry": [{"resource": PATIENT}]}
DOCUMENT = {"resourceType": "Bundle", "type": "document", "entry": [{"resource": PATIENT}]}
BINARY = {"resourceType": "Binary", "contentType": "application/fhir+json"}
BINARY["data"] = base64.b64encode(json.dumps(DOCUMENT).encode()).decode()
#: What is posted, where.
RESOURCES: dict[str, tuple[str, str, Any]] = {
    "ITI-104": ("PUT", f"Patient?identifier=urn:oid:{A}|N1", PATIENT),
    "ITI-93": (
        "POST", "$process-message",
        {"resourceType": "Bundle", "type": "message", "entry": [{"resource": HEADER}, {"resource": CHANGES}]},
    ),
    "ITI-94": ("POST", "Subscription", {"resourceType": "Subscription", "reason": "a\x00b", "status": "requested"}),
    "ITI-119": (
        "POST", "Patient/$match",
        {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": PATIENT}]},
    ),
    "ITI-65": (
        "POST", "",
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {"resourceType": "List", **NAME}}]},
    ),
    "ITI-106": ("POST", "DocumentReference/$generate-metadata", BINARY),
    "Consent": ("POST", "Consent", {"resourceType": "Consent", "status": "act\x00ive"}),
    "ITI-20": ("POST", "AuditEvent", {"resourceType": "AuditEvent", "outcomeDesc": "\x00"}),
    "a batch of ITI-20": (
        "POST", "",
        {"resourceType": "Bundle", "type": "batch",
         "entry": [{"resource": {"resourceType": "AuditEvent", "outcomeDesc": "\x00"}}]},
    ),
}  # fmt: skip
#: What is asked for, by its address.
QUESTIONS = (
    "fhir/Patient?family=LEG%00ER", "fhir/Patient?identifier=a%00", f"fhir/Patient?identifier=urn:oid:{A}|%00",
    "fhir/Patient/REG%00", "fhir/Patient/$ihe-pix?sourceIdentifier=%00", "fhir/ImagingStudy?patient=Patient/%00",
    "fhir/DocumentReference?patient=Patient/%00", "fhir/DocumentReference/a%00", "fhir/Consent?patient=%00",
    "fhir/AuditEvent?entity=%00&date=ge2020", "dicom-web/studies?PatientName=LEG%00ER",
    "dicom-web/studies?AccessionNumber=%00", "dicom-web/studies/1.2%00/metadata",
)  # fmt: skip
MESSAGE = (
    "MSH|^~\\&|HIS|HOSP|HUB|REGION|20260101120000||ADT^A28^ADT_A05|1|P|2.5|||||FRA|UNICODE UTF-8\r"
    f"EVN||20260101\rPID|||4711^^^&{A}&ISO^PI||LEG@ER^ANNE^^^^^L||19700101|F\rPV1||N\r"
)
#: With the character in it, or with what stands for it.
HL7 = {
    "in a name": MESSAGE.replace("@", "\x00"), "escaped": MESSAGE.replace("@", "\\X00\\"),
    "escaped among others": MESSAGE.replace("@", "\\X410042\\"), "in the sender": MESSAGE.replace("|HIS|", "|H\x00S|"),
    "in the control id": MESSAGE.replace("A05|1|", "A05|1\x00|"),
    "in a number": MESSAGE.replace("4711", "47\x0011"), "in a question": MESSAGE.replace("ADT^A28^ADT_A05", "QBP^Q23"),
}  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    every = Client(name="every", token_sha256=sha256(b"every").hexdigest(), permissions=("*",))
    hub = Hub(
        Settings(
            clients=(every,),
            authorities=(Authority(namespace="HOSP", oid=A),),
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=request.getfixturevalue(f"{request.param}_url"), content=tmp_path / "content"),
        )
    )
    hub.start({Role.WEB, Role.MLLP, Role.DIMSE})
    yield hub
    hub.stop()


class Trail:
    """What came into the trail since it was last asked."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.seen: set[str] = set()
        self.new()

    def new(self) -> list[str]:
        assert self.hub.audit.flush(60)
        records = [item for item in self.hub.audit.search(AuditSearch(limit=100)).records if item.id not in self.seen]
        self.seen.update(item.id for item in records)
        return [item.error_code for item in records]


def test_over_http(hub: Hub) -> None:
    trail, wrong = Trail(hub), []
    with httpx.Client(base_url=hub.public_url(), headers={"Authorization": "Bearer every"}, timeout=60) as client:
        for name, (method, path, resource) in RESOURCES.items():
            answer = client.request(method, f"/fhir/{path}".rstrip("/"), content=json.dumps(resource), headers=JSON)
            kind = answer.json().get("resourceType")
            told = trail.new()
            if (answer.status_code, kind) not in ((400, "OperationOutcome"), (422, "OperationOutcome")) or told != [
                "malformed"
            ]:
                wrong.append((name, answer.status_code, kind, told, answer.text[:300]))
        for address in QUESTIONS:
            answer = client.get(f"/{address}")
            told = trail.new()
            if (answer.status_code, told) != (400, ["malformed"]):
                wrong.append((address, answer.status_code, "", told, answer.text[:300]))
        answer = client.post("/fhir/Patient/_search", content="family=%00", headers=FORM)
        assert (answer.status_code, trail.new()) == (400, ["malformed"])
    assert wrong == []


def test_a_text_about_the_character_is_taken(hub: Hub) -> None:
    """A backslash before the escape makes it a text about U+0000."""
    named = PATIENT | {"name": [{"use": "official", "family": "LEG\\u0000ER", "given": ["ZOE"]}], "birthDate": "1970"}
    with httpx.Client(base_url=hub.public_url(), headers={"Authorization": "Bearer every"}, timeout=60) as client:
        answer = client.put(f"/fhir/Patient?identifier=urn:oid:{A}|N1", content=json.dumps(named), headers=JSON)
    assert answer.status_code == 201, answer.text


def test_over_mllp(hub: Hub) -> None:
    trail, host, port = Trail(hub), *hub.mllp_address().split(":")
    for name, message in HL7.items():
        with socket.create_connection((host, int(port)), timeout=60) as peer:
            peer.sendall(b"\x0b" + message.encode() + b"\x1c\r")
            peer.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
        assert b"\rMSA|A" in answer, name
        assert b"\rMSA|AA" not in answer, (name, answer)
        assert b"\rERR|" in answer, name
        assert b"|207" not in answer, (name, answer)
        (code,) = trail.new()
        assert code.startswith("hl7-"), (name, code)


@pytest.mark.parametrize("name", ["PatientID", "PatientName", "AccessionNumber", "StudyInstanceUID", "StudyDate"])
def test_over_dimse(hub: Hub, name: str) -> None:
    """C-FIND: the identifier is refused (PS3.4: Table C.4-1)."""
    trail, entity = Trail(hub), AE(ae_title="VIEWER")
    entity.add_requested_context(Model)
    title, _, address = hub.dimse_address().partition("@")
    host, _, port = address.rpartition(":")
    association = entity.associate(host, int(port), ae_title=title)
    assert association.is_established
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
    setattr(asked, name, "1\x002")
    statuses = [status.Status for status, _ in association.send_c_find(asked, Model)]
    association.release()
    assert (statuses, trail.new()) == ([0xA900], ["invalid"])


def test_forms_tokens_and_pages(tmp_path: Path) -> None:
    with pytest.raises(TokenRequestInvalid):
        fields(FORM["Content-Type"], "", b"grant_type=a&client_id=a%00")
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().strip("=") for part in ({}, {"sub": "\x00"})]
    with pytest.raises(TokenUnreadable):
        jwt.peek(".".join((*parts, "AA")))
    with pytest.raises(ProviderUnavailable):
        json_object(b'{"sub": "a\\u0000"}')
    portal = Server(portal_fake.Hub(tmp_path))
    try:
        with httpx.Client(base_url=portal.url) as client:
            sign_in(client, "zoe")
            before = len(portal.hub.audit.records)
            for address in ("operator/messages/a%00", "operator/messages?page=%00", "person/%00", "trail?who=%00"):
                assert client.get(f"/portal/{address}").status_code == 400, address
            form = client.get("/portal/search")
            asked = {"csrf": field(form.text, "csrf"), "family": "LEG\x00ER"}
            assert client.post("/portal/search", data=asked).status_code == 400
            assert len(portal.hub.audit.records) == before, "nothing was asked of the hub"
    finally:
        portal.stop()


@pytest.mark.parametrize(
    ("body", "there"),
    [(b'"\\u0000"', True), (b'"\\\\u0000"', False), (b'"\\\\\\u0000"', True), (b'"u0000"', False), (b"", False)],
    ids=["escape", "a backslash", "a backslash and the escape", "no escape", "empty"],
)
def test_where_json_holds_it(body: bytes, there: bool) -> None:
    assert nul.in_json(body) is there
    assert nul.in_json(nul.padding_removed(body)) is False
    if body:
        assert nul.in_texts([json.loads(body)]) is there
