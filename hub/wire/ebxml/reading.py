"""Registry objects: XML -> model. Strict about form; which values are good is the documents room's business."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hub.documents.errors import RegistryMetadataError
from hub.documents.model import (
    APPROVED,
    STABLE,
    Association,
    Author,
    DocumentEntry,
    Folder,
    ReferenceId,
    RegistryObject,
    SubmissionSet,
)
from hub.errors import Invalid
from hub.values import Code, PatientIdentifier
from hub.wire.ebxml.fields import ASSOCIATION, AUTHOR_SLOTS, ENTRY, FOLDER, SUBMISSION_SET, Layout, SlotField
from hub.wire.ebxml.names import FOLDER_NODE, REFERENCE_ID_LIST, SUBMISSION_SET_NODE, rim
from hub.wire.xml import Element

Slots = Mapping[str, tuple[str, ...]]

_SLOT, _VALUES = rim("Slot"), f"{rim('ValueList')}/{rim('Value')}"
_CLASSIFICATION, _IDENTIFIER = rim("Classification"), rim("ExternalIdentifier")
_LOCALIZED = rim("LocalizedString")
#: CX of XDS: a number and an OID, nothing else (ITI TF-3: Table 4.2.3.1.7-2).
_CX = re.compile(r"[^\^~&|\\]+\^\^\^&[0-9.]+&ISO")
_NUMBER = re.compile(r"[0-9]{1,19}")


def read_objects(objects: Element) -> tuple[RegistryObject, ...]:
    """Every object of a RegistryObjectList, in order; ObjectRefs are left out. Raises RegistryMetadataError."""
    outside: dict[str, list[Element]] = {}
    for element in objects.iterchildren(_CLASSIFICATION):
        outside.setdefault(element.get("classifiedObject", ""), []).append(element)
    found = [_Reader(element, outside).read() for element in objects if element.tag in _KINDS]
    for element in objects:
        if element.tag not in _KINDS and element.tag not in _BESIDE:
            raise RegistryMetadataError(
                f"A submission holds no {element.tag.rpartition('}')[2]} (ITI TF-3: 4.2.1).",
                location="RegistryObjectList",
            )
    return tuple(found)


def read_slots(element: Element, label: str) -> dict[str, tuple[str, ...]]:
    """The slots of an element by name. Raises RegistryMetadataError when a name is missing or stands twice."""
    slots: dict[str, tuple[str, ...]] = {}
    for slot in element.iterchildren(_SLOT):
        name = slot.get("name", "")
        if not name or name in slots:
            problem = "stands twice" if name else "has no name"
            raise RegistryMetadataError(f"{label}: the slot {name} {problem} (ITI TF-3: 4.2.3.1.2).", location=name)
        slots[name] = tuple((value.text or "").strip() for value in slot.iterfind(_VALUES))
    return slots


class _Reader:
    """Reads one object; ``label`` is how messages name it."""

    def __init__(self, element: Element, outside: Mapping[str, list[Element]]) -> None:
        self.element = element
        self.id = element.get("id", "")
        self.classifications = [*element.iterchildren(_CLASSIFICATION), *outside.get(self.id, ())]
        self.nodes = {item.get("classificationNode") for item in self.classifications}
        self.layout = self._layout()
        self.label = f"{self.layout.name} {_printable(self.id)}".strip()
        self.slots = read_slots(element, self.label)
        self.schemes = self._by_scheme()

    def _layout(self) -> Layout:
        if self.element.tag != rim("RegistryPackage"):
            return ENTRY if self.element.tag == rim("ExtrinsicObject") else ASSOCIATION
        kinds = self.nodes & {SUBMISSION_SET_NODE, FOLDER_NODE}
        if len(kinds) != 1:
            raise RegistryMetadataError(
                f"RegistryPackage {_printable(self.id)}: it must be classified as one SubmissionSet or Folder "
                "(ITI TF-3: 4.2.1.1).",
                location=_printable(self.id),
            )
        return SUBMISSION_SET if SUBMISSION_SET_NODE in kinds else FOLDER

    def read(self) -> RegistryObject:
        """The object. Raises RegistryMetadataError."""
        values: dict[str, Any] = {
            "id": self.id,
            "status": self.element.get("status") or APPROVED,
            "home": self.element.get("home", ""),
            "logical_id": self.element.get("lid", ""),
            "version": self._version(),
            **self._slot_values(self.slots, self.layout.slots),
            **self._codes(),
        }
        known = {field.slot for field in self.layout.slots}
        values["extra"] = {name: texts for name, texts in self.slots.items() if name not in known}
        if self.layout is ASSOCIATION:
            return self._association(values)
        values |= self._identifiers()
        values["title"], values["comments"] = self._localized("Name"), self._localized("Description")
        values["limited"] = self.layout.limited in self.nodes
        if self.layout.author:
            values["authors"] = self._authors()
        if self.layout is SUBMISSION_SET:
            return SubmissionSet(**{"submission_time": "", **values})  # that it is missing is said by the rules
        if self.layout is FOLDER:
            return Folder(**values)
        return self._entry(values)

    def _entry(self, values: dict[str, Any]) -> DocumentEntry:
        values["mime_type"] = self.element.get("mimeType", "")
        values["object_type"] = self.element.get("objectType") or STABLE
        return DocumentEntry(**values)

    def _association(self, values: dict[str, Any]) -> Association:
        values["type"] = self.element.get("associationType", "")
        values["source"] = self.element.get("sourceObject", "")
        values["target"] = self.element.get("targetObject", "")
        return Association(**values)

    def _broken(self, attribute: str, problem: str) -> RegistryMetadataError:
        return RegistryMetadataError(
            f"{self.label}: {attribute} {problem}.", location=attribute, object=_printable(self.id)
        )

    def _version(self) -> int:
        info = self.element.find(rim("VersionInfo"))
        name = info.get("versionName", "1") if info is not None else "1"
        if not _NUMBER.fullmatch(name):
            raise self._broken("versionName", "must be a number (ITI TF-3: 4.2.3.2.32)")
        return int(name)

    def _localized(self, name: str) -> str:
        element = self.element.find(f"{rim(name)}/{_LOCALIZED}")
        return str(element.get("value", "")) if element is not None else ""

    def _slot_values(self, slots: Slots, fields: Iterable[SlotField]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in fields:
            texts = slots.get(field.slot)
            if texts is None:
                continue
            if not field.many and len(texts) > 1:
                raise self._broken(field.slot, "must have one value")
            values[field.attribute] = self._convert(field, texts)
        return values

    def _convert(self, field: SlotField, texts: tuple[str, ...]) -> Any:
        if field.attribute in ("size", "previous_version"):
            if not texts or not _NUMBER.fullmatch(texts[0]):
                raise self._broken(field.slot, "must be a number")
            return int(texts[0])
        if field.slot == REFERENCE_ID_LIST:
            return tuple(read_reference(text) for text in texts)
        if field.slot == "URI":
            return _joined_uri(texts)
        if field.many:
            return texts
        return texts[0] if texts else ""

    def _by_scheme(self) -> dict[str, list[Element]]:
        found: dict[str, list[Element]] = {}
        allowed = {field.scheme for field in self.layout.codes} | {self.layout.author} - {""}
        for element in self.classifications:
            scheme = element.get("classificationScheme", "")
            node = element.get("classificationNode", "")
            if node and node not in (self.layout.node, self.layout.limited):
                raise self._broken("Classification", f"has a node that means nothing here: {_printable(node)}")
            if not node and scheme not in allowed:
                raise self._broken("Classification", f"has a scheme that means nothing here: {_printable(scheme)}")
            if element.get("classifiedObject", self.id) != self.id:
                raise self._broken("Classification", "classifies another object than the one that it stands in")
            found.setdefault(scheme, []).append(element)
        return found

    def _codes(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for field in self.layout.codes:
            elements = self.schemes.get(field.scheme, [])
            if len(elements) > 1 and not field.many:
                raise self._broken(field.name, f"stands {len(elements)} times, at most 1 is allowed")
            codes = tuple(self._code(element, field.name) for element in elements)
            if field.many:
                values[field.attribute] = codes
            elif codes:
                values[field.attribute] = codes[0]
        return values

    def _code(self, element: Element, name: str) -> Code:
        scheme = read_slots(element, f"{self.label}, {name}").get("codingScheme", ())
        value = element.get("nodeRepresentation", "")
        if not value:
            raise self._broken(name, "has no nodeRepresentation (ITI TF-3: 4.2.3.1.2)")
        if len(scheme) != 1 or not scheme[0]:
            raise self._broken(name, "must have one codingScheme (ITI TF-3: 4.2.3.1.2)")
        display = element.find(f"{rim('Name')}/{_LOCALIZED}")
        return Code(value, scheme[0], str(display.get("value", "")) if display is not None else "")

    def _authors(self) -> tuple[Author, ...]:
        elements = self.schemes.get(self.layout.author, [])
        return tuple(
            Author(**self._slot_values(read_slots(element, f"{self.label}, author"), AUTHOR_SLOTS))
            for element in elements
        )

    def _identifiers(self) -> dict[str, Any]:
        found: dict[str, str] = {}
        for element in self.element.iterchildren(_IDENTIFIER):
            scheme = element.get("identificationScheme", "")
            if scheme in found:
                raise self._broken("ExternalIdentifier", f"stands twice: {_printable(scheme)}")
            if element.get("registryObject", self.id) != self.id:
                raise self._broken("ExternalIdentifier", "belongs to another object than the one that it stands in")
            found[scheme] = (element.get("value") or "").strip()
        values: dict[str, Any] = {}
        for field in self.layout.identifiers:
            name = field.name.partition(".")[2]
            text = found.pop(field.scheme, "")
            if not text:
                raise self._broken(name, "is missing (ITI TF-3: 4.2.3.1.3)")
            values[field.attribute] = self._patient(text) if field.attribute == "patient_id" else text
        if found:
            raise self._broken("ExternalIdentifier", f"has an unknown scheme: {_printable(next(iter(found)))}")
        return values

    def _patient(self, text: str) -> PatientIdentifier:
        try:
            if _CX.fullmatch(text):
                return PatientIdentifier.from_cx(text)
        except Invalid:
            pass  # answered below: the OID is not one
        raise self._broken("patientId", "must have the form id^^^&OID&ISO (ITI TF-3: Table 4.2.3.1.7-2)")


def read_reference(text: str) -> ReferenceId:
    """A CXi (ITI TF-3: Table 4.2.3.1.7-2)."""
    parts = text.split("^")
    authority = parts[3].split("&") if len(parts) > 3 else []
    return ReferenceId(
        parts[0], authority[1] if len(authority) > 1 else "", parts[4] if len(parts) > 4 else "", cxi=text
    )


def _joined_uri(texts: tuple[str, ...]) -> str:
    """A URI; a long one is split into numbered values, ``1|...`` (ITI TF-3: 4.2.3.2.31)."""
    if len(texts) > 1 and all("|" in text for text in texts):
        return "".join(text.partition("|")[2] for text in sorted(texts, key=lambda text: text.partition("|")[0]))
    return "".join(text.removeprefix("1|") for text in texts)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:80])


_KINDS = frozenset({rim("ExtrinsicObject"), rim("RegistryPackage"), rim("Association")})
_BESIDE = frozenset({rim("ObjectRef"), _CLASSIFICATION})
