"""One rejected instance, looked for on every path on which the hub tells of images or gives them away."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from hub.access.model import HUB
from hub.app.settings.model import Authority, Security, Settings, Source, Storage
from hub.app.wiring import Hub
from hub.context import Context
from hub.imaging.model import FindStudies, InstanceRequest, PublishStudy
from hub.testing import hl7
from hub.testing.simulators.dicomweb import DicomwebSimulator
from hub.wire.ebxml.imaging import write_imaging_retrieve
from hub.wire.soap.message import SoapMessage
from profiles.xds_i_b import rad69_retrieve_imaging_document_set as rad69
from tests.app.test_hub_archive import PATIENT, feed
from tests.imaging.archive import STUDY, part10, study_files
from tests.imaging.living import key_object
from tests.loopback import PORTS

REPOSITORY, OID = "1.2.250.1.999.3.1", "1.2.250.1.999.71"
PATHS = ("QIDO-RS", "metadata", "ImagingStudy", "C-FIND", "C-GET", "RAD-69", "RAD-55", "portal")
FILES = ("CT_small.dcm", "CT_small.dcm", "MR_small.dcm")


class Places:
    """The hub, its one source, and the study of three series there."""

    def __init__(self, hub: Hub, source: DicomwebSimulator, images: list[Dataset]) -> None:
        self.hub = hub
        self.source = source
        self.images = images
        self.http = httpx.Client(base_url=hub.public_url(), timeout=60)

    def everywhere(self) -> dict[str, set[str]]:
        """SOP Instance UIDs by the path on which they are seen."""
        return {
            "QIDO-RS": self._qido("/instances"),
            "metadata": {item["00080018"]["Value"][0] for item in self._json(f"/dicom-web/studies/{STUDY}/metadata")},
            "ImagingStudy": self._fhir(),
            "C-FIND": {item.SOPInstanceUID for item in self.find("IMAGE")},
            "C-GET": self._get(),
            "RAD-69": self._rad69(),
            "RAD-55": {ds.SOPInstanceUID for ds in self.images if self._wado(ds) == 200},
            "portal": self._portal(),
        }

    def counts(self) -> dict[str, tuple[int, int]]:
        """(series, instances) as every path counts them; a study that is not told of has none."""
        fhir = self._json(f"/fhir/ImagingStudy?_id={STUDY}").get("entry", [])
        studies = [item["resource"] for item in fhir if item["resource"]["resourceType"] == "ImagingStudy"]
        qido = self._json("/dicom-web/studies", StudyInstanceUID=STUDY)
        return {
            "QIDO-RS": next(((i["00201206"]["Value"][0], i["00201208"]["Value"][0]) for i in qido), (0, 0)),
            "series": (len(self._json(f"/dicom-web/studies/{STUDY}/series")), len(self._qido("/instances"))),
            "ImagingStudy": next(((i["numberOfSeries"], i["numberOfInstances"]) for i in studies), (0, 0)),
            "C-FIND": next(
                ((i.NumberOfStudyRelatedSeries, i.NumberOfStudyRelatedInstances) for i in self.find("STUDY")), (0, 0)
            ),
        }

    def find(self, level: str) -> list[Dataset]:
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = level, STUDY
        wanted.SOPInstanceUID = wanted.SeriesInstanceUID = ""
        wanted.NumberOfStudyRelatedSeries = wanted.NumberOfStudyRelatedInstances = None
        entity = AE("ANY")
        entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
        association = entity.associate("127.0.0.1", self._port, ae_title="MAILLAGE")
        assert association.is_established
        answers = list(association.send_c_find(wanted, StudyRootQueryRetrieveInformationModelFind))
        association.release()
        return [identifier for _, identifier in answers if identifier is not None]

    def _get(self) -> set[str]:
        wanted, got = Dataset(), list[str]()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", STUDY

        def store(event: evt.Event) -> int:
            got.append(event.request.AffectedSOPInstanceUID)
            return 0

        classes = (CTImageStorage, MRImageStorage, KeyObjectSelectionDocumentStorage)
        entity = AE("ANY")
        entity.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
        for sop_class in classes:
            entity.add_requested_context(sop_class)
        roles = [build_role(sop_class, scp_role=True) for sop_class in classes]
        association = entity.associate(
            "127.0.0.1", self._port, ae_title="MAILLAGE", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
        )
        assert association.is_established
        for _ in association.send_c_get(wanted, StudyRootQueryRetrieveInformationModelGet):
            pass
        association.release()
        return set(got)

    def _rad69(self) -> set[str]:
        requests = [
            InstanceRequest(STUDY, ds.SeriesInstanceUID, ds.SOPInstanceUID, repository_unique_id=REPOSITORY)
            for ds in self.images
        ]
        message = SoapMessage("urn:x", write_imaging_retrieve(requests, ["1.2.840.10008.1.2.1"]), mtom=True)
        stream = self.hub.imaging.retrieve(rad69.decode(message, Context(principal=HUB)), Context(principal=HUB))
        answer = rad69.encode(stream, message, Context(principal=HUB))
        text = answer.filling.text if answer.filling is not None else ""
        return set(re.findall("<xdsb:DocumentUniqueId>([^<]+)<", text))

    def _wado(self, ds: Dataset) -> int:
        uids = {"studyUID": STUDY, "seriesUID": ds.SeriesInstanceUID, "objectUID": ds.SOPInstanceUID}
        query = {"requestType": "WADO", "contentType": "application/dicom", **uids}
        return self.http.get("/wado", params=query).status_code

    def _portal(self) -> set[str]:
        """The study page asks this question, and shows series with their counts."""
        answer = self.hub.federation.find(
            FindStudies(study_instance_uids=(STUDY,), level="IMAGE"), Context(principal=HUB)
        )
        return {instance.sop_instance_uid for item in answer.studies for _, instance in item.study.instances}

    def _fhir(self) -> set[str]:
        answer = self.http.get(f"/fhir/ImagingStudy/{STUDY}")
        found = answer.json().get("series", ()) if answer.status_code == 200 else ()
        return {instance["uid"] for series in found for instance in series["instance"]}

    def _qido(self, path: str) -> set[str]:
        return {item["00080018"]["Value"][0] for item in self._json(f"/dicom-web/studies/{STUDY}{path}")}

    def _json(self, path: str, **query: str) -> Any:
        answer = self.http.get(path, params=query or None)
        return answer.json() if answer.status_code == 200 and answer.content else {} if "/fhir" in path else []

    @property
    def _port(self) -> int:
        assert self.hub.dimse is not None
        return self.hub.dimse.port


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    source = DicomwebSimulator(tmp_path / "archive")
    images = study_files(patient="PA-1", names=FILES)
    for ds in images:
        source.archive.put(part10(ds))
    hub = Hub(
        Settings(
            authorities=(Authority(namespace="HOSPITAL_A", oid=OID),),
            sources=(
                Source(
                    name="PACS_A", kind="dicomweb", authority="HOSPITAL_A", repository_unique_id=REPOSITORY,
                    config={"url": source.dicomweb_url},
                ),
            ),
            **PORTS,
            security=Security(node_authentication=False),
            storage=Storage(database=f"sqlite:///{tmp_path / 'hub.sqlite'}", content=tmp_path / "content"),
        )
    )  # fmt: skip
    try:
        hub.start()
        assert "MSA|AA" in feed(hub, hl7.adt(hl7.Sender(application="HIS_A", facility="HOSPITAL_A"), PATIENT))
        made = Places(hub, source, images)
        yield made
        made.http.close()
    finally:
        hub.stop()
        source.stop()


@pytest.mark.parametrize("published", [True, False], ids=["indexed", "live"])
def test_a_rejected_instance_is_nowhere(places: Places, *, published: bool) -> None:
    uids = {ds.SOPInstanceUID for ds in places.images}
    if published:
        places.hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context(principal=HUB))
    assert places.everywhere() == dict.fromkeys(PATHS, uids)
    assert set(places.counts().values()) == {(3, 3)}

    places.source.archive.put(part10(key_object(places.images[:1])))
    if published:
        places.hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context(principal=HUB))
    left = uids - {places.images[0].SOPInstanceUID}
    assert places.everywhere() == dict.fromkeys(PATHS, left)
    assert set(places.counts().values()) == {(2, 2)}


def test_of_a_rejected_study_nothing_is_left(places: Places) -> None:
    places.hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context(principal=HUB))
    places.source.archive.put(part10(key_object(places.images)))
    places.hub.imaging.publish_study(PublishStudy("PACS_A", STUDY), Context(principal=HUB))
    assert not any(places.everywhere().values())
    assert set(places.counts().values()) == {(0, 0)}
