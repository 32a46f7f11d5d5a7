"""Tables and queries of the imaging room: the study index, orders, reports."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row

from hub.imaging import codec
from hub.imaging.model import FindStudies, IndexedStudy, Order, Study, StudyState
from hub.imaging.store_tables import ORDER, REPORT, STUDY
from hub.storage.arrays import listed, one_of
from hub.storage.columns import json_text
from hub.storage.engine import UnitOfWork
from hub.storage.prepared import Prepared, ask
from hub.values import PatientIdentifier, new_key, now

_LISTED = [column for column in STUDY.c if column.name != "series"]
#: Which of several numbers any study bears: every message about a patient asks, few have images.
_BORNE = {
    "postgresql": """
        SELECT a.text FROM unnest(CAST(:values AS text[]), CAST(:authorities AS text[]), CAST(:texts AS text[]))
        AS a(value, authority, text)
        WHERE EXISTS (SELECT 1 FROM imaging_study WHERE patient_id = a.value AND patient_authority = a.authority)
        OR EXISTS (SELECT 1 FROM imaging_study WHERE person = a.value AND person_authority = a.authority)
        OR EXISTS (SELECT 1 FROM imaging_study WHERE report_patient = a.text)
    """,
    "sqlite": """
        SELECT a.value->>2 FROM json_each(:numbers) AS a
        WHERE EXISTS (SELECT 1 FROM imaging_study WHERE patient_id = a.value->>0 AND patient_authority = a.value->>1)
        OR EXISTS (SELECT 1 FROM imaging_study WHERE person = a.value->>0 AND person_authority = a.value->>1)
        OR EXISTS (SELECT 1 FROM imaging_study WHERE report_patient = a.value->>2)
    """,
}
_BEARS = Prepared(lambda dialect: text(_BORNE[dialect]))
_STUDIES = Prepared(lambda dialect: select(*_LISTED).where(one_of(STUDY.c.study_instance_uid, "uids", dialect)))
_STUDIES_DEEP = Prepared(lambda dialect: select(*STUDY.c).where(one_of(STUDY.c.study_instance_uid, "uids", dialect)))
_REPORT_IDS = Prepared(
    lambda dialect: (
        select(REPORT.c.study_instance_uid, REPORT.c.document_id)
        .where(one_of(REPORT.c.study_instance_uid, "uids", dialect), REPORT.c.state == "published")
        .order_by(REPORT.c.received_at)
    )
)
_SOURCES = Prepared(
    lambda _dialect: (
        select(STUDY.c.source)
        .where(
            STUDY.c.study_instance_uid == bindparam("uid"),
            STUDY.c.state != StudyState.ORDERED.value,
            STUDY.c.state != StudyState.WITHDRAWN.value,
        )
        .order_by(STUDY.c.instance_count.desc(), STUDY.c.source)
    )
)
#: Columns that narrow further keys down; whoever asks looks again at what was found.
_TEXTS = {"AccessionNumber": STUDY.c.accession_number, "StudyDescription": STUDY.c.description}
_RANGES = {"PatientBirthDate": STUDY.c.patient_birth_date, "StudyTime": func.substr(STUDY.c.started, 9, 6)}
_UNKNOWN = "imaging:unknown"  #: note of a unit of work: numbers that no study bears, until studies change


class ImagingStore:
    """The room's rows, within one unit of work."""

    def __init__(self, work: UnitOfWork) -> None:
        self._notes = work.notes
        self._connection = work.connection

    # studies

    def index(self, study: Study, authority: str, person: PatientIdentifier | None) -> None:
        """Insert the study, or bring its row up to date; state and manifest of a known one stay."""
        self._notes.pop(_UNKNOWN, None)
        values = _study_values(study, authority, person)
        here = _at(study.source, study.study_instance_uid)
        known = self._connection.execute(select(STUDY.c.state).where(here).with_for_update()).scalar()
        if known is None and self.place(study, authority, person):
            return
        if known == StudyState.ORDERED.value:
            values["state"] = StudyState.INDEXED.value
        self._connection.execute(update(STUDY).where(here).values(values))

    def place(self, study: Study, authority: str, person: PatientIdentifier | None) -> bool:
        """Insert the study; False when its row is there already, changing nothing."""
        values = _study_values(study, authority, person)
        values |= {"source": study.source, "study_instance_uid": study.study_instance_uid}
        return self._inserted(values | _defaults(STUDY, values) | {"state": StudyState.INDEXED.value})

    def _inserted(self, values: Mapping[str, Any]) -> bool:
        """Whether the study's row is new; another unit of work may have been faster."""
        self._notes.pop(_UNKNOWN, None)
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(STUDY).values(values).on_conflict_do_nothing().returning(STUDY.c.source)
        return self._connection.execute(statement).first() is not None

    def change(self, source: str, study_instance_uid: str, **values: Any) -> None:
        """Set columns of one study."""
        self._notes.pop(_UNKNOWN, None)
        values["updated_at"] = now()
        self._connection.execute(update(STUDY).where(_at(source, study_instance_uid)).values(values))

    def row(self, source: str, study_instance_uid: str) -> Row[Any] | None:
        """The columns of one study without its series, locked until the end of the unit of work."""
        here = _at(source, study_instance_uid)
        return self._connection.execute(select(*_LISTED).where(here).with_for_update()).one_or_none()

    def studies(self, uids: Sequence[str], *, deep: bool = False) -> list[IndexedStudy]:
        """Every source's row of these studies, newest first; with series and instances where ``deep``."""
        if not uids:
            return []
        statement, columns = (_STUDIES_DEEP, list(STUDY.c)) if deep else (_STUDIES, _LISTED)
        values = {"uids": listed(self._connection, list(uids))}
        rows, told = ask(self._connection, [(statement, values), (_REPORT_IDS, values)])
        reports: dict[str, tuple[str, ...]] = {}
        for uid, document_id in told:
            reports[uid] = (*reports.get(uid, ()), document_id)
        names = [column.name for column in columns]
        named = [dict(zip(names, row, strict=True)) for row in rows]
        found = [_indexed(row, reports.get(row["study_instance_uid"], ())) for row in named]
        return sorted(found, key=lambda item: (item.study.started, item.study.study_instance_uid), reverse=True)

    def find(self, query: FindStudies, persons: Sequence[PatientIdentifier]) -> tuple[list[str], int]:
        """StudyInstanceUIDs of the page, newest first, and how many there are in all; ``keys`` are met roughly."""
        where = and_(*_criteria(query, persons))
        newest = func.max(STUDY.c.started)
        page = (
            select(STUDY.c.study_instance_uid)
            .where(where)
            .group_by(STUDY.c.study_instance_uid)
            .order_by(newest.desc(), STUDY.c.study_instance_uid.desc())
            .limit(query.limit)
            .offset(query.offset)
        )
        uids = list(self._connection.execute(page).scalars())
        if not query.offset and len(uids) < query.limit:
            return uids, len(uids)
        total = self._connection.execute(
            select(func.count(STUDY.c.study_instance_uid.distinct())).where(where)
        ).scalar_one()
        return uids, total

    def held(self, reasons: Collection[str], limit: int, offset: int) -> tuple[list[IndexedStudy], int]:
        """A page of the studies that are held back for one of the reasons, the oldest first, and how many there are."""
        where = and_(STUDY.c.state == StudyState.HELD.value, STUDY.c.held_because.in_(reasons))
        total = self._connection.execute(select(func.count()).select_from(STUDY).where(where)).scalar_one()
        order = (STUDY.c.updated_at, STUDY.c.source, STUDY.c.study_instance_uid)
        page = select(*_LISTED).where(where).order_by(*order).limit(limit).offset(offset)
        rows = self._connection.execute(page).all() if limit and total > offset else []
        return [_indexed(row._asdict(), ()) for row in rows], total

    def sources_of(self, study_instance_uid: str) -> list[str]:
        """Names of the sources that hold the study."""
        return [name for (name,) in _SOURCES.rows(self._connection, {"uid": study_instance_uid})]

    def of_identifiers(self, identifiers: Iterable[PatientIdentifier]) -> list[Row[Any]]:
        """Studies whose images, report or person bear one of the identifiers."""
        numbers = [(item.value, item.authority) for item in identifiers]
        if not self._borne(numbers):
            return []
        texts = [_text(*number) for number in numbers]
        same = [
            and_(column == value, authority_column == authority)
            for value, authority in numbers
            for column, authority_column in (
                (STUDY.c.patient_id, STUDY.c.patient_authority),
                (STUDY.c.person, STUDY.c.person_authority),
            )
        ]
        return list(
            self._connection.execute(select(*_LISTED).where(or_(*same, STUDY.c.report_patient.in_(texts)))).all()
        )

    def look(self, identifiers: Iterable[PatientIdentifier]) -> None:
        """Many will be asked for in this unit of work: see at once which of them no study bears."""
        numbers = {(item.value, item.authority) for item in identifiers}
        self._notes[_UNKNOWN] = numbers - self._borne(numbers)

    def _borne(self, numbers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of the numbers that a study bears."""
        asked = [(*number, _text(*number)) for number in numbers if number not in self._notes.get(_UNKNOWN, ())]
        if not asked:
            return set()
        if self._connection.dialect.name == "postgresql":
            values, authorities, texts = map(list, zip(*asked, strict=True))
            rows = _BEARS.rows(self._connection, {"values": values, "authorities": authorities, "texts": texts})
        else:
            rows = _BEARS.rows(self._connection, {"numbers": json_text(asked)})
        borne = {row[0] for row in rows}
        return {(value, authority) for value, authority, cx in asked if cx in borne}

    # orders

    def keep_order(self, order: Order) -> None:
        """Insert or update the order."""
        number = order.placer_number or order.filler_number or order.accession_number
        here = and_(ORDER.c.source == order.source, ORDER.c.number == number)
        values: dict[str, Any] = {
            "patient_id": order.patient.value,
            "patient_authority": order.patient.authority,
            "filler_number": order.filler_number,
            "accession_number": order.accession_number,
            "accession_issuer": order.accession_issuer,
            "study_instance_uid": order.study_instance_uid,
            "control": order.control,
            "procedure_code": order.procedure[0],
            "procedure_scheme": order.procedure[1],
            "procedure_meaning": order.procedure[2],
            "modality": order.modality,
            "requested_at": order.requested_at,
            "requester": order.requester,
        }
        known = self._connection.execute(select(ORDER.c.number).where(here).with_for_update()).scalar()
        if known is None:
            values |= {"source": order.source, "number": number, "updated_at": now()}
            self._connection.execute(insert(ORDER).values(values))
        else:  # a later message that leaves a field empty does not take it away
            kept = {name: value for name, value in values.items() if value}
            self._connection.execute(update(ORDER).where(here).values(kept | {"updated_at": now()}))

    def orders(
        self, *, study_instance_uid: str = "", accession_number: str = "", number: str = "", authority: str = ""
    ) -> list[Row[Any]]:
        """Orders known by any of these, of patients of the authority where one is given."""
        either = [
            column == value
            for column, value in (
                (ORDER.c.study_instance_uid, study_instance_uid),
                (ORDER.c.accession_number, accession_number),
                (ORDER.c.number, number),
                (ORDER.c.filler_number, number),
            )
            if value
        ]
        if not either:
            return []
        query = select(ORDER).where(or_(*either)).order_by(ORDER.c.updated_at.desc())
        if authority:
            query = query.where(ORDER.c.patient_authority == authority)
        return list(self._connection.execute(query).all())

    # reports

    def keep_report(self, values: Mapping[str, Any]) -> str:
        """Insert the report, or update the row of the same document and bytes. Returns the row's id."""
        same = and_(REPORT.c.document_id == values["document_id"], REPORT.c.content == values["content"])
        known = self._connection.execute(select(REPORT.c.id).where(same).with_for_update()).scalar()
        if known is not None:
            kept = {name: value for name, value in values.items() if name not in ("state", "received_at")}
            self._connection.execute(update(REPORT).where(REPORT.c.id == known).values(kept))
            return str(known)
        key = new_key()
        self._connection.execute(insert(REPORT).values({"id": key, "entry": "", **values}))
        return key

    def change_report(self, key: str, **values: Any) -> None:
        """Set columns of one report."""
        self._connection.execute(update(REPORT).where(REPORT.c.id == key).values(values))

    def report(self, key: str) -> Row[Any] | None:
        """One report's row."""
        return self._connection.execute(select(REPORT).where(REPORT.c.id == key)).one_or_none()

    def reports(
        self, *, study_instance_uid: str = "", accession_number: str = "", authority: str = ""
    ) -> list[Row[Any]]:
        """Reports of a study, or of an accession number within an authority, oldest first."""
        either: list[ColumnElement[bool]] = []
        if study_instance_uid:
            either.append(REPORT.c.study_instance_uid == study_instance_uid)
        if accession_number:
            unnamed = and_(REPORT.c.accession_number == accession_number, REPORT.c.study_instance_uid == "")
            either.append(and_(unnamed, REPORT.c.patient_authority == authority) if authority else unnamed)
        if not either:
            return []
        query = select(REPORT).where(or_(*either)).order_by(REPORT.c.received_at, REPORT.c.id)
        return list(self._connection.execute(query).all())

    def knows_content(self, address: str) -> bool:
        """Whether a report has these bytes."""
        return (
            self._connection.execute(select(REPORT.c.id).where(REPORT.c.content == address).limit(1)).first()
            is not None
        )

    def forget_order(self, source: str, study_instance_uid: str) -> None:
        """Remove the placeholder of an order that was cancelled before there was any image."""
        ordered = STUDY.c.state == StudyState.ORDERED.value
        self._connection.execute(delete(STUDY).where(_at(source, study_instance_uid), ordered))

    def forget_orders(self, study_instance_uid: str) -> None:
        """Remove a study's placeholders of orders, wherever they were: its images have come."""
        here = and_(STUDY.c.study_instance_uid == study_instance_uid, STUDY.c.state == StudyState.ORDERED.value)
        self._connection.execute(delete(STUDY).where(here))


def _study_values(study: Study, authority: str, person: PatientIdentifier | None) -> dict[str, Any]:
    return {
        "person": person.value if person else "",
        "person_authority": person.authority if person else "",
        "patient_id": study.patient_id,
        "patient_authority": study.issuer or authority,
        "accession_number": study.accession_number,
        "started": study.started,
        "modalities": f"|{'|'.join(study.modalities)}|",
        "description": study.description,
        "patient_name": codec.fold(study.patient_name.split("=")[0]),
        "patient_birth_date": study.patient_birth_date,
        "series_count": len(study.series) or study.series_count or 0,
        "instance_count": sum(1 for _ in study.instances) or study.instance_count or 0,
        "updated_at": now(),
        "summary": codec.dump_summary(study),
        "series": codec.dump_series(study.series),
    }


def _text(value: str, authority: str) -> str:
    return f"{value}^^^&{authority}&ISO"


def _at(source: str, study_instance_uid: str) -> ColumnElement[bool]:
    return and_(STUDY.c.source == source, STUDY.c.study_instance_uid == study_instance_uid)


def _defaults(table: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column.name: 0 if column.name.endswith(("_count", "_version")) else ""
        for column in table.c
        if column.name not in given
    }


def _criteria(query: FindStudies, persons: Sequence[PatientIdentifier]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [STUDY.c.state != StudyState.WITHDRAWN.value]
    if query.person is not None:
        same = [and_(STUDY.c.person == item.value, STUDY.c.person_authority == item.authority) for item in persons]
        found.append(or_(False, *same))
    for column, value in (
        (STUDY.c.accession_number, query.accession_number),
        (STUDY.c.patient_birth_date, query.patient_birth_date),
    ):
        if value:
            found.append(column == value)
    if query.study_instance_uids:
        found.append(STUDY.c.study_instance_uid.in_(query.study_instance_uids))
    if query.sources:
        found.append(STUDY.c.source.in_(query.sources))
    if query.modalities:
        found.append(or_(*(STUDY.c.modalities.contains(f"|{item}|", autoescape=True) for item in query.modalities)))
    if query.started_from:
        found.append(STUDY.c.started >= query.started_from)
    if query.started_to:
        found.append(and_(STUDY.c.started <= f"{query.started_to[:8]}~", STUDY.c.started != ""))
    if query.patient_name:
        found.append(STUDY.c.patient_name.like(_like(codec.fold(query.patient_name)), escape="/"))
    for keyword, wanted in query.keys:
        if keyword in _TEXTS:
            found.append(_roughly(_TEXTS[keyword], wanted))
        elif keyword in _RANGES:
            start, dash, end = wanted.partition("-")
            found += [_RANGES[keyword] != "", _RANGES[keyword] >= start]
            found += [_RANGES[keyword] <= f"{end if dash else start}~"] if end or not dash else []
    return found


def _roughly(column: ColumnElement[str], wanted: str) -> ColumnElement[bool]:
    """Who can meet the key: databases differ in the case of letters beyond ASCII, so anything may stand for those."""
    plain = "".join(letter if letter.isascii() else "*" for letter in wanted.lower())
    return func.lower(column).like(_like(plain), escape="/")


def _like(text: str) -> str:
    """DICOM wildcards (PS3.4: C.2.2.2.4) as a LIKE pattern."""
    for character in "/%_":
        text = text.replace(character, f"/{character}")
    return text.replace("*", "%").replace("?", "_")


def _indexed(row: Mapping[str, Any], report_ids: tuple[str, ...]) -> IndexedStudy:
    study = codec.load_study(row["summary"], row.get("series", "[]"))
    return IndexedStudy(
        study=replace(study, series_count=row["series_count"], instance_count=row["instance_count"]),
        person=PatientIdentifier(row["person"], row["person_authority"]) if row["person"] else None,
        state=StudyState(row["state"]),
        held_because=row["held_because"],
        manifest_id=row["manifest_id"],
        report_ids=report_ids,
        order_number=row["order_number"],
        updated_at=row["updated_at"],
    )
