import pytest

from hub.errors import NotFound
from hub.portal.handles import Handles


def test_a_handle_says_nothing_and_opens_again() -> None:
    handles = Handles("token")
    handle = handles.seal("person", "A-10023", "1.2.250")
    assert handles.open("person", handle) == ["A-10023", "1.2.250"]
    assert "10023" not in handle
    assert handle == handles.seal("person", "A-10023", "1.2.250"), "the same person has one address in a session"


@pytest.mark.parametrize(
    ("token", "kind", "change"),
    [
        ("other", "person", lambda handle: handle),
        ("token", "study", lambda handle: handle),
        ("token", "person", lambda handle: handle[:-2] + "AA"),
        ("token", "person", lambda _handle: ""),
        ("token", "person", lambda _handle: "é!"),
        ("token", "person", lambda _handle: "A" * 5000),
        ("token", "person", lambda _handle: "A"),
    ],
)
def test_what_this_session_did_not_seal_is_not_found(token: str, kind: str, change) -> None:  # type: ignore[no-untyped-def]
    handle = Handles("token").seal("person", "A-10023", "1.2.250")
    with pytest.raises(NotFound):
        Handles(token).open(kind, change(handle))


def test_form_tokens_belong_to_one_session() -> None:
    assert Handles("token").genuine(Handles("token").csrf)
    assert not Handles("token").genuine(Handles("other").csrf)
    assert not Handles("token").genuine("é")
