"""The manifest of a study: a DICOM Key Object Selection document as XDS-I.b and the French DRIM-M profile ask for.

RAD TF-2: 4.68.4.1.2, PS3.3: A.35.4, PS3.16: TID 2010. Built from the source's own description, never from pixel data.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from hub.errors import Invalid
from hub.imaging.errors import ManifestUnreadable
from hub.imaging.model import Instance, Series, SourceInfo, Study
from hub.values import Code, PatientIdentifier

#: IssuerOfPatientID of the national identifier, by its OID (DRIM-M).
INS_ISSUERS: Mapping[str, str] = {
    "1.2.250.1.213.1.4.8": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.9": "ASIP-SANTE-INS-NIA",
    "1.2.250.1.213.1.4.10": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.11": "ASIP-SANTE-INS-NIR",
}
IMPLEMENTATION_UID = "2.25.302817443261986045211790466130817442114"
MANIFEST = Code("113030", "DCM", "Manifest")
DESCRIPTION = Code("113012", "DCM", "Key Object Description")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]+")
_MAX_BYTES = 64 * 1024 * 1024
_UNREADABLE = (InvalidDicomError, AttributeError, KeyError, ValueError, EOFError, NotImplementedError, IndexError)


@dataclass(frozen=True, slots=True)
class ManifestOrder:
    """The order that a study fulfils, for the Referenced Request Sequence."""

    placer_number: str = ""
    placer_issuer: str = ""
    filler_number: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    procedure: tuple[str, str, str] = ("", "", "")  #: (code, scheme, meaning)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestSpec:
    """Everything that makes a manifest: the same spec gives the same bytes."""

    study: Study
    source: SourceInfo
    sop_instance_uid: str
    series_instance_uid: str
    created: datetime  #: in the hub's time zone
    patient: PatientIdentifier  #: the INS where the person has one, else the number in the images
    other_patient_ids: tuple[PatientIdentifier, ...] = ()
    order: ManifestOrder = field(default_factory=ManifestOrder)
    retrieve_url: str = ""  #: the hub's DICOMweb root
    retrieve_ae_title: str = ""


@dataclass(frozen=True, slots=True)
class ManifestSeries:
    """One series of a manifest: where it is and what it holds."""

    series_instance_uid: str
    retrieve_url: str
    retrieve_location_uid: str
    retrieve_ae_title: str
    instances: tuple[tuple[str, str], ...]  #: (SOP class UID, SOP instance UID)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says."""

    sop_instance_uid: str
    study_instance_uid: str
    patient_id: str
    issuer: str  #: OID, else the namespace
    accession_number: str
    accession_issuer: str
    placer_number: str
    series: tuple[ManifestSeries, ...]
    title: str = ""
    description: str = ""


def build_manifest(spec: ManifestSpec) -> bytes:
    """The manifest as a Part 10 file. Raises Invalid when the study has no instance."""
    if not any(series.instances for series in spec.study.series):
        raise Invalid("A manifest needs at least one instance.")
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    _patient(ds, spec)
    _study(ds, spec)
    _series(ds, spec)
    ds.ReferencedRequestSequence = [_request(spec)]
    ds.CurrentRequestedProcedureEvidenceSequence = [_evidence(spec)]
    _content(ds, spec)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    ds.file_meta.ImplementationVersionName = "MAILLAGE"
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_manifest(content: bytes) -> Manifest:
    """Read a manifest, ours or another's. Raises ManifestUnreadable."""
    if len(content) > _MAX_BYTES:
        raise ManifestUnreadable("The manifest is larger than the limit.")
    try:
        ds = dcmread(io.BytesIO(content), force=False)
        if ds.SOPClassUID != KeyObjectSelectionDocumentStorage:
            raise ManifestUnreadable("The object is not a Key Object Selection document.")
        return _read(ds)
    except (
        InvalidDicomError,
        AttributeError,
        KeyError,
        ValueError,
        EOFError,
        NotImplementedError,
        IndexError,
    ) as error:
        raise ManifestUnreadable() from error


def clean(text: str, length: int = 64) -> str:
    """Text as a DICOM short text takes it: no control character, no backslash, at most ``length`` bytes.

    DICOM counts characters, many readers count bytes: what fits in bytes fits both."""
    plain = _CONTROL.sub(" ", text).strip().encode("utf-8", "replace")[:length]
    return plain.decode("utf-8", "ignore").strip()


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3: 8.8)."""
    item = Dataset()
    if len(value) > 16:
        item.LongCodeValue = value
    else:
        item.CodeValue = value
    item.CodingSchemeDesignator = clean(scheme, 16)
    item.CodeMeaning = clean(meaning) or value
    return item


def _issuer_item(oid: str) -> Dataset:
    item = Dataset()  # HL7 v2 Hierarchic Designator Macro (PS3.3: 10.14)
    item.UniversalEntityID = oid
    item.UniversalEntityIDType = "ISO"
    return item


def _patient(ds: Dataset, spec: ManifestSpec) -> None:
    study = spec.study
    ds.PatientName = _name(study.patient_name)
    ds.PatientID = clean(spec.patient.value)
    ds.PatientBirthDate = study.patient_birth_date[:8]
    ds.PatientSex = study.patient_sex if study.patient_sex in ("M", "F", "O") else ""
    _issuer(ds, spec.patient, spec.source)
    if spec.other_patient_ids:
        ds.OtherPatientIDsSequence = [_other(item, spec.source) for item in spec.other_patient_ids]


def _other(identifier: PatientIdentifier, source: SourceInfo) -> Dataset:
    item = Dataset()
    item.PatientID = clean(identifier.value)
    item.TypeOfPatientID = "TEXT"
    _issuer(item, identifier, source)
    return item


def _issuer(ds: Dataset, identifier: PatientIdentifier, source: SourceInfo) -> None:
    own = source.namespace if identifier.authority == source.authority_oid else ""
    namespace = INS_ISSUERS.get(identifier.authority) or identifier.namespace or own
    if namespace:
        ds.IssuerOfPatientID = clean(namespace)
    if identifier.authority:
        ds.IssuerOfPatientIDQualifiersSequence = [_issuer_item(identifier.authority)]


def _study(ds: Dataset, spec: ManifestSpec) -> None:
    study = spec.study
    ds.StudyInstanceUID = study.study_instance_uid
    ds.StudyDate = study.started[:8]
    ds.StudyTime = study.started[8:14]
    ds.ReferringPhysicianName = _name(study.referring_physician)
    ds.StudyID = clean(study.study_id, 16)
    # The Referenced Request Sequence carries it, with its issuer (DRIM-M, RAD TF-2: 4.68.4.1.2.1).
    ds.AccessionNumber = ""
    if study.description:
        ds.StudyDescription = clean(study.description)


def _series(ds: Dataset, spec: ManifestSpec) -> None:
    ds.SOPClassUID = KeyObjectSelectionDocumentStorage
    ds.SOPInstanceUID = UID(spec.sop_instance_uid)
    ds.SeriesInstanceUID = UID(spec.series_instance_uid)
    ds.Modality = "KO"
    ds.SeriesNumber = 59
    ds.InstanceNumber = 1
    ds.SeriesDate = ds.ContentDate = spec.created.strftime("%Y%m%d")
    ds.SeriesTime = ds.ContentTime = spec.created.strftime("%H%M%S")
    ds.TimezoneOffsetFromUTC = spec.created.strftime("%z") or "+0000"
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.Manufacturer = "Maillage"
    name = clean(spec.study.institution or spec.source.title or spec.source.name)
    number = spec.source.organisation_id
    ds.InstitutionName = clean(f"{name}^^^^^^^^^{number}") if number else name


def _request(spec: ManifestSpec) -> Dataset:
    study, order = spec.study, spec.order
    item = Dataset()
    item.StudyInstanceUID = study.study_instance_uid
    item.ReferencedStudySequence = []
    item.AccessionNumber = clean(study.accession_number or order.accession_number, 16)
    issuer = study.accession_issuer or order.accession_issuer or spec.source.authority_oid
    if item.AccessionNumber and issuer:
        item.IssuerOfAccessionNumberSequence = [_issuer_item(issuer)]
    item.PlacerOrderNumberImagingServiceRequest = clean(order.placer_number)
    if order.placer_number and order.placer_issuer:
        item.OrderPlacerIdentifierSequence = [_issuer_item(order.placer_issuer)]
    item.FillerOrderNumberImagingServiceRequest = clean(order.filler_number)
    item.RequestedProcedureID = ""
    item.RequestedProcedureDescription = clean(order.procedure[2] or study.description)
    codes = [order.procedure] if all(order.procedure[:2]) else list(study.procedure_codes)
    item.RequestedProcedureCodeSequence = [code_item(*code) for code in codes if all(code[:2])]
    return item


def _evidence(spec: ManifestSpec) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = spec.study.study_instance_uid
    item.ReferencedSeriesSequence = [_evidence_series(spec, one) for one in spec.study.series if one.instances]
    return item


def _evidence_series(spec: ManifestSpec, series: Series) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series.series_instance_uid
    title = spec.source.ae_title or spec.retrieve_ae_title
    if title:
        item.RetrieveAETitle = title
    if spec.source.repository_unique_id:
        item.RetrieveLocationUID = spec.source.repository_unique_id
    if spec.retrieve_url:
        path = f"studies/{spec.study.study_instance_uid}/series/{series.series_instance_uid}"
        item.RetrieveURL = f"{spec.retrieve_url}/{path}"
    item.ReferencedSOPSequence = [_sop(instance) for instance in series.instances]
    return item


def _sop(instance: Instance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(instance.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(instance.sop_instance_uid)
    return item


def _content(ds: Dataset, spec: ManifestSpec) -> None:
    ds.ValueType = "CONTAINER"
    ds.ContinuityOfContent = "SEPARATE"
    ds.ConceptNameCodeSequence = [code_item(MANIFEST.value, MANIFEST.scheme, MANIFEST.display)]
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "2010"
    ds.ContentTemplateSequence = [template]
    items = [_description(spec)]
    for _, instance in spec.study.instances:
        item = Dataset()
        item.RelationshipType = "CONTAINS"
        item.ValueType = value_type(instance.sop_class_uid)
        item.ReferencedSOPSequence = [_sop(instance)]
        items.append(item)
    ds.ContentSequence = items


def _description(spec: ManifestSpec) -> Dataset:
    """What the DRIM-M viewer shows before it asks for anything: examination, act, each series."""
    lines = [f"Examen : {clean(spec.study.description)}"]
    act = spec.order.procedure if spec.order.procedure[0] else next(iter(spec.study.procedure_codes), ("", "", ""))
    if act[0]:
        lines.append(f"Acte = {clean(act[0])} {clean(act[2])}".rstrip())
    lines += [
        f"{item.series_instance_uid} : {item.modality} @ : {clean(item.description)}".rstrip()
        for item in spec.study.series
        if item.instances
    ]
    text = Dataset()
    text.RelationshipType = "CONTAINS"
    text.ValueType = "TEXT"
    text.ConceptNameCodeSequence = [code_item(DESCRIPTION.value, DESCRIPTION.scheme, DESCRIPTION.display)]
    text.TextValue = "\r\n".join(lines)
    return text


def value_type(sop_class_uid: str) -> str:
    """IMAGE, WAVEFORM or COMPOSITE, as a content item refers to an object of the class (PS3.16: TID 2010)."""
    name = UID(sop_class_uid).name
    if "Waveform" in name or "ECG" in name:
        return "WAVEFORM"
    return "IMAGE" if "Image Storage" in name else "COMPOSITE"


def _name(text: str) -> str:
    return "=".join(clean(group) for group in text.split("=")[:3])


def _read(ds: Dataset) -> Manifest:
    request = ds.ReferencedRequestSequence[0] if ds.get("ReferencedRequestSequence") else Dataset()
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0]
    qualifiers = ds.get("IssuerOfPatientIDQualifiersSequence")
    issuers = request.get("IssuerOfAccessionNumberSequence")
    return Manifest(
        sop_instance_uid=str(ds.SOPInstanceUID),
        study_instance_uid=str(evidence.StudyInstanceUID),
        patient_id=str(ds.get("PatientID", "")),
        issuer=str(qualifiers[0].get("UniversalEntityID", "")) if qualifiers else str(ds.get("IssuerOfPatientID", "")),
        accession_number=str(request.get("AccessionNumber", "") or ds.get("AccessionNumber", "")),
        accession_issuer=str(issuers[0].get("UniversalEntityID", "")) if issuers else "",
        placer_number=str(request.get("PlacerOrderNumberImagingServiceRequest", "") or ""),
        series=tuple(_read_series(item) for item in evidence.ReferencedSeriesSequence),
        title=str(ds.ConceptNameCodeSequence[0].CodeMeaning) if ds.get("ConceptNameCodeSequence") else "",
        description=next(
            (str(item.TextValue) for item in ds.get("ContentSequence", ()) if item.get("ValueType") == "TEXT"), ""
        ),
    )


def _read_series(item: Dataset) -> ManifestSeries:
    title = item.get("RetrieveAETitle", "")
    return ManifestSeries(
        str(item.SeriesInstanceUID),
        str(item.get("RetrieveURL", "")),
        str(item.get("RetrieveLocationUID", "")),
        title if isinstance(title, str) else "\\".join(title or ()),
        tuple(
            (str(sop.ReferencedSOPClassUID), str(sop.ReferencedSOPInstanceUID)) for sop in item.ReferencedSOPSequence
        ),
    )
