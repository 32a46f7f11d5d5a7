"""The affinity domain's codes: every form of the file, and a file that changes while the hub runs."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from hub.app.sharing.vocabulary import VocabularyFile, VocabularyRefused, read
from hub.context import Context
from hub.documents.errors import RegistryMetadataError
from hub.documents.model import RegisterDocuments
from hub.storage.engine import Database
from tests.documents.builders import entry, register, service_on, submit

EXPECTED = {
    "classCode": {("11", "1.2.3"), ("31", "1.2.3")},
    "mimeType": {("application/dicom", "")},
}


def svs(root: str = "RetrieveMultipleValueSetsResponse", kind: str = "DescribedValueSet") -> str:
    def value_set(name: str, *concepts: tuple[str, str]) -> str:
        rows = "".join(f'<Concept code="{code}" codeSystem="{scheme}" displayName="x"/>' for code, scheme in concepts)
        return f'<{kind} id="1.2" displayName="{name}"><ConceptList xml:lang="fr">{rows}</ConceptList></{kind}>'

    sets = value_set("classCode", ("11", "1.2.3"), ("31", "1.2.3"))
    sets += value_set("mimeType (RFC 6838)", ("application/dicom", "urn:ietf:bcp:13")) + value_set(
        "Colours", ("a", "b")
    )
    return f'<{root} xmlns="urn:ihe:iti:svs:2008">{sets}</{root}>'


def value_set(name: str, system: str, *codes: str, expanded: bool = False) -> dict[str, Any]:
    if not expanded:
        include = [{"system": system, "concept": [{"code": code, "display": "x"} for code in codes]}]
        return {"resourceType": "ValueSet", "name": name, "compose": {"include": include}}
    nested: list[dict[str, Any]] = [{"system": system, "code": code} for code in codes[1:]]
    parent = {"system": system, "code": codes[0], "contains": nested}
    above = {"system": system, "code": "all", "abstract": True, "contains": [parent]}
    compose = {"include": [{"system": system}]}
    return {"resourceType": "ValueSet", "name": name, "compose": compose, "expansion": {"contains": [above]}}


CLASSES = value_set("DocumentEntryClassCode", "urn:oid:1.2.3", "11", "31")
EXPANDED = value_set("class_code", "urn:oid:1.2.3", "11", "31", expanded=True)
TYPES = value_set("mimeType", "urn:ietf:bcp:13", "application/dicom")
OTHER = value_set("Colours", "http://example.org/colours")
GOOD = {
    "multiple value sets": svs(),
    "one answer": svs("RetrieveValueSetResponse", "ValueSet"),
    "declaration": '<?xml version="1.0" encoding="UTF-8"?>\n' + svs(),
    "bundle": json.dumps({"resourceType": "Bundle", "entry": [{"resource": item} for item in (CLASSES, TYPES, OTHER)]}),
    "array": json.dumps([CLASSES, TYPES, OTHER]),
    "expansion": json.dumps([EXPANDED, TYPES]),
    "test tools": (
        '<Codes><CodeType name="classCode" classScheme="urn:uuid:41a5887f">'
        '<Code code="11" codingScheme="1.2.3"/><Code code="31" codingScheme="1.2.3" display="x"/></CodeType>'
        '<CodeType name="mimeType"><Code code="application/dicom"/></CodeType>'
        '<AssigningAuthority id="1.2"/></Codes>'
    ),
}
BAD = {
    "empty": "",
    "no XML": "codes",
    "entities": '<!DOCTYPE a [<!ENTITY b "c">]><Codes>&b;</Codes>',
    "no JSON": "{",
    "deep JSON": "[" * 100_000,
    "nothing of ours": json.dumps(OTHER),
    "strange types": json.dumps({"resourceType": "Bundle", "entry": {"resource": [1]}}),
    "stranger types": json.dumps({"resourceType": "ValueSet", "name": ["classCode"], "compose": [3]}),
    "whole system": json.dumps(value_set("classCode", "urn:oid:1.2.3")),
    "exclusion": json.dumps(CLASSES | {"compose": {**CLASSES["compose"], "exclude": [{"system": "x"}]}}),
    "no code": svs().replace('code="11"', 'code=""'),
}


def written(directory: Path, text: str) -> Path:
    file = directory / "codes"
    fresh = directory / "codes.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
    return file


@pytest.mark.parametrize("name", GOOD)
def test_every_form_is_read(tmp_path: Path, name: str) -> None:
    assert read(written(tmp_path, GOOD[name])) == EXPECTED


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_usable_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VocabularyRefused):
        read(written(tmp_path, BAD[name]))


def test_no_file_no_start(tmp_path: Path) -> None:
    with pytest.raises(VocabularyRefused):
        VocabularyFile(tmp_path / "nothing")


def test_a_new_file_counts_from_the_next_submission_on(database: Database, tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps(value_set("classCode", "urn:oid:1.2.3.4", "OTHER")))
    service = service_on(database, tmp_path / "content", vocabulary=VocabularyFile(file))
    with pytest.raises(RegistryMetadataError) as caught:
        register(service, submit(entry()))
    assert caught.value.location == "classCode"
    written(tmp_path, json.dumps(value_set("classCode", "urn:oid:1.2.3.4", "IMAGING")))
    register(service, submit(entry()))
    written(tmp_path, json.dumps(value_set("mimeType", "", "text/plain")))
    with pytest.raises(RegistryMetadataError) as caught:
        service.register(RegisterDocuments(submit(entry())), Context())
    assert caught.value.location == "mimeType"


def test_a_broken_new_file_changes_nothing_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    codes = VocabularyFile(written(tmp_path, GOOD["array"]))
    with caplog.at_level(logging.WARNING, "hub.app.sharing.vocabulary"):
        for text in ("{", "[]"):
            file = written(tmp_path, text)
            assert [codes(), codes()] == [EXPECTED, EXPECTED]
            assert codes.problem
        file.unlink()
        assert codes() == EXPECTED
        assert "can't be read" in codes.problem
    assert len(caplog.records) == 3
    written(tmp_path, json.dumps(TYPES))
    assert codes() == {"mimeType": EXPECTED["mimeType"]}
    assert codes.problem == ""


def test_many_ask_while_the_file_changes(tmp_path: Path) -> None:
    codes = VocabularyFile(written(tmp_path, GOOD["array"]))
    other = {"mimeType": EXPECTED["mimeType"]}
    seen: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            found = codes()
            if found not in (EXPECTED, other):
                seen.append(found)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(40):
        written(tmp_path, GOOD["array"] if turn % 2 else json.dumps(TYPES))
    stop.set()
    for thread in threads:
        thread.join()
    assert seen == []
    assert codes() == EXPECTED


def test_systems_that_fhir_has_a_name_for(tmp_path: Path) -> None:
    file = tmp_path / "types.json"
    loinc, nos = "http://loinc.org", "https://mos.esante.gouv.fr/NOS/TRE_A05-TypeDocComplementaire/FHIR/TRE-A05"
    sets = [value_set("typeCode", loinc, "11528-7"), value_set("typeCode", nos, "CR-GENE")]
    file.write_text(json.dumps(sets))
    assert read(file)["typeCode"] == {("11528-7", "2.16.840.1.113883.6.1"), ("CR-GENE", "1.2.250.1.213.1.1.4.12")}
