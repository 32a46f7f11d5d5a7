"""Files for received objects: one is ready, none is left behind."""

import os
import time
from pathlib import Path

import pytest

from hub.app.dimse import incoming as dimse_incoming
from hub.app.dimse.incoming import IncomingFiles
from hub.storage import writeback


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_ready_once(tmp_path: Path) -> None:
    incoming = IncomingFiles(tmp_path)
    incoming.prepare()
    incoming.prepare()
    (ready,) = names(tmp_path)
    first, second = incoming.take(), incoming.take()
    assert first.path.name == ready
    assert first.path != second.path
    first.remove()
    second.remove()
    second.remove()
    incoming.prepare()
    incoming.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize("early", [True, False])
def test_what_is_written_is_there(tmp_path: Path, early: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not early:
        monkeypatch.setattr(writeback, "_sync_file_range", None)
    pieces: list[bytes | memoryview] = [b"head", os.urandom(300_000), memoryview(os.urandom(131_060)), b""]
    incoming = IncomingFiles(tmp_path)
    incoming.prepare()
    file = incoming.take()
    for piece in pieces:
        file.write(piece)
    file.sync()
    file.close()
    assert file.path.read_bytes() == b"".join(pieces)


def test_a_file_that_waited_too_long_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = IncomingFiles(tmp_path)
    incoming.prepare()
    (old,) = names(tmp_path)
    monkeypatch.setattr(dimse_incoming, "_FRESH", -1.0)
    file = incoming.take()
    assert names(tmp_path) == [file.path.name] != [old]
    file.remove()


def test_what_was_abandoned_is_removed(tmp_path: Path) -> None:
    for name, age in (("old", 25 * 3600.0), ("young", 60.0)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    IncomingFiles(tmp_path)
    assert names(tmp_path) == ["young"]


def test_a_directory_that_has_gone(tmp_path: Path) -> None:
    incoming = IncomingFiles(tmp_path / "there")
    (tmp_path / "there").rmdir()
    incoming.prepare()
    with pytest.raises(OSError, match="No such file"):
        incoming.take()


def test_what_was_placed_loses_its_first_name_when_there_is_time(tmp_path: Path) -> None:
    incoming = IncomingFiles(tmp_path / "incoming")
    for done in (incoming.prepare, incoming.close):
        file = incoming.take()
        file.write(b"object")
        file.sync()
        kept = tmp_path / done.__name__
        os.link(file.path, kept)
        incoming.placed(file)
        assert file.path.exists()
        done()
        assert not file.path.exists()
        assert kept.read_bytes() == b"object"
    assert names(tmp_path / "incoming") == []
