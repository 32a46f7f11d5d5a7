"""Whatever the model can say survives ebXML, the row and the JSON that the database keeps: seeded random objects."""

import random
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import pytest
from lxml import etree

from hub.documents.codec import COLUMNS, dump, load
from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    OFFLINE,
    ON_DEMAND,
    ONLINE,
    STABLE,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    ReferenceId,
    RegistryObject,
    StoredQuery,
    Submission,
    SubmissionSet,
)
from hub.documents.queries import MULTI_PATIENT, QUERIES
from hub.errors import HubError
from hub.values import Code, PatientIdentifier
from hub.wire.ebxml.names import NAMESPACES, rim
from hub.wire.ebxml.queries import read_query, write_stored_query
from hub.wire.ebxml.reading import read_objects, read_reference
from hub.wire.ebxml.submissions import read_submission, write_submission
from hub.wire.ebxml.writing import write_object
from hub.wire.xml import parse_xml, serialise

T = TypeVar("T")
SEEDS = range(60)
#: Everyday letters, everything that XML, HL7 and SQL care about, and what is far from ASCII.
LETTERS = "abcXYZ019 -_.,;:/()'\"&<>|^~\\%$#[]{}=+*?!éÅßœ漢字🩻\u0301\u200d\u00a0"


class Maker:
    """Random values. Texts neither start nor end with blanks: the standard's readers take those away."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def text(self, least: int = 1, most: int = 40) -> str:
        letters = "".join(self.rng.choice(LETTERS) for _ in range(self.rng.randint(least, most))).strip()
        return letters or ("x" if least else "")

    def maybe(self, make: Callable[[], T], none: Any) -> Any:
        return make() if self.rng.random() < 0.7 else none

    def several(self, make: Callable[[], T], most: int = 3) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.rng.randint(0, most)))

    def oid(self) -> str:
        return "1.2." + ".".join(str(self.rng.randrange(10**6)) for _ in range(self.rng.randint(1, 5)))

    def uuid(self) -> str:
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"urn:uuid:{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def time(self) -> str:
        return "20240229235959"[: self.rng.choice((4, 6, 8, 10, 12, 14))]

    def code(self) -> Code:
        return Code(self.text(), self.text(), self.maybe(self.text, ""))

    def patient(self) -> PatientIdentifier:
        value = "".join(self.rng.choice("ABCabc0123456789-_. é") for _ in range(8)).strip() or "0"
        return PatientIdentifier(value, self.oid())

    def author(self) -> Author:
        author = Author(
            self.maybe(self.text, ""),
            *(self.several(self.text) for _ in range(4)),
        )
        return author if author != Author() else Author("x")

    def extra(self) -> dict[str, tuple[str, ...]]:
        names = self.several(lambda: f"urn:{self.text(most=20)}")
        return {name: tuple(self.text() for _ in range(self.rng.randint(1, 3))) for name in names}

    def reference(self) -> ReferenceId:
        return read_reference(f"{self.oid()}^^^&{self.oid()}&ISO^urn:ihe:iti:xds:2013:{self.rng.choice('abc')}")

    def common(self) -> dict[str, Any]:
        return {
            "id": self.uuid(),
            "status": self.rng.choice((APPROVED, DEPRECATED)),
            "logical_id": self.uuid(),
            "version": self.rng.randrange(1, 10**6),
            "home": self.maybe(lambda: f"urn:oid:{self.oid()}", ""),
            "extra": self.extra(),
        }

    def described(self) -> dict[str, Any]:
        return {
            **self.common(),
            "title": self.maybe(self.text, ""),
            "comments": self.maybe(lambda: self.text(most=300), ""),
            "limited": self.rng.random() < 0.3,
            "patient_id": self.patient(),
        }

    def entry(self) -> DocumentEntry:
        codes = {
            name: self.maybe(self.code, None)
            for name in (
                *("class_code", "type_code", "format_code"),
                *("healthcare_facility_type_code", "practice_setting_code"),
            )
        }
        return DocumentEntry(
            **self.described(),
            **codes,
            unique_id=f"{self.oid()}^{self.rng.randrange(99)}",
            mime_type=self.rng.choice(("text/xml", "application/dicom", "application/pdf; a=b")),
            confidentiality_codes=self.several(self.code),
            event_codes=self.several(self.code, 6),
            authors=self.several(self.author),
            creation_time=self.maybe(self.time, ""),
            service_start_time=self.maybe(self.time, ""),
            service_stop_time=self.maybe(self.time, ""),
            language_code=self.maybe(lambda: "fr-FR", ""),
            legal_authenticators=self.several(self.text, 1),
            source_patient_id=self.maybe(self.text, ""),
            source_patient_info=self.several(lambda: f"PID-{self.rng.randint(1, 30)}|{self.text()}"),
            reference_ids=self.several(self.reference),
            hash=self.maybe(lambda: f"{self.rng.getrandbits(160):040x}", ""),
            size=self.maybe(lambda: self.rng.randrange(2**40), None),
            uri=self.maybe(lambda: f"f{self.rng.randrange(99)}.xml", ""),
            repository_unique_id=self.maybe(self.oid, ""),
            availability=self.rng.choice(("", ONLINE, OFFLINE)),
            object_type=self.rng.choice((STABLE, ON_DEMAND)),
        )

    def set(self) -> SubmissionSet:
        return SubmissionSet(
            **self.described(),
            unique_id=self.oid(),
            source_id=self.oid(),
            submission_time=self.time(),
            content_type_code=self.maybe(self.code, None),
            authors=self.several(self.author),
            intended_recipients=self.several(self.text),
        )

    def folder(self) -> Folder:
        return Folder(
            **self.described(),
            unique_id=self.oid(),
            codes=self.several(self.code),
            last_update_time=self.maybe(lambda: "20240229235959", ""),
        )

    def association(self) -> Association:
        return Association(
            **self.common(),
            type=self.rng.choice([*(kind.value for kind in AssociationType), "urn:other"]),
            source=self.uuid(),
            target=self.uuid(),
            submission_set_status=self.rng.choice(("", "Original", "Reference")),
            documentation=self.maybe(self.code, None),
            previous_version=self.maybe(lambda: self.rng.randrange(9999), None),
            original_status=self.rng.choice(("", APPROVED)),
            new_status=self.rng.choice(("", DEPRECATED)),
            propagation=self.rng.choice(("", "yes", "no")),
        )

    def every(self) -> tuple[RegistryObject, ...]:
        return (self.entry(), self.set(), self.folder(), self.association())


def objects(*items: RegistryObject, registered: bool) -> Any:
    listed = etree.Element(rim("RegistryObjectList"), nsmap=NAMESPACES)
    for item in items:
        write_object(listed, item, registered=registered)
    return parse_xml(serialise(listed))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_says_everything(seed: int) -> None:
    items = Maker(seed).every()
    assert read_objects(objects(*items, registered=True)) == items


@pytest.mark.parametrize("seed", SEEDS)
def test_a_submission_says_everything_that_a_source_knows(seed: int) -> None:
    maker = Maker(seed)
    entry, owner, folder, association = (
        replace(item, status=APPROVED, logical_id="", version=1) for item in maker.every()
    )
    assert isinstance(owner, SubmissionSet)
    assert isinstance(entry, DocumentEntry)
    assert isinstance(folder, Folder)
    assert isinstance(association, Association)
    submission = Submission(owner, (entry,), (folder,), (association,), home=maker.maybe(lambda: "urn:oid:1.2", ""))
    assert read_submission(parse_xml(serialise(write_submission(submission)))) == submission


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_keeps_everything(seed: int) -> None:
    for item in Maker(seed).every():
        names = {field.name for field in fields(item)}
        columns = {name: getattr(item, name) for name in COLUMNS & names}
        kind: Any = type(item)
        assert load(kind, dump(item), **columns) == item


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_read_is_written_the_same_way(seed: int) -> None:
    """XML -> model -> XML: nothing is added and nothing is lost but the ids of classifications."""
    first = objects(*Maker(seed).every(), registered=True)
    again = objects(*read_objects(first), registered=True)
    for document in (first, again):
        for element in document.iter(rim("Classification"), rim("ExternalIdentifier")):
            del element.attrib["id"]
    assert serialise(first) == serialise(again)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_query_says_everything(seed: int) -> None:
    maker = Maker(seed)
    query = maker.rng.choice([*QUERIES.values(), *MULTI_PATIENT.values()])
    chosen = maker.rng.sample(query.parameters, maker.rng.randint(0, len(query.parameters)))
    lists = frozenset(item.name for item in chosen if item.multiple)
    parameters = {
        item.name: tuple(
            tuple(maker.text() for _ in range(maker.rng.randint(1, 4) if item.multiple else 1))
            for _ in range(maker.rng.randint(1, 3) if item.and_or else 1)
        )
        for item in chosen
    }
    command = StoredQuery(query.id, parameters, leaf_class=maker.rng.random() < 0.5, home="urn:oid:1.2", lists=lists)
    assert read_query(parse_xml(serialise(write_stored_query(command)))) == command


def outcome(document: Any) -> str:
    try:
        objects(*read_objects(document), registered=True)
    except HubError as error:
        return error.code
    return ""


@pytest.mark.parametrize("seed", range(300))
def test_a_mangled_list_is_read_or_refused(seed: int) -> None:
    """Any change of the XML gives objects or one error of the room: never anything else."""
    maker = Maker(seed)
    document = objects(*maker.every(), registered=True)
    elements = [item for item in document.iter() if item is not document]
    for _ in range(4):
        element = maker.rng.choice(elements)
        change = maker.rng.choice(("drop", "attribute", "text", "twice"))
        parent = element.getparent()
        if change == "drop" and parent is not None:
            parent.remove(element)
        elif change == "attribute" and element.attrib:
            element.set(maker.rng.choice(list(element.attrib)), maker.text(least=0))
        elif change == "text":
            element.text = maker.text()
        elif parent is not None:
            parent.append(parse_xml(serialise(element)))
    assert outcome(document) in ("", "registry-metadata-error", "registry-error")
