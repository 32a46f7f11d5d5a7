"""Fill a registry quickly with what a region would hold: through the rooms' own rows, without the wires.

Some patients are made with all that is theirs; the others are copies of them, made within the database. Every number
and every id has the same digits somewhere, and they become other ones.
"""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, event, text

from hub.context import Context
from hub.documents.model import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from hub.documents.rows import association_row, entry_row, set_row, terms
from hub.documents.store import ASSOCIATION, ENTRY, SUBMISSION_SET, TERM, UNIQUE_ID
from hub.patients.authorities import AuthorityDirectory
from hub.patients.model import FeedIdentity, Identity, Traits
from hub.patients.service import PatientService
from hub.storage.engine import Database
from hub.storage.migrate import upgrade
from hub.storage.tables import METADATA
from hub.values import Code, PatientIdentifier, new_uid, new_uuid

AFFINITY_DOMAIN = "1.2.250.1.999.1.1"
ACCESSION = "urn:ihe:iti:xds:2013:accession"
PER_PATIENT = 20
PER_SUBMISSION = 4
BLOCK = 50  #: patients that are made, and copied
_MARK = 2718281  #: the digits that every number and id of the first block has
#: Numbers that say which row is meant; those of a copy are that much higher.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "patients_person": ("id",),
    "patients_identity": ("id", "person"),
    "patients_name": ("identity",),
}
#: While filling nothing has to survive a crash, and the indexes should stay in memory.
_HASTE = ("journal_mode=MEMORY", "synchronous=OFF", "cache_size=-1048576", "temp_store=MEMORY")
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_REPOSITORY = "1.2.250.1.999.1.2"
_HOSPITAL = "1.2.250.1.999.8.1"
_NAMES = ("MARTIN", "BERNARD", "DUBOIS", "THOMAS", "ROBERT", "RICHARD", "PETIT", "DURAND", "LEROY", "MOREAU")
_GIVEN = ("MARIE", "JEAN", "PIERRE", "LOUISE", "PAUL", "JEANNE", "LOUIS", "ANNE", "JACQUES", "SOPHIE")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What kind of document it is."""

    title: str
    mime_type: str
    class_code: Code
    type_code: Code
    format_code: Code
    event: Code


def _kind(title: str, mime: str, loinc: str, form: str, event: tuple[str, str, str]) -> _Kind:
    return _Kind(title, mime, _CLASS, Code(loinc, _LOINC, title), Code(form, _FORMATS, form), Code(*event))


_DCM, _LOINC, _FORMATS = "1.2.840.10008.2.16.4", "2.16.840.1.113883.6.1", "1.3.6.1.4.1.19376.1.2.3"
_CLASS = Code("31", "1.2.250.1.213.1.1.4.1", "Imagerie médicale")
_KINDS = (
    _kind("CR d'imagerie médicale", "text/xml", "18748-4", "urn:ihe:rad:CDA:ImagingReport:2013", ("CT", _DCM, "CT")),
    _kind("Scanner thoracique", "application/dicom", "18748-4", "1.2.840.10008.5.1.4.1.1.88.59", ("CT", _DCM, "CT")),
    _kind("IRM cérébrale", "application/dicom", "18748-4", "1.2.840.10008.5.1.4.1.1.88.59", ("MR", _DCM, "MR")),
    _kind("Lettre de sortie", "application/pdf", "18842-5", "urn:ihe:iti:xds-sd:pdf:2008", ("DX", _DCM, "DX")),
)
_FACILITY = Code("SA01", "1.2.250.1.71.4.2.4", "Etablissement public de santé")
_PRACTICE = Code("ETABLISSEMENT", "1.2.250.1.213.1.1.4.9", "Etablissement de santé")
_NORMAL = Code("N", "2.16.840.1.113883.5.25", "Normal")


@dataclass(slots=True)
class _Rows:
    """Rows that wait to be written."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    sets: list[dict[str, Any]] = field(default_factory=list)
    associations: list[dict[str, Any]] = field(default_factory=list)
    unique_ids: list[dict[str, Any]] = field(default_factory=list)
    terms: list[dict[str, Any]] = field(default_factory=list)

    def write(self, connection: Connection) -> None:
        _write(connection, ENTRY, self.entries)
        _write(connection, SUBMISSION_SET, self.sets)
        _write(connection, ASSOCIATION, self.associations)
        _write(connection, UNIQUE_ID, self.unique_ids)
        _write(connection, TERM, self.terms)


def patient_number(index: int) -> str:
    """The regional identifier of the patient with this index."""
    return f"{_MARK + index // BLOCK}{index % BLOCK:03d}"


def fill(url: str, size: int) -> None:
    """Make a migrated database with ``size`` document entries, PER_PATIENT for each of its patients."""
    database = Database(url)
    if database.sqlite:
        event.listen(database.engine, "connect", _hasten)
    upgrade(database)
    patients = PatientService(
        database=database,
        directory=AuthorityDirectory(database=database, configured=(), accept_new=True),
        affinity_domain=AFFINITY_DOMAIN,
        external_index=True,
    )
    choose = random.Random(size)
    count = size // PER_PATIENT
    made = min(count, BLOCK)
    try:
        with database.transaction() as work:
            rows = _Rows()
            for index in range(made):
                patient = PatientIdentifier(patient_number(index), AFFINITY_DOMAIN)
                patients.feed(FeedIdentity(_identity(patient, choose)), Context(source="benchmark"))
                _documents(patient, choose, rows)
            rows.write(work.connection)
        with database.transaction() as work:
            for table in (
                *map(METADATA.tables.__getitem__, _KEYS),
                ENTRY,
                SUBMISSION_SET,
                ASSOCIATION,
                UNIQUE_ID,
                TERM,
            ):
                _copy(work.connection, table, count // made - 1, made)
        with database.transaction() as work:
            if database.sqlite:
                work.connection.exec_driver_sql("ANALYZE")
            else:
                _advance(work.connection)
        if not database.sqlite:
            _settle(database)
    finally:
        database.dispose()


def _advance(connection: Connection) -> None:
    """What is added later gets the numbers behind those that were written."""
    for name in (name for name in _KEYS if "id" in METADATA.tables[name].c):
        if connection.scalar(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": name}):
            connection.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
            )


def _settle(database: Database) -> None:
    """As a registry that has grown over years: else the server would vacuum gigabytes while somebody measures."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM (ANALYZE)")
        connection.exec_driver_sql("CHECKPOINT")


def _copy(connection: Connection, table: Table, copies: int, made: int) -> None:
    """Add so many copies of all rows of a table, which belong to ``made`` patients."""
    names = [f'"{each.name}"' for each in table.c]
    values = []
    for each, name in zip(table.c, names, strict=True):
        if each.name in _KEYS.get(table.name, ()):
            values.append(f"{name} + number * {made}")
        elif each.type.compile(dialect=connection.dialect).startswith("VARCHAR"):
            values.append(f"replace({name}, '{_MARK}', CAST({_MARK} + number AS VARCHAR))")
        else:
            values.append(name)
    numbers = "SELECT 1 AS number WHERE 1 <= :copies UNION ALL SELECT number + 1 FROM numbers WHERE number < :copies"
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) WITH RECURSIVE numbers AS ({numbers})"
    statement += f" SELECT {', '.join(values)} FROM numbers CROSS JOIN {table.name}"
    connection.execute(text(statement), {"copies": copies})


def document(number: str, choose: random.Random) -> DocumentEntry:
    """An entry of the patient with this number, in the registry's form."""
    entry = _entry(PatientIdentifier(number, AFFINITY_DOMAIN), 0, "20250102", choose)
    return replace(entry, id=new_uuid(), unique_id=new_uid())


def submission(number: str, choose: random.Random) -> Submission:
    """A submission of one document of the patient."""
    entry = document(number, choose)
    made = replace(_submission_set(entry.patient_id, "20250102", choose), id=new_uuid(), unique_id=new_uid())
    member = Association(new_uuid(), AssociationType.HAS_MEMBER, made.id, entry.id, submission_set_status="Original")
    return Submission(made, (entry,), (), (member,))


def _identity(patient: PatientIdentifier, choose: random.Random) -> Identity:
    return Identity(
        identifier=patient,
        traits=Traits(
            birth_name=f"{choose.choice(_NAMES)} {choose.choice(_NAMES)}", birth_given=choose.choice(_GIVEN),
            birth_date=f"{choose.randint(1930, 2020)}{choose.randint(1, 12):02d}{choose.randint(1, 28):02d}",
            sex=choose.choice("MF"), birth_place=f"{choose.randint(1001, 95999):05d}",
        ),
    )  # fmt: skip


def _documents(patient: PatientIdentifier, choose: random.Random, rows: _Rows) -> None:
    for first in range(0, PER_PATIENT, PER_SUBMISSION):
        day = f"{choose.randint(2015, 2025)}{choose.randint(1, 12):02d}{choose.randint(1, 28):02d}"
        made = _submission_set(patient, day, choose)
        rows.sets.append(set_row(made, "", _AT))
        rows.unique_ids.append({"value": made.unique_id, "kind": "SubmissionSet", "hash": "", "size": None})
        for number in range(first, first + PER_SUBMISSION):
            entry = _entry(patient, number, day, choose)
            rows.entries.append(entry_row(entry, "", _AT))
            rows.terms += terms(rows.entries[-1])
            rows.unique_ids.append(
                {"value": entry.unique_id, "kind": "DocumentEntry", "hash": entry.hash, "size": entry.size}
            )
            member = Association(
                _uuid(choose), AssociationType.HAS_MEMBER, made.id, entry.id, submission_set_status="Original"
            )
            rows.associations.append(association_row(member))


def _submission_set(patient: PatientIdentifier, day: str, choose: random.Random) -> SubmissionSet:
    return SubmissionSet(
        id=_uuid(choose), unique_id=_uid(choose), source_id="1.2.250.1.999.1.4", patient_id=patient,
        submission_time=f"{day}180000", content_type_code=Code("04", "1.2.250.1.213.2.2", "Hospitalisation"),
        authors=(Author("801234567890^RADIO^Claire^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"),),
    )  # fmt: skip


def _entry(patient: PatientIdentifier, number: int, day: str, choose: random.Random) -> DocumentEntry:
    kind = _KINDS[number % len(_KINDS)]
    unique_id = _uid(choose)
    return DocumentEntry(
        id=_uuid(choose),
        unique_id=unique_id,
        patient_id=patient,
        mime_type=kind.mime_type,
        class_code=kind.class_code,
        type_code=kind.type_code,
        format_code=kind.format_code,
        healthcare_facility_type_code=_FACILITY,
        practice_setting_code=_PRACTICE,
        confidentiality_codes=(_NORMAL,),
        event_codes=(kind.event,),
        authors=(
            Author(
                "801234567890^RADIO^Claire^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS",
                ("CHU DE LA REGION^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1750000001",),
                (),
                ("G15_10/SM44^Radio-diagnostic^1.2.250.1.213.2.28",),
            ),
        ),
        creation_time=f"{day}1015{number:02d}",
        service_start_time=f"{day}100000",
        service_stop_time=f"{day}101000",
        language_code="fr-FR",
        source_patient_id=f"{patient.value}^^^&{_HOSPITAL}&ISO^PI",
        source_patient_info=("PID-5|MARTIN^MARIE^^^^^L", "PID-7|19520316", "PID-8|F"),
        reference_ids=(
            ReferenceId(f"A{patient.value}{number:02d}", "1.2.250.1.999.8.2", "urn:ihe:iti:xds:2013:accession"),
        ),
        title=kind.title,
        hash=f"{_MARK}{hashlib.sha1(unique_id.encode(), usedforsecurity=False).hexdigest()[7:]}",
        size=choose.randint(2_000, 500_000),
        repository_unique_id=_REPOSITORY,
    )


def _hasten(connection: Any, _record: Any) -> None:
    for pragma in _HASTE:
        connection.execute(f"PRAGMA {pragma}")


def _write(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _uuid(choose: random.Random) -> str:
    rest = f"{choose.getrandbits(100):025x}"
    return f"urn:uuid:{_MARK}{rest[0]}-{rest[1:5]}-4{rest[5:8]}-8{rest[8:11]}-{rest[11:23]}"


def _uid(choose: random.Random) -> str:
    return f"2.25.{_MARK}{choose.getrandbits(100)}"
