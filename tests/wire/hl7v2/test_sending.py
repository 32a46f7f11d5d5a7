"""MetaDMPMSS and PRT of an ORU: whom the document is mailed to."""

import base64

import pytest

from hub.imaging.sending_model import Sending
from hub.wire.hl7v2.message import Hl7Message
from hub.wire.hl7v2.sending import sending

HEAD = ["MSH|^~\\&|RIS|A|HUB|R|20260301||ORU^R01^ORU_R01|1|P|2.5|||||FRA|UNICODE UTF-8", "PID|1", "OBR|1"]


def read(*segments: str) -> Sending | None:
    return sending(Hl7Message.parse("\r".join([*HEAD, *segments, ""]).encode()))


def code(name: str, value: str) -> str:
    return f"OBX|1|CE|{name}^Libelle^MetaDMPMSS||{value}^^expandedYes-NoIndicator||||||F|"


def body(name: str, text: bytes) -> str:
    return f"OBX|1|ED|{name}^Corps^MetaDMPMSS||^TEXT^^Base64^{base64.b64encode(text).decode()}||||||F|"


def prt(role: str, address: str) -> str:
    return f"PRT||UC||{role}^Role^participation|||||||||||^^X.400^{address}"


def test_the_specifications_example() -> None:
    found = read(
        prt("SB", "app@test-ci-sis.mssante.fr"),
        prt("RCT", "one@test-ci-sis.mssante.fr"),
        prt("RCT", "two@test-ci-sis.mssante.fr"),
        prt("RCT", "one@test-ci-sis.mssante.fr"),
        prt("REPLY", "genevieve@test-ci-sis.mssante.fr"),
        code("DESTMSSANTEPS", "Y"),
        code("MASQUE_PS", "N"),
        code("ACK_LECTURE", "Y"),
        body("CORPSMAIL_PS", "Chère consœur,\nbonjour\x07".encode()),
    )
    assert found is not None
    assert found.recipients == ("one@test-ci-sis.mssante.fr", "two@test-ci-sis.mssante.fr")
    assert found.reply_to == "genevieve@test-ci-sis.mssante.fr"
    assert found.body_professional == "Chère consœur,\nbonjour"
    assert found.says("ACK_LECTURE_MSS")
    assert not found.says("MASQUE_PS")
    assert not found.says("DESTMSSANTEPAT")
    assert found.readable
    assert not found.no_reply


def test_a_message_that_says_nothing() -> None:
    assert read(prt("RCT", "one@test.mssante.fr"), "OBX|1|TX|X^Y^L||Y||||||F") is None


def test_no_reply() -> None:
    found = read(code("DESTMSSANTEPAT", "Y"), "NTE|1|||FIN")
    assert found is not None
    assert found.no_reply


@pytest.mark.parametrize(
    "segment",
    [
        code("INVISIBLE_PATIENT", "O"),
        code("INVISIBLE_PATIENT", ""),
        body("CORPSMAIL_PS", b"\xff\xfe"),
        "OBX|1|ED|CORPSMAIL_PATIENT^x^MetaDMPMSS||^TEXT^^Base64^!||||||F|",
    ],
)
def test_what_is_not_understood_is_told(segment: str) -> None:
    found = read(code("DESTMSSANTEPS", "Y"), segment)
    assert found is not None
    assert not found.readable


def test_too_many_recipients_are_none() -> None:
    found = read(code("DESTMSSANTEPS", "Y"), *(prt("RCT", f"b{number}@x.mssante.fr") for number in range(60)))
    assert found is not None
    assert not found.readable
