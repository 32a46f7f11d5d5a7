"""SQLite's shared commits: each unit of work as if it had been alone, all durable when they return."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from hub.storage.engine import Database

THREADS = 8


@pytest.fixture
def shared(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    with database.transaction() as work:
        work.connection.execute(text("CREATE TABLE made (number INTEGER PRIMARY KEY)"))
    yield database
    database.dispose()


def insert(database: Database, number: int) -> None:
    with database.transaction() as work:
        work.connection.execute(text("INSERT INTO made VALUES (:number)"), {"number": number})


def numbers(path: str | Path) -> list[int]:
    """As another process sees them."""
    with sqlite3.connect(path) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM made ORDER BY number")]


def together(
    database: Database, works: list[Callable[[], None]], before: Callable[[], None] = lambda: None
) -> list[BaseException | None]:
    """Start all while the writer's place is taken, so that they share what follows; what each raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        with contextlib.suppress(OperationalError), database.transaction():  # shares their fate
            running = [pool.submit(work) for work in works]
            while database.writer.waiting < len(works):
                threading.Event().wait(0.001)
            before()
        return [task.exception() for task in running]


def commits(database: Database) -> list[int]:
    seen: list[int] = []
    event.listen(database.engine, "commit", lambda _connection: seen.append(1))
    return seen


def test_those_who_wait_share_a_commit_and_return_after_it(shared: Database) -> None:
    seen = commits(shared)
    path = str(shared.url.database)
    visible: dict[int, bool] = {}

    def one(number: int) -> None:
        insert(shared, number)
        visible[number] = number in numbers(path)

    assert together(shared, [lambda n=n: one(n) for n in range(THREADS)]) == [None] * THREADS  # type: ignore[misc]
    assert visible == dict.fromkeys(range(THREADS), True)
    assert len(seen) < THREADS


def test_a_failure_takes_back_only_itself(shared: Database) -> None:
    undone: list[int] = []

    def one(number: int) -> None:
        with shared.transaction() as work:
            work.on_rollback(lambda: undone.append(number))
            work.connection.execute(text("INSERT INTO made VALUES (:number)"), {"number": number})
            if number % 2:
                raise ValueError(number)

    raised = together(shared, [lambda n=n: one(n) for n in range(THREADS)])  # type: ignore[misc]
    assert [type(error) for error in raised] == [type(None), ValueError] * (THREADS // 2)
    assert numbers(str(shared.url.database)) == [0, 2, 4, 6]
    assert sorted(undone) == [1, 3, 5, 7]


def test_a_refused_statement_takes_back_only_its_unit_of_work(shared: Database) -> None:
    raised = together(shared, [lambda: insert(shared, 1)] * 3 + [lambda: insert(shared, 2)])
    assert sorted(type(error).__name__ for error in raised) == [
        "IntegrityError", "IntegrityError", "NoneType", "NoneType"
    ]  # fmt: skip
    assert numbers(str(shared.url.database)) == [1, 2]


def test_a_commit_that_fails_is_everybodys_failure(shared: Database) -> None:
    undone: list[int] = []

    def refuse(_connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    def one(number: int) -> None:
        with shared.transaction() as work:
            work.on_rollback(lambda: undone.append(number))
            work.connection.execute(text("INSERT INTO made VALUES (:number)"), {"number": number})

    raised = together(
        shared,
        [lambda n=n: one(n) for n in range(THREADS)],  # type: ignore[misc]
        before=lambda: event.listen(shared.engine, "commit", refuse),
    )
    assert all(isinstance(error, OperationalError) for error in raised)
    event.remove(shared.engine, "commit", refuse)
    assert sorted(undone) == list(range(THREADS))
    assert numbers(str(shared.url.database)) == []
    insert(shared, 9)
    assert numbers(str(shared.url.database)) == [9]


def test_a_transaction_that_sqlite_gave_up_fails_its_units_of_work(shared: Database) -> None:
    """A full disk makes SQLite roll everything back by itself: nobody may be told that its work is kept."""

    def one(number: int) -> None:
        insert(shared, number)

    def full() -> None:
        with shared.transaction() as work:
            work.connection.exec_driver_sql("ROLLBACK")
            raise OSError("disk full")

    raised = together(shared, [lambda: one(1), full, lambda: one(2)])
    kept = numbers(str(shared.url.database))
    assert isinstance(raised[1], OSError)
    assert [number for number, error in ((1, raised[0]), (2, raised[2])) if error is None] == kept
    assert all(error is None or isinstance(error, OperationalError) for error in (raised[0], raised[2]))


def test_hooks_may_use_the_database(shared: Database) -> None:
    def one() -> None:
        with shared.transaction() as work:
            work.on_rollback(lambda: insert(shared, 5))
            raise KeyError

    with pytest.raises(KeyError):
        one()
    with shared.transaction() as work:
        work.on_commit(lambda: insert(shared, 6))
    assert numbers(str(shared.url.database)) == [5, 6]


def test_many_writers_lose_nothing(shared: Database) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: insert(shared, number), range(400)))
    assert numbers(str(shared.url.database)) == list(range(400))
