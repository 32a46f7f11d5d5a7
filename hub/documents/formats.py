"""What a well-formed value is: one predicate per data type of ITI TF-3: Table 4.2.3.1.7-2."""

import calendar
import re

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-fA-F]{40}")
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*")
_UNIQUE_ID = re.compile(r"[!-~]{1,128}")
_MIME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(\s*;.*)?")
_PID = re.compile(r"PID-[1-9][0-9]*\|.*", re.DOTALL)
_DTM = re.compile(r"[0-9]{4}([0-9]{2}){0,5}")
_HOME = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_LONGEST = 1000


def is_oid(text: str) -> bool:
    """An OID of at most 64 characters."""
    return len(text) <= 64 and _OID.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """``urn:uuid:`` and a UUID in lower case (ITI TF-3: 4.1.12.3)."""
    return _UUID.fullmatch(text) is not None


def is_hash(text: str) -> bool:
    """SHA-1, 40 hexadecimal digits."""
    return _HASH.fullmatch(text) is not None


def is_language(text: str) -> bool:
    """A language tag (RFC 5646)."""
    return _LANGUAGE.fullmatch(text) is not None


def is_unique_id(text: str) -> bool:
    """At most 128 printable ASCII characters without blanks: an OID, ``oid^extension`` or another URI."""
    return _UNIQUE_ID.fullmatch(text) is not None


def is_mime_type(text: str) -> bool:
    """``type/subtype``, with optional parameters."""
    return len(text) <= 256 and _MIME.fullmatch(text) is not None


def is_pid_row(text: str) -> bool:
    """``PID-5|Family^Given``."""
    return len(text) <= _LONGEST and _PID.fullmatch(text) is not None


def is_home(text: str) -> bool:
    """A homeCommunityId: ``urn:oid:`` and an OID."""
    return len(text) <= 72 and _HOME.fullmatch(text) is not None


def is_short(text: str) -> bool:
    """Some text, not longer than a slot's value may sensibly be, without NUL (no database keeps it)."""
    return 0 < len(text) <= _LONGEST and "\0" not in text


def is_title(text: str) -> bool:
    """At most 128 characters."""
    return len(text) <= 128


def is_dtm(text: str) -> bool:
    """``YYYY[MM[DD[hh[mm[ss]]]]]`` that the calendar knows (ITI TF-3: Table 4.2.3.1.7-2, DTM)."""
    if _DTM.fullmatch(text) is None:
        return False
    full = pad_dtm(text)
    year, month, day = int(full[:4]), int(full[4:6]), int(full[6:8])
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return False
    return int(full[8:10]) < 24 and int(full[10:12]) < 60 and int(full[12:14]) < 60


def pad_dtm(text: str) -> str:
    """The first second of the period that a DTM names, 14 digits: comparable as text."""
    return text + "00000101000000"[len(text) :] if text else ""


def is_cx(text: str) -> bool:
    """``id^^^&oid&ISO``, as patient ids are written (ITI TF-3: Table 4.2.3.1.7-2, CX)."""
    parts = text.split("^")
    authority = parts[3].split("&") if len(parts) > 3 else []
    return (
        bool(parts[0]) and len(text) <= 256 and len(authority) == 3 and is_oid(authority[1]) and authority[2] == "ISO"
    )


def is_cxi(text: str) -> bool:
    """``id^^^&oid&ISO^type``: an id, perhaps its authority, and what it identifies (ITI TF-3: 4.2.3.2.28)."""
    parts = text.split("^")
    return len(parts) >= 5 and bool(parts[0]) and bool(parts[4]) and len(text) <= 256


def is_xcn(text: str) -> bool:
    """A person: an id, a family name, or a given name."""
    parts = text.split("^")
    return is_short(text) and any(part for part in parts[:3])


def is_xon(text: str) -> bool:
    """An organisation: its name comes first."""
    return is_short(text) and bool(text.split("^", maxsplit=1)[0])


def is_recipient(text: str) -> bool:
    """``XON|XCN|XTN``, at least one of them."""
    return is_short(text) and any(part for part in text.split("|"))


def reference_key(text: str) -> str:
    """What two CXi are compared by: id, authority's OID, and what it identifies."""
    parts = [*text.split("^"), "", "", "", "", ""]
    authority = [*parts[3].split("&"), "", ""]
    return f"{parts[0]}^^^&{authority[1]}&ISO^{parts[4]}"
