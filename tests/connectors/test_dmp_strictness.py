"""The simulated record is strict: each rule broken once, and refused with its own code.

What the connector would send is taken on its way and changed: the simulator's own words say which rule was broken."""

import io
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from pydicom import dcmread

from connectors.dmp import connector as module
from connectors.dmp import lots
from connectors.dmp.connector import DmpConnector
from hub.access.assertion_model import X509_SUBJECT, Name
from hub.connector.contract import ConnectorError
from hub.connector.record import ORGANISATION, Lot
from hub.testing.dmp.metadata import ENTRY, RIM, SET, SIGNATURE, UNIQUE
from hub.testing.dmp.pki import AUTHENTICATION, AUTHORITY, make_pki
from hub.testing.dmp.server import DmpSimulator
from hub.testing.dmp.state import Person
from hub.wire.ebxml.submissions import write_provided
from hub.wire.saml.issuing import issue
from hub.wire.xades import sign_submission
from tests.connectors.dmp_site import INS, connect, kos, lot, report, study

SECONDS = 20.0
ROLE, RESOURCE = "urn:oasis:names:tc:xacml:2.0:subject:role", "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
PURPOSE, SUBJECT = (
    "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",
    "urn:oasis:names:tc:xspa:1.0:subject:subject-id",
)


@pytest.fixture(scope="module")
def dmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DmpSimulator]:
    with DmpSimulator(make_pki(tmp_path_factory.mktemp("pki"))) as simulator:
        simulator.state.add(Person(INS.value, INS.authority))
        yield simulator


@pytest.fixture
def connector(dmp: DmpSimulator) -> Iterator[DmpConnector]:
    opened = connect(dmp)
    yield opened
    opened.close()


def told(dmp: DmpSimulator) -> str:
    """The code that the last request was answered with."""
    return dmp.state.asked[-1].status


# VIHF: an attribute is changed before it is signed


def _attribute(name: str, text: str | None) -> Callable[[Any], Any]:
    def change(assertion: Any) -> Any:
        kept = []
        for item in assertion.attributes:
            if item.name != name:
                kept.append(item)
            elif text is not None:
                values = tuple(
                    replace(value, code=text) if hasattr(value, "code") else text for value in item.values[:1]
                )
                kept.append(replace(item, values=values))
        return replace(assertion, attributes=tuple(kept))

    return change


def _field(**values: Any) -> Callable[[Any], Any]:
    return lambda assertion: replace(assertion, **values)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        *((_attribute(name, None), "DMPInvalidVIHF") for name in (
            "VIHF_Version", "Identifiant_Structure", "Secteur_Activite", ROLE, RESOURCE, "Ressource_URN", PURPOSE,
            "LPS_Nom", "LPS_Version", "LPS_ID_HOMOLOGATION_DMP", "Authentification_mode", SUBJECT,
        )),
        *((_attribute(name, text), "DMPInvalidVIHF") for name, text in (
            ("VIHF_Version", "2.0"), ("Identifiant_Structure", "X"), ("Secteur_Activite", "SA01"), (ROLE, "11"),
            (ROLE, "10"), (RESOURCE, f"{INS.value}^^^&{INS.authority}&ISO"), ("Ressource_URN", "urn:ROR"),
            (PURPOSE, "curiosity"), ("Authentification_mode", "AUTRE"), ("Authentification_mode", "DIRECTE"),
            ("Authentification_mode", "INDIRECTE_RENFORCEE"), ("Identifiant_Structure", "1999999999"),
        )),
        (_attribute(RESOURCE, f"207058575627097^^^&{INS.authority}&ISO^NH"), "DMPInvalidVIHF"),
        (_field(audiences=(frozenset({"urn:dmp"}),)), "DMPInvalidVIHF"),
        (_field(context_class="urn:oasis:names:tc:SAML:2.0:ac:classes:Password"), "DMPInvalidVIHF"),
        (_field(context_class=""), "DMPInvalidVIHF"),
        (_field(subject=Name("nobody")), "DMPInvalidVIHF"),
        (_field(issuer=Name("CN=another,OU=1750100125,O=HOPITAL,C=FR", X509_SUBJECT)), "DMPInvalidVIHF"),
        (_field(issuer=Name("CN=another", "urn:oasis:names:tc:SAML:1.1:nameid-format:entity")), "DMPInvalidVIHF"),
        (_field(issuer=Name("HOPITAL", X509_SUBJECT)), "DMPInvalidVIHF"),
        (_field(not_on_or_after=datetime(2020, 1, 1, tzinfo=UTC)), "DMPInvalidVIHF"),
        (_field(not_before=datetime(2099, 1, 1, tzinfo=UTC)), "DMPInvalidVIHF"),
    ],
)  # fmt: skip
def test_each_attribute_of_the_vihf(
    dmp: DmpSimulator, connector: DmpConnector, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any], code: str
) -> None:
    monkeypatch.setattr(module, "issue", lambda assertion, *rest: issue(change(assertion), *rest))
    with pytest.raises(ConnectorError):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert told(dmp) == code


def test_a_vihf_that_was_changed_afterwards_or_is_missing(
    dmp: DmpSimulator, connector: DmpConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "issue", lambda *given: issue(*given).replace(b"MARTIN", b"MARTINE"))
    with pytest.raises(ConnectorError):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "DMPInvalidSignature"
    monkeypatch.setattr(module, "issue", lambda assertion, *rest: issue(assertion, rest[0], rest[1], "rsa-sha1"))
    with pytest.raises(ConnectorError):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "DMPInvalidSignature"
    monkeypatch.setattr(module, "security", lambda _: None)
    with pytest.raises(ConnectorError):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "DMPMissingVIHF"


# Metadata: the message is changed on its way


def sent(connector: DmpConnector, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None], made: Lot) -> None:
    """Send a lot whose SubmitObjectsRequest was changed."""
    genuine = write_provided

    def changed(*given: Any) -> Any:
        body = genuine(*given)
        change(body)
        return body

    monkeypatch.setattr(module, "write_provided", changed)
    with pytest.raises(ConnectorError):
        connector.submit(made, ORGANISATION, timeout=SECONDS)
    monkeypatch.setattr(module, "write_provided", genuine)


def entries(body: Any) -> list[Any]:
    """The documents' entries, without the signature's."""
    return list(body.iter(f"{{{RIM}}}ExtrinsicObject"))[:-1]


def _slot(name: str, *values: str) -> Callable[[Any], None]:
    """A slot of each entry gets other values; none: it goes."""

    def change(body: Any) -> None:
        for entry in entries(body):
            for slot in [item for item in entry.iterfind(f"{{{RIM}}}Slot") if item.get("name") == name]:
                if not values:
                    entry.remove(slot)
                    continue
                listed = slot.find(f"{{{RIM}}}ValueList")
                for item in list(listed):
                    listed.remove(item)
                for value in values:
                    etree.SubElement(listed, f"{{{RIM}}}Value").text = value

    return change


def _code(scheme: str, value: str, coding: str = "") -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for item in (item for entry in entries(body) for item in entry.iterfind(f"{{{RIM}}}Classification")):
            if item.get("classificationScheme") == scheme:
                item.set("nodeRepresentation", value)
                if coding:
                    item.find(f".//{{{RIM}}}Value").text = coding

    return change


def _value(scheme: str, value: str) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for item in (item for entry in entries(body) for item in entry.iterfind(f"{{{RIM}}}ExternalIdentifier")):
            if item.get("identificationScheme") == scheme:
                item.set("value", value)

    return change


def _without(path: str, **attributes: str) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for item in list(body.iter(f"{{{RIM}}}{path}")):
            if all(item.get(name) == value for name, value in attributes.items()):
                item.getparent().remove(item)

    return change


def _author(pattern: str, new: str) -> Callable[[Any], None]:
    def change(body: Any) -> None:
        for entry in entries(body):
            for item in entry.iter(f"{{{RIM}}}Value"):
                if any(word in (item.text or "") for word in ("IDNPS", "IDNST", "^EI", "^RI")):
                    item.text = re.sub(pattern, new, item.text)

    return change


META = "XDSRegistryMetadataError"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
BROKEN: dict[str, tuple[Callable[[Any], None], str]] = {
    "uniqueId": (_value(UNIQUE, "1.2.3^4"), META),
    "languageCode": (_slot("languageCode", "en"), META),
    "hash": (_slot("hash", "zz"), META),
    "creationTime": (_slot("creationTime", "2026-01-01"), META),
    "serviceStartTime": (_slot("serviceStartTime"), META),
    "serviceStopTime": (_slot("serviceStartTime", "20990101000000"), META),
    "legalAuthenticator": (_slot("legalAuthenticator", "Dr Martin"), META),
    "author": (_author(r"\^IDNPS", "^XX"), META),
    "authorInstitution": (_author(r"\^IDNST", "^XX"), META),
    "classCode": (_code(CLASS, "99"), META),
    "classCode scheme": (_code(CLASS, "31", "1.2.3"), META),
    "typeCode": (_code("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "18726-0"), META),
    "typeCode and classCode": (_code(CLASS, "10"), META),
    "formatCode": (_code("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d", "urn:other"), META),
    "facility": (_code("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "SA99"), META),
    "practice": (_code("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead", "CARDIO"), META),
    "confidentiality": (_code("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f", "R"), META),
    "reference": (_slot("urn:ihe:iti:xds:2013:referenceIdList", "1^^^^urn:ihe:iti:xds:2013:uniqueId"), META),
    "sourcePatientId": (_slot("sourcePatientId", "1"), META),
    "sourcePatientInfo": (_slot("sourcePatientInfo", "PID-3|1"), META),
    "title": (_without("Name"), META),
    "hash of something else": (_slot("hash", "0" * 40), "XDSNonIdenticalHash"),
    "size of something else": (_slot("size", "1"), "XDSNonIdenticalSize"),
    "patientId": (
        _value("urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", f"207058575627097^^^&{INS.authority}&ISO"),
        "XDSPatientIdDoesNotMatch",
    ),
    "patientId without INS": (
        _value("urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427", "PA-1^^^&1.2.3&ISO"),
        "XDSUnknownPatientId",
    ),
    "study reference": (_slot("urn:ihe:iti:xds:2013:referenceIdList", f"A1^^^^{STUDY}"), META),
    "place that is unknown": (
        _code("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "SNR", "1.2.250.1.71.4.2.4"),
        META,
    ),
    "no signature": (_without("Association", associationType=SIGNS), META),
    "no member": (_without("Association", associationType=HAS_MEMBER), META),
    "no submissionTime": (_without("Slot", name="submissionTime"), META),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_of_the_metadata(
    dmp: DmpSimulator, connector: DmpConnector, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    change, code = BROKEN[rule]
    sent(connector, monkeypatch, change, lot(report(study())))
    assert told(dmp) == code
    assert dmp.state.of(f"{INS.cx}^NH") == []


#: Of manifests alone.
MANIFEST: dict[str, tuple[Callable[[Any], None], str]] = {
    "its type": (_code("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983", "18748-4", "2.16.840.1.113883.6.1"), META),
    "its study": (_slot("urn:ihe:iti:xds:2013:referenceIdList"), META),
    "its author": (_author(r"\^U\^\^\^", "^D^^^"), META),
}


@pytest.mark.parametrize("rule", MANIFEST)
def test_each_rule_of_a_manifests_metadata(
    dmp: DmpSimulator, connector: DmpConnector, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    change, code = MANIFEST[rule]
    sent(connector, monkeypatch, change, lot(kos(study())))
    assert told(dmp) == code


#: Keyword of the manifest -> what it must not be.
CONTENT: dict[str, Any] = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Modality": "SR", "SeriesNumber": 1, "InstanceNumber": 2,
    "TimezoneOffsetFromUTC": "", "ValueType": "TEXT", "ContinuityOfContent": "CONTINUOUS", "AccessionNumber": "A1",
    "PatientID": "207058575627097", "SOPInstanceUID": "1.2.3", "ReferencedRequestSequence": [],
    "CurrentRequestedProcedureEvidenceSequence": [],
}  # fmt: skip


@pytest.mark.parametrize("keyword", CONTENT)
def test_each_rule_of_a_manifest(dmp: DmpSimulator, connector: DmpConnector, keyword: str) -> None:
    made = kos(study())
    dataset = dcmread(io.BytesIO(made.content))
    setattr(dataset, keyword, CONTENT[keyword])
    written = io.BytesIO()
    dataset.save_as(written)
    with pytest.raises(ConnectorError):
        connector.submit(lot(replace(made, content=written.getvalue())), ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "InvalidDocumentContent"


def test_a_signature_in_another_form(
    dmp: DmpSimulator, connector: DmpConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = b"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
    exclusive = b"http://www.w3.org/2001/10/xml-exc-c14n#"
    monkeypatch.setattr(module, "issue", lambda *given: issue(*given).replace(exclusive, other))
    with pytest.raises(ConnectorError):
        connector.status(INS, ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "DMPInvalidSignature"


@pytest.mark.parametrize("name", ["MessageID", "To", "Action", "ReplyTo"])
def test_each_header_of_addressing(dmp: DmpSimulator, name: str) -> None:
    kept = [item for item in ("MessageID", "To", "Action", "ReplyTo") if item != name]
    headers = "".join(f'<w:{item} s:mustUnderstand="1">urn:x</w:{item}>' for item in kept)
    envelope = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        f'xmlns:w="http://www.w3.org/2005/08/addressing"><s:Header>{headers}</s:Header><s:Body><a/></s:Body></s:Envelope>'
    )
    with httpx.Client(verify=context(dmp, dmp.pki)) as client:
        answer = client.post(
            f"{dmp.url}/registry", content=envelope, headers={"Content-Type": "application/soap+xml"}, timeout=60
        )
    assert f"wsa:{name} is missing" in answer.text


def test_only_the_published_suites(dmp: DmpSimulator) -> None:
    made = context(dmp, dmp.pki)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    with httpx.Client(verify=made) as client:
        assert client.post(f"{dmp.url}/elsewhere", content=b"", timeout=60).status_code == 404
    made = context(dmp, dmp.pki)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("ECDHE-RSA-AES128-SHA256:AES256-SHA256")
    with httpx.Client(verify=made) as client, pytest.raises(httpx.HTTPError):
        client.post(f"{dmp.url}/elsewhere", content=b"", timeout=60)


def test_as_many_rules_as_are_named() -> None:
    assert len(ENTRY) == 25
    assert len(SIGNATURE) == 11
    assert len(SET) == 6


def test_a_signature_of_other_documents(
    dmp: DmpSimulator, connector: DmpConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = sign_submission
    monkeypatch.setattr(lots, "sign_submission", lambda set_id, _, **rest: genuine(set_id, [], **rest))
    with pytest.raises(ConnectorError):
        connector.submit(lot(report(study())), ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "XDSRepositoryError"
    monkeypatch.setattr(lots, "sign_submission", lambda _, documents, **rest: genuine("1.2", documents, **rest))
    with pytest.raises(ConnectorError):
        connector.submit(lot(report(study())), ORGANISATION, timeout=SECONDS)
    assert told(dmp) == "XDSRepositoryError"


def test_documents_about_somebody_else(dmp: DmpSimulator, connector: DmpConnector) -> None:
    manifest, written = kos(study()), report(study())
    other = b"207058575627097"
    for document in (
        replace(manifest, content=manifest.content.replace(INS.value.encode(), other)),
        replace(written, content=written.content.replace(INS.value.encode(), other)),
        replace(written, content=b"<other/>"),
        replace(manifest, content=b"no DICOM"),
    ):
        with pytest.raises(ConnectorError):
            connector.submit(lot(document), ORGANISATION, timeout=SECONDS)
        assert told(dmp) == "InvalidDocumentContent"


# The connection


def context(dmp: DmpSimulator, pki: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(dmp.pki / f"{AUTHORITY}.crt"))
    if pki is not None:
        made.load_cert_chain(pki / f"{AUTHENTICATION}.crt", pki / f"{AUTHENTICATION}.key")
    return made


def test_no_certificate_no_answer(dmp: DmpSimulator) -> None:
    with httpx.Client(verify=context(dmp, None)) as client, pytest.raises(httpx.HTTPError):
        client.post(f"{dmp.url}/registry", content=b"")


@pytest.mark.parametrize(
    ("service", "kind", "body", "status"),
    [
        ("elsewhere", "application/soap+xml", b"", 404),
        ("registry", "text/plain", b"hello", 415),
        ("registry", "application/soap+xml", b"<a/>", 500),
        ("registry", "application/soap+xml", b"<!DOCTYPE a><a/>", 500),
        ("registry", "multipart/related; boundary=x", b"--x--", 500),
    ],
)
def test_what_is_no_request(dmp: DmpSimulator, service: str, kind: str, body: bytes, status: int) -> None:
    with httpx.Client(verify=context(dmp, dmp.pki)) as client:
        answer = client.post(f"{dmp.url}/{service}", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
