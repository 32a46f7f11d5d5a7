"""The directions of the design hold, and the gate that holds them bites."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROKEN = Path(__file__).parent / "broken"
PACKAGES = ("hub", "profiles", "connectors")
ROOMS = ("patients", "documents", "imaging", "federation", "access", "audit", "exchange", "subscriptions", "record")
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]


def lint(directory: Path) -> tuple[int, str]:
    """Exit code and output, blanks normalised."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=directory,
        env={**os.environ, "COLUMNS": "400", "PYTHONPATH": str(directory), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the gate says of this project with one wrong import planted for each contract."""
    directory = tmp_path_factory.mktemp("broken")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, directory / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copytree(BROKEN, directory, dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", directory)
    code, output = lint(directory)
    assert code != 0
    return output


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_gate_bites(contract: str, broken: str) -> None:
    assert f"{contract} BROKEN" in broken


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_wires_and_connectors_know_only_models_and_errors_of_the_rooms() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in ("hub/wire", "connectors")
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imports(path)
        if name.startswith(tuple(f"hub.{room}." for room in ROOMS))
        and not name.split(".")[2].endswith(("model", "errors"))
    ]
    assert wrong == []


def test_the_database_library_is_known_to_stores_only() -> None:
    allowed = ("hub/storage/", "hub/testing/", "hub/app/")
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(allowed) and not path.name.startswith("store")
        for name in imports(path)
        if name.split(".")[0] in ("sqlalchemy", "sqlmodel", "alembic") and not name.startswith("sqlalchemy.exc.")
    ]
    assert wrong == []


@pytest.mark.parametrize(("packages", "limit"), [(PACKAGES, 450), (("tests", "benchmarks"), 600)])
def test_no_file_is_too_long_to_read(packages: tuple[str, ...], limit: int) -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
        if (lines := path.read_text().count("\n")) > limit and path.parent.name not in ("texts", "versions")
    ]
    assert long == []
