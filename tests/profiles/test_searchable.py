"""Who offers a search by GET offers it by POST (FHIR R4: 3.1.1.1)."""

from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Fhir


def test_what_is_searched_is_searched_by_post() -> None:
    searches = {(item.method, item.path) for item, _ in discover().bindings(Fhir) if item.interaction == "search-type"}
    wanted = {("POST", f"{path}/_search") for method, path in searches if method == "GET"}
    assert len(wanted) >= 6
    assert wanted == {(method, path) for method, path in searches if method == "POST"}
