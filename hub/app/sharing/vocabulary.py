"""Reads the affinity domain's codes from one file, and again whenever the file changes.

IHE SVS value sets (ITI-48, ITI-60), FHIR ValueSets (alone, in a Bundle, in an array), or the ``codes.xml`` of the test
tools (``Codes/CodeType/Code``). Every value set belongs to the attribute that its name is or starts with.
"""

import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hub.documents.vocabulary import ATTRIBUTES
from hub.errors import HubError, Misconfigured
from hub.wire.fhir.codes import scheme_of
from hub.wire.xml import Element, parse_xml

log = logging.getLogger(__name__)

Codes = Mapping[str, frozenset[tuple[str, str]]]

_SVS = "{urn:ihe:iti:svs:2008}"
MAX_BYTES = 32 * 1024 * 1024


class VocabularyRefused(Misconfigured):
    """The vocabulary file can't be read, or names no attribute of the metadata."""

    code = "vocabulary-refused"
    title = "The vocabulary file is not usable."


class VocabularyFile:
    """The codes of a file, as of now. A new file that can't be used is told of once, and the codes stay as they were.

    Raises VocabularyRefused when it is made and the file is not usable."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problem = ""  #: why the file as it is now is not used; safe to show
        self._lock = threading.Lock()
        self._seen = self._look()
        self._codes = read(file)

    def __call__(self) -> Codes:
        """The codes; the file is looked at each time, and read when it is another."""
        looked = self._look()
        if looked != self._seen:
            with self._lock:
                if looked != self._seen:
                    self._reload()
                    self._seen = looked
        return self._codes

    def _look(self) -> tuple[int, ...]:
        try:
            found = self.file.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _reload(self) -> None:
        try:
            self._codes = read(self.file)
        except VocabularyRefused as error:
            self.problem = error.message
            log.warning("The new vocabulary file is not used, the codes stay as they were: %s", error.message)
        else:
            self.problem = ""
            log.info("The vocabulary file was read again: %d attributes have a list.", len(self._codes))


def read(file: Path) -> Codes:
    """Attribute (``classCode`` ...) -> allowed (code, coding scheme) pairs. Raises VocabularyRefused.

    A value set belongs to the attribute that its ``displayName`` (SVS), ``name`` or ``title`` (FHIR) is or starts with.
    In FHIR the coding scheme is the system: ``urn:oid:`` is taken off, a known URI (LOINC's ...) is the OID that XDS.b
    has for it. Media types (``mimeType``) have no scheme."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise VocabularyRefused(f"The vocabulary file can't be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise VocabularyRefused(f"The vocabulary file is larger than {MAX_BYTES} bytes.")
    pairs = _fhir(raw) if raw.lstrip()[:1] in (b"{", b"[") else _xml(raw)
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for name, (code, scheme) in pairs:
        attribute = _attribute(name)
        if attribute and not code:
            raise VocabularyRefused(f"A value set of {attribute} has a concept without its code.")
        if attribute:
            found[attribute].add((code, "" if attribute == "mimeType" else scheme))
    if not found:
        raise VocabularyRefused("No value set of the vocabulary file is named after an attribute (classCode ...).")
    return {attribute: frozenset(allowed) for attribute, allowed in found.items()}


def _attribute(name: str) -> str:
    plain = "".join(character for character in name if character.isalnum()).lower().removeprefix("documententry")
    return next((item for item in sorted(ATTRIBUTES, key=len, reverse=True) if plain.startswith(item.lower())), "")


def _xml(raw: bytes) -> Iterator[tuple[str, tuple[str, str]]]:
    try:
        root = parse_xml(raw, max_bytes=MAX_BYTES)
    except HubError as error:
        raise VocabularyRefused(f"The vocabulary file is not readable XML: {error.message}") from error
    return _toolkit(root) if root.tag == "Codes" else _svs(root)


def _svs(root: Element) -> Iterator[tuple[str, tuple[str, str]]]:
    for value_set in root.iter(f"{_SVS}ValueSet", f"{_SVS}DescribedValueSet"):
        for concept in value_set.iter(f"{_SVS}Concept"):
            scheme = concept.get("codeSystem") or concept.get("codeSystemName") or ""
            yield value_set.get("displayName") or "", (concept.get("code") or "", scheme)


def _toolkit(root: Element) -> Iterator[tuple[str, tuple[str, str]]]:
    for kind in root.iter("CodeType"):
        for code in kind.iter("Code"):
            yield kind.get("name") or "", (code.get("code") or "", code.get("codingScheme") or "")


def _fhir(raw: bytes) -> Iterator[tuple[str, tuple[str, str]]]:
    try:
        document = json.loads(raw)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise VocabularyRefused("The vocabulary file is not readable JSON.") from error
    for value_set in _value_sets(document):
        name = str(value_set.get("name") or value_set.get("title") or "")
        if _attribute(name):
            yield from ((name, pair) for pair in _pairs(value_set, name))


def _pairs(value_set: Mapping[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """The codes of a ValueSet: its expansion where it has one, else what its compose lists."""
    expansion = _object(value_set.get("expansion"))
    if expansion.get("contains"):
        yield from _contained(expansion)
        return
    compose = _object(value_set.get("compose"))
    if compose.get("exclude"):
        raise VocabularyRefused(f"The ValueSet {name} excludes codes: give it with its expansion.")
    for include in _objects(compose.get("include")):
        concepts = _objects(include.get("concept"))
        if not concepts or include.get("filter") or include.get("valueSet"):
            raise VocabularyRefused(f"The ValueSet {name} does not list its codes: give it with its expansion.")
        for concept in concepts:
            yield str(concept.get("code", "")), _scheme(include)


def _contained(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for concept in _objects(item.get("contains")):
        if concept.get("code") and not concept.get("abstract"):
            yield str(concept["code"]), _scheme(concept)
        yield from _contained(concept)


def _scheme(item: Mapping[str, Any]) -> str:
    return scheme_of(str(item.get("system", "")))


def _value_sets(document: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(document, list):
        for item in document:
            yield from _value_sets(item)
    elif isinstance(document, dict) and document.get("resourceType") == "ValueSet":
        yield document
    elif isinstance(document, dict) and document.get("resourceType") == "Bundle":
        for entry in _objects(document.get("entry")):
            yield from _value_sets(entry.get("resource"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
