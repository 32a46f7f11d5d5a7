import contextlib

import pytest

from hub.wire.hl7v2.charset import codec_named, codec_of, label_of
from hub.wire.hl7v2.errors import FieldMissing, Hl7Charset, Hl7Malformed, Hl7TooLarge, SegmentMissing
from hub.wire.hl7v2.message import MAX_REPETITIONS, MAX_SEGMENTS, Hl7Message

MSH = "MSH|^~\\&|HIS|A|HUB|R|20260101120000||ADT^A28^ADT_A05|42|P|2.5^FRA^2.11|||||FRA|{charset}"
PID = "PID|1||123^^^A&1.2.3&ISO^PI~279035121518989^^^X&1.2.250.1.213.1.4.10&ISO^INS||NOËL\\T\\FILS^Zoé^^^^^L"


def message(*segments: str, charset: str = "UNICODE UTF-8", codec: str = "utf-8", end: str = "\r") -> bytes:
    return end.join([MSH.format(charset=charset), *segments, ""]).encode(codec)


def test_header() -> None:
    parsed = Hl7Message.parse(message(PID))
    assert parsed.control_id == "42"
    assert parsed.event == "ADT^A28"
    assert (parsed.sending_application, parsed.sending_facility) == ("HIS", "A")
    assert parsed.version == "2.5"
    assert not parsed.wants_commit
    assert parsed.msh.value(1) == "|"
    assert parsed.msh.value(12, 3) == "2.11"


def test_fields_repetitions_components_subcomponents() -> None:
    pid = Hl7Message.parse(message(PID)).require("PID")
    first, second = pid.repetitions(3)
    assert first.value(1) == "123"
    assert first.value(4, 2) == "1.2.3"
    assert second.value(5) == "INS"
    assert pid.value(5) == "NOËL&FILS"
    assert pid.value(5, 2) == "Zoé"
    assert pid.value(5, 9) == pid.value(99) == pid.value(3, 1, 2) == ""


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "iso8859-1"),
        ("8859/15", "iso8859-15"),
        ("", "utf-8"),
    ],
)
def test_character_sets(label: str, codec: str) -> None:
    assert Hl7Message.parse(message(PID, charset=label, codec=codec)).require("PID").value(5, 2) == "Zoé"


def test_override_beats_what_the_message_says() -> None:
    raw = message(PID.replace("Zoé", "Œuvre"), charset="8859/1", codec="windows-1252")
    assert Hl7Message.parse(raw, charset="windows-1252").require("PID").value(5, 2) == "Œuvre"


def test_undecodable_bytes_name_segment_and_field() -> None:
    with pytest.raises(Hl7Charset) as caught:
        Hl7Message.parse(message("EVN||2026", PID, codec="latin-1"))
    assert caught.value.location == "PID-5"
    with pytest.raises(Hl7Charset) as caught:
        Hl7Message.parse(message(PID, charset="ASCII"))
    assert caught.value.location == "PID-5"


def test_unknown_character_set() -> None:
    with pytest.raises(Hl7Charset) as caught:
        Hl7Message.parse(message(PID, charset="EBCDIC"))
    assert caught.value.location == "MSH-18"


def test_labels() -> None:
    assert label_of("iso8859-15") == "8859/15"
    assert label_of("utf-8") == "UNICODE UTF-8"
    assert label_of("windows-1252") == "UNICODE UTF-8"
    assert codec_named("windows-1252") == "cp1252"
    assert codec_of("8859/1") == "iso8859-1"
    for name in ("utf-16", "rot13", "no-such"):
        with pytest.raises(LookupError):
            codec_named(name)


def test_own_delimiters() -> None:
    raw = b"MSH$%*!?$HIS$A$HUB$R$2026$$ADT%A28$1$P$2.5\rPID$1$$7%%%N?1.2.3?ISO$$O!F!NE%J\r"
    pid = Hl7Message.parse(raw).require("PID")
    assert pid.value(3, 4, 2) == "1.2.3"
    assert pid.value(5) == "O$NE"
    assert pid.value(5, 2) == "J"


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"),
        ("one\\.br\\two", "one\ntwo"),
        ("\\X41C3A9\\", "Aé"),
        ("\\H\\bold\\N\\", "bold"),
        ("C:\\dir", "C:\\dir"),
        ("\\Zxx\\", "\\Zxx\\"),
        ("a\\", "a\\"),
        ('""', ""),
    ],
)
def test_escapes(escaped: str, text: str) -> None:
    assert Hl7Message.parse(message(f"PID|||||{escaped}")).require("PID").value(5) == text


@pytest.mark.parametrize("digits", ["4", "zz", "FF", "00"])
def test_bad_hexadecimal(digits: str) -> None:
    with pytest.raises(Hl7Malformed):
        Hl7Message.parse(message(f"PID|||||\\X{digits}\\")).require("PID").value(5)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_segment_ends(end: str) -> None:
    assert Hl7Message.parse(message("EVN||1", PID, end=end)).require("PID").value(5, 2) == "Zoé"


@pytest.mark.parametrize(
    ("raw", "location"),
    [
        (b"", "MSH"),
        (b"PID|1\r", "MSH"),
        (b"MSH|^~", "MSH"),
        (b"MSH||||||||||||||||\r", "MSH-2"),
        (b"MSHA^~\\&A\r", "MSH-2"),
        (message("pid|1"), "line 2"),
        (message("PIDX|1"), "line 2"),
        (message(MSH.format(charset="")), "MSH[2]"),
        (message("PID|||a\x00b"), "PID-3"),
        (message("OBX|1", "OBX|2|\x07"), "OBX[2]-2"),
        (b"\x00\xff" * 100, "MSH"),
    ],
)
def test_garbage_is_named(raw: bytes, location: str) -> None:
    with pytest.raises(Hl7Malformed) as caught:
        Hl7Message.parse(raw)
    assert caught.value.location == location


def test_limits() -> None:
    with pytest.raises(Hl7TooLarge):
        Hl7Message.parse(message(*["NTE|1"] * (MAX_SEGMENTS + 1)))
    with pytest.raises(Hl7TooLarge):
        Hl7Message.parse(message("PID|||" + "x" * 300_000))
    parsed = Hl7Message.parse(message("OBX|1|ED|||" + "x" * 300_000, "PID|||" + "~" * MAX_REPETITIONS))
    with pytest.raises(Hl7TooLarge) as caught:
        parsed.require("PID").repetitions(3)
    assert caught.value.location == "PID-3"


def test_missing_segment_and_field() -> None:
    parsed = Hl7Message.parse(message("PID|1"))
    with pytest.raises(SegmentMissing) as segment:
        parsed.require("OBR")
    assert segment.value.location == "OBR"
    with pytest.raises(FieldMissing) as field:
        parsed.require("PID").require(3)
    assert field.value.location == "PID-3"


def test_salvage_never_fails() -> None:
    for raw in (b"", b"\xff\xfe", b"MSH", b"MSH|^~\\&|HIS|\xe9|||||ADT^A01|77|P|2.5\rPID", b"MSH||||", b"\r\r\r"):
        assert Hl7Message.salvage(raw).raw == raw
    assert Hl7Message.salvage(b"MSH|^~\\&|HIS|\xe9|||||ADT^A01|77|P|2.5\rPID").control_id == "77"


def test_every_cut_and_flip_of_a_message_is_read_or_refused() -> None:
    whole = message("EVN||2026", PID, "PV1||O")
    for position in range(len(whole)):
        for mangled in (whole[:position], whole[:position] + b"\xff" + whole[position + 1 :]):
            with contextlib.suppress(Hl7Malformed):
                Hl7Message.parse(mangled)


def test_repr_shows_no_patient() -> None:
    parsed = Hl7Message.parse(message(PID))
    assert "123" not in repr(parsed)
    assert "NO" not in repr(parsed.require("PID"))
