"""Java programs among the tests: a ``pom.xml`` names the foreign artifacts, which Maven fetches into ``build/``, where
the sources beside it are compiled. Nothing fetched is committed: ``jars.sha256`` beside it tells what to expect."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
BUILD = Path(__file__).parents[1] / "build"
FETCH_SECONDS, COMPILE_SECONDS = 900, 240
SUMS = "jars.sha256"


@cache
def program(project: Path) -> str:
    """The class path of a directory's compiled sources and of the artifacts that its ``pom.xml`` names.

    Skips the test where Java or Maven is missing, or nothing can be fetched; fails when something else was served."""
    for tool, package in (("javac", "default-jdk-headless"), ("mvn", "maven")):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (package {package})")
    jars = _jars(project)
    sources = sorted(project.glob("*.java"))
    target = BUILD / f"java-{project.name}-{_digest(project / 'pom.xml', *sources)}"
    path = os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar")))
    if not target.is_dir():
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            command = ["javac", "--release", "17", "-encoding", "UTF-8", "-proc:none"]
            done = subprocess.run(
                [*command, "-cp", path, "-d", f"{scratch}/classes", *map(str, sources)],
                capture_output=True, text=True, timeout=COMPILE_SECONDS, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            _settle(Path(scratch) / "classes", target)
    return f"{target}{os.pathsep}{path}"


def run(project: Path, main: str, given: str, *, seconds: float, options: Mapping[str, str] | None = None) -> str:
    """Run a class of a project with ``given`` as standard input; what it printed. ``options``: system properties."""
    properties = [f"-D{name}={value}" for name, value in (options or {}).items()]
    command = ["java", "-XX:TieredStopAtLevel=1", "-Xmx1g", "-Dfile.encoding=UTF-8", *properties]
    done = subprocess.run(
        [*command, "-cp", program(project), main],
        input=given, capture_output=True, text=True, encoding="utf-8", timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def _jars(project: Path) -> Path:
    pom, sums = project / "pom.xml", project / SUMS
    target = BUILD / f"jars-{project.name}-{_digest(pom, sums)}"
    if target.is_dir():
        return target
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        jars = Path(scratch) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(pom), COPY, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
        if done.returncode or not jars.is_dir():
            pytest.skip(f"the Java artifacts of {project.name} can't be fetched by Maven (no network?)")
        expected = {name: digest for digest, name in map(str.split, sums.read_text().splitlines())}
        fetched = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.glob("*.jar")}
        assert fetched == expected
        _settle(jars, target)
    return target


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _settle(made: Path, target: Path) -> None:
    """Put a directory in its place, unless another test process was faster."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise
