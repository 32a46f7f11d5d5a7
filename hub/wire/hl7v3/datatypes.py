"""HL7 v3 data types, read strictly and written: II, TS, CS, PN, AD, TEL."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lxml import etree

from hub.errors import Invalid
from hub.patients.model import Traits
from hub.values import Oid, PatientIdentifier
from hub.wire.hl7v3.errors import Hl7v3Invalid
from hub.wire.hl7v3.names import GENDERS, v3
from hub.wire.xml import Element

_TS = re.compile(r"([0-9]{4}(?:[0-9]{2}(?:[0-9]{2})?)?)([0-9]{2}){0,3}(\.[0-9]{1,6})?([+-][0-9]{4})?")
_COG = re.compile(r"[0-9][0-9AB][0-9]{3}")
_MOST = 256  # characters of a name, a number, a line
_NOT_A_NAME = frozenset({"SRCH", "PHON", "SYL", "IDE", "ABC"})  # EntityNameUse: other ways to write the same name
_TO_SEX = {"M": "M", "F": "F", "UN": "O"}
_FROM_SEX = {"M": "M", "F": "F", "O": "UN"}
#: Part of an address -> trait.
ADDRESS: Mapping[str, str] = {
    "streetAddressLine": "address",
    "city": "city",
    "postalCode": "postal_code",
    "country": "country",
}


def add(parent: Element, name: str, /, text: str = "", **attributes: str) -> Element:
    """A child in HL7's namespace."""
    child = etree.SubElement(parent, v3(name), attributes)
    child.text = text or None
    return child


def child(parent: Element, *path: str) -> Element | None:
    """The first element at a path of local names."""
    for name in path:
        parent = parent.find(v3(name)) if parent is not None else None
    return parent


def need(parent: Element, *path: str) -> Element:
    """The same, which must be there. Raises Hl7v3Invalid."""
    found = child(parent, *path)
    if found is None:
        raise Hl7v3Invalid(f"The element {'/'.join(path)} is missing.", location="/".join(path))
    return found


def text_of(element: Element, location: str) -> str:
    """Its whole text without surrounding blanks. Raises Hl7v3Invalid when it is too long."""
    text = " ".join("".join(element.itertext()).split())
    if len(text) > _MOST:
        raise Hl7v3Invalid(f"A text has more than {_MOST} characters.", location=location)
    return text


def oid(value: str, location: str) -> str:
    """An OID. Raises Hl7v3Invalid."""
    try:
        return Oid(value)
    except Invalid:
        raise Hl7v3Invalid("A root is not an OID.", location=location) from None


def read_identifier(element: Element, location: str) -> PatientIdentifier:
    """II with root and extension. Raises Hl7v3Invalid."""
    extension = (element.get("extension") or "").strip()
    if not extension or len(extension) > _MOST:
        raise Hl7v3Invalid("An identifier needs a root and an extension.", location=location)
    return PatientIdentifier(extension, oid(element.get("root") or "", location))


def read_date(element: Element, location: str) -> str:
    """TS as YYYY[MM[DD]]; what is finer is cut off. Raises Hl7v3Invalid."""
    match = _TS.fullmatch(element.get("value") or "")
    if match is None:
        raise Hl7v3Invalid("A time is not a point in time (YYYYMMDD).", location=location)
    if match[1][4:6] > "12" or match[1][6:8] > "31":  # 00 is let through: dates that are known in part (RNIV)
        raise Hl7v3Invalid("A month or day is out of range.", location=location)
    return match[1]


def write_time(at: datetime) -> str:
    """TS to the second, with its zone."""
    return at.strftime("%Y%m%d%H%M%S%z")


def read_sex(element: Element, location: str) -> str:
    """AdministrativeGender -> M, F, O; "" where it has a nullFlavor. Raises Hl7v3Invalid."""
    code = element.get("code") or ""
    if not code and element.get("nullFlavor"):
        return ""
    if code not in _TO_SEX or element.get("codeSystem", GENDERS) != GENDERS:
        raise Hl7v3Invalid("The gender is not a code of AdministrativeGender (M, F, UN).", location=location)
    return _TO_SEX[code]


def write_sex(parent: Element, name: str, sex: str) -> None:
    """The code, where it has one."""
    if sex in _FROM_SEX:
        add(parent, name, code=_FROM_SEX[sex], codeSystem=GENDERS)


def read_names(names: Iterable[Element], location: str) -> dict[str, Any]:
    """PN -> the traits that they tell. Qualifiers BR (birth), SP (spouse) and CL (call me) as in French CDA.

    Without qualifiers the first family name is the birth name and the first given name the first birth given name."""
    found = {"birth_name": "", "used_name": "", "birth_given": "", "used_given": ""}
    every: list[str] = []
    for name in names:
        if set((name.get("use") or "").split()) & _NOT_A_NAME:
            continue
        for part in name:
            value, kinds = text_of(part, location), set((part.get("qualifier") or "").split())
            if not value:
                continue
            if part.tag == v3("family"):
                key = "used_name" if "SP" in kinds or (found["birth_name"] and "BR" not in kinds) else "birth_name"
                found[key] = found[key] or value
            elif part.tag == v3("given") and "CL" in kinds:
                found["used_given"] = found["used_given"] or value
            elif part.tag == v3("given") and "BR" in kinds:
                found["birth_given"] = value
            elif part.tag == v3("given"):
                every.append(value)
    first = found["birth_given"] or (every[0] if every else "")
    listed = " ".join(every)
    if found["birth_given"] and listed and not f"{listed} ".startswith(f"{first} "):
        listed = f"{first} {listed}"
    found["birth_given"] = first
    return {**found, "given_names": listed if listed != first else ""}


def write_names(parent: Element, tag: str, traits: Traits) -> None:
    """The birth name, and the used one where it differs."""
    name = add(parent, tag, use="L")
    if traits.birth_name:
        add(name, "family", traits.birth_name, qualifier="BR")
    if traits.birth_given:
        add(name, "given", traits.birth_given, qualifier="BR")
    for given in _others(traits):
        add(name, "given", given)
    if traits.used_name:
        add(name, "family", traits.used_name, qualifier="SP")
    if traits.used_given:
        add(name, "given", traits.used_given, qualifier="CL")


def _others(traits: Traits) -> list[str]:
    listed, first = traits.given_names.split(), traits.birth_given.split()
    return listed[len(first) :] if listed[: len(first)] == first else listed


def read_address(element: Element, location: str) -> dict[str, str]:
    """AD -> the traits of an address."""
    found: dict[str, str] = {}
    for part, trait in ADDRESS.items():
        texts = [text_of(item, location) for item in element.findall(v3(part))]
        found[trait] = " ".join(filter(None, texts))[:_MOST]
    return found


def write_address(parent: Element, tag: str, traits: Traits) -> None:
    """The home address, where there is one."""
    values = {part: getattr(traits, trait) for part, trait in ADDRESS.items()}
    if any(values.values()):
        address = add(parent, tag)
        for part, value in values.items():
            if value:
                add(address, part, value)


def read_birth_place(element: Element, location: str) -> dict[str, str]:
    """AD of a birth place: its county holds the INSEE code (COG), as in French CDA."""
    county = child(element, "county")
    code = text_of(county, location).upper() if county is not None else ""
    return {"birth_place": code if _COG.fullmatch(code) else ""}


def read_phone(element: Element) -> str:
    """TEL: the number of a tel: URL; "" for others."""
    value = (element.get("value") or "").strip()[:_MOST]
    return value[4:].strip() if value[:4].lower() == "tel:" else ""
