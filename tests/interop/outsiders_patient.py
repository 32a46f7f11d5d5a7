"""A patient that an outsider brings into a closed sandbox, and every address at which the record can be asked for."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelFind

from tests.interop.by_hand import XDSB, Entry, Set, identity, oid, read, unique_id
from tests.interop.outsider import Outsider

AUTHORITY = "1.2.250.1.999.71"
RAD69 = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
KOS = "1.2.840.10008.5.1.4.1.1.88.59"
_NUMBER = itertools.count(1)


def next_day() -> str:
    """A day after the day before."""
    return (date(2020, 1, 1) + timedelta(days=next(_NUMBER))).isoformat()


@dataclass(kw_only=True)
class Person:
    """As the hospital knows them, and what they have."""

    number: str
    family: str
    regional: str = ""  #: CX
    authority: str = AUTHORITY
    document: str = ""
    masked: str = ""
    study: str = field(default_factory=oid)
    series: str = field(default_factory=oid)
    instance: str = field(default_factory=oid)
    archive: str = ""  #: repositoryUniqueId of the source of the images

    def feed(self, outside: Outsider, zfa: str = "") -> None:
        """ADT^A28."""
        text = identity("A28", f"{self.number}^^^HOSP_A&{AUTHORITY}&ISO^PI", name=f"{self.family}^ZOE").decode()
        with outside.mllp(outside.node) as connection:
            answer = connection.send((text + (f"{zfa}\r" if zfa else "")).encode())
        assert "MSA|AA" in answer, answer

    def says(self, outside: Outsider, consultation: str = "", feeding: str = "") -> None:
        """ZFA-9 and ZFA-11, each time a day after the time before."""
        day = next_day().replace("-", "")
        self.feed(outside, f"ZFA|ACTIF|20200101|||||||{feeding}|{day if feeding else ''}|{consultation}|{day}")

    def sends_images(self, outside: Outsider) -> None:
        """C-STORE."""
        ds = dcmread(get_testdata_file("CT_small.dcm"))
        ds.PatientID, ds.PatientName, ds.IssuerOfPatientID = self.number, f"{self.family}^ZOE", "HOSP_A"
        issuer = Dataset()
        issuer.UniversalEntityID, issuer.UniversalEntityIDType = AUTHORITY, "ISO"
        ds.IssuerOfPatientIDQualifiersSequence = [issuer]
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = self.study, self.series, self.instance
        ds.file_meta.MediaStorageSOPInstanceUID = self.instance
        ds.AccessionNumber = f"A{self.number[-12:]}"
        ae = AE("MODALITY")
        ae.add_requested_context(CTImageStorage, ds.file_meta.TransferSyntaxUID)
        host, port = outside.place("dimse")
        association = ae.associate(host, port, ae_title="MAILLAGE", tls_args=(outside.tls(outside.node), "localhost"))
        assert association.is_established
        assert association.send_c_store(ds).Status == 0
        association.release()

    def wait_for_manifest(self, outside: Outsider) -> None:
        """Until the study is published."""
        end = time.monotonic() + 90
        while time.monotonic() < end:
            for item in read(outside.find(self.regional)).objects("ExtrinsicObject"):
                codes = [row.get("nodeRepresentation") for row in item.iterfind("{*}Classification")]
                if KOS in codes:
                    self.archive = self._source_of_images(outside, unique_id(item))
                    return
            time.sleep(0.2)
        raise AssertionError("the study was not published")

    @staticmethod
    def _source_of_images(outside: Outsider, manifest: str) -> str:
        """Retrieve Location UID of the manifest."""
        (content,) = outside.retrieve(manifest).documents().values()
        study = dcmread(BytesIO(content)).CurrentRequestedProcedureEvidenceSequence[0]
        return str(study.ReferencedSeriesSequence[0].RetrieveLocationUID)


def arrive(outside: Outsider, family: str = "QUILLERE") -> Person:
    """A new identity; the region's number by ITI-83."""
    person = Person(number=f"X{time.time_ns()}", family=family)
    person.feed(outside)
    with outside.http(outside.node) as client:
        domain = outside.told["affinity_domain"]
        asked = {"sourceIdentifier": f"urn:oid:{AUTHORITY}|{person.number}", "targetSystem": f"urn:oid:{domain}"}
        answer = client.get(f"{outside.told['fhir']}/Patient/$ihe-pix", params=asked).json()
    (number,) = [row["valueIdentifier"]["value"] for row in answer["parameter"] if "valueIdentifier" in row]
    person.regional = f"{number}^^^&{domain}&ISO"
    return person


def someone(outside: Outsider) -> Person:
    """With a document, a masked one, and a study whose manifest is published."""
    person = arrive(outside)
    plain = Entry(patient=person.regional)
    masked = Entry(patient=person.regional, codes={"confidentialityCode": "MASQUE_PS"})
    for entry in (plain, masked):
        answer = outside.provide([entry], Set(patient=person.regional))
        assert answer.outcome == "Success", answer.errors
    person.document, person.masked = plain.uid, masked.uid
    person.sends_images(outside)
    person.wait_for_manifest(outside)
    return person


def _get(outside: Outsider, url: str, **parameters: str) -> str:
    with outside.http(outside.node) as client:
        return client.get(url, params=parameters).text


def _searched(resource: str) -> Callable[[Outsider, Person], bool]:
    def ask(outside: Outsider, person: Person) -> bool:
        number, _, domain = person.regional.partition("^^^&")
        who = f"urn:oid:{domain.removesuffix('&ISO')}|{number}"
        text = _get(outside, f"{outside.told['fhir']}/{resource}", **{"patient.identifier": who})
        return '"total":0' not in text and '"entry"' in text

    return ask


def _rad69(outside: Outsider, person: Person) -> bool:
    body = (
        f'<r:RetrieveImagingDocumentSetRequest xmlns:r="urn:ihe:rad:xdsi-b:2009" xmlns:x="{XDSB}">'
        f'<r:StudyRequest studyInstanceUID="{person.study}"><r:SeriesRequest seriesInstanceUID="{person.series}">'
        f"<x:DocumentRequest><x:RepositoryUniqueId>{person.archive}</x:RepositoryUniqueId><x:DocumentUniqueId>"
        f"{person.instance}</x:DocumentUniqueId></x:DocumentRequest></r:SeriesRequest></r:StudyRequest>"
        "<r:TransferSyntaxUIDList><r:TransferSyntaxUID>1.2.840.10008.1.2.1</r:TransferSyntaxUID>"
        "</r:TransferSyntaxUIDList></r:RetrieveImagingDocumentSetRequest>"
    )
    return b"DICM" in outside.soap("xds_imaging", RAD69, body, parts={}).content


def _c_find(outside: Outsider, person: Person) -> bool:
    ae = AE("READER")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    host, port = outside.place("dimse")
    association = ae.associate(host, port, ae_title="MAILLAGE", tls_args=(outside.tls(outside.node), "localhost"))
    assert association.is_established
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID, wanted.PatientName = "STUDY", person.study, ""
    rows = [row for _, row in association.send_c_find(wanted, StudyRootQueryRetrieveInformationModelFind) if row]
    association.release()
    return bool(rows)


#: Where the record can be asked for -> whether it is shown there to a system.
ADDRESSES: dict[str, Callable[[Outsider, Person], bool]] = {
    "ITI-18 LeafClass": lambda o, p: p.document in read(o.find(p.regional)).uids,
    "ITI-18 ObjectRef": lambda o, p: bool(read(o.find(p.regional, returns="ObjectRef")).objects("ObjectRef")),
    "ITI-43": lambda o, p: o.retrieve(p.document).outcome == "Success",
    "ITI-67": _searched("DocumentReference"),
    "ImagingStudy": _searched("ImagingStudy"),
    "RAD-69": _rad69,
    "QIDO-RS": lambda o, p: p.series in _get(o, f"{o.told['dicomweb']}/studies/{p.study}/series"),
    "QIDO-RS studies": lambda o, p: p.study in _get(o, f"{o.told['dicomweb']}/studies", PatientName=f"{p.family}*"),
    "WADO-RS": lambda o, p: p.instance in _get(o, f"{o.told['dicomweb']}/studies/{p.study}/metadata"),
    "C-FIND": _c_find,
}


def seen(outside: Outsider, person: Person) -> dict[str, bool]:
    """Where the record is shown now."""
    return {name: ask(outside, person) for name, ask in ADDRESSES.items()}
