"""A submission out of a file, options and a metadata file: every attribute that the standard wants has a value."""

import hashlib
import json
import locale
import mimetypes
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.documents.model import Association, AssociationType, Author, DocumentEntry, ReferenceId, Submission
from hub.documents.model import SubmissionSet as Set
from hub.errors import Invalid
from hub.values import Code, PatientIdentifier, new_uid, new_uuid, now

#: How a document can stand to one that is there already -> the association's type (ITI TF-3: 4.2.2).
RELATIONS = {
    "replace": AssociationType.REPLACE,
    "append": AssociationType.APPEND,
    "transform": AssociationType.TRANSFORM,
}
_LOINC = "2.16.840.1.113883.6.1"
_UNKNOWN = Code("UNK", "2.16.840.1.113883.5.1008", "Unknown")
_NOTE = Code("34109-9", _LOINC, "Note")
#: What an attribute is where nobody says it.
CODES: Mapping[str, Code] = {
    "class": _NOTE,
    "type": _NOTE,
    "format": Code("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "MimeType sufficient"),
    "facility": _UNKNOWN,
    "practice": _UNKNOWN,
    "content-type": _NOTE,
}
_NORMAL = Code("N", "2.16.840.1.113883.5.25", "normal")
#: Keys of a metadata file, which are the options' names; lists are allowed where an option may be repeated.
SINGLE = (
    *("patient", "source-patient", "title", "comments", "mime", "language", "created", "service-start"),
    *("service-stop", "unique-id", "source-id", "author-person", "repository-id", "set-title", *CODES),
)
SEVERAL = ("confidentiality", "event", "author-institution", "author-role", "author-specialty", "reference", *RELATIONS)
_MIME = {".xml": "text/xml", ".cda": "text/xml", ".dcm": "application/dicom", ".json": "application/json"}


class MetadataFile(Invalid):
    """The metadata file can't be read, or has a key or a value that it may not have."""

    code = "metadata-file"
    title = "The metadata file is not readable."


class SubmissionOption(Invalid):
    """A value for a submission can't be read; ``location`` is its name."""

    code = "submission-option"
    title = "A value is not valid."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A submission and the file that goes with it."""

    submission: Submission
    file: Path

    @property
    def entry(self) -> DocumentEntry:
        """The document's metadata."""
        return self.submission.entries[0]


def read_metadata(file: Path) -> dict[str, Any]:
    """The keys of a TOML or JSON file. Raises MetadataFile."""
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise MetadataFile(location=str(file)) from error
    if not isinstance(found, dict):
        raise MetadataFile("The metadata file must hold keys and values.", location=str(file))
    values: dict[str, Any] = {}
    for key, value in found.items():
        name = key.replace("_", "-")
        if name not in (*SINGLE, *SEVERAL):
            raise MetadataFile(f"The metadata file may not have the key {key!r}.", location=key[:80])
        rows = value if isinstance(value, list) else [value]
        if not all(isinstance(row, str) for row in rows) or (name in SINGLE and len(rows) != 1):
            raise MetadataFile(f"The value of {key!r} must be text.", location=key[:80])
        values[name] = rows if name in SEVERAL else rows[0]
    return values


def prepare(file: Path, given: Mapping[str, Any], *, domain: str = "") -> Prepared:
    """The submission of one file. ``given``: by option name; ``domain`` completes a bare number.

    Raises SubmissionOption."""
    try:
        content = file.stat()
        sha1 = hashlib.sha1(usedforsecurity=False)
        with file.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                sha1.update(chunk)
    except OSError as error:
        raise SubmissionOption(f"The file can't be read: {error.strerror}.", location="file") from error
    patient = patient_of(given.get("patient", ""), domain)
    codes = {name: _code(name, given[name]) if given.get(name) else usual for name, usual in CODES.items()}
    author = Author(
        given.get("author-person", ""),
        tuple(given.get("author-institution", ())),
        tuple(given.get("author-role", ())),
        tuple(given.get("author-specialty", ())),
    )
    authors = (author,) if author != Author() else ()
    entry = DocumentEntry(
        id=new_uuid(),
        unique_id=given.get("unique-id") or new_uid(),
        patient_id=patient,
        mime_type=given.get("mime") or mime_type(file),
        class_code=codes["class"] if given.get("class") or not given.get("type") else codes["type"],
        type_code=codes["type"],
        format_code=codes["format"],
        healthcare_facility_type_code=codes["facility"],
        practice_setting_code=codes["practice"],
        confidentiality_codes=_codes("confidentiality", given) or (_NORMAL,),
        event_codes=_codes("event", given),
        authors=authors,
        creation_time=given.get("created") or _dtm(datetime.fromtimestamp(content.st_mtime, UTC)),
        service_start_time=given.get("service-start", ""),
        service_stop_time=given.get("service-stop", ""),
        language_code=given.get("language") or language(),
        source_patient_id=_cx(given.get("source-patient", "")) or patient.cx,
        reference_ids=tuple(ReferenceId("", cxi=text) for text in given.get("reference", ())),
        title=given.get("title") or file.stem[:128],
        comments=given.get("comments", ""),
        hash=sha1.hexdigest(),
        size=content.st_size,
        repository_unique_id=given.get("repository-id", ""),
    )
    holder = Set(
        id=new_uuid(),
        unique_id=new_uid(),
        source_id=given.get("source-id") or "2.25.96912434153843285716391742263087443",
        patient_id=patient,
        submission_time=_dtm(now()),
        content_type_code=codes["content-type"] if given.get("content-type") else entry.type_code,
        authors=authors,
        title=given.get("set-title", ""),
    )
    member = Association(new_uuid(), AssociationType.HAS_MEMBER, holder.id, entry.id, submission_set_status="Original")
    relations = tuple(_relations(entry.id, given))
    return Prepared(Submission(holder, (entry,), (), (member, *relations)), file)


def _relations(entry_id: str, given: Mapping[str, Any]) -> Iterable[Association]:
    for name, kind in RELATIONS.items():
        for target in given.get(name, ()):
            yield Association(new_uuid(), kind, entry_id, uuid_of(target))


def uuid_of(text: str) -> str:
    """An entryUUID, with or without its prefix, as the standard writes it."""
    return text if text.startswith("urn:") else f"urn:uuid:{text.lower()}"


def patient_of(text: str, domain: str) -> PatientIdentifier:
    """``number^^^&oid&ISO``, ``number^^^oid``, or a number of the affinity domain. Raises SubmissionOption."""
    number, _, authority = text.strip().partition("^^^")
    authority = authority or domain
    if not number or not authority:
        raise SubmissionOption(
            "A patient is number^^^&oid&ISO, or a number of the affinity domain that --sandbox tells.",
            location="patient",
        )
    try:
        return PatientIdentifier.from_cx(f"{number}^^^{authority if '&' in authority else f'&{authority}&ISO'}")
    except Invalid as error:
        raise SubmissionOption(error.message, location="patient") from error


def _cx(text: str) -> str:
    return patient_of(text, "").cx if text else ""


def code_of(name: str, text: str) -> Code:
    """``code^display^scheme`` or ``code^^scheme``. Raises SubmissionOption."""
    return _code(name, text)


def _code(name: str, text: str) -> Code:
    parts = text.split("^")
    if len(parts) != 3 or not parts[0] or not parts[2]:
        raise SubmissionOption("A code is code^display^scheme or code^^scheme.", location=name)
    return Code(parts[0], parts[2], parts[1] or parts[0])


def _codes(name: str, given: Mapping[str, Any]) -> tuple[Code, ...]:
    return tuple(_code(name, text) for text in given.get(name, ()))


def mime_type(file: Path) -> str:
    """What the file's name says."""
    return _MIME.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def language() -> str:
    """Of whoever sits there: a language tag."""
    name = (locale.getlocale()[0] or "").partition(".")[0]
    parts = name.replace("_", "-").split("-")
    known = len(parts) == 2 and len(parts[0]) in (2, 3) and parts[0].isalpha() and len(parts[1]) == 2
    return "-".join(parts) if known else "en-US"


def _dtm(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y%m%d%H%M%S")
