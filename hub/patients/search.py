"""What a search asks, where a person first answers it, and the cursors of its pages."""

from hub.patients.errors import InvalidCursor
from hub.patients.model import FindPersons
from hub.patients.normalise import MOST_LETTERS, words
from hub.patients.store_search import Criteria, Hit, PatientReader, StoredPerson, matching_keys


def criteria(command: FindPersons) -> Criteria:
    """What is asked, normalised."""
    return Criteria(
        name=(command.key or words(command.name))[:MOST_LETTERS],
        given=words(command.given),
        birth_date=command.birth_date.strip()[:8],
        sex=command.sex,
        postal_code=command.postal_code.strip(),
    )


def first(stored: StoredPerson, asked: Criteria) -> tuple[str, int]:
    """Where a search finds a person first."""
    places = ((keys[0], member.id) for member in stored.members if (keys := matching_keys(member.identity, asked)))
    return min(places, default=("", 0))


def cursor(reader: PatientReader, asked: Criteria, last: Hit | None) -> str:
    """The last row and which of its keys: a cursor shows in addresses, so it holds no name."""
    member = reader.identity(last.identity) if last is not None else None
    if last is None or member is None:
        return ""
    return f"{last.identity}.{matching_keys(member.identity, asked).index(last.key)}"


def from_cursor(reader: PatientReader, asked: Criteria, cursor: str) -> Hit:
    """Where the page starts. Raises InvalidCursor."""
    identity, _, number = cursor.partition(".")
    if not (identity.isdecimal() and number.isdecimal() and len(cursor) < 30):
        raise InvalidCursor()
    member = reader.identity(int(identity))
    keys = matching_keys(member.identity, asked) if member is not None else []
    if int(number) >= len(keys):
        raise InvalidCursor()
    return Hit(keys[int(number)], int(identity), 0)
