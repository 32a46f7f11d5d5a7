"""The benchmarks work, in their quick form; what they measure is not judged here."""

import importlib
import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from benchmarks import __main__ as main
from benchmarks.figures import Figure, percentile
from benchmarks.registry_filler import BLOCK, PER_PATIENT, fill, patient_number
from hub.documents.model import DocumentEntry, SubmissionSet
from hub.documents.store import DocumentStore
from hub.storage.engine import Database
from hub.testing.sites import has_dcmtk, has_orthanc

PEERS = {
    "access": True,
    "adt": True,
    "audit": shutil.which("rsyslogd") is not None,
    "cstore": has_dcmtk() and has_orthanc(),
    "documents": all(map(shutil.which, ("curl", "nginx"))),
    "federation": True,
    "query": True,
    "retrieve": has_orthanc() and all(map(shutil.which, ("curl", "nginx"))),
}


@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_benchmark_gives_figures(name: str) -> None:
    if not PEERS[name]:
        pytest.skip("its peers are not installed")
    figures = list(importlib.import_module(f"benchmarks.bench_{name}").run(quick=True))
    assert {figure.bench for figure in figures} == {name}
    assert all(figure.value > 0 or "not measured" in figure.note for figure in figures)
    assert name in {"documents", "query"} or all(figure.ratio or "not measured" in figure.note for figure in figures)


def test_a_filled_registry(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    fill(url, 3 * PER_PATIENT)
    with create_engine(url).connect() as connection:
        rows = connection.execute(text("SELECT patient, count(*) FROM documents_entry GROUP BY patient")).all()
        assert sorted(rows) == [(f"{patient_number(i)}^^^&1.2.250.1.999.1.1&ISO", PER_PATIENT) for i in range(3)]
        assert connection.scalar(text("SELECT count(*) FROM documents_association")) == 3 * PER_PATIENT


def test_copies_of_patients_are_whole(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    fill(url, 3 * BLOCK * PER_PATIENT)
    last = f"{patient_number(3 * BLOCK - 1)}^^^&1.2.250.1.999.1.1&ISO"
    database = Database(url)
    with database.reading() as work:
        store = DocumentStore(work)
        entries = store.get(DocumentEntry, "patient", [last])
        members = store.associations(target=[entry.id for entry in entries])
        sets = store.get(SubmissionSet, "id", [member.source for member in members])
        assert {item.patient_id.cx for item in entries} == {item.patient_id.cx for item in sets} == {last}
        assert len({entry.unique_id for entry in entries}) == len(members) == PER_PATIENT
        assert len(store.get(DocumentEntry, "unique_id", [entry.unique_id for entry in entries])) == PER_PATIENT
    database.dispose()


def test_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(main, "ROOT", tmp_path)
    figure = Figure("adt", "messages", 50.0, "msg/s", "bare loop", 100.0, "at least 0.6", met=False, note="a note")
    main.write([figure], [], quick=False, load=1.5)
    assert json.loads((tmp_path / "build/bench.json").read_text())["figures"][0]["ratio"] == 0.5
    page = (tmp_path / "docs/benchmarks.md").read_text()
    assert "| adt: messages | 50.0 msg/s | bare loop: 100.0 msg/s | 0.50 | at least 0.6 | **no** |" in page
    assert "- adt, messages: a note" in page
    assert "went up to 1.5 meanwhile" in page
    assert main.earlier({"query"}) == ([figure], 1.5)
    assert main.earlier({"adt"}) == ([], 1.5)
    main.write([figure], ["query"], quick=True, load=1.5)
    assert (tmp_path / "docs/benchmarks.md").read_text() == page
    assert main.earlier({"query"}) == ([], 0.0)
    assert main.line(figure) == "messages: 50.0 msg/s, 0.50 of bare loop (100.0) [goal at least 0.6, NOT met]"


def test_percentiles() -> None:
    assert percentile(range(100), 0.99) == 99
    assert percentile([3, 1, 2], 0.5) == 2
