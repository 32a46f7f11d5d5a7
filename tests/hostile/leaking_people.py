"""The ways of people, and what lies beside the great questions: the portal's pages, links from other systems, packages,
images by every level, parameters that shape an answer, documents that are made when they are asked for."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)
from pynetdicom.transport import ThreadedAssociationServer

from hub.access.service import hash_password
from hub.app.settings.model import User
from hub.app.wiring import Hub
from hub.imaging.errors import UnknownStudy
from hub.imaging.model import StudyState
from hub.portal.handles import Handles
from hub.portal.visit import SESSION_COOKIE
from hub.values import PatientIdentifier
from tests.hostile import leaking_region
from tests.hostile.leaking import ABOUT_PERSONS, PROBES, Probe, http, probe
from tests.hostile.leaking_region import OID, Region, Target, bring_in
from tests.interop.by_hand import APPROVED, FIND_DOCUMENTS, Integrator
from tests.portal.conftest import field
from tests.waiting import until

CLINICIAN, PASSWORD = "marie", "not-a-secret"
STATION = "STATION"
_ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
#: Asked of by somebody, never answered with anything that is there: nothing to hide, and no error that tells.
NEVER: set[str] = {  # the objects have no folders, no related documents
    f"{wire} {name}" for wire in ("ITI-18", "ITI-38") for name in ("GetFoldersForDocument", "GetRelatedDocuments")
}


# pages


def signed_in(region: Region) -> httpx.Client:
    """A clinician at the portal, signed in once."""
    if region.browser is None:
        client = httpx.Client(base_url=region.hub.public_url(), timeout=60, headers={"Accept-Language": "en"})
        form = client.get("/portal/sign-in")
        fields = {"csrf": field(form.text, "csrf"), "login": CLINICIAN, "password": PASSWORD}
        assert client.post("/portal/sign-in", data=fields).status_code == 303
        region.browser = client
    return region.browser


def page(region: Region, path: str) -> str:
    """A page as a clinician sees it, and where it leads; what is sealed and numbered by chance left out."""
    answer = signed_in(region).get(path)
    if answer.headers.get("content-type") == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as package:
            return f"{answer.status_code} {[item.filename for item in package.infolist()]}"
    text = re.sub(r"( · )?\b\d+\s*ms\b", "", answer.text)  # under one millisecond none is told
    text = re.sub(r"(/portal/[a-z]+/|data-key=\"|id=\"row-)[A-Za-z0-9_-]{22,}", r"\1<handle>", text)
    where = re.sub(r"(/portal/[a-z]+/)[A-Za-z0-9_-]{22,}", r"\1<handle>", answer.headers.get("location", ""))
    return f"{answer.status_code} {answer.headers.get('content-type')} {where} {text}"


def sealed(region: Region, kind: str, *values: str) -> str:
    """A handle of the clinician's session, as an earlier page may have given it."""
    return Handles(signed_in(region).cookies[SESSION_COOKIE]).seal(kind, *values)


def _person(region: Region, target: Target) -> tuple[str, str]:
    found = PatientIdentifier.from_cx(target.regional)
    return found.value, found.authority


def _study(region: Region, target: Target) -> str:
    return sealed(region, "study", target.study, "HUB", *_person(region, target))


def _document(region: Region, target: Target) -> str:
    return sealed(
        region, "document", region.hub.documents.repository_unique_id, target.document, *_person(region, target)
    )


#: name -> (path, whether it is about a person)
PAGES: dict[str, tuple[Callable[[Region, Target], str], bool]] = {
    "portal search": (lambda r, t: f"/portal/search/{sealed(r, 'search', '', t.name, '', '', '')}", True),
    "portal person": (lambda r, t: f"/portal/person/{sealed(r, 'person', *_person(r, t))}", True),
    "portal person, live": (lambda r, t: f"/portal/person/{sealed(r, 'person', *_person(r, t))}?live=1", True),
    "portal XDM export": (lambda r, t: f"/portal/person/{sealed(r, 'person', *_person(r, t))}/xdm", True),
    "portal study": (lambda r, t: f"/portal/study/{_study(r, t)}", False),
    "portal images": (lambda r, t: f"/portal/study/{_study(r, t)}/images", False),
    "portal document": (lambda r, t: f"/portal/document/{_document(r, t)}", False),
    "portal original": (lambda r, t: f"/portal/document/{_document(r, t)}/original", False),
    "portal document life": (lambda r, t: f"/portal/document/{_document(r, t)}/life", False),
    "RAD-106 by UID": (lambda _, t: f"/IHEInvokeImageDisplay?requestType=STUDY&studyUID={t.study}", False),
    "RAD-106 by accession": (
        lambda _, t: f"/IHEInvokeImageDisplay?requestType=STUDY&accessionNumber={t.accession}",
        False,
    ),
    "RAD-106 of a person": (
        lambda _, t: f"/IHEInvokeImageDisplay?requestType=PATIENT&patientID={t.number}%5E%5E%5E%26{OID}%26ISO",
        True,
    ),
    "RAD-106 the newest of a person": (
        lambda _, t: (
            f"/IHEInvokeImageDisplay?requestType=PATIENT&mostRecentResults=1"
            f"&patientID={t.number}%5E%5E%5E%26{OID}%26ISO"
        ),
        True,
    ),
    "OHIF": (lambda r, t: f"/ohif/viewer?StudyInstanceUIDs={t.study}", False),  # noqa: ARG005
    "OHIF configuration": (lambda r, t: f"/ohif/app-config.js?StudyInstanceUIDs={t.study}", False),  # noqa: ARG005
    "OHIF's own QIDO-RS": (lambda r, t: f"/dicom-web/studies?StudyInstanceUID={t.study}&includefield=all", False),  # noqa: ARG005
}
NEVER |= {"OHIF", "OHIF configuration", "portal images", "portal search"}


def _page_probe(path: Callable[[Region, Target], str]) -> Probe:
    return lambda region, target: page(region, path(region, target))


for _name, (_path, _about_person) in PAGES.items():
    PROBES[_name] = _page_probe(_path)
    if _about_person:
        ABOUT_PERSONS.add(_name)


# parameters that shape or widen a FHIR answer

_WHO = "patient.identifier={who}"
_FHIR = {
    "ImagingStudy, _summary=count": f"/fhir/ImagingStudy?{_WHO}&_summary=count",
    "ImagingStudy, _total": f"/fhir/ImagingStudy?{_WHO}&_total=accurate&_count=1",
    "ImagingStudy, offset": f"/fhir/ImagingStudy?{_WHO}&_count=1&_offset=1",
    "ImagingStudy, _include": f"/fhir/ImagingStudy?{_WHO}&_include=ImagingStudy:patient",
    "ImagingStudy, chained": "/fhir/ImagingStudy?patient.family={name}",
    "ImagingStudy, by accession": "/fhir/ImagingStudy?identifier={accession}",
    "DocumentReference, _summary=count": f"/fhir/DocumentReference?{_WHO}&status=current&_summary=count",
    "DocumentReference, _total": f"/fhir/DocumentReference?{_WHO}&status=current&_total=accurate&_count=1",
    "DocumentReference, _include": f"/fhir/DocumentReference?{_WHO}&_include=DocumentReference:subject",
    "DocumentReference, chained": "/fhir/DocumentReference?patient.family={name}",
    "List, _include": f"/fhir/List?{_WHO}&code=submissionset&_include=List:item",
    "Patient, _revinclude": "/fhir/Patient?family={name}&_revinclude=ImagingStudy:patient",
    "Patient, _has": "/fhir/Patient?_has:DocumentReference:subject:status=current&family={name}",
}


def _fhir_probe(path: str) -> Probe:
    def ask(region: Region, target: Target) -> str:
        found = PatientIdentifier.from_cx(target.regional)
        values = {
            "who": f"urn:oid:{found.authority}%7C{found.value}",
            "name": target.name,
            "accession": target.accession,
        }
        return http(region, path.format(**values))

    return ask


for _name, _text in _FHIR.items():
    PROBES[f"FHIR {_name}"] = _fhir_probe(_text)
    if "accession" not in _text:
        ABOUT_PERSONS.add(f"FHIR {_name}")
_REFUSED = ("_include", "_revinclude", "chained", "_has")  # whoever is asked about; one of them is understood
NEVER |= {f"FHIR {name}" for name in _FHIR if any(word in name for word in _REFUSED)} - {"FHIR ImagingStudy, _include"}


# images by every level, sent elsewhere


def moved(
    region: Region,
    target: Target,
    level: str = "STUDY",
    model: str = StudyRootQueryRetrieveInformationModelMove,
) -> str:
    """C-MOVE to the station: what was said, and how many arrived there."""
    ae = AE("READER")
    ae.add_requested_context(model)
    port = int(region.hub.dimse_address().rpartition(":")[2])
    association = ae.associate("127.0.0.1", port, ae_title="MAILLAGE")
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = level, target.study
    if model == PatientRootQueryRetrieveInformationModelMove:
        wanted.PatientID = target.number
    if level != "STUDY":
        wanted.SeriesInstanceUID = target.series
    if level == "IMAGE":
        wanted.SOPInstanceUID = target.instance
    before = len(region.arrived)
    counts = ("Completed", "Failed", "Warning", "Remaining")
    answers = [
        (
            status.get("Status"),
            *(status.get(f"NumberOf{name}Suboperations") for name in counts),
            status.get("ErrorComment"),
        )
        for status, _ in association.send_c_move(wanted, STATION, model)
    ]
    association.release()
    return f"{answers} {len(region.arrived) - before}"


for _level in ("STUDY", "SERIES", "IMAGE"):
    PROBES[f"C-MOVE {_level}"] = partial(moved, level=_level)
PROBES["C-MOVE of a patient"] = partial(moved, model=PatientRootQueryRetrieveInformationModelMove)


@probe("C-FIND with wildcards")
def c_find_wildcards(region: Region, target: Target) -> str:
    ae = AE("READER")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    port = int(region.hub.dimse_address().rpartition(":")[2])
    association = ae.associate("127.0.0.1", port, ae_title="MAILLAGE")
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.PatientName = "STUDY", f"?{target.name[1:4]}*"
    wanted.StudyInstanceUID, wanted.NumberOfStudyRelatedInstances = "", ""
    answers = [
        (status.Status, str(found))
        for status, found in association.send_c_find(wanted, StudyRootQueryRetrieveInformationModelFind)
    ]
    association.release()
    return str(answers)


# made when they are asked for


def _on_demand(region: Region, target: Target) -> str:
    parameters = {
        "XDSDocumentEntryPatientId": f"'{target.regional}'",
        "XDSDocumentEntryStatus": f"('{APPROVED}')",
        "XDSDocumentEntryType": f"('{_ON_DEMAND}')",
    }
    answer = region.vendor.ask(FIND_DOCUMENTS, parameters)
    return f"{answer.outcome} {answer.errors} {len(answer.objects('ExtrinsicObject'))}"


PROBES["ITI-18 on-demand documents"] = _on_demand
ABOUT_PERSONS.add("ITI-18 on-demand documents")


@probe("ITI-43 of an on-demand document")
def on_demand_retrieved(region: Region, target: Target) -> str:
    return PROBES["ITI-43"](region, replace(target, document=target.offer))


@probe("ITI-68 of an on-demand document")
def on_demand_binary(region: Region, target: Target) -> str:
    return http(region, f"/fhir/Binary/{target.offer_entry.removeprefix('urn:uuid:')}")


def offer(vendor: Integrator, regional: str) -> tuple[str, str]:
    """(uniqueId, entryUUID) of the list of studies that is offered of somebody; "" while there is none."""
    parameters = {
        "XDSDocumentEntryPatientId": f"'{regional}'",
        "XDSDocumentEntryStatus": f"('{APPROVED}')",
        "XDSDocumentEntryType": f"('{_ON_DEMAND}')",
    }
    found = vendor.ask(FIND_DOCUMENTS, parameters).objects("ExtrinsicObject")
    if not found:
        return "", ""
    unique = next(
        str(item.get("value"))
        for item in found[0].iter("{*}ExternalIdentifier")
        if item.get("identificationScheme") == "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
    )
    return unique, str(found[0].get("id"))


@contextmanager
def station(arrived: list[str]) -> Iterator[int]:
    """A station that takes images, at the port; the UIDs of those that came are in ``arrived``."""
    ae = AE(STATION)
    ae.add_supported_context(CTImageStorage)

    def taken(event: evt.Event) -> int:
        arrived.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, taken)])
    assert isinstance(server, ThreadedAssociationServer)
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()


def published(hub: Hub, study: str) -> bool:
    try:
        return hub.imaging.indexed(study).state is StudyState.PUBLISHED
    except UnknownStudy:
        return False  # it was stored, and is not indexed yet


@contextmanager
def populated(folder: Path, *, said: str = "", **changes: Any) -> Iterator[Region]:
    """The hub with three people alike, of whom one has nothing. ``said``: of consultation (ZFA-11), before anything is
    shared. ``changes``: settings of its own."""
    arrived: list[str] = []
    clinician = User(login=CLINICIAN, name="Marie", password_argon2=hash_password(PASSWORD), roles=("clinician",))
    with station(arrived) as port:
        given = leaking_region.settings(folder, port, (clinician,)).model_copy(update=changes)
        with leaking_region.running(given) as found:
            hub, vendor, found.arrived = found.hub, found.vendor, arrived
            bring_in(found, "hidden", "PX1", "QUILLERE", said=said)
            bring_in(found, "shown", "PX2", "BROCHAND", said=said)
            bring_in(found, "empty", "PX3", "ZZTOPNOM", said=said)
            theirs = [found.people[who] for who in ("hidden", "shown")]
            until(lambda: all(published(hub, one.study) for one in theirs))
            until(lambda: all(offer(vendor, one.regional)[0] for one in theirs))
            for who in ("hidden", "shown"):
                unique_id, entry = offer(vendor, found.people[who].regional)
                found.people[who] = replace(found.people[who], offer=unique_id, offer_entry=entry)
            yield found
            if found.browser is not None:
                found.browser.close()
