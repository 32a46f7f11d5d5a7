"""``python -m tests.again ARGUMENTS``: pytest with these arguments; what failed, if little, once more and alone.

Fourteen thousand tests drive real servers on machines that are shared and slow. A few that fail beside two others and
pass alone are told by name and don't fail the run; what fails alone too does, and so does whatever else ends a run.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

FEW = 12
ROOT = Path(__file__).parents[1]
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"


def main(arguments: Sequence[str], failed: Path = FAILED) -> int:
    """pytest's exit code: of the whole run, or of its few failures run alone."""
    failed.unlink(missing_ok=True)
    code = _pytest(arguments)
    if code != pytest.ExitCode.TESTS_FAILED or not failed.exists():
        return code
    tests = sorted(json.loads(failed.read_text()))
    if len(tests) > FEW:
        return code
    print(f"\n{len(tests)} failed beside others, and are run alone:", flush=True)
    code = _pytest(["-p", "no:xdist", *tests])
    if code == pytest.ExitCode.OK:
        print("failed beside others, passed alone:", *tests, sep="\n  ", flush=True)
    return code


def _pytest(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
