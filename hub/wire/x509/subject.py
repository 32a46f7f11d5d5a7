"""What a certificate says of whom it was issued to, in the layouts of IGC-Santé and of the older IGC-CPS."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.access.model import Professional

#: Words for a profession in subjects (title of IGC-Santé, OU of IGC-CPS) -> TRE_G15.
LABELS: Mapping[str, str] = {
    "Médecin": "10",
    "Pharmacien": "21",
    "Physicien médical": "32",
    "Chirurgien-Dentiste": "40",
    "Sage-Femme": "50",
    "Infirmier": "60",
    "Masseur-Kinésithérapeute": "70",
    "Pédicure-Podologue": "80",
    "Manipulateur ERM": "98",
}
#: First character of idNat_PS that names a structure -> first character of Struct_IdNat.
_STRUCTURES = {"1": "0", "3": "1", "4": "2", "5": "3", "6": "4"}
_INTERNAL = re.compile(r"[13456][0-9A-Z]{9,14}/[0-9A-Za-z]{1,32}")  # structure / number within it
_PERSON = re.compile(rf"0[0-9A-Z]{{9}}|8[0-9]{{11}}|{_INTERNAL.pattern}")  # ADELI, RPPS, or within a structure
_STRUCTURE = re.compile(r"[0-4][0-9A-Z]{9,16}|[0-9]{2}[A-Z][0-9]{7}")
_LONGEST = 200


class Kind(StrEnum):
    """Whom a certificate stands for."""

    PROFESSIONAL = "professional"  #: CPS: a registered professional
    EMPLOYEE = "employee"  #: CPE: somebody who works for a structure
    STRUCTURE = "structure"  #: a structure's own system
    OTHER = "other"  #: none of these layouts


@dataclass(frozen=True)
class Oids:
    """Private extensions of IGC-Santé, and what their values mean."""

    card_type: str = "1.2.250.1.71.1.2.2"
    card_serial: str = "1.2.250.1.71.1.2.3"
    profession: str = "1.2.250.1.71.1.2.7"
    specialities: str = "1.2.250.1.71.4.2.5"
    employee_types: tuple[int, ...] = (2,)
    labels: Mapping[str, str] = field(default_factory=lambda: dict(LABELS))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a subject says. Empty: it says nothing of it."""

    kind: Kind
    id: str = ""  #: idNat_PS of a person; the CN of a system
    family: str = ""
    given: str = ""
    profession: str = ""
    specialities: tuple[str, ...] = ()
    structure: str = ""  #: Struct_IdNat
    structure_name: str = ""
    card_type: int | None = None
    card_serial: str = ""
    named: bool = True  #: False for a card that names its structure only

    @property
    def professional(self) -> Professional | None:
        """The person, None when it is a system."""
        if self.kind not in (Kind.PROFESSIONAL, Kind.EMPLOYEE):
            return None
        return Professional(
            id=self.id,
            family=self.family,
            given=self.given,
            profession=self.profession,
            specialities=self.specialities,
            structure=self.structure,
            structure_name=self.structure_name,
        )


def facts(certificate: x509.Certificate, oids: Oids | None = None) -> Facts:
    """What the certificate says of its holder. Never raises for odd contents: what can't be read is not there."""
    oids = oids or Oids()
    extensions = _private(certificate)
    subject = certificate.subject
    name, organisation = _one(subject, NameOID.COMMON_NAME), _one(subject, NameOID.ORGANIZATION_NAME)
    unit = _one(subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    family, given = _one(subject, NameOID.SURNAME), _one(subject, NameOID.GIVEN_NAME)
    card_type = _integer(extensions.get(oids.card_type, b""))
    coded = _integer(extensions.get(oids.profession, b""))
    labels = {word.casefold(): code for word, code in oids.labels.items()}
    word = _one(subject, NameOID.TITLE) or unit
    profession = str(coded) if coded is not None else labels.get(word.casefold(), "")
    serial = "".join(_texts(extensions.get(oids.card_serial, b""))[:1])
    base = Facts(
        Kind.OTHER,
        id=name,
        family=family,
        given=given,
        structure_name=organisation,
        card_type=card_type,
        card_serial=serial,
        named=bool(family),
    )
    if card_type in oids.employee_types or (not profession and _INTERNAL.fullmatch(name)):
        return _employee(base, unit)
    if (profession or card_type is not None) and _PERSON.fullmatch(name):
        specialities = tuple(_texts(extensions.get(oids.specialities, b"")))
        structure = structure_of(name)
        return replace(
            base,
            kind=Kind.PROFESSIONAL,
            profession=profession,
            specialities=specialities,
            structure=structure,
            structure_name=organisation if structure else "",
        )
    if organisation and _STRUCTURE.fullmatch(unit):
        return replace(base, kind=Kind.STRUCTURE, structure=unit)
    return base


def _employee(base: Facts, unit: str) -> Facts:
    if not _PERSON.fullmatch(base.id):
        return base
    return replace(
        base,
        kind=Kind.EMPLOYEE,
        # A card that names nobody: the structure and the number stand for the person.
        family=base.family or _plain(base.structure_name),
        given=base.given or _plain(base.id),
        structure=structure_of(base.id) or (unit if _STRUCTURE.fullmatch(unit) else ""),
    )


@cache
def structure_of(person: str) -> str:
    """Struct_IdNat of the structure that an idNat_PS names ("3750100125/88" -> "1750100125"), "" when it names none."""
    number, slash, _ = person.partition("/")
    return _STRUCTURES.get(number[:1], "") + number[1:] if slash and number[:1] in _STRUCTURES else ""


def _plain(text: str) -> str:
    return re.sub(r"[^\w .'-]", "-", text)


def _one(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    """The attribute's only value; "" when there is none, several, or one that no card has."""
    values = name.get_attributes_for_oid(oid)
    if len(values) != 1 or not isinstance(values[0].value, str):
        return ""
    text = values[0].value.strip()
    return text if len(text) <= _LONGEST and text.isprintable() else ""


def _private(certificate: x509.Certificate) -> Mapping[str, bytes]:
    try:
        extensions = certificate.extensions
    except ValueError:
        return {}
    return {
        extension.oid.dotted_string: extension.value.value
        for extension in extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }


def _integer(value: bytes) -> int | None:
    """A DER INTEGER, of a reasonable size."""
    items = [content for tag, content in _der(value) if tag == 0x02 and 0 < len(content) <= 4]
    return int.from_bytes(items[0], signed=True) if len(items) == 1 else None


def _texts(value: bytes, depth: int = 0) -> list[str]:
    """The strings of a DER value: one, or a sequence or set of them."""
    found: list[str] = []
    for tag, content in _der(value):
        if tag in (0x30, 0x31) and depth < 2:
            found += _texts(content, depth + 1)
        elif tag in (0x0C, 0x13, 0x16):
            text = content.decode("utf-8" if tag == 0x0C else "latin-1", "replace").strip()
            if 0 < len(text) <= _LONGEST and text.isprintable():
                found.append(text)
    return found[:50]


def _der(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each item, until one does not fit."""
    place = 0
    while place + 2 <= len(value):
        tag, length = value[place], value[place + 1]
        place += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 3 or place + size > len(value):
                return
            length = int.from_bytes(value[place : place + size])
            place += size
        if place + length > len(value):
            return
        yield tag, value[place : place + length]
        place += length
