"""Names in certificates: an exact one, or patterns for some of its parts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.x509.oid import NameOID

from hub.errors import Invalid

PARTS: Mapping[str, x509.ObjectIdentifier] = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
}
#: Attributes that French subjects have and RFC 4514 has no short name for.
ATTRIBUTES: Mapping[str, x509.ObjectIdentifier] = {
    "SN": NameOID.SURNAME,
    "GN": NameOID.GIVEN_NAME,
    "TITLE": NameOID.TITLE,
    "T": NameOID.TITLE,
}
#: A name, whatever the order within its multi-valued parts.
Comparable = tuple[frozenset[tuple[str, str]], ...]


class NameUnreadable(Invalid):
    """A certificate's name in the settings can't be read."""

    code = "certificate-name"
    title = "The name is not one that RFC 4514 can read, nor patterns for CN, O and OU."


def comparable(name: x509.Name) -> Comparable:
    """The name, so that two that mean the same are equal."""
    return tuple(frozenset((item.oid.dotted_string, str(item.value)) for item in part) for part in name.rdns)


def exact_name(text: str) -> Comparable:
    """A name as RFC 4514 writes it (the last part first). Raises NameUnreadable."""
    try:
        name = x509.Name.from_rfc4514_string(text, dict(ATTRIBUTES))
    except ValueError as error:
        raise NameUnreadable() from error
    if not name.rdns:
        raise NameUnreadable()
    return comparable(name)


@dataclass(frozen=True)
class SubjectPattern:
    """Patterns for CN, O and OU: each must fit one value of the subject; ``*`` stands for any text.

    Raises NameUnreadable when there is none, or one for another attribute."""

    patterns: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.patterns or any(part not in PARTS or not text for part, text in self.patterns.items()):
            raise NameUnreadable()

    @cached_property
    def _compiled(self) -> tuple[tuple[x509.ObjectIdentifier, re.Pattern[str]], ...]:
        return tuple((PARTS[part], _regular(text)) for part, text in self.patterns.items())

    def fits(self, name: x509.Name) -> bool:
        """Whether the subject has a value for every pattern."""
        return all(
            any(pattern.fullmatch(str(item.value)) for item in name.get_attributes_for_oid(oid))
            for oid, pattern in self._compiled
        )


def subject_fits(wanted: str | Mapping[str, str], name: x509.Name) -> bool:
    """Whether a subject is the one that the settings describe, exactly or by patterns. Raises NameUnreadable."""
    if isinstance(wanted, str):
        return exact_name(wanted) == comparable(name)
    return SubjectPattern(wanted).fits(name)


def _regular(text: str) -> re.Pattern[str]:
    """Atomic groups: the first place where a run fits is taken, so that no subject can make matching explode."""
    first, *others = map(re.escape, re.split(r"\*+", text))
    between = "".join(f"(?>.*?{run})" for run in others[:-1])
    return re.compile(first + between + (f".*{others[-1]}" if others else ""), re.DOTALL)
