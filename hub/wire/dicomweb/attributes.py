"""Query attributes of QIDO-RS (PS3.18: 10.6) as data: what may be asked, at which level, and how it is matched."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from hub.errors import Invalid
from hub.wire.dicom import KEYWORDS, hex_tag


class Matching(StrEnum):
    """How a key is matched (PS3.4: C.2.2.2)."""

    UID = "uid"  #: one or several, exact
    SINGLE = "single"  #: exact
    RANGE = "range"  #: date or date range
    WILDCARD = "wildcard"  #: ``*`` and ``?``
    LIST = "list"  #: any of several


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that may be asked for."""

    keyword: str
    level: str  #: STUDY, SERIES or IMAGE: the highest level at which it is a key
    matching: Matching

    @property
    def tag(self) -> str:
        """``00100020``."""
        return hex_tag(self.keyword)


ATTRIBUTES = (
    Attribute("StudyInstanceUID", "STUDY", Matching.UID),
    Attribute("StudyDate", "STUDY", Matching.RANGE),
    Attribute("StudyTime", "STUDY", Matching.RANGE),
    Attribute("AccessionNumber", "STUDY", Matching.SINGLE),
    Attribute("ModalitiesInStudy", "STUDY", Matching.LIST),
    Attribute("ReferringPhysicianName", "STUDY", Matching.WILDCARD),
    Attribute("StudyDescription", "STUDY", Matching.WILDCARD),
    Attribute("PatientName", "STUDY", Matching.WILDCARD),
    Attribute("PatientID", "STUDY", Matching.SINGLE),
    Attribute("IssuerOfPatientID", "STUDY", Matching.SINGLE),
    Attribute("PatientBirthDate", "STUDY", Matching.RANGE),
    Attribute("StudyID", "STUDY", Matching.SINGLE),
    Attribute("Modality", "SERIES", Matching.LIST),
    Attribute("SeriesInstanceUID", "SERIES", Matching.UID),
    Attribute("SeriesNumber", "SERIES", Matching.SINGLE),
    Attribute("SeriesDescription", "SERIES", Matching.WILDCARD),
    Attribute("BodyPartExamined", "SERIES", Matching.WILDCARD),
    Attribute("SOPClassUID", "IMAGE", Matching.UID),
    Attribute("SOPInstanceUID", "IMAGE", Matching.UID),
    Attribute("InstanceNumber", "IMAGE", Matching.SINGLE),
)
BY_KEYWORD: Mapping[str, Attribute] = {item.keyword: item for item in ATTRIBUTES}
#: Parameters of a query that are no attributes.
CONTROL = ("accept", "includefield", "limit", "offset", "fuzzymatching", "emptyvaluematching", "multiplevaluematching")
LEVELS = ("STUDY", "SERIES", "IMAGE")
_ALWAYS = (
    "SpecificCharacterSet", "RetrieveURL", "InstanceAvailability", "RetrieveAETitle",
    "OtherPatientIDsSequence", "IssuerOfPatientIDQualifiersSequence",
)  # fmt: skip
#: Attributes of the matches, by level: includefield adds none (PS3.18: 8.3.4.3).
INCLUDED: Mapping[str, frozenset[str]] = {level: KEYWORDS[level].union(_ALWAYS) for level in LEVELS}


def keyword_of(name: str) -> str:
    """The keyword of a query parameter given as keyword or as tag (``00100020``). Raises Invalid."""
    if name in BY_KEYWORD:
        return name
    if len(name) == 8 and all(letter in "0123456789abcdefABCDEF" for letter in name):
        keyword = keyword_for_tag(int(name, 16))
        if keyword:
            return str(keyword)
    hex_tag(name)  # raises Invalid for what is no keyword either
    return name


def known_keyword(name: str) -> str:
    """The keyword of an includefield, a keyword or tag, or a path of them into sequences; "" when it is none."""
    first = name.partition(".")[0]
    if len(first) == 8 and all(letter in "0123456789abcdefABCDEF" for letter in first):
        return str(keyword_for_tag(int(first, 16)))
    return first if tag_for_keyword(first) is not None else ""


def attribute_of(name: str, level: str) -> Attribute:
    """The attribute of a query parameter at a level. Raises Invalid for one that can't be a key there."""
    keyword = keyword_of(name)
    found = BY_KEYWORD.get(keyword)
    if found is None or LEVELS.index(found.level) > LEVELS.index(level):
        raise Invalid(
            "This attribute is not a matching key at this level.", attribute=keyword, section="PS3.18: 10.6.1.2"
        )
    return found
