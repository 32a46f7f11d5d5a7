"""The parameters of Invoke Image Display (RAD TF-2: 4.106.4.1.2), and what is to be displayed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.errors import Category, Invalid, Unsupported
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import FindStudies, IndexedStudy, StudyAnswer, StudyState
from hub.values import PatientIdentifier, is_uid
from hub.wire.http import HttpRequest

BASIC_REVIEW = "IHE_BIR"  #: the well-known viewer type: what Basic Image Review asks of a viewer
_MOST = 50  #: studies that a viewer is asked to show at once
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")


class InvokeParameter(Invalid):
    """A parameter of Invoke Image Display breaks a rule of RAD TF-2: 4.106; ``location`` is its name."""

    code = "invoke-parameter"
    title = "A parameter of the request is not valid."


class InvokeOption(Unsupported):
    """Invoke Image Display asks for what this display does not do."""

    code = "invoke-option"
    title = "The display does not do this."


class ViewerMissing(Unsupported):
    """The viewer isn't installed, and without it there is no page for what is to be shown. The operator installs it:
    ``python -m hub.portal.install_viewer`` writes build/ohif (another directory: setting ``viewer``); start again."""

    code = "viewer-missing"
    category = Category.CONFIGURATION
    title = "The viewer is not installed on this server."

    def __init__(self) -> None:
        super().__init__("To install it: python -m hub.portal.install_viewer; then start the hub again.")


@dataclass(frozen=True, slots=True)
class Display:
    """What to show: these studies in the viewer, or a person's list when ``listed``."""

    studies: tuple[IndexedStudy, ...]
    person: PatientIdentifier | None = None
    listed: bool = False


def _wrong(name: str, rule: str) -> InvokeParameter:
    return InvokeParameter(f"{name} {rule} (RAD TF-2: 4.106.4.1.2).", location=name)


def _one_of(*values: str) -> Callable[[str, str], None]:
    def check(name: str, text: str) -> None:
        if text not in values:
            raise _wrong(name, f"must be {' or '.join(values)}")

    return check


def _uids(name: str, text: str) -> None:
    uids = text.split(",")
    if len(uids) > _MOST or not all(is_uid(uid) for uid in uids):
        raise _wrong(name, f"must be at most {_MOST} DICOM UIDs, separated by commas")


def _count(name: str, text: str) -> None:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MOST and len(text) < 9):
        raise _wrong(name, f"must be a number from 1 to {_MOST}")


def _moment(name: str, text: str) -> None:
    if not _DATE.fullmatch(text):
        raise _wrong(name, "must be a date and time of RFC 3339")


def _modalities(name: str, text: str) -> None:
    if not re.fullmatch(r"[A-Z0-9_]{1,16}(,[A-Z0-9_]{1,16}){0,19}", text):
        raise _wrong(name, "must be modalities, separated by commas")


def _birth_date(name: str, text: str) -> None:
    if not re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
        raise _wrong(name, "must be a date")


def _some(name: str, text: str) -> None:
    if not 0 < len(text) <= 256 or not text.isprintable():
        raise _wrong(name, "must be some text")


def _viewer_type(name: str, text: str) -> None:
    """A display may know types of its own; this one knows the profile's. Another one than asked for is never shown."""
    _some(name, text)
    if text != BASIC_REVIEW:
        raise InvokeOption(
            f"This display has one viewer, {BASIC_REVIEW}: ask for that one, or leave viewerType out.", location=name
        )


_FLAG = _one_of("true", "false")
#: Every parameter and its rule. What may be ignored by a display is still checked; unknown ones are ignored.
RULES: Mapping[str, Callable[[str, str], None]] = {
    "requestType": _one_of("STUDY", "PATIENT"),
    "studyUID": _uids,
    "accessionNumber": _some,
    "patientID": _some,
    "patientName": _some,
    "patientBirthDate": _birth_date,
    "lowerDateTime": _moment,
    "upperDateTime": _moment,
    "mostRecentResults": _count,
    "modalitiesInStudy": _modalities,
    "viewerType": _viewer_type,
    "diagnosticQuality": _FLAG,
    "keyImagesOnly": _FLAG,
}


def read_invoke(message: HttpRequest) -> FindStudies:
    """Which studies. Raises InvokeParameter, InvokeOption."""
    given: dict[str, str] = {}
    for name, text in message.query:
        rule = RULES.get(name)
        if rule is None:
            continue
        if name in given:
            raise _wrong(name, "may be given once")
        rule(name, text)
        given[name] = text
    if "requestType" not in given:
        raise _wrong("requestType", "is required")
    return _of_study(given) if given["requestType"] == "STUDY" else _of_patient(given)


def _of_study(given: Mapping[str, str]) -> FindStudies:
    if ("studyUID" in given) == ("accessionNumber" in given):
        raise _wrong("studyUID", "or accessionNumber is required, not both")
    if "," in given.get("accessionNumber", ""):
        raise InvokeOption("One accession number at a time.", location="accessionNumber")
    uids = tuple(dict.fromkeys(given["studyUID"].split(","))) if "studyUID" in given else ()
    return FindStudies(
        study_instance_uids=uids, accession_number=given.get("accessionNumber", ""), live=True, limit=_MOST
    )


def _of_patient(given: Mapping[str, str]) -> FindStudies:
    if "patientID" not in given:
        raise _wrong("patientID", "is required")
    try:
        number = given["patientID"]
        person = PatientIdentifier.from_cx(number) if "^" in number else PatientIdentifier(number, "")
    except Invalid as error:
        raise _wrong("patientID", "must be a number, or number^^^&oid&ISO") from error
    return FindStudies(
        person=person,
        patient_name=given.get("patientName", ""),
        patient_birth_date=given.get("patientBirthDate", "").replace("-", ""),
        modalities=tuple(given["modalitiesInStudy"].split(",")) if "modalitiesInStudy" in given else (),
        started_from=given.get("lowerDateTime", "")[:10].replace("-", ""),
        started_to=given.get("upperDateTime", "")[:10].replace("-", ""),
        live=True,
        limit=500,
    )


def display_of(answer: StudyAnswer, message: HttpRequest) -> Display:
    """What the answer shows. Raises UnknownStudy when nothing, or not everything that was named, is there."""
    found = [item for item in answer.studies if item.state not in (StudyState.ORDERED, StudyState.WITHDRAWN)]
    found.sort(key=lambda item: item.study.started, reverse=True)
    wanted = message.parameter("studyUID")
    there = {item.study.study_instance_uid for item in found}
    if not found or not set(filter(None, wanted.split(","))) <= there:
        raise UnknownStudy()
    persons = {item.person for item in found}
    if len(persons) != 1:
        raise InvokeParameter("The studies are of several patients.", location="studyUID")
    [person] = persons
    if message.parameter("requestType") == "STUDY":
        return Display(tuple(found), person)
    most = int(message.parameter("mostRecentResults", "0"))
    return Display(tuple(found[:most] if most else found), person, listed=not most)
