"""A package of documents: metadata, index, read-me, and every document under a name that any medium can hold."""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import IO

from hub import __version__
from hub.documents.model import Association, AssociationType, Author, DocumentEntry, Submission, SubmissionSet
from hub.values import Code, PatientIdentifier, new_uid, new_uuid, now
from hub.wire.ebxml.submissions import write_submission
from hub.wire.xdm.errors import PackageInvalid
from hub.wire.xml import serialise

SUBSET = "IHE_XDM/SUBSET01"
#: ISO 9660 level 1: eight characters and three (ITI TF-2: 3.32.4.1.2.1).
_SUFFIXES = {
    "application/pdf": "PDF",
    "application/dicom": "DCM",
    "text/plain": "TXT",
    "text/xml": "XML",
    "application/xml": "XML",
    "image/jpeg": "JPG",
    "image/png": "PNG",
    "application/fhir+json": "JSN",
}
_CHUNK = 256 * 1024
_SHARING = Code("34133-9", "2.16.840.1.113883.6.1", "Summary of episode note")


@dataclass(frozen=True, slots=True)
class PackedDocument:
    """A document to pack: its metadata, and where its bytes are."""

    entry: DocumentEntry
    path: Path


def write_package(
    out: IO[bytes],
    documents: Sequence[PackedDocument],
    patient: PatientIdentifier,
    *,
    source_id: str,
    institution: str,
    contact: str = "",
    unique_id: str = "",
) -> None:
    """The package as a zip file: one new submission set about one patient. Raises PackageInvalid when it is empty.

    ``contact``: how to reach ``institution``, for whoever gets the package. ``unique_id``: of the submission set."""
    if not documents:
        raise PackageInvalid("There is no document to export.")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        entries = []
        for number, document in enumerate(documents, 1):
            name = f"DOC{number:05}.{_SUFFIXES.get(document.entry.mime_type, 'BIN')}"
            entries.append(_packed(archive, document, name))
        submission = _submission(entries, patient, source_id, institution, unique_id or new_uid())
        archive.writestr(f"{SUBSET}/METADATA.XML", serialise(write_submission(submission)))
        archive.writestr("INDEX.HTM", _index(entries, institution))
        archive.writestr("README.TXT", _readme(institution, contact))


def _packed(archive: zipfile.ZipFile, document: PackedDocument, name: str) -> DocumentEntry:
    sha1, size = hashlib.sha1(usedforsecurity=False), 0
    with document.path.open("rb") as file, archive.open(f"{SUBSET}/{name}", "w", force_zip64=True) as packed:
        while chunk := file.read(_CHUNK):
            sha1.update(chunk)
            size += len(chunk)
            packed.write(chunk)
    # What belongs to this registry and repository stays here; the package's own names are fresh.
    return replace(
        document.entry,
        id=new_uuid(),
        logical_id="",
        uri=name,
        hash=sha1.hexdigest(),
        size=size,
        repository_unique_id="",
        home="",
        availability="",
    )


def _submission(
    entries: Sequence[DocumentEntry], patient: PatientIdentifier, source_id: str, institution: str, unique_id: str
) -> Submission:
    holder = SubmissionSet(
        id=new_uuid(),
        unique_id=unique_id,
        source_id=source_id,
        patient_id=patient,
        submission_time=now().strftime("%Y%m%d%H%M%S"),
        content_type_code=_SHARING,
        authors=(Author(institutions=(institution.translate(str.maketrans("^&|~\\", "     ")),)),)
        if institution
        else (),
    )
    members = [
        Association(new_uuid(), AssociationType.HAS_MEMBER, holder.id, entry.id, submission_set_status="Original")
        for entry in entries
    ]
    return Submission(holder, tuple(replace(entry, patient_id=patient) for entry in entries), (), tuple(members))


def _index(entries: Iterable[DocumentEntry], institution: str) -> str:
    rows = "".join(
        f'<li><a href="{SUBSET}/{entry.uri}">{escape(entry.title or entry.uri)}</a> '
        f"{escape(entry.type_code.display if entry.type_code else '')} {escape(entry.creation_time[:8])}</li>\n"
        for entry in entries
    )
    return (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.0//EN" "http://www.w3.org/TR/xhtml-basic/xhtml-basic10.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en"><head>'
        '<meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />'
        "<title>Documents</title></head>\n"
        f"<body><h1>{escape(institution or 'Documents')}</h1>\n"
        f'<ul>\n{rows}</ul>\n<p><a href="README.TXT">README.TXT</a></p></body></html>\n'
    )


def _readme(institution: str, contact: str) -> str:
    """Nothing of it is about the patient (ITI TF-2: 3.32.4.1.2.2). With a byte order mark where it is not ASCII."""
    text = (
        f"{institution or 'Institution: not stated.'}\r\n"
        f"Contact: {contact or 'whoever handed this package over.'}\r\n\r\n"
        "Clinical documents as IHE XDM (ITI-32) packs them.\r\n"
        f"INDEX.HTM lists them for a browser. {SUBSET}/METADATA.XML describes them for systems.\r\n\r\n"
        f"Written by Maillage {__version__}. The institution above operates it and answers for it.\r\n"
    )
    return text if text.isascii() else f"\ufeff{text}"
