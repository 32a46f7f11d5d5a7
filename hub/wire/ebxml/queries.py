"""AdhocQueryRequest and AdhocQueryResponse (ITI TF-2: 3.18.4.1.2)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from hub.documents.errors import RegistryError
from hub.documents.model import QueryResult, RegistryObject, StoredQuery
from hub.errors import HubError
from hub.federation.model import CommunityAnswer
from hub.wire.ebxml.errors import RegistryProblem, problem_of, read_problems, warnings_of, write_problems
from hub.wire.ebxml.names import ERROR, FAILURE, NAMESPACES, PARTIAL_SUCCESS, QUERY, SUCCESS, query, rim
from hub.wire.ebxml.reading import read_objects
from hub.wire.ebxml.writing import objects_text, references_text, write_slot
from hub.wire.soap.message import Filling, SoapResponse
from hub.wire.xml import Element

_NSMAP = {"query": QUERY, **NAMESPACES}
_RETURN_TYPES = {"LeafClass": True, "ObjectRef": False}
#: Parameters whose values are numbers: written without quotes (ITI TF-2: 3.18.4.1.2.3.5).
_NUMBERS = ("From", "To", "$MetadataLevel")
#: A value: text in single quotes ('' is one quote), or a number.
_VALUE = re.compile(r"\s*(?:'((?:[^']|'')*)'|([0-9]+))\s*")


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """A registry's answer as a client reads it. ``references``: (id, homeCommunityId)."""

    status: str
    objects: tuple[RegistryObject, ...] = ()
    references: tuple[tuple[str, str], ...] = ()
    problems: tuple[RegistryProblem, ...] = ()


def read_query(request: Element) -> StoredQuery:
    """An AdhocQueryRequest. Raises RegistryError where its form is wrong; rules of the single query come later."""
    leaf_class = wants_objects(request)
    queries = request.findall(rim("AdhocQuery"))
    if len(queries) != 1:
        raise RegistryError("The request must hold one AdhocQuery (ITI TF-2: 3.18.4.1.2.3).", location="AdhocQuery")
    parameters, lists = read_slot_values(queries[0])
    return StoredQuery(
        query_id=queries[0].get("id", ""),
        parameters=parameters,
        leaf_class=leaf_class,
        home=queries[0].get("home", ""),
        request_id=request.get("id", ""),
        lists=lists,
    )


def wants_objects(request: Element) -> bool:
    """Whether an AdhocQueryRequest asks for whole objects, not for references. Raises RegistryError."""
    option = request.find(query("ResponseOption"))
    if option is None:
        raise RegistryError("The request has no ResponseOption (ITI TF-2: 3.18.4.1.2.2).", location="ResponseOption")
    leaf_class = _RETURN_TYPES.get(option.get("returnType", ""))
    if leaf_class is None:
        raise RegistryError(
            "returnType must be LeafClass or ObjectRef (ITI TF-2: 3.18.4.1.2.2).", location="returnType"
        )
    return leaf_class


def read_slot_values(adhoc: Element) -> tuple[dict[str, tuple[tuple[str, ...], ...]], frozenset[str]]:
    """The parameters of an AdhocQuery, and which of them stood in parentheses. Raises RegistryError."""
    parameters: dict[str, tuple[tuple[str, ...], ...]] = {}
    lists: set[str] = set()
    singles: set[str] = set()
    for slot in adhoc.iterchildren(rim("Slot")):
        name = (slot.get("name") or "").strip()
        group, listed = read_values(
            name, [value.text or "" for value in slot.iterfind(f"{rim('ValueList')}/{rim('Value')}")]
        )
        parameters[name] = (*parameters.get(name, ()), group)
        (lists if listed else singles).add(name)
    return parameters, frozenset(lists - singles)


def read_values(name: str, texts: Iterable[str]) -> tuple[tuple[str, ...], bool]:
    """The values of one slot (ITI TF-2: 3.18.4.1.2.3.5), and whether they stood in parentheses.

    ``'a'``, ``123``, ``('a','b')``; a list may go on in further Values. Raises RegistryError, naming the parameter.
    """
    values: list[str] = []
    forms: set[bool] = set()
    for text in texts:
        inner = text.strip()
        forms.add(inner.startswith("(") and inner.endswith(")"))
        if forms == {True, False}:
            raise _syntax(name)
        if True in forms:
            inner = inner[1:-1]
            if not inner.strip():
                continue
            values += _list(name, inner)
        else:
            values.append(_single(name, inner))
    return tuple(values), True in forms


def _list(name: str, text: str) -> Iterable[str]:
    position = 0
    while True:
        value = _VALUE.match(text, position)
        if value is None:
            raise _syntax(name)
        yield _text(value)
        position = value.end()
        if position == len(text):
            return
        if text[position] != ",":
            raise _syntax(name)
        position += 1


def _single(name: str, text: str) -> str:
    value = _VALUE.fullmatch(text)
    if value is None:
        raise _syntax(name)
    return _text(value)


def _text(value: re.Match[str]) -> str:
    quoted, number = value.groups()
    return quoted.replace("''", "'") if quoted is not None else number


def _syntax(name: str) -> RegistryError:
    return RegistryError(
        f"The value of {name[:80]} must be 'text', a number, or a list ('a','b') (ITI TF-2: 3.18.4.1.2.3.5).",
        location=name[:80],
    )


def write_query(
    query_id: str,
    parameters: Mapping[str, str | Iterable[str]],
    *,
    leaf_class: bool = True,
    home: str = "",
) -> Element:
    """An AdhocQueryRequest: a text becomes ``'text'``, several become a list."""
    request = etree.Element(query("AdhocQueryRequest"), nsmap=_NSMAP)
    returned = "LeafClass" if leaf_class else "ObjectRef"
    etree.SubElement(request, query("ResponseOption"), {"returnComposedObjects": "true", "returnType": returned})
    adhoc = etree.SubElement(request, rim("AdhocQuery"), {"id": query_id})
    if home:
        adhoc.set("home", home)
    for name, value in parameters.items():
        several = (value,) if isinstance(value, str) else tuple(value)
        quoted = ["'" + text.replace("'", "''") + "'" for text in several]
        write_slot(adhoc, name, quoted if isinstance(value, str) else [f"({text})" for text in quoted])
    return request


def write_stored_query(command: StoredQuery) -> Element:
    """The AdhocQueryRequest that another registry or gateway is asked with: the same parameters in the same form."""
    request = write_query(command.query_id, {}, leaf_class=command.leaf_class, home=command.home)
    write_parameters(request.find(rim("AdhocQuery")), command.parameters, command.lists)
    return request


def write_parameters(
    adhoc: Element, parameters: Mapping[str, tuple[tuple[str, ...], ...]], lists: frozenset[str] | None = None
) -> None:
    """Append parameters to an AdhocQuery. ``lists``: those in parentheses; None: those that have several values."""
    for name, groups in parameters.items():
        for group in groups:
            texts = [_quoted(name, value) for value in group]
            listed = name in lists if lists is not None else len(texts) > 1
            write_slot(adhoc, name, [f"({text})" for text in texts] if listed else texts)


def _quoted(name: str, value: str) -> str:
    if value.isascii() and value.isdigit() and name.endswith(_NUMBERS):
        return value
    return "'" + value.replace("'", "''") + "'"


def query_result(result: QueryResult, action: str, *, leaf_class: bool) -> SoapResponse:
    """An AdhocQueryResponse: full objects or references. An empty result is a success."""
    response = _response(SUCCESS, warnings_of(result.warnings, "XDSRegistryError"))
    return _with_objects(response, (objects_text if leaf_class else references_text)(result.objects), action)


def query_gathered(answer: CommunityAnswer, action: str) -> SoapResponse:
    """An AdhocQueryResponse of several communities: PartialSuccess where some of them did not answer in full."""
    problems = tuple(dict.fromkeys(problem_of(error) for error in answer.problems))
    failed = any(problem.severity == ERROR for problem in problems)
    response = _response(SUCCESS if not failed else PARTIAL_SUCCESS if answer.answered else FAILURE, problems)
    return _with_objects(response, objects_text(answer.objects), action)


def _with_objects(response: Element, text: str, action: str) -> SoapResponse:
    return SoapResponse(response, action, filling=Filling(etree.SubElement(response, rim("RegistryObjectList")), text))


def write_query_refusal(error: HubError, *, location: str = "") -> Element:
    """An AdhocQueryResponse that says why there is no result. ``location`` overrides the error's own."""
    response = _response(FAILURE, (problem_of(error, location=location),))
    etree.SubElement(response, rim("RegistryObjectList"))
    return response


def _response(status: str, problems: tuple[RegistryProblem, ...]) -> Element:
    response = etree.Element(query("AdhocQueryResponse"), {"status": status}, nsmap=_NSMAP)
    write_problems(response, problems)
    return response


def read_answer(response: Element) -> QueryAnswer:
    """An AdhocQueryResponse of another registry. Raises RegistryMetadataError."""
    objects = response.find(rim("RegistryObjectList"))
    if objects is None:
        return QueryAnswer(response.get("status", ""), problems=read_problems(response))
    return QueryAnswer(
        response.get("status", ""),
        read_objects(objects),
        tuple((item.get("id", ""), item.get("home", "")) for item in objects.iterchildren(rim("ObjectRef"))),
        read_problems(response),
    )
