"""Whose number it is: an authority's two names must be of one, and a number is no text of any length."""

import pytest

from hub.context import Context
from hub.errors import Invalid
from hub.patients.authorities import AuthorityDirectory
from hub.patients.errors import AuthorityNotOwned, UnknownAuthority
from hub.patients.model import Authority
from hub.storage.engine import Database
from hub.values import PatientIdentifier

A, B = "1.2.250.1.999.2.1", "1.2.250.1.999.2.2"


@pytest.fixture
def directory(database: Database) -> AuthorityDirectory:
    configured = (Authority(A, "CHA", application="HIS", facility="A"), Authority(B, "CHB"))
    return AuthorityDirectory(database=database, configured=configured)


def test_namespace_and_oid_must_not_contradict(directory: AuthorityDirectory) -> None:
    with pytest.raises(UnknownAuthority):
        directory.resolve(PatientIdentifier("1", A, namespace="CHB"))
    assert directory.resolve(PatientIdentifier("1", A, namespace="HOSPITAL")).authority == A
    assert directory.resolve(PatientIdentifier("1", "", namespace="CHB")).authority == B


def test_a_number_has_an_end(directory: AuthorityDirectory) -> None:
    with pytest.raises(Invalid):
        directory.resolve(PatientIdentifier("7" * 5000, A))


def test_only_the_sandbox_takes_a_feed_without_a_name(directory: AuthorityDirectory) -> None:
    number = PatientIdentifier("1", A)
    with pytest.raises(AuthorityNotOwned):
        directory.check_owner(number, Context())
    directory.anybody = True
    directory.check_owner(number, Context())
    with pytest.raises(AuthorityNotOwned):
        directory.check_owner(number, Context(source="RIS|B"))
