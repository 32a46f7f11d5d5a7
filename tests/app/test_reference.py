"""The reference pages and the example file say what the code does: stale or incomplete ones fail here."""

import re
import tomllib
from pathlib import Path

import pytest

from hub.app.reference import conformance
from hub.app.reference import pages as reference
from hub.app.reference.describe import where
from hub.app.settings import file as settings_file
from hub.app.settings.file import model_of
from hub.app.settings.model import Settings
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Dicomweb, Dimse, Fhir, Hl7, Soap
from hub.wire.dimse import contexts

ROOT = Path(__file__).parents[2]
STALE = "run `maillage docs`"


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_pages_are_those_of_the_code(name: str) -> None:
    path = ROOT / "docs" / "reference" / name
    assert path.exists(), STALE
    assert path.read_text() == reference.pages()[name], STALE


def test_the_example_is_that_of_the_code() -> None:
    assert reference.EXAMPLE.read_text() == reference.example(), STALE


def test_the_example_is_valid_as_it_is_and_with_everything_switched_on() -> None:
    text = reference.example()
    assert settings_file.parse(text) == Settings()
    switched_on = re.sub(r"^#(\[\[[\w.]+\]\]|\w+ = )", r"\1", text, flags=re.MULTILINE)
    data = tomllib.loads(switched_on)
    Settings.model_validate(data)
    assert set(data) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        model = model_of(field.annotation)
        if model is not None:
            table = data[name][0] if isinstance(data[name], list) else data[name]
            assert set(table) == set(model.model_fields), name


def test_every_setting_says_what_it_is() -> None:
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    for name, field in Settings.model_fields.items():
        model = model_of(field.annotation)
        if model is not None:
            undocumented += [f"{name}.{key}" for key, item in model.model_fields.items() if not item.description]
    assert undocumented == []


def test_every_command_and_error_is_there() -> None:
    pages = reference.pages()
    for command in ("serve", "check", "transactions", "db upgrade", "pki init", "sandbox", "demo"):
        assert f"## `maillage {command}`" in pages["command-line.md"]
    rows = [line for line in pages["errors.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if row.rstrip("| ").endswith("|") or row.endswith("|  |")] == []


def test_every_transaction_is_in_the_conformance_statement() -> None:
    lines = reference.pages()["conformance.md"].splitlines()
    for bound in discover():
        item = bound.transaction
        told = [line for line in lines if item.id in line]
        assert told, item.id
        if item.profile != "FHIR Imaging":
            for actor in conformance.actors(item):
                (row,) = [line for line in told if line.startswith(f"| {item.profile} | {actor} |")]
                assert all(option in row for option in conformance.options_of(item, actor))
        for binding in item.bindings:
            if isinstance(binding, Hl7):
                assert all(any(event in line for line in told) for event in binding.events)
            if isinstance(binding, Fhir):
                assert any(
                    line.startswith(f"| {binding.resource or 'Bundle'} | {binding.interaction} |") for line in told
                )
            if isinstance(binding, Dicomweb):
                assert any(where(binding) in line for line in told)
            if isinstance(binding, Dimse):
                offered = [line for line in lines if line.startswith(f"| {binding.service} |")]
                for uid in binding.sop_classes:
                    (row,) = [line for line in offered if f"`{uid}`" in line]
                    assert "| yes |" in row


def test_an_asynchronous_binding_is_an_option_and_no_other_is() -> None:
    for bound in discover():
        item = bound.transaction
        asynchronous = any(isinstance(binding, Soap) and binding.asynchronous for binding in item.bindings)
        assert (conformance.ASYNCHRONOUS in conformance.options_of(item, item.responder)) == asynchronous, item.id


def test_what_the_dimse_port_accepts_is_in_the_conformance_statement() -> None:
    page = reference.pages()["conformance.md"]
    for uid in (*contexts.SERVICES, *contexts.STORAGE, *contexts.KNOWN):
        assert f"`{uid}`" in page, uid


def test_every_connector_is_there() -> None:
    assert "## `dicomweb`" in reference.pages()["connectors.md"]
    assert "## `dimse`" in reference.pages()["connectors.md"]
