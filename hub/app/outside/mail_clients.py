"""The mail servers: SMTP to hand letters over, IMAP to fetch what came back; TLS with our certificate on both."""

import imaplib
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hub.app.settings.mail import MailBox, MailServer
from hub.mail.errors import MailMisconfigured, MailTooLarge, MailUnavailable, MessageRefused, RecipientRefused
from hub.wire.mail.reading import MAX_BYTES

_STATUS = re.compile(rb"\b([245]\.\d{1,3}\.\d{1,3})\b")
_MOST = 100  #: mails of one look
_TOO_LARGE = (552, 523)
_FULL = "5.2.2"  #: RFC 3463: the recipient's box, not the mail, is the reason (a 552 as well)


class Relay:
    """Hands mails to a server (RFC 5321), each to one recipient."""

    def __init__(self, server: MailServer, tls: Callable[[], ssl.SSLContext], timeout: float) -> None:
        self.server = server
        self.tls = tls
        self.timeout = timeout

    def send(self, mail: bytes, sender: str, recipient: str, *, envelope: str, tell_delivery: bool) -> None:
        """Hand it over, with what is to be reported (RFC 3461) where the server offers that.

        Raises MailUnavailable, MailMisconfigured, RecipientRefused, MessageRefused, MailTooLarge."""
        try:
            with self._connected() as smtp:
                self._hand_over(smtp, mail, sender, recipient, envelope, tell_delivery=tell_delivery)
        except ssl.SSLCertVerificationError as error:
            raise MailMisconfigured("The mail server's certificate is not trusted.") from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailMisconfigured("The mail server offers no STARTTLS.") from error
        except (smtplib.SMTPServerDisconnected, OSError) as error:  # SMTPException is an OSError
            if isinstance(error, smtplib.SMTPResponseException):
                refusal = MessageRefused if isinstance(error, smtplib.SMTPDataError) else MailMisconfigured
                _check((error.smtp_code, _bytes(error.smtp_error)), refusal)
            raise MailUnavailable() from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        host, number = self.server.host, self.server.number
        if self.server.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, number, timeout=self.timeout, context=self.tls())
        else:
            smtp = smtplib.SMTP(host, number, timeout=self.timeout)
        try:
            if self.server.security == "starttls":
                _check(smtp.starttls(context=self.tls()), MailMisconfigured)
            _check(smtp.ehlo(), MailMisconfigured)
            yield smtp
            with suppress(smtplib.SMTPException, OSError):  # it has the mail: how it says goodbye changes nothing
                smtp.quit()
        finally:
            smtp.close()

    @staticmethod
    def _hand_over(
        smtp: smtplib.SMTP, mail: bytes, sender: str, recipient: str, envelope: str, *, tell_delivery: bool
    ) -> None:
        reports = smtp.has_extn("dsn")
        options = [f"SIZE={len(mail)}"] if smtp.has_extn("size") else []
        if reports:
            options += ["RET=HDRS", f"ENVID={envelope}"]
        _check(smtp.mail(sender, options), MailMisconfigured)
        notify = "SUCCESS,FAILURE,DELAY" if tell_delivery else "FAILURE,DELAY"
        # xtext (RFC 3461: 4): "+" and "=" are written as hexadecimal.
        original = recipient.replace("+", "+2B").replace("=", "+3D")
        told = [f"NOTIFY={notify}", f"ORCPT=rfc822;{original}"] if reports else []
        _check(smtp.rcpt(recipient, told), RecipientRefused)
        _check(smtp.data(mail), MessageRefused)


def _check(answer: tuple[int, bytes], refusal: type[Any]) -> None:
    """A reply of the server: 4xx may change by itself, 5xx does not."""
    code, text = answer
    if 200 <= code < 300:
        return
    status = _STATUS.search(_bytes(text))
    told = status[1].decode() if status else str(code)
    if 400 <= code < 500 or code <= 0:
        raise MailUnavailable(told=told)
    if told == _FULL:
        raise RecipientRefused(told=told)
    if code in _TOO_LARGE:
        raise MailTooLarge(told=told)
    raise refusal(told=told)


def _bytes(text: bytes | str) -> bytes:
    return text.encode("ascii", "replace") if isinstance(text, str) else text


class Mailbox:
    """The hub's own box (RFC 9051 as far as imaplib knows it)."""

    def __init__(self, box: MailBox, tls: Callable[[], ssl.SSLContext], timeout: float) -> None:
        self.box = box
        self.tls = tls
        self.timeout = timeout

    def look(self, read: Callable[[bytes], bool]) -> int:
        """Show ``read`` what is new; what it knows as a report is marked as seen, everything else (too large as well)
        is flagged and left for people. How many were reports. Raises MailUnavailable."""
        try:
            with self._opened() as imap:
                return sum(self._one(imap, number, read) for number in self._new(imap))
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise MailUnavailable("The hub's own box can't be looked into.") from error

    @contextmanager
    def _opened(self) -> Iterator[imaplib.IMAP4_SSL]:
        imap = imaplib.IMAP4_SSL(self.box.host, self.box.port, ssl_context=self.tls(), timeout=self.timeout)
        try:
            if self.box.password_file is not None:
                imap.login(self.box.login, self.box.password_file.read_text().strip())
            else:
                imap.authenticate("EXTERNAL", lambda _: self.box.login.encode())
            status, _ = imap.select(_quoted(self.box.folder))
            if status != "OK":
                raise imaplib.IMAP4.error("no such folder")
            yield imap
        finally:
            with suppress(imaplib.IMAP4.error, OSError):
                imap.logout()

    @staticmethod
    def _new(imap: imaplib.IMAP4_SSL) -> list[str]:
        status, found = imap.uid("SEARCH", "UNSEEN", "UNFLAGGED")
        if status != "OK":
            raise imaplib.IMAP4.error("nothing was looked for")
        numbers = (found[0] or b"").decode("ascii").split()
        return [number for number in numbers if number.isdecimal()][:_MOST]

    @staticmethod
    def _one(imap: imaplib.IMAP4_SSL, number: str, read: Callable[[bytes], bool]) -> bool:
        status, found = imap.uid("FETCH", number, f"(BODY.PEEK[]<0.{MAX_BYTES + 1}>)")  # one octet too many: too large
        if status != "OK":
            return False  # not given now: neither seen nor flagged, so that the next look sees it
        raw = next((item[1] for item in found if isinstance(item, tuple)), b"")
        known = bool(raw) and read(raw)
        imap.uid("STORE", number, "+FLAGS", "(\\Seen)" if known else "(\\Flagged)")
        return known


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
