import subprocess
import sys

import pytest

from hub.errors import Malformed, TooLarge
from hub.wire.xml import check_libraries, parse_xml, serialise


def test_reads_and_writes() -> None:
    root = parse_xml(
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>\n<!-- a --><?b c?><r a="1">\xc3\xa9<!--x-->t</r>'
    )
    assert (root.tag, root.get("a"), root.text) == ("r", "1", "ét")
    assert serialise(root) == '<r a="1">ét</r>'.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "utf-8"])
def test_encodings(encoding: str) -> None:
    assert parse_xml(f'<?xml version="1.0" encoding="{encoding}"?><r>é</r>'.encode(encoding)).text == "é"


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE r [<!ENTITY a0 "x">' + BOMB.encode() + b"]><r>&a11;</r>",
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        b'<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd"><r/>',
        b'<!-- c --><?p i?>\n <!DOCTYPE r [<!ATTLIST r a CDATA "x">]><r/>',
        b"<!doctype html><html/>",
        '<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>'.encode("utf-16"),
        '<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>'.encode("utf-16-le"),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE r +AFsAXQA+-<r/>',
        b'<?xml version="1.0" encoding="IBM037"?><r/>',
        b"<r>&undefined;</r>",
        b"",
        b"  ",
        b"hello",
        b"<r>",
        b"<r></s>",
        b"<r/><r/>",
        b"<r/><!DOCTYPE r>",
        b"<!-- never ends",
        b"<r a='1' a='2'/>",
        b"<x:r/>",
        b"<r>\xff</r>",
        b"\xff\xfe<",
    ],
)
def test_what_is_hostile_or_broken_is_refused_with_a_safe_text(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_xml(data)
    assert "passwd" not in str(caught.value)


def test_limits() -> None:
    with pytest.raises(TooLarge):
        parse_xml(b"<r>" + b"x" * 100 + b"</r>", max_bytes=50)
    assert parse_xml(b"<a>" * 200 + b"</a>" * 200) is not None
    for depth in (201, 257, 100_000):
        with pytest.raises(TooLarge):
            parse_xml(b"<a>" * depth + b"</a>" * depth)
    with pytest.raises(TooLarge):
        parse_xml(b"<r><b/><c><d/></c></r>", max_depth=2)
    with pytest.raises(TooLarge):
        parse_xml(b"<r>" + b"<a/>" * 3_000_000 + b"</r>", max_nodes=1_000_000)
    with pytest.raises(TooLarge):
        parse_xml(b"<r>" + b"x" * 11_000_000 + b"</r>")


HUNDRED_MEGABYTES = """
import resource
from hub.errors import TooLarge
from hub.wire.xml import parse_xml
data = b"<a>" * 33_400_000
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    parse_xml(data, max_bytes=1 << 30, max_nodes=1 << 40)
except TooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_hundred_megabytes_of_nesting_cost_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", HUNDRED_MEGABYTES], capture_output=True, check=True, text=True)
    assert int(run.stdout) < 20_000, "kilobytes of memory beyond the input"


def test_the_two_libraries_carry_the_same_libxml2() -> None:
    check_libraries()
