"""What is kept of traits beside themselves: their text as stored, and what they are looked up by.

It depends on nothing else, so an import's reader reckons it in a process of its own; everybody else where it is
wanted."""

from dataclasses import dataclass, fields

from hub.patients import matching
from hub.patients.model import Traits
from hub.patients.normalise import given_names, search_keys
from hub.storage.columns import json_text

_TRAITS = tuple(item.name for item in fields(Traits))


@dataclass(frozen=True, slots=True)
class Forms:
    """Of one identity's traits."""

    text: str  #: JSON of those that are known
    given: str  #: every given name, each behind a blank
    names: tuple[str, ...]  #: what it is found under
    strict: int | None  #: hash of the strict traits, whoever may go by them


def forms(traits: Traits) -> Forms:
    """The forms of these traits."""
    return Forms(json_text(known(traits)), given(traits), search_keys(traits), matching.strict_hash(traits))


def known(traits: Traits) -> dict[str, object]:
    """The traits that are not empty, by their names."""
    return {name: value for name in _TRAITS if (value := getattr(traits, name))}


def given(traits: Traits) -> str:
    """As stored."""
    return f" {' '.join(given_names(traits))}"
