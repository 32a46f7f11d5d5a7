"""Reads the affinity domain's codes: IHE SVS value sets (ITI-48, ITI-60) or FHIR ValueSets, one file for all."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hub.documents.vocabulary import ATTRIBUTES
from hub.errors import HubError, Misconfigured
from hub.wire.xml import parse_xml

Codes = Mapping[str, frozenset[tuple[str, str]]]

_SVS = "{urn:ihe:iti:svs:2008}"
MAX_BYTES = 32 * 1024 * 1024


class VocabularyRefused(Misconfigured):
    """The vocabulary file can't be read, or names no attribute of the metadata."""

    code = "vocabulary-refused"
    title = "The vocabulary file is not usable."


def read(file: Path) -> Codes:
    """Attribute (``classCode`` ...) -> allowed (code, coding scheme) pairs. Raises VocabularyRefused.

    A value set belongs to the attribute that its ``displayName`` (SVS), ``name`` or ``title`` (FHIR) is or starts with.
    In FHIR the coding scheme is the system; ``urn:oid:`` is taken off, as XDS.b names schemes by OID."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise VocabularyRefused(f"The vocabulary file can't be read: {error.strerror}.") from error
    pairs = _fhir(raw) if raw.lstrip()[:1] in (b"{", b"[") else _svs(raw)
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for name, pair in pairs:
        attribute = _attribute(name)
        if attribute:
            found[attribute].add(pair)
    if not found:
        raise VocabularyRefused("No value set of the vocabulary file is named after an attribute (classCode ...).")
    return {attribute: frozenset(allowed) for attribute, allowed in found.items()}


def _attribute(name: str) -> str:
    plain = "".join(character for character in name if character.isalnum()).lower()
    return next((item for item in sorted(ATTRIBUTES, key=len, reverse=True) if plain.startswith(item.lower())), "")


def _svs(raw: bytes) -> Iterator[tuple[str, tuple[str, str]]]:
    try:
        root = parse_xml(raw, max_bytes=MAX_BYTES)
    except HubError as error:
        raise VocabularyRefused(f"The vocabulary file is not readable XML: {error.message}") from error
    for value_set in root.iter(f"{_SVS}ValueSet", f"{_SVS}DescribedValueSet"):
        for concept in value_set.iter(f"{_SVS}Concept"):
            scheme = concept.get("codeSystem") or concept.get("codeSystemName") or ""
            yield value_set.get("displayName") or "", (concept.get("code") or "", scheme)


def _fhir(raw: bytes) -> Iterator[tuple[str, tuple[str, str]]]:
    try:
        document = json.loads(raw)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VocabularyRefused("The vocabulary file is not readable JSON.") from error
    for value_set in _value_sets(document):
        name = str(value_set.get("name") or value_set.get("title") or "")
        compose = value_set.get("compose") or {}
        for include in compose.get("include", ()):
            for concept in include.get("concept", ()):
                yield name, (str(concept.get("code", "")), _scheme(include))
        for concept in (value_set.get("expansion") or {}).get("contains", ()):
            yield name, (str(concept.get("code", "")), _scheme(concept))


def _scheme(item: Mapping[str, Any]) -> str:
    return str(item.get("system", "")).removeprefix("urn:oid:")


def _value_sets(document: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(document, list):
        for item in document:
            yield from _value_sets(item)
    elif isinstance(document, dict) and document.get("resourceType") == "ValueSet":
        yield document
    elif isinstance(document, dict) and document.get("resourceType") == "Bundle":
        for entry in document.get("entry", ()):
            yield from _value_sets(entry.get("resource"))
