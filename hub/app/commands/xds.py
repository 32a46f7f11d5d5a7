"""``maillage xds``: submit, query and retrieve at any XDS registry and repository, for people at a terminal."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from hub.app.commands import xds_submission as submission
from hub.app.commands.xds_queries import FindOption, ask, queries_table
from hub.app.commands.xds_show import as_json, show_objects, show_problems
from hub.app.commands.xds_target import Caller, Refused, Target, caller, check, target
from hub.documents.model import DocumentRequest
from hub.errors import HubError, Invalid
from hub.imaging.model import InstanceRequest
from hub.values import is_uid, new_key
from hub.wire.ebxml.errors import RegistryProblem, read_problems
from hub.wire.ebxml.imaging import write_imaging_retrieve
from hub.wire.ebxml.retrieve import ReceivedDocument, file_chunks, read_retrieved, write_retrieve
from hub.wire.ebxml.submissions import write_provided
from hub.wire.soap.message import Outgoing, SoapMessage

if TYPE_CHECKING:
    from hub.imaging.manifest import Manifest

PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
IMAGES = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"
#: As stored where it can be: what RAD-69 has no wildcard for (RAD TF-2: 4.69.4.1.2).
SYNTAXES = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99"),
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 92, 93, 100, 101, 102, 103)),
    *(f"1.2.840.10008.1.2.4.{number}" for number in (104, 105, 106, 107, 108, 201, 202, 203)),
)
_SUFFIXES = {
    "application/pdf": ".pdf",
    "application/dicom": ".dcm",
    "text/plain": ".txt",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "image/jpeg": ".jpg",
    "image/png": ".png",
}

xds = typer.Typer(
    no_args_is_help=True,
    help="Documents at any XDS registry and repository: submit, query, retrieve.\n\nAddresses, token and authority "
    "come from the JSON line that `maillage sandbox` prints (`--sandbox FILE`), or from the options.",
)
out = Console(width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True)

SandboxOption = Annotated[
    Path | None,
    typer.Option(
        "--sandbox", envvar="MAILLAGE_SANDBOX", help="File with the JSON line that `maillage sandbox` prints."
    ),
]
CertOption = Annotated[Path | None, typer.Option("--cert", help="Client certificate (PEM).")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Its private key (PEM).")]
CaOption = Annotated[
    Path | None, typer.Option("--ca", help="The authority that signed the server's certificate (PEM).")
]
TokenOption = Annotated[
    str, typer.Option("--token", envvar="MAILLAGE_TOKEN", help="Bearer token.", show_envvar=True, show_default=False)
]
RepositoryOption = Annotated[str, typer.Option("--repository", help="URL of the repository.")]
RepositoryIdOption = Annotated[str, typer.Option("--repository-id", help="repositoryUniqueId (OID).")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of a table; errors as well.")]
CODE = "code^display^scheme"


@contextmanager
def told(as_json_text: bool) -> Iterator[None]:
    """What the peer refused, with its own codes, or what stopped us, and exit code 1."""
    try:
        yield
    except Refused as error:
        if as_json_text:
            typer.echo(orjson.dumps({"errors": as_json(error.problems)}).decode())
        else:
            show_problems(err, error.problems)
        raise typer.Exit(1) from None
    except HubError as error:
        if not as_json_text:
            raise  # in one sentence, as every command's
        problem = RegistryProblem(error.code, error.message, location=error.location)
        typer.echo(orjson.dumps({"errors": as_json([problem])}).decode())
        raise typer.Exit(1) from None


@xds.command("submit")
def submit(
    file: Annotated[Path, typer.Argument(help="The document.", exists=True, dir_okay=False)],
    *,
    patient: Annotated[str, typer.Option(help="`number^^^&oid&ISO`, or a number of the affinity domain.")] = "",
    metadata: Annotated[
        Path | None, typer.Option(help="TOML or JSON file whose keys are these options' names; options go before it.")
    ] = None,
    type_code: Annotated[str, typer.Option("--type", help=f"typeCode, `{CODE}`. Default: LOINC 34109-9, Note.")] = "",
    class_code: Annotated[str, typer.Option("--class", help="classCode. Default: the type.")] = "",
    format_code: Annotated[str, typer.Option("--format", help="formatCode. Default: the MIME type says it.")] = "",
    facility: Annotated[str, typer.Option(help="healthcareFacilityTypeCode. Default: unknown.")] = "",
    practice: Annotated[str, typer.Option(help="practiceSettingCode. Default: unknown.")] = "",
    confidentiality: Annotated[
        list[str] | None, typer.Option(help="confidentialityCode; may be repeated. Default: normal.")
    ] = None,
    event: Annotated[list[str] | None, typer.Option(help="eventCodeList; may be repeated.")] = None,
    title: Annotated[str, typer.Option(help="Default: the file's name.")] = "",
    comments: Annotated[str, typer.Option()] = "",
    mime: Annotated[str, typer.Option(help="mimeType. Default: what the file's name says.")] = "",
    language: Annotated[str, typer.Option(help="languageCode. Default: yours.")] = "",
    created: Annotated[str, typer.Option(help="creationTime, `YYYYMMDDhhmmss` UTC. Default: the file's.")] = "",
    author_person: Annotated[str, typer.Option(help="authorPerson, an XCN.")] = "",
    author_institution: Annotated[list[str] | None, typer.Option(help="authorInstitution, an XON.")] = None,
    unique_id: Annotated[str, typer.Option(help="uniqueId. Default: a fresh OID.")] = "",
    source_id: Annotated[str, typer.Option(help="sourceId of the submission (OID).")] = "",
    source_patient: Annotated[str, typer.Option(help="sourcePatientId. Default: the patient.")] = "",
    reference: Annotated[list[str] | None, typer.Option(help="referenceIdList, a CXi; may be repeated.")] = None,
    replace: Annotated[list[str] | None, typer.Option(help="entryUUID of the document that this one replaces.")] = None,
    append: Annotated[list[str] | None, typer.Option(help="entryUUID of the document that this one adds to.")] = None,
    transform: Annotated[list[str] | None, typer.Option(help="entryUUID of what this one is made from.")] = None,
    sandbox: SandboxOption = None,
    repository: RepositoryOption = "",
    repository_id: RepositoryIdOption = "",
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    token: TokenOption = "",
    timeout: TimeoutOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Provide a document and register it (ITI-41): prints its entryUUID, its uniqueId and its submission set."""
    options = {
        "patient": patient, "type": type_code, "class": class_code, "format": format_code, "facility": facility,
        "practice": practice, "confidentiality": confidentiality, "event": event, "title": title,
        "comments": comments, "mime": mime, "language": language, "created": created,
        "author-person": author_person, "author-institution": author_institution, "unique-id": unique_id,
        "source-id": source_id, "source-patient": source_patient, "reference": reference, "replace": replace,
        "append": append, "transform": transform,
    }  # fmt: skip
    given = submission.read_metadata(metadata) if metadata is not None else {}
    given |= {name: value for name, value in options.items() if value}
    where = target(
        sandbox, repository=repository, repository_id=repository_id, cert=cert, key=key, ca=ca, token=token,
        timeout=timeout,
    )  # fmt: skip
    prepared = submission.prepare(file, {"repository-id": where.repository_id} | given, domain=where.domain)
    with told(json), caller(where) as calls:
        warnings = provide(calls, where.address("repository"), prepared)
    said = {
        "entry_uuid": prepared.entry.id,
        "unique_id": prepared.entry.unique_id,
        "submission_set": prepared.submission.submission_set.unique_id,
    }
    if json:
        typer.echo(orjson.dumps(said | {"warnings": as_json(warnings)}).decode())
        return
    for name, value in said.items():
        out.print(f"[bold]{name}[/bold] {escape(value)}", highlight=False)
    show_problems(err, warnings)


def provide(calls: Caller, url: str, prepared: submission.Prepared) -> tuple[RegistryProblem, ...]:
    """ITI-41. The warnings. Raises Refused."""
    content_id = f"{new_key()}@maillage"
    part = Outgoing(content_id, prepared.entry.mime_type, file_chunks(prepared.file), prepared.entry.size)
    body = write_provided(prepared.submission, {prepared.entry.id: content_id})
    answer = calls.call(url, PROVIDE, body, (part,), mtom=True)
    problems = read_problems(answer.body)
    check(answer.body.get("status", ""), problems)
    return problems


@xds.command("queries")
def queries(*, json: JsonOption = False) -> None:
    """List the stored queries with their parameters: required ones are marked."""
    rows = queries_table()
    if json:
        typer.echo(orjson.dumps(rows).decode())
        return
    for row in rows:
        out.print(f"[bold]{row['name']}[/bold] [dim]{row['id']}[/dim]", highlight=False)
        for name in row["parameters"]:
            out.print(f"  {name}{' (required)' if name in row['required'] else ''}", highlight=False)


@xds.command("query")
def query(
    name: Annotated[str, typer.Argument(help="The stored query's name, `FindDocuments`, or its UUID.")],
    *,
    patient: Annotated[str, typer.Option(help="`number^^^&oid&ISO`, or a number of the affinity domain.")] = "",
    param: FindOption = None,
    references: Annotated[bool, typer.Option("--references", help="Ask for references (ObjectRef) only.")] = False,
    home: Annotated[str, typer.Option(help="homeCommunityId (urn:oid:), for an initiating gateway.")] = "",
    registry: Annotated[str, typer.Option(help="URL of the registry, or of an initiating gateway.")] = "",
    sandbox: SandboxOption = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    token: TokenOption = "",
    timeout: TimeoutOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Ask a stored query (ITI-18, ITI-51). `maillage xds queries` lists them.

    Where a status is required and not given, approved objects are asked for.
    """
    where = target(sandbox, registry=registry, cert=cert, key=key, ca=ca, token=token, timeout=timeout)
    person = submission.patient_of(patient, where.domain).cx if patient else ""
    with told(json), caller(where) as calls:
        answer = ask(
            calls, where.address("registry"), name, param or (), patient=person, leaf_class=not references, home=home
        )
        check(answer.status, answer.problems if not (answer.objects or answer.references) else ())
    if json:
        found = answer.objects or [{"id": row[0], "home": row[1]} for row in answer.references]
        said = {"objects": as_json(found), "errors": as_json(answer.problems)}
        typer.echo(orjson.dumps(said).decode())
    else:
        show_objects(out, answer.objects, answer.references)
        show_problems(err, answer.problems)
    check_partial(answer.problems)


def check_partial(problems: Sequence[RegistryProblem]) -> None:
    """Exit code 2 where the answer lacks something."""
    if any(row.severity.endswith(":Error") for row in problems):
        raise typer.Exit(2)


@xds.command("retrieve")
def retrieve(
    unique_id: Annotated[str, typer.Argument(help="uniqueId of the document, or of the manifest with `--images`.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; with `--images` a directory. Default: named by the id."),
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Read the manifest, and retrieve the images that it names (RAD-69).")
    ] = False,
    transfer_syntax: Annotated[
        list[str] | None, typer.Option(help="Acceptable transfer syntax; may be repeated. Default: as stored.")
    ] = None,
    home: Annotated[str, typer.Option(help="homeCommunityId (urn:oid:), for an initiating gateway.")] = "",
    sandbox: SandboxOption = None,
    repository: RepositoryOption = "",
    repository_id: RepositoryIdOption = "",
    imaging: Annotated[str, typer.Option(help="URL of the imaging document source.")] = "",
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    token: TokenOption = "",
    timeout: TimeoutOption = 60.0,
    json: JsonOption = False,
) -> None:
    """Retrieve a document (ITI-43), or all images of a manifest (ITI-43, then RAD-69)."""
    where = target(
        sandbox, repository=repository, repository_id=repository_id, imaging=imaging, cert=cert, key=key, ca=ca,
        token=token, timeout=timeout,
    )  # fmt: skip
    if not where.repository_id:
        raise Invalid("The repositoryUniqueId is missing: give --repository-id OID or --sandbox FILE.")
    problems: tuple[RegistryProblem, ...] = ()
    with told(json), caller(where) as calls:
        document = fetch(calls, where.address("repository"), DocumentRequest(where.repository_id, unique_id, home))
        if images:
            from hub.imaging.manifest import read_manifest  # noqa: PLC0415 (other commands start faster without it)

            manifest = read_manifest(document.content.path.read_bytes())
            written, problems = fetch_images(
                calls, where, manifest, output, syntaxes=transfer_syntax or SYNTAXES, home=home
            )
        else:
            path = output or Path(f"{safe(unique_id)}{_SUFFIXES.get(document.mime_type, '.bin')}")
            keep(document, path)
            written = [{"file": str(path), "mime_type": document.mime_type, "size": document.content.size}]
    if json:
        typer.echo(orjson.dumps({"written": written, "errors": as_json(problems)}).decode())
    else:
        for row in written:
            out.print(f"{row['file']}  {row['mime_type']}  {row['size']} bytes", highlight=False, markup=False)
        show_problems(err, problems)
    check_partial(problems)


def fetch(calls: Caller, url: str, wanted: DocumentRequest) -> ReceivedDocument:
    """ITI-43 for one document. Raises Refused."""
    answer = read_retrieved(calls.call(url, RETRIEVE, write_retrieve((wanted,)), mtom=True))
    if not answer.documents:
        raise Refused.of(answer.problems)
    return answer.documents[0]


def fetch_images(
    calls: Caller, where: Target, manifest: "Manifest", output: Path | None, *, syntaxes: Sequence[str], home: str
) -> tuple[list[dict[str, Any]], tuple[RegistryProblem, ...]]:
    """RAD-69, series by series; what was written, and what could not be had. Raises Refused when nothing could."""
    directory = output or Path(safe(manifest.study_instance_uid))
    directory.mkdir(parents=True, exist_ok=True)
    written: list[dict[str, Any]] = []
    problems: list[RegistryProblem] = []
    for series in manifest.series:
        wanted = [
            InstanceRequest(
                manifest.study_instance_uid,
                series.series_instance_uid,
                instance,
                repository_unique_id=series.retrieve_location_uid,
                home=home,
            )
            for _, instance in series.instances
        ]
        answer = _images(calls, where.address("imaging"), wanted, syntaxes)
        retrieved = read_retrieved(answer)
        problems += retrieved.problems
        for item in retrieved.documents:
            uid = item.request.document_unique_id
            if not is_uid(uid):
                raise Invalid("The source sent an object whose identifier is none.")
            path = directory / f"{uid}.dcm"
            keep(item, path)
            written.append({"file": str(path), "mime_type": item.mime_type, "size": item.content.size})
        answer.discard()
    if not written and problems:
        raise Refused.of(problems)
    return written, tuple(problems)


def _images(calls: Caller, url: str, wanted: Sequence[InstanceRequest], syntaxes: Sequence[str]) -> SoapMessage:
    return calls.call(url, IMAGES, write_imaging_retrieve(wanted, syntaxes), mtom=True)


def keep(document: ReceivedDocument, path: Path) -> None:
    """Write what was received. Raises Invalid where that is not possible."""
    try:
        with path.open("wb") as file:
            for chunk in file_chunks(document.content.path):
                file.write(chunk)
    except OSError as error:
        raise Invalid(f"The file can't be written: {error.strerror}.") from error


def safe(name: str) -> str:
    """A file's name out of an identifier."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("._")[:128] or "document"
