"""HL7 that can't be processed: an answer that names segment and field, the bytes kept and shown to the operator."""

import re
import socket
import time
import uuid

import pytest

from hub.testing import hl7
from tests.hostile.conftest import SECRET, Operator, clean
from tests.hostile.hospital import Hospital
from tests.interop.by_hand import Integrator, Mllp, header, identity

PID = f"PID|1||4711^^^&1.2.250.1.999.77&ISO^PI||{SECRET}^ANNE^^^^^L||19700101|F"
NO_AUTHORITY = f"PID|1||4711||{SECRET}^ANNE||19700101|F"
NO_NUMBER = f"PID|1||||{SECRET}^ANNE||19700101|F"


def message(event: str, *segments: str, head: str = "") -> str:
    """``head``: an MSH in place of a good one."""
    return "\r".join([head or header(event), "EVN||20260101", *segments, "PV1||N", ""])


ADT = "ADT^A28^ADT_A05"
BAD: dict[str, tuple[str, str, str]] = {
    "no PID-3": (message(ADT, NO_NUMBER), "AE", "PID^1^3"),
    "PID-3 without authority": (message(ADT, NO_AUTHORITY), "AE", "PID^1^3"),
    "no PID": (message(ADT, f"NTE|1||{SECRET}"), "AE", "PID"),
    "unknown event": (message("ADT^A99^ADT_A99", PID), "AR", "MSH^1^9"),
    "unknown type": (message("XYZ^Z01^XYZ_Z01", PID), "AR", "MSH^1^9"),
    "no type": (message("", PID), "AE", "MSH^1^9"),
    "no control id": (
        message("", PID, head=f"MSH|^~\\&|HIS|HOSP|HUB|REGION|20260101||{ADT}||P|2.5|||||FRA|UNICODE UTF-8"),
        "AE", "MSH^1^10",
    ),
    "version 3": (
        message("", PID, head=f"MSH|^~\\&|HIS|HOSP|HUB|REGION|20260101||{ADT}|{uuid.uuid4().hex}|P|3.0|||||FRA|ASCII"),
        "AR", "MSH^1^12",
    ),
    "unheard charset": (
        message("", PID, head=f"MSH|^~\\&|HIS|HOSP|HUB|REGION|20260101||{ADT}|{uuid.uuid4().hex}|P|2.5|||||FRA|XYZ"),
        "AR", "MSH^1^18",
    ),
    "no birth date that is one": (message(ADT, PID.replace("19700101", "19701399")), "AE", "PID^1^7"),
    "no MSH": (f"PID|1||{SECRET}\rPV1||N\r", "AR", "MSH"),
    "merge without MRG": (message("ADT^A40^ADT_A39", PID), "AE", "MRG"),
    "merge of nothing": (message("ADT^A40^ADT_A39", PID, "MRG|"), "AE", "MRG^1^1"),
    "order without ORC": (message("ORM^O01^ORM_O01", PID), "AE", "ORC"),
    "report without OBR": (message("ORU^R01^ORU_R01", PID), "AE", "OBR"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", sorted(BAD))
def test_the_answer_names_segment_and_field(opened: Integrator, operator: Operator, mistake: str) -> None:
    text, code, place = BAD[mistake]
    mark = uuid.uuid4().hex
    raw = f"{text}ZZZ|{mark}\r".encode()
    with opened.mllp() as connection:
        answer = connection.send(raw)
        assert f"MSA|{code}|" in answer or (code == "AR" and "MSA|AE|" in answer), answer
        (error,) = [line for line in answer.split("\r") if line.startswith("ERR|")]
        assert error.split("|")[2].startswith(place), answer
        clean(answer)
        good = identity("A28", f"{mark[:10]}^^^&1.2.250.1.999.77&ISO^PI")
        assert "MSA|AA|" in connection.send(good)  # the connection goes on
    shown = find(operator, mark)
    assert mark in shown
    assert SECRET in shown


def find(operator: Operator, mark: str) -> str:
    """The bytes, as the operator sees them, of the message that holds the mark."""

    for path in dict.fromkeys(re.findall(r"/portal/operator/messages/[0-9a-f]{8,}", operator.messages())):
        page = operator.http.get(path).text
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        raw = operator.http.post(f"{path}/raw", data={"csrf": csrf.group(1)}).text
        if mark in raw:
            return raw
    raise AssertionError("the bytes were not kept")


def test_wrong_charset(opened: Integrator, operator: Operator) -> None:
    mark = uuid.uuid4().hex
    text = message(ADT, PID.replace("ANNE", "ZOÉ"), f"ZZZ|{mark}")
    answer = opened.feed(text.encode("latin-1"))
    assert "MSA|AR|" in answer or "MSA|AE|" in answer
    assert "ERR|" in answer
    clean(answer)
    assert mark in find(operator, mark)


def test_garbage_in_a_frame(opened: Integrator, operator: Operator) -> None:
    mark = uuid.uuid4().hex
    answer = opened.feed(bytes(range(1, 28)) + b"\x80\xff" * 500 + mark.encode())
    assert "MSA|AR|" in answer or "MSA|AE|" in answer
    assert "ERR|" in answer
    assert mark in find(operator, mark)


def test_garbage_without_a_frame(opened: Integrator, operator: Operator) -> None:
    mark = uuid.uuid4().hex
    with opened.mllp() as connection:
        connection.socket.sendall(f"GET /{mark} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert "MSA|AR|" in connection.answer()
        assert "MSA|AA|" in connection.send(identity("A28", f"{mark[:9]}^^^&1.2.250.1.999.77&ISO^PI"))
    assert mark in find(operator, mark)


def test_no_end_of_block(opened: Integrator, operator: Operator) -> None:
    mark = uuid.uuid4().hex
    with opened.mllp() as connection:
        connection.socket.sendall(b"\x0b" + message(ADT, PID, f"ZZZ|{mark}").encode())
        connection.socket.shutdown(socket.SHUT_WR)
        assert "MSA|A" in connection.answer()
    assert mark in find(operator, mark)


def test_no_end_of_block_and_gone(opened: Integrator, operator: Operator) -> None:
    mark = uuid.uuid4().hex
    with opened.mllp() as connection:
        connection.socket.sendall(b"\x0b" + message(ADT, PID, f"ZZZ|{mark}").encode())
    end = time.monotonic() + 10
    while mark not in operator.messages() and time.monotonic() < end:
        try:
            find(operator, mark)
            return
        except AssertionError:
            time.sleep(0.2)
    find(operator, mark)


def test_a_hundred_megabytes(opened: Integrator, operator: Operator) -> None:
    mark = uuid.uuid4().hex
    start = message(ADT, PID, f"ZZZ|{mark}|").encode().rstrip(b"\r")
    with opened.mllp() as connection:
        connection.socket.sendall(b"\x0b" + start)
        for _ in range(100):
            connection.socket.sendall(b"A" * 1024 * 1024)
        connection.socket.sendall(b"\x1c\r")
        answer = connection.answer()
        assert "MSA|AR|" in answer or "MSA|AE|" in answer
        assert "ERR|" in answer
        assert "MSA|AA|" in connection.send(identity("A28", f"{mark[:9]}^^^&1.2.250.1.999.77&ISO^PI"))
    assert mark in find(operator, mark)


def test_a_message_of_nothing_but_delimiters(opened: Integrator) -> None:
    for body in (b"", b"MSH", b"MSH|", b"MSH||||||||", b"MSH|^~\\&", b"\r" * 10_000, b"|" * 1_000_000):
        answer = opened.feed(body)
        assert "MSA|A" in answer
    many = header(ADT) + "\r" + "\r".join(f"PID|{index}" for index in range(100_000))
    assert "ERR|" in opened.feed(many.encode())
    deep = header(ADT) + "\r" + PID + "~".join("^&" * 1000 for _ in range(1000))
    assert "MSA|A" in opened.feed(deep.encode())


def test_many_connections_that_say_nothing(opened: Integrator) -> None:
    host, _, port = opened.box["mllp"].rpartition(":")
    silent = [socket.create_connection((host, int(port)), timeout=5) for _ in range(200)]
    try:
        for connection in silent[:50]:
            connection.sendall(b"\x0bMSH|^~\\&|")
        assert "MSA|AA|" in opened.feed(identity("A28", f"{uuid.uuid4().hex[:9]}^^^&1.2.250.1.999.77&ISO^PI"))
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><ClinicalDocument xmlns="urn:hl7-org:v3">&b;</ClinicalDocument>',
        b"<a>" * 500_000,
        b"not xml",
        b"\x00\x01\x02" * 1000,
        b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>",
    ],
)
def test_a_hostile_report_in_an_oru(opened: Integrator, document: bytes) -> None:
    hospital = Hospital(name="HOSTILE", oid="1.2.250.1.999.78", number=f"H{uuid.uuid4().hex[:8]}", family="X")
    assert "MSA|AA" in opened.feed(hospital.announcement())
    answer = opened.feed(hl7.oru(hospital.sender, hospital.patient, hospital.examination, document))
    assert "MSA|A" in answer
    clean(answer)
    if b"DOCTYPE" in document:
        assert "MSA|AE" in answer or "MSA|AR" in answer
        assert "OBX^1^5" in answer


def test_tls_is_spoken_to_a_plain_port_and_back(opened: Integrator, guarded: Integrator) -> None:
    host, _, port = guarded.box["mllp"].rpartition(":")
    with Mllp(host, int(port), timeout=5) as plain, pytest.raises((OSError, AssertionError)):
        plain.send(b"MSH|^~\\&|")
    hello = bytes.fromhex("16030100a5010000a10303") + b"\x00" * 160
    with opened.mllp() as connection:
        connection.socket.sendall(hello)
        assert "MSA|AR|" in connection.answer()
