"""Every way in which an outsider may ask about patients alike, of whom one opposes."""

import re
from collections.abc import Callable
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from tests.hostile.leaking_region import GET_SETS, OID, Region, Target
from tests.interop.by_hand import (
    ACTION,
    APPROVED,
    FIND_SETS,
    GET_ALL,
    GET_ASSOCIATIONS,
    GET_DOCUMENTS,
    XDSB,
    envelope,
    package,
    query,
)

GET_RELATED = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"
GET_FOLDERS_FOR = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
GET_SET_AND_CONTENTS = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
MULTI_FIND = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"


# every way to ask: what comes back, as text

Probe = Callable[[Region, Target], str]
PROBES: dict[str, Probe] = {}


def probe(name: str) -> Callable[[Probe], Probe]:
    def keep(function: Probe) -> Probe:
        PROBES[name] = function
        return function

    return keep


def http(region: Region, path: str, accept: str = "*/*") -> str:
    answer = httpx.get(f"{region.hub.public_url()}{path}", headers={"Accept": accept}, timeout=60)
    kept = {name: answer.headers[name] for name in ("x-maillage-sources", "content-type", "warning", "x-total-count")
            if name in answer.headers}  # fmt: skip
    return f"{answer.status_code} {kept} {answer.text}"


def soap(region: Region, path: str, action: str, body: str, *, mtom: bool = False) -> str:

    url = f"{region.hub.public_url()}{path}"
    root = envelope(action, body, url)
    kind, content = package(root, {}, action) if mtom else (f'application/soap+xml; action="{action}"', root)
    answer = httpx.post(url, content=content, headers={"Content-Type": kind}, timeout=60)
    return f"{answer.status_code} {answer.text}"


def stored_query(path: str, action: str, query_id: str, parameters: Callable[[Target], dict[str, Any]]) -> Probe:
    def ask(region: Region, target: Target) -> str:
        home = region.hub.documents.home if path == "/xca/responding" else ""
        answers = [
            soap(region, path, action, query(query_id, parameters(target), returns=returns, home=home))
            for returns in ("LeafClass", "ObjectRef")
        ]
        return "\n".join(answers)

    return ask


_FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
_ITI18, _ITI38 = (ACTION + name for name in ("RegistryStoredQuery", "CrossGatewayQuery"))
_ITI51 = "urn:ihe:iti:2009:MultiPatientStoredQuery"
#: name -> (query, parameters, what it is asked about: somebody, or an object of theirs)
QUERIES: dict[str, tuple[str, Callable[[Target], dict[str, Any]], str]] = {
    "FindDocuments": (
        _FIND,
        lambda t: {"XDSDocumentEntryPatientId": f"'{t.regional}'", "XDSDocumentEntryStatus": f"('{APPROVED}')"},
        "person",
    ),
    "FindSubmissionSets": (
        FIND_SETS,
        lambda t: {"XDSSubmissionSetPatientId": f"'{t.regional}'", "XDSSubmissionSetStatus": f"('{APPROVED}')"},
        "person",
    ),
    "GetAll": (
        GET_ALL,
        lambda t: {
            "patientId": f"'{t.regional}'",
            "XDSDocumentEntryStatus": f"('{APPROVED}')",
            "XDSSubmissionSetStatus": f"('{APPROVED}')",
            "XDSFolderStatus": f"('{APPROVED}')",
        },
        "person",
    ),
    "GetDocuments by uniqueId": (GET_DOCUMENTS, lambda t: {"XDSDocumentEntryUniqueId": f"('{t.document}')"}, "object"),
    "GetDocuments by UUID": (GET_DOCUMENTS, lambda t: {"XDSDocumentEntryEntryUUID": f"('{t.entry}')"}, "object"),
    "GetAssociations": (GET_ASSOCIATIONS, lambda t: {"uuid": f"('{t.entry}')"}, "object"),
    "GetAssociations of the set": (GET_ASSOCIATIONS, lambda t: {"uuid": f"('{t.owner}')"}, "object"),
    "GetSubmissionSets": (GET_SETS, lambda t: {"uuid": f"('{t.entry}')"}, "object"),
    "GetSubmissionSetAndContents": (
        GET_SET_AND_CONTENTS,
        lambda t: {"XDSSubmissionSetEntryUUID": f"'{t.owner}'"},
        "object",
    ),
    "GetFoldersForDocument": (GET_FOLDERS_FOR, lambda t: {"XDSDocumentEntryUniqueId": f"'{t.document}'"}, "object"),
    "GetRelatedDocuments": (
        GET_RELATED,
        lambda t: {
            "XDSDocumentEntryUniqueId": f"'{t.document}'",
            "AssociationTypes": "('urn:ihe:iti:2007:AssociationType:RPLC')",
        },
        "object",
    ),
}
#: Probes about a person: asked of somebody who is known and has nothing, for comparison. The others name an object.
ABOUT_PERSONS: set[str] = set()
for _name, (_id, _parameters, _about) in QUERIES.items():
    for _wire, _path, _action in (("ITI-18", "/xds/registry", _ITI18), ("ITI-38", "/xca/responding", _ITI38)):
        PROBES[f"{_wire} {_name}"] = stored_query(_path, _action, _id, _parameters)
        if _about == "person":
            ABOUT_PERSONS.add(f"{_wire} {_name}")
PROBES["ITI-51 FindDocuments"] = stored_query(
    "/xds/registry",
    _ITI51,
    MULTI_FIND,
    lambda t: {
        "XDSDocumentEntryPatientId": f"('{t.regional}')",
        "XDSDocumentEntryStatus": f"('{APPROVED}')",
        "XDSDocumentEntryClassCode": "('11^^1.2.250.1.999.50')",
    },
)
ABOUT_PERSONS.add("ITI-51 FindDocuments")


def _wanted(region: Region, target: Target, home: str = "") -> str:
    at = f"<xdsb:HomeCommunityId>{home}</xdsb:HomeCommunityId>" if home else ""
    return (
        f'<xdsb:RetrieveDocumentSetRequest xmlns:xdsb="{XDSB}"><xdsb:DocumentRequest>{at}'
        f"<xdsb:RepositoryUniqueId>{region.hub.documents.repository_unique_id}</xdsb:RepositoryUniqueId>"
        f"<xdsb:DocumentUniqueId>{target.document}</xdsb:DocumentUniqueId></xdsb:DocumentRequest>"
        "</xdsb:RetrieveDocumentSetRequest>"
    )


@probe("ITI-43")
def iti43(region: Region, target: Target) -> str:
    return soap(region, "/xds/repository", ACTION + "RetrieveDocumentSet", _wanted(region, target), mtom=True)


@probe("ITI-39")
def iti39(region: Region, target: Target) -> str:
    body = _wanted(region, target, region.hub.documents.home)
    return soap(region, "/xca/responding", ACTION + "CrossGatewayRetrieve", body, mtom=True)


def images(region: Region, target: Target, home: str = "") -> str:
    source = next(iter(region.hub.imaging.archives.infos.values())).repository_unique_id
    at = f"<xdsb:HomeCommunityId>{home}</xdsb:HomeCommunityId>" if home else ""
    return (
        '<iherad:RetrieveImagingDocumentSetRequest xmlns:iherad="urn:ihe:rad:xdsi-b:2009" '
        f'xmlns:xdsb="{XDSB}"><iherad:StudyRequest studyInstanceUID="{target.study}"><iherad:SeriesRequest '
        f'seriesInstanceUID="{target.series}"><xdsb:DocumentRequest>{at}<xdsb:RepositoryUniqueId>{source}'
        f"</xdsb:RepositoryUniqueId><xdsb:DocumentUniqueId>{target.instance}</xdsb:DocumentUniqueId>"
        "</xdsb:DocumentRequest></iherad:SeriesRequest></iherad:StudyRequest><iherad:TransferSyntaxUIDList>"
        "<iherad:TransferSyntaxUID>1.2.840.10008.1.2.1</iherad:TransferSyntaxUID></iherad:TransferSyntaxUIDList>"
        "</iherad:RetrieveImagingDocumentSetRequest>"
    )


@probe("RAD-69")
def rad69(region: Region, target: Target) -> str:
    return soap(
        region, "/xds/imaging", "urn:ihe:rad:2009:RetrieveImagingDocumentSet", images(region, target), mtom=True
    )


@probe("RAD-75")
def rad75(region: Region, target: Target) -> str:
    body = images(region, target, region.hub.documents.home)
    action = "urn:ihe:rad:2011:CrossGatewayRetrieveImagingDocumentSet"
    return soap(region, "/xca/responding", action, body, mtom=True)


_PATHS = {
    "WADO-RS study": "/dicom-web/studies/{t.study}",
    "WADO-RS series": "/dicom-web/studies/{t.study}/series/{t.series}",
    "WADO-RS instance": "/dicom-web/studies/{t.study}/series/{t.series}/instances/{t.instance}",
    "WADO-RS metadata": "/dicom-web/studies/{t.study}/metadata",
    "WADO-RS instance metadata": "/dicom-web/studies/{t.study}/series/{t.series}/instances/{t.instance}/metadata",
    "WADO-RS frames": "/dicom-web/studies/{t.study}/series/{t.series}/instances/{t.instance}/frames/1",
    "WADO-RS rendered": "/dicom-web/studies/{t.study}/series/{t.series}/instances/{t.instance}/rendered",
    "WADO-RS rendered study": "/dicom-web/studies/{t.study}/rendered",
    "WADO-RS thumbnail of a series": "/dicom-web/studies/{t.study}/series/{t.series}/thumbnail",
    "WADO-RS thumbnail": "/dicom-web/studies/{t.study}/series/{t.series}/instances/{t.instance}/thumbnail",
    "WADO-URI": "/wado?requestType=WADO&studyUID={t.study}&seriesUID={t.series}&objectUID={t.instance}",
    "WADO-URI DICOM": (
        "/wado?requestType=WADO&studyUID={t.study}&seriesUID={t.series}&objectUID={t.instance}"
        "&contentType=application/dicom"
    ),
    "QIDO-RS by UID": "/dicom-web/studies?StudyInstanceUID={t.study}",
    "QIDO-RS series": "/dicom-web/studies/{t.study}/series",
    "QIDO-RS instances": "/dicom-web/studies/{t.study}/instances",
    "FHIR ImagingStudy": "/fhir/ImagingStudy/{t.study}",
    "FHIR ImagingStudy by UID": "/fhir/ImagingStudy?identifier=urn:dicom:uid%7Curn:oid:{t.study}",
    "FHIR DocumentReference": "/fhir/DocumentReference/{t.entry}",
    "FHIR List": "/fhir/List/{t.owner}",
    "FHIR Binary": "/fhir/Binary/{t.entry}",
    "FHIR ImagingStudy of a person": "/fhir/ImagingStudy?patient.identifier={t.who}",
    "FHIR DocumentReference of a person": "/fhir/DocumentReference?patient.identifier={t.who}",
    "FHIR List of a person": "/fhir/List?patient.identifier={t.who}",
    "QIDO-RS by number": f"/dicom-web/studies?PatientID={{t.number}}&00100024.00400032={OID}",
    "QIDO-RS by name": "/dicom-web/studies?PatientName={t.name}*",
}


class _Path:
    """A path's values as URLs write them."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __getattr__(self, name: str) -> str:
        if name == "who":
            value, _, rest = self._target.regional.partition("^^^&")
            return f"urn:oid:{rest.removesuffix('&ISO')}%7C{value}"
        return str(getattr(self._target, name)).removeprefix("urn:uuid:")


def _path_probe(path: str) -> Probe:
    return lambda region, target: http(region, path.format(t=_Path(target)))


for _name, _path in _PATHS.items():
    PROBES[_name] = _path_probe(_path)
    if " of a person" in _name or " by n" in _name:
        ABOUT_PERSONS.add(_name)


def _find(region: Region, **keys: str) -> str:
    ae = AE("READER")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    port = int(region.hub.dimse_address().rpartition(":")[2])
    association = ae.associate("127.0.0.1", port, ae_title="MAILLAGE")
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    for key in ("StudyInstanceUID", "PatientID", "PatientName", "NumberOfStudyRelatedInstances"):
        setattr(wanted, key, keys.get(key, ""))
    answers = [
        (status.Status, str(found))
        for status, found in association.send_c_find(wanted, StudyRootQueryRetrieveInformationModelFind)
    ]
    association.release()
    return str(answers)


@probe("C-FIND by UID")
def c_find(region: Region, target: Target) -> str:
    return _find(region, StudyInstanceUID=target.study)


@probe("C-FIND by name")
def c_find_name(region: Region, target: Target) -> str:
    return _find(region, PatientName=f"{target.name[:4]}*")


ABOUT_PERSONS.add("C-FIND by name")


@probe("C-GET")
def c_get(region: Region, target: Target) -> str:
    ae = AE("READER")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(CTImageStorage)
    port = int(region.hub.dimse_address().rpartition(":")[2])
    association = ae.associate(
        "127.0.0.1", port, ae_title="MAILLAGE", ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, lambda _: 0x0000)],
    )  # fmt: skip
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", target.study
    answers = [
        (status.get("Status"), status.get("NumberOfCompletedSuboperations"), status.get("NumberOfFailedSuboperations"))
        for status, _ in association.send_c_get(wanted, StudyRootQueryRetrieveInformationModelGet)
    ]
    association.release()
    return str(answers)


def plain(text: str, *targets: Target) -> str:
    """An answer without what differs by chance, and without what was asked."""
    for target in targets:
        for name in ("study", "series", "instance", "document", "entry", "owner", "offer", "offer_entry",
                     "accession", "regional", "number", "name"):  # fmt: skip
            value = str(getattr(target, name))
            for form in (value, value.replace("&", "&amp;"), value.partition("^")[0], value.removeprefix("urn:uuid:")):
                if form:
                    text = text.replace(form, f"<{name}>")
    text = re.sub(r";ms=\d+", "", text)
    text = re.sub(r"(urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-][0-9:]+)?", "<time>", text)
    text = re.sub(r'(boundary|MIMEBoundary|--)[="]*[0-9A-Za-z_]{16,}"?-*', "<boundary>", text)
    text = re.sub(r"<(root|[0-9a-f.]+)@[^>]+>|cid:\S+", "<part>", text)
    return re.sub(r"\b[0-9a-f]{18,}\b", "<key>", text)
