import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from hub.documents.errors import RegistryMetadataError
from hub.documents.model import DocumentEntry, RegistryObject
from hub.values import Code
from hub.wire.ebxml.names import NAMESPACES, RIM, rim
from hub.wire.ebxml.reading import read_objects
from hub.wire.ebxml.submissions import read_submission, write_submission
from hub.wire.ebxml.writing import write_object
from hub.wire.xml import parse_xml, serialise
from tests.wire.ebxml.samples import ENTRY, OBJECTS, SUBMISSION, registered
from tests.wire.ebxml.schemas import validate

UUID_FORM = "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def _list(*items: RegistryObject, **options: bool) -> Any:
    objects = etree.Element(rim("RegistryObjectList"), nsmap=NAMESPACES)
    for item in items:
        write_object(objects, item, **options)
    return objects


@pytest.mark.parametrize("item", registered(), ids=lambda item: type(item).__name__)
def test_an_object_survives_the_way_out_and_in(item: RegistryObject) -> None:
    assert read_objects(parse_xml(serialise(_list(item)))) == (item,)


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: item.id)
def test_a_submitted_object_survives(item: RegistryObject) -> None:
    assert read_objects(_list(item, registered=False)) == (item,)


def test_limited_metadata_and_nearly_nothing() -> None:
    item = DocumentEntry("a", "1.2", ENTRY.patient_id, "text/plain", limited=True)
    assert read_objects(_list(item, registered=False)) == (item,)


def test_a_submission_survives_and_is_valid() -> None:
    request = write_submission(SUBMISSION)
    validate(request, "ebRS30/lcm.xsd")
    assert read_submission(parse_xml(serialise(request))) == SUBMISSION


def test_classifications_beside_the_objects_count() -> None:
    request = write_submission(SUBMISSION)
    objects = request.find(rim("RegistryObjectList"))
    for node in objects.findall(f".//{rim('Classification')}[@classificationNode]"):
        objects.append(node)
    etree.SubElement(objects, rim("ObjectRef"), {"id": "urn:uuid:x"})
    assert read_submission(request) == SUBMISSION


def test_a_uri_in_pieces_is_joined() -> None:
    objects = _list(ENTRY)
    values = objects.find(f".//{rim('Slot')}[@name='URI']/{rim('ValueList')}")
    values[0].text = "2|b"
    etree.SubElement(values, rim("Value")).text = "1|a"
    (entry,) = read_objects(objects)
    assert isinstance(entry, DocumentEntry)
    assert entry.uri == "ab"


def _slot(objects: Any, name: str) -> Any:
    return objects.find(f".//{rim('Slot')}[@name='{name}']")


def _class_code(objects: Any) -> Any:
    return objects.find(
        f".//{rim('Classification')}[@classificationScheme='urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a']"
    )


def _identifier(objects: Any, end: str) -> Any:
    return next(
        item for item in objects.iter(rim("ExternalIdentifier")) if item.get("identificationScheme").endswith(end)
    )


def _twice(element: Any) -> None:
    element.addnext(parse_xml(serialise(element)))


BREAKAGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "slot twice": (lambda o: _twice(_slot(o, "creationTime")), "creationTime"),
    "slot without name": (lambda o: _slot(o, "creationTime").attrib.pop("name"), ""),
    "two values": (lambda o: etree.SubElement(_slot(o, "hash")[0], rim("Value")), "hash"),
    "size in words": (lambda o: _slot(o, "size")[0][0].__setattr__("text", "many"), "size"),
    "no size": (lambda o: _slot(o, "size")[0].clear(), "size"),
    "code twice": (lambda o: _twice(_class_code(o)), "classCode"),
    "no code": (lambda o: _class_code(o).attrib.pop("nodeRepresentation"), "classCode"),
    "no scheme": (lambda o: _class_code(o).remove(_class_code(o)[0]), "classCode"),
    "strange scheme": (lambda o: _class_code(o).set("classificationScheme", "urn:x"), "Classification"),
    "strange node": (lambda o: _class_code(o).set("classificationNode", "urn:x"), "Classification"),
    "other object": (lambda o: _class_code(o).set("classifiedObject", "x"), "Classification"),
    "patient without authority": (lambda o: _identifier(o, "8427").set("value", "4711"), "patientId"),
    "patient with namespace": (lambda o: _identifier(o, "8427").set("value", "4^^^N&1.2&ISO"), "patientId"),
    "patient of no OID": (lambda o: _identifier(o, "8427").set("value", "4^^^&1..2&ISO"), "patientId"),
    "no patient": (lambda o: _identifier(o, "8427").getparent().remove(_identifier(o, "8427")), "patientId"),
    "no unique id": (lambda o: _identifier(o, "42ab").set("value", " "), "uniqueId"),
    "identifier twice": (lambda o: _twice(_identifier(o, "42ab")), "ExternalIdentifier"),
    "strange identifier": (lambda o: _identifier(o, "42ab").set("identificationScheme", "x"), "uniqueId"),
    "identifier of another": (lambda o: _identifier(o, "42ab").set("registryObject", "x"), "ExternalIdentifier"),
    "version in words": (lambda o: o.find(f".//{rim('VersionInfo')}").set("versionName", "x"), "versionName"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_what_breaks_the_form_is_named(name: str) -> None:
    breakage, location = BREAKAGES[name]
    objects = _list(ENTRY)
    breakage(objects)
    with pytest.raises(RegistryMetadataError) as caught:
        read_objects(objects)
    assert caught.value.location == location
    assert ENTRY.id in caught.value.message
    assert "4711" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "<rim:RegistryPackage id='a'/>",
        "<rim:RegistryPackage id='a'><rim:Classification classificationNode='urn:x'/></rim:RegistryPackage>",
        "<rim:Service id='a'/>",
        "<x/>",
    ],
)
def test_strange_objects_are_refused(text: str) -> None:
    with pytest.raises(RegistryMetadataError):
        read_objects(parse_xml(f"<rim:RegistryObjectList xmlns:rim='{RIM}'>{text}</rim:RegistryObjectList>".encode()))


def test_text_is_text_whatever_it_holds() -> None:
    odd = "<a href=\"x\">&amp; 'b' ]]> \t\n\r\r\n é \U0001f600"
    entry = replace(ENTRY, title=odd, comments=odd, class_code=Code(odd, odd, odd), extra={"urn:x": (odd, odd)})
    (read,) = read_objects(parse_xml(serialise(_list(entry))))
    assert isinstance(read, DocumentEntry)
    assert (read.title, read.comments, read.class_code) == (odd, odd, entry.class_code)
    assert read.extra == {"urn:x": (odd, odd)}


def test_what_xml_cannot_hold_is_replaced() -> None:
    entry = replace(ENTRY, title="a\x00b\x0bc\ud800d\uffffe")
    (read,) = read_objects(parse_xml(serialise(_list(entry))))
    assert isinstance(read, DocumentEntry)
    assert read.title == "a\ufffdb\ufffdc\ufffdd\ufffde"


def test_every_identifier_is_another() -> None:
    found = _list(*[ENTRY] * 30).xpath("//@id[. != $own]", own=ENTRY.id)
    assert len(set(found)) == len(found) > 300
    assert all(re.fullmatch(UUID_FORM, text) for text in found)


def test_a_submission_has_one_set() -> None:
    request = write_submission(SUBMISSION)
    objects = request.find(rim("RegistryObjectList"))
    objects.remove(objects[0])
    with pytest.raises(RegistryMetadataError):
        read_submission(request)
    request.remove(objects)
    with pytest.raises(RegistryMetadataError):
        read_submission(request)
    twice = write_submission(SUBMISSION)
    write_object(twice.find(rim("RegistryObjectList")), replace(SUBMISSION.submission_set, id="other"))
    with pytest.raises(RegistryMetadataError):
        read_submission(twice)
