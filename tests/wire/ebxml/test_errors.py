import importlib
import pkgutil

import pytest

import hub
from hub.documents import errors as documents
from hub.errors import HubError, NotFound, Unavailable, lookup
from hub.wire.ebxml.errors import CODES, problem_of, read_problems
from hub.wire.ebxml.names import ERROR, FAILURE
from hub.wire.ebxml.submissions import registry_response, write_refusal
from tests.every_error import EVERY_ERROR, example
from tests.wire.ebxml.schemas import validate

for module in pkgutil.walk_packages(hub.__path__, "hub."):
    if module.name.endswith(".errors"):
        importlib.import_module(module.name)

ERRORS = EVERY_ERROR


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("repository", [True, False])
def test_every_error_has_a_code_and_a_valid_answer(kind: type[HubError], repository: bool) -> None:
    error = example(kind)
    answer = write_refusal(error, repository=repository)
    validate(answer, "ebRS30/rs.xsd")
    (problem,) = read_problems(answer)
    assert answer.get("status") == FAILURE
    assert problem.severity == ERROR
    assert problem.context == "A safe text. [there]"
    assert problem.location == "there"
    begins = problem.code.startswith(("XDS", "urn:dicom:wado:"))
    assert begins or problem.code.endswith(("Exception", "Error", "Content"))


def test_every_error_of_the_documents_room_has_a_row_of_its_own() -> None:
    own = [
        kind
        for kind in vars(documents).values()
        if isinstance(kind, type) and issubclass(kind, documents.DocumentError)
    ]
    assert [kind.__name__ for kind in own if kind not in CODES] == []
    for kind in own:
        title = (kind.__doc__ or "").partition(":")[0]
        if kind is not documents.DocumentError:
            assert lookup(CODES, kind).registry == title


def test_the_repository_says_it_in_its_own_codes() -> None:
    assert problem_of(HubError(), repository=True).code == "XDSRepositoryError"
    assert problem_of(HubError()).code == "XDSRegistryError"
    assert problem_of(NotFound(), repository=True).code == "XDSDocumentUniqueIdError"
    assert problem_of(Unavailable()).code == "XDSRegistryBusy"
    assert problem_of(HubError(location="a"), location="b").location == "b"


def test_no_problem_no_list() -> None:
    assert len(registry_response("urn:x")) == 0
