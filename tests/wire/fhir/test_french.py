"""PDSm's constraints on what is sent, and what answers say when they are in force."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from hub.documents.model import Association, AssociationType
from hub.documents.sharing_model import Custodian
from hub.values import Code
from hub.wire.fhir import exact, french
from hub.wire.fhir.codes import scheme_of, system_of
from hub.wire.fhir.document_list import document_list
from hub.wire.fhir.document_reference import document_reference
from tests.wire.fhir.test_documents import BASE, ENTRY, FOLDER, SET, UUID

KEEPER = Custodian("Région", "1.2.250.1.999.1.3")
NOS = "https://mos.esante.gouv.fr/NOS"
PROFILE = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition"
GOOD = replace(ENTRY, practice_setting_code=Code("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire"))


def good() -> dict[str, Any]:
    return copy.deepcopy(document_reference(GOOD, (), BASE, KEEPER))


def test_an_answer_conforms_and_says_so() -> None:
    found = good()
    assert not french.missing(found, french.DOCUMENT)
    assert found["meta"]["profile"][-1] == f"{PROFILE}/pdsm-comprehensive-document-reference"
    assert found["custodian"] == {
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.1.3"},
        "display": "Région",
    }
    assert {"url": french.ARCHIVED, "valueBoolean": False} in found["extension"]
    system = found["context"]["practiceSetting"]["coding"][0]["system"]
    assert system == f"{NOS}/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"


def test_what_does_not_conform_claims_nothing() -> None:
    for entry in (ENTRY, replace(GOOD, title=""), replace(GOOD, limited=True)):
        profiles = document_reference(entry, (), BASE, KEEPER)["meta"]["profile"]
        assert not any("pdsm" in name for name in profiles)
    assert "custodian" not in document_reference(GOOD, (), BASE)


@pytest.mark.parametrize(
    ("path", "value", "element"),
    [
        ("custodian", None, "custodian"),
        ("date", None, "date"),
        ("author", [], "author"),
        ("contained", None, "contained"),
        ("content.0.attachment.title", None, "content.attachment.title"),
        ("content.0.attachment.size", None, "content.attachment.size"),
        ("content.0.attachment.hash", None, "content.attachment.hash"),
        ("context.period.start", None, "context.period.start"),
        ("type", {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}, "type"),
        ("type", {"text": "no code"}, "type"),
        ("category", [{"coding": [{"system": "http://loinc.org", "code": "1"}]}], "category"),
        ("content.0.format", {"system": "urn:oid:1.2.3", "code": "1"}, "content.format"),
        ("context.facilityType", {"coding": [{"system": "urn:oid:1.2.3", "code": "1"}]}, "context.facilityType"),
        ("context", 7, "context.period.start"),
        ("content", ["x"], "content.attachment.title"),
    ],
)
def test_what_is_missing_is_named(path: str, value: Any, element: str) -> None:
    found = good()
    *steps, last = path.split(".")
    target: Any = found
    for step in steps:
        target = target[int(step) if step.isdecimal() else step]
    target[last] = value
    assert f"DocumentReference.{element}" in french.missing(found, french.DOCUMENT)


def test_lists() -> None:
    activity = replace(SET, content_type_code=Code("07", "1.2.250.1.213.2.2", "Consultation"))
    found = document_list(activity, (), (), KEEPER)
    assert found["meta"]["profile"][-1] == f"{PROFILE}/pdsm-submissionset-comprehensive"
    assert french.missing(document_list(SET, (), (), KEEPER), french.SUBMISSION_SET) == ("List.extension",)
    folder = replace(FOLDER, codes=FOLDER.codes[:1], last_update_time="20260301101500")
    held = (Association("a", AssociationType.HAS_MEMBER, UUID, "urn:uuid:1"),)
    shown = document_list(folder, held, (replace(ENTRY, id="urn:uuid:1"),), KEEPER)
    assert shown["meta"]["profile"][-1] == f"{PROFILE}/pdsm-folder-comprehensive"
    assert french.missing(document_list(FOLDER, (), ()), french.FOLDER) == (
        "List.extension", "List.date", "List.entry",
    )  # fmt: skip


def test_french_code_systems_are_oids_to_xds() -> None:
    assert scheme_of(f"{NOS}/TRE_A05-Whatever/FHIR/TRE-A05-Whatever") == "1.2.250.1.213.1.1.4.12"
    assert scheme_of(f"{NOS}/TRE_X99-New/FHIR/TRE-X99-New") == f"{NOS}/TRE_X99-New/FHIR/TRE-X99-New"
    for scheme in ("1.2.250.1.213.1.1.4.1", "1.2.250.1.71.4.2.4", "local codes"):
        assert " " not in system_of(scheme)
        assert scheme_of(system_of(scheme)) == scheme


@pytest.mark.parametrize("text", ['{"a":[1.10,-0.0,1E+2,true,null,"é\\n"],"b":{}}', "[]", "12345678901234567890123"])
def test_json_is_handed_on_as_it_was(text: str) -> None:
    assert exact.dumps(exact.loads(text.encode())).decode() == text
