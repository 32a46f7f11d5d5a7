"""End to end: ORU -> SMTP with a client certificate -> LMTP -> IMAP; packages read by others, reports sent back."""

import email
import hashlib
import io
import smtplib
import ssl
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import default
from pathlib import Path

import pytest
from lxml import etree

from hub.access.model import Principal, Scheme
from hub.app.keys import pki
from hub.context import Context
from hub.errors import NotFound
from hub.mail.by_hand import LettersByHand
from hub.mail.errors import LetterNotFound
from hub.mail.hand_model import Draft, SendLetter
from hub.mail.model import LetterKind, OpenAwaiting, RetryLetter
from hub.storage.engine import Database
from tests.mail.place import BOTH, BOX, DOCTOR, DOCTOR_ONLY, LOCAL, PDF, Place, mails, place
from tests.mail.post import HUB, NOBODY, Post, answers, dovecot, smtp_server

RIM = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
Pair = tuple[Post, int]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with dovecot(tmp_path_factory.mktemp("post")) as made:
        yield made


@pytest.fixture
def post(pair: Pair) -> Iterator[Post]:
    pair[0].envelopes.clear()
    with smtp_server(*pair):
        yield pair[0]


@pytest.fixture
def here(database: Database, tmp_path: Path, post: Post) -> Iterator[Place]:
    made = place(database, tmp_path, post, notices={"host": "127.0.0.1", "port": post.smtp},
                 notice_address="ne-pas-repondre@maillage.example.org")  # fmt: skip
    yield made
    made.close()


def of(post: Post, address: str, message_id: str) -> EmailMessage:
    """The mail in somebody's box."""
    read = [email.message_from_bytes(raw, policy=default) for raw in mails(post, address)]
    return next(mail for mail in read if mail["Message-ID"] == message_id)


def sent(post: Post) -> dict[str, EmailMessage]:
    """By recipient: what the server took."""
    return {
        envelope.rcpt_tos[0]: email.message_from_bytes(envelope.original_content or b"", policy=default)
        for envelope in post.envelopes
    }


def mdn(original: str, recipient: str) -> bytes:
    """A reading report as a professional's mail program makes it (RFC 8098)."""
    report = MIMEMultipart("report", report_type="disposition-notification")
    report["From"], report["To"], report["Subject"] = recipient, HUB, "Lu"
    report.attach(MIMEText("Votre message a été affiché.", "plain", "utf-8"))
    fields = MIMEBase("message", "disposition-notification")
    inner = email.message_from_string(
        f"Reporting-UA: cabinet; logiciel 1.0\nOriginal-Recipient: rfc822;{recipient}\n"
        f"Final-Recipient: rfc822;{recipient}\nOriginal-Message-ID: {original}\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n"
    )
    fields.attach(inner)
    report.attach(fields)
    return report.as_bytes()


def dsn(envelope: str, recipient: str, action: str, status: str) -> bytes:
    """A delivery report as a server makes it (RFC 3464)."""
    return (
        f"From: <>\r\nTo: {HUB}\r\nSubject: Report\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.example\r\nOriginal-Envelope-Id: {envelope}\r\n\r\n"
        f"Original-Recipient: rfc822;{recipient}\r\nFinal-Recipient: rfc822;{recipient}\r\n"
        f"Action: {action}\r\nStatus: {status}\r\n\r\n--b--\r\n"
    ).encode()


def test_a_report_goes_to_doctor_and_patient_and_is_read(here: Place, post: Post) -> None:
    here.qualify()
    unique_id = here.oru(BOTH, DOCTOR, BOX)
    assert here.states() == {"professional": "waiting", "patient": "waiting"}
    here.work()
    assert here.states() == {"professional": "sent", "patient": "sent"}
    assert any(item == (("commonName", "hub"),) for item in post.certificates[-1]["subject"])

    taken = sent(post)
    mail = of(post, DOCTOR, taken[DOCTOR]["Message-ID"])
    assert mail["Subject"].startswith("XDM/1.0/DDM+")
    assert mail["Subject"].endswith("DURAND ELODIE 27/03/1979")
    assert mail["Disposition-Notification-To"] == HUB
    assert "X-MSS-MES" not in mail
    attached = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
    assert attached["DOCUMENT.PDF"] == PDF
    _package_is_whole(attached["IHE_XDM.ZIP"], unique_id)
    options = next(item for item in post.envelopes if item.rcpt_tos == [DOCTOR]).rcpt_options
    assert "NOTIFY=SUCCESS,FAILURE,DELAY" in options
    assert of(post, BOX, taken[BOX]["Message-ID"])["X-MSS-MES"] == "FIN"

    envelope = mail["Message-ID"].strip("<>").partition("@")[0]
    assert f"ENVID={envelope}" in options
    post.deliver(dsn(envelope, DOCTOR, "delivered", "2.1.5"), HUB)
    assert here.hub.look() == 1
    assert here.states() == {"professional": "delivered", "patient": "sent"}
    post.deliver(mdn(mail["Message-ID"], DOCTOR), HUB)
    post.deliver(mdn(taken[BOX]["Message-ID"], DOCTOR), HUB)  # somebody else can't have read it
    assert here.hub.look() == 1
    assert here.states() == {"professional": "read", "patient": "sent"}
    post.deliver(dsn(envelope, DOCTOR, "delivered", "2.1.5"), HUB)
    assert here.hub.look() == 1
    assert here.states()["professional"] == "read"  # a late delivery report takes nothing back
    assert not any(letter.recipient for letter in here.letters() if letter.kind == "patient")


def _packed(raw: object) -> list[str]:
    """The uniqueIds of what a package holds, each with the bytes that its metadata tell of."""
    assert isinstance(raw, bytes)
    found = []
    with zipfile.ZipFile(io.BytesIO(raw)) as package:
        metadata = etree.fromstring(package.read("IHE_XDM/SUBSET01/METADATA.XML"))
        assert len(list(metadata.iter(f"{RIM}RegistryPackage"))) == 1
        for item in metadata.iter(f"{RIM}ExtrinsicObject"):
            slots = {slot.get("name"): slot.findtext(f".//{RIM}Value") for slot in item.iterfind(f"{RIM}Slot")}
            document = package.read(f"IHE_XDM/SUBSET01/{slots['URI']}")
            assert slots["hash"] == hashlib.sha1(document, usedforsecurity=False).hexdigest()
            root = etree.fromstring(document).find("{urn:hl7-org:v3}id")
            assert root is not None
            found.append(root.get("root", ""))
    return found


def _package_is_whole(raw: object, unique_id: str) -> None:
    assert isinstance(raw, bytes)
    with zipfile.ZipFile(io.BytesIO(raw)) as package:
        metadata = etree.fromstring(package.read("IHE_XDM/SUBSET01/METADATA.XML"))
        slots = {
            item.get("name"): item.findtext(f".//{RIM}Value")
            for item in metadata.iterfind(f".//{RIM}ExtrinsicObject/{RIM}Slot")
        }
        document = package.read(f"IHE_XDM/SUBSET01/{slots['URI']}")
    assert slots["hash"] == hashlib.sha1(document, usedforsecurity=False).hexdigest()
    assert slots["size"] == str(len(document))
    root = etree.fromstring(document).find("{urn:hl7-org:v3}id")
    assert root is not None
    assert root.get("root") == unique_id


def test_several_documents_by_hand_in_one_mail(here: Place, post: Post) -> None:
    here.qualify()
    unique_ids = (here.oru({}), here.oru({}))
    here.work()
    person = here.rooms.patients.resolve(LOCAL)
    assert person is not None
    hand = LettersByHand(here.hub.service, here.rooms.documents)
    draft = Draft(person, unique_ids, (DOCTOR,), to_patient=True, tell_reading=True)
    author = Principal("dr", "Dr Anne MARTIN", Scheme.SESSION, person=True, permissions=frozenset({"*"}))
    assert len(hand.send(SendLetter(draft, "page"), Context(principal=author))) == 2
    here.work()
    assert here.states() == {"professional": "sent", "patient": "sent"}
    taken = sent(post)
    assert set(taken) == {DOCTOR, BOX}
    for box in taken:
        mail = of(post, box, taken[box]["Message-ID"])
        assert mail["Subject"].endswith("(+ 1) DURAND ELODIE 27/03/1979")
        attached = {part.get_filename(): part.get_payload(decode=True) for part in mail.iter_attachments()}
        assert (attached["DOCUMENT.PDF"], attached["DOCUMENT2.PDF"]) == (PDF, PDF)
        assert _packed(attached["IHE_XDM.ZIP"]) == list(unique_ids)
        body = mail.get_body()
        assert body is not None
        assert "2 documents médicaux" in body.get_content()
    original = taken[DOCTOR]["Message-ID"]
    post.deliver(dsn(original.strip("<>").partition("@")[0], DOCTOR, "delivered", "2.1.5"), HUB)
    assert here.hub.look() == 1
    assert here.states() == {"professional": "delivered", "patient": "sent"}
    post.deliver(mdn(original, DOCTOR), HUB)
    assert here.hub.look() == 1
    assert here.states() == {"professional": "read", "patient": "sent"}


@pytest.mark.parametrize(
    ("status", "word", "said"), [("D", "retiré", "Merci de ne plus l'utiliser"), ("C", "remplacé", "plus récente")]
)
def test_former_recipients_hear_that_a_document_does_not_stand(
    here: Place, post: Post, status: str, word: str, said: str
) -> None:
    here.qualify()
    series = f"1.2.250.7.8.{ord(status)}"
    unique_id = here.oru(BOTH, DOCTOR, document_id=f"{series}.1", set_id=series)
    here.work()
    first = {box: mail["Message-ID"] for box, mail in sent(post).items()}
    assert set(first) == {DOCTOR, BOX}
    post.envelopes.clear()
    again = unique_id if status == "D" else f"{series}.2"
    here.oru({}, status=status, document_id=again, set_id=series)
    for _ in range(2):  # told once, however often the worker looks
        here.work()
    told = sent(post)
    assert (set(told), len(post.envelopes)) == ({DOCTOR, BOX}, 2)
    for box, original in first.items():
        mail = of(post, box, told[box]["Message-ID"])
        assert mail["Subject"] == f"Un document envoyé a été {word}"
        assert (mail["In-Reply-To"], mail["References"]) == (original, original)
        assert (mail["Auto-Submitted"], mail["X-MSS-MES"], mail["From"]) == ("auto-generated", "FIN", HUB)
        assert not list(mail.iter_attachments())
        assert said in mail.get_content()
        text = mail.as_string().replace(BOX, "")
        assert not [secret for secret in ("DURAND", "ELODIE", "1979", unique_id, "imagerie") if secret in text]
        envelope = next(item for item in post.envelopes if item.rcpt_tos == [box])
        assert "NOTIFY=FAILURE,DELAY" in envelope.rcpt_options
    # It is followed like any letter: the doctor's server gives it back.
    post.deliver(dsn(told[DOCTOR]["Message-ID"].strip("<>").partition("@")[0], DOCTOR, "failed", "5.2.1"), HUB)
    assert here.hub.look() == 1
    states = [item.state.value for item in here.letters() if item.kind is LetterKind.WITHDRAWAL]
    assert sorted(states) == ["refused", "sent"]


def test_a_system_that_could_not_take_it_in_says_so(here: Place, post: Post) -> None:
    here.qualify()
    here.oru(DOCTOR_ONLY, DOCTOR)
    here.work()
    error = EmailMessage()
    error["From"], error["To"] = DOCTOR, HUB
    error["Subject"] = "[KO Intégration système !][PATIENT_INCONNU]"
    error["In-Reply-To"] = sent(post)[DOCTOR]["Message-ID"]
    error.set_content("Le patient n'est pas connu.")
    post.deliver(error.as_bytes(), HUB)
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = DOCTOR, HUB, "Merci"
    letter.set_content("Bonjour")
    post.deliver(letter.as_bytes(), HUB)
    post.deliver(b"Subject: x\r\n\r\n" + (b"A" * 70 + b"\r\n") * 17_000, HUB)
    assert here.hub.look() == 1
    assert here.states() == {"professional": "refused: integration-refused"}
    assert here.letters()[0].detail == "PATIENT_INCONNU"
    assert here.hub.look() == 0  # what is for people, or too large, is left, and not fetched again


def test_a_refused_recipient_is_seen_and_not_tried_again(here: Place, post: Post) -> None:
    here.qualify()
    here.oru(DOCTOR_ONLY, NOBODY)
    here.work()
    assert here.states() == {"professional": "refused: recipient-refused"}
    assert here.letters()[0].detail == "5.1.1"
    here.work()
    assert here.letters()[0].attempts == 1
    here.desk.retry(RetryLetter(here.letters()[0].id), Context())
    here.work()
    assert here.letters()[0].attempts == 2
    assert not post.envelopes


def test_who_has_no_secure_box_gets_a_notice_without_patient_data(here: Place, post: Post) -> None:
    here.qualify()
    unique_id = here.oru(DOCTOR_ONLY, "jean.martin@example.org")
    here.work()
    assert here.states() == {"notice": "sent"}
    raw = post.envelopes[0].content
    assert isinstance(raw, bytes)
    assert not [word for word in (b"DURAND", b"ELODIE", b"1979", unique_id.encode(), b"imagerie") if word in raw]
    mail = sent(post)["jean.martin@example.org"]
    text = mail.get_content()
    link = next(line for line in text.splitlines() if line.startswith("https://hub.example/portal/awaiting/"))
    token = link.rpartition("/")[2]
    found = here.desk.awaiting(OpenAwaiting(token), Context())
    assert found.unique_id == unique_id
    assert here.states() == {"notice": "sent"}
    here.desk.awaiting(OpenAwaiting(token, read=True), Context())
    assert here.states() == {"notice": "read"}
    for wrong in (token[:-1], "x", ""):
        with pytest.raises(LetterNotFound):
            here.desk.awaiting(OpenAwaiting(wrong), Context())
    with here.rooms.exchange.database.transaction() as work:
        work.connection.exec_driver_sql("UPDATE mail_letter SET token_ends_at = created_at")
    with pytest.raises(NotFound):
        here.desk.awaiting(OpenAwaiting(token), Context())


def test_a_server_that_is_down_is_waited_for(database: Database, tmp_path: Path, pair: Pair) -> None:
    post, lmtp = pair
    assert not answers(post.smtp)
    made = place(database, tmp_path, post)
    try:
        made.qualify()
        made.oru(DOCTOR_ONLY, DOCTOR)
        made.work()
        assert made.states() == {"professional": "waiting: unavailable"}
        with smtp_server(post, lmtp):
            made.work()
        assert made.states() == {"professional": "sent"}
    finally:
        made.close()


def test_the_server_wants_our_certificate(database: Database, tmp_path: Path, post: Post) -> None:
    context = ssl.create_default_context(cafile=str(post.pki / "ca.crt"))
    with pytest.raises((smtplib.SMTPException, OSError)):
        _hello(post, context)
    stranger = place(database, tmp_path, post, ca=_stranger(tmp_path))
    try:
        stranger.qualify()
        stranger.oru(DOCTOR_ONLY, DOCTOR)
        stranger.work()
        assert stranger.states() == {"professional": "held: misconfigured"}
    finally:
        stranger.close()


def _hello(post: Post, context: ssl.SSLContext) -> None:
    with smtplib.SMTP("127.0.0.1", post.smtp, timeout=60) as client:
        client.starttls(context=context)
        client.sendmail(HUB, [DOCTOR], b"Subject: x\r\n\r\n")


def _stranger(directory: Path) -> Path:
    return pki.init(directory / "stranger")
