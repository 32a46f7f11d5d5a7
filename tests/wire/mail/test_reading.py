"""Reports that come back, and what a stranger may send instead: within bounds, never opened, never believed further."""

import io
import zipfile
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import HubError
from hub.mail.model import Notification, Outcome
from hub.wire.mail.errors import MailBeyondLimits
from hub.wire.mail.reading import MAX_BYTES, read_notifications

HEAD = "From: <>\r\nTo: hub@x.fr\r\nSubject: Report\r\nMIME-Version: 1.0\r\n"


def report(kind: str, *parts: tuple[str, str]) -> bytes:
    body = "".join(f"--b\r\nContent-Type: {name}\r\n\r\n{text}\r\n" for name, text in parts)
    return f'{HEAD}Content-Type: multipart/report; report-type={kind}; boundary="b"\r\n\r\n{body}--b--\r\n'.encode()


STATUS = "Reporting-MTA: dns; x\r\n{envelope}\r\n{recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"


def status(action: str, code: str, *, envelope: str = "Original-Envelope-Id: abc\r\n") -> str:
    recipient = "Final-Recipient: rfc822; a@x.fr"
    return STATUS.format(envelope=envelope, recipient=recipient, action=action, status=code)


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("delivered", Outcome.DELIVERED),
        ("RELAYED", Outcome.DELIVERED),
        ("failed", Outcome.FAILED),
        ("delayed (for 4 hours)", Outcome.DELAYED),
    ],
)
def test_delivery_reports(action: str, outcome: Outcome) -> None:
    raw = report("delivery-status", ("text/plain", "x"), ("message/delivery-status", status(action, "5.1.1 (no)")))
    assert read_notifications(raw) == (Notification(outcome, "", "abc", "a@x.fr", "5.1.1"),)


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers"])
def test_the_original_is_known_by_what_is_given_back(kind: str) -> None:
    parts = ("message/delivery-status", status("failed", "5.0.0", envelope="")), (kind, "Message-ID: <a@b>\r\n\r\nx")
    assert [item.message_id for item in read_notifications(report("delivery-status", *parts))] == ["<a@b>"]


@pytest.mark.parametrize(
    ("disposition", "outcome"),
    [
        ("manual-action/MDN-sent-manually; displayed", Outcome.READ),
        ("automatic-action/MDN-sent-automatically; deleted", Outcome.NOT_READ),
        ("manual-action/MDN-sent-manually; displayed/error", Outcome.READ),
    ],
)
def test_reading_reports(disposition: str, outcome: Outcome) -> None:
    text = f"Final-Recipient: rfc822;a@x.fr\r\nOriginal-Message-ID: <a@b>\r\nDisposition: {disposition}\r\n"
    raw = report("disposition-notification", ("text/plain", "x"), ("message/disposition-notification", text))
    (found,) = read_notifications(raw)
    assert (found.outcome, found.message_id, found.recipient) == (outcome, "<a@b>", "a@x.fr")


def test_error_mails() -> None:
    mail = EmailMessage()
    mail["Subject"] = "[KO Intégration système !][<script>E 42]"
    mail["References"] = "<a@b>"
    mail.set_content("x")
    assert read_notifications(mail.as_bytes()) == (Notification(Outcome.NOT_INTEGRATED, "<a@b>", code="scriptE42"),)
    del mail["References"]
    assert read_notifications(mail.as_bytes()) == ()


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(100_000_000))
    return file.getvalue()


def test_a_package_that_comes_is_not_opened() -> None:
    mail = EmailMessage()
    mail["Subject"] = "XDM/1.0/DDM"
    mail.set_content("x")
    mail.add_attachment(bomb(), "application", "zip", filename="IHE_XDM.ZIP")
    assert read_notifications(mail.as_bytes()) == ()


def nested(depth: int) -> bytes:
    text = "Content-Type: text/plain\r\n\r\nx\r\n"
    for number in range(depth):
        text = f'Content-Type: multipart/report; boundary="b{number}"\r\n\r\n--b{number}\r\n{text}--b{number}--\r\n'
    return (HEAD + text).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: x\r\n\r\n" + b"x" * MAX_BYTES,
        b"X: y\r\n" * 20_000 + b"\r\nx",
        nested(10),
        nested(3000),
        report("delivery-status", *[("text/plain", "x")] * 500),
        report("delivery-status", *[("text/plain", "x")] * 100),
        report("delivery-status", ("message/delivery-status", "A: b\r\n\r\n" * 50_000)),
        HEAD.encode() + b"Content-Type: message/rfc822\r\n\r\n" * 5000,
    ],
    ids=["large", "headers", "nested", "deep", "parts", "many", "blocks", "letters"],
)
def test_what_is_beyond_the_limits_is_left(raw: bytes) -> None:
    with pytest.raises(MailBeyondLimits):
        read_notifications(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        report("disposition-notification", ("message/disposition-notification", "")),
        report("disposition-notification", ("message/disposition-notification", "Disposition: ; displayed\r\n")),
        report("delivery-status", ("message/delivery-status", "")),
        report("delivery-status", ("message/delivery-status", status("failed", "5.0.0", envelope=""))),
        report("delivery-status", ("message/delivery-status", status("exploded", "5.0.0"))),
        b"Content-Type: multipart/report\r\n\r\nno boundary",
        b"Subject: =?x-none?q?=5BKO?=\r\n\r\nx",
    ],
)
def test_what_reports_nothing_is_a_letter(raw: bytes) -> None:
    assert read_notifications(raw) == ()


@given(st.binary(max_size=400), st.sampled_from([b"", b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n"]))
def test_any_bytes(raw: bytes, head: bytes) -> None:
    try:
        read_notifications(head + raw)
    except HubError:
        return
