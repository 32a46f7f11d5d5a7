"""Search parameters in, bundles out (FHIR R4: 3.1.1)."""

import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from hub.errors import Invalid, NotFound
from hub.values import Oid, PatientIdentifier
from hub.wire.fhir import subset
from hub.wire.fhir.errors import FormatNotSupported, UnknownParameter, outcome
from hub.wire.fhir.r4 import MEDIA_TYPE, XML_NAMES
from hub.wire.http import HttpRequest, HttpResponse

#: Parameters that shape the answer without narrowing it: more than asked for may be returned.
SHAPING = frozenset({"_format", "_pretty", "_summary", "_elements", "_sort", "_total"})
PAGING = frozenset({"_count", "_offset", "_cursor"})
DEFAULT_COUNT, MAX_COUNT = 50, 200
_MOST, _MOST_WARNINGS = 10**9, 10
_TOTALS = ("", "none", "estimate", "accurate")
_JSON = ("json", "application/json", "application/fhir+json", "text/json")
_DATE = re.compile(r"(eq|ge|le|gt|lt|sa|eb)?(\d{4})(?:-(\d{2})(?:-(\d{2})(T.*)?)?)?")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Token:
    """``system|code``; a system of None was not given."""

    code: str
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Searchable:
    """What may be asked of one kind of resource."""

    kind: str  #: DocumentReference
    names: Collection[str]  #: search parameters, with the modifiers that they may have
    sortable: Collection[str] = ()  #: what _sort may name, ``-name`` downwards only
    includes: Collection[str] = ()  #: what _include may ask for


def parameters(message: HttpRequest, of: Searchable) -> dict[str, tuple[str, ...]]:
    """The search parameters by name, each once per AND.

    What is not known is refused, since to ignore it would widen the answer, unless the caller wants it ignored
    (``Prefer: handling=lenient``). Raises UnknownParameter, FormatNotSupported, Invalid."""
    accept_json(message)
    wanted = wishes(message)
    if "handling=strict" in wanted:
        _check_strictly(message, of)
    unknown = next(iter(_unknown(message, of)), None)
    if unknown is not None and "handling=lenient" not in wanted:
        raise UnknownParameter(location=unknown[:64])
    for name, _ in message.query:
        bare, mark, _ = name.partition(":")
        if mark and bare in of.names and name not in of.names:  # never ignored (FHIR R4: 3.1.1.4.4)
            raise UnknownParameter("The parameter can't have this modifier.", location=name[:64])
    found: dict[str, tuple[str, ...]] = {}
    for name, text in _understood(message, of):
        if name in SHAPING:
            continue
        if "\0" in text:  # no database keeps it
            raise Invalid("A search parameter has a character that is not allowed.", location=name)
        found[name] = (*found.get(name, ()), text)
    if message.parameter("_total") not in _TOTALS:
        raise Invalid("_total is none, estimate or accurate.", location="_total")
    parts = subset.asked(message, of.kind)
    if parts.summary == "text" and found.get("_include"):
        raise Invalid("_summary=text can't be mixed with _include.", location="_summary")
    return found


def _check_strictly(message: HttpRequest, of: Searchable) -> None:
    """For who wants to know what is not carried out. Raises UnknownParameter."""
    if len(_sorting(message, of.sortable)) < len(_keys(message)):
        raise UnknownParameter("The answer can't be sorted by this.", location="_sort")
    if len(subset.asked(message, of.kind).elements) < len(subset.named(message)):
        raise UnknownParameter("There is no such element.", location="_elements")


def _is_known(name: str, text: str, of: Searchable) -> bool:
    if name == "_include":
        return text in of.includes
    return name in of.names or name in PAGING or name in SHAPING


def _understood(message: HttpRequest, of: Searchable) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in message.query if text and _is_known(name, text, of))


def _unknown(message: HttpRequest, of: Searchable) -> tuple[str, ...]:
    """The names of parameters that are not known."""
    return tuple(dict.fromkeys(name for name, text in message.query if text and not _is_known(name, text, of)))


def _keys(message: HttpRequest) -> list[str]:
    return [key for text in message.parameters("_sort") for key in text.split(",") if key]


def _sorting(message: HttpRequest, sortable: Collection[str]) -> list[str]:
    """The keys of _sort that count."""
    return [key for key in _keys(message) if key in sortable or key.removeprefix("-") in sortable]


def sorting(message: HttpRequest, sortable: Mapping[str, str]) -> tuple[tuple[str, bool], ...]:
    """_sort as attributes, each with whether it goes downwards; what can't be sorted by is passed over."""
    return tuple((sortable[key.removeprefix("-")], key.startswith("-")) for key in _sorting(message, sortable))


def wishes(message: HttpRequest) -> frozenset[str]:
    """What Prefer says (RFC 7240), in small letters: ``return=minimal``, ``handling=lenient`` ..."""
    parts = message.headers.get("prefer", "").split(",")
    return frozenset(part.partition(";")[0].replace(" ", "").replace('"', "").lower() for part in parts)


def accept_json(message: HttpRequest) -> None:
    """Raises FormatNotSupported when the caller can't take JSON."""
    wanted = message.parameter("_format")
    # XML is made of the JSON, outside; the + of a media type often comes as it stands, which is a blank.
    if wanted and wanted.split(";")[0].strip().replace(" ", "+") not in (*_JSON, *XML_NAMES):
        raise FormatNotSupported()
    accept = message.headers.get("accept", "")
    ranges = [item.split(";")[0].strip() for item in accept.split(",") if item.strip()]
    if not wanted and ranges and not any("json" in item or item in ("*/*", "application/*") for item in ranges):
        raise FormatNotSupported()


def single(found: Mapping[str, tuple[str, ...]], name: str) -> str:
    """A parameter that may stand once, "" when absent. Raises Invalid."""
    values = found.get(name, ())
    if len(values) > 1:
        raise Invalid("The search parameter may stand only once.", location=name)
    return values[0] if values else ""


def alternatives(text: str) -> tuple[str, ...]:
    """The values of an OR list (comma separated, ``\\,`` escaped)."""
    parts = re.split(r"(?<!\\),", text) if text else []
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in parts if part)


def token(text: str) -> Token:
    """``system|code``, ``|code``, ``code``."""
    system, bar, code = text.partition("|")
    return Token(code, system) if bar else Token(text)


def identifier(text: str, name: str) -> PatientIdentifier:
    """A patient's identifier, ``urn:oid:...|number``; without a system it is a regional one. Raises Invalid."""
    found = token(text)
    if not found.code:
        raise Invalid("An identifier needs a value.", location=name)
    return PatientIdentifier(found.code, str(Oid.from_urn(found.system)) if found.system else "")


def reference_id(text: str, kind: str, name: str, base: str = "") -> str:
    """The id of ``Patient/1``, of an absolute URL under ``base``, or as it stands. Raises Invalid.

    What another server calls by an id is something else than what bears that id here."""
    if "?" in text:
        raise Invalid("Conditional references are not resolved here: name the resource by its id.", location=name)
    if "://" in text and not (base and text.startswith(f"{base}/")):
        raise Invalid("A reference to another server's resource needs an identifier.", location=name)
    head, _, found = text.rpartition("/")
    if (head and not head.endswith(kind)) or not _ID.fullmatch(found):
        raise Invalid(f"A reference to a {kind} is expected.", location=name)
    return found


def is_id(text: str) -> bool:
    """Whether it has the form of a resource's id."""
    return _ID.fullmatch(text) is not None


def days(texts: Sequence[str], name: str) -> tuple[str, str]:
    """Inclusive YYYYMMDD bounds ("" : open) of date parameters with prefixes. Raises Invalid."""
    start = end = ""
    for text in texts:
        low, high = _bounds(text, name)
        start = max(start, low) if low else start
        end = min(end, high) if end and high else end or high
    return start, end


def _bounds(text: str, name: str) -> tuple[str, str]:
    match = _DATE.fullmatch(text)
    if match is None:
        raise Invalid("A date has the form [eq|ge|le|gt|lt]YYYY[-MM[-DD]].", location=name)
    prefix, year, month, day, clock = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
        last = first if day else (_next_month(first) if month else date(int(year) + 1, 1, 1)) - timedelta(days=1)
        one = timedelta(days=0 if clock else 1)
        bounds = {
            "eq": (first, last),
            "ge": (first, None),
            "le": (None, last),
            "gt": (last + one, None),
            "sa": (last + one, None),
            "lt": (None, first - one),
            "eb": (None, first - one),
        }[prefix or "eq"]
    except (ValueError, OverflowError) as error:
        raise Invalid("There is no such date.", location=name) from error
    low, high = (item.strftime("%Y%m%d") if item else "" for item in bounds)
    return low, high


def _next_month(first: date) -> date:
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1)


def count(found: Mapping[str, tuple[str, ...]]) -> int:
    """``_count``, bounded."""
    return min(_number(found, "_count", DEFAULT_COUNT), MAX_COUNT)


def offset(found: Mapping[str, tuple[str, ...]]) -> int:
    """``_offset``: how many matches to skip."""
    return _number(found, "_offset", 0)


def _number(found: Mapping[str, tuple[str, ...]], name: str, default: int) -> int:
    text = single(found, name)
    if not text:
        return default
    if not (text.isdecimal() and text.isascii()):
        raise Invalid("A whole number is expected.", location=name)
    return int(text) if len(text) < 10 else _MOST


def bundle(
    message: HttpRequest,
    of: Searchable,
    matches: Iterable[Mapping[str, Any]],
    *,
    total: int | None = None,
    next_page: Mapping[str, str] | None = None,
    included: Iterable[Mapping[str, Any]] = (),
    outcomes: Iterable[Mapping[str, Any]] = (),
) -> HttpResponse:
    """A searchset. ``next_page``: parameters that replace those of this page; None at the end. The links tell what was
    carried out (FHIR R4: 3.1.1.1.2), a warning each what was ignored.

    ``_summary=count`` is answered with the total alone, where it is known."""
    parts = subset.asked(message, of.kind)
    if total is not None and message.parameter("_summary") == "count":
        matches, included, next_page = (), (), None
    elif message.parameter("_total") == "none":
        total = None
    query = _carried_out(message, of, parts, total)
    links = [{"relation": "self", "url": _url(message, query)}]
    if next_page is not None:
        kept = [(name, text) for name, text in query if name not in next_page]
        links.append({"relation": "next", "url": _url(message, (*kept, *next_page.items()))})
    whole = subset.Parts(parts.summary)  # the names of _elements are those of the matches
    entries = [
        {
            "fullUrl": f"{message.base}/{resource['resourceType']}/{resource['id']}",
            "resource": part.of(resource),
            "search": {"mode": mode},
        }
        for mode, resources, part in (("match", matches, parts), ("include", included, whole))
        for resource in resources
    ]
    ignored = (
        outcome(
            "warning", "not-supported", "A search parameter is not supported and was ignored.", expression=name[:64]
        )
        for name in _unknown(message, of)[:_MOST_WARNINGS]
    )
    entries += [
        {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": resource, "search": {"mode": "outcome"}}
        for resource in (*outcomes, *ignored)
    ]
    found: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "link": links}
    if total is not None:
        found["total"] = total
    if entries:
        found["entry"] = entries
    return answer(found)


def _carried_out(message: HttpRequest, of: Searchable, parts: subset.Parts, total: int | None) -> list[tuple[str, str]]:
    """The parameters as they were understood: of each that shapes the answer what of it had an effect."""
    summary, totals = message.parameter("_summary"), message.parameter("_total")
    counted = summary == "count" and total is not None
    summed = counted or summary == (parts.summary or "false" * (not parts.elements))
    shaping = {
        "_summary": summary if summed else "",
        "_elements": "" if counted else ",".join(parts.elements),
        "_total": totals if (totals == "none") == (total is None) else "",
        "_sort": ",".join(_sorting(message, of.sortable)),
        "_format": message.parameter("_format"),
    }
    plain = [(name, text) for name, text in _understood(message, of) if name not in SHAPING]
    rows = [(name, str(count({name: (text,)})) if name == "_count" else text) for name, text in plain]
    return rows + [(name, text) for name, text in shaping.items() if text]


def page(
    message: HttpRequest,
    of: Searchable,
    matches: Sequence[Mapping[str, Any]],
    total: int,
    *,
    outcomes: Iterable[Mapping[str, Any]] = (),
) -> HttpResponse:
    """A searchset of one page of ``total`` matches, with the link to the next (``_count=0``: the total alone)."""
    found = {name: tuple(filter(None, message.parameters(name))) for name in PAGING}
    limit, start = count(found), offset(found)
    more = limit > 0 and start + limit < total
    following = {"_offset": str(start + limit)} if more else None
    return bundle(message, of, matches, total=total, next_page=following, outcomes=outcomes)


def one_or_page(
    message: HttpRequest,
    of: Searchable,
    matches: Sequence[Mapping[str, Any]],
    total: int,
    *,
    outcomes: Iterable[Mapping[str, Any]] = (),
) -> HttpResponse:
    """A read's resource, or a search's page. Raises NotFound."""
    if "id" not in message.path_parameters:
        return page(message, of, matches, total, outcomes=outcomes)
    if not matches:
        raise NotFound()
    return read(message, matches[0])


def _url(message: HttpRequest, query: Iterable[tuple[str, str]]) -> str:
    root = message.base.removesuffix("/fhir")
    path = message.path if message.path.startswith("/fhir") else f"/fhir{message.path}"
    pairs = urlencode(tuple(query))
    return f"{root}{path}?{pairs}" if pairs else f"{root}{path}"


def read(message: HttpRequest, resource: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpResponse:
    """The resource of a read, or of it what the caller wants. Raises Invalid."""
    return answer(subset.asked(message, resource["resourceType"]).of(resource), 200, headers)


def answer(resource: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """One resource."""
    return HttpResponse(status, orjson.dumps(resource), MEDIA_TYPE, headers or {})
