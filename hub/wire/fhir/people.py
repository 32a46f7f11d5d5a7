"""Persons, organisations and telecommunications: XCN, XON, XTN of XDS <-> contained resources of FHIR.

ITI TF-3: Table 4.2.3.1.7-2; MHD keeps authors, authenticators and source patients as contained resources.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hub.documents.model import Author
from hub.errors import Invalid
from hub.wire.fhir.codes import URI, code_of, filled, scheme_of, system_of, text

_SHOWN = frozenset({"Practitioner", "Patient", "RelatedPerson", "Organization"})
_GENDERS = {"M": "male", "F": "female", "O": "other", "A": "other", "U": "unknown"}
_SEXES = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
_TELECOM = {"PH": "phone", "CP": "phone", "FX": "fax", "BP": "pager", "Internet": "email", "X.400": "email"}
_EQUIPMENT = {"phone": "PH", "fax": "FX", "pager": "BP", "email": "Internet"}


class Box:
    """The contained resources of one resource; reading, also what its references lead to elsewhere."""

    def __init__(
        self, contained: Any = (), elsewhere: Callable[[str], Any] = lambda _reference: None, base: str = ""
    ) -> None:
        self.base = base  #: URL of the service that is read for: absolute references under it are relative ones
        self.contained: list[dict[str, Any]] = []
        given = contained if isinstance(contained, list) else []
        self._known = {f"#{item.get('id', '')}": item for item in given if isinstance(item, dict)}
        self._elsewhere = elsewhere

    def put(self, resource: Mapping[str, Any]) -> dict[str, str]:
        """Contain a resource; the reference to it."""
        kind = str(resource["resourceType"]).lower()
        name = f"{kind}-{len(self.contained) + 1}"
        self.contained.append({**resource, "id": name})
        return {"reference": f"#{name}"}

    def get(self, reference: Any) -> Mapping[str, Any]:
        """The resource that a Reference leads to, or what it says itself of another server's. Raises Invalid when it
        leads nowhere."""
        name = text(reference, "reference") if isinstance(reference, dict) else ""
        found = self._known.get(name) or self._elsewhere(name)
        if not isinstance(found, dict) and ("identifier" in reference or "display" in reference):
            return _logical(reference)
        if not isinstance(found, dict) and "?" in name:
            raise Invalid("Conditional references are not resolved here: contain the resource.", location="reference")
        if not isinstance(found, dict):
            raise Invalid("A reference leads to no resource in the request.", location="reference")
        return found


def _logical(reference: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a Reference by identifier and display says (FHIR R4: 2.3.0.2)."""
    place = text(reference, "reference").rpartition("/")[0].rpartition("/")[2]
    kind = text(reference, "type") or (place if place in _SHOWN else "Practitioner")
    display = text(reference, "display")
    name: Any = display if kind == "Organization" else _one({"family": display} if display else "")
    return filled({"resourceType": kind, "identifier": _one(reference.get("identifier")), "name": name})


def practitioner(xcn: str) -> dict[str, Any]:
    """Practitioner of an XCN: ``id^family^given^further^suffix^prefix^^^authority``."""
    parts = _parts(xcn, "^", 9)
    given = [*([parts[2]] if parts[2] else []), *parts[3].split()]
    name = filled(
        {"family": parts[1].partition("&")[0], "given": given, "prefix": _one(parts[5]), "suffix": _one(parts[4])}
    )
    identifiers = _one(_identifier(parts[0], parts[8])) if parts[0] else []
    return filled({"resourceType": "Practitioner", "identifier": identifiers, "name": _one(name)})


def xcn(resource: Mapping[str, Any]) -> str:
    """The XCN of a Practitioner or a Patient."""
    name, identifier = first(resource, "name"), first(resource, "identifier")
    given = [part for part in listed(name, "given") if isinstance(part, str)]
    value, authority = _numbered(identifier)
    prefix, suffix = (_text_of(listed(name, part)) for part in ("prefix", "suffix"))
    parts = [value, text(name, "family"), next(iter(given), ""), " ".join(given[1:]), suffix, prefix, "", "", authority]
    return _joined(parts, "^")


def organization(xon: str) -> dict[str, Any]:
    """Organization of an XON: ``name^^^^^authority^^^^id``."""
    parts = _parts(xon, "^", 10)
    identifier = _identifier(parts[9], parts[5]) if parts[9] else {}
    return filled({"resourceType": "Organization", "identifier": _one(identifier), "name": parts[0]})


def xon(resource: Mapping[str, Any]) -> str:
    """The XON of an Organization."""
    value, authority = _numbered(first(resource, "identifier"))
    return _joined([text(resource, "name"), "", "", "", "", authority, "", "", "", value], "^")


def contact(xtn: str) -> dict[str, Any]:
    """ContactPoint of an XTN: ``^use^equipment^address^country^area^number^^^^^unformatted``."""
    parts = _parts(xtn, "^", 12)
    system = _TELECOM.get(parts[2], "other")
    number = parts[11] or "".join(part for part in parts[4:7]) or parts[0]
    return filled({"system": system, "value": parts[3] or number})


def xtn(found: Mapping[str, Any]) -> str:
    """The XTN of a ContactPoint."""
    equipment = _EQUIPMENT.get(text(found, "system"), "")
    value = text(found, "value")
    if equipment == "Internet":
        return f"^^Internet^{value}"
    return f"^^{equipment}^^^^^^^^^{value}" if value else ""


def put_author(author: Author, box: Box) -> list[dict[str, Any]]:
    """References to what an author is: a person alone, an organisation alone, or a person's role."""
    telecom = [contact(item) for item in author.telecommunications]
    plain = not (author.institutions or author.roles or author.specialties)
    person = {**practitioner(author.person), **filled({"telecom": telecom})} if author.person else {}
    if person and plain:
        return [box.put(person)]
    organisations = [box.put(organization(item)) for item in author.institutions]
    if not person and not (author.roles or author.specialties or telecom):
        return organisations
    role = filled(
        {
            "resourceType": "PractitionerRole",
            "practitioner": box.put(practitioner(author.person)) if author.person else {},
            "organization": next(iter(organisations), {}),
            "code": [_spoken(item) for item in author.roles],
            "specialty": [_spoken(item) for item in author.specialties],
            "telecom": telecom,
        }
    )
    return [box.put(role), *organisations[1:]]


def _telecommunications(found: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(filter(None, (xtn(item) for item in listed(found, "telecom") if isinstance(item, dict))))


def get_author(reference: Any, box: Box) -> Author:
    """The author that a reference means. Raises Invalid."""
    found = box.get(reference)
    kind = found.get("resourceType")
    telecom = _telecommunications(found)
    if kind == "Organization":
        return Author(institutions=(xon(found),), telecommunications=telecom)
    if kind == "PractitionerRole":
        holder = box.get(found["practitioner"]) if "practitioner" in found else {}
        person, telecom = xcn(holder) if holder else "", (*telecom, *_telecommunications(holder))
        institutions = (xon(box.get(found["organization"])),) if "organization" in found else ()
        roles, specialties = (
            tuple(filter(None, (_written(item) for item in listed(found, name)))) for name in ("code", "specialty")
        )
        return Author(person, institutions, roles, specialties, tuple(dict.fromkeys(telecom)))
    if kind in ("Practitioner", "Patient", "RelatedPerson"):
        return Author(xcn(found), telecommunications=telecom)
    if kind == "Device":
        return Author(_joined(["", text(first(found, "deviceName"), "name")], "^"))
    raise Invalid("An author is a person, a person's role or an organisation.", location="author")


def source_patient(number: str, rows: tuple[str, ...]) -> dict[str, Any]:
    """Patient as the source knows it: sourcePatientId and the rows of sourcePatientInfo (ITI TF-3: 4.2.3.2.23)."""
    known: dict[str, list[str]] = {}
    for row in rows:
        name, _, value = row.partition("|")
        known.setdefault(name, []).append(value)
    parts = _parts(number, "^", 4)
    day = next(iter(known.get("PID-7", ())), "")[:8]
    names = [_parts(value, "^", 6) for value in known.get("PID-5", ())]
    return filled(
        {
            "resourceType": "Patient",
            "identifier": _one(_identifier(parts[0], parts[3])) if parts[0] else [],
            "name": [found for item in names if (found := _name(item))],
            "gender": _GENDERS.get(next(iter(known.get("PID-8", ())), ""), ""),
            "birthDate": "-".join(part for part in (day[:4], day[4:6], day[6:8]) if part) if day.isdecimal() else "",
        }
    )


def source_patient_info(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """The rows of sourcePatientInfo that a Patient gives."""
    rows = []
    for name in listed(resource, "name"):
        if isinstance(name, dict):
            given = [part for part in listed(name, "given") if isinstance(part, str)]
            value = _joined([text(name, "family"), next(iter(given), ""), " ".join(given[1:])], "^")
            rows.append(f"PID-5|{value}" if value else "")
    rows.append(f"PID-7|{text(resource, 'birthDate').replace('-', '')}" if "birthDate" in resource else "")
    sex = _SEXES.get(text(resource, "gender"), "")
    rows.append(f"PID-8|{sex}" if sex else "")
    return tuple(filter(None, rows))


def source_patient_id(resource: Mapping[str, Any]) -> str:
    """The sourcePatientId that a Patient gives: CX."""
    value, authority = _numbered(first(resource, "identifier"))
    return f"{value}^^^{authority}" if value else ""


def first(found: Any, name: str) -> Mapping[str, Any]:
    """The first of a list of elements, an empty one when there is none."""
    item: Any = next(iter(listed(found, name)), {})
    return item if isinstance(item, dict) else {}


def listed(found: Any, name: str) -> list[Any]:
    """A list of elements, empty when absent. Raises Invalid."""
    value = found.get(name, []) if isinstance(found, dict) else []
    if not isinstance(value, list):
        raise Invalid("A list is expected.", location=name)
    return value


def _name(parts: list[str]) -> dict[str, Any]:
    given = [*([parts[1]] if parts[1] else []), *parts[2].split()]
    return filled({"family": parts[0].partition("&")[0], "given": given})


def _identifier(value: str, authority: str) -> dict[str, Any]:
    oid = _parts(authority, "&", 3)[1]
    if not oid and value.replace(".", "").isdecimal() and "." in value:
        return {"system": URI, "value": f"urn:oid:{value}"}
    return filled({"system": f"urn:oid:{oid}" if oid else "", "value": value})


def _numbered(identifier: Mapping[str, Any]) -> tuple[str, str]:
    """An Identifier's value, and its authority as HL7 writes it: ``&oid&ISO``."""
    system, value = text(identifier, "system"), text(identifier, "value")
    if system == URI or not system.startswith("urn:oid:"):
        return value.removeprefix("urn:oid:"), ""
    return value, f"&{system.removeprefix('urn:oid:')}&ISO"


def _spoken(item: str) -> dict[str, Any]:
    """CodeableConcept of a text, or of ``code^display^scheme``."""
    value, display, scheme = _parts(item, "^", 3)[:3]
    if scheme.startswith("&"):
        scheme = scheme.split("&")[1]
    if not (display or scheme):
        return {"text": value}
    return {"coding": [filled({"system": system_of(scheme), "code": value, "display": display})]}


def _written(item: Any) -> str:
    code = code_of(item)
    if code is None:
        return text(item, "text") if isinstance(item, dict) else ""
    return _joined([code.value, code.display, f"&{scheme_of(code.scheme)}&ISO" if code.scheme else ""], "^")


def _text_of(values: list[Any]) -> str:
    return next((value for value in values if isinstance(value, str)), "")


def _one(value: Any) -> list[Any]:
    return [value] if value else []


def _parts(value: str, separator: str, least: int) -> list[str]:
    parts = value.split(separator)
    return parts + [""] * (least - len(parts))


def _joined(parts: list[str], separator: str) -> str:
    return separator.join(part.replace(separator, " ") for part in parts).rstrip(separator)
