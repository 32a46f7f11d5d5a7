"""Several statements at once: the same on both databases, in one round trip on PostgreSQL."""

import threading

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from hub.storage.engine import Database
from hub.storage.prepared import Prepared, ask, write

ROWS = Table(
    "tests_pipes", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False), Column("name", String)
)
ADD = Prepared(lambda _dialect: insert(ROWS), "id", "name")
NAME = Prepared(lambda _dialect: select(ROWS.c.name).where(ROWS.c.id == bindparam("key")))
COUNT = Prepared(lambda _dialect: text("SELECT count(*) FROM tests_pipes"))


def rows(first: int, count: int) -> list[dict[str, object]]:
    return [{"id": number, "name": f"n{number}"} for number in range(first, first + count)]


@pytest.fixture(autouse=True)
def table(database: Database) -> None:
    with database.engine.begin() as connection:
        ROWS.create(connection, checkfirst=True)


@pytest.mark.parametrize("count", [1, 2, 127, 300, 3000])
def test_what_is_written_together_is_there(database: Database, count: int) -> None:
    with database.transaction() as work:
        write(work.connection, [(ADD, rows(0, count)), (ADD, rows(count, 3))])
        found = ask(work.connection, [(COUNT, {}), (NAME, {"key": count}), (NAME, {"key": -1})])
    assert found == [[(count + 3,)], [(f"n{count}",)], []]
    with database.reading() as work:
        assert ask(work.connection, [(NAME, {"key": 0}), (COUNT, {})]) == [[("n0",)], [(count + 3,)]]


@pytest.mark.parametrize("count", [5, 700])
def test_one_that_fails_takes_all_back(database: Database, count: int) -> None:
    """Rows that are copied are refused as those that are inserted."""
    with pytest.raises(IntegrityError), database.transaction() as work:
        write(work.connection, [(ADD, rows(0, count)), (ADD, rows(count - 1, count)), (ADD, rows(3 * count, 2))])
    with database.transaction() as work:  # the connection is as good as before
        write(work.connection, [(ADD, rows(4, 2))])
        assert ask(work.connection, [(COUNT, {})]) == [[(2,)]]


@pytest.mark.parametrize("count", [2, 700])
def test_a_value_that_no_column_takes_leaves_nothing_half_sent(database: Database, count: int) -> None:
    with pytest.raises((DBAPIError, ValueError)), database.transaction() as work:
        write(work.connection, [(ADD, [*rows(0, count), {"id": "x", "name": "y"}])])
    with database.transaction() as work:
        assert ask(work.connection, [(COUNT, {})]) == [[(0,)]]


def test_many_rows_keep_what_their_values_say(database: Database) -> None:
    """What means something to a copy's text: tabs, line ends, backslashes, its sign for NULL and for the end."""
    odd = ["\t", "\n", "\r\n", "\\", "\\N", "\\.", "", None, "\u2028é\U0001f600", "a,b", '"', "'", "{}"]
    told = [{"id": number, "name": odd[number % len(odd)]} for number in range(1_000)]
    with database.transaction() as work:
        write(work.connection, [(ADD, told)])
    with database.reading() as work:
        found = work.connection.execute(select(ROWS).order_by(ROWS.c.id)).mappings().all()
    assert [dict(row) for row in found] == told


def test_who_waits_for_a_lock_keeps_nobody_else_from_working(database: Database) -> None:
    lock = Prepared(
        lambda dialect: text("SELECT pg_advisory_xact_lock(:key)" if dialect == "postgresql" else "SELECT :key")
    )
    failures: list[Exception] = []

    def work_on(number: int) -> None:
        try:
            with database.transaction() as work:
                ask(work.connection, [(lock, {"key": 7}), (COUNT, {})])
                write(work.connection, [(ADD, rows(10 * number, 10))])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work_on, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    with database.reading() as work:
        assert ask(work.connection, [(COUNT, {})]) == [[(80,)]]


def test_rows_that_wait_are_committed_with_the_unit_of_work(database: Database) -> None:
    told: list[str] = []
    with database.transaction() as work:
        work.on_commit(lambda: told.append("committed"))
        work.later(ADD, {"id": 1, "name": "n1"})
        work.rows_later(ADD, [(2, "n2"), (3, "n3")])  # in the order of the statement's parameters
        assert not told
    with database.engine.connect() as other:
        assert [tuple(row) for row in other.execute(select(ROWS).order_by(ROWS.c.id))] == [
            (1, "n1"),
            (2, "n2"),
            (3, "n3"),
        ]
    assert told == ["committed"]


def test_rows_that_wait_and_fail_take_the_unit_of_work_back(database: Database) -> None:
    told: list[str] = []

    def one_twice() -> None:
        with database.transaction() as work:
            work.on_commit(lambda: told.append("committed"))
            work.on_rollback(lambda: told.append("taken back"))
            ADD.run(work.connection, {"id": 7, "name": "at once"})
            work.rows_later(ADD, [(8, "n8"), (7, "twice"), (9, "n9")])

    with pytest.raises(IntegrityError):
        one_twice()
    assert told == ["taken back"]
    with database.transaction() as work:  # the connection is as good as before
        work.later(ADD, {"id": 8, "name": "again"})
    with database.reading() as work:
        assert ask(work.connection, [(COUNT, {})]) == [[(1,)]]
