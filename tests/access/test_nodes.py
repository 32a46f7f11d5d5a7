"""Systems by certificate: checks of what is shown, transactions that one may use."""

import pytest

from hub.access.errors import BadCredentials
from hub.access.model import Client, Credentials, Principal, Scheme
from hub.access.service import AccessService
from hub.context import Context
from hub.errors import AccessDenied
from hub.storage.engine import Database

TOKEN = "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"
NODE = Client("node", token_sha256=TOKEN, permissions=("*",), transactions=("ITI-18", "RAD-*"))


@pytest.fixture
def access(database: Database) -> AccessService:
    return AccessService(database=database, clients=(NODE,))


@pytest.mark.parametrize(("transaction", "allowed"), [("ITI-18", True), ("RAD-69", True), ("ITI-41", False)])
def test_a_node_uses_its_transactions_only(access: AccessService, transaction: str, allowed: bool) -> None:
    principal = access.named("node")
    assert principal is not None
    through = Principal("899", scheme=Scheme.ASSERTION, permissions=frozenset({"*"}), person=True, node="node")
    for who in (principal, through):
        if allowed:
            access.permit(who, "documents.query", Context(transaction))
        else:
            with pytest.raises(AccessDenied, match="ITI-41"):
                access.permit(who, "documents.query", Context(transaction))
    access.permit(principal, "documents.query", Context())


def test_a_person_is_no_node(access: AccessService) -> None:
    person = Principal("node", scheme=Scheme.SESSION, permissions=frozenset({"*"}), person=True)
    access.permit(person, "documents.query", Context("ITI-41"))


def test_what_is_shown_beside_a_token_is_checked_as_well(access: AccessService) -> None:
    def check(credentials: Credentials) -> None:
        if credentials.certificate == b"revoked":
            raise BadCredentials("revoked")

    access.certificate_checks.append(check)
    assert access.authenticate(Credentials(bearer="token", certificate=b"good")).id == "node"
    with pytest.raises(BadCredentials, match="revoked"):
        access.authenticate(Credentials(bearer="token", certificate=b"revoked"))
