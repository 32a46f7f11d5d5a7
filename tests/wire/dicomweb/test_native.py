"""DICOM JSON as the Native DICOM Model: judged by the standard's own example and by reading it back."""

from typing import Any

from lxml import etree

from hub.wire.dicomweb.native import native, native_parts

NS = {"n": "http://dicom.nema.org/PS3.19/models/NativeDICOM"}


def made(**attributes: Any) -> Any:
    return etree.fromstring(native({tag.removeprefix("t"): value for tag, value in attributes.items()}))


def test_values_names_sequences_and_bulk_data() -> None:
    root = made(
        t00080005={"vr": "CS", "Value": ["ISO_IR 192"]},
        t00080008={"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
        t00100010={"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou^^Dr", "Ideographic": "山田^太郎"}]},
        t00101002={"vr": "SQ", "Value": [{"00100020": {"vr": "LO", "Value": ["1"]}}, {}]},
        t00100040={"vr": "CS"},
        t00280010={"vr": "US", "Value": [512]},
        t7FE00010={"vr": "OW", "BulkDataURI": "https://hub.example/bulk/1"},
        t00420011={"vr": "OB", "InlineBinary": "aGk="},
    )
    assert root.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve"
    rows = [(item.get("tag"), item.get("vr"), item.get("keyword")) for item in root]
    assert rows[:2] == [("00080005", "CS", "SpecificCharacterSet"), ("00080008", "CS", "ImageType")]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    kept = [(one.get("number"), one.text) for one in root[1]]
    assert kept == [("1", "ORIGINAL"), ("3", "AXIAL")], "an empty value keeps its place"
    (name,) = root.findall("n:DicomAttribute[@tag='00100010']/n:PersonName", NS)
    parts = {(part.getparent().tag.rpartition("}")[2], part.tag.rpartition("}")[2]): part.text for part in name.iter()}
    assert parts[("Alphabetic", "FamilyName")] == "Yamada"
    assert parts[("Alphabetic", "NamePrefix")] == "Dr"
    assert parts[("Ideographic", "GivenName")] == "太郎"
    assert ("Alphabetic", "MiddleName") not in parts
    items = root.findall("n:DicomAttribute[@tag='00101002']/n:Item", NS)
    assert ([item.get("number") for item in items], items[0][0].get("keyword")) == (["1", "2"], "PatientID")
    assert len(root.find("n:DicomAttribute[@tag='00100040']", NS)) == 0
    assert root.find("n:DicomAttribute[@tag='00280010']/n:Value", NS).text == "512"
    assert root.find(".//n:BulkData", NS).get("uri") == "https://hub.example/bulk/1"
    assert root.find(".//n:InlineBinary", NS).text == "aGk="


def test_private_attributes_name_their_creator() -> None:
    root = made(
        t00090010={"vr": "LO", "Value": ["ACME 1.1"]},
        t00091001={"vr": "DS", "Value": [1.5]},
        t00091102={"vr": "UN", "InlineBinary": ""},
    )
    found = [(item.get("tag"), item.get("privateCreator"), item.get("keyword")) for item in root]
    assert found == [("00090001", "ACME 1.1", None), ("00090002", "", None)]


def test_what_xml_can_not_hold_is_marked_and_nothing_breaks() -> None:
    root = made(t00081030={"vr": "LO", "Value": ["a\x00\x1b<&>b\ufffe"]})
    assert root[0][0].text == "a\ufffd\ufffd<&>b\ufffd"


def test_a_part_for_each_object() -> None:
    parts = list(native_parts([{}, {}]))
    assert [part.headers["Content-Type"] for part in parts] == ["application/dicom+xml"] * 2
