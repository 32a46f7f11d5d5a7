"""The conformance kit: what every connector must do, as checks that pytest collects from a subclass.

A test module derives from :class:`ConnectorConformance` and gives two fixtures: ``connector`` (open, to a peer that
holds the study) and ``expected`` (the study as its files say, for example from ``hub.testing.dicom.relabelled``).
Capabilities that the connector does not fulfil are passed over. A slow peer's class sets ``timeout``.
"""

import contextlib
import io
import time
from collections.abc import Iterator

from pydicom import dcmread

from hub.connector.contract import (
    Capability,
    Connector,
    ConnectorError,
    DescribesStudy,
    FindsStudies,
    GivesMetadata,
    Level,
    Manifest,
    RetrievesInstances,
    SourceUnavailable,
    StoresInstances,
    StudyQuery,
)
from hub.connector.record import KeepsRecords
from hub.imaging.model import InstanceRequest, RetrievedInstance, Study
from hub.values import new_uid
from hub.wire.dicom import JsonReader, first

_PROTOCOLS = {
    Capability.FIND_STUDIES: FindsStudies,
    Capability.DESCRIBE_STUDY: DescribesStudy,
    Capability.RETRIEVE_INSTANCES: RetrievesInstances,
    Capability.METADATA: GivesMetadata,
    Capability.NATIONAL_RECORD: KeepsRecords,
    Capability.STORE_INSTANCES: StoresInstances,
}


def check_manifest(manifest: Manifest, connector: Connector) -> None:
    """Whether the manifest says what the connector can. Raises AssertionError."""
    for capability, protocol in _PROTOCOLS.items():
        declared = manifest.capabilities.get(capability, Level.NONE) is not Level.NONE
        assert declared == isinstance(connector, protocol), f"{capability} is declared wrongly"
    partial = [item for item, level in manifest.capabilities.items() if level is Level.PARTIAL]
    assert not partial or manifest.notes, "a partial capability is explained in the notes"


def part10(item: RetrievedInstance) -> bytes:
    """The whole file of a retrieved instance."""
    return b"".join(item.chunks)


class ConnectorConformance:
    """Every check. ``timeout``: seconds that the peer may take."""

    timeout = 30.0

    def test_it_has_the_name_of_its_source(self, connector: Connector) -> None:
        """Health, audit and answers speak of sources by name."""
        assert isinstance(connector, Connector)
        assert connector.name

    def test_its_self_test_passes_and_explains(self, connector: Connector) -> None:
        """``check`` names its steps and never raises."""
        steps = connector.check()
        assert steps
        assert all(step.passed for step in steps), steps
        assert all(step.name and step.detail for step in steps)

    # FIND_STUDIES

    def test_a_study_is_found_by_its_uid(self, connector: Connector, expected: Study) -> None:
        """With the attributes that the source holds."""
        if not isinstance(connector, FindsStudies):
            return
        found = connector.find_studies(StudyQuery(study_instance_uid=expected.study_instance_uid), timeout=self.timeout)
        assert [study.study_instance_uid for study in found] == [expected.study_instance_uid]
        study = found[0]
        assert study.source == connector.name
        assert study.patient_id == expected.patient_id
        assert study.patient_name == expected.patient_name
        assert study.accession_number == expected.accession_number
        assert study.started[:8] == expected.started[:8]

    def test_a_study_is_found_by_patient(self, connector: Connector, expected: Study) -> None:
        """By number, alone and among others."""
        if not isinstance(connector, FindsStudies):
            return
        for numbers in ((expected.patient_id,), ("NOBODY-1", expected.patient_id)):
            found = connector.find_studies(StudyQuery(patient_ids=numbers), timeout=self.timeout)
            assert expected.study_instance_uid in {study.study_instance_uid for study in found}
            assert {study.patient_id for study in found} == {expected.patient_id}

    def test_a_study_is_found_by_accession_and_date(self, connector: Connector, expected: Study) -> None:
        """Date ranges are inclusive and may be open."""
        if not isinstance(connector, FindsStudies):
            return
        day = expected.started[:8]
        for query in (
            StudyQuery(accession_number=expected.accession_number, patient_ids=(expected.patient_id,)),
            StudyQuery(patient_ids=(expected.patient_id,), started_from=day, started_to=day),
            StudyQuery(patient_ids=(expected.patient_id,), started_from=day),
            StudyQuery(patient_ids=(expected.patient_id,), started_to=day),
            StudyQuery(patient_ids=(expected.patient_id,), modalities=expected.modalities[:1]),
        ):
            found = connector.find_studies(query, timeout=self.timeout)
            assert expected.study_instance_uid in {study.study_instance_uid for study in found}, query

    def test_nothing_is_found_for_nobody(self, connector: Connector, expected: Study) -> None:
        """No study of someone else, no error."""
        if not isinstance(connector, FindsStudies):
            return
        for query in (
            StudyQuery(patient_ids=("NOBODY-1",)),
            StudyQuery(study_instance_uid=new_uid()),
            StudyQuery(patient_ids=(expected.patient_id,), started_from="18990101", started_to="18991231"),
            StudyQuery(patient_ids=(expected.patient_id,), patient_birth_date="18500101"),
        ):
            assert not connector.find_studies(query, timeout=self.timeout)

    # DESCRIBE_STUDY

    def test_a_study_is_described_completely(self, connector: Connector, expected: Study) -> None:
        """Every series with its modality, every instance with its SOP class."""
        if not isinstance(connector, DescribesStudy):
            return
        found = connector.describe_study(expected.study_instance_uid, timeout=self.timeout)
        assert found is not None
        assert found.source == connector.name
        assert found.patient_id == expected.patient_id
        assert set(found.modalities) == set(expected.modalities)
        assert found.instance_count == expected.instance_count
        assert _content(found) == _content(expected)

    def test_a_study_that_is_not_there_is_none(self, connector: Connector) -> None:
        """None, and no error."""
        if isinstance(connector, DescribesStudy):
            assert connector.describe_study(new_uid(), timeout=self.timeout) is None

    # RETRIEVE_INSTANCES

    def test_every_object_of_a_study_is_retrieved(self, connector: Connector, expected: Study) -> None:
        """Readable files that are what they are announced as."""
        if not isinstance(connector, RetrievesInstances):
            return
        seen = set()
        for item in self._retrieve(connector, InstanceRequest(expected.study_instance_uid)):
            dataset = dcmread(io.BytesIO(part10(item)))
            assert dataset.SOPInstanceUID == item.sop_instance_uid
            assert dataset.SeriesInstanceUID == item.series_instance_uid
            assert dataset.StudyInstanceUID == item.study_instance_uid == expected.study_instance_uid
            assert dataset.SOPClassUID == item.sop_class_uid
            assert dataset.file_meta.TransferSyntaxUID == item.transfer_syntax
            assert item.source == connector.name
            seen.add(item.sop_instance_uid)
        assert seen == {instance.sop_instance_uid for _, instance in expected.instances}

    def test_a_series_and_an_instance_are_retrieved(self, connector: Connector, expected: Study) -> None:
        """And nothing else."""
        if not isinstance(connector, RetrievesInstances):
            return
        series = expected.series[0]
        study_uid, series_uid = expected.study_instance_uid, series.series_instance_uid
        found = [item.sop_instance_uid for item in self._drained(connector, InstanceRequest(study_uid, series_uid))]
        assert sorted(found) == sorted(item.sop_instance_uid for item in series.instances)
        wanted = series.instances[0].sop_instance_uid
        found = [
            item.sop_instance_uid for item in self._drained(connector, InstanceRequest(study_uid, series_uid, wanted))
        ]
        assert found == [wanted]

    def test_chunks_may_be_left_unread(self, connector: Connector, expected: Study) -> None:
        """The next object comes all the same."""
        if not isinstance(connector, RetrievesInstances):
            return
        found = [
            item.sop_instance_uid for item in self._retrieve(connector, InstanceRequest(expected.study_instance_uid))
        ]
        assert len(found) == expected.instance_count

    def test_a_retrieval_may_be_given_up(self, connector: Connector, expected: Study) -> None:
        """As often as one likes: nothing is used up."""
        if not isinstance(connector, RetrievesInstances):
            return
        for _ in range(12):
            stream = self._retrieve(connector, InstanceRequest(expected.study_instance_uid))
            next(stream)
            stream.close()  # type: ignore[attr-defined]
        assert (
            len(list(self._drained(connector, InstanceRequest(expected.study_instance_uid)))) == expected.instance_count
        )

    def test_objects_that_are_not_there(self, connector: Connector) -> None:
        """Nothing, or a ConnectorError."""
        if not isinstance(connector, RetrievesInstances):
            return
        with contextlib.suppress(ConnectorError):
            assert not list(self._drained(connector, InstanceRequest(new_uid())))

    # METADATA

    def test_metadata_is_complete(self, connector: Connector, expected: Study) -> None:
        """One object for each instance, without pixel data."""
        if not isinstance(connector, GivesMetadata):
            return
        found = list(connector.metadata(InstanceRequest(expected.study_instance_uid), timeout=self.timeout))
        uids = {first(JsonReader(item), "SOPInstanceUID") for item in found}
        assert uids == {instance.sop_instance_uid for _, instance in expected.instances}
        assert not any("Value" in item.get("7FE00010", {}) for item in found)

    # Errors

    def test_a_deadline_holds(self, connector: Connector, expected: Study) -> None:
        """No time left: SourceUnavailable, at once."""
        if not isinstance(connector, FindsStudies):
            return
        started = time.monotonic()
        error = _refusal(connector, StudyQuery(patient_ids=(expected.patient_id,)))
        assert isinstance(error, SourceUnavailable)
        assert time.monotonic() - started < self.timeout

    def test_errors_hold_no_patient_data(self, connector: Connector, expected: Study) -> None:
        """Messages are shown and logged."""
        if not isinstance(connector, FindsStudies):
            return
        error = _refusal(connector, StudyQuery(patient_ids=(expected.patient_id,)))
        shown = f"{error} {error.message} {error.context}"
        assert error.message
        assert expected.patient_id not in shown
        assert expected.patient_name not in shown

    def _retrieve(self, connector: RetrievesInstances, request: InstanceRequest) -> Iterator[RetrievedInstance]:
        return connector.retrieve(request, ("*",), timeout=self.timeout)

    def _drained(self, connector: RetrievesInstances, request: InstanceRequest) -> Iterator[RetrievedInstance]:
        for item in self._retrieve(connector, request):
            for _ in item.chunks:
                pass
            yield item


def _refusal(connector: FindsStudies, query: StudyQuery) -> ConnectorError:
    try:
        connector.find_studies(query, timeout=0.0)
    except ConnectorError as error:
        return error
    raise AssertionError("a search without time must not succeed")


def _content(study: Study) -> set[tuple[str, str, str, str]]:
    return {
        (series.series_instance_uid, series.modality, instance.sop_instance_uid, instance.sop_class_uid)
        for series, instance in study.instances
    }
