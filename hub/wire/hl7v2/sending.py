"""Whom a report is mailed to: OBX of MetaDMPMSS and PRT (CI-SIS, Transmission de documents CDA en HL7 v2, 2.1)."""

import base64
import binascii

from hub.imaging.sending_model import MASKS, Sending
from hub.wire.hl7v2.message import Hl7Message, Segment
from hub.wire.hl7v2.transmission import ALIASES, BODIES, SCHEME

_LONGEST = 20_000  #: characters of a mail's text
_MOST = 50  #: recipients


def sending(message: Hl7Message) -> Sending | None:
    """What the message says of it; None when it says nothing. What can't be understood is no reason to refuse the
    report, since not every hub mails: ``readable`` says so."""
    flags: dict[str, bool] = {}
    bodies: dict[str, str | None] = {}
    readable = True
    for obx in message.all("OBX"):
        if obx.value(3, 3) != SCHEME:
            continue
        code, said = obx.value(3), obx.value(5)
        if code in BODIES:
            bodies[code] = _text(obx)
            continue
        readable = readable and said in ("Y", "N")
        flags[ALIASES.get(code, code)] = said == "Y" or (code in MASKS and said != "N")  # hidden, when in doubt
    if not flags:
        return None
    replies, recipients = _addresses(message, "REPLY"), _addresses(message, "RCT")
    return Sending(
        flags,
        recipients[:_MOST],
        replies[0] if replies else "",
        bodies.get("CORPSMAIL_PS") or "",
        bodies.get("CORPSMAIL_PATIENT") or "",
        any(nte.value(field) == "FIN" for nte in message.all("NTE") for field in (3, 4)),
        readable and None not in bodies.values() and len(recipients) <= _MOST,
    )


def _addresses(message: Hl7Message, role: str) -> tuple[str, ...]:
    found = (prt.value(15, 4).strip() for prt in message.all("PRT") if prt.value(4) == role)
    return tuple(dict.fromkeys(address for address in found if address))


def _text(obx: Segment) -> str | None:
    """None: not Base64 of UTF-8."""
    try:
        text = base64.b64decode(obx.value(5, 5), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return "".join(character for character in text[:_LONGEST] if character.isprintable() or character in "\n\t")
