"""Which attributes an object must have and what their values look like: one table per kind of object.

ITI TF-3: 4.2.3.1.7 to 4.2.3.4. Cardinalities are those of a registration (ITI-42); the repository completes what only
it knows (hash, size, repositoryUniqueId) before these rules are asked.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub.documents import formats
from hub.documents.errors import RegistryError, RegistryMetadataError
from hub.documents.model import (
    OFFLINE,
    ON_DEMAND,
    ONLINE,
    STABLE,
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    Folder,
    RegistryObject,
    SubmissionSet,
)
from hub.values import Code

Read = Callable[[Any], Iterable[Any]]
Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute: how often it stands, in full and in limited metadata, and what a good value is."""

    attribute: str  #: the standard's name
    read: Read
    check: Check
    good: str  #: completes "... must be"
    section: str
    least: int = 0
    most: int | None = None
    limited_least: int = 0


def one(name: str) -> Read:
    """Reads an attribute that holds one value: nothing when it is empty."""

    def read(item: Any) -> Iterable[Any]:
        value = getattr(item, name)
        return () if value is None or value == "" else (value,)

    return read


def many(name: str) -> Read:
    """Reads an attribute that holds several values."""
    return lambda item: getattr(item, name)


def _is_code(code: Code) -> bool:
    return all(0 < len(part) <= 256 for part in (code.value, code.scheme)) and len(code.display) <= 1000


def _is_author(author: Author) -> bool:
    named = author.person or author.institutions or author.telecommunications
    texts = (*author.roles, *author.specialties, *author.telecommunications)
    return (
        bool(named)
        and (not author.person or formats.is_xcn(author.person))
        and all(formats.is_xon(text) for text in author.institutions)
        and all(formats.is_short(text) for text in texts)
    )


def _code(attribute: str, name: str, section: str) -> Rule:
    return Rule(attribute, one(name), _is_code, "a code with its coding scheme", section, least=1, most=1)


def _time(attribute: str, name: str, section: str, least: int = 0) -> Rule:
    return Rule(attribute, one(name), formats.is_dtm, "a DTM (YYYY to YYYYMMDDhhmmss)", section, least=least, most=1)


def _authors(section: str) -> Rule:
    return Rule("author", many("authors"), _is_author, "a person, institution or telecommunication", section)


def _title(attribute: str, section: str, least: int = 0) -> Rule:
    return Rule(attribute, one("title"), formats.is_title, "at most 128 characters", section, least=least, most=1)


def _home(section: str) -> Rule:
    return Rule("homeCommunityId", one("home"), formats.is_home, "urn:oid: and an OID", section, most=1)


_AVAILABILITY = frozenset({ONLINE, OFFLINE})
_CODE = "a code with its coding scheme"
_OID = "an OID of at most 64 characters"

ENTRY_RULES: tuple[Rule, ...] = (
    Rule(
        "objectType",
        one("object_type"),
        lambda value: value in (STABLE, ON_DEMAND),
        "that of a stable or an on-demand document",
        "ITI TF-3: 4.2.5.2",
        1,
        1,
        1,
    ),
    Rule("mimeType", one("mime_type"), formats.is_mime_type, "a media type", "ITI TF-3: 4.2.3.2.17", 1, 1, 1),
    Rule(
        "uniqueId",
        one("unique_id"),
        formats.is_unique_id,
        "at most 128 printable characters without blanks",
        "ITI TF-3: 4.2.3.2.26",
        1,
        1,
        1,
    ),
    _code("classCode", "class_code", "ITI TF-3: 4.2.3.2.3"),
    Rule("confidentialityCode", many("confidentiality_codes"), _is_code, _CODE, "ITI TF-3: 4.2.3.2.5", least=1),
    Rule("eventCodeList", many("event_codes"), _is_code, _CODE, "ITI TF-3: 4.2.3.2.8"),
    _code("formatCode", "format_code", "ITI TF-3: 4.2.3.2.9"),
    _code("healthcareFacilityTypeCode", "healthcare_facility_type_code", "ITI TF-3: 4.2.3.2.11"),
    _code("practiceSettingCode", "practice_setting_code", "ITI TF-3: 4.2.3.2.18"),
    _code("typeCode", "type_code", "ITI TF-3: 4.2.3.2.25"),
    _authors("ITI TF-3: 4.2.3.2.1"),
    _time("creationTime", "creation_time", "ITI TF-3: 4.2.3.2.6", least=1),
    _time("serviceStartTime", "service_start_time", "ITI TF-3: 4.2.3.2.20"),
    _time("serviceStopTime", "service_stop_time", "ITI TF-3: 4.2.3.2.21"),
    Rule("languageCode", one("language_code"), formats.is_language, "a language tag", "ITI TF-3: 4.2.3.2.13", 1, 1),
    Rule("legalAuthenticator", many("legal_authenticators"), formats.is_xcn, "an XCN", "ITI TF-3: 4.2.3.2.14", most=1),
    Rule(
        "sourcePatientId",
        one("source_patient_id"),
        formats.is_cx,
        "a CX with its assigning authority",
        "ITI TF-3: 4.2.3.2.22",
        1,
        1,
    ),
    Rule("sourcePatientInfo", many("source_patient_info"), formats.is_pid_row, "PID-n|value", "ITI TF-3: 4.2.3.2.23"),
    Rule(
        "referenceIdList",
        many("reference_ids"),
        lambda item: formats.is_cxi(item.text),
        "a CXi: id^^^authority^type",
        "ITI TF-3: 4.2.3.2.28",
    ),
    Rule("hash", one("hash"), formats.is_hash, "40 hexadecimal digits", "ITI TF-3: 4.2.3.2.10", 1, 1, 1),
    Rule("size", one("size"), lambda size: 0 <= size < 2**63, "a number of bytes", "ITI TF-3: 4.2.3.2.24", 1, 1, 1),
    Rule("repositoryUniqueId", one("repository_unique_id"), formats.is_oid, _OID, "ITI TF-3: 4.2.3.2.19", 1, 1, 1),
    Rule(
        "documentAvailability",
        one("availability"),
        lambda value: value in _AVAILABILITY,
        "Online or Offline",
        "ITI TF-3: 4.2.3.2.30",
        most=1,
    ),
    _title("title", "ITI TF-3: 4.2.3.2.27"),
    _home("ITI TF-3: 4.2.3.2.12"),
)

#: What a document that is made when it is asked for can't have yet (ITI TF-3: Table 4.2.3.2-1).
NOT_ON_DEMAND = frozenset({"creationTime", "hash", "size", "legalAuthenticator"})
ON_DEMAND_RULES: tuple[Rule, ...] = tuple(
    replace(rule, least=0, limited_least=0, most=0) if rule.attribute in NOT_ON_DEMAND else rule for rule in ENTRY_RULES
)

SUBMISSION_SET_RULES: tuple[Rule, ...] = (
    Rule("uniqueId", one("unique_id"), formats.is_oid, _OID, "ITI TF-3: 4.2.3.3.12", 1, 1, 1),
    Rule("sourceId", one("source_id"), formats.is_oid, _OID, "ITI TF-3: 4.2.3.3.9", 1, 1, 1),
    Rule(
        "submissionTime",
        one("submission_time"),
        formats.is_dtm,
        "a DTM (YYYY to YYYYMMDDhhmmss)",
        "ITI TF-3: 4.2.3.3.10",
        1,
        1,
        1,
    ),
    _code("contentTypeCode", "content_type_code", "ITI TF-3: 4.2.3.3.4"),
    _authors("ITI TF-3: 4.2.3.3.1"),
    Rule(
        "intendedRecipient",
        many("intended_recipients"),
        formats.is_recipient,
        "organisation|person|telecommunication",
        "ITI TF-3: 4.2.3.3.7",
    ),
    _title("title", "ITI TF-3: 4.2.3.3.11"),
    _home("ITI TF-3: 4.2.3.3.6"),
)

FOLDER_RULES: tuple[Rule, ...] = (
    Rule("uniqueId", one("unique_id"), formats.is_oid, _OID, "ITI TF-3: 4.2.3.4.9", 1, 1, 1),
    Rule("codeList", many("codes"), _is_code, _CODE, "ITI TF-3: 4.2.3.4.2", least=1),
    _title("title", "ITI TF-3: 4.2.3.4.8", least=1),
    _home("ITI TF-3: 4.2.3.4.5"),
)

ASSOCIATION_RULES: tuple[Rule, ...] = (
    Rule(
        "associationType",
        one("type"),
        lambda value: value in set(AssociationType),
        "one of ITI TF-3: Table 4.2.2-1",
        "ITI TF-3: 4.2.2",
        1,
        1,
        1,
    ),
    Rule("sourceObject", one("source"), formats.is_short, "an object's id", "ITI TF-3: 4.2.2", 1, 1, 1),
    Rule("targetObject", one("target"), formats.is_short, "an object's id", "ITI TF-3: 4.2.2", 1, 1, 1),
    Rule("associationDocumentation", one("documentation"), _is_code, _CODE, "ITI TF-3: 4.2.2.1.3", most=1),
)

RULES: Mapping[type, tuple[Rule, ...]] = {
    DocumentEntry: ENTRY_RULES,
    SubmissionSet: SUBMISSION_SET_RULES,
    Folder: FOLDER_RULES,
    Association: ASSOCIATION_RULES,
}

#: What a message calls the objects.
NAMES: Mapping[type, str] = {
    DocumentEntry: "DocumentEntry",
    SubmissionSet: "SubmissionSet",
    Folder: "Folder",
    Association: "Association",
}


def label(item: RegistryObject) -> str:
    """``DocumentEntry Document01``: how messages name an object."""
    return f"{NAMES[type(item)]} {printable(item.id)}"


def printable(text: str) -> str:
    """An id as it may stand in a message: short, without control characters."""
    short = text if len(text) <= 80 else f"{text[:77]}..."
    return "".join(character if character.isprintable() else "?" for character in short)


def check_values(item: RegistryObject) -> None:
    """Refuse an object whose attributes break a rule of its table.

    Raises RegistryMetadataError (location: the attribute), RegistryError for a slot name that is not allowed."""
    if not item.id:
        raise RegistryMetadataError(f"An object ({NAMES[type(item)]}) has no id (ITI TF-3: 4.2.1.2).", location="id")
    limited = getattr(item, "limited", False)
    on_demand = isinstance(item, DocumentEntry) and item.object_type == ON_DEMAND
    for rule in ON_DEMAND_RULES if on_demand else RULES[type(item)]:
        _check(rule, item, rule.limited_least if limited else rule.least)
    if isinstance(item, DocumentEntry):
        _check_service_times(item)
    for name in item.extra:
        if not name.startswith("urn:"):
            raise RegistryError(
                f"{label(item)}: the slot {printable(name)} is not of the standard; others start with urn: "
                "(ITI TF-3: 4.2.3.1.6).",
                location=printable(name),
            )


def _check(rule: Rule, item: RegistryObject, least: int) -> None:
    values = tuple(rule.read(item))
    if len(values) < least:
        raise _broken(item, rule, "is missing")
    if rule.most is not None and len(values) > rule.most:
        counted = f"stands {len(values)} times, at most {rule.most} is allowed"
        raise _broken(item, rule, counted if rule.most else "has no place on an on-demand document")
    if not all(rule.check(value) for value in values):
        raise _broken(item, rule, f"must be {rule.good}")


def _broken(item: RegistryObject, rule: Rule, what: str) -> RegistryMetadataError:
    return RegistryMetadataError(
        f"{label(item)}: {rule.attribute} {what} ({rule.section}).",
        location=rule.attribute,
        object=printable(item.id),
        section=rule.section,
    )


def _check_service_times(entry: DocumentEntry) -> None:
    start, stop = formats.pad_dtm(entry.service_start_time), formats.pad_dtm(entry.service_stop_time)
    # A coarser stop ("2024") names its whole period: compare only the digits that both have.
    common = min(len(entry.service_start_time), len(entry.service_stop_time))
    if start and stop and start[:common] > stop[:common]:
        raise RegistryMetadataError(
            f"{label(entry)}: serviceStartTime is after serviceStopTime (ITI TF-3: 4.2.3.2.21).",
            location="serviceStopTime",
        )
