"""One success of every transaction, over real sockets; ``test_every_success_audited`` counts what it leaves."""

import base64
import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
from lxml import etree

from hub.testing import hl7
from hub.testing.cda import ImagingReport, build_report
from hub.values import PatientIdentifier, new_uid
from hub.wire.hl7v2.client import MllpClient
from hub.wire.hl7v2.writer import segment
from tests.app.test_availability import notice, tell
from tests.hostile import leaking, leaking_region
from tests.hostile.leaking import PROBES
from tests.hostile.leaking_people import PAGES
from tests.hostile.leaking_region import OID, Region, Target
from tests.interop.by_hand import (
    ACTION,
    APPROVED,
    DEPRECATED,
    FIND_DOCUMENTS,
    GET_ASSOCIATIONS,
    HAS_MEMBER,
    LCM,
    RIM,
    XDSB,
    XOP,
    Answer,
    Entry,
    Set,
    envelope,
    oid,
    package,
    query,
    read,
    slot,
    submission,
)
from tests.interop.mhd import bundle_of
from tests.interop.test_communities import wanted
from tests.interop.test_mhd_publish import simple
from tests.interop.test_xds_administration import (
    DELETE,
    REMOVE,
    RESTRICTED,
    UPDATE,
    changing,
    removal,
)
from tests.profiles.dsub.clients import System, address_of

Case = Callable[[Region, Target], object]
assert PAGES.keys() <= PROBES.keys(), "the ways of people are among them once their module is loaded"
_COUNTER = itertools.count(1)
_FHIR = {"Content-Type": "application/fhir+json"}


def get(path: str) -> Case:
    """A GET that is answered with 200."""

    def ask(region: Region, target: Target) -> None:
        answer = httpx.get(f"{region.hub.public_url()}{path.format(t=target, oid=OID)}", timeout=60)
        assert answer.status_code == 200, answer.text

    return ask


def post(region: Region, path: str, resource: Mapping[str, Any], *, method: str = "POST") -> httpx.Response:
    """A resource that is taken."""
    url = f"{region.hub.public_url()}/fhir{path}"
    answer = httpx.request(method, url, json=resource, headers=_FHIR, timeout=60)
    assert answer.status_code in (200, 201), answer.text
    return answer


def asked(name: str) -> Case:
    """A way to ask of the leak tests, which finds something."""
    return PROBES[name]


def hl7_sent(region: Region, message: bytes) -> None:
    with MllpClient("127.0.0.1", region.hub.mllp.port, timeout=120) as client:
        answer = client.send(message)
    assert b"MSA|AA" in answer, answer


def sent(event: str, *segments: str) -> Case:
    """An HL7 v2 message that is taken."""

    def send(region: Region, target: Target) -> None:
        msh = f"MSH|^~\\&|HIS_A|HOSPITAL_A|HUB|REGION|20260310110000||{event}|{time.monotonic_ns()}|P|2.5"
        lines = [row.format(t=target, cx=f"{target.number}^^^HOSPITAL_A&{OID}&ISO^PI") for row in segments]
        hl7_sent(region, ("\r".join([msh, *lines]) + "\r").encode())

    return send


def successful(answer: Answer) -> Answer:
    assert (answer.outcome, answer.errors) == ("Success", [])
    return answer


# documents


def _entry(target: Target) -> Entry:
    return Entry(patient=target.regional, uid=oid(), content=f"report {uuid.uuid4()}".encode())


def provided(region: Region, target: Target) -> Entry:
    entry = _entry(target)
    successful(region.vendor.provide([entry], Set(patient=target.regional)))
    return entry


def registered(region: Region, target: Target) -> None:
    slots = {"hash": ["0" * 40], "size": ["12"], "repositoryUniqueId": ["1.2.3.9"]}
    entry = replace(_entry(target), slots=slots)
    successful(region.vendor.register([entry], Set(patient=target.regional)))


def on_demand(region: Region, target: Target) -> None:
    offered = replace(
        _entry(target),
        object_type="urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248",
        slots={"repositoryUniqueId": [region.hub.documents.repository_unique_id]},
        without=frozenset({"creationTime"}),
    )
    body = submission([offered], Set(patient=target.regional))
    successful(region.vendor.call("xds_registry", "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry", body))


def _of(region: Region, entry: Entry) -> Any:
    rows = region.vendor.find(entry.patient).objects("ExtrinsicObject")
    return next(row for row in rows if entry.uid in etree.tostring(row).decode())


def updated(region: Region, target: Target) -> None:
    entry = _of(region, provided(region, target)).get("id")
    body = submission([], Set(patient=target.regional), changing(entry, APPROVED, DEPRECATED))
    successful(region.vendor.call("xds_registry", UPDATE, body))


def updated_restricted(region: Region, target: Target) -> None:
    entry = provided(region, target)
    found = _of(region, entry)
    known = {
        name: [str(value.text) for value in row.iter(f"{{{RIM}}}Value")]
        for row in found.iterfind(f"{{{RIM}}}Slot")
        if (name := row.get("name")) in ("hash", "size", "repositoryUniqueId")
    }
    text = Entry(patient=entry.patient, uid=entry.uid, slots=known).xml
    text = text.replace("<rim:ExtrinsicObject ", f'<rim:ExtrinsicObject lid="{found.get("lid")}" ')
    inner = slot("SubmissionSetStatus", ["Original"]) + slot("PreviousVersion", ["1"])
    member = (
        f'<rim:Association id="m{next(_COUNTER)}" associationType="{HAS_MEMBER}" sourceObject="SubmissionSet01" '
        f'targetObject="Document01">{inner}</rim:Association>'
    )
    body = submission([], Set(patient=target.regional), text, member)
    body = body.replace("<rim:RegistryPackage ", f'<rim:RegistryPackage home="{region.hub.documents.home}" ')
    successful(region.vendor.call("xds_registry", RESTRICTED, body))


def deleted(region: Region, target: Target) -> None:
    entry = str(_of(region, provided(region, target)).get("id"))
    links = region.vendor.ask(GET_ASSOCIATIONS, {"uuid": f"('{entry}')"}).objects("Association")
    sets = {str(item.get("sourceObject")) for item in links if item.get("associationType") == HAS_MEMBER}
    ids = [entry, *sets, *(str(item.get("id")) for item in links)]
    refs = "".join(f'<rim:ObjectRef id="{item}"/>' for item in ids)
    body = (
        f'<lcm:RemoveObjectsRequest xmlns:lcm="{LCM}" xmlns:rim="{RIM}"><rim:ObjectRefList>{refs}'
        "</rim:ObjectRefList></lcm:RemoveObjectsRequest>"
    )
    successful(region.vendor.call("xds_registry", DELETE, body))


def removed(region: Region, target: Target) -> None:
    uid = provided(region, target).uid
    wanted = removal(uid, repository=region.hub.documents.repository_unique_id)
    successful(region.vendor.call("xds_repository", REMOVE, wanted))


def bundled(region: Region, target: Target) -> None:
    post(region, "", bundle_of(target.regional, b"a letter"))


def _simple(target: Target) -> dict[str, Any]:
    found = simple(target.regional, f"a note {next(_COUNTER)}".encode())
    found["subject"] = {"identifier": {"system": f"urn:oid:{OID}", "value": target.number}}
    return found


def simply(region: Region, target: Target) -> httpx.Response:
    return post(region, "/DocumentReference", _simple(target))


def patched(region: Region, target: Target) -> None:
    made = simply(region, target).json()
    parts = [{"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "DocumentReference.status"}]
    parts.append({"name": "value", "valueCode": "current"})
    changes = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    post(region, f"/DocumentReference/{made['id']}", changes, method="PATCH")


def _report(region: Region, target: Target, study: str) -> bytes:
    person = region.hub.patients.person(PatientIdentifier(target.number, OID))
    assert person is not None
    return build_report(
        ImagingReport(
            patient_ids=(PatientIdentifier(target.number, OID),),
            traits=person.traits,
            study_instance_uid=study,
            accession_number=f"ACC-{next(_COUNTER)}",
            placer_number=f"P-{next(_COUNTER)}",
            document_id=new_uid(),
        )
    )


def generated(region: Region, target: Target) -> None:
    data = base64.b64encode(_report(region, target, target.study)).decode()
    binary = {"resourceType": "Binary", "contentType": "text/xml", "data": data}
    post(region, "/DocumentReference/$generate-metadata", binary)


# other communities


def everywhere(region: Region, target: Target) -> None:
    parameters = {
        "XDSDocumentEntryPatientId": f"'{target.regional}'",
        "XDSDocumentEntryStatus": f"('{APPROVED}')",
    }
    body = query(FIND_DOCUMENTS, parameters)
    assert successful(region.vendor.call("xca_initiating", ACTION + "RegistryStoredQuery", body)).uids


def retrieved_everywhere(region: Region, target: Target) -> None:
    row = wanted(region.hub.documents.repository_unique_id, target.document, region.hub.documents.home)
    body = f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}">{row}</xdsb:RetrieveDocumentSetRequest>'
    answer = successful(region.vendor.call("xca_initiating", ACTION + "RetrieveDocumentSet", body, {}))
    assert target.document in answer.documents()


def images_everywhere(region: Region, target: Target) -> None:
    body = leaking.images(region, target, region.hub.documents.home)
    action = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
    assert successful(region.vendor.call("xca_initiating", action, body, {})).documents()


def given_by_another(region: Region, target: Target) -> None:
    entry, home = _entry(target), region.hub.documents.home
    action, request = "urn:ihe:iti:2015:CrossGatewayDocumentProvide", "d:ProvideAndRegisterDocumentSetRequest"
    document = f'<d:Document id="{entry.id}"><x:Include xmlns:x="{XOP}" href="cid:one"/></d:Document>'
    body = f'<{request} xmlns:d="{XDSB}">{submission([entry], Set(patient=target.regional))}{document}</{request}>'
    url = region.vendor.box["xca_responding"]
    block = (
        '<h:homeCommunityBlock xmlns:h="urn:ihe:iti:xdr:2014" s:mustUnderstand="1">'
        f"<h:homeCommunityId>{home}</h:homeCommunityId></h:homeCommunityBlock></s:Header>"
    )
    root = envelope(action, body, url).replace(b"</s:Header>", block.encode())
    kind, content = package(root, {"one": entry.content}, action)
    successful(read(region.vendor.post(url, kind, content)))


# notifications


def _system(region: Region) -> System:
    return System(region.hub.public_url())


def subscribed(region: Region, target: Target) -> None:
    slots = {"XDSDocumentEntryPatientId": [f"'{target.regional}'"]}
    assert address_of(_system(region).subscribe("http://127.0.0.1:9/nobody", slots))


def pull_point(region: Region, _: Target | None = None) -> str:
    return address_of(_system(region).create_pull_point(), "PullPoint")


def pulled(region: Region, _: Target) -> None:
    answer = _system(region).get_messages(pull_point(region))
    assert answer.body.tag.endswith("GetMessagesResponse")


def _note(target: Target) -> str:
    return replace(_entry(target), id=f"urn:uuid:{uuid.uuid4()}").xml


def published(region: Region, target: Target) -> None:
    answer = _system(region).notify(f"{region.hub.public_url()}/dsub/broker", _note(target))
    assert answer.status_code == 202, answer.text


def notified(region: Region, target: Target) -> None:
    answer = _system(region).notify(pull_point(region), _note(target))
    assert answer.status_code == 202, answer.text


# orders, reports, availability

_SENDER = hl7.Sender(application="HIS_A", facility="HOSPITAL_A")


def patient_of(region: Region, target: Target) -> hl7.Patient:
    number = hl7.local(target.number, "HOSPITAL_A", OID)
    person = region.hub.patients.person(PatientIdentifier(target.number, OID))
    assert person is not None
    return hl7.Patient(identifier=number, traits=person.traits)


def examination() -> hl7.Examination:
    number = next(_COUNTER)
    return hl7.Examination(
        placer_number=f"PL-{number}",
        accession_number=f"AC-{number}",
        study_instance_uid=oid(),
        filler_number=f"F-{number}",
    )


def scheduled(region: Region, target: Target) -> None:
    hl7_sent(region, hl7.omi(_SENDER, patient_of(region, target), examination()))


def filled(region: Region, target: Target) -> None:
    given = examination()
    segments = [patient_of(region, target).pid, segment("PV1", {2: "O"}), given.orc("SN"), given.obr()]
    hl7_sent(region, _SENDER.message("OMG^O19", segments, structure="OMG_O19"))


def reported(region: Region, target: Target) -> None:
    report = _report(region, target, target.study)
    hl7_sent(region, hl7.oru(_SENDER, patient_of(region, target), examination(), report))


def available(region: Region, _: Target) -> None:
    found, port = notice(title="MODALITY"), int(region.hub.dimse_address().rpartition(":")[2])
    assert tell(port, found, calling="MODALITY").Status == 0


def stored(region: Region, target: Target) -> None:
    leaking_region.store(region, leaking_region.image(target.number, target.name))


_PID = "PID|1||{cx}||{t.name}^ZOE^ZOE MARIE^^^^L||19520316|F"
_EVN = "EVN||20260310110000"
_ORC = "ORC|NW|P-{t.number}|F-{t.number}||||||20260310110000"
_OBR = "OBR|1|P-{t.number}|F-{t.number}|CT^Scanner^LOCAL|||||||||||||||ACC-{t.number}||||||CT"
#: transaction -> (what is done, how many records of it)
DOCUMENTS: dict[str, tuple[Case, int]] = {
    "ITI-18": (asked("ITI-18 FindDocuments"), 2),
    "ITI-38": (asked("ITI-38 FindDocuments"), 2),
    "ITI-51": (asked("ITI-51 FindDocuments"), 2),
    "ITI-43": (asked("ITI-43"), 1),
    "ITI-39": (asked("ITI-39"), 1),
    "ITI-41": (provided, 1),
    "ITI-42": (registered, 1),
    "ITI-61": (on_demand, 1),
    "ITI-57": (updated, 1),
    "ITI-92": (updated_restricted, 1),
    "ITI-62": (deleted, 1),
    "ITI-86": (removed, 1),
    "ITI-65": (bundled, 1),
    "ITI-105": (simply, 1),
    "ITI-106": (generated, 1),
    "PDSm-update": (patched, 1),
    "XCA-ITI-18": (everywhere, 1),
    "XCA-ITI-43": (retrieved_everywhere, 1),
    "XCA-RAD-69": (images_everywhere, 1),
    "ITI-80": (given_by_another, 1),
    "ITI-52": (subscribed, 1),
    "ITI-69": (pull_point, 1),
    "ITI-70": (pulled, 1),
    "ITI-54": (published, 1),
    "ITI-53": (notified, 1),
    "RAD-69": (asked("RAD-69"), 1),
    "RAD-75": (asked("RAD-75"), 1),
    "RAD-55": (asked("WADO-URI DICOM"), 1),
    "RAD-107": (asked("WADO-RS study"), 1),
    "RAD-129": (asked("QIDO-RS by UID"), 1),
    "RAD-14": (asked("C-FIND by UID"), 1),
    "RAD-16": (asked("C-GET"), 1),
    "RAD-8": (stored, 1),
    "RAD-49": (available, 1),
    "RAD-106": (asked("RAD-106 by UID"), 1),
    "RAD-2": (sent("ORM^O01^ORM_O01", _PID, "PV1||O", _ORC, _OBR, "ZDS|1.2.3.4.5^100^Application^DICOM"), 1),
    "RAD-3": (filled, 1),
    "RAD-4": (scheduled, 1),
    "RAD-28": (reported, 1),
    "FHIR-ImagingStudy": (asked("FHIR ImagingStudy"), 1),
    "ITI-66": (asked("FHIR List"), 1),
    "ITI-67": (asked("FHIR DocumentReference"), 1),
    "ITI-68": (asked("FHIR Binary"), 1),
    "ITI-30": (sent("ADT^A28^ADT_A05", _EVN, _PID, "PV1||N"), 1),
    "ITI-31": (sent("ADT^A02^ADT_A02", _EVN, _PID, "PV1||I|7700^12^2^HOSPITAL_A||||||||||||||||V-{t.number}"), 1),
    "ITI-8": (sent("ADT^A04^ADT_A01", _EVN, _PID, "PV1||O"), 1),
    "ITI-9": (sent("QBP^Q23^QBP_Q21", "QPD|IHE PIX Query|q1|{cx}", "RCP|I"), 1),
    "ITI-21": (sent("QBP^Q22^QBP_Q21", "QPD|IHE PDQ Query|q2|@PID.5.1.1^{t.name}", "RCP|I"), 1),
    "ITI-22": (sent("QBP^ZV1^QBP_Q21", "QPD|IHE PDVQ Query|q3|@PID.5.1.1^{t.name}", "RCP|I"), 1),
}
