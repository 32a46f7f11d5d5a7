"""What scopes mean, and that nobody gets more than they have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.scopes import INTERACTIONS, Scopes, covered
from hub.access.tokens_errors import ScopeRefused
from hub.app.oauth.issuer import scopes_of
from hub.pipeline.catalogue import discover
from hub.pipeline.transaction import Fhir

SCOPES = Scopes(
    {
        ("ImagingStudy", "r"): frozenset({"imaging.query", "imaging.retrieve"}),
        ("ImagingStudy", "s"): frozenset({"imaging.query"}),
        ("DocumentReference", "s"): frozenset({"documents.query"}),
        ("DocumentReference", "c"): frozenset({"documents.submit"}),
    },
    {"ITI-67": "documents.query"},
)
MEANT = {
    "system/ImagingStudy.rs": {"imaging.query", "imaging.retrieve"},
    "system/ImagingStudy.s": {"imaging.query"},
    "system/ImagingStudy.read": {"imaging.query", "imaging.retrieve"},
    "system/DocumentReference.write": {"documents.submit"},
    "system/DocumentReference.c": {"documents.submit"},
    "system/*.read": {"imaging.query", "imaging.retrieve", "documents.query"},
    "system/*.*": {"imaging.query", "imaging.retrieve", "documents.query", "documents.submit"},
    "system/*.cruds": {"imaging.query", "imaging.retrieve", "documents.query", "documents.submit"},
    "ITI-67": {"documents.query"},
    "documents.query": {"documents.query"},
    "documents.*": {"documents.*"},
    "*": {"*"},
    # None of this hub's:
    "system/ImagingStudy.sr": set(),
    "system/ImagingStudy.": set(),
    "system/Observation.rs": set(),
    "system/ImagingStudy.rs?status=available": set(),
    "user/ImagingStudy.rs": set(),
    "patient/ImagingStudy.rs": set(),
    "openid": set(),
    "ITI-99": set(),
    "documents.?": set(),
    "*.query": set(),
    "": set(),
}


@pytest.mark.parametrize("scope", sorted(MEANT))
def test_a_scope_means(scope: str) -> None:
    assert SCOPES.permissions(scope, person=False) == MEANT[scope]


def test_what_only_scopes_of_resources_give_is_for_their_interactions() -> None:
    assert SCOPES.interactions("system/ImagingStudy.s system/DocumentReference.c", person=False) == {
        "imaging.query": {"ImagingStudy.s"}, "documents.submit": {"DocumentReference.c"},
    }  # fmt: skip
    assert SCOPES.interactions("system/ImagingStudy.rs", person=False)["imaging.query"] == {
        "ImagingStudy.r", "ImagingStudy.s",
    }  # fmt: skip
    assert SCOPES.interactions("system/ImagingStudy.s imaging.*", person=False) == {}
    assert SCOPES.interactions("system/DocumentReference.s ITI-67", person=False) == {}
    assert SCOPES.interactions("user/ImagingStudy.s system/ImagingStudy.sr", person=False) == {}


def test_people_have_scopes_of_their_own() -> None:
    assert SCOPES.permissions("user/ImagingStudy.s", person=True) == {"imaging.query"}
    assert SCOPES.permissions("system/ImagingStudy.s", person=True) == set()
    assert SCOPES.permissions("imaging.query", person=True) == {"imaging.query"}


COVERED = [
    ("documents.query", "documents.query", True),
    ("documents.query", "documents.*", True),
    ("documents.query", "*", True),
    ("documents.query", "*.query", True),
    ("documents.query", "imaging.*", False),
    ("documents.*", "documents.*", True),
    ("documents.*", "*", True),
    ("documents.*", "documents.query", False),
    ("documents.*", "documents.?", False),
    ("documents.*", "d*.*", False),
    ("documents.*", "*.query", False),
    ("documents.*", "document*", True),
    ("*", "documents.*", False),
    ("*", "*", True),
    ("*", "?*", False),
]


@pytest.mark.parametrize(("wanted", "pattern", "expected"), COVERED)
def test_a_pattern_covers_another(wanted: str, pattern: str, expected: bool) -> None:
    assert covered(wanted, [pattern]) is expected


REFUSED = ["", "openid", "documents.submit", "system/*.read", "imaging.query documents.submit", "*", "documents.*"]


@pytest.mark.parametrize("asked", REFUSED)
def test_more_than_one_has_is_refused(asked: str) -> None:
    with pytest.raises(ScopeRefused):
        SCOPES.ask(asked, [("imaging.*", "documents.retrieve")], person=False)


def test_every_ceiling_counts() -> None:
    assert SCOPES.ask("imaging.query", [("imaging.*",), ("*",)], person=True) == ("imaging.query",)
    with pytest.raises(ScopeRefused):
        SCOPES.ask("imaging.query", [("imaging.*",), ("documents.*",)], person=True)
    with pytest.raises(ScopeRefused):
        SCOPES.ask("imaging.query", [("imaging.*",), ()], person=True)


def test_what_was_granted_shrinks_with_what_one_has() -> None:
    granted = "system/ImagingStudy.rs documents.query"
    assert SCOPES.narrowed(granted, [("*",)], person=False) == {"imaging.query", "imaging.retrieve", "documents.query"}
    assert SCOPES.narrowed(granted, [("imaging.query",)], person=False) == {"imaging.query"}
    assert SCOPES.narrowed("openid nonsense", [("*",)], person=False) == set()


def test_too_many_are_refused() -> None:
    with pytest.raises(ScopeRefused):
        SCOPES.ask(" ".join(f"a.b{'x' * number}" for number in range(60)), [("*",)], person=False)


@given(st.text(max_size=60))
def test_whatever_is_asked_is_within_the_ceiling(asked: str) -> None:
    try:
        granted = SCOPES.ask(asked, [("imaging.query",)], person=False)
    except ScopeRefused:
        return
    assert SCOPES.narrowed(" ".join(granted), [("*",)], person=False) <= {"imaging.query"}


def test_every_interaction_of_the_hub_has_its_scope() -> None:
    scopes = scopes_of(discover())
    for binding, bound in discover().bindings(Fhir):
        letter = INTERACTIONS.get(binding.interaction)
        if letter and binding.resource and bound.transaction.permission:
            assert bound.transaction.permission in scopes.permissions(
                f"system/{binding.resource}.{letter}", person=False
            )
    assert "system/ImagingStudy.rs" in scopes.words()
    assert scopes.permissions("ITI-67", person=False) == {"documents.query"}
