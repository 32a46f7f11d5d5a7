"""The suite itself: every process of a run sees the same tests, and a failure is forgiven only where it should be."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import again
from tests.turns import in_turn

ONCE = """
from pathlib import Path

def test_a():
    mark = Path("mark")
    there = mark.exists()
    mark.touch()
    assert there

def test_b(): pass
"""
OFTEN = """
import pytest

@pytest.mark.parametrize("number", range(13))
def test_a(number): assert False
"""
#: A file of tests, the exit code of its run, and what is told of tests that are run alone.
RUNS = {
    "passes": ("def test_a(): pass", 0, ""),
    "fails": ("def test_a(): assert False", 1, "are run alone"),
    "fails once": (ONCE, 0, "passed alone:\n  test_it.py::test_a\n"),
    "fails often": (OFTEN, 1, ""),
    "is not collected": ("import missing", 2, ""),
    "dies": ("import os\ndef test_a(): os._exit(1)", 1, ""),
}
SIZES = {"one": 1, "two": 2, "three": 3, "four": 4}


class Found(NamedTuple):
    """A test that was collected."""

    path: Path
    number: int


def test_tests_have_the_same_names_in_every_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist ends a run whose processes don't: names must not hold the time, chance or the order of a set."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *request.config.args],
        cwd=request.config.invocation_params.dir,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {item.nodeid for item in request.session.items} <= set(found.stdout.splitlines())


@pytest.mark.parametrize("run", RUNS)
def test_what_failed_is_run_alone_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], run: str
) -> None:
    body, code, said = RUNS[run]
    (tmp_path / "test_it.py").write_text(body)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    assert again.main(["test_it.py"], tmp_path / ".pytest_cache" / "v" / "cache" / "lastfailed") == code
    told = capfd.readouterr().out
    assert said in told
    assert said or "beside others" not in told


def test_files_of_few_and_of_many_tests_take_turns() -> None:
    tests = [Found(Path(file), index) for file in ("four", "two", "three", "one") for index in range(SIZES[file])]
    assert in_turn(tests) == [
        Found(Path(file), index) for file in ("one", "two", "four", "three") for index in range(SIZES[file])
    ]
