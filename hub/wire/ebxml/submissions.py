"""SubmitObjectsRequest, ProvideAndRegisterDocumentSetRequest, RegistryResponse (ITI TF-2: 3.41, 3.42)."""

from collections.abc import Iterable, Mapping

from lxml import etree

from hub.documents.errors import (
    MissingDocument,
    MissingDocumentMetadata,
    RegistryMetadataError,
    RepositoryMetadataError,
)
from hub.documents.model import (
    Association,
    Content,
    DocumentEntry,
    Folder,
    Registered,
    Submission,
    SubmissionSet,
)
from hub.errors import HubError
from hub.wire.ebxml.errors import RegistryProblem, problem_of, warnings_of, write_problems
from hub.wire.ebxml.names import FAILURE, LCM, NAMESPACES, RS, SUCCESS, XDSB, lcm, rim, rs, xdsb
from hub.wire.ebxml.reading import read_objects, read_slots
from hub.wire.ebxml.writing import write_object, write_slot
from hub.wire.soap.message import SoapMessage, include
from hub.wire.xml import Element


def read_submission(request: Element) -> Submission:
    """A SubmitObjectsRequest: one SubmissionSet and what belongs to it. Raises RegistryMetadataError."""
    objects = request.find(rim("RegistryObjectList"))
    if objects is None:
        raise RegistryMetadataError("The request has no RegistryObjectList.", location="RegistryObjectList")
    found = read_objects(objects)
    sets = [item for item in found if isinstance(item, SubmissionSet)]
    if len(sets) != 1:
        raise RegistryMetadataError(
            f"A submission holds exactly one SubmissionSet, this one {len(sets)} (ITI TF-3: 4.2.1.4).",
            location="SubmissionSet",
        )
    slots = request.find(rs("RequestSlotList"))
    home = read_slots(slots, "RequestSlotList").get("homeCommunityId", ()) if slots is not None else ()
    return Submission(
        submission_set=sets[0],
        entries=tuple(item for item in found if isinstance(item, DocumentEntry)),
        folders=tuple(item for item in found if isinstance(item, Folder)),
        associations=tuple(item for item in found if isinstance(item, Association)),
        home=home[0] if home else "",
    )


def write_submission(submission: Submission) -> Element:
    """A SubmitObjectsRequest."""
    request = etree.Element(lcm("SubmitObjectsRequest"), nsmap={"lcm": LCM, **NAMESPACES})
    if submission.home:
        write_slot(etree.SubElement(request, rs("RequestSlotList")), "homeCommunityId", (submission.home,))
    objects = etree.SubElement(request, rim("RegistryObjectList"))
    write_object(objects, submission.submission_set, registered=False)
    for group in (submission.entries, submission.folders, submission.associations):
        for item in group:
            write_object(objects, item, registered=False)
    return request


def read_provided(message: SoapMessage) -> tuple[Submission, tuple[Content, ...]]:
    """A ProvideAndRegisterDocumentSetRequest with its documents, each in a file.

    Raises RegistryMetadataError, RepositoryMetadataError, MissingDocument, MissingDocumentMetadata, Malformed."""
    request = message.body.find(lcm("SubmitObjectsRequest"))
    if request is None:
        raise RepositoryMetadataError("The request has no SubmitObjectsRequest.", location="SubmitObjectsRequest")
    submission = read_submission(request)
    contents: dict[str, Content] = {}
    taken = set()
    for element in message.body.iterchildren(xdsb("Document")):
        entry_id = element.get("id", "")
        found = message.content(element)
        if not entry_id or entry_id in contents or found.path in taken:
            raise RepositoryMetadataError(
                f"Every Document needs an id and a part of its own: {entry_id[:80]}.", location=entry_id[:80]
            )
        taken.add(found.path)
        contents[entry_id] = Content(entry_id, found.path, found.size, found.sha1)
    _check_pairs([entry.id for entry in submission.entries], contents)
    return submission, tuple(contents.values())


def _check_pairs(entries: Iterable[str], contents: Mapping[str, Content]) -> None:
    wanted = list(entries)
    for entry_id in wanted:
        if entry_id not in contents:
            raise MissingDocument(
                f"DocumentEntry {entry_id[:80]} has no Document (ITI TF-2: 3.41.4.1.2).", location=entry_id[:80]
            )
    for entry_id in contents:
        if entry_id not in wanted:
            raise MissingDocumentMetadata(
                f"Document {entry_id[:80]} has no DocumentEntry (ITI TF-2: 3.41.4.1.2).", location=entry_id[:80]
            )


def write_provided(submission: Submission, content_ids: Mapping[str, str]) -> Element:
    """A ProvideAndRegisterDocumentSetRequest. ``content_ids``: DocumentEntry id -> Content-ID of its part."""
    request = etree.Element(xdsb("ProvideAndRegisterDocumentSetRequest"), nsmap={"xdsb": XDSB})
    request.append(write_submission(submission))
    for entry_id, content_id in content_ids.items():
        include(etree.SubElement(request, xdsb("Document"), {"id": entry_id}), content_id)
    return request


def write_registered(outcome: Registered | None) -> Element:
    """A RegistryResponse that says success. None: the message was carried out before (a repeat)."""
    warnings = warnings_of(outcome.warnings, "XDSExtraMetadataNotSaved") if outcome else ()
    return registry_response(SUCCESS, warnings)


def write_refusal(error: HubError, *, repository: bool) -> Element:
    """A RegistryResponse that says why nothing was stored."""
    return registry_response(FAILURE, (problem_of(error, repository=repository),))


def registry_response(status: str, problems: Iterable[RegistryProblem] = ()) -> Element:
    """A RegistryResponse (ITI TF-3: 4.2.4)."""
    response = etree.Element(rs("RegistryResponse"), {"status": status}, nsmap={"rs": RS})
    write_problems(response, problems)
    return response
