"""Which presentation contexts to propose and to accept (PS3.4: B.5, PS3.8: 9.3.2.2)."""

import re
from collections.abc import Iterable, Sequence

from pydicom._uid_dict import UID_dictionary

from hub.wire.dimse.messages import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from hub.wire.dimse.pdu import MAX_CONTEXTS, Accepted, Proposal, Request

VERIFICATION = "1.2.840.10008.1.1"
PATIENT_FIND, PATIENT_MOVE, PATIENT_GET = (f"1.2.840.10008.5.1.4.1.2.1.{number}" for number in (1, 2, 3))
STUDY_FIND, STUDY_MOVE, STUDY_GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
FIND, MOVE, GET = (PATIENT_FIND, STUDY_FIND), (PATIENT_MOVE, STUDY_MOVE), (PATIENT_GET, STUDY_GET)
AVAILABILITY = "1.2.840.10008.5.1.4.33"  #: Instance Availability Notification
SERVICES = (VERIFICATION, *FIND, *MOVE, *GET, AVAILABILITY)

#: Uncompressed, the better first; what every peer must take is the last (PS3.5: 10.1).
UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
#: PS3.6 (2024d on); pydicom 3.0 does not know them.
JPEG_XL = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
#: What hardly an archive holds: other video, several components, JPEG XL.
_RARE = "101 104 105 106 107 108 100.1 101.1 102.1 103.1 104.1 105.1 106.1 92 93"
RARE = (*(f"1.2.840.10008.1.2.4.{tail}" for tail in _RARE.split()), *JPEG_XL)
#: Compressed syntaxes in the order of what archives hold most, deflated and rare ones last.
COMPRESSED = (
    "1.2.840.10008.1.2.4.70",  # JPEG lossless SV1
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near lossless
    "1.2.840.10008.1.2.4.100",  # MPEG2
    "1.2.840.10008.1.2.4.102",  # MPEG-4
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.2",  # big endian
    *RARE,
)
KNOWN = UNCOMPRESSED + COMPRESSED
_STORAGE = re.compile(r".* Storage( SOP Class)?( - .*)?( \(Retired\))?")

#: Every storage SOP class of the standard, retired ones last.
STORAGE = tuple(
    sorted(
        (uid for uid, row in UID_dictionary.items() if row[1] == "SOP Class" and _STORAGE.fullmatch(row[0])),
        key=lambda uid: (bool(UID_dictionary[uid][3]), uid),
    )
)
#: Video, which nobody has uncompressed.
_VIDEO = frozenset(f"1.2.840.10008.5.1.4.1.1.77.1.{number}.1" for number in (1, 2, 4))
#: Those most archives hold, for a retrieval about which nothing is known.
_TAILS = """2 4 1 1.1 1.2 1.3 7 6.1 3.1 12.1 12.2 20 128 2.1 4.1 13.1.3 88.11 88.22 88.33 88.59 88.67 104.1 11.1 481.1
481.2 481.3 481.5 66.4 77.1.4 77.1.1 77.1.5.1 7.2 7.4 9.1.1 130 88.50 88.65 66 66.1 67 104.2"""
COMMON = tuple(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in _TAILS.split())


def is_storage(abstract_syntax: str) -> bool:
    """Whether it may be a storage class: every private and unknown one may (modalities have their own)."""
    row = UID_dictionary.get(abstract_syntax)
    return row is None or bool(_STORAGE.fullmatch(row[0]))


def for_services(sop_classes: Iterable[str]) -> list[Proposal]:
    """Contexts of query and verification classes."""
    return [Proposal(sop_class, UNCOMPRESSED) for sop_class in sop_classes]


def for_storage(
    sop_classes: Sequence[str], syntaxes: Sequence[str] = KNOWN, *, room: int = MAX_CONTEXTS, scp: bool = False
) -> list[Proposal]:
    """Contexts to store (or, with ``scp``, to be sent by C-GET) within ``room`` contexts.

    Each compressed syntax gets its own context where there is room, so that the sender may choose the one in which it
    holds the object; otherwise the rare ones share one, then all that are compressed, then all syntaxes."""
    classes = list(dict.fromkeys(sop_classes)) or list(COMMON)
    plain = tuple(item for item in syntaxes if item in UNCOMPRESSED)
    others = tuple(item for item in syntaxes if item not in UNCOMPRESSED)
    common, rare = (item for item in others if item not in RARE), tuple(item for item in others if item in RARE)
    for grouping in (
        (plain, *((item,) for item in others)),
        (plain, *((item,) for item in common), rare),
        (plain, others),
    ):
        groups = [group for group in grouping if group]
        if len(classes) * len(groups) <= room:
            return [Proposal(sop_class, group, scp) for sop_class in classes for group in groups]
    return [Proposal(sop_class, tuple(syntaxes), scp) for sop_class in classes[:room]]


def accept(request: Request, services: Sequence[str] = SERVICES) -> tuple[list[Accepted], list[tuple[int, int]]]:
    """What an SCP of the services and of every storage class accepts: accepted contexts, and refused ones with reason.

    A query is taken in explicit little endian where offered; an object in the syntax that its sender prefers. What the
    hub sends (C-GET) goes uncompressed where offered: any image can be made so, and few can be compressed as wished."""
    accepted: list[Accepted] = []
    refused: list[tuple[int, int]] = []
    for number, proposal in request.proposals:
        if proposal.abstract_syntax in SERVICES:
            if proposal.abstract_syntax not in services:
                refused.append((number, 3))
                continue
            syntax = next((item for item in UNCOMPRESSED if item in proposal.transfer_syntaxes), "")
        elif is_storage(proposal.abstract_syntax):
            syntax = next(iter(proposal.transfer_syntaxes), "")
            if proposal.scp and proposal.abstract_syntax not in _VIDEO:
                syntax = next((item for item in UNCOMPRESSED if item in proposal.transfer_syntaxes), syntax)
        else:
            refused.append((number, 3))
            continue
        if syntax:
            accepted.append(Accepted(number, proposal.abstract_syntax, syntax, proposal.scp))
        else:
            refused.append((number, 4))
    return accepted, refused
