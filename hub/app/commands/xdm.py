"""``maillage xdm``: documents out of a registry and repository into an XDM package, and back (ITI-32)."""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from hub.app.commands.xdm_audit import EXPORT, IMPORT, Told, recorded
from hub.app.commands.xds import (
    PROVIDE,
    RETRIEVE,
    CaOption,
    CertOption,
    JsonOption,
    KeyOption,
    RepositoryOption,
    SandboxOption,
    TimeoutOption,
    TokenOption,
    err,
    told,
)
from hub.app.commands.xds_queries import ask
from hub.app.commands.xds_show import as_json, show_problems
from hub.app.commands.xds_submission import patient_of
from hub.app.commands.xds_target import Caller, Refused, Target, caller, check, target
from hub.documents.model import APPROVED, DocumentEntry, DocumentRequest, Submission
from hub.errors import Invalid
from hub.values import PatientIdentifier, new_key, new_uid
from hub.wire.ebxml.errors import read_problems
from hub.wire.ebxml.retrieve import file_chunks, read_retrieved, write_retrieve
from hub.wire.ebxml.submissions import write_provided
from hub.wire.soap.message import Outgoing
from hub.wire.xdm.reading import ReadPackage, read_package
from hub.wire.xdm.writing import PackedDocument, write_package

xdm = typer.Typer(no_args_is_help=True, help="XDM packages (a zip of documents with their metadata): export, import.")
out = Console(width=None if sys.stdout.isatty() else 200)
SOURCE_ID = "2.25.96912434153843285716391742263087443"
AuditOption = Annotated[
    str, typer.Option("--audit", help="FHIR base that takes the record of it (ITI-20). Default: the sandbox's.")
]
PatientOption = Annotated[str, typer.Option(help="`number^^^&oid&ISO`, or a number of the affinity domain.")]


@xdm.command("export")
def export(
    *,
    patient: PatientOption = "",
    submission_set: Annotated[str, typer.Option(help="uniqueId of a submission set: its documents only.")] = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The package to write.")] = Path("documents.zip"),
    institution: Annotated[str, typer.Option(help="Who hands the documents over.")] = "",
    contact: Annotated[str, typer.Option(help="Address or telephone of the institution, for README.TXT.")] = "",
    registry: Annotated[str, typer.Option(help="URL of the registry.")] = "",
    repository: RepositoryOption = "",
    audit: AuditOption = "",
    sandbox: SandboxOption = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    token: TokenOption = "",
    timeout: TimeoutOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Write the approved documents of a person, or those of a submission set, into an XDM package."""
    where = target(
        sandbox,
        registry=registry,
        repository=repository,
        audit=audit,
        cert=cert,
        key=key,
        ca=ca,
        token=token,
        timeout=timeout,
    )
    if bool(patient) == bool(submission_set):
        raise Invalid("Either --patient or --submission-set is needed.")
    with told(json), caller(where) as calls, tempfile.TemporaryDirectory(dir=output.parent) as directory:
        made = Path(directory) / "package.zip"
        with recorded(where, EXPORT) as record:
            entries = _entries(calls, where, patient, submission_set)
            record.patients.update(entry.patient_id for entry in entries)
            record.submission_sets.append(new_uid())
            documents = [_fetched(calls, where, entry) for entry in entries]
            made.touch(0o600)
            with made.open("wb") as file:
                write_package(
                    file,
                    documents,
                    entries[0].patient_id if entries else PatientIdentifier("", ""),
                    source_id=SOURCE_ID,
                    institution=institution,
                    contact=contact,
                    unique_id=record.submission_sets[0],
                )
        made.replace(output)  # what was not recorded does not leave
    _say({"file": str(output), "documents": len(documents)}, json)


def _entries(calls: Caller, where: Target, patient: str, submission_set: str) -> list[DocumentEntry]:
    url = where.address("registry")
    if patient:
        answer = ask(calls, url, "FindDocuments", (), patient=patient_of(patient, where.domain).cx)
    else:
        answer = ask(calls, url, "GetSubmissionSetAndContents", [f"UniqueId={submission_set}"])
    check(answer.status, answer.problems)
    return [item for item in answer.objects if isinstance(item, DocumentEntry) and item.status == APPROVED]


def _fetched(calls: Caller, where: Target, entry: DocumentEntry) -> PackedDocument:
    wanted = DocumentRequest(entry.repository_unique_id, entry.unique_id, entry.home)
    answer = read_retrieved(calls.call(where.address("repository"), RETRIEVE, write_retrieve((wanted,)), mtom=True))
    if not answer.documents:
        raise Refused.of(answer.problems)
    return PackedDocument(entry, answer.documents[0].content.path)


@xdm.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="The package.", exists=True, dir_okay=False)],
    *,
    patient: Annotated[str, typer.Option(help="Whom the documents are about here. Default: as the package says.")] = "",
    repository: RepositoryOption = "",
    audit: AuditOption = "",
    sandbox: SandboxOption = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    token: TokenOption = "",
    timeout: TimeoutOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Provide and register what a package holds (ITI-41): each of its submissions wholly or not at all.

    The package is read to its end, and every document compared with its size and hash, before anything is sent. Where
    some submissions are refused, the others are registered nevertheless (exit code 2) and each refusal is told.
    """
    where = target(sandbox, repository=repository, audit=audit, cert=cert, key=key, ca=ca, token=token, timeout=timeout)
    person = patient_of(patient, where.domain) if patient else None
    refused: list[tuple[str, Refused]] = []
    with (
        told(json),
        tempfile.TemporaryDirectory(prefix="maillage-xdm-") as directory,
        caller(where) as calls,
        recorded(where, IMPORT) as record,
    ):
        packages = read_package(file, Path(directory))
        for package in packages:
            _note(record, package, person)
            try:
                _provide(calls, where.address("repository"), package, person)
            except Refused as error:
                refused.append((package.name, error))
        record.partial = bool(refused)
        if len(refused) == len(packages) == 1:
            raise refused[0][1]
    names = {name for name, _ in refused}
    kept = [package for package in packages if package.name not in names]
    facts = {"submissions": len(kept), "documents": sum(len(one.files) for one in kept)}
    _say_refused(facts, refused, json)
    if refused:
        raise typer.Exit(2 if kept else 1)


def _note(record: Told, package: ReadPackage, person: PatientIdentifier | None) -> None:
    submission_set = package.submission.submission_set
    record.patients.add(person or submission_set.patient_id)
    record.submission_sets.append(submission_set.unique_id)


def _say_refused(facts: dict[str, Any], refused: Sequence[tuple[str, Refused]], as_json_text: bool) -> None:
    if as_json_text:
        told_refused = [{"submission": name, "errors": as_json(error.problems)} for name, error in refused]
        _say({**facts, "refused": told_refused} if refused else facts, True)
        return
    _say(facts, False)
    for name, error in refused:
        err.print(f"{name} was refused:", markup=False, highlight=False)
        show_problems(err, error.problems)


def _provide(calls: Caller, url: str, package: ReadPackage, person: PatientIdentifier | None) -> None:
    submission = _about(package.submission, person) if person is not None else package.submission
    ids = {entry.id: f"{new_key()}@maillage" for entry in submission.entries}
    parts = [
        Outgoing(ids[entry.id], entry.mime_type, file_chunks(package.files[entry.id]), entry.size)
        for entry in submission.entries
    ]
    answer = calls.call(url, PROVIDE, write_provided(submission, ids), parts, mtom=True)
    check(answer.body.get("status", ""), read_problems(answer.body))


def _about(submission: Submission, person: PatientIdentifier) -> Submission:
    """The same about a person's number here; where the documents came from stays in sourcePatientId."""
    return replace(
        submission,
        submission_set=replace(submission.submission_set, patient_id=person),
        entries=tuple(replace(entry, patient_id=person) for entry in submission.entries),
        folders=tuple(replace(folder, patient_id=person) for folder in submission.folders),
    )


def _say(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(facts).decode())
        return
    for name, value in facts.items():
        out.print(f"{name}: {value}", markup=False, highlight=False)
