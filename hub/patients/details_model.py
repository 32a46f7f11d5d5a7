"""What a hospital says of an identity beside its traits (PAM-FR: ZFD, ZFP). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.patients.model import Details, FeedIdentity
from hub.values import PatientIdentifier

__all__ = ["Details", "FeedDetails", "IdentityDetails"]


@dataclass(frozen=True, slots=True)
class FeedDetails(FeedIdentity):
    """As FeedIdentity, with what is said beside the traits. Outcome: Fed.

    ``details``: by name of a field of ``Details``; "" deletes what was said before."""

    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdentityDetails:
    """Whose, and what."""

    identity: PatientIdentifier
    details: Details
