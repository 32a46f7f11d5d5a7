"""The French constraints on shared documents: ANS, Partage de documents de santé en mobilité (PDSm 3.1.1).

What its profiles ask beyond MHD's comprehensive ones, one table a profile; and what answers say besides.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.documents.sharing_model import Custodian
from hub.wire.fhir.codes import MHD, URI, code_of

_PROFILE = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
ARCHIVED = f"{_PROFILE}pdsm-ext-is-archived"
DELETED = f"{_PROFILE}pdsm-ext-is-deleted"
_DESIGNATION = f"extension:{MHD}/StructureDefinition/ihe-designationType"

#: Terminologies that a code must come from (constr-bind-*): TRE_A00 who is no professional, TRE_R02 sector of activity,
#: TRE_A01 practice setting (whose codes JDV_J04 holds), TRE_R209 activity.
_NOBODY, _SECTOR, _PRACTICE, _ACTIVITY = (
    "1.2.250.1.213.1.1.4.6",
    "1.2.250.1.71.4.2.4",
    "1.2.250.1.213.1.1.4.9",
    "1.2.250.1.213.2.2",
)
_TYPES = frozenset({"1.2.250.1.213.1.1.4.12", "2.16.840.1.113883.6.1", "ASTM"})
_CLASSES = frozenset({"1.2.250.1.213.1.1.4.1", "URN"})
_FORMATS = frozenset(
    {"1.2.250.1.213.1.1.4.2.282", "1.3.6.1.4.1.19376.1.2.3", "1.3.6.1.4.1.19376.1.2.7.1", "1.2.840.10008.2.6.1", "URN"}
)
_PLACES = frozenset({_NOBODY, _SECTOR})
_SETTINGS = frozenset({_NOBODY, _SECTOR, _PRACTICE})
_ACTIVITIES = frozenset({_NOBODY, _ACTIVITY, _SECTOR})


@dataclass(frozen=True, slots=True)
class Constraint:
    """One element: how often it stands, and the coding schemes that its code may come from (empty: any)."""

    element: str
    least: int = 0
    most: int | None = None
    schemes: frozenset[str] = frozenset()


_CODES = (
    Constraint("type", schemes=_TYPES),
    Constraint("category", schemes=_CLASSES),
    Constraint("content.format", schemes=_FORMATS),
    Constraint("context.facilityType", schemes=_PLACES),
    Constraint("context.practiceSetting", schemes=_SETTINGS),
)
_DESCRIBED = (
    Constraint("author", 1),
    Constraint("custodian", 1),
    Constraint("date", 1),
    Constraint("content.attachment.title", 1),
    *_CODES,
)
#: pdsm-comprehensive-document-reference
DOCUMENT = (
    Constraint("contained", 1),
    *_DESCRIBED,
    Constraint("content.attachment.size", 1),
    Constraint("content.attachment.hash", 1),
    Constraint("context.period.start", 1),
)
#: pdsm-simplified-publish
SIMPLIFIED = (*_DESCRIBED, Constraint("context.event", most=1))
#: pdsm-submissionset-comprehensive
SUBMISSION_SET = (
    Constraint("contained", 1),
    Constraint("source", 1),
    Constraint(_DESIGNATION, 1, 1, _ACTIVITIES),
)
#: pdsm-folder-comprehensive
FOLDER = (Constraint(_DESIGNATION, 1, 1), Constraint("date", 1), Constraint("entry", 1))


def missing(resource: Mapping[str, Any], constraints: Iterable[Constraint]) -> tuple[str, ...]:
    """The elements that are not as the constraints want them."""
    kind = resource.get("resourceType", "")
    return tuple(
        f"{kind}.{item.element.partition(':')[0]}" for item in constraints if not _holds(resource, item)
    )  # fmt: skip


def of_document(resource: dict[str, Any], custodian: Custodian | None) -> dict[str, Any]:
    """A DocumentReference as PDSm wants it: who keeps the document, that it is not archived, the profile."""
    if custodian is None:
        return resource
    keeper = {"identifier": {"system": URI, "value": f"urn:oid:{custodian.oid}"}, "display": custodian.name}
    found = _not_archived({**resource, "custodian": keeper})
    return _claimed(found, DOCUMENT, "pdsm-comprehensive-document-reference")


def of_list(resource: dict[str, Any], custodian: Custodian | None, *, folder: bool) -> dict[str, Any]:
    """A List as PDSm wants it."""
    if custodian is None:
        return resource
    if folder:
        return _claimed(resource, FOLDER, "pdsm-folder-comprehensive")
    return _claimed(_not_archived(resource), SUBMISSION_SET, "pdsm-submissionset-comprehensive")


def _not_archived(resource: dict[str, Any]) -> dict[str, Any]:
    """The registry has no archive: every fiche is active."""
    return {**resource, "extension": [*resource.get("extension", ()), {"url": ARCHIVED, "valueBoolean": False}]}


def _claimed(resource: dict[str, Any], constraints: Iterable[Constraint], profile: str) -> dict[str, Any]:
    """With the profile among those that it conforms to, where it does."""
    given = resource["meta"]["profile"]
    if missing(resource, constraints) or not any("Comprehensive" in item for item in given):
        return resource
    return {**resource, "meta": {**resource["meta"], "profile": [*given, f"{_PROFILE}{profile}"]}}


def _holds(resource: Mapping[str, Any], constraint: Constraint) -> bool:
    values = list(_values(resource, constraint.element))
    enough = len(values) >= constraint.least and (constraint.most is None or len(values) <= constraint.most)
    return enough and (not constraint.schemes or all(_scheme(item) in constraint.schemes for item in values))


def _scheme(item: Any) -> str:
    code = code_of(item)
    return code.scheme if code else ""


def _values(found: Any, element: str) -> Iterator[Any]:
    """What stands at a path, lists taken apart; ``extension:url`` gives the values of that extension."""
    if element.startswith("extension:"):
        url = element.partition(":")[2]
        for item in found.get("extension", ()) if isinstance(found, dict) else ():
            if isinstance(item, dict) and item.get("url") == url:
                yield from (value for name, value in item.items() if name.startswith("value"))
        return
    step, _, rest = element.partition(".")
    value = found.get(step) if isinstance(found, dict) else None
    for item in value if isinstance(value, list) else [value]:
        if item not in (None, "", {}):
            yield from _values(item, rest) if rest else (item,)
