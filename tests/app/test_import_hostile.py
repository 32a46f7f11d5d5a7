"""Files as nobody should send them: each is refused, or its bad records are, with line and reason."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app.patients import import_reading
from hub.app.patients.import_files import Reading, look
from hub.context import Context
from hub.errors import HubError
from hub.patients.bulk_errors import ImportColumns, ImportFile
from hub.patients.bulk_model import Entry
from tests.patients.conftest import A

HEADING = b"id;birth_name;birth_date\n"


def records(file: Path, size: int = 1000) -> Iterator[Entry]:
    reading = Reading(None, Context, authority=A)
    for batch, _ in import_reading.batches(file, look(file, None, ""), reading, 0, size):
        yield from batch


def told(folder: Path, content: bytes) -> list[tuple[int, int, str]]:
    file = folder / "people"
    file.write_bytes(content)
    return [(item.record, item.line, item.error.code if item.error else "") for item in records(file)]


def patient(number: str) -> bytes:
    identifier = [{"system": f"urn:oid:{A}", "value": number}]
    name = [{"use": "official", "family": "MARTIN", "given": ["Anne"]}]
    return json.dumps({"resourceType": "Patient", "identifier": identifier, "name": name}).encode()


BUNDLE = b'{"resourceType": "Bundle", "type": "collection", "entry": [{"resource": ' + patient("1") + b"}]}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADING + b"1;X\0Y;1970\n2;Z;1970\n", ["import-record", ""]),
        (HEADING + b"1;" + b"X" * 3_000_000 + b";1970\n2;Z;1970\n", ["import-record", ""]),
        (b"\xef\xbb\xbf" + HEADING + b"1;X;1970\n", [""]),
        (HEADING + b'1;X;1970\n2;"DUPONT;1970\n3;Y;1970\n4;Z;1970\n', ["", "import-record"]),
        (HEADING + b'1;"X;1970\n2;Y;1970\n3;"Z;1970\n4;"Z""\n(T)";1970\n', ["import-record", ""]),
        ((HEADING + b"1;X;1970\n").decode().encode("utf-16"), [""]),
        (b'{"a": "' + b"x" * 3_000_000 + b'"}\n' + patient("2"), ["import-record", ""]),
        (patient("1").replace(b"MARTIN", b"MAR\\u0000TIN") + b"\n" + patient("2"), ["import-record", ""]),
        (BUNDLE + b"\n" + patient("2") + b"\n", ["import-record", ""]),
        (b"\xef\xbb\xbf" + patient("1") + b"\r\n\r\n" + patient("2") + b"\r\n", ["", ""]),
    ],
)
def test_bad_records_are_refused_and_good_ones_taken(tmp_path: Path, content: bytes, expected: list[str]) -> None:
    assert [code for _, _, code in told(tmp_path, content)] == expected


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", ImportFile),
        (b"\xef\xbb\xbf", ImportFile),
        (b"id;birth_name;birth_name\n1;X;Y\n", ImportColumns),
        (b"IPP;ipp;birth_name\n1;2;Y\n", ImportColumns),
        (b"id;ipp;birth_name\n1;2;Y\n", ImportColumns),
        (gzip.compress(HEADING + b"1;X;1970\n", mtime=0), ImportFile),
        (gzip.compress(HEADING + b"1;X;1970\n" * 1000, mtime=0)[:-20], ImportFile),
        ((HEADING + b"1;X;1970\n").decode().encode("utf-16-le"), ImportColumns),
    ],
)
def test_files_that_can_t_be_read_are_refused(tmp_path: Path, content: bytes, error: type[HubError]) -> None:
    with pytest.raises(error):
        told(tmp_path, content)


def test_a_large_file_is_read_by_another_process_as_by_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"{number};DUBOIS{number};{'x' if number % 7 == 0 else '1980'}" for number in range(1000)]
    file = tmp_path / "people.csv"
    file.write_bytes(HEADING + "\n".join(rows).encode())
    here = [(item.record, item.line, item.command, repr(item.error)) for item in records(file, 50)]
    monkeypatch.setattr(import_reading, "ALONE", 1)
    apart = [(item.record, item.line, item.command, repr(item.error)) for item in records(file, 50)]
    assert apart == here
    assert len(here) == 1000


def test_a_reader_that_was_killed_is_told(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(HEADING + b"".join(b"%d;DUBOIS;1980\n" % number for number in range(20_000)))
    task = import_reading.Task(file, look(file, None, ""), Reading(None, Context, authority=A), 0, 1000)
    reader = import_reading.Reader(task)  # far more than fits into the pipe
    reader.process.kill()
    with pytest.raises(ImportFile):
        list(reader)
    reader.close()
