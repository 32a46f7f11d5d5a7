"""What a hospital says of an identity beside its traits (PAM-FR: ZFD, ZFP). Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from hub.patients.model import FeedIdentity
from hub.values import PatientIdentifier


@dataclass(frozen=True, slots=True)
class Details:
    """As the hospital's codes have it; "" where it says nothing. Dates: YYYY[MM[DD]]."""

    obtained: str = ""  #: ZFD-5, how the traits came in: SM, CV, INSI, CB, RFID
    checked_on: str = ""  #: ZFD-6, when the national service (INSi) was asked
    document: str = ""  #: ZFD-7, the identity document that was seen: CN, PA, CS, LE, AN ...
    document_until: str = ""  #: ZFD-8, until when that is valid
    date_corrected: str = ""  #: ZFD-4, Y: INSi's answer changed the birth date
    lunar_date: str = ""  #: ZFD-1 as day/month/year of another calendar, or of a date that is known in part
    gestation_weeks: str = ""  #: ZFD-2
    text_messages: str = ""  #: ZFD-3, Y or N: whether text messages are wanted
    occupation: str = ""  #: ZFP-1 (INSEE's PCS, 1 to 8)
    occupation_group: str = ""  #: ZFP-2 (two digits)

    @property
    def said(self) -> dict[str, str]:
        """What is not empty, by name."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name))}

    def after(self, told: Mapping[str, str]) -> "Details":
        """With what a message tells; "" deletes. A new word on how it was checked takes the whole old one's place."""
        kept = replace(self, **dict.fromkeys(_CHECK, "")) if any(told.get(name) for name in _CHECK) else self
        return replace(kept, **told)


#: What belongs together, how an identity was checked: words of two checks are not mixed.
_CHECK = ("obtained", "checked_on", "document", "document_until", "date_corrected")


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
