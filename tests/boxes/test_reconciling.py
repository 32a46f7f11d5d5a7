"""Objects of elsewhere under the patient's number here."""

from pathlib import Path

import pytest
from pydicom import dcmread

from hub.drimbox.errors import ObjectNotStorable
from hub.drimbox.reconciling import reconcile
from hub.testing.dicom import Label, relabelled
from hub.values import PatientIdentifier, new_uid, now

NUMBER = PatientIdentifier("LYON-7", "1.2.250.1.999.83", "PI", "LYON")


def test_every_transfer_syntax_keeps_its_pixels(tmp_path: Path) -> None:
    study = relabelled(tmp_path / "files", Label("OTHER-1", "LÉGER^ZOË"))
    for file in (tmp_path / "files").glob("*.dcm"):
        target = tmp_path / "made.dcm"
        reconcile(file, target, study.study_instance_uid, NUMBER, now())
        before, after = dcmread(file), dcmread(target)
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        assert after.get("PixelData") == before.get("PixelData")
        assert (after.PatientID, after.IssuerOfPatientID, after.SOPInstanceUID) == (
            "LYON-7", "LYON", before.SOPInstanceUID,
        )  # fmt: skip
        assert after.PatientName == before.PatientName
        assert after.OtherPatientIDsSequence[-1].PatientID == "OTHER-1"
        assert after.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0].PatientID == "OTHER-1"
        again = tmp_path / "again.dcm"
        reconcile(target, again, study.study_instance_uid, NUMBER, now())
        assert len(dcmread(again).OriginalAttributesSequence) == len(after.OriginalAttributesSequence)


def test_what_is_of_another_study_or_no_object_is_refused(tmp_path: Path) -> None:
    study = relabelled(tmp_path / "files", Label("OTHER-1"), ("CT_small.dcm",))
    (file,) = (tmp_path / "files").glob("*.dcm")
    with pytest.raises(ObjectNotStorable):
        reconcile(file, tmp_path / "made.dcm", new_uid(), NUMBER, now())
    (tmp_path / "bad.dcm").write_bytes(b"no object" * 100)
    with pytest.raises(ObjectNotStorable):
        reconcile(tmp_path / "bad.dcm", tmp_path / "made.dcm", study.study_instance_uid, NUMBER, now())
    assert not (tmp_path / "made.dcm").exists()
