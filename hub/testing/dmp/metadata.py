"""The metadata rules of the record (CI-SIS, french.md 2.4), one by one, each with the code that refuses."""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hub.testing.dmp.envelope import Element

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
AUTHOR, SET_AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d", "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
PATIENT, UNIQUE = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SET_PATIENT, SET_UNIQUE, SET_SOURCE = (
    "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446",
    "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8",
    "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832",
)
CLASS, TYPE, FORMAT = (
    "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
    "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
)
CONFIDENTIALITY, EVENT = (
    "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4",
)
FACILITY, PRACTICE = (
    "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
)
CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
LOINC, TYPES = "2.16.840.1.113883.6.1", "1.2.250.1.213.1.1.4.12"
#: typeCode -> classCode (ASS_X16).
CLASSES: Mapping[str, str] = {
    "18748-4": "31", "IMG-KOS": "31", "52040-3": "31", "DOCPAT04": "31", "55115-0": "42", "11488-4": "10",
    "34112-3": "10", "34874-8": "10", "34794-8": "10", "60568-3": "10", "11502-2": "10", "15507-7": "10",
}  # fmt: skip
CLASS_CODES = frozenset({"10", "11", "31", "42", "43", "44", "45", "52", "60", "90", "95"})
FACILITIES = frozenset(f"SA{number:02}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 25, 30, 36, 51, 52, 64))
PRACTICES = frozenset(
    {"AMBULATOIRE", "AMO", "DEPISTAGE", "ESSMS", "ETABLISSEMENT", "HAD", "MAD", "PALLIATIF", "SAD", "SAMU_SMUR"}
)
#: formatCode -> (scheme, mimeType).
FORMATS: Mapping[str, tuple[str, str]] = {
    "1.2.840.10008.5.1.4.1.1.88.59": ("1.2.840.10008.2.6.1", "application/dicom"),
    "urn:ihe:iti:xds-sd:pdf:2008": ("1.3.6.1.4.1.19376.1.2.3", "text/xml"),
    "urn:ihe:iti:xds-sd:text:2008": ("1.3.6.1.4.1.19376.1.2.3", "text/xml"),
    "urn:ihe:iti:xds-sd:jpeg:2008": ("1.3.6.1.4.1.19376.1.2.3", "text/xml"),
    "urn:ihe:iti:xds-sd:rtf:2008": ("1.3.6.1.4.1.19376.1.2.3", "text/xml"),
    "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013": ("1.3.6.1.4.1.19376.1.2.3", "text/xml"),
    "urn:ans:ci-sis:img-da:2022": ("1.3.6.1.4.1.19376.1.2.3", "text/xml"),
}
REFERENCES = frozenset(
    {
        "urn:ihe:iti:xds:2013:accession",
        "urn:ihe:iti:xds:2013:order",
        "urn:ihe:iti:xds:2016:studyInstanceUID",
    }
)
SIGNATURE_FORMAT = "http://www.w3.org/2000/09/xmldsig#"
CONFIDENTIAL, MASKS = "2.16.840.1.113883.5.25", "1.2.250.1.213.1.1.4.13"
MASKED = frozenset({"MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX"})
OID = r"[0-2](\.(0|[1-9][0-9]*))+"
XCN_PERSON = r"[^^]+\^[^^]+\^[^^]*\^{6}&1\.2\.250\.1\.71\.4\.2\.1&ISO\^D\^{3}(IDNPS|EI)"
XCN_SYSTEM = r"[^^]+\^[^^]+\^[^^]*\^{6}&1\.2\.250\.1\.71\.4\.2\.1&ISO\^U\^{3}(RI|EI)"
XON = r"[^^]+\^{5}&1\.2\.250\.1\.71\.4\.2\.2&ISO\^IDNST\^{3}[0-9A-Z]{9,20}"
CX_INS = r"[0-9]{6}[0-9AB][0-9]{8}\^{3}&1\.2\.250\.1\.213\.1\.4\.(8|9|10|11)&ISO\^NH"


class Broken(Exception):
    """A rule that is broken: the XDS code and where."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


@dataclass(frozen=True, slots=True)
class Coded:
    """A classification's code."""

    code: str
    scheme: str
    display: str


class View:
    """A registry object read by slots, classifications and identifiers."""

    def __init__(self, element: Element) -> None:
        self.element = element
        self.id = element.get("id", "")

    def slot(self, name: str) -> list[str]:
        """The values of a slot."""
        return _slot(self.element, name)

    def codes(self, scheme: str) -> list[Coded]:
        """The codes of a classification scheme."""
        found = []
        for item in self._of(scheme):
            shown = item.find(f"{{{RIM}}}Name/{{{RIM}}}LocalizedString")
            scheme_of = _slot(item, "codingScheme")
            found.append(
                Coded(
                    item.get("nodeRepresentation", ""),
                    scheme_of[0] if len(scheme_of) == 1 else "",
                    shown.get("value", "") if shown is not None else "",
                )
            )
        return found

    def authors(self, scheme: str) -> list[dict[str, list[str]]]:
        """The slots of each author."""
        names = ("authorPerson", "authorInstitution", "authorRole", "authorSpecialty")
        return [{name: _slot(item, name) for name in names} for item in self._of(scheme)]

    def identifier(self, scheme: str) -> str:
        """An external identifier; "" where there is none or several."""
        found = [
            item.get("value", "")
            for item in self.element.iterfind(f"{{{RIM}}}ExternalIdentifier")
            if item.get("identificationScheme") == scheme
        ]
        return found[0] if len(found) == 1 else ""

    def text(self, name: str) -> str:
        """Name or Description."""
        found = self.element.find(f"{{{RIM}}}{name}/{{{RIM}}}LocalizedString")
        return found.get("value", "") if found is not None else ""

    @property
    def signature(self) -> bool:
        """Whether it is the entry of a submission set's signature."""
        return any(code.code == SIGNATURE_FORMAT for code in self.codes(FORMAT))

    def _of(self, scheme: str) -> Iterator[Element]:
        for item in self.element.iterfind(f"{{{RIM}}}Classification"):
            if item.get("classificationScheme") == scheme:
                yield item


def _slot(element: Element, name: str) -> list[str]:
    found = [item for item in element.iterfind(f"{{{RIM}}}Slot") if item.get("name") == name]
    if len(found) > 1:
        raise Broken("XDSRegistryMetadataError", f"The slot {name} stands twice.")
    return [
        (value.text or "").strip() for item in found for value in item.iterfind(f"{{{RIM}}}ValueList/{{{RIM}}}Value")
    ]


Rule = Callable[[View], bool]


def one(scheme: str, good: Callable[[Coded], bool]) -> Rule:
    """Exactly one code, which is good, with a name to show."""
    return lambda view: (
        len(view.codes(scheme)) == 1 and good(view.codes(scheme)[0]) and bool(view.codes(scheme)[0].display)
    )


def slot(name: str, pattern: str) -> Rule:
    """One value of this form."""
    return lambda view: len(view.slot(name)) == 1 and re.fullmatch(pattern, view.slot(name)[0]) is not None


def utc(name: str, *, required: bool = True) -> Rule:
    """A time in UTC to the second, not to come."""

    def rule(view: View) -> bool:
        values = view.slot(name)
        return (not values and not required) or (len(values) == 1 and _is_time(values[0]))

    return rule


def _is_time(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{8}([0-9]{6})?", text):
        return False
    try:
        parsed = datetime.datetime.strptime(text, "%Y%m%d%H%M%S" if len(text) == 14 else "%Y%m%d")
    except ValueError:
        return False
    return parsed.replace(tzinfo=datetime.UTC) < datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)


def _type(code: Coded) -> bool:
    return code.scheme in (LOINC, TYPES) and code.code in CLASSES


def _agree(view: View) -> bool:
    return CLASSES.get(view.codes(TYPE)[0].code) == view.codes(CLASS)[0].code


def _format(view: View) -> bool:
    found = view.codes(FORMAT)
    known = FORMATS.get(found[0].code) if len(found) == 1 else None
    return known is not None and found[0].scheme == known[0] and view.element.get("mimeType") == known[1]


def _authors(view: View) -> bool:
    found = view.authors(AUTHOR)
    return bool(found) and all(
        len(item["authorPerson"]) == 1
        and (re.fullmatch(XCN_PERSON, item["authorPerson"][0]) or re.fullmatch(XCN_SYSTEM, item["authorPerson"][0]))
        for item in found
    )


def _institutions(view: View) -> bool:
    return all(
        item["authorInstitution"] and all(re.fullmatch(XON, text) for text in item["authorInstitution"])
        for item in view.authors(AUTHOR)
    )


def _specialties(view: View) -> bool:
    texts = [text for item in view.authors(AUTHOR) for text in item["authorSpecialty"]]
    return all(
        re.fullmatch(r"G15_[0-9]{2}(/[A-Z]+[0-9]+)?\^[^^]+\^1\.2\.250\.1\.213\.1\.1\.4\.5", text) for text in texts
    )


def _confidentiality(view: View) -> bool:
    found = view.codes(CONFIDENTIALITY)
    normal = [code for code in found if code.scheme == CONFIDENTIAL]
    masks = [code for code in found if code.scheme == MASKS]
    return (
        1 <= len(found) <= 4
        and len(normal) + len(masks) == len(found) == len(set(found))
        and {code.code for code in normal} <= {"N", "R", "V"}
        and "N" in {code.code for code in normal}
        and {code.code for code in masks} <= MASKED
    )


def _references(view: View) -> bool:
    for text in view.slot("urn:ihe:iti:xds:2013:referenceIdList"):
        parts = text.split("^")
        if len(parts) < 5 or not parts[0] or parts[4] not in REFERENCES:
            return False
        if parts[4].endswith("studyInstanceUID") and not re.fullmatch(OID, parts[0]):
            return False
        if parts[4].endswith(("accession", "order")) and not re.fullmatch(rf"&{OID}&ISO", parts[3]):
            return False
    return True


KOS_TYPE, KOS_FORMAT = "IMG-KOS", "1.2.840.10008.5.1.4.1.1.88.59"
#: Codes of places that are unknown, or the patient's own.
NOWHERE = frozenset({("SNR", "1.2.250.1.213.1.1.4.6"), ("EXP_PATIENT", "1.2.250.1.213.1.1.4.6")})


def _manifest(view: View) -> bool:
    """A manifest's type and format go together; its author is a system, and it names its study."""
    kinds = view.codes(TYPE)[0].code == KOS_TYPE, view.codes(FORMAT)[0].code == KOS_FORMAT
    if not any(kinds):
        return True
    persons = [text for item in view.authors(AUTHOR) for text in item["authorPerson"]]
    references = {text.split("^")[-1] for text in view.slot("urn:ihe:iti:xds:2013:referenceIdList")}
    return (
        all(kinds)
        and all(re.fullmatch(XCN_SYSTEM, text) for text in persons)
        and "urn:ihe:iti:xds:2016:studyInstanceUID" in references
    )


def _events(view: View) -> bool:
    return all(code.code and re.fullmatch(OID, code.scheme) for code in view.codes(EVENT))


def _source_info(view: View) -> bool:
    rows = view.slot("sourcePatientInfo")
    return any(re.match(r"PID-5\|[^^]+\^[^^]+", row) for row in rows) and all(
        re.match(r"PID-(3|5|7\|[0-9]{8}$|8\|[MFU])", row) for row in rows
    )


_METADATA = "XDSRegistryMetadataError"
#: Each rule of a DocumentEntry: name, check, the code that refuses.
ENTRY: tuple[tuple[str, Rule, str], ...] = (
    ("uniqueId", lambda view: re.fullmatch(OID, view.identifier(UNIQUE)) is not None, _METADATA),
    ("patientId", lambda view: re.fullmatch(CX_INS, view.identifier(PATIENT)) is not None, "XDSUnknownPatientId"),
    ("languageCode", slot("languageCode", "fr-FR"), _METADATA),
    ("hash", slot("hash", "[0-9a-fA-F]{40}"), _METADATA),
    ("creationTime", utc("creationTime"), _METADATA),
    ("serviceStartTime", utc("serviceStartTime"), _METADATA),
    ("serviceStopTime", utc("serviceStopTime", required=False), _METADATA),
    ("title", lambda view: bool(view.text("Name")), _METADATA),
    ("author", _authors, _METADATA),
    ("authorInstitution", _institutions, _METADATA),
    ("authorSpecialty", _specialties, _METADATA),
    ("legalAuthenticator", slot("legalAuthenticator", XCN_PERSON), _METADATA),
    (
        "classCode",
        one(CLASS, lambda code: code.scheme == "1.2.250.1.213.1.1.4.1" and code.code in CLASS_CODES),
        _METADATA,
    ),
    ("typeCode", one(TYPE, _type), _METADATA),
    ("typeCode and classCode", _agree, _METADATA),
    ("formatCode", _format, _METADATA),
    (
        "healthcareFacilityTypeCode",
        one(
            FACILITY,
            lambda code: (
                (code.scheme == "1.2.250.1.71.4.2.4" and code.code in FACILITIES) or (code.code, code.scheme) in NOWHERE
            ),
        ),
        _METADATA,
    ),
    (
        "practiceSettingCode",
        one(
            PRACTICE,
            lambda code: (
                (code.scheme == "1.2.250.1.213.1.1.4.9" and code.code in PRACTICES)
                or (code.code, code.scheme) in NOWHERE
            ),
        ),
        _METADATA,
    ),
    ("confidentialityCode", _confidentiality, _METADATA),
    ("eventCodeList", _events, _METADATA),
    ("referenceIdList", _references, _METADATA),
    ("manifest", _manifest, _METADATA),
    ("sourcePatientId", slot("sourcePatientId", rf"[^^]+\^\^\^&{OID}&ISO\^(PI|NH)"), _METADATA),
    ("sourcePatientInfo", _source_info, _METADATA),
    ("no repositoryUniqueId yet", lambda view: not view.slot("repositoryUniqueId"), _METADATA),
)
#: Each rule of the signature's entry.
SIGNATURE: tuple[tuple[str, Rule, str], ...] = (
    ("signature uniqueId", lambda view: re.fullmatch(OID, view.identifier(UNIQUE)) is not None, _METADATA),
    (
        "signature patientId",
        lambda view: re.fullmatch(CX_INS, view.identifier(PATIENT)) is not None,
        "XDSUnknownPatientId",
    ),
    ("signature mimeType", lambda view: view.element.get("mimeType") == "text/xml", _METADATA),
    ("signature languageCode", slot("languageCode", "art"), _METADATA),
    (
        "signature classCode",
        one(CLASS, lambda code: (code.code, code.scheme) == ("urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "URN")),
        _METADATA,
    ),
    ("signature typeCode", one(TYPE, lambda code: (code.code, code.scheme) == ("E1762", "ASTM")), _METADATA),
    (
        "signature formatCode",
        one(FORMAT, lambda code: (code.code, code.scheme) == (SIGNATURE_FORMAT, "URN")),
        _METADATA,
    ),
    (
        "signature eventCode",
        one(EVENT, lambda code: (code.code, code.scheme) == ("1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12")),
        _METADATA,
    ),
    (
        "signature confidentialityCode",
        lambda view: {code.code for code in view.codes(CONFIDENTIALITY)} == {"N", "MASQUE_PS", "INVISIBLE_PATIENT"},
        _METADATA,
    ),
    ("signature author", _authors, _METADATA),
    ("signature creationTime", utc("creationTime"), _METADATA),
)
#: Each rule of the SubmissionSet.
SET: tuple[tuple[str, Rule, str], ...] = (
    ("SubmissionSet uniqueId", lambda view: re.fullmatch(OID, view.identifier(SET_UNIQUE)) is not None, _METADATA),
    ("SubmissionSet sourceId", lambda view: re.fullmatch(OID, view.identifier(SET_SOURCE)) is not None, _METADATA),
    (
        "SubmissionSet patientId",
        lambda view: re.fullmatch(CX_INS, view.identifier(SET_PATIENT)) is not None,
        "XDSUnknownPatientId",
    ),
    ("submissionTime", utc("submissionTime"), _METADATA),
    ("contentTypeCode", one(CONTENT_TYPE, lambda code: re.fullmatch(OID, code.scheme) is not None), _METADATA),
    (
        "SubmissionSet author",
        lambda view: (
            bool(view.authors(SET_AUTHOR)) and all(item["authorInstitution"] for item in view.authors(SET_AUTHOR))
        ),
        _METADATA,
    ),
)


def check(view: View, rules: tuple[tuple[str, Rule, str], ...]) -> None:
    """Raises Broken for the first rule that is broken."""
    for name, rule, code in rules:
        try:
            good = rule(view)
        except IndexError:
            good = False
        if not good:
            raise Broken(code, f"{name}: not as the rules want it.")
