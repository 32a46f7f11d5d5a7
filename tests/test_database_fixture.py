"""The shared fixtures themselves: both databases are real and clean."""

import pytest
from sqlalchemy import inspect, text

from hub.storage.engine import Database


@pytest.mark.parametrize("run", [1, 2])
def test_each_test_gets_a_clean_database(database: Database, run: int) -> None:
    assert "made_here" not in inspect(database.engine).get_table_names()
    with database.transaction() as work:
        work.connection.execute(text("CREATE TABLE made_here (id INTEGER PRIMARY KEY)"))
    assert "made_here" in inspect(database.engine).get_table_names()
