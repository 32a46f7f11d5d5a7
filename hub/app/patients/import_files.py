"""The files of an import: which form they have, and their records one after the other."""

import codecs
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from hub.app.patients.import_csv import CsvMapping, CsvRows
from hub.context import Context
from hub.errors import HubError
from hub.patients.bulk_errors import ImportFile, ImportRecord
from hub.patients.bulk_model import Entry
from hub.patients.model import FeedIdentity, MergeIdentities
from hub.pipeline.catalogue import Bound, Catalogue
from hub.pipeline.transaction import Hl7
from hub.usecase import Command
from hub.values import PatientIdentifier
from hub.wire.fhir.patient_feed import change_of
from hub.wire.hl7v2.charset import codec_named
from hub.wire.hl7v2.errors import UnknownEvent
from hub.wire.hl7v2.message import Hl7Message

_PIECE = 1 << 20
_LONGEST_MESSAGE = 4 << 20
_LONGEST_LINE = 1 << 20
_NUL = rb"\u0000"  #: in JSON; no database keeps it
_PACKED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf")
_WRAPPERS = (b"FHS", b"BHS", b"BTS", b"FTS")
_DIGITS, _WARNINGS = 12, 100
_TRAILERS = {b"FHS": b"FTS", b"BHS": b"BTS"}


class Format(StrEnum):
    """What a file can be."""

    CSV = "csv"
    HL7 = "hl7"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look through a whole file tells: its digest, its form, whether it is UTF-8, and what to warn of."""

    sha256: bytes
    size: int
    format: Format
    encoding: str
    warnings: tuple[str, ...] = ()


def look(file: Path, form: Format | None, encoding: str) -> Looked:
    """Raises ImportFile."""
    digest, size, utf8 = hashlib.sha256(), 0, codecs.getincrementaldecoder("utf-8")()
    head, good = b"", True
    try:
        with file.open("rb") as handle:
            while piece := handle.read(_PIECE):
                head = head or piece[:4096]
                digest.update(piece)
                size += len(piece)
                if good and not encoding:
                    try:
                        utf8.decode(piece)
                    except UnicodeDecodeError:
                        good = False
    except OSError as error:
        raise ImportFile(f"The file can't be read: {error.strerror}.", location=str(file)) from error
    if head.startswith(_PACKED):
        raise ImportFile("The file is compressed: it must be unpacked before.", location=str(file))
    found = form or _format(head)
    warnings = _counted(file) if found is Format.HL7 else ()
    return Looked(digest.digest(), size, found, _encoding(head, encoding, good=good, file=file), warnings)


def _encoding(head: bytes, given: str, *, good: bool, file: Path) -> str:
    if given:
        try:
            return codecs.lookup(given).name
        except LookupError:
            raise ImportFile(f"There is no character set {given!r}.", location=str(file)) from None
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if good else "cp1252"


def _format(head: bytes) -> Format:
    text = head.removeprefix(codecs.BOM_UTF8).lstrip(b"\x0b\r\n\t ")
    if text[:3] in (b"MSH", *_WRAPPERS):
        return Format.HL7
    return Format.NDJSON if text.startswith(b"{") else Format.CSV


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read. ``catalogue``: for HL7; ``authority``: of numbers without one; ``encoding`` "": as told."""

    catalogue: Catalogue | None
    context: Callable[[], Context]
    authority: str = ""
    encoding: str = ""
    delimiter: str = ""
    mapping: CsvMapping | None = None


class Records:
    """The records of one file, ``handle`` at its start."""

    def __init__(self, handle: io.BufferedReader, looked: Looked, reading: Reading) -> None:
        self.handle = handle
        self.reading = reading
        self._rows, self._decode = self._of(looked)

    def _of(self, looked: Looked) -> tuple[Iterator[tuple[int, Any]], Callable[[Any], Command]]:
        reading = self.reading
        if looked.format is Format.CSV:
            rows = CsvRows(
                self.handle,
                looked.encoding,
                delimiter=reading.delimiter,
                authority=reading.authority,
                mapping=reading.mapping,
            )
            return rows.rows(), rows.decode
        if looked.format is Format.NDJSON:
            return lines(self.handle), PatientLines(reading).decode
        return messages(self.handle), Messages(reading).decode

    def after(self, position: int) -> Iterator[Entry]:
        """The records behind the first ``position`` ones."""
        for number, (line, row) in enumerate(self._rows, 1):
            if number > position:
                yield self._entry(number, line, row)

    def _entry(self, number: int, line: int, row: Any) -> Entry:
        try:
            return Entry(number, line, self._decode(row))
        except HubError as error:
            return Entry(number, line, error=error)


def lines(handle: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank."""
    number = 0
    while True:
        line = handle.readline(_LONGEST_LINE + 1)
        if not line:
            return
        number += 1
        if len(line) > _LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = handle.readline(_LONGEST_LINE)
            yield number, b""  # no JSON: refused
        elif line.strip():
            yield number, line


class PatientLines:
    """FHIR Patient resources, one a line (Bulk Data)."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def decode(self, line: bytes) -> Command:
        """Raises ImportRecord and what the wire raises."""
        if _NUL in line:
            raise ImportRecord("The line holds a control character.")
        try:
            found = orjson.loads(line.removeprefix(codecs.BOM_UTF8))
        except orjson.JSONDecodeError:
            raise ImportRecord("The line is not JSON, or longer than the limit.") from None
        if not isinstance(found, dict) or found.get("resourceType") != "Patient":
            raise ImportRecord("The line is no Patient resource.", location="resourceType")
        return owned(change_of(found), self.reading.authority)


def messages(handle: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """HL7 messages, in batches or plain or in MLLP frames; segments end with CR, LF or both.

    What stands before the first MSH, and is no batch's header, is a record of its own."""
    gathered: list[bytes] = []
    start, size = 1, 0
    for number, segment in _numbered(handle):
        name = segment[:3]
        if (name == b"MSH" or name in _WRAPPERS) and gathered:
            yield start, b"\r".join(gathered)
            gathered, size = [], 0
        if not segment or name in _WRAPPERS:
            continue
        if not gathered:
            start = number
        size += len(segment) + 1
        if size <= _LONGEST_MESSAGE:
            gathered.append(segment)
    if gathered:
        yield start, b"\r".join(gathered)


def _counted(file: Path) -> tuple[str, ...]:
    """Where a trailer's count is not what the file has (BTS-1: messages, FTS-1: batches). Raises ImportFile where a
    header's trailer is missing at the end: what came before it may be missing as well."""
    warnings: list[str] = []
    opened, count = {b"FHS": False, b"BHS": False}, {b"BTS": 0, b"FTS": 0}
    with file.open("rb") as handle:
        for number, segment in _numbered(handle):
            name = segment[:3]
            if name == b"MSH":
                count[b"BTS"] += 1
            elif name in opened:
                opened[name] = True
                count[_TRAILERS[name]] = 0
                count[b"FTS"] += name == b"BHS"
            elif name in count:
                opened.update({b"BHS": False} if name == b"BTS" else dict.fromkeys(opened, False))
                told = segment[4:].split(segment[3:4] or b"|")[0].strip()[:_DIGITS]
                if told.isdigit() and int(told) != count[name] and len(warnings) < _WARNINGS:
                    warnings.append(f"line {number}: {name.decode()}-1 says {int(told)}, the file has {count[name]}")
                count[name] = 0
    missing = next((header for header, still in opened.items() if still), None)
    if missing is not None:
        raise ImportFile(
            f"The file was cut off: {missing.decode()} has no {_TRAILERS[missing].decode()}.", location=str(file)
        )
    return tuple(warnings)


def _numbered(handle: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Segments with their lines, without MLLP's frames and a mark of UTF-8."""
    for number, line in enumerate(_segments(handle), 1):
        segment = line.strip(b"\x0b\x1c\n")
        yield number, segment.removeprefix(codecs.BOM_UTF8) if number == 1 else segment


def _segments(handle: io.BufferedReader) -> Iterator[bytes]:
    rest = b""
    while piece := handle.read(_PIECE):
        piece = rest + piece
        if piece.endswith(b"\r"):  # perhaps half of CR LF
            more = handle.read(1)
            piece += more
        found = piece.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r")
        rest = found.pop()[: _LONGEST_MESSAGE + 1]
        yield from found
    yield rest


class Messages:
    """HL7 messages to the commands of the transactions that feed the index."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._charset = _named(reading.encoding)
        self._events: dict[str, Bound] = {
            event: bound
            for binding, bound in (reading.catalogue.bindings(Hl7) if reading.catalogue is not None else ())
            if bound.transaction.permission == "patients.feed"
            for event in binding.events
        }

    def decode(self, raw: bytes) -> Command:
        """Raises what the wire raises."""
        message = Hl7Message.parse(raw, charset=self._charset)
        bound = self._events.get(message.event)
        if bound is None:
            raise UnknownEvent(location=message.msh.at(9, 2))
        return owned(bound.decode(message, self.reading.context()), self.reading.authority)


def owned(command: Command, authority: str) -> Command:
    """With the import's authority where a number comes without one."""
    if not authority:
        return command
    if isinstance(command, FeedIdentity):
        found = _number(command.identity.identifier, authority)
        return replace(command, identity=replace(command.identity, identifier=found))
    if isinstance(command, MergeIdentities):
        survivor = replace(command.survivor, identifier=_number(command.survivor.identifier, authority))
        return replace(command, survivor=survivor, lost=_number(command.lost, authority))
    return command


def _number(identifier: PatientIdentifier, authority: str) -> PatientIdentifier:
    return identifier if identifier.authority or identifier.namespace else replace(identifier, authority=authority)


def _named(encoding: str) -> str:
    if not encoding:
        return ""
    try:
        return codec_named(encoding)
    except LookupError:
        raise ImportFile("No character set that can carry HL7 v2.", location="--encoding") from None
