"""ITI-65's transaction Bundle -> a submission with its documents, and the answer to it (MHD 4.2: 2:3.65)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hub.documents.model import (
    Association,
    AssociationType,
    DocumentEntry,
    Folder,
    Registered,
    Submission,
    SubmissionSet,
)
from hub.documents.sharing_model import ProvideBundle
from hub.errors import Invalid, Malformed
from hub.values import new_uid
from hub.wire.fhir import exact, french
from hub.wire.fhir.body import bytes_of, resource_in
from hub.wire.fhir.codes import text
from hub.wire.fhir.document_list import FOLDER, folder_of, kind_of, set_of
from hub.wire.fhir.document_reference import bare, entry_of, relations_of
from hub.wire.fhir.people import Box, first, listed
from hub.wire.fhir.r4 import MEDIA_TYPE
from hub.wire.fhir.search import reference_id
from hub.wire.http import HttpRequest

T = TypeVar("T", SubmissionSet, Folder)
L = TypeVar("L", SubmissionSet, Folder, DocumentEntry)
_METHODS: Mapping[str, tuple[str, ...]] = {
    "List": ("POST",),
    "DocumentReference": ("POST",),
    "Binary": ("POST",),
    "Bundle": ("POST",),
    "Patient": ("GET", "POST", "PUT"),
    "Parameters": ("PATCH",),
}
_CONDITIONS = ("ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince")


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of the Bundle. ``name``: the symbolic id of what it becomes; ``kind``: the resource's type."""

    name: str
    kind: str
    number: int  #: its place among the entries
    full_url: str
    resource: Mapping[str, Any]
    url: str  #: of the request


@dataclass(slots=True)
class _Bundle:
    """The parts of a Bundle, found by their fullUrl."""

    parts: list[Part] = field(default_factory=list)
    by_url: dict[str, Part] = field(default_factory=dict)
    minimal: bool = False  #: limited metadata (IHE.MHD.Minimal.ProvideBundle)
    base: str = ""  #: URL of the service

    def box(self, resource: Mapping[str, Any]) -> Box:
        """What a part's references lead to: its contained resources, and the Bundle's."""
        return Box(
            resource.get("contained"),
            lambda name: part.resource if (part := self.by_url.get(name)) else None,
            self.base,
        )

    def of(self, kind: str) -> list[Part]:
        """The parts of a type of resource."""
        return [part for part in self.parts if part.kind == kind]

    def related(self, reference: Any) -> str:
        """The id of the entry that relatesTo means. Raises Invalid."""
        return self.object_id(reference, "DocumentReference", "DocumentReference.relatesTo.target")

    def object_id(self, reference: Any, kind: str, name: str) -> str:
        """The id of the object that a Reference means: of this submission, or of the registry. Raises Invalid."""
        url = text(reference, "reference") if isinstance(reference, dict) else ""
        part = self.by_url.get(url)
        if part is not None:
            if part.kind != kind:
                raise Invalid(f"A reference to a {kind} is expected.", location=name)
            return part.name
        return f"urn:uuid:{reference_id(url, kind, name, self.base).lower()}"


def read_bundle(message: HttpRequest) -> ProvideBundle:
    """The submission of a Bundle. Raises Malformed, Invalid; the location is the element."""
    bundle = _parts(message)
    lists = [(part, kind_of(part.resource)) for part in bundle.of("List")]
    folders = [part for part, kind in lists if kind == FOLDER]
    sets = [part for part, kind in lists if kind != FOLDER]
    if len(sets) != 1:
        raise Invalid("A Bundle has one List that is the submission set.", location="Bundle.entry")
    owner, references = sets[0], bundle.of("DocumentReference")
    if bundle.minimal:
        owner, *others = _about_one([owner, *folders, *references])
        folders, references = others[: len(folders)], others[len(folders) :]
    entries = [_limited(_entry(part, bundle), part, bundle) for part in references]
    submission = Submission(
        _limited(_identified(set_of(owner.resource, bundle.box(owner.resource), owner.name)), owner, bundle),
        tuple(entries),
        tuple(
            _limited(_identified(folder_of(part.resource, bundle.box(part.resource), part.name)), part, bundle)
            for part in folders
        ),
        tuple(_associations(bundle, owner, folders, references)),
    )
    _check_patches(bundle, submission)
    return ProvideBundle(submission, _documents(bundle, references, message), _not_french(owner, folders, references))


def answer_bundle(outcome: Registered, message: HttpRequest) -> dict[str, Any]:
    """The transaction-response: one entry for each of the request, in its order."""
    bundle = _parts(message)
    stored = outcome.submission
    references = bundle.of("DocumentReference")
    entries = {part.name: bare(item.id) for part, item in zip(references, stored.entries, strict=True)}
    folders = [part for part in bundle.of("List") if kind_of(part.resource) == FOLDER]
    lists = {part.name: bare(item.id) for part, item in zip(folders, stored.folders, strict=True)}
    binaries = {_url(part): entries[part.name] for part in references}
    owner = bare(stored.submission_set.id)
    found = []
    for part in bundle.parts:
        if part.kind in ("Patient", "Parameters"):
            patient = f"Patient/{stored.submission_set.patient_id.value}"
            location = patient if part.kind == "Patient" else part.url
            found.append({"response": {"status": "200 OK", "location": location}})
            continue
        resource_id = {
            "DocumentReference": entries.get(part.name, ""),
            "Binary": binaries.get(part.full_url, ""),
            "Bundle": binaries.get(part.full_url, ""),
        }.get(part.kind, lists.get(part.name, owner))
        location = f"{'Binary' if part.kind == 'Bundle' else part.kind}/{resource_id}"
        found.append({"response": {"status": "201 Created", "location": location, "etag": 'W/"1"'}})
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": found}


def _parts(message: HttpRequest) -> _Bundle:
    root = resource_in(message, "Bundle")
    if root.get("type") != "transaction":
        raise Malformed("The body is not a Bundle of type transaction.", location="Bundle.type")
    profiles = listed(root.get("meta"), "profile")
    minimal = any(str(item).endswith("IHE.MHD.Minimal.ProvideBundle") for item in profiles)
    bundle = _Bundle(minimal=minimal, base=message.base)
    for number, entry in enumerate(listed(root, "entry"), 1):
        part = _part(entry, number)
        bundle.parts.append(part)
        if part.full_url:
            if part.full_url in bundle.by_url:
                raise Invalid("A fullUrl stands twice.", location=f"Bundle.entry[{number - 1}].fullUrl")
            bundle.by_url[part.full_url] = part
    return bundle


def _part(entry: Any, number: int) -> Part:
    where = f"Bundle.entry[{number - 1}]"
    resource = entry.get("resource") if isinstance(entry, dict) else None
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or not isinstance(request, dict):
        raise Invalid("An entry needs a resource and a request.", location=where)
    kind = text(resource, "resourceType")
    if kind not in _METHODS:
        raise Invalid("This Bundle may not hold such a resource.", location=f"{where}.resource")
    if text(request, "method") not in _METHODS[kind]:
        raise Invalid(f"A {kind} is sent with {' or '.join(_METHODS[kind])} here.", location=f"{where}.request.method")
    if any(name in request for name in _CONDITIONS):
        raise Invalid("Conditional requests are not supported here.", location=f"{where}.request")
    return Part(f"{kind}{number:02}", kind, number - 1, text(entry, "fullUrl"), resource, text(request, "url"))


def _entry(part: Part, bundle: _Bundle) -> DocumentEntry:
    if part.resource.get("status") != "current":
        raise Invalid("A new document is current.", location="DocumentReference.status")
    if len(listed(part.resource, "content")) != 1:
        raise Invalid("A DocumentReference has one content.", location="DocumentReference.content")
    return entry_of(part.resource, bundle.box(part.resource), part.name)


def _about_one(parts: list[Part]) -> list[Part]:
    """In minimal metadata a subject may be missing: it is that of the others."""
    subjects = [part.resource["subject"] for part in parts if "subject" in part.resource]
    subject = {"subject": subjects[0]} if subjects else {}
    return [replace(part, resource={**subject, **part.resource}) for part in parts]


def _limited(item: L, part: Part, bundle: _Bundle) -> L:
    """In a Bundle of minimal metadata: limited, unless the resource says that it has comprehensive metadata."""
    profiles = listed(part.resource.get("meta"), "profile")
    return replace(item, limited=bundle.minimal and not any("Comprehensive" in str(name) for name in profiles))


def _not_french(owner: Part, folders: list[Part], references: list[Part]) -> tuple[str, ...]:
    """What PDSm would want otherwise."""
    rows: list[tuple[Part, tuple[french.Constraint, ...]]] = [(owner, french.SUBMISSION_SET)]
    rows += [(part, french.FOLDER) for part in folders]
    rows += [(part, french.DOCUMENT) for part in references]
    return tuple(name for part, constraints in rows for name in french.missing(part.resource, constraints))


def _identified(item: T) -> T:
    """With a uniqueId, where the source left that to the recipient."""
    return item if item.unique_id else replace(item, unique_id=new_uid())


def _url(part: Part) -> str:
    """Where the DocumentReference says its document is."""
    content = first(part.resource, "content")
    attachment = content.get("attachment")
    if not isinstance(attachment, dict) or "data" in attachment:
        raise Invalid("The document is a Binary of the Bundle.", location="DocumentReference.content.attachment")
    return text(attachment, "url")


def _documents(bundle: _Bundle, references: list[Part], message: HttpRequest) -> tuple[tuple[str, bytes], ...]:
    """The documents by the id of their entry; one that no entry is about by its own, so that the room refuses it."""
    found: list[tuple[str, bytes]] = []
    binaries = {part.full_url or part.name: part for part in (*bundle.of("Binary"), *bundle.of("Bundle"))}
    exactly = exact.loads(message.body)["entry"] if bundle.of("Bundle") else []
    used: set[str] = set()
    for part in references:
        url = _url(part)
        if not url:
            continue  # the room says that the document is missing
        if url not in binaries:
            raise Invalid(
                "A document is a Binary of the Bundle, whose fullUrl is the attachment's url: what lies elsewhere is "
                "not fetched.",
                location="DocumentReference.content.attachment.url",
            )
        used.add(url)
        binary, media_type = binaries[url], text(first(part.resource, "content")["attachment"], "contentType")
        if binary.kind == "Bundle":
            document = exactly[binary.number]["resource"]
            if document.get("type") != "document" or media_type.partition(";")[0].strip() != MEDIA_TYPE:
                raise Invalid(
                    "A FHIR document is a Bundle of type document, sent as its media type says.", location=url
                )
            found.append((part.name, exact.dumps(document)))
            continue
        if text(binary.resource, "contentType") != media_type:
            raise Invalid("contentType is not that of the attachment.", location="Binary.contentType")
        found.append((part.name, bytes_of(binary.resource, "Binary.data")))
    found += [(binaries[url].name, b"") for url in binaries if url not in used]
    return tuple(found)


def _associations(bundle: _Bundle, owner: Part, folders: list[Part], references: list[Part]) -> list[Association]:
    found: list[Association] = []

    def add(kind: AssociationType, source: str, target: str, status: str = "") -> Association:
        found.append(Association(f"Association{len(found) + 1:02}", kind, source, target, submission_set_status=status))
        return found[-1]

    for item in listed(owner.resource, "entry"):
        reference = item.get("item") if isinstance(item, dict) else None
        part = bundle.by_url.get(text(reference, "reference")) if isinstance(reference, dict) else None
        if part is not None and part.kind == "List":
            add(AssociationType.HAS_MEMBER, owner.name, part.name)
            continue
        target = bundle.object_id(reference, "DocumentReference", "List.entry.item")
        add(AssociationType.HAS_MEMBER, owner.name, target, "Original" if part is not None else "Reference")
    for folder in folders:
        for item in listed(folder.resource, "entry"):
            reference = item.get("item") if isinstance(item, dict) else None
            target = bundle.object_id(reference, "DocumentReference", "List.entry.item")
            held = add(AssociationType.HAS_MEMBER, folder.name, target)
            add(AssociationType.HAS_MEMBER, owner.name, held.id)
    for part in references:
        found += relations_of(part.resource, part.name, bundle.related)
    return found


def _check_patches(bundle: _Bundle, submission: Submission) -> None:
    """A PATCH may only say what a replacement does anyway: the replaced DocumentReference is superseded."""
    replaced = {item.target for item in submission.associations if item.type == AssociationType.REPLACE}
    for part in bundle.of("Parameters"):
        target = (
            f"urn:uuid:{reference_id(part.url, 'DocumentReference', 'Bundle.entry.request.url', bundle.base).lower()}"
        )
        if target not in replaced:
            raise Invalid("A PATCH is about a document that is replaced here.", location="Bundle.entry.request.url")
