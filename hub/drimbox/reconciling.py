"""An object of elsewhere under the number that its patient has here (RAD TF-1: 21, PS3.3: C.12.1.1.9).

Only the patient's number is replaced; what it was stays in the object, as another number and as an original attribute.
UIDs stay: it is the same object."""

import copy
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hub.drimbox.errors import ObjectNotStorable
from hub.imaging.manifest import UNREADABLE
from hub.values import PatientIdentifier
from hub.wire.dicom_deflated import check_size

SYSTEM = "MAILLAGE"
#: What tells whose an object is (PS3.3: C.2.2, table 10-18).
_NUMBER = ("PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID")


def reconcile(source: Path, target: Path, study: str, number: PatientIdentifier, at: datetime) -> None:
    """Write the object to ``target``. Raises ObjectNotStorable: not readable, or of another study."""
    try:
        check_size(source)
        ds = dcmread(source, force=False)
        if str(ds.StudyInstanceUID) != study or not ds.SOPInstanceUID:
            raise ObjectNotStorable("An object is not of the study that was asked for.")
        if not _bears(ds, number):
            _renumber(ds, number, at)
        ds.save_as(target, enforce_file_format=True)
    except UNREADABLE as error:
        raise ObjectNotStorable() from error


def _bears(ds: Dataset, number: PatientIdentifier) -> bool:
    qualifiers = ds.get("IssuerOfPatientIDQualifiersSequence")
    authority = str(qualifiers[0].get("UniversalEntityID", "")) if qualifiers else ""
    return str(ds.get("PatientID", "")) == number.value and authority == number.authority


def _renumber(ds: Dataset, number: PatientIdentifier, at: datetime) -> None:
    before = Dataset()
    for keyword in _NUMBER:
        if keyword in ds:
            before[keyword] = copy.deepcopy(ds[keyword])
            del ds[keyword]
    if "PatientID" not in before:
        before.PatientID = ""
    if str(before.PatientID or ""):
        other = copy.deepcopy(before)
        if "TypeOfPatientID" not in other:
            other.TypeOfPatientID = "TEXT"
        ds.OtherPatientIDsSequence = Sequence([*(ds.get("OtherPatientIDsSequence") or ()), other])
    ds.PatientID = number.value
    if number.namespace:
        ds.IssuerOfPatientID = number.namespace[:64]
    qualifier = Dataset()
    qualifier.UniversalEntityID, qualifier.UniversalEntityIDType = number.authority, "ISO"
    ds.IssuerOfPatientIDQualifiersSequence = Sequence([qualifier])
    change = Dataset()
    change.ModifiedAttributesSequence = Sequence([before])
    change.AttributeModificationDateTime = at.strftime("%Y%m%d%H%M%S%z")
    change.ModifyingSystem = SYSTEM
    change.SourceOfPreviousValues = ""
    change.ReasonForTheAttributeModification = "COERCE"
    ds.OriginalAttributesSequence = Sequence([*(ds.get("OriginalAttributesSequence") or ()), change])
