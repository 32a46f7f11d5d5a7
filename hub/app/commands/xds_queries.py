"""Stored queries by their names: short parameter names, words for statuses, defaults for what is required."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from hub.app.commands.xds_target import Caller
from hub.documents.errors import RegistryError
from hub.documents.model import APPROVED, DEPRECATED, OFFLINE, ON_DEMAND, ONLINE, STABLE, AssociationType, StoredQuery
from hub.documents.queries import MULTI_PATIENT, QUERIES, Parameter, Query, Value
from hub.errors import Invalid
from hub.wire.ebxml.names import query as query_name
from hub.wire.ebxml.queries import QueryAnswer, read_answer, write_stored_query

STORED_QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
MULTI_PATIENT_QUERY = "urn:ihe:iti:2009:MultiPatientStoredQuery"
#: Words for URNs that nobody types.
WORDS: Mapping[str, str] = {
    "approved": APPROVED,
    "deprecated": DEPRECATED,
    "online": ONLINE,
    "offline": OFFLINE,
    "stable": STABLE,
    "on-demand": ON_DEMAND,
    "hasmember": AssociationType.HAS_MEMBER,
    "rplc": AssociationType.REPLACE,
    "xfrm": AssociationType.TRANSFORM,
    "apnd": AssociationType.APPEND,
    "xfrm_rplc": AssociationType.TRANSFORM_REPLACE,
    "signs": AssociationType.SIGNS,
    "issnapshotof": AssociationType.IS_SNAPSHOT_OF,
}
_WORDED = {"status", "type", "object_type", "availability"}
FindOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        help="`NAME=VALUE`, may be repeated. NAME may be short (`ClassCode`), several values are separated by `|`; "
        "given twice, a parameter that may be repeated must hold twice (AND). Statuses, types and availabilities may "
        "be words: `Approved`, `RPLC`, `on-demand`.",
    ),
]


class QueryOption(Invalid):
    """A stored query, or one of its parameters, can't be told from what was given."""

    code = "query-option"
    title = "The query can't be read."


def queries_table() -> list[dict[str, Any]]:
    """Every stored query with its parameters."""
    return [
        {
            "name": one.name,
            "id": one.id,
            "parameters": [item.name for item in one.parameters],
            "required": [item.name for item in one.parameters if item.required],
        }
        for one in (*QUERIES.values(), *MULTI_PATIENT.values())
    ]


def query_of(name: str) -> Query:
    """By name in whatever case, or by UUID. Raises QueryOption."""
    every = (*QUERIES.values(), *MULTI_PATIENT.values())
    wanted = name.lower().removeprefix("urn:uuid:")
    for one in every:
        if wanted in (one.name.lower(), one.id.removeprefix("urn:uuid:")):
            return one
    raise QueryOption(f"There is no stored query of this name; there are: {', '.join(one.name for one in every)}.")


def stored_query(
    one: Query, given: Iterable[str], *, patient: str = "", leaf_class: bool = True, home: str = ""
) -> StoredQuery:
    """The question. Raises QueryOption."""
    groups: dict[str, tuple[tuple[str, ...], ...]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise QueryOption("A parameter is NAME=VALUE.", location="--param")
        parameter = parameter_of(one, name.strip())
        values = tuple(_worded(parameter, part.strip()) for part in value.split("|"))
        key = parameter.name if parameter is not None else name.strip()
        before = groups.get(key, ())
        together = parameter is None or parameter.and_or or not before
        groups[key] = (*before, values) if together else ((*before[0], *values),)
    for item in one.parameters:
        if item.name not in groups and item.value is Value.PATIENT and patient:
            groups[item.name] = ((patient,),)
        if item.name not in groups and item.value is Value.STATUS and item.required:
            groups[item.name] = ((APPROVED,),)
    lists = frozenset(item.name for item in one.parameters if item.multiple)
    return StoredQuery(one.id, groups, leaf_class, home, lists=lists)


def parameter_of(one: Query, name: str) -> Parameter | None:
    """By its name, or by the end of it; None for a name of another standard, which goes out as it is.

    Raises QueryOption when several end so, or none."""
    wanted = name.lower().removeprefix("$")
    names = {item.name.lower().removeprefix("$"): item for item in one.parameters}
    if wanted in names:
        return names[wanted]
    found = [item for key, item in names.items() if key.endswith(wanted)]
    shortest = [item for item in found if _bare(item.name) == wanted]
    found = shortest if len(shortest) == 1 else found
    if len(found) == 1:
        return found[0]
    if name.startswith("$"):
        return None
    known = ", ".join(item.name for item in (found or one.parameters))
    raise QueryOption(f"{one.name} has {'several such parameters' if found else 'no such parameter'}: {known}.")


def _bare(name: str) -> str:
    for prefix in ("$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder", "$"):
        if name.startswith(prefix):
            return name.removeprefix(prefix).lower()
    return name.lower()


def _worded(parameter: Parameter | None, text: str) -> str:
    return WORDS.get(text.lower(), text) if parameter is not None and parameter.field in _WORDED else text


def ask(
    calls: Caller,
    url: str,
    name: str,
    given: Sequence[str],
    *,
    patient: str = "",
    leaf_class: bool = True,
    home: str = "",
) -> QueryAnswer:
    """ITI-18 or ITI-51. Raises QueryOption, RegistryError, and what a call raises."""
    one = query_of(name)
    body = write_stored_query(stored_query(one, given, patient=patient, leaf_class=leaf_class, home=home))
    answer = calls.call(url, MULTI_PATIENT_QUERY if one.id in MULTI_PATIENT else STORED_QUERY, body)
    if answer.body.tag != query_name("AdhocQueryResponse"):
        raise RegistryError("The registry's answer is not an AdhocQueryResponse.")
    return read_answer(answer.body)
