"""What a record of the trail says in plain words: rules as data, keys of the texts."""

from collections.abc import Mapping

from hub.access.roles import PURPOSES
from hub.audit.model import AuditOutcome, AuditRecord
from hub.portal.visit import Phrases

#: What a transaction did, where its event code would say another thing or too little; with its action, where the hub
#: sends what it otherwise receives.
_SAID: Mapping[str, tuple[str, ...]] = {
    "documents_listed": ("ITI-18", "ITI-38", "ITI-51", "ITI-66", "ITI-67", "XCA-ITI-18", "PORTAL-DOCUMENTS",
                         "PORTAL-DOCUMENT-LIFE", "PORTAL-NATIONAL"),
    "studies_listed": ("RAD-14", "RAD-129", "FHIR-ImagingStudy", "PORTAL-STUDIES", "PORTAL-STUDY"),
    "document_read": ("PORTAL-NATIONAL-DOCUMENT",),
    "document_changed": ("PORTAL-NATIONAL-CHANGE",),
    "exported": ("PORTAL-PACKAGE",),
    "images_copied": ("PORTAL-EXPORT", "DRIM-EXPORT"),
    "letter_sent": ("PORTAL-LETTER-SEND", "ITI-32"),
    "sent_nationally": ("TD2.1",),
    "told": ("ITI-10", "ITI-46", "ITI-53"),
    "notices_read": ("ITI-70",),
    "acknowledged": ("CISIS-ZAM",),
    "identity_sent": ("ITI-93 R",),
    "subscribed": ("ITI-52", "ITI-94"),
    "national_opened": ("PORTAL-NATIONAL-WEB",),
    "message_read": ("PORTAL-MESSAGE-RAW",),
    "letters_read": ("PORTAL-LETTER-PREPARE", "PORTAL-LETTERS-OF", "PORTAL-AWAITING"),
    "images_read": ("PORTAL-VIEWER", "PORTAL-REMOTE"),
    "consent_read": ("FHIR-Consent-query", "PORTAL-RIGHTS"),
    "consent_changed": ("FHIR-Consent-record", "PORTAL-CONSENT"),
    "care_declared": ("PORTAL-CARE", "PORTAL-NATIONAL-AUTHORISE"),
    "glass_broken": ("PORTAL-GLASS",),
    "linked": (
        *("FHIR-Patient-link", "FHIR-Patient-unlink"),
        *("PORTAL-DECIDE", "PORTAL-LINK", "PORTAL-UNLINK", "PORTAL-WITHDRAW"),
    ),
    "trail_kept": ("ITI-20",),
    "technical": ("ITI-102", "ITI-103", "OAuth-keys"),
}  # fmt: skip
BY_TRANSACTION = {transaction: word for word, every in _SAID.items() for transaction in every}
_EVENTS: Mapping[tuple[str, str], str] = {
    ("110112", "E"): "identity_read",
    ("110106", "R"): "document_read",
    ("110104", "R"): "images_read",
    ("110103", "R"): "images_read",
    ("110104", "C"): "images_stored",
    ("110103", "U"): "images_told",
    ("110107", "C"): "document_stored",
    ("110107", "U"): "document_changed",
    ("110110", "R"): "identity_read",
    ("110110", "C"): "identity_changed",
    ("110110", "U"): "identity_changed",
    ("110110", "D"): "removed",
    ("110109", "U"): "ordered",
    ("110101", "R"): "trail_read",
    ("110114", "E"): "identified",
}
#: Kinds that the officer may ask for -> (event codes, what was done).
KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "read": (("110103", "110104", "110106", "110110"), ("R",)),
    "asked": (("110112",), ()),
    "changed": (("110103", "110104", "110107", "110109", "110110"), ("C", "U", "D")),
    "urgent": (("110113",), ()),
    "looked": (("110101",), ()),
}
_PURPOSES = ("normal", "bris_de_glace", "centre_15", *PURPOSES.values())


def what(record: AuditRecord) -> str:
    """The key of what was done."""
    said = BY_TRANSACTION.get(f"{record.transaction} {record.action}") or BY_TRANSACTION.get(record.transaction)
    known = said or _EVENTS.get((record.event_code, record.action))
    return f"trail.what.{known or 'other'}"


def why(record: AuditRecord) -> str:
    """The key of the purpose."""
    return f"trail.why.{record.purpose if record.purpose in _PURPOSES else 'unsaid'}"


def result(record: AuditRecord) -> str:
    """The key of how it ended."""
    if record.outcome is AuditOutcome.SUCCESS:
        return "trail.result.done"
    refused = record.outcome is AuditOutcome.SERIOUS_FAILURE
    return "trail.result.refused" if refused else "trail.result.failed"


def who(record: AuditRecord, phrases: Phrases) -> str:
    """A name for a person's eyes: the professional's, the user's, else the system's."""
    found = record.professional
    if found is not None and (found.family or found.given):
        return f"{found.given} {found.family}".strip()
    if record.scheme == "loopback":
        return phrases.maybe(f"principal.{record.principal_id}", record.principal_name)
    return record.principal_name or record.principal_id


def where(record: AuditRecord) -> str:
    """The structure, as far as somebody said it."""
    found = record.professional
    if found is not None and (found.structure_name or found.structure):
        return found.structure_name or found.structure
    return record.organisation


def of_people(record: AuditRecord) -> bool:
    """Whether it belongs into what the patient is shown: people and systems that saw or changed something, not secret
    connections, not what was refused before anything was shown, not the trail's own readers."""
    shown = record.outcome is AuditOutcome.SUCCESS and not record.secret
    return shown and record.event_code != "110101" and record.scheme != "internal"
