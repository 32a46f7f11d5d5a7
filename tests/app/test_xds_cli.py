"""``maillage xds`` at a sandbox over TLS: what a person types, and what the terminal says."""

import json
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hub.app.commands import xds_submission as submission
from hub.app.commands.main import app
from hub.app.commands.xds_queries import QueryOption, query_of, stored_query
from hub.app.commands.xds_target import AddressMissing, SandboxFile, target
from hub.app.sandbox.hub import Options, Sandbox
from hub.audit.model import AuditRecord, AuditSearch
from hub.documents.model import APPROVED, AssociationType
from hub.documents.queries import MULTI_PATIENT, QUERIES
from hub.errors import HubError
from hub.imaging.manifest import build_manifest
from hub.imaging.manifest_model import ManifestSpec
from hub.testing.simulators.dicomweb import DicomwebSimulator
from hub.values import Code, PatientIdentifier, new_uid, now
from hub.wire.dicom import DatasetReader, study_of_instances
from tests.imaging.archive import part10, study_files
from tests.interop.by_hand import Integrator

TEXT = b"Compte rendu: rien \xc3\xa0 signaler.\n"


@dataclass
class Terminal:
    """A person's terminal: the sandbox's line in a file, a document, a runner of commands."""

    box: Sandbox
    description: dict[str, Any]
    directory: Path

    def __call__(self, line: str, *more: str, sandbox: bool = True) -> Result:
        where = ["--sandbox", str(self.directory / "sandbox.json")] if sandbox else []
        return CliRunner().invoke(app, ["xds", *shlex.split(line), *where, *more])

    def json(self, line: str, *more: str, code: int = 0) -> Any:
        result = self(line, "--json", *more)
        assert result.exit_code == code, (result.output, result.exception)
        return json.loads(result.stdout)

    def submit(self, *more: str) -> dict[str, str]:
        found = self.json(f"submit {self.directory / 'note.txt'} --patient P-1", *more)
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    root = tmp_path_factory.mktemp("xds")
    archive = DicomwebSimulator(root / "archive")
    for ds in study_files():
        archive.archive.put(part10(ds))
    try:
        with Sandbox(Options(data=root / "data", sources=(f"PACS=dicomweb:{archive.dicomweb_url}",))) as box:
            description = box.description()
            (root / "sandbox.json").write_text(json.dumps(description) + "\n")
            (root / "note.txt").write_bytes(TEXT)
            with Integrator(description) as vendor:
                vendor.announce("P-1", description["affinity_domain"])
            yield Terminal(box, description, root)
    finally:
        archive.stop()


def test_submit_query_retrieve(terminal: Terminal, tmp_path: Path) -> None:
    made = terminal.submit("--title", "Note [1]", "--type", "11506-3^Progress note^2.16.840.1.113883.6.1")
    assert not made["warnings"]
    found = terminal.json("query FindDocuments --patient P-1", "-p", "ClassCode=11506-3^^2.16.840.1.113883.6.1")
    [entry] = [item for item in found["objects"] if item["unique_id"] == made["unique_id"]]
    assert (entry["id"], entry["title"], entry["mime_type"]) == (made["entry_uuid"], "Note [1]", "text/plain")
    assert entry["kind"] == "DocumentEntry"
    result = terminal("query FindDocuments --patient P-1")
    assert result.exit_code == 0
    assert "Note [1]" in result.stdout
    assert "Progress note" in result.stdout
    target = tmp_path / "out.txt"
    assert terminal(f"retrieve {made['unique_id']} -o {target}").exit_code == 0
    assert target.read_bytes() == TEXT


def test_a_replacement(terminal: Terminal) -> None:
    first = terminal.submit()
    second = terminal.submit("--replace", first["entry_uuid"].removeprefix("urn:uuid:").upper())
    related = terminal.json(
        f"query GetRelatedDocuments -p EntryUUID={second['entry_uuid']} -p AssociationTypes=RPLC|xfrm"
    )["objects"]
    [link] = [item for item in related if item["kind"] == "Association"]
    assert (link["type"], link["target"]) == (AssociationType.REPLACE, first["entry_uuid"])
    old = terminal.json(f"query GetDocuments -p EntryUUID={first['entry_uuid']}")["objects"]
    assert [item["status"].rpartition(":")[2] for item in old] == ["Deprecated"]
    table = terminal(f"query GetDocumentsAndAssociations -p EntryUUID={second['entry_uuid']}").stdout
    assert "RPLC" in table
    # what is replaced can't be replaced again: the registry's own code and text
    refused = terminal(f"submit {terminal.directory / 'note.txt'} --patient P-1 --replace {first['entry_uuid']}")
    assert refused.exit_code == 1
    assert "XDSRegistryDeprecatedDocumentError" in refused.stderr
    errors = terminal.json(
        f"submit {terminal.directory / 'note.txt'} --patient P-1 --replace {first['entry_uuid']}", code=1
    )["errors"]
    assert [row["code"] for row in errors] == ["XDSRegistryDeprecatedDocumentError"]


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_metadata_file(terminal: Terminal, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"metadata{suffix}"
    values: dict[str, Any] = {
        "title": "From the file",
        "class": "A^Class A^1.2.3",
        "confidentiality": ["N^normal^2.16.840.1.113883.5.25", "R^restricted^2.16.840.1.113883.5.25"],
        "author_person": "^Curie^Marie",
        "language": "fr-FR",
    }
    toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    file.write_text(json.dumps(values) if suffix == ".json" else toml)
    made = terminal.submit("--metadata", str(file), "--title", "From the option")
    [entry] = terminal.json(f"query GetDocuments -p UniqueId={made['unique_id']}")["objects"]
    assert (entry["title"], entry["class_code"]["value"]) == ("From the option", "A")
    assert entry["authors"][0]["person"] == "^Curie^Marie"
    assert len(entry["confidentiality_codes"]) == 2


def test_what_the_peer_refuses(terminal: Terminal) -> None:
    unknown = terminal(f"submit {terminal.directory / 'note.txt'} --patient NOBODY")
    assert (unknown.exit_code, "XDSUnknownPatientId" in unknown.stderr) == (1, True)
    missing = terminal("query FindDocuments")
    assert (missing.exit_code, "XDSStoredQueryMissingParam" in missing.stderr) == (1, True)
    absent = terminal("retrieve 1.2.3.4")
    assert (absent.exit_code, "XDSDocumentUniqueIdError" in absent.stderr) == (1, True)


def test_a_wrong_token_is_told_in_a_sentence(terminal: Terminal) -> None:
    line = f"query FindDocuments --patient P-1 --token wrong --sandbox {terminal.directory / 'sandbox.json'}"
    done = subprocess.run(
        [sys.executable, "-c", "from hub.app.commands.main import main; main()", "xds", *line.split()],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("soap-fault")
    assert "Traceback" not in done.stderr


def test_by_certificate_without_a_sandbox_file(terminal: Terminal) -> None:
    box = terminal.description
    options = f"--registry {box['xds_registry']} --ca {box['ca']} --cert {box['client_cert']} --key {box['client_key']}"
    result = terminal(
        f"query FindDocuments --patient P-1^^^{box['affinity_domain']} {options} --references", sandbox=False
    )
    assert result.exit_code == 0, result.stderr
    assert "found" in result.stdout


def test_images_of_a_manifest(terminal: Terminal, tmp_path: Path) -> None:
    study = study_of_instances(map(DatasetReader, study_files()), "PACS")
    assert study is not None
    [source] = [info for info in terminal.box.hub.infos() if info.name == "PACS"]
    spec = ManifestSpec(
        study=study, source=source, sop_instance_uid=new_uid(), series_instance_uid=new_uid(), created=now(),
        patient=PatientIdentifier("P-1", terminal.description["affinity_domain"]),
    )  # fmt: skip
    file = tmp_path / "manifest.dcm"
    file.write_bytes(build_manifest(spec))
    made = terminal.json(f"submit {file} --patient P-1 --unique-id {spec.sop_instance_uid}")
    target = tmp_path / "images"
    result = terminal(f"retrieve {made['unique_id']} --images -o {target}")
    assert result.exit_code == 0, result.stderr
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {
        f"{ds.SOPInstanceUID}.dcm": part10(ds) for ds in study_files()
    }


def test_queries_are_listed(terminal: Terminal) -> None:
    listed = CliRunner().invoke(app, ["xds", "queries"]).stdout
    for one in (*QUERIES.values(), *MULTI_PATIENT.values()):
        assert one.name in listed
    names = {row["name"] for row in json.loads(CliRunner().invoke(app, ["xds", "queries", "--json"]).stdout)}
    assert len(names) == len(QUERIES) + len(MULTI_PATIENT)


@pytest.mark.parametrize("name", [one.name for one in (*QUERIES.values(), *MULTI_PATIENT.values())])
def test_every_query_can_be_asked(terminal: Terminal, name: str) -> None:
    one = query_of(name.upper())
    subject = one.one_of[:1] or [item.name for item in one.parameters if item.required and item.name == "$uuid"]
    more = [f"{item}=urn:uuid:00000000-0000-4000-8000-000000000000" for item in subject]
    more += ["AssociationTypes=RPLC"] if name == "GetRelatedDocuments" else []
    more += ["ReferenceIdList=1^^^&1.2&ISO^urn:ihe:iti:xds:2013:accession"] if "ByReference" in name else []
    result = terminal(f"query {name} --patient P-1", *(part for each in more for part in ("-p", each)))
    # "nothing found" is an answer; GetSubmissionSetAndContents and its like say that the subject is not there
    assert result.exit_code == 0 or "XDS" in result.stderr, (result.output, result.exception)
    assert "XDSRegistryError" not in result.stderr
    assert "Param" not in result.stderr


def test_parameters_by_short_names() -> None:
    one = query_of("FindDocuments")
    read = stored_query(
        one, ["status=Approved|deprecated", "EventCodeList=a^^s|b^^s", "EventCodeList=c^^s", "$Foo=1", "type=stable"]
    )
    assert read.parameters["$XDSDocumentEntryStatus"][0][0] == APPROVED
    assert read.parameters["$XDSDocumentEntryEventCodeList"] == (("a^^s", "b^^s"), ("c^^s",))
    assert read.parameters["$Foo"] == (("1",),)
    assert read.lists is not None
    assert "$XDSDocumentEntryStatus" in read.lists
    for wrong in ("Stat", "nothing=1", "Code=1", "=1"):
        with pytest.raises(QueryOption):
            stored_query(one, [wrong])
    with pytest.raises(QueryOption, match="FindFolders"):
        query_of("Find")


def test_values_that_can_not_be_read(terminal: Terminal, tmp_path: Path) -> None:
    cases: list[tuple[str, type[HubError]]] = [
        (f"submit {terminal.directory / 'note.txt'} --patient P-1 --type LOINC", submission.SubmissionOption),
        (f"submit {terminal.directory / 'note.txt'}", submission.SubmissionOption),
        (f"submit {terminal.directory / 'note.txt'} --metadata {tmp_path / 'none.toml'}", submission.MetadataFile),
        ("query FindDocuments --sandbox /dev/null", SandboxFile),
    ]
    for line, kind in cases:
        assert isinstance(terminal(line, sandbox="--sandbox" not in line).exception, kind)
    assert isinstance(terminal("query FindDocuments", sandbox=False).exception, AddressMissing)
    file = tmp_path / "bad.toml"
    for text in ("titel = 'x'", "title = 3", "title = ['a', 'b']", "= 1", "[a]\nb = 1"):
        file.write_text(text)
        with pytest.raises(submission.MetadataFile):
            submission.read_metadata(file)


def test_a_sandbox_that_is_not_ready_yet(tmp_path: Path) -> None:
    file = tmp_path / "sandbox.json"
    file.write_text("")
    with pytest.raises(SandboxFile, match="still empty"):
        target(file)
    file.write_text("[]\n")
    with pytest.raises(SandboxFile, match="is not the JSON"):
        target(file)


def test_what_is_said_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"%PDF-1.7")
    made = submission.prepare(file, {"patient": "7^^^1.2.3", "type": "A^^1.2"})
    assert (made.entry.mime_type, made.entry.title, made.entry.size) == ("application/pdf", "scan", 8)
    assert made.entry.patient_id == PatientIdentifier("7", "1.2.3")
    assert made.entry.class_code == made.entry.type_code == Code("A", "1.2", "A")
    [member] = made.submission.associations
    assert (member.type, member.source) == (AssociationType.HAS_MEMBER, made.submission.submission_set.id)


def packed(box: Sandbox) -> list[AuditRecord]:
    """What the trail has of packages, the newest first."""
    assert box.hub.audit.flush(60)
    return list(box.hub.audit.search(AuditSearch(transaction="ITI-32")).records)


def test_a_package_is_in_the_trail(terminal: Terminal, tmp_path: Path) -> None:
    """ITI TF-2: 3.32.5: Export and Import, failures as well; what is not recorded does not leave."""
    with Integrator(terminal.description) as vendor:
        vendor.announce("T-1", terminal.description["affinity_domain"])
    terminal.json(f"submit {terminal.directory / 'note.txt'} --patient T-1")
    before = len(packed(terminal.box))

    def xdm(line: str) -> int:
        where = ["--sandbox", str(terminal.directory / "sandbox.json")]
        return CliRunner().invoke(app, ["xdm", *shlex.split(line), *where]).exit_code

    package = tmp_path / "out" / "package.zip"
    package.parent.mkdir()
    assert xdm(f"export --patient T-1 -o {package}") == 0
    assert xdm(f"import {package} --patient T-1") == 0
    assert xdm(f"import {package} --patient T-1") == 1  # the submission set is known
    assert xdm(f"export --patient NOBODY -o {tmp_path / 'nothing.zip'}") == 1
    nobody, again, known, out = packed(terminal.box)[: len(packed(terminal.box)) - before]
    assert [(one.event_code, one.action, one.outcome.value) for one in (out, known, again, nobody)] == [
        ("110106", "R", "0"), ("110107", "C", "0"), ("110107", "C", "8"), ("110106", "R", "8"),
    ]  # fmt: skip
    number = PatientIdentifier("T-1", terminal.description["affinity_domain"])
    assert out.patients == known.patients == (number.cx,)
    with zipfile.ZipFile(package) as archive:
        [unique_id] = [item.reference for item in out.objects if item.kind == "submission set"]
        assert unique_id.encode() in archive.read("IHE_XDM/SUBSET01/METADATA.XML")
    assert package.stat().st_mode & 0o077 == 0
    package.unlink()
    unreached = CliRunner().invoke(app, [
        *("xdm", "export", "--patient", "T-1", "-o", str(package), "--audit", "http://127.0.0.1:9/fhir", "--json"),
        *("--sandbox", str(terminal.directory / "sandbox.json")),
    ])  # fmt: skip
    assert (unreached.exit_code, json.loads(unreached.stdout)["errors"][0]["code"]) == (1, "audit-unreached")
    assert list(package.parent.iterdir()) == []


def test_a_package_out_and_in(terminal: Terminal, tmp_path: Path) -> None:
    with Integrator(terminal.description) as vendor:
        for number in ("X-1", "X-2"):
            vendor.announce(number, terminal.description["affinity_domain"])
    note = terminal.directory / "note.txt"
    terminal.json(f"submit {note} --patient X-1 --title First")
    made = terminal.json(f"submit {note} --patient X-1 --title Second")
    sandbox = ["--sandbox", str(terminal.directory / "sandbox.json")]

    def xdm(line: str) -> Result:
        return CliRunner().invoke(app, ["xdm", *shlex.split(line), *sandbox])

    whole, one = tmp_path / "whole.zip", tmp_path / "one.zip"
    assert json.loads(xdm(f"export --patient X-1 -o {whole} --json").stdout)["documents"] == 2
    assert json.loads(xdm(f"export --submission-set {made['submission_set']} -o {one} --json").stdout)["documents"] == 1
    # the same uniqueIds with other content of the entry's patient: the registry's own refusal, and nothing is left
    removed = terminal.json("query FindDocuments --patient X-2")["objects"]
    refused = xdm(f"import {whole} --patient NOBODY")
    assert (refused.exit_code, "XDSUnknownPatientId" in refused.stderr) == (1, True)
    assert terminal.json("query FindDocuments --patient X-2")["objects"] == removed == []
    with Sandbox(Options(data=tmp_path / "other")) as other:
        file = tmp_path / "other.json"
        file.write_text(json.dumps(other.description()))
        with Integrator(other.description()) as vendor:
            vendor.announce("Y-1", other.description()["affinity_domain"])
        sandbox = ["--sandbox", str(file)]
        done = xdm(f"import {whole} --patient Y-1 --json")
        assert done.exit_code == 0, (done.output, done.exception)
        assert json.loads(done.stdout) == {"submissions": 1, "documents": 2}
        found = json.loads(CliRunner().invoke(
            app, ["xds", "query", "FindDocuments", "--patient", "Y-1", "--json", *sandbox]
        ).stdout)["objects"]  # fmt: skip
        assert sorted(item["title"] for item in found) == ["First", "Second"]
        again = xdm(f"import {whole} --patient Y-1")
        assert again.exit_code == 1
        assert "XDS" in again.stderr
        # two submissions in a package, one of them known already: the other one is registered, and both are told
        with (
            zipfile.ZipFile(whole) as first,
            zipfile.ZipFile(one) as second,
            zipfile.ZipFile(tmp_path / "two.zip", "w") as both,
        ):
            for part in first.namelist():
                both.writestr(part, first.read(part))
            for part in (name for name in second.namelist() if "SUBSET01" in name):
                both.writestr(part.replace("SUBSET01", "SUBSET02"), second.read(part))
        some = xdm(f"import {tmp_path / 'two.zip'} --patient Y-1 --json")
        assert some.exit_code == 2, (some.output, some.exception)
        said = json.loads(some.stdout)
        assert (said["submissions"], said["documents"], said["refused"][0]["submission"]) == (1, 1, "SUBSET01")
        assert said["refused"][0]["errors"][0]["code"] == "XDSDuplicateUniqueIdInRegistry"
        none = xdm(f"import {tmp_path / 'two.zip'} --patient Y-1")
        assert none.exit_code == 1
        assert "SUBSET02 was refused" in none.stderr
        (tmp_path / "no.zip").write_bytes(b"no package")
        no_package = xdm(f"import {tmp_path / 'no.zip'} --json")
        assert no_package.exit_code == 1
        assert json.loads(no_package.stdout)["errors"][0]["code"] == "xdm-package"
