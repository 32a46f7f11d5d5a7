import pytest

from hub import errors
from hub.context import Context
from hub.errors import HubError, InternalError, NotFound, lookup
from hub.patients.errors import AuthorityNotOwned, UnknownAuthority
from hub.wire.hl7v2.answers import acknowledge, answer, err_location, refuse, refuse_commit
from hub.wire.hl7v2.errors import ANSWERS, CONDITIONS, FieldMissing, Hl7Malformed, UnknownEvent
from hub.wire.hl7v2.message import Hl7Message
from tests.every_error import EVERY_ERROR


def asked(version: str = "2.5", charset: str = "8859/15") -> Hl7Message:
    raw = f"MSH|^~\\&|HIS|A&1.2&ISO|HUB|REGION|2026||ADT^A28^ADT_A05|42|P|{version}||||||{charset}\rPID|1\r"
    return Hl7Message.parse(raw.encode())


def fields(raw: bytes, segment: str) -> list[str]:
    text = raw.decode()
    assert text.endswith("\r")
    return next(line.split("|") for line in text.split("\r") if line.startswith(segment))


def test_accepted() -> None:
    raw = acknowledge(asked())
    msh, msa = fields(raw, "MSH"), fields(raw, "MSA")
    assert msh[2:6] == ["HUB", "REGION", "HIS", "A"] or msh[5].startswith("A")
    assert msh[8] == "ACK^A28^ACK"
    assert msh[11] == "2.5"
    assert msh[17] == "8859/15"
    assert msa[1:] == ["AA", "42"]
    assert b"ERR" not in raw


def test_refused_names_field_and_condition() -> None:
    raw = refuse(FieldMissing(location="PID-3"), asked(), Context())
    assert fields(raw, "MSA")[1:3] == ["AE", "42"]
    err = fields(raw, "ERR")
    assert err[1] == ""
    assert err[2] == "PID^1^3"
    assert err[3] == "101^Required field missing^HL70357"
    assert err[4] == "E"
    assert err[5].startswith("hl7-field-missing^")


def test_older_readers_get_err_1() -> None:
    raw = refuse(FieldMissing(location="PID-3"), asked("2.3.1"), Context())
    assert fields(raw, "ERR")[1] == "PID^1^3^101&Required field missing&HL70357"


def test_commit_refusals() -> None:
    assert fields(refuse_commit(FieldMissing(location="MSH-10"), asked()), "MSA")[1] == "CE"
    assert fields(refuse_commit(Hl7Malformed(), asked()), "MSA")[1] == "CR"


def test_garbage_can_be_answered() -> None:
    raw = refuse(Hl7Malformed(location="MSH"), Hl7Message.salvage(b"\x00\xff"), Context())
    assert fields(raw, "MSA")[1:3] == ["AR", ""]
    assert fields(raw, "ERR")[2] == "MSH^1"
    Hl7Message.parse(raw)


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_has_an_answer(kind: type[HubError]) -> None:
    row = lookup(ANSWERS, kind)
    assert row.acknowledgement in ("AE", "AR")
    assert row.condition in CONDITIONS
    assert row.commit in ("CE", "CR")


def test_the_table() -> None:
    assert lookup(ANSWERS, InternalError).condition == "207"
    assert lookup(ANSWERS, NotFound).condition == "204"
    assert lookup(ANSWERS, UnknownAuthority).condition == lookup(ANSWERS, AuthorityNotOwned).condition == "103"
    assert lookup(ANSWERS, UnknownEvent) == ANSWERS[UnknownEvent]
    assert lookup(ANSWERS, errors.DeadlineExceeded).acknowledgement == "AR"


@pytest.mark.parametrize(
    ("location", "erl"),
    [
        ("PID-3", "PID^1^3"),
        ("PID", "PID^1"),
        ("OBX[2]-5.4", "OBX^2^5^1^4"),
        ("QPD-4[2]", "QPD^1^4^2"),
        ("PID-3[2].4.2", "PID^1^3^2^4^2"),
        ("", ""),
        ("line 3", ""),
        ("sourcePatientId", ""),
    ],
)
def test_error_locations(location: str, erl: str) -> None:
    assert err_location(location) == erl


def test_text_that_the_character_set_lacks_goes_as_utf_8() -> None:
    raw = answer(asked(charset="8859/15"), "RSP^K22", "AA", ["PID|1||1||Łukasz"], structure="RSP_K21")
    assert fields(raw, "MSH")[17] == "UNICODE UTF-8"
    assert fields(raw, "MSH")[8] == "RSP^K22^RSP_K21"
    assert "Łukasz" in raw.decode("utf-8")


def test_nothing_can_be_injected_by_the_message() -> None:
    raw = b"MSH|^~\\&|HIS\\X0D\\MSA\\F\\AA|A|||2026||ADT^A28|4\\F\\2|P|2.5\rPID|1\r"
    reply = Hl7Message.parse(acknowledge(Hl7Message.parse(raw)))
    assert [segment.name for segment in reply.segments] == ["MSH", "MSA"]
    assert reply.require("MSA").value(2) == "4|2"
