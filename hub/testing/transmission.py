"""MDM and ORU of CISIS_CDA_HL7_V2 as French systems send them: documents, PRT, MetaDMPMSS. For tests and the demo."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.testing.hl7 import Patient, Sender
from hub.wire.hl7v2.writer import components, segment

EVENTS = {"NW": "T02", "RO": "T10", "CA": "T04"}
STATUSES = {"NW": "F", "RO": "C", "CA": "D"}
#: MetaDMPMSS in its order, with what most messages say.
WORDS: Mapping[str, str] = {
    "MASQUE_PS": "N",
    "INVISIBLE_PATIENT": "N",
    "INVISIBLE_REP_LEGAUX": "N",
    "CONNEXION_SECRETE": "N",
    "MODIF_CONF_CODE": "N",
    "DESTDMP": "Y",
    "DESTMSSANTEPS": "N",
    "DESTMSSANTEPAT": "N",
    "ACK_RECEPTION": "N",
    "ACK_LECTURE_MSS": "N",
}
DOCTOR = "801234567897^MARTIN^Claire^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^RPPS"
STRUCTURE = "CENTRE HOSPITALIER A^^^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG^^^1750100125"


@dataclass(frozen=True, kw_only=True, slots=True)
class Transmission:
    """One request. ``control``: ORC-1. ``documents``: uniqueId and bytes of each; ``replaces``: TXA-13."""

    patient: Patient
    documents: Sequence[tuple[str, bytes]]
    control: str = "NW"
    words: Mapping[str, str] = field(default_factory=dict)
    recipients: Sequence[str] = ()
    reply_to: str = ""
    replaces: str = ""
    kind: str = "MDM"
    sender: Sender = field(default_factory=lambda: Sender(application="RIS_A", facility="CH_A"))

    def message(self, *, control_id: str = "") -> bytes:
        """Its bytes."""
        mdm = self.kind == "MDM"
        sender = Sender(
            application=self.sender.application,
            facility=self.sender.facility,
            charset=self.sender.charset,
            version="2.6" if mdm else "2.5",
        )
        event = f"MDM^{EVENTS[self.control]}" if mdm else "ORU^R01"
        raw = sender.message(event, self._segments(), structure="MDM_T02" if mdm else "ORU_R01", control_id=control_id)
        head, _, rest = raw.partition(b"\r")
        return head + b"|||2.1^CISIS_CDA_HL7_V2\r" + rest

    def _segments(self) -> list[str]:
        code = "18748-4^CR d'imagerie médicale^LN"
        found = [segment("EVN", {2: "20260301110000"})] if self.kind == "MDM" else []
        found += [
            self.patient.pid,
            segment("PV1", {1: "1", 2: "N"}),
            segment("ORC", {1: self.control}),
            segment("OBR", {1: "1", 4: code}),
        ]
        if self.kind == "MDM":
            numbers = {12: self.documents[0][0], 13: self.replaces}
            found.append(segment("TXA", {1: "1", 2: "18748-4", 3: "TEXT", **numbers, 17: "AU"}))
        for number, (_, content) in enumerate(self.documents, 1):
            data = f"^text^XML^Base64^{base64.b64encode(content).decode()}"
            found.append(segment("OBX", {1: str(number), 2: "ED", 3: code, 5: data, 11: STATUSES[self.control]}))
            found += self._participants() if number == 1 else []
        kind = "CWE" if self.kind == "MDM" else "CE"
        for number, (word, said) in enumerate({**WORDS, **self.words}.items(), len(self.documents) + 1):
            name, value = f"{word}^Libelle^MetaDMPMSS", f"{said}^^expandedYes-NoIndicator"
            found.append(segment("OBX", {1: str(number), 2: kind, 3: name, 5: value, 11: "F"}))
        return found

    def _participants(self) -> list[str]:
        found = [segment("PRT", {2: "UC", 4: "SB^Send By^participation", 5: DOCTOR, 8: STRUCTURE})]
        boxes = [("RCT", address) for address in self.recipients] + [("REPLY", self.reply_to)] * bool(self.reply_to)
        for role, address in boxes:
            mailbox = components("", "", "X.400", address)
            found.append(segment("PRT", {2: "UC", 4: f"{role}^Role^participation", 15: mailbox}))
        return found
