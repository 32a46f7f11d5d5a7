"""Schemathesis makes requests out of the OpenAPI description: well-formed ones and broken ones.

None may end in a server error, or in a status, media type or body that the description does not know."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from hub.app.web.openapi import describe
from hub.pipeline.catalogue import discover
from hub.testing.sandbox import SandboxProcess

load_all_checks()
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
EXAMPLES = 10
OPERATIONS = [
    (path, method)
    for path, methods in describe(discover(), url="", version="0", title="")["paths"].items()
    for method in methods
]


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    """The description as a running hub serves it."""
    with SandboxProcess("--open") as box:
        yield schemathesis.openapi.from_url(box["fhir"].removesuffix("/fhir") + "/openapi.json")


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_brings_it_down(api: Any, path: str, method: str) -> None:
    operation = api[path][method.upper()]
    modes = list(schemathesis.GenerationMode)
    tried = 0

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(data=hypothesis.strategies.data(), mode=hypothesis.strategies.sampled_from(modes))
    def attack(data: Any, mode: Any) -> None:
        nonlocal tried
        case = data.draw(operation.as_strategy(generation_mode=mode))
        tried += 1
        try:
            case.call_and_validate(checks=CHECKS, timeout=60)
        except FailureGroup as group:
            raise AssertionError("\n".join(f"{item.title}: {item}" for item in group.exceptions)) from None

    attack()
    assert tried
