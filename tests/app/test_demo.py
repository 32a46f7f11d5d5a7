"""The demo, as ``make demo ONCE=1`` plays it: with the real archives, and with the simulators in their place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.testing.sites import has_dcmtk, has_orthanc

ROOT = Path(__file__).parents[2]


def _play(tmp_path: Path, *, simulate: bool) -> dict[str, object]:
    report = tmp_path / "demo-report.json"
    code = (
        "import sys; from pathlib import Path; from hub.app.demo.play import play; "
        f"sys.exit(play(once=True, simulate={simulate}, report_path=Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, report],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    told: dict[str, object] = json.loads(report.read_text())
    return told


def _every_step_happened(told: dict[str, object]) -> None:
    steps = told["steps"]
    assert isinstance(steps, list)
    assert told["succeeded"] is True
    assert len(steps) >= 20
    assert {step["state"] for step in steps} == {"done"}
    assert {"identifiers", "counts", "milliseconds", "sent", "received"} <= steps[0].keys()


@pytest.mark.interop
@pytest.mark.slow
def test_the_story_with_orthanc_and_dcmqrscp(tmp_path: Path) -> None:
    if not (has_orthanc() and has_dcmtk()):
        pytest.skip("Orthanc with its DICOMweb plugin and DCMTK are not both installed")
    told = _play(tmp_path, simulate=False)
    _every_step_happened(told)
    assert [told[site]["simulated"] for site in ("site_a", "site_b")] == [False, False]  # type: ignore[index]


@pytest.mark.slow
def test_the_story_with_simulators(tmp_path: Path) -> None:
    told = _play(tmp_path, simulate=True)
    _every_step_happened(told)
    assert [told[site]["simulated"] for site in ("site_a", "site_b")] == [True, True]  # type: ignore[index]
