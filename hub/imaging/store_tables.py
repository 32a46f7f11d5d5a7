"""Tables of the study index, of orders and of reports."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from hub.imaging.model import StudyState
from hub.storage.tables import KeyText, UtcDateTime


class StudyRow(SQLModel, table=True):
    """One study at one source: what lists and searches need as columns, the whole beside them as JSON."""

    __tablename__ = "imaging_study"
    __table_args__ = (
        Index("ix_imaging_study_person", "person_authority", "person", "started"),
        Index("ix_imaging_study_patient", "patient_authority", "patient_id"),
    )

    source: str = Field(sa_type=KeyText, primary_key=True)
    study_instance_uid: str = Field(sa_type=KeyText, primary_key=True, index=True)
    person: str = Field(default="", sa_type=KeyText)
    person_authority: str = ""
    patient_id: str = Field(default="", sa_type=KeyText)
    patient_authority: str = ""
    report_patient: str = Field(default="", index=True)  # a held study waits for this identity, CX
    accession_number: str = Field(default="", sa_type=KeyText, index=True)
    started: str = Field(default="", sa_type=KeyText, index=True)
    modalities: str = ""  # |CT|SR|
    description: str = ""
    patient_name: str = ""  # folded, for search
    patient_birth_date: str = ""
    series_count: int = 0
    instance_count: int = 0
    state: str = Field(default=StudyState.INDEXED.value, index=True)
    held_because: str = ""
    manifest_id: str = ""
    manifest_entry: str = ""  # entryUUID
    manifest_digest: str = ""
    manifest_version: int = 0
    manifest_patient: str = ""  # whom the manifest names: regional identifier and number, CX
    order_number: str = ""
    updated_at: datetime = Field(sa_type=UtcDateTime)
    summary: str = Field(sa_type=Text)
    series: str = Field(default="[]", sa_type=Text)


class OrderRow(SQLModel, table=True):
    """An order, by its placer number within the source that sent it."""

    __tablename__ = "imaging_order"

    source: str = Field(sa_type=KeyText, primary_key=True)
    number: str = Field(sa_type=KeyText, primary_key=True)
    patient_id: str
    patient_authority: str
    filler_number: str = ""
    accession_number: str = Field(default="", sa_type=KeyText, index=True)
    accession_issuer: str = ""
    study_instance_uid: str = Field(default="", sa_type=KeyText, index=True)
    control: str = "NW"
    procedure_code: str = ""
    procedure_scheme: str = ""
    procedure_meaning: str = ""
    modality: str = ""
    requested_at: str = ""
    requester: str = ""
    updated_at: datetime = Field(sa_type=UtcDateTime)


class ReportRow(SQLModel, table=True):
    """A report; its bytes are in the content store."""

    __tablename__ = "imaging_report"

    id: str = Field(primary_key=True)
    document_id: str = Field(sa_type=KeyText, index=True)
    set_id: str = Field(default="", sa_type=KeyText, index=True)
    source: str = ""
    patient_id: str
    patient_authority: str
    status: str
    state: str  # waiting, published, replaced, withdrawn
    content: str = Field(index=True)
    mime_type: str = "text/xml"
    placer_number: str = Field(default="", sa_type=KeyText, index=True)
    filler_number: str = ""
    accession_number: str = Field(default="", sa_type=KeyText, index=True)
    study_instance_uid: str = Field(default="", sa_type=KeyText, index=True)
    title: str = ""
    author: str = ""
    institution: str = ""
    created: str = ""
    entry: str = ""  # entryUUID once registered
    replaces: str = ""  # document_id of the one whose place it takes
    masks: str = ""  # codes of TRE_A07, joined by |
    received_at: datetime = Field(sa_type=UtcDateTime)


STUDY = StudyRow.__table__  # type: ignore[attr-defined]
ORDER = OrderRow.__table__  # type: ignore[attr-defined]
REPORT = ReportRow.__table__  # type: ignore[attr-defined]
