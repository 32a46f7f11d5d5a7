"""PIX Update Notification: ADT^A31 with the numbers of one person (ITI TF-2: 3.10.4.1.2)."""

from collections.abc import Sequence

from hub.errors import PeerRefused, Unavailable
from hub.values import PatientIdentifier, now
from hub.wire.hl7v2 import writer
from hub.wire.hl7v2.errors import Hl7Malformed
from hub.wire.hl7v2.message import Hl7Message

_ACCEPTED = ("AA", "CA")
_LATER = ("AR", "CR")  #: not for its content: the peer can't take it now


def update_notification(
    identifiers: Sequence[PatientIdentifier], control_id: str, *, application: str = "", facility: str = ""
) -> bytes:
    """The message. PID-3 is the whole list; PID-5 is one blank: names of domains might differ.

    ``control_id``: MSH-10, the same however often it is sent; ``application``, ``facility``: MSH-5 and MSH-6."""
    moment = writer.dtm(now())
    header = {
        3: "MAILLAGE",
        4: "MAILLAGE",
        5: writer.escape(application),
        6: writer.escape(facility),
        7: moment,
        9: "ADT^A31^ADT_A05",
        10: control_id,
        11: "P",
        12: "2.5",
    }
    segments = [
        writer.segment("EVN", {2: moment}),
        writer.segment("PID", {3: "~".join(map(writer.cx, identifiers)), 5: " "}),
        writer.segment("PV1", {2: "N"}),
    ]
    return writer.write(header, segments)


def check_acknowledgement(raw: bytes, control_id: str) -> None:
    """What the peer answered. Raises PeerRefused, or Unavailable where it may take the message later."""
    try:
        msa = Hl7Message.parse(raw).first("MSA")
    except Hl7Malformed:
        raise Unavailable("The peer's answer is not an HL7 v2 message.") from None
    if msa is None or msa.value(2) != control_id:
        raise Unavailable("The peer's answer acknowledges no message of ours.")
    code = msa.value(1)
    if code in _LATER:
        raise Unavailable("The peer can't take the message now.")
    if code not in _ACCEPTED:
        raise PeerRefused("The peer refused the message.")
