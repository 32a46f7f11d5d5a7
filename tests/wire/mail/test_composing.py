"""Letters as mails: what a header can't be made to say."""

import email
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from hub.documents.model import DocumentEntry, DocumentRequest, RetrievedDocument
from hub.mail.model import Enclosed, LetterKind, Outgoing
from hub.patients.model import Traits
from hub.values import PatientIdentifier
from hub.wire.mail.composing import Attached, compose, subject

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENTRY = DocumentEntry(
    "urn:uuid:1", "1.2.3", PatientIdentifier("1", "1.2"), "text/xml", title="Scanner\r\nBcc: x@y.fr\r\n\r\nhello"
)
CONTENT = RetrievedDocument(DocumentRequest("1.2", "1.2.3"), "text/xml", Path("document.xml"), 1)


def made(**more: object) -> EmailMessage:
    values: dict[str, object] = {
        "enclosed": (Enclosed(ENTRY, CONTENT),), "traits": Traits("DURAND", "ÉLODIE", birth_date="19790327"),
        "reply_to": "dr@x.mssante.fr",
        **more,
    }  # fmt: skip
    letter = Outgoing(LetterKind.PROFESSIONAL, "<a@b.fr>", "to@x.mssante.fr", **values)  # type: ignore[arg-type]
    raw = compose(letter, Attached(b"PK", (b"%PDF",)), sender="hub@x.mssante.fr", region="Région", at=AT)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    return email.message_from_bytes(raw, policy=default)


def test_a_title_is_one_line() -> None:
    mail = made()
    assert mail["Bcc"] is None
    assert mail["Subject"] == "XDM/1.0/DDM+Scanner Bcc: x@y.fr hello DURAND ÉLODIE 27/03/1979"
    assert [part.get_filename() for part in mail.iter_attachments()] == ["IHE_XDM.ZIP", "DOCUMENT.PDF"]
    assert mail["Reply-To"] == "dr@x.mssante.fr"
    assert mail["Disposition-Notification-To"] is None


def test_no_reply() -> None:
    mail = made(no_reply=True, text="Bonjour, ceci est le corps.", tell_reading=True)
    assert mail["X-MSS-MES"] == "FIN"
    assert mail["Reply-To"] is None
    assert mail["Disposition-Notification-To"] == "hub@x.mssante.fr"
    body = mail.get_body()
    assert body is not None
    assert body.get_content().strip() == "Bonjour, ceci est le corps."


def test_a_subject_without_traits() -> None:
    letter = Outgoing(LetterKind.PATIENT, "<a@b.fr>", "x@y.fr", traits=Traits(birth_date="1979"))
    assert subject(letter) == "XDM/1.0/DDM+1979"
