"""The codes that the affinity domain allows (ITI TF-3: 4.2.3.1.2): checked for the attributes that have a list."""

from collections.abc import Callable, Iterable, Mapping, Set

from hub.documents.errors import RegistryMetadataError
from hub.documents.model import Submission
from hub.documents.rules import label, printable
from hub.documents.structure import objects
from hub.values import Code

#: attribute -> (code, coding scheme) pairs; for mimeType the scheme is "".
Codes = Mapping[str, Set[tuple[str, str]]]
#: The lists as of now: they may change while the hub runs.
Source = Callable[[], Codes]

_ONE = {
    "classCode": "class_code",
    "typeCode": "type_code",
    "formatCode": "format_code",
    "healthcareFacilityTypeCode": "healthcare_facility_type_code",
    "practiceSettingCode": "practice_setting_code",
    "contentTypeCode": "content_type_code",
    "associationDocumentation": "documentation",
}
_SEVERAL = {
    "confidentialityCode": "confidentiality_codes",
    "eventCodeList": "event_codes",
    "codeList": "codes",
}
ATTRIBUTES = frozenset({*_ONE, *_SEVERAL, "mimeType"})


class Vocabulary:
    """The lists, or where to have them from. An attribute without a list is not checked; None checks nothing."""

    def __init__(self, codes: Codes | Source | None = None) -> None:
        self._source: Source = codes if callable(codes) else lambda: codes or {}

    def check(self, submission: Submission) -> None:
        """Raises RegistryMetadataError for the first code that is not in its list."""
        codes = self._source()
        for item in objects(submission) if codes else ():
            for attribute, code in _codes_of(item):
                allowed = codes.get(attribute)
                if allowed is not None and (code.value, code.scheme) not in allowed:
                    scheme = printable(code.scheme) or "no scheme"
                    raise RegistryMetadataError(
                        f"{label(item)}: {attribute} {printable(code.value)} of {scheme} is not a code "
                        "of this affinity domain (ITI TF-3: 4.2.3.1.2).",
                        location=attribute,
                    )


def _codes_of(item: object) -> Iterable[tuple[str, Code]]:
    for attribute, name in _ONE.items():
        code = getattr(item, name, None)
        if code is not None:
            yield attribute, code
    for attribute, name in _SEVERAL.items():
        for code in getattr(item, name, ()):
            yield attribute, code
    mime_type = getattr(item, "mime_type", "")
    if mime_type:
        yield "mimeType", Code(mime_type.partition(";")[0].strip(), "")
