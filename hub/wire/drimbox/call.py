"""The contextual call of DRIM-M: a form by which a hospital's system opens a patient for one of its users.

What is wrong is told field by field, and never with a value: answers and logs hold no patient data."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from hub.context import Context
from hub.drimbox.errors import CallUnfit
from hub.drimbox.model import INFORMED, Call, Sought
from hub.errors import (
    AccessDenied,
    Conflict,
    HubError,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
    lookup,
)
from hub.patients.ins_model import valid_matricule
from hub.patients.model import INS_AUTHORITIES, Traits
from hub.values import Oid, PatientIdentifier, is_uid
from hub.wire.http import HttpResponse
from hub.wire.oauth.form import NO_STORE

_OLDER_NAMES = {"informationetconsentement": INFORMED}
_PLACE = re.compile(r"[0-9][0-9AB][0-9]{3}")
_MODALITY = re.compile(r"[A-Z0-9]{2,16}")
_REGION = re.compile(r"[0-9A-Za-z.-]{1,20}")
_NUMBER = re.compile(r"[!-~]{1,64}")
_NAMESPACE = re.compile(r"[0-9A-Za-z._-]{1,64}")
_SEXES = {"male": "M", "female": "F", "other": "O", "unknown": "U", "m": "M", "f": "F", "o": "O", "u": "U"}
Check = Callable[[str], bool]


def _text(most: int) -> Check:
    return lambda text: len(text) <= most and text.isprintable()


def _oid(text: str) -> bool:
    try:
        Oid(text.removeprefix("urn:oid:"))
    except Invalid:
        return False
    return True


def _day(text: str) -> str:
    """YYYYMMDD of a date, "" for what is none."""
    plain = text.replace("-", "")
    try:
        date.fromisoformat(f"{plain[:4]}-{plain[4:6]}-{plain[6:]}")
    except ValueError:
        return ""
    return plain if text in (plain, f"{plain[:4]}-{plain[4:6]}-{plain[6:]}") else ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``rule``: what it must be, in words."""

    fits: Check
    rule: str
    mandatory: bool = False


#: Every field that a call may have.
FIELDS: Mapping[str, Field] = {
    "Patient.identifier.value": Field(lambda text: bool(_NUMBER.fullmatch(text)), "a number", mandatory=True),
    "Patient.identifier.system": Field(_oid, "an OID", mandatory=True),
    "Patient.name.family": Field(_text(100), "at most 100 letters", mandatory=True),
    "Patient.name.given": Field(_text(100), "at most 100 letters", mandatory=True),
    "Patient.gender": Field(lambda text: text.lower() in _SEXES, "male, female, other or unknown", mandatory=True),
    "Patient.birthDate": Field(lambda text: bool(_day(text)), "a day, YYYY-MM-DD", mandatory=True),
    "Address.district": Field(lambda text: bool(_PLACE.fullmatch(text)), "a COG code of five signs", mandatory=True),
    INFORMED: Field(_text(20), "the patient's information on consultation", mandatory=True),
    "PatientID": Field(lambda text: bool(_NUMBER.fullmatch(text)), "a number", mandatory=True),
    "PatientIDIssuer": Field(
        lambda text: _oid(text) or bool(_NAMESPACE.fullmatch(text)), "an OID or a namespace", mandatory=True
    ),
    "StudyInstanceUID": Field(is_uid, "a DICOM UID"),
    "Modality": Field(lambda text: bool(_MODALITY.fullmatch(text)), "a DICOM modality"),
    "AccessionNumber": Field(lambda text: bool(_NUMBER.fullmatch(text)), "a number"),
    "AccessionNumberIssuer": Field(lambda text: _oid(text) or bool(_NAMESPACE.fullmatch(text)), "an OID"),
    "StudyDate": Field(lambda text: bool(_day(text)), "a day, YYYYMMDD"),
    "AnatomicRegion": Field(lambda text: bool(_REGION.fullmatch(text)), "a code"),
    "Situation": Field(_text(200), "at most 200 letters"),
}
_BY_LOWER = {name.lower(): name for name in FIELDS} | _OLDER_NAMES


def read_call(parameters: Mapping[str, tuple[str, ...]]) -> Call:
    """The call. Raises CallUnfit."""
    given, problems = dict[str, str](), dict[str, str]()
    for name, values in parameters.items():
        known = _BY_LOWER.get(name.lower(), "")
        if not known:
            problems["?"] = "a field that no call has"
        elif known in given or len(values) != 1:
            problems[known] = "given more than once"
        else:
            given[known] = values[0].strip()
    problems |= dict(_problems(given))
    if problems:
        told = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise CallUnfit(f"{told}.", location=next(iter(problems)), fields=",".join(problems))
    return _call(given)


def _problems(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, field in FIELDS.items():
        text = given.get(name, "")
        if not text and field.mandatory:
            yield name, "missing"
        elif text and not field.fits(text):
            yield name, f"must be {field.rule}"
    system = given.get("Patient.identifier.system", "").removeprefix("urn:oid:")
    if system in INS_AUTHORITIES and not valid_matricule(given.get("Patient.identifier.value", "")):
        yield "Patient.identifier.value", "must be a matricule INS with its key"
    if given.get("AccessionNumberIssuer") and not given.get("AccessionNumber"):
        yield "AccessionNumber", "missing"


def _call(given: Mapping[str, str]) -> Call:
    issuer = given["PatientIDIssuer"]
    oid = issuer.removeprefix("urn:oid:") if _oid(issuer) else ""
    return Call(
        national=PatientIdentifier(
            given["Patient.identifier.value"], given["Patient.identifier.system"].removeprefix("urn:oid:")
        ),
        local=PatientIdentifier(given["PatientID"], oid, namespace="" if oid else issuer),
        traits=Traits(
            birth_name=given["Patient.name.family"].upper(),
            birth_given=given["Patient.name.given"].upper(),
            given_names=given["Patient.name.given"].upper(),
            birth_date=_day(given["Patient.birthDate"]),
            sex=_SEXES[given["Patient.gender"].lower()],
            birth_place=given["Address.district"],
        ),
        sought=Sought(
            given.get("StudyInstanceUID", ""),
            given.get("AccessionNumber", ""),
            given.get("AccessionNumberIssuer", "").removeprefix("urn:oid:"),
            given.get("Modality", ""),
            _day(given.get("StudyDate", "")),
            given.get("AnatomicRegion", ""),
        ),
        informed=given[INFORMED],
        situation=given.get("Situation", ""),
    )


STATUS: Mapping[type[HubError], int] = {
    HubError: 500,
    Malformed: 400,
    Invalid: 400,
    TooLarge: 413,
    NotFound: 404,
    Conflict: 409,
    NotAuthenticated: 401,
    AccessDenied: 403,
    Unavailable: 503,
}


def refusal(error: HubError, message: Any, context: Context) -> HttpResponse:  # noqa: ARG001 - the pipeline's signature
    """The answer to the calling system that says no: the error's code, and the fields that it is about."""
    status = lookup(STATUS, error)
    body: dict[str, Any] = {"code": error.code, "message": error.message, "correlation_id": context.correlation_id}
    if error.context.get("fields"):
        body["fields"] = error.context["fields"].split(",")
    headers = dict(NO_STORE)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="drimbox"'
    if status == 503:
        headers["Retry-After"] = "5"
    return HttpResponse(status, orjson.dumps(body), "application/json", headers)


def accepted(base: str, path: str) -> HttpResponse:
    """Where the caller's user goes on (303): an address that says nothing about the patient."""
    return HttpResponse(303, b"", "", {**NO_STORE, "Location": f"{base}{path}"})
