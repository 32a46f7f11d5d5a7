"""What a retrieval asks the index is looked up by the study: no table is read from end to end."""

from pathlib import Path
from typing import Any

import hub.app.wiring  # noqa: F401 (every room's tables)
from hub.imaging.store import ImagingStore
from hub.imaging.store_life import KeyObjectStore
from hub.storage.engine import Database

STUDY = "1.2.3"


def test_a_retrieval_reads_no_whole_table(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/hub.sqlite")
    database.create_all()
    asked: list[str] = []
    with database.reading() as work:
        driver: Any = work.connection.connection.driver_connection
        driver.set_trace_callback(asked.append)
        KeyObjectStore(work).hidden([STUDY])
        ImagingStore(work).sources_of(STUDY)
        ImagingStore(work).studies([STUDY], deep=True)
        driver.set_trace_callback(None)
        steps = [row[3] for statement in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]
    database.dispose()
    assert len(asked) == 5
    assert [step for step in steps if step.startswith("SCAN") and "json_each" not in step] == []
    assert any(step.startswith("SEARCH imaging_key_object") for step in steps)
