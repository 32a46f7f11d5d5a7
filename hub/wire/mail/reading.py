"""What comes back: delivery reports (RFC 3464), reading reports (RFC 8098), error mails of recipients' systems.

Hostile by assumption: bounded before it is parsed, nothing attached is ever opened, and what is told of it afterwards
are codes of a fixed form."""

import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import compat32, default

from hub.mail.model import Notification, Outcome
from hub.wire.mail.errors import MailBeyondLimits, MailUnreadable

MAX_BYTES = 1024 * 1024
MAX_PARTS = 40
MAX_DEPTH = 6
_HEADERS = 64 * 1024
_BOUNDARIES, _BLANKS = 400, 5000  #: each may become an object

_CONTAINERS = re.compile(rb"multipart/|message/", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}>")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_KO = re.compile(r"\[\s*KO\s+Int[ée]gration\s+syst[èe]me\s*!?\s*\]\s*(?:\[([^\]]{0,80})\])?", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_ACTIONS = {
    "delivered": Outcome.DELIVERED,
    "relayed": Outcome.DELIVERED,
    "expanded": Outcome.DELIVERED,
    "delayed": Outcome.DELAYED,
    "failed": Outcome.FAILED,
}


def read_notifications(raw: bytes) -> tuple[Notification, ...]:
    """What a mail reports; empty: it is an ordinary letter. Raises MailUnreadable, MailBeyondLimits."""
    if len(raw) > MAX_BYTES or len(_CONTAINERS.findall(raw)) > MAX_PARTS:
        raise MailBeyondLimits()
    lines = raw.replace(b"\r\n", b"\n")
    if len(lines.partition(b"\n\n")[0]) > _HEADERS:
        raise MailBeyondLimits()
    if lines.count(b"\n--") > _BOUNDARIES or lines.count(b"\n\n") > _BLANKS:
        raise MailBeyondLimits()
    try:
        ko = _not_integrated(raw)
        if ko is not None:
            return (ko,)
        mail = BytesParser(policy=compat32).parsebytes(raw)
        if mail.get_content_type() != "multipart/report":
            return ()
        parts = list(_parts(mail, 0))
    except (MessageError, RecursionError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise MailUnreadable() from error
    if len(parts) > MAX_PARTS:
        raise MailBeyondLimits()
    for part in parts:
        if part.get_content_type() == "message/delivery-status":
            return tuple(_delivery(part, parts))
        if part.get_content_type() == "message/disposition-notification":
            return tuple(_disposition(part))
    return ()


def _not_integrated(raw: bytes) -> Notification | None:
    headers = BytesHeaderParser(policy=default).parsebytes(raw)
    found = _KO.search(str(headers.get("Subject", "")))
    if found is None:
        return None
    original = _id(str(headers.get("In-Reply-To", ""))) or _id(str(headers.get("References", "")))
    return Notification(Outcome.NOT_INTEGRATED, original, code=_code(found[1] or "")) if original else None


def _parts(mail: Message, depth: int) -> Iterator[Message]:
    """The mail and what is in it; what a report quotes is not gone through."""
    if depth > MAX_DEPTH:
        raise MailBeyondLimits()
    yield mail
    if mail.get_content_maintype() == "multipart":
        for part in _blocks(mail):
            yield from _parts(part, depth + 1)


def _blocks(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [item for item in payload if isinstance(item, Message)] if isinstance(payload, list) else []


def _delivery(report: Message, parts: list[Message]) -> Iterator[Notification]:
    blocks = _blocks(report)  # the first is about the message, each other one about a recipient
    envelope = str(blocks[0].get("Original-Envelope-Id", "")).strip()[:100] if blocks else ""
    original = _original(parts)
    for block in blocks[1:]:
        outcome = _ACTIONS.get(str(block.get("Action", "")).strip().lower().split(" ")[0])
        if outcome is None or not (original or envelope):
            continue
        status = _STATUS.search(str(block.get("Status", "")))
        recipient = _address(block, "Original-Recipient") or _address(block, "Final-Recipient")
        yield Notification(outcome, original, envelope, recipient, status[1] if status else "")


def _original(parts: list[Message]) -> str:
    """Message-ID of what the report gives back, whole or its headers only."""
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/rfc822" and _blocks(part):
            return _id(str(_blocks(part)[0].get("Message-ID", "")))
        if kind in ("text/rfc822-headers", "message/rfc822-headers"):
            text = part.get_payload(decode=True)
            if isinstance(text, bytes):
                return _id(str(BytesHeaderParser(policy=compat32).parsebytes(text).get("Message-ID", "")))
    return ""


def _disposition(part: Message) -> Iterator[Notification]:
    fields = _fields(part)
    if fields is None:
        return
    original = _id(str(fields.get("Original-Message-ID", "")))
    mode, _, kind = str(fields.get("Disposition", "")).partition(";")
    kind = kind.strip().lower().split("/")[0].split(",")[0]
    if not original or not mode:
        return
    outcome = Outcome.READ if kind == "displayed" else Outcome.NOT_READ
    recipient = _address(fields, "Original-Recipient") or _address(fields, "Final-Recipient")
    yield Notification(outcome, original, recipient=recipient, code=_code(kind))


def _fields(part: Message) -> Message | None:
    """The fields of a disposition notification: a body that looks like headers."""
    blocks = _blocks(part)
    if blocks and blocks[0].keys():
        return blocks[0]
    text = blocks[0].get_payload() if blocks else part.get_payload()
    if not isinstance(text, str):
        return None
    return BytesHeaderParser(policy=compat32).parsebytes(text.lstrip().encode("ascii", "replace"))


def _address(fields: Message, name: str) -> str:
    """``rfc822; box@domain``."""
    _, _, address = str(fields.get(name, "")).partition(";")
    return address.strip().strip("<>")[:254]


def _id(text: str) -> str:
    found = _MESSAGE_ID.search(text[:2000])
    return found[0] if found else ""


def _code(text: str) -> str:
    return _UNSAFE.sub("", text)[:40]
