"""What is masked to professionals can not be had by the UIDs of its images: a study is as confidential as its manifest,
whatever happens to the manifest afterwards."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from hub.access.model import Principal
from hub.context import Context
from hub.documents.model import (
    Association,
    AssociationType,
    DocumentEntry,
    Submission,
    SubmissionSet,
    UpdateDocuments,
)
from hub.imaging.model import (
    FailedInstance,
    FindStudies,
    InstanceRequest,
    RetrieveInstances,
)
from hub.imaging.store import ImagingStore
from hub.values import Code, PatientIdentifier, new_uid, new_uuid
from tests.access.rights_world import DOCTOR, PATIENT, SYSTEM
from tests.hostile import leaking_region
from tests.hostile.leaking_people import published
from tests.hostile.leaking_region import Region, Target, bring_in
from tests.waiting import until

MASKED = Code("MASQUE_PS", "1.2.250.1.213.1.1.4.13", "Masqué aux professionnels de santé")


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with leaking_region.running(leaking_region.settings(tmp_path_factory.mktemp("hub"))) as found:
        bring_in(found, "masked", "PX1", "QUILLERE")
        until(lambda: published(found.hub, found.people["masked"].study))
        yield found


def manifest(region: Region, target: Target) -> DocumentEntry:
    """The study's manifest as it stands."""

    def standing() -> Sequence[DocumentEntry]:
        with region.hub.database.reading() as work:
            row = ImagingStore(work).row("HUB", target.study)
        assert row is not None
        return region.hub.imaging.withdrawals.approved([row.manifest_entry])

    (found,) = until(standing)  # it may be replaced between the two readings
    return found


def mask(region: Region, entry: DocumentEntry, *codes: Code) -> None:
    """ITI-57: other confidentiality codes."""
    owner = SubmissionSet(
        id=new_uuid(),
        unique_id=new_uid(),
        source_id="1.2.250.1.999.9",
        patient_id=entry.patient_id,
        submission_time="20260310110000",
        content_type_code=Code("04", "1.2.250.1.213.2.2", "Hospitalisation"),
        authors=entry.authors,
    )
    fresh = replace(entry, id=new_uuid(), confidentiality_codes=codes)
    member = Association(
        new_uuid(), AssociationType.HAS_MEMBER, owner.id, fresh.id, "Original", previous_version=entry.version
    )
    update = UpdateDocuments(Submission(owner, (fresh,), associations=(member,)))
    region.hub.updates.update(update, Context(principal=SYSTEM))


def images(region: Region, target: Target, principal: Principal) -> list[str]:
    """What comes of asking for the image by its UIDs: UIDs, or the names of errors."""
    request = InstanceRequest(target.study, target.series, target.instance)
    stream = region.hub.imaging.retrieve(RetrieveInstances((request,)), Context(principal=principal))
    found = []
    for item in stream:
        if isinstance(item, FailedInstance):
            found.append(type(item.error).__name__)
        else:
            found.append(str(item.sop_instance_uid))
            assert b"".join(item.chunks)
    return found


def listed(region: Region, target: Target, principal: Principal) -> set[str]:
    """The studies that are found by UID, and of the person."""
    person = PatientIdentifier.from_cx(target.regional)
    questions = (FindStudies(study_instance_uids=(target.study,), live=True), FindStudies(person=person, live=True))
    answers = [region.hub.federation.find(question, Context(principal=principal)) for question in questions]
    return {item.study.study_instance_uid for answer in answers for item in answer.studies}


def test_images_follow_their_manifest(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    target = region.people["masked"]
    me, guessed = replace(PATIENT, about=target.regional), target.guessed()
    everybody = (DOCTOR, SYSTEM, me)
    for who in everybody:
        assert (images(region, target, who), listed(region, target, who)) == ([target.instance], {target.study})

    entry = manifest(region, target)
    mask(region, entry, *entry.confidentiality_codes, MASKED)
    assert images(region, target, DOCTOR) == images(region, guessed, DOCTOR) != [target.instance]
    assert listed(region, target, DOCTOR) == set()
    for who in (SYSTEM, me):
        assert (images(region, target, who), listed(region, target, who)) == ([target.instance], {target.study})

    counts = []
    for one in (target, guessed):
        with region.counted(monkeypatch) as statements:
            images(region, one, DOCTOR)
        counts.append([statement[:160] for statement in statements])
    assert len(counts[0]) == len(counts[1]), "\n".join(["", *counts[0], "-", *counts[1]])


def test_another_manifest_is_as_masked_as_the_one_before(region: Region) -> None:
    target, before = region.people["masked"], manifest(region, region.people["masked"])
    if MASKED not in before.confidentiality_codes:
        mask(region, before, *before.confidentiality_codes, MASKED)
    second = leaking_region.image(target.number, target.name)
    second.StudyInstanceUID = target.study
    leaking_region.store(region, second)
    until(lambda: manifest(region, target).unique_id != before.unique_id)
    assert "MASQUE_PS" in {code.value for code in manifest(region, target).confidentiality_codes}
    assert images(region, target, DOCTOR) != [target.instance]
    entry = manifest(region, target)
    mask(region, entry, *(code for code in entry.confidentiality_codes if code.value != "MASQUE_PS"))
    assert images(region, target, DOCTOR) == [target.instance]
