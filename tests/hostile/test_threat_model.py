"""What the pages promise is tested: every test that the threat model and the rights matrix name exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "docs/explanation/threat-model.md"
MATRIX = ROOT / "docs/reference/rights.md"


@cache
def functions(path: str) -> frozenset[str]:
    """The tests of a file."""
    tree = ast.parse((ROOT / path).read_text())
    found = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(name for name in found if name.startswith("test_"))


def lines() -> list[tuple[str, str, str]]:
    """Threat, what holds, tests: of every line that is no heading."""
    text = MODEL.read_text().partition("## Threats")[2].partition("\n## ")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if line[:1] == "|"]
    assert all(len(row) == 3 for row in rows), rows
    return [(row[0], row[1], row[2]) for row in rows[2:] if not row[0].startswith("**")]


def test_there_are_lines() -> None:
    assert len(lines()) > 35
    assert "## What is not held" in MODEL.read_text()


@pytest.mark.parametrize(("threat", "held", "tests"), lines(), ids=[row[0][:50] for row in lines()])
def test_a_line_has_its_tests(threat: str, held: str, tests: str) -> None:
    named = re.findall(r"`([^`]+)`", tests)
    assert named, threat
    assert held, threat
    for name in named:
        path, _, function = name.partition("::")
        assert functions(path), name
        assert not function or function in functions(path), name


def test_every_line_of_the_matrix_has_its_test() -> None:
    """Names and places; that a case exists for each rule, and no rule without one, tests/access/test_rules.py holds."""
    rows = [line for line in MATRIX.read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(rows) > 20
    for row in rows:
        found = re.search(r"\[`(test_\w+)\[([\w-]+)\]`\]\(\.\./\.\./([\w/.]+)\)", row)
        assert found, row
        function, case, path = found.groups()
        assert function in functions(path), row
        assert f'"{case}"' in (ROOT / path).read_text() or "RULES" in (ROOT / path).read_text(), row


def test_every_attack_is_in_the_model() -> None:
    """A file of attacks that no line names is forgotten in the page."""
    text = MODEL.read_text()
    for file in sorted((ROOT / "tests/hostile").glob("test_*.py")):
        if file.stem not in ("test_threat_model", "test_mutations", "test_odd_feeds"):
            assert file.name in text, file.name
