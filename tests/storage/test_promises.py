"""Durability that is awaited later (``Database.holding``): who is answered, or changes something else, has waited."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from hub.storage.engine import Database
from hub.storage.promises import MOST, Promise

TABLES = (
    "CREATE TABLE noted (name VARCHAR PRIMARY KEY)",
    "CREATE TABLE belongs (name VARCHAR REFERENCES noted (name) DEFERRABLE INITIALLY DEFERRED)",
)


@pytest.fixture
def noting(database: Database) -> Iterator[Database]:
    with database.transaction() as work:
        for table in TABLES:
            work.connection.execute(text(table))
    yield database
    with database.transaction() as work:
        for name in ("belongs", "noted"):
            work.connection.execute(text(f"DROP TABLE {name}"))


def note(database: Database, name: str, table: str = "noted") -> list[str]:
    """What becomes of it is added to the answer."""
    told: list[str] = []
    with database.promptly() as work:
        work.on_commit(lambda: told.append("committed"))
        work.on_rollback(lambda: told.append("taken back"))
        work.connection.execute(text(f"INSERT INTO {table} VALUES (:name)"), {"name": name})
    return told


def names(database: Database) -> list[str]:
    """As everybody else sees them."""
    found: list[str] = []

    def look() -> None:
        with database.reading() as work:
            found.extend(work.connection.execute(text("SELECT name FROM noted ORDER BY name")).scalars())

    other = threading.Thread(target=look)
    other.start()
    other.join()
    return found


def test_it_is_durable_at_the_end(noting: Database) -> None:
    with noting.holding():
        told = note(noting, "a")
    assert told == ["committed"]
    assert names(noting) == ["a"]


def test_without_anybody_who_waits_it_is_durable_at_once(noting: Database) -> None:
    assert note(noting, "a") == ["committed"]
    assert names(noting) == ["a"]


def test_it_is_durable_before_anything_else_is_written(noting: Database) -> None:
    with noting.holding():
        told = note(noting, "a")
        with noting.transaction() as work:
            assert told == ["committed"]
            work.connection.execute(text("INSERT INTO noted VALUES ('b')"))
    assert names(noting) == ["a", "b"]


def test_it_joins_the_unit_of_work_that_is_open(noting: Database) -> None:
    told: list[str] = []

    def fail() -> None:
        with noting.holding(), noting.transaction():
            told.extend(note(noting, "a"))
            told.clear()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert told == []  # not "committed"
    assert names(noting) == []


def test_reading_goes_on_meanwhile(noting: Database) -> None:
    with noting.holding():
        note(noting, "a")
        with noting.reading() as work:
            assert work.connection.execute(text("SELECT 1")).scalar_one() == 1


def fail(noting: Database) -> None:
    with noting.promptly() as work:
        work.connection.execute(text("INSERT INTO noted VALUES ('a')"))
        raise RuntimeError


def test_who_fails_within_leaves_nothing(noting: Database) -> None:
    with noting.holding():
        with pytest.raises(RuntimeError):
            fail(noting)
        note(noting, "b")
    assert names(noting) == ["b"]


def test_a_commit_that_fails_is_heard_of_before_the_answer(noting: Database) -> None:
    within: list[str] = []

    def request() -> None:
        with noting.holding():
            note(noting, "nobody's", "belongs")  # refused when it is committed
            within.append("carried out")
            note(noting, "a")

    with pytest.raises(OperationalError):
        request()
    assert within == ["carried out"]
    assert names(noting) == ["a"]
    assert note(noting, "b") == ["committed"]  # the places are free again


def test_a_commit_that_fails_is_heard_of_before_anything_else_is_written(noting: Database) -> None:
    within: list[str] = []

    def request() -> None:
        with noting.holding():
            note(noting, "nobody's", "belongs")
            with noting.transaction():
                within.append("begun")

    with pytest.raises(OperationalError):
        request()
    assert within == []


def test_beyond_so_many_at_a_time_each_waits_at_once(noting: Database) -> None:
    with noting.holding():
        told = [note(noting, f"{number}") for number in range(MOST + 1)]
        assert told[MOST] == ["committed"]
    assert told == [["committed"]] * (MOST + 1)
    assert len(names(noting)) == MOST + 1


def test_of_several_at_once_one_is_the_first(noting: Database) -> None:
    """The row of another is seen while its promise stands."""
    first: list[int] = []

    def use(number: int) -> None:
        with noting.holding():
            with noting.promptly() as work:
                statement = text("INSERT INTO noted VALUES ('same') ON CONFLICT DO NOTHING RETURNING name")
                if work.connection.execute(statement).first() is not None:
                    first.append(number)
            names(noting)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(first) == 1
    assert names(noting) == ["same"]


def test_a_promise_waits_once_and_fails_each_time() -> None:
    waited: list[bool] = []

    def wait() -> None:
        waited.append(True)
        raise OSError("the disk is full")

    told: list[bool] = []
    promise = Promise(wait, told.append)
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            promise.settle()
    assert (waited, told) == ([True], [False])
