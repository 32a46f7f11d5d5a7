from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from hub.documents.errors import RegistryError, UnknownStoredQuery
from hub.documents.model import QueryResult
from hub.wire.ebxml.names import FAILURE, NAMESPACES, SUCCESS, rim
from hub.wire.ebxml.queries import (
    QueryAnswer,
    query_result,
    read_answer,
    read_query,
    read_values,
    write_query,
    write_query_refusal,
)
from hub.wire.ebxml.writing import write_slot
from hub.wire.soap.client import spool_to
from hub.wire.soap.reading import parse_response
from hub.wire.soap.writing import render
from tests.wire.ebxml.samples import registered
from tests.wire.ebxml.schemas import validate

ID = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
HOME = "urn:oid:1.2.3"


@pytest.mark.parametrize(
    ("texts", "values", "listed"),
    [
        (["'a'"], ("a",), False),
        ([" 'O''Brien' "], ("O'Brien",), False),
        (["''"], ("",), False),
        (["''''"], ("'",), False),
        (["20240101"], ("20240101",), False),
        (["('a')"], ("a",), True),
        (["('a' , 'b,(c)')", "('d')"], ("a", "b,(c)", "d"), True),
        (["(1,2)"], ("1", "2"), True),
        (["('it''s','')"], ("it's", ""), True),
        (["()"], (), True),
        (["'a'", "'b'"], ("a", "b"), False),
        ([], (), False),
    ],
)
def test_values(texts: list[str], values: tuple[str, ...], listed: bool) -> None:
    assert read_values("$x", texts) == (values, listed)


@pytest.mark.parametrize(
    "text", ["a", "", "'a", "a'", "'a''", "'a' 'b'", "'a','b'", "('a','b'", "('a',)", "(,'a')", "('a''b)", "('a' 'b')"]
)
def test_bad_values_are_refused(text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        read_values("$x", [text])
    assert caught.value.location == "$x"


def test_a_list_goes_on_as_a_list() -> None:
    with pytest.raises(RegistryError):
        read_values("$x", ["('a')", "'b'"])


def test_a_query_survives_and_is_valid() -> None:
    parameters = {"$XDSDocumentEntryPatientId": "4^^^&1.2&ISO", "$XDSDocumentEntryStatus": ("a'b", "c")}
    request = write_query(ID, parameters, leaf_class=False, home=HOME)
    validate(request, "ebRS30/query.xsd")
    command = read_query(request)
    assert command.query_id == ID
    assert (command.leaf_class, command.home) == (False, HOME)
    assert command.parameters == {
        "$XDSDocumentEntryPatientId": (("4^^^&1.2&ISO",),),
        "$XDSDocumentEntryStatus": (("a'b", "c"),),
    }
    assert command.lists == frozenset({"$XDSDocumentEntryStatus"})


def test_a_repeated_slot_is_an_and() -> None:
    request = write_query(ID, {"$XDSDocumentEntryEventCodeList": ("a^^s", "b^^s")})
    write_slot(request.find(rim("AdhocQuery")), "$XDSDocumentEntryEventCodeList", ["('c^^s')"])
    assert read_query(request).parameters["$XDSDocumentEntryEventCodeList"] == (("a^^s", "b^^s"), ("c^^s",))


def test_wrong_requests_are_refused() -> None:
    for change in (
        lambda request: request.remove(request[0]),
        lambda request: request[0].set("returnType", "RegistryObject"),
        lambda request: request.remove(request[1]),
        lambda request: etree.SubElement(request, rim("AdhocQuery")),
    ):
        request = write_query(ID, {})
        change(request)
        with pytest.raises(RegistryError):
            read_query(request)


def sent(result: QueryResult, *, leaf_class: bool) -> Any:
    """The body as the asker gets it."""
    answer = render(query_result(result, "urn:x", leaf_class=leaf_class), None)
    return parse_response(answer.media_type, answer.chunks(), spool_to(Path())).body


def test_an_answer_survives_and_is_valid() -> None:
    objects = registered()
    answer = sent(QueryResult(objects), leaf_class=True)
    validate(answer, "ebRS30/query.xsd")
    assert read_answer(answer) == QueryAnswer(SUCCESS, objects)


def test_references() -> None:
    objects = registered()
    answer = sent(QueryResult(objects, warnings=("Half of it is missing.",)), leaf_class=False)
    validate(answer, "ebRS30/query.xsd")
    read = read_answer(answer)
    assert read.references == tuple((item.id, item.home) for item in objects)
    assert read.objects == ()
    assert [problem.context for problem in read.problems] == ["Half of it is missing."]
    assert read.status == SUCCESS


def test_nothing_found_is_a_success() -> None:
    answer = sent(QueryResult(), leaf_class=True)
    validate(answer, "ebRS30/query.xsd")
    assert read_answer(answer) == QueryAnswer(SUCCESS)
    assert NAMESPACES


def test_a_refusal() -> None:
    answer = write_query_refusal(UnknownStoredQuery(location="urn:uuid:x"))
    validate(answer, "ebRS30/query.xsd")
    read = read_answer(answer)
    assert read.status == FAILURE
    assert [(problem.code, problem.location) for problem in read.problems] == [("XDSUnknownStoredQuery", "urn:uuid:x")]
