"""Logs: one JSON object a line with a correlation id, and never a patient's data.

The hub's own messages are safe by convention (HubError messages are). Of foreign packages only the warning's place is
told, not its text (pydicom and pynetdicom quote element values), and of exceptions the frames and the type: the text
only when it is a HubError's.
"""

import json
import logging
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

from hub.errors import HubError

#: Set at the edge for each request; copied into the threads that work on it.
correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")

OURS = ("hub", "profiles", "connectors")
TRUSTED = ("uvicorn.error", "alembic")  #: their texts hold addresses and revisions only
_EXTRA = ("transaction", "source", "peer", "code", "destination", "role", "milliseconds", "status", "method", "route")

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(level: str = "INFO", form: str = "json") -> None:
    """Everything to standard error, from a level on, as ``json`` or ``text``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    for name in TRUSTED:  # they tell every start and every revision
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": safe_message(record),
        }
        identifier = getattr(record, "correlation_id", "") or correlation_id.get()
        if identifier:
            line["correlation_id"] = identifier
        line |= {name: getattr(record, name) for name in _EXTRA if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = safe_exception(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, an exception's frames below."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        identifier = getattr(record, "correlation_id", "") or correlation_id.get()
        line = f"{at} {record.levelname:<7} {record.name}: {safe_message(record)}"
        line += f" [{identifier}]" if identifier else ""
        if record.exc_info:
            line += "\n" + "\n".join(safe_exception(record.exc_info))
        return line


def safe_message(record: logging.LogRecord) -> str:
    """The text of our own messages; of foreign ones only where they come from."""
    if record.name.split(".")[0] in OURS or record.name in TRUSTED or record.name.startswith("alembic."):
        return record.getMessage()
    return f"a message of {record.name} ({record.module}:{record.lineno}), its text withheld"


def safe_exception(raised: Raised) -> list[str]:
    """Frames and type of each exception in the chain, the first cause first, without its text."""
    lines: list[str] = []
    error = raised[1]
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = f": {error.message}" if isinstance(error, HubError) else ""
        frames = [
            f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ]
        lines[:0] = [f"{type(error).__module__}.{type(error).__qualname__}{text}", *frames]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines
