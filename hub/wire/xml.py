"""XML from strangers, read safely: no document type, no entities, no network, limits on size, depth and node count."""

import re
from functools import lru_cache
from typing import Any

import xmlsec
from lxml import etree

from hub.errors import Malformed, Misconfigured, TooLarge

#: An element as lxml gives it (lxml ships no types that we could name).
Element = Any

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 200
#: A node costs libxml2 about 120 bytes whatever its text, so that 64 MB of empty elements would need 2 GB.
MAX_NODES = 2_000_000

_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_DECLARATION = re.compile(rb"<\?xml\s[^>]{0,200}?\?>")
_ENCODING = re.compile(rb"\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_SPACE = re.compile(rb"\s*")
#: libxml2's errors that are limits rather than mistakes: memory, resource and name limits, huge text nodes.
_LIMITS = frozenset({"ERR_NO_MEMORY", "ERR_RESOURCE_LIMIT", "ERR_NAME_TOO_LONG", "ERR_USER_STOP"})


def parse_xml(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES
) -> Element:
    """The root element of a document. Comments and processing instructions are left out.

    Every call has its own parser (a shared one serialises threads). Raises TooLarge beyond ``max_bytes``, ``max_depth``
    or about ``max_nodes`` elements and attributes, Malformed for anything else that is not XML without a document type.
    Error texts give a position, never content.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"The XML is larger than {max_bytes} bytes.")
    data, encoding = _to_ascii_compatible(data)
    _check_prolog(data)
    if data.count(b"<") + data.count(b"=") > max_nodes * 2:
        raise TooLarge(f"The XML has more than {max_nodes} nodes.")
    parser = etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise _refusal(error, parser) from None
    if root.getroottree().docinfo.internalDTD is not None:  # an encoding trick hid it from the prolog check
        raise Malformed("A document type declaration is not allowed.")
    if _deeper(root, max_depth):
        raise TooLarge(f"The XML is nested deeper than {max_depth} elements.")
    return root


def serialise(root: Element) -> bytes:
    """The document as UTF-8 bytes, without a declaration."""
    return bytes(etree.tostring(root, encoding="utf-8"))


def check_libraries() -> None:
    """At start: lxml and xmlsec must carry the same libxml2, or trees break. Raises Misconfigured."""
    mine, theirs = tuple(etree.LIBXML_VERSION), tuple(xmlsec.get_libxml_version())
    if mine != theirs:
        raise Misconfigured(
            "The Python packages lxml and xmlsec carry different versions of libxml2 "
            f"({'.'.join(map(str, mine))} and {'.'.join(map(str, theirs))}): install matching ones."
        )


def _to_ascii_compatible(data: bytes) -> tuple[bytes, str | None]:
    """The bytes in an encoding whose markup is ASCII, so that the prolog can be checked before libxml2 sees it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16").encode("utf-8"), "utf-8"
        except UnicodeError:
            raise Malformed("The XML is not valid UTF-16.") from None
    return data.removeprefix(b"\xef\xbb\xbf"), None


def _check_prolog(data: bytes) -> None:
    position = _skip_space(data, 0)
    declaration = _DECLARATION.match(data, position)
    if declaration:
        encoding = _ENCODING.search(declaration.group())
        name = encoding.group(1).decode().lower() if encoding else "utf-8"
        if name not in _ENCODINGS and not name.startswith("utf-16"):
            raise Malformed("The XML is in an encoding that is not supported; use UTF-8.")
    while True:
        if data.startswith(b"<!--", position):
            position = _after(data, b"-->", position + 4)
        elif data.startswith(b"<?", position):
            position = _after(data, b"?>", position + 2)
        elif data.startswith(b"<!", position):
            raise Malformed("A document type declaration is not allowed.")
        elif data.startswith(b"<", position):
            return
        else:
            raise Malformed("This is not XML.")
        position = _skip_space(data, position)


def _skip_space(data: bytes, position: int) -> int:
    match = _SPACE.match(data, position)
    return match.end() if match else position


def _after(data: bytes, end: bytes, position: int) -> int:
    found = data.find(end, position)
    if found < 0:
        raise Malformed("The XML ends within its prolog.")
    return found + len(end)


def _refusal(error: etree.XMLSyntaxError, parser: etree.XMLParser) -> Malformed:
    entry = parser.error_log.last_error
    line, column = error.position if error.position else (0, 0)
    where = f"line {line}, column {column}"
    if entry is not None and entry.type_name in _LIMITS:
        return TooLarge(f"The XML goes beyond a limit on depth or on the length of a text ({where}).", location=where)
    return Malformed(f"The XML is not well-formed ({where}).", location=where)


def _deeper(root: Element, limit: int) -> bool:
    return bool(_levels(limit + 1)(root))


@lru_cache(maxsize=8)
def _levels(depth: int) -> etree.XPath:
    """Finds the elements at one depth: runs inside libxml2, level by level, and ends at the first empty one."""
    return etree.XPath("/*" * depth)
