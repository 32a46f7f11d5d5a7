"""Files by the address of their bytes: safe, once, and swept when nobody refers to them."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.errors import Invalid, NotFound, TooLarge
from hub.storage.content import ContentStore, ReceivedFile, hash_of
from tests import collision

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
    assert content.put(file.path, file.sha1) == file.sha1
    path = content.path(file.sha1)
    assert path.read_bytes() == DATA
    assert path.relative_to(content.directory).parts == (file.sha1[:2], file.sha1[2:4], file.sha1)
    assert not file.path.exists()
    again = receive(content)
    assert content.put(again.path, again.sha1) == file.sha1
    assert list(content) == [file.sha1]
    assert list(content.incoming().iterdir()) == []
    content.delete(file.sha1)
    content.delete(file.sha1)
    with pytest.raises(NotFound):
        content.path(file.sha1)


def test_a_failed_reception_leaves_nothing(content: ContentStore) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        content.receive(broken())
    with pytest.raises(TooLarge):
        content.receive([b"12345"], limit=4)
    assert list(content.incoming().iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "A" * 40, "a" * 39, "g" * 40, "a" * 40 + "-", "a" * 40 + "-0", "a" * 40 + "\n"]
)
def test_only_addresses_are_names(content: ContentStore, name: str) -> None:
    with pytest.raises(Invalid):
        content.path(name)


def put_at_once(content: ContentStore, data: list[bytes]) -> list[str]:
    """The addresses, in the order of the data."""
    files = [receive(content, item) for item in data]
    found: dict[int, str] = {}

    def put(number: int) -> None:
        found[number] = content.put(files[number].path, files[number].sha1)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(files))]


def test_the_same_content_at_once_is_kept_once(content: ContentStore) -> None:
    assert set(put_at_once(content, [DATA] * 16)) == set(content)
    assert len(list(content)) == 1
    assert list(content.incoming().iterdir()) == []


@pytest.mark.parametrize("rest", [b"", DATA])
def test_two_documents_with_one_hash_are_two(content: ContentStore, rest: bytes) -> None:
    """Neither is given out for the other, whichever came first and however often they come."""
    data = [collision.ONE + rest, collision.OTHER + rest]
    assert hashlib.sha1(data[0]).digest() == hashlib.sha1(data[1]).digest()
    addresses = put_at_once(content, data * 8)
    for address, item in zip(addresses, data * 8, strict=True):
        assert content.path(address).read_bytes() == item
        assert hash_of(address) == hashlib.sha1(item).hexdigest()
    assert set(addresses) == set(content)
    assert len(set(addresses)) == 2
    first, second = sorted(set(addresses))
    assert second == f"{first}-1"
    remains = content.path(second).read_bytes()
    content.delete(first)
    again = receive(content, remains)
    content.put(again.path, again.sha1)
    assert content.path(second).read_bytes() == remains


def test_damaged_content_is_not_given_out_for_what_comes_whole(content: ContentStore) -> None:
    file = receive(content)
    address = content.put(file.path, file.sha1)
    with content.path(address).open("r+b") as damaged:
        damaged.write(b"?")
    again = receive(content)
    assert content.path(content.put(again.path, again.sha1)).read_bytes() == DATA


def test_the_sweep_takes_old_orphans_only(content: ContentStore) -> None:
    names = []
    for data in (b"kept", b"orphan", b"young"):
        file = receive(content, data)
        content.put(file.path, file.sha1)
        names.append(file.sha1)
    spooled = receive(content, b"left behind").path
    for path in (*(content.path(name) for name in names[:2]), spooled):
        os.utime(path, (1, 1))
    assert content.sweep(lambda name: name == names[0]) == 2
    assert set(content) == {names[0], names[2]}
    assert not spooled.exists()
    os.utime(content.path(names[0]), (1, 1))
    again = receive(content, b"kept")
    content.put(again.path, again.sha1)  # makes it young
    assert content.sweep(lambda _name: False) == 0
