"""SubmissionSet and Folder <-> List (MHD 4.2: IHE.MHD.Comprehensive.SubmissionSet, IHE.MHD.Comprehensive.Folder)."""

from collections.abc import Iterable, Mapping
from typing import Any

from hub.documents.model import (
    APPROVED,
    DEPRECATED,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    SubmissionSet,
)
from hub.documents.sharing_model import Custodian
from hub.errors import Invalid
from hub.wire.fhir import mapping
from hub.wire.fhir.body import check_unmodified
from hub.wire.fhir.codes import MHD, URI, code_of, concept, filled, text, unique_id, unique_id_of
from hub.wire.fhir.document_reference import HOME, bare, entry_uuid, get_subject, put_subject
from hub.wire.fhir.french import of_list
from hub.wire.fhir.mapping import Row
from hub.wire.fhir.people import (
    Box,
    contact,
    get_author,
    listed,
    organization,
    practitioner,
    put_author,
    xcn,
    xon,
    xtn,
)
from hub.wire.fhir.times import date_time, dtm_of

#: superseded is what MHD's table says, retired what the List resource has.
STATUS: Mapping[str, str] = {APPROVED: "current", DEPRECATED: "retired"}
LIST_TYPES = f"{MHD}/CodeSystem/MHDlistTypes"
DESIGNATION = f"{MHD}/StructureDefinition/ihe-designationType"
SOURCE_ID = f"{MHD}/StructureDefinition/ihe-sourceId"
RECIPIENT = f"{MHD}/StructureDefinition/ihe-intendedRecipient"
AUTHOR_ORGANISATION = f"{MHD}/StructureDefinition/ihe-authorOrg"
SUBMISSION_SET, FOLDER = "submissionset", "folder"


def _put_source(authors: tuple[Author, ...], box: Box) -> dict[str, Any]:
    """List.source takes one: the first author. An organisation stands in an extension of it."""
    reference = next(iter(put_author(authors[0], box)), {})
    if reference.get("reference", "").startswith("#organization"):
        return {"extension": [{"url": AUTHOR_ORGANISATION, "valueReference": reference}]}
    return reference


def _get_source(found: Any, box: Box) -> tuple[Author, ...]:
    extensions = [item for item in found.get("extension", ()) if item.get("url") == AUTHOR_ORGANISATION]
    return (get_author(extensions[0]["valueReference"] if extensions else found, box),)


def _put_recipient(recipient: str, box: Box) -> dict[str, Any]:
    """``XON|XCN|XTN``: a person where there is one, else the organisation."""
    organisation, person, telecom = [*recipient.split("|"), "", ""][:3]
    resource = practitioner(person) if person or not organisation else organization(organisation)
    with_telecom = filled({**resource, "telecom": [contact(telecom)] if telecom else []})
    return {"url": RECIPIENT, "valueReference": box.put(with_telecom)}


def _get_recipient(found: Any, box: Box) -> str:
    resource = box.get(found["valueReference"])
    organisation = xon(resource) if resource.get("resourceType") == "Organization" else ""
    person = "" if organisation else xcn(resource)
    telecom = next((xtn(item) for item in listed(resource, "telecom")), "")
    return "|".join((organisation, person, telecom)).rstrip("|")


def _extensions(found: Any, url: str) -> list[Any]:
    return [item for item in found if item.get("url") == url]


def _get_designations(found: Any) -> list[Any]:
    return [code_of(item.get("valueCodeableConcept")) for item in _extensions(found, DESIGNATION)]


def _get_unique_id(found: Any, _box: Box) -> str:
    """The identifier that is no entryUUID."""
    values = [unique_id_of(text(item, "system"), text(item, "value")) for item in found]
    return next((value for value in values if not value.startswith("urn:uuid:")), "")


def _get_source_id(found: Any, _box: Box) -> str:
    values = [item["valueIdentifier"]["value"] for item in _extensions(found, SOURCE_ID)]
    return str(values[0]).removeprefix("urn:oid:") if values else ""


#: What both have (MHD 4.2: SubmissionSet-Mapping, Folder-Mapping).
_BOTH: tuple[Row, ...] = (
    Row("unique_id", "identifier", lambda value, _: [unique_id(value)], _get_unique_id),
    Row("id", "identifier", lambda value, _: [unique_id(entry_uuid(value), kind="entryUUID")]),
    Row("status", "status", lambda value, _: STATUS[value]),
    Row("title", "title", lambda value, _: value, lambda found, _: str(found)),
    Row("patient_id", "subject", put_subject, get_subject),
    Row("comments", "note", lambda value, _: [{"text": value}], lambda found, _: text(found[0], "text")),
    Row("home", "extension", lambda value, _: [{"url": HOME, "valueOid": value}]),
)
SET: tuple[Row, ...] = (
    *_BOTH,
    Row(
        "content_type_code",
        "extension",
        lambda code, _: [{"url": DESIGNATION, "valueCodeableConcept": concept(code)}],
        lambda found, _: next(iter(_get_designations(found)), None),
    ),
    Row(
        "source_id",
        "extension",
        lambda value, _: [{"url": SOURCE_ID, "valueIdentifier": {"system": URI, "value": f"urn:oid:{value}"}}],
        _get_source_id,
    ),
    Row(
        "intended_recipients",
        "extension",
        lambda values, box: [_put_recipient(value, box) for value in values],
        lambda found, box: tuple(_get_recipient(item, box) for item in _extensions(found, RECIPIENT)),
    ),
    Row("submission_time", "date", lambda dtm, _: date_time(dtm), lambda found, _: dtm_of(found, "date")),
    Row("authors", "source", _put_source, _get_source),
)
FOLDERS: tuple[Row, ...] = (
    *_BOTH,
    Row(
        "codes",
        "extension",
        lambda codes, _: [{"url": DESIGNATION, "valueCodeableConcept": concept(code)} for code in codes],
        lambda found, _: tuple(code for code in _get_designations(found) if code is not None),
    ),
    Row("last_update_time", "date", lambda dtm, _: date_time(dtm)),
)


def document_list(
    item: SubmissionSet | Folder,
    associations: Iterable[Association],
    members: Iterable[DocumentEntry | Folder],
    custodian: Custodian | None = None,
) -> dict[str, Any]:
    """The resource, with what it holds as far as ``associations`` and ``members`` tell."""
    box = Box()
    is_set = isinstance(item, SubmissionSet)
    found = mapping.write(SET if is_set else FOLDERS, item, box)
    names = {
        member.id: f"{'List' if isinstance(member, Folder) else 'DocumentReference'}/{bare(member.id)}"
        for member in members
    }
    held = [
        names[association.target]
        for association in associations
        if association.source == item.id
        and association.type == AssociationType.HAS_MEMBER
        and association.target in names
    ]
    kind = "SubmissionSet" if is_set else "Folder"
    level = "Minimal" if item.limited else "Comprehensive"
    made = filled(
        {
            "resourceType": "List",
            "id": bare(item.id),
            "meta": {
                "versionId": str(item.version),
                "profile": [f"{MHD}/StructureDefinition/IHE.MHD.{level}.{kind}"],
            },
            "contained": box.contained,
            **found,
            "mode": "working",
            "code": {"coding": [{"system": LIST_TYPES, "code": SUBMISSION_SET if is_set else FOLDER}]},
            "entry": [{"item": {"reference": reference}} for reference in held],
        }
    )
    return of_list(made, custodian, folder=not is_set)


def set_of(resource: Mapping[str, Any], box: Box, item_id: str) -> SubmissionSet:
    """The submission set of a submitted List. Raises Invalid."""
    _check_list(resource)
    found = _with_subject(mapping.read(SET, resource, box))
    return SubmissionSet(**{"id": item_id, "unique_id": "", "source_id": "", "submission_time": "", **found})


def folder_of(resource: Mapping[str, Any], box: Box, item_id: str) -> Folder:
    """The folder of a submitted List. Raises Invalid."""
    _check_list(resource)
    found = _with_subject(mapping.read(FOLDERS, resource, box))
    return Folder(**{"id": item_id, "unique_id": "", **found})


def kind_of(resource: Mapping[str, Any]) -> str:
    """submissionset or folder. Raises Invalid."""
    code = code_of(resource.get("code"))
    if code is None or code.value not in (SUBMISSION_SET, FOLDER):
        raise Invalid("A List's code is submissionset or folder.", location="List.code")
    return code.value


def _check_list(resource: Mapping[str, Any]) -> None:
    """What every submitted List says of itself (FHIR R4: 12.4.2; MHD 4.2: SubmissionSet, Folder). Raises Invalid."""
    for name, only in (("status", "current"), ("mode", "working")):
        if resource.get(name) != only:
            raise Invalid(f"A List that is submitted has the {name} {only}.", location=f"List.{name}")
    check_unmodified(resource, "List")
    if any(item.get("deleted", False) is not False for item in listed(resource, "entry") if isinstance(item, dict)):
        raise Invalid("Nothing is deleted from a List that is submitted.", location="List.entry.deleted")  # lst-2


def _with_subject(found: dict[str, Any]) -> dict[str, Any]:
    if "patient_id" not in found:
        raise Invalid("A List needs a subject.", location="List.subject")
    return found
