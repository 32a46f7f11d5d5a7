"""The hash of a stream, whatever pieces it comes in and however large it is."""

import hashlib
import os
import threading

import pytest

from hub.storage.hashing import LARGE, Hash

DATA = os.urandom(LARGE + 1_234_567)


@pytest.mark.parametrize("size", [0, 1, LARGE, LARGE + 1, len(DATA)])
@pytest.mark.parametrize("piece", [8191, 300_000, len(DATA)])
def test_the_hash_is_that_of_the_whole(size: int, piece: int) -> None:
    data = DATA[:size]
    with Hash() as made:
        for start in range(0, size, piece):
            made.update(data[start : start + piece])
        found = made.digest()
    assert made.size == size
    assert found == hashlib.sha1(data, usedforsecurity=False).hexdigest()


def test_the_thread_ends_when_the_stream_breaks() -> None:
    def broken() -> None:
        with Hash() as made:
            made.update(DATA)
            made.update(DATA)
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        broken()
    assert not [thread for thread in threading.enumerate() if thread.name == "hash"]
