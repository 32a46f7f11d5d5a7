"""PostgreSQL plans the questions of rights once a connection, not at each execution, however much is kept."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from hub.access.rights_model import Choice, Consent, Matter
from hub.access.store_rights import RightsStore
from hub.documents.store_showing import ShowingStore
from hub.imaging.store import ImagingStore
from hub.imaging.store_life import KeyObjectStore
from hub.imaging.store_readers import ReadersIndex
from hub.patients.store_numbers import Among, NumberReader
from hub.storage.engine import Database, UnitOfWork
from hub.testing.postgres import PostgresqlServer
from hub.values import PatientIdentifier, new_key, now

pytestmark = pytest.mark.postgresql
OID = "1.2.250.1.71.4.2.7"
_PLANNED_ANEW = 5  #: times before PostgreSQL considers to keep a plan
_PLANS = text("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")


@pytest.fixture
def filled(postgresql_server: PostgresqlServer, postgresql_template: str) -> Iterator[Database]:
    """Where many have said something, and the database knows."""
    name = postgresql_server.create_database(template=postgresql_template)
    database = Database(postgresql_server.url(name))
    at = now() - timedelta(days=1)
    with database.transaction() as work:
        for number in range(600):
            person = PatientIdentifier(f"{number:09}", OID)
            word = Consent(new_key(), person, Matter.CONSULTATION, Choice.OPPOSITION, at)
            RightsStore(work).add(word, version=1, author="test", message_id="", at=at, standing=True)
    with database.transaction() as work:
        work.connection.execute(text("ANALYZE"))
    yield database
    database.dispose()
    postgresql_server.drop_database(name)


def ask(work: UnitOfWork, number: str) -> None:
    """Everything that rights ask about a person and a study, and who retrieves a study beside it."""
    store = RightsStore(work)
    assert len(store.about([(number, OID)], person=True).words) == 1
    assert len(store.about([(number, OID)], person=False).words) == 1
    assert len(store.standing([(number, OID)])) == 1
    assert store.care([(number, OID)]) == []
    assert store.glass([(number, OID)]) == []
    assert NumberReader(work).persons([(Among.REGIONAL, PatientIdentifier(number, OID))]) == [None]
    assert ReadersIndex(work).copies([f"1.2.3.{int(number)}"]) == []
    assert ShowingStore(work).manifests([f"1.2.3.{int(number)}"]) == {}
    assert ImagingStore(work).studies([f"1.2.3.{int(number)}"]) == []
    assert ImagingStore(work).studies([f"1.2.3.{int(number)}"], deep=True) == []
    assert ImagingStore(work).sources_of(f"1.2.3.{int(number)}") == []
    assert KeyObjectStore(work).hidden([f"1.2.3.{int(number)}"]) == {}


def test_plans_are_kept(filled: Database) -> None:
    with filled.reading() as work:
        for number in range(3 * _PLANNED_ANEW):
            ask(work, f"{number:09}")
        found = work.connection.execute(_PLANS).all()
    assert len(found) == 14
    for statement, generic, custom in found:
        assert custom == _PLANNED_ANEW, statement
        assert generic >= 2 * _PLANNED_ANEW, statement
