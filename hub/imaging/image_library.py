"""The content tree of a MADO manifest: what a viewer shows before it asks for anything (TID 2010 with TID 1600).

RAD MADO: 6.X.2.9. Codes of DICOM CP-2595 are IHE's temporary ones (99IHE) until the change is final text.
"""

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pydicom.uid import UID

from hub.imaging.manifest_model import KeyObject, ManifestSpec
from hub.imaging.model import Instance, Series
from hub.imaging.regions_model import MADO, Region, regions
from hub.wire.dicom_text import clean, code_item

Coded = tuple[str, str, str]
TITLE: Coded = ("MADOTEMP001", "99IHE", "Manifest with Description")
PROCEDURE: Coded = ("121023", "DCM", "Procedure Code")
LIBRARY: Coded = ("111028", "DCM", "Image Library")
GROUP: Coded = ("126200", "DCM", "Image Library Group")
MODALITY: Coded = ("121139", "DCM", "Modality")
REGION: Coded = ("123014", "DCM", "Target Region")
SERIES_COUNT: Coded = ("MADOTEMP009", "99IHE", "Number of Study Related Series")
INSTANCE_COUNT: Coded = ("MADOTEMP007", "99IHE", "Number of Series Related Instances")
SERIES_UID: Coded = ("112002", "DCM", "Series Instance UID")
SERIES_NUMBER: Coded = ("113607", "DCM", "Series Number")
SERIES_TEXT: Coded = ("MADOTEMP002", "99IHE", "Series Description")
SERIES_DATE: Coded = ("MADOTEMP003", "99IHE", "Series Date")
SERIES_TIME: Coded = ("MADOTEMP004", "99IHE", "Series Time")
INSTANCE_NUMBER: Coded = ("113609", "DCM", "Instance Number")
FRAMES: Coded = ("121140", "DCM", "Number of Frames")
DOCUMENT_TITLE: Coded = ("121144", "DCM", "Document Title")
KEY_DESCRIPTION: Coded = ("113012", "DCM", "Key Object Description")
LATERALITY: Coded = ("111027", "DCM", "Image Laterality")
_SIDES: dict[str, Coded] = {
    "R": ("24028007", "SCT", "Right"),
    "L": ("7771000", "SCT", "Left"),
    "B": ("51440002", "SCT", "Right and left"),
    "U": ("66459002", "SCT", "Unilateral"),
}


def sop_item(instance: Instance) -> Dataset:
    """A reference to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID = UID(instance.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(instance.sop_instance_uid)
    return item


def value_type(sop_class_uid: str) -> str:
    """IMAGE, WAVEFORM or COMPOSITE, as a content item refers to an object of the class (PS3.16: TID 2010)."""
    name = UID(sop_class_uid).name
    if "Waveform" in name or "ECG" in name:
        return "WAVEFORM"
    return "IMAGE" if "Image Storage" in name else "COMPOSITE"


def reference(instance: Instance) -> Dataset:
    """A content item that contains an instance."""
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type(instance.sop_class_uid)
    item.ReferencedSOPSequence = [sop_item(instance)]
    return item


def procedure_items(spec: ManifestSpec) -> list[Dataset]:
    """TID 2010 row 4b."""
    return [_code(PROCEDURE, code, "HAS CONCEPT MOD") for code in spec.procedures]


def image_library(spec: ManifestSpec) -> Dataset:
    """TID 1600, a group for each series."""
    shared = [series for series in spec.study.series if series.instances]
    found = regions(shared) or (Region.WHOLE_BODY,)  # one is required, and nothing narrower is known
    items = [_code(MODALITY, (name, "DCM", name)) for name in dict.fromkeys(series.modality for series in shared)]
    items += [_code(REGION, (MADO[one][0], "SCT", MADO[one][1])) for one in found]
    items.append(_number(SERIES_COUNT, len(shared), ("{series}", "series")))
    items += [_container(GROUP, list(_group(series, spec))) for series in shared]
    return _container(LIBRARY, items)


def _group(series: Series, spec: ManifestSpec) -> Iterator[Dataset]:
    yield _code(MODALITY, (series.modality, "DCM", series.modality))
    if len(series.started) >= 8:
        yield _leaf(SERIES_DATE, "DATE", Date=series.started[:8])
    if len(series.started) >= 14:
        yield _leaf(SERIES_TIME, "TIME", Time=series.started[8:14])
    if text := clean(series.description):
        yield _leaf(SERIES_TEXT, "TEXT", TextValue=text)
    if series.number is not None:
        yield _leaf(SERIES_NUMBER, "TEXT", TextValue=str(series.number))
    yield _leaf(SERIES_UID, "UIDREF", UID=UID(series.series_instance_uid))
    if part := clean(series.body_part):
        yield _leaf(REGION, "TEXT", TextValue=part)
    if series.laterality in _SIDES:
        yield _code(LATERALITY, _SIDES[series.laterality])
    yield _number(INSTANCE_COUNT, len(series.instances), ("{instances}", "instances"))
    for instance in series.instances:
        item = reference(instance)
        about = list(_about(instance, spec.key_objects.get(instance.sop_instance_uid)))
        if about:
            item.ContentSequence = about
        yield item


def _about(instance: Instance, key: KeyObject | None) -> Iterable[Dataset]:
    if instance.frames is not None and instance.frames > 1:
        yield _number(FRAMES, instance.frames, ("{frames}", "frames"))
    if instance.number is not None:
        yield _leaf(INSTANCE_NUMBER, "TEXT", TextValue=str(instance.number))
    if key is not None and all(key.title):
        yield _code(DOCUMENT_TITLE, key.title)
        if text := clean(key.description, 1024):
            yield _leaf(KEY_DESCRIPTION, "TEXT", TextValue=text)


def _container(name: Coded, items: list[Dataset]) -> Dataset:
    item = _item(name, "CONTAINER", "CONTAINS")
    item.ContinuityOfContent = "SEPARATE"
    item.ContentSequence = items
    return item


def _item(name: Coded, kind: str, relationship: str = "HAS ACQ CONTEXT") -> Dataset:
    item = Dataset()
    item.RelationshipType = relationship
    item.ValueType = kind
    item.ConceptNameCodeSequence = [code_item(*name)]
    return item


def _leaf(name: Coded, kind: str, **values: object) -> Dataset:
    item = _item(name, kind)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(name: Coded, value: Coded, relationship: str = "HAS ACQ CONTEXT") -> Dataset:
    item = _item(name, "CODE", relationship)
    item.ConceptCodeSequence = [code_item(*value)]
    return item


def _number(name: Coded, value: int, unit: tuple[str, str]) -> Dataset:
    measured = Dataset()
    measured.NumericValue = str(value)
    measured.MeasurementUnitsCodeSequence = [code_item(unit[0], "UCUM", unit[1])]
    item = _item(name, "NUM")
    item.MeasuredValueSequence = [measured]
    return item
