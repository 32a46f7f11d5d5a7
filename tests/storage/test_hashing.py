"""The hashes of a stream, whatever pieces it comes in and however large it is."""

import hashlib
import os
import threading

import pytest

from hub.storage.hashing import LARGE, Hashes

DATA = os.urandom(LARGE + 1_234_567)


@pytest.mark.parametrize("size", [0, 1, LARGE, LARGE + 1, len(DATA)])
@pytest.mark.parametrize("piece", [8191, 300_000, len(DATA)])
def test_hashes_are_those_of_the_whole(size: int, piece: int) -> None:
    data = DATA[:size]
    with Hashes() as hashes:
        for start in range(0, size, piece):
            hashes.update(data[start : start + piece])
        found = hashes.digests()
    assert hashes.size == size
    assert found == (hashlib.sha1(data, usedforsecurity=False).hexdigest(), hashlib.sha256(data).hexdigest())


def test_threads_end_when_the_stream_breaks() -> None:
    def broken() -> None:
        with Hashes() as hashes:
            hashes.update(DATA)
            hashes.update(DATA)
            raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        broken()
    assert not [thread for thread in threading.enumerate() if thread.name == "hash"]
