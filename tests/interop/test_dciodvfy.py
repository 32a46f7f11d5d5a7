"""dciodvfy (David Clunie's dicom3tools) finds no error in any manifest."""

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hub.imaging.manifest import build_manifest
from hub.imaging.manifest_model import Flavour, ManifestOrder, ManifestSpec
from hub.imaging.model import Instance, Series, Study
from hub.values import PatientIdentifier, Uid
from hub.wire.dicom import DatasetReader, study_of_instances
from tests.imaging.archive import A, study_files

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (package dicom3tools)"),
]

LOCAL = PatientIdentifier("A-1", A.authority_oid)
INS = PatientIdentifier("279035121518989", "1.2.250.1.213.1.4.8", "INS")


def spec(study: Study, **values: object) -> ManifestSpec:
    made = ManifestSpec(
        study=study,
        source=A,
        sop_instance_uid="2.25.1234567890",
        series_instance_uid="2.25.1234567891",
        created=datetime(2026, 3, 1, 12, 0, tzinfo=ZoneInfo("Europe/Paris")),
        patient=LOCAL,
        retrieve_url="https://hub.example/dicom-web",
        retrieve_ae_title="MAILLAGE",
    )
    return replace(made, **values)  # type: ignore[arg-type]


def real() -> Study:
    study = study_of_instances(map(DatasetReader, study_files()), A.name)
    assert study is not None
    return study


def bare() -> Study:
    """What the poorest archive tells: no name, no date, an unknown private class, odd text."""
    odd = Instance(Uid("1.2.3.4.5.6"), "1.3.46.670589.11.0.0.12.1")
    wave = Instance(Uid("1.2.3.4.5.7"), "1.2.840.10008.5.1.4.1.1.9.1.1")
    report = Instance(Uid("1.2.3.4.5.8"), "1.2.840.10008.5.1.4.1.1.88.11")
    series = Series(Uid("1.2.3.4.5"), "MR", description="a\\b\r\nc" * 40, instances=(odd, wave, report))
    return Study(Uid("1.2.3.4"), A.name, patient_id="P", series=(series,), description="Épaule\tgauche" * 12)


CASES = {
    "as stored": spec(real()),
    "with the national identifier": spec(real(), patient=INS, other_patient_ids=(LOCAL,)),
    "with an order": spec(
        real(),
        order=ManifestOrder("P1", "1.2.250.1.999.8", "F1", "ACC-1", "1.2.250.1.999.9", ("ZBQK002", "CCAM", "Thorax")),
    ),
    "of a poor archive": spec(bare()),
    "of an institution with a number": spec(real(), source=replace(A, organisation_id="1750712184")),
}


#: MADO's content items of DICOM CP-2595, which dciodvfy does not know yet: its only errors.
AHEAD = re.compile(r"Error - <\S*/ValueType\(0040,a040\)\[1\]> - Unrecognized enumerated value = <(NUM|DATE|TIME)>")


@pytest.mark.parametrize("flavour", Flavour)
@pytest.mark.parametrize("case", CASES)
def test_no_error(case: str, flavour: Flavour, tmp_path: Path) -> None:
    path = tmp_path / "manifest.dcm"
    path.write_bytes(build_manifest(replace(CASES[case], flavour=flavour)))
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    assert not [line for line in errors if not (flavour is Flavour.MADO and AHEAD.fullmatch(line))], said
    assert "KeyObjectSelectionDocument" in said
