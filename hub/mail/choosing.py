"""To whom a report is mailed: the matrix of CI-SIS for exchanges by MSSanté, as data.

"Les cas non représentés génèrent un message d'erreur": such a letter is held, visible, and nobody gets it."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from hub.imaging.sending_model import Sending
from hub.mail.model import LetterKind, LetterReason

PROFESSIONALS, PATIENT = "DESTMSSANTEPS", "DESTMSSANTEPAT"
#: Whom a letter is for -> the confidentialityCode of what may not go to them.
HIDDEN_FROM: Mapping[LetterKind, str] = {
    LetterKind.PROFESSIONAL: "MASQUE_PS",
    LetterKind.NOTICE: "MASQUE_PS",
    LetterKind.PATIENT: "INVISIBLE_PATIENT",
}
#: Letters whose recipients have a document, and so hear when it is taken back.
HOLDING = (LetterKind.PROFESSIONAL.value, LetterKind.PATIENT.value)
Flag = Literal["Y", "N", "*"]

#: (DESTMSSANTEPS, DESTMSSANTEPAT) -> what the other codes must say.
MATRIX: Mapping[tuple[bool, bool], Mapping[str, Flag]] = {
    (True, True): {
        "MASQUE_PS": "N",
        "INVISIBLE_PATIENT": "N",
        "INVISIBLE_REP_LEGAUX": "N",
        "CONNEXION_SECRETE": "*",
        "DESTDMP": "*",
    },
    (True, False): {
        "MASQUE_PS": "N",
        "INVISIBLE_PATIENT": "Y",
        "INVISIBLE_REP_LEGAUX": "N",
        "CONNEXION_SECRETE": "*",
        "DESTDMP": "*",
    },
    (False, True): {
        "MASQUE_PS": "*",
        "INVISIBLE_PATIENT": "N",
        "INVISIBLE_REP_LEGAUX": "*",
        "CONNEXION_SECRETE": "N",
        "DESTDMP": "N",
    },
}
#: RFC 5321 without quoted strings, comments and address literals: what MSSanté's addresses look like.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One box, or why it gets nothing. ``recipient`` "" for the patient: it is known when the letter is sent."""

    kind: LetterKind
    recipient: str = ""
    held: LetterReason | None = None


def choose(sending: Sending, *, patients: str, trusted: Collection[str], notices: bool) -> tuple[Chosen, ...]:
    """Everybody that a message names.

    ``patients``: domain of the patients' boxes, whose recipients are the patient. ``trusted``: domains (and what is
    below them) that a document may be mailed to; anybody else gets a notice where ``notices`` are sent."""
    wanted = sending.says(PROFESSIONALS), sending.says(PATIENT)
    if not any(wanted):
        return ()
    allowed = _allowed(sending, wanted)
    chosen: list[Chosen] = []
    if wanted[0]:
        others = [item for item in sending.recipients if not in_domains(item, [patients])]
        chosen += [_professional(address, trusted, notices=notices) for address in others]
    if wanted[1]:
        chosen.append(Chosen(LetterKind.PATIENT))
    if allowed:
        return tuple(chosen)
    return tuple(Chosen(item.kind, item.recipient, LetterReason.COMBINATION) for item in chosen)


def _allowed(sending: Sending, wanted: tuple[bool, bool]) -> bool:
    return sending.readable and all(
        flag == "*" or sending.says(code) == (flag == "Y") for code, flag in MATRIX[wanted].items()
    )


def _professional(address: str, trusted: Collection[str], *, notices: bool) -> Chosen:
    if not is_address(address):
        return Chosen(LetterKind.PROFESSIONAL, "", LetterReason.ADDRESS)
    if in_domains(address, trusted):
        return Chosen(LetterKind.PROFESSIONAL, address)
    if notices:
        return Chosen(LetterKind.NOTICE, address)
    return Chosen(LetterKind.PROFESSIONAL, address, LetterReason.OUTSIDE)


def is_address(text: str) -> bool:
    """Whether a mail can be addressed so; what could end a header or a command never can."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def in_domains(address: str, domains: Collection[str]) -> bool:
    """Whether an address lies in one of the domains, or below."""
    domain = address.rpartition("@")[2].lower()
    return any(domain == item.lower() or domain.endswith("." + item.lower()) for item in domains)
