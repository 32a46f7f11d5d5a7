"""Syslog messages of audit messages: RFC 5424, and their frames on TCP with TLS (RFC 5425)."""

import re
from datetime import UTC, datetime

#: facility 10 (security/authorization), severity 5 (notice): what ITI TF-2: 3.20.4.1.2 wants.
PRIORITY = 10 * 8 + 5
MESSAGE_ID = "IHE+RFC-3881"
_NOT_PRINTABLE = re.compile(r"[^!-~]")


def syslog_message(message: bytes, at: datetime, *, host: str, application: str, process: str) -> bytes:
    """One syslog message: header, no structured data, BOM, the audit message."""
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    header = " ".join((
        f"<{PRIORITY}>1", time, _name(host, 255), _name(application, 48), _name(process, 128), MESSAGE_ID, "-",
    ))  # fmt: skip
    return header.encode() + b" \xef\xbb\xbf" + message


def frame(message: bytes) -> bytes:
    """The message with its length before it (RFC 5425: 4.3)."""
    return b"%d %s" % (len(message), message)


def _name(text: str, longest: int) -> str:
    return _NOT_PRINTABLE.sub("_", text)[:longest] or "-"
