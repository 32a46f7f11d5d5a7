"""The header of a CDA R2 document, as far as sharing it needs (CI-SIS volet Structuration minimale; IHE RAD).

Only the header is read; the body is neither looked at nor changed.
"""

import re
from dataclasses import dataclass
from typing import Any

from hub.errors import HubError, Invalid, Malformed
from hub.values import Oid, PatientIdentifier
from hub.wire.xml import parse_xml

NAMESPACE = "urn:hl7-org:v3"
PS3_20 = "urn:dicom-org:ps3-20"
ROOT = f"{{{NAMESPACE}}}ClinicalDocument"
_NS = {"h": NAMESPACE, "p": PS3_20}
_DTM = re.compile(r"(\d{4,14})(?:\.\d+)?([+-]\d{4})?")
_RPPS = "1.2.250.1.71.4.2.1"
MAX_BYTES = 32 * 1024 * 1024


class CdaMalformed(Malformed):
    """The bytes are no CDA document, or its header lacks what identifies it."""

    code = "cda-malformed"
    title = "The document is not a CDA R2 document."


class CdaInvalid(Invalid):
    """A value of the CDA header breaks a rule; ``location`` names the element."""

    code = "cda-invalid"
    title = "A value of the CDA header is not valid."


@dataclass(frozen=True, slots=True)
class Act:
    """A code of the document: the documented act, its modality, its region."""

    value: str
    scheme: str
    display: str = ""
    qualifier: str = ""


@dataclass(frozen=True, slots=True)
class CdaHeader:
    """What the header says. Identifiers are ``root`` or ``root^extension``; times are DTM text as written."""

    document_id: str
    set_id: str = ""
    version: int = 1
    title: str = ""
    type_code: Act | None = None
    confidentiality: str = ""
    language: str = ""
    effective_time: str = ""
    patient_ids: tuple[PatientIdentifier, ...] = ()
    author: str = ""  #: XCN
    author_institution: str = ""  #: XON
    custodian: str = ""  #: XON
    legal_authenticator: str = ""  #: XCN
    study_instance_uid: str = ""
    acts: tuple[Act, ...] = ()
    placer_number: str = ""
    placer_issuer: str = ""
    accession_number: str = ""
    accession_issuer: str = ""
    replaces: str = ""


def is_cda(content: bytes) -> bool:
    """Whether the bytes look like a CDA document, cheaply."""
    return b"ClinicalDocument" in content[:4096]


def read(content: bytes) -> CdaHeader:
    """The header of a CDA document. Raises CdaMalformed, CdaInvalid."""
    try:
        root = parse_xml(content, max_bytes=MAX_BYTES)
    except CdaMalformed:
        raise
    except HubError as error:
        raise CdaMalformed(error.message, location=error.location) from error
    if root.tag != ROOT:
        raise CdaMalformed("The document's root is not a CDA ClinicalDocument.")
    document_id = _id(root, "h:id")
    if not document_id:
        raise CdaMalformed("The CDA document has no id.", location="ClinicalDocument/id")
    placer, placer_issuer = _extension(root, "h:inFulfillmentOf/h:order/h:id")
    accession, accession_issuer = _extension(root, "h:inFulfillmentOf/h:order/p:accessionNumber")
    event = _first(root, "h:documentationOf/h:serviceEvent[h:id]")
    author = _first(root, "h:author/h:assignedAuthor")
    return CdaHeader(
        document_id=document_id,
        set_id=_id(root, "h:setId"),
        version=_version(root),
        title=_text(root, "h:title"),
        type_code=_act(_first(root, "h:code")),
        confidentiality=_attribute(root, "h:confidentialityCode", "code"),
        language=_attribute(root, "h:languageCode", "code"),
        effective_time=_time(root),
        patient_ids=tuple(_patient_ids(root)),
        author=_xcn(author),
        author_institution=_xon(_first(author, "h:representedOrganization")),
        custodian=_xon(_first(root, "h:custodian/h:assignedCustodian/h:representedCustodianOrganization")),
        legal_authenticator=_xcn(_first(root, "h:legalAuthenticator/h:assignedEntity")),
        study_instance_uid=_study(event),
        acts=tuple(_acts(event)),
        placer_number=placer,
        placer_issuer=placer_issuer,
        accession_number=accession,
        accession_issuer=accession_issuer,
        replaces=_id(root, "h:relatedDocument[@typeCode='RPLC']/h:parentDocument/h:id"),
    )


def _first(element: Any, path: str) -> Any:
    found = element.xpath(path, namespaces=_NS) if element is not None else []
    return found[0] if found else None


def _attribute(element: Any, path: str, name: str) -> str:
    found = _first(element, path)
    return str(found.get(name, "")).strip() if found is not None else ""


def _text(element: Any, path: str) -> str:
    found = _first(element, path)
    return " ".join("".join(found.itertext()).split()) if found is not None else ""


def _id(root: Any, path: str) -> str:
    found = _first(root, path)
    if found is None or not found.get("root"):
        return ""
    extension = found.get("extension", "")
    return f"{found.get('root')}^{extension}" if extension else str(found.get("root"))


def _extension(root: Any, path: str) -> tuple[str, str]:
    """(number, authority): the extension in its root; a root that stands alone is the number."""
    found = _first(root, path)
    if found is None:
        return "", ""
    own, extension = found.get("root", ""), found.get("extension", "")
    return (extension, own) if extension else (own, "")


def _version(root: Any) -> int:
    text = _attribute(root, "h:versionNumber", "value") or "1"
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise CdaInvalid("The version is not a number.", location="ClinicalDocument/versionNumber")
    return int(text)


def _time(root: Any) -> str:
    text = _attribute(root, "h:effectiveTime", "value")
    if text and not _DTM.fullmatch(text):
        raise CdaInvalid("The time is not a DTM.", location="ClinicalDocument/effectiveTime")
    return text


def _patient_ids(root: Any) -> list[PatientIdentifier]:
    found = []
    for element in root.xpath("h:recordTarget/h:patientRole/h:id[@root and @extension]", namespaces=_NS):
        try:
            found.append(PatientIdentifier(element.get("extension"), Oid(element.get("root"))))
        except Invalid:
            raise CdaInvalid("A patient id's root is not an OID.", location="recordTarget/patientRole/id") from None
    return found


def _study(event: Any) -> str:
    text = _attribute(event, "h:id", "root")
    if not text:
        return ""
    try:
        return Oid(text)
    except Invalid:
        raise CdaInvalid("The study is not a DICOM UID.", location="documentationOf/serviceEvent/id") from None


def _act(element: Any) -> Act | None:
    if element is None or not element.get("code"):
        return None
    qualifier = _attribute(element, "h:qualifier/h:name", "code")
    return Act(element.get("code"), element.get("codeSystem", ""), element.get("displayName", ""), qualifier)


def _acts(event: Any) -> list[Act]:
    code = _first(event, "h:code")
    if code is None:
        return []
    every = [code, *code.xpath("h:translation", namespaces=_NS)]
    return [act for act in map(_act, every) if act is not None]


def _clean(text: str) -> str:
    """A component of an HL7 v2 data type: its delimiters can't be in it."""
    return re.sub(r"[|^&~\\]", " ", text).strip()


def _xcn(entity: Any) -> str:
    """XCN of a person or a device (ITI TF-3: Table 4.2.3.1.7-2)."""
    number, root = _attribute(entity, "h:id", "extension"), _attribute(entity, "h:id", "root")
    family = _text(entity, "h:assignedPerson/h:name/h:family") or _text(
        entity, "h:assignedAuthoringDevice/h:softwareName"
    )
    given = _text(entity, "h:assignedPerson/h:name/h:given") or _text(
        entity, "h:assignedAuthoringDevice/h:manufacturerModelName"
    )
    if not family and not number:
        return ""
    kind = ("D", "IDNPS") if root == _RPPS else ("D", "")
    authority = f"&{root}&ISO" if number and root else ""
    parts = [_clean(number), _clean(family), _clean(given), "", "", "", "", "", authority, kind[0], "", "", kind[1]]
    return "^".join(parts).rstrip("^")


def _xon(organisation: Any) -> str:
    """XON of an organisation (ITI TF-3: Table 4.2.3.1.7-2)."""
    name = _clean(_text(organisation, "h:name"))
    root, extension = _attribute(organisation, "h:id", "root"), _attribute(organisation, "h:id", "extension")
    if not name and not root:
        return ""
    if not root:
        return name
    if not extension:
        return f"{name}^^^^^^^^^{root}"
    return f"{name}^^^^^&{root}&ISO^IDNST^^^{_clean(extension)}"
