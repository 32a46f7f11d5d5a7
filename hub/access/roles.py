"""What persons may do, by role: patterns of permissions."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

ROLES: Mapping[str, frozenset[str]] = {
    "clinician": frozenset(
        {
            "portal.*",
            "patients.query",
            "documents.query",
            "documents.retrieve",
            "imaging.query",
            "imaging.retrieve",
            "imaging.export",
            "mail.send",
            "federation.query",
            "consents.*",
            "rights.break-glass",
            "rights.declare",
        }
    ),
    "author": frozenset(
        {
            "patients.query",
            "patients.discover",
            "documents.submit",
            "imaging.order",
            "subscriptions.subscribe",
            "consents.*",
        }
    ),
    "operator": frozenset({"portal.*", "exchange.*", "sources.*"}),
    "steward": frozenset({"portal.*", "patients.*"}),
    "officer": frozenset({"portal.*", "audit.*", "consents.query", "rights.oversee", "rights.explain"}),
}


#: What those ask for who treat nobody (HL7 v3 ActReason): of several roles the first one's.
PURPOSES: Mapping[str, str] = {
    "officer": "HCOMPL",
    "steward": "PATADMIN",
    "secretary": "PATADMIN",
    "operator": "HSYSADMIN",
    "patient": "PATRQT",
    "representative": "FAMRQT",
}


def purpose_of(roles: Iterable[str]) -> str:
    """What for somebody of these roles asks who says nothing of it; "" where a role of theirs treats people."""
    mine = frozenset(roles)
    return next((code for role, code in PURPOSES.items() if role in mine), "") if mine <= PURPOSES.keys() else ""


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """Everything that the roles permit together. An unknown role permits nothing."""
    return _of(frozenset(roles))


@lru_cache(maxsize=256)
def _of(roles: frozenset[str]) -> frozenset[str]:
    """The same set for the same roles: what is worked out of it, by its hash, is found again at once."""
    return frozenset(pattern for role in roles for pattern in ROLES.get(role, ()))
