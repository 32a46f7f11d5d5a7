"""ORU^R01 and MDM that carry reports: the documents of OBX-5, and what message and CDA header say of them together.

RAD TF-2: 4.28; CI-SIS volet Transmission de documents CDA en HL7 v2 (CISIS_CDA_HL7_V2 2.1), whose rules are in
``transmission``.
"""

from dataclasses import replace

from hub.imaging.model import Report
from hub.values import PatientIdentifier
from hub.wire import cda
from hub.wire.hl7v2 import transmission
from hub.wire.hl7v2.datatypes import dtm, xcn
from hub.wire.hl7v2.errors import DataTypeError, FieldMissing, Hl7Invalid, SegmentMissing, TableValueUnknown
from hub.wire.hl7v2.message import Hl7Message, Segment
from hub.wire.hl7v2.orders import Embedded, embedded, report_numbers, report_study
from hub.wire.hl7v2.pid import PatientNumbers, patient_numbers, patient_or_national
from hub.wire.hl7v2.sending import sending

_STATUSES = frozenset("FCDPRIWXSU")  # HL7 table 0085
_WITHDRAWN = frozenset("DWX")
_MIME_TYPES = {"PDF": "application/pdf", "XML": "text/xml", "X-HL7-CDA-LEVEL-ONE": "text/xml"}


class WrongPatient(Hl7Invalid):
    """The report inside is about another patient than the message around it."""

    code = "report-of-another-patient"
    title = "The report is about another patient than the message."


def reports(message: Hl7Message, source: str) -> tuple[Report, ...]:
    """The message's reports: one, or by the rules of CISIS_CDA_HL7_V2 several.

    Raises Hl7Invalid, UnsupportedVersion, CdaMalformed, CdaInvalid, WrongPatient."""
    if not transmission.speaks(message):
        return (report(message, source),)
    transmission.check(message)
    numbers = patient_or_national(message.require("PID"))
    made = []
    for document in embedded(message):
        if document.obx.value(3, 3) == transmission.SCHEME:
            continue
        if not cda.is_cda(document.content):
            raise DataTypeError("The document is not a CDA.", location=document.obx.at(5, 5))
        header = _header(document, numbers)
        transmission.check_number(message, header.document_id, header.replaces)
        made.append(replace(_build(message, numbers, source, document, header), known=True))
    return tuple(made)


def report(message: Hl7Message, source: str) -> Report:
    """The message's report. Raises SegmentMissing, FieldMissing, DataTypeError, CdaMalformed, WrongPatient."""
    numbers = patient_numbers(message.require("PID"))
    message.require("OBR")
    document = _document(message)
    if document is None:
        return _without_document(message, numbers, source)
    if not cda.is_cda(document.content):
        if _MIME_TYPES.get(document.subtype) == "text/xml":
            raise DataTypeError("The document is not a CDA.", location=document.obx.at(5, 5))
        return _build(message, numbers, source, document, cda.CdaHeader(document_id=""))
    return _build(message, numbers, source, document, _header(document, numbers))


def _header(document: Embedded, numbers: PatientNumbers) -> cda.CdaHeader:
    try:
        header = cda.read(document.content)
    except cda.CdaMalformed as error:
        raise cda.CdaMalformed(error.message, location=document.obx.at(5, 5)) from error
    except cda.CdaInvalid as error:
        raise cda.CdaInvalid(f"{error.location}: {error.message}", location=document.obx.at(5, 5)) from error
    _same_patient(numbers, header.patient_ids, document.obx)
    return header


def _document(message: Hl7Message) -> Embedded | None:
    """The CDA among the embedded documents, else the first one."""
    documents = [item for item in embedded(message) if item.content]
    return next((item for item in documents if cda.is_cda(item.content)), next(iter(documents), None))


def _build(
    message: Hl7Message, numbers: PatientNumbers, source: str, document: Embedded, header: cda.CdaHeader
) -> Report:
    placer, filler, accession = report_numbers(message)
    obr = message.require("OBR")
    return Report(
        patient=numbers.local,
        status=_status(document.obx),
        content=document.content,
        mime_type="text/xml" if header.document_id else _MIME_TYPES.get(document.subtype, "application/octet-stream"),
        document_id=header.document_id,
        set_id=header.set_id,
        placer_number=header.placer_number or placer,
        filler_number=filler,
        accession_number=header.accession_number or accession,
        study_instance_uid=header.study_instance_uid or report_study(message),
        title=header.title or obr.value(4, 2),
        author=header.author or xcn(obr, 32),
        institution=header.author_institution or header.custodian,
        created=header.effective_time or dtm(obr.value(22), obr.at(22)),
        source=source,
        sending=sending(message),
        replaces=header.replaces,
        control_id=message.control_id,
    )


def _without_document(message: Hl7Message, numbers: PatientNumbers, source: str) -> Report:
    """A report may be withdrawn without being sent again."""
    obx = message.first("OBX")
    if obx is None:
        raise SegmentMissing("The OBX segment is missing.", location="OBX")
    status = _status(obx)
    if status not in _WITHDRAWN:
        raise FieldMissing("No OBX of type ED carries the report.", location=obx.at(5))
    placer, filler, accession = report_numbers(message)
    return Report(
        patient=numbers.local,
        status=status,
        content=b"",
        placer_number=placer,
        filler_number=filler,
        accession_number=accession,
        study_instance_uid=report_study(message),
        source=source,
    )


def _status(obx: Segment) -> str:
    status = obx.require(11)
    if status not in _STATUSES:
        raise TableValueUnknown("OBX-11 is not a value of HL7 table 0085.", location=obx.at(11))
    return status


def _same_patient(numbers: PatientNumbers, ids: tuple[PatientIdentifier, ...], obx: Segment) -> None:
    told = {item.authority: item for item in numbers.all if item.authority}
    shared = [item for item in ids if item.authority in told]
    if shared and not any(told[item.authority] == item for item in shared):
        raise WrongPatient(location=obx.at(5, 5))
