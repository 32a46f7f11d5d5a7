"""English: letters by hand."""

from collections.abc import Mapping

LETTER_EN: Mapping[str, str] = {
    "letter.open": "Send by secure mail",
    "letter.title": "Send by secure mail",
    "letter.back": "Back to the document",
    "letter.lead": "The document goes with its metadata (XDM), and as PDF where it has one, to boxes of the secure "
    "mail.",
    "letter.recipients": "Professionals' boxes",
    "letter.recipients_hint": "marie.dupont@cabinet.mssante.fr, ...",
    "letter.to_patient": "To the patient's own box as well",
    "letter.text": "Text of the letter (empty: the usual one)",
    "letter.reply_to": "Answers go to",
    "letter.tell_delivery": "Report the delivery",
    "letter.tell_reading": "Ask for a report when it is read",
    "letter.look": "Look at it before it goes",
    "letter.confirm": "Send this letter?",
    "letter.document": "Document",
    "letter.reports": "Reports",
    "letter.asked.delivery": "delivery",
    "letter.asked.reading": "reading",
    "letter.asked.nothing": "failure only",
    "letter.usual_text": "With the usual text.",
    "letter.send": "Send",
    "letter.change": "Change it",
    "letter.done": "The letter is on its way.",
    "letter.sent_before": "Letters of this document",
    "letter.none": "It has not been mailed yet.",
    "letter.patients_box": "The patient's box",
    "letter.by_message": "its sender's message",
    "letter.column.changed": "Changed",
    "letter.column.to": "To",
    "letter.column.by": "By",
    "letter.column.state": "State",
    "error.letter-to-nobody": "Say to whom the letter goes.",
    "error.letter-address-refused": "An address is not that of a professional's box in the secure mail. The patient's "
    "box is not typed: tick it.",
    "error.letter-hidden": "The document is hidden from those whom the letter is for: it can't be mailed to them.",
    "error.letter-not-qualified": "The patient's identity is not qualified: there is no box of theirs yet.",
}
