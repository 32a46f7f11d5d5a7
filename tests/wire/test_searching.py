"""A text in large pieces is found where Python finds it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.wire import searching
from hub.wire.searching import Search

LARGE = 4 * searching._WORTH
DELIMITER = b"\n--" + b"a" * 70


@given(st.integers(0, LARGE), st.integers(0, LARGE), st.binary(min_size=1, max_size=75), st.integers(0, 3))
def test_as_python_finds_it(place: int, start: int, wanted: bytes, copies: int) -> None:
    data = bytearray(random.Random(place).randbytes(LARGE))
    for copy in range(copies):
        data[place + copy * 100 : place + copy * 100 + len(wanted)] = wanted
    found = Search(wanted).find(bytes(data), start)
    assert found == bytes(data).find(wanted, start)


@pytest.mark.parametrize("content", [b"a", b"\n", b"\n--" + b"a" * 69, b"-", b"\0"])
def test_content_that_looks_like_it(content: bytes) -> None:
    """The slow case of the library's search: what comes after it is searched all the same."""
    search = Search(DELIMITER)
    data = content * (2_000_000 // len(content))
    for _ in range(3):
        assert search.find(data, 1) == -1
        assert search.find(data + DELIMITER, 1) == (data + DELIMITER).find(DELIMITER, 1)


def test_whoever_makes_it_slow_is_searched_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1000))
    monkeypatch.setattr("hub.wire.searching.time.thread_time", lambda: next(ticks))  # each look costs a second
    search = Search(DELIMITER)
    data = bytes(LARGE) + DELIMITER
    assert [search.find(data, 0) for _ in range(3)] == [LARGE] * 3
    assert next(ticks) == (2 if searching._memmem is not None else 0)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_memmem", None)
    assert Search(b"x").find(bytes(LARGE) + b"x", 5) == LARGE
