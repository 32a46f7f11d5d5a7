"""What a stored query can't ask, decided after reading: names, codes without a scheme, periods (FHIR R4: 3.1.1.5)."""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from hub.documents.formats import pad_dtm
from hub.documents.model import DocumentEntry, Folder, SubmissionSet
from hub.documents.sharing_model import Matching

Listed = DocumentEntry | SubmissionSet | Folder


def fits(matching: Matching) -> Callable[[Listed], bool]:
    """Whether an object is as asked."""
    if matching.nothing:
        return lambda _item: False
    tests: list[Callable[[Any], bool]] = []
    if matching.statuses:
        tests.append(lambda item: item.status in matching.statuses)
    tests += [_numbered(values) if part == "identifier" else _named(part, values) for part, values in matching.names]
    tests += [_coded(fields, frozenset(values)) for fields, values in matching.codes]
    if matching.start_from or matching.start_before or matching.stop_from or matching.stop_before:
        tests.append(lambda item: _in_time(item, matching))
    return lambda item: all(test(item) for test in tests)


def _named(part: str, beginnings: Iterable[str]) -> Callable[[Any], bool]:
    """Whether an author's family or given name begins so (FHIR R4: 3.1.1.5.9, string)."""
    wanted = tuple(map(_plain, beginnings))

    def test(item: Any) -> bool:
        for author in getattr(item, "authors", ()):
            parts = [*author.person.split("^"), "", "", "", ""]
            names = [parts[1]] if part == "family" else [parts[2], *parts[3].split()]
            if any(_plain(name).startswith(wanted) for name in names if name):
                return True
        return False

    return test


def _numbered(wanted: Iterable[str]) -> Callable[[Any], bool]:
    """Whether an author has such a number: ``number``, or ``number^oid`` of its authority."""
    numbers = frozenset(wanted)

    def test(item: Any) -> bool:
        for author in getattr(item, "authors", ()):
            parts = [*author.person.split("^"), *[""] * 9]
            authority = parts[8].split("&")[1] if "&" in parts[8] else ""
            if parts[0] and not numbers.isdisjoint((parts[0], f"{parts[0]}^{authority}")):
                return True
        return False

    return test


def _plain(text: str) -> str:
    """Without accents and case."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def _coded(fields: Iterable[str], wanted: frozenset[str]) -> Callable[[Any], bool]:
    def test(item: Any) -> bool:
        values = [getattr(item, name, None) for name in fields]
        codes = [code for value in values for code in (value if isinstance(value, tuple) else (value,))]
        return any(code is not None and (code.value in wanted or code.key in wanted) for code in codes)

    return test


def _in_time(item: Any, asked: Matching) -> bool:
    """Whether the service lies as asked; a service of which only one end is known was that moment."""
    start = pad_dtm(getattr(item, "service_start_time", ""))
    stop = pad_dtm(getattr(item, "service_stop_time", "")) or start
    start = start or stop
    return (
        bool(start)
        and (not asked.start_from or start >= asked.start_from)
        and (not asked.start_before or start < asked.start_before)
        and (not asked.stop_from or stop >= asked.stop_from)
        and (not asked.stop_before or stop < asked.stop_before)
    )


_TIME = {DocumentEntry: "creation_time", SubmissionSet: "submission_time", Folder: "last_update_time"}


def in_order(found: Iterable[Listed], order: Iterable[tuple[str, bool]]) -> list[Listed]:
    """Sorted by attributes (``time``: that of the object's kind), each up or down; else, and among equals, the newest
    first. What lacks an attribute comes last."""
    items = sorted(found, key=lambda item: (-int(pad_dtm(_value(item, "time")) or "0"), item.id))
    for attribute, descending in reversed(tuple(order)):
        with_value = [item for item in items if _value(item, attribute)]
        without = [item for item in items if not _value(item, attribute)]
        items = [*sorted(with_value, key=lambda item: _key(item, attribute), reverse=descending), *without]
    return items


def _value(item: Listed, attribute: str) -> str:
    return str(getattr(item, _TIME[type(item)] if attribute == "time" else attribute, ""))


def _key(item: Listed, attribute: str) -> str:
    text = _value(item, attribute)
    return pad_dtm(text) if attribute.endswith("time") else text
