"""A name in another character set than MSH-18 says is told to its sender; it is kept as MSH-18 has it."""

import pytest

from hub.wire.hl7v2.doubts import doubt
from hub.wire.hl7v2.message import Hl7Message


def doubted(charset: str, codec: str, name: str, rest: str = "") -> str:
    head = f"MSH|^~\\&|HIS|CHU|HUB|R|20260315||ADT^A28|1|P|2.5||||||{charset}"
    raw = f"{head}\rPID|||7^^^CHU&1.2.250.1.999.2.1&ISO^PI{rest}||{name}\r".encode(codec)
    return doubt(Hl7Message.parse(raw).require("PID"))


@pytest.mark.parametrize(
    ("charset", "codec", "name", "expected"),
    [
        ("8859/1", "utf-8", "LEFÈVRE^Hélène", "character-set-doubtful"),
        ("8859/15", "utf-8", "LEFÈVRE^Hélène", "character-set-doubtful"),
        ("8859/1", "iso8859-1", "LEFÈVRE^Hélène", ""),
        ("8859/15", "iso8859-15", "ŒUVRARD^Zoë", ""),
        ("UNICODE UTF-8", "utf-8", "LEFÈVRE^Hélène", ""),
        ("8859/1", "ascii", "LEFEVRE^Helene", ""),
    ],
)
def test_a_wrong_character_set(charset: str, codec: str, name: str, expected: str) -> None:
    assert doubted(charset, codec, name) == expected


def test_an_ins_that_is_not_kept_is_told_first() -> None:
    ins = "~279035121518900^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.8&ISO^INS"
    assert doubted("8859/1", "utf-8", "LEFÈVRE", ins) == "ins-key"
