"""The manifest of a study: a DICOM Key Object Selection document as XDS-I.b, the French DRIM-M or MADO ask for.

RAD TF-2: 4.68.4.1.2, RAD MADO: 6.X.2, PS3.3: A.35.4, PS3.16: TID 2010. Built from the source's own description, never
from pixel data.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from hub.errors import Invalid
from hub.imaging.errors import ManifestUnreadable
from hub.imaging.image_library import TITLE, image_library, procedure_items, reference, sop_item
from hub.imaging.manifest_model import Flavour, ManifestSpec
from hub.imaging.model import Series, SourceInfo
from hub.values import PatientIdentifier
from hub.wire.dicom_text import clean, code_item

#: IssuerOfPatientID of the national identifier, by its OID (DRIM-M).
INS_ISSUERS: Mapping[str, str] = {
    "1.2.250.1.213.1.4.8": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.9": "ASIP-SANTE-INS-NIA",
    "1.2.250.1.213.1.4.10": "ASIP-SANTE-INS-NIR",
    "1.2.250.1.213.1.4.11": "ASIP-SANTE-INS-NIR",
}
IMPLEMENTATION_UID = "2.25.302817443261986045211790466130817442114"
MANIFEST = ("113030", "DCM", "Manifest")
DESCRIPTION = ("113012", "DCM", "Key Object Description")
_MAX_BYTES = 64 * 1024 * 1024
#: What a hostile file makes pydicom raise.
UNREADABLE = (InvalidDicomError, AttributeError, KeyError, ValueError, EOFError, NotImplementedError, IndexError)


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
    except UNREADABLE as error:
        raise ManifestUnreadable() from error


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
    # MADO has the primary number among the others: who imports may choose (6.X.2.5.1.1.2).
    others = (spec.patient, *spec.other_patient_ids) if spec.flavour is Flavour.MADO else spec.other_patient_ids
    if others:
        ds.OtherPatientIDsSequence = [_other(item, spec.source) for item in others]


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
    accession, issuer = spec.accession
    # In DRIM-M the Referenced Request Sequence alone carries it.
    ds.AccessionNumber = "" if spec.flavour is Flavour.DRIM_M else clean(accession, 16)
    if ds.AccessionNumber and issuer:
        ds.IssuerOfAccessionNumberSequence = [_issuer_item(issuer)]
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
    accession, issuer = spec.accession
    item.AccessionNumber = clean(accession, 16)
    if item.AccessionNumber and issuer:
        item.IssuerOfAccessionNumberSequence = [_issuer_item(issuer)]
    item.PlacerOrderNumberImagingServiceRequest = clean(order.placer_number)
    placer_issuer = order.placer_issuer or (spec.source.authority_oid if spec.flavour is Flavour.MADO else "")
    if order.placer_number and placer_issuer:
        item.OrderPlacerIdentifierSequence = [_issuer_item(placer_issuer)]
    item.FillerOrderNumberImagingServiceRequest = clean(order.filler_number)
    item.RequestedProcedureID = ""
    item.RequestedProcedureDescription = clean(order.procedure[2] or study.description)
    item.RequestedProcedureCodeSequence = [code_item(*code) for code in spec.procedures]
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
        # The root of the WADO-RS service (RAD MADO: 6.X.2.14); DRIM-M has the series' own address.
        path = f"/studies/{spec.study.study_instance_uid}/series/{series.series_instance_uid}"
        item.RetrieveURL = spec.retrieve_url + (path if spec.flavour is Flavour.DRIM_M else "")
    item.ReferencedSOPSequence = [sop_item(instance) for instance in series.instances]
    if spec.flavour is Flavour.DRIM_M:
        item.SeriesNumber = series.number
        for reference_item, instance in zip(item.ReferencedSOPSequence, series.instances, strict=True):
            reference_item.InstanceNumber = instance.number
    return item


def _content(ds: Dataset, spec: ManifestSpec) -> None:
    mado = spec.flavour is Flavour.MADO
    ds.ValueType = "CONTAINER"
    ds.ContinuityOfContent = "SEPARATE"
    ds.ConceptNameCodeSequence = [code_item(*(TITLE if mado else MANIFEST))]
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "2010"
    ds.ContentTemplateSequence = [template]
    items = procedure_items(spec) if mado else []
    if spec.flavour is Flavour.DRIM_M:
        items.append(_description(spec))
    items += [reference(instance) for _, instance in spec.study.instances]
    if mado:
        items.append(image_library(spec))
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
    text.ConceptNameCodeSequence = [code_item(*DESCRIPTION)]
    text.TextValue = "\r\n".join(lines)
    return text


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
