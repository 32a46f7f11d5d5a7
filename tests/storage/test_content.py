"""Content-addressed files: safe, once, and swept when nobody refers to them."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.errors import Invalid, NotFound, TooLarge
from hub.storage.content import ContentStore, ReceivedFile

DATA = b"a manifest" * 1000


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content")


def receive(content: ContentStore, data: bytes = DATA) -> ReceivedFile:
    return content.receive([data[:7], b"", data[7:]])


def test_received_content_has_its_hashes_and_its_place(content: ContentStore) -> None:
    file = receive(content)
    assert file.size == len(DATA)
    assert file.sha1 == hashlib.sha1(DATA).hexdigest()
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    assert content.put(file.path, file.sha256)
    path = content.path(file.sha256)
    assert path.read_bytes() == DATA
    assert path.relative_to(content.directory).parts == (file.sha256[:2], file.sha256[2:4], file.sha256)
    assert not file.path.exists()
    again = receive(content)
    assert not content.put(again.path, again.sha256)
    assert list(content) == [file.sha256]
    assert list(content.incoming().iterdir()) == []
    content.delete(file.sha256)
    content.delete(file.sha256)
    with pytest.raises(NotFound):
        content.path(file.sha256)


def test_a_failed_reception_leaves_nothing(content: ContentStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        content.receive(broken())
    with pytest.raises(TooLarge):
        content.receive([b"12345"], limit=4)
    assert list(content.incoming().iterdir()) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "g" * 64])
def test_only_hashes_are_names(content: ContentStore, name: str) -> None:
    with pytest.raises(Invalid):
        content.path(name)


def test_the_same_content_at_once_is_new_once(content: ContentStore) -> None:
    files = [receive(content) for _ in range(16)]
    new: list[bool] = []
    threads = [threading.Thread(target=lambda f=file: new.append(content.put(f.path, f.sha256))) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == [False] * 15 + [True]


def test_the_sweep_takes_old_orphans_only(content: ContentStore) -> None:
    names = []
    for data in (b"kept", b"orphan", b"young"):
        file = receive(content, data)
        content.put(file.path, file.sha256)
        names.append(file.sha256)
    spooled = receive(content, b"left behind").path
    for path in (*(content.path(name) for name in names[:2]), spooled):
        os.utime(path, (1, 1))
    assert content.sweep(lambda name: name == names[0]) == 2
    assert set(content) == {names[0], names[2]}
    assert not spooled.exists()
    os.utime(content.path(names[0]), (1, 1))
    again = receive(content, b"kept")
    content.put(again.path, again.sha256)  # makes it young
    assert content.sweep(lambda _name: False) == 0
