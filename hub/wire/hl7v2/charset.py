"""Character sets of HL7 v2 (MSH-18, HL7 table 0211), and the feeds' own words for them."""

import codecs

from hub.wire.hl7v2.errors import Hl7Charset

UTF_8 = "UNICODE UTF-8"

_CODECS = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",  # UCS-2 by the book; a message whose MSH can be read byte by byte is UTF-8
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
#: The MSH-18 values that are read.
LABELS = tuple(_CODECS)
_LABELS = {
    codecs.lookup(codec).name: label
    for label, codec in reversed(_CODECS.items())
    if label not in ("UNICODE", "UTF-8", "UTF8")
}


def codec_of(label: str) -> str:
    """Python codec of an MSH-18 value. Raises Hl7Charset, location MSH-18."""
    codec = _CODECS.get(label.strip().upper())
    if codec is None:
        raise Hl7Charset("MSH-18 names a character set that this hub does not read.", location="MSH-18")
    return codec


def codec_named(name: str) -> str:
    """Python codec of a setting: an MSH-18 value or a codec's name such as windows-1252. Raises LookupError."""
    known = _CODECS.get(name.strip().upper())
    if known:
        return known
    info = codecs.lookup(name)
    if not getattr(info, "_is_text_encoding", True) or "A".encode(info.name) != b"A":
        raise LookupError(f"{name} can't carry an HL7 message")
    return info.name


def label_of(codec: str) -> str:
    """What MSH-18 says for a codec: its table 0211 value, or UTF-8's where there is none."""
    return _LABELS.get(codecs.lookup(codec).name, UTF_8)


def answer_codec(codec: str) -> str:
    """The codec for an answer to a message that came in ``codec``: the same where MSH-18 has a word for it."""
    return codec if codecs.lookup(codec).name in _LABELS else "utf-8"
